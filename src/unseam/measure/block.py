"""The sums of the objects of one block, in one pass over its pixels.

A run is a stretch of equal pixels in a row of the last axis. There are some thirty times fewer runs than
pixels, and the coordinates of a run add up by a formula; so only the intensities are added pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import InputError, ShapeError
from unseam.instances.labels import checked
from unseam.measure.merging import added_votes, merge
from unseam.measure.sums import LARGEST, QUANTA, Exact, Ints, Sums, pairs

MOST = 2**30
"""Pixels up to which the sum of squares of 16-bit intensities is formed in 64 bits."""


def quantise(probabilities: NDArray[Any]) -> NDArray[np.uint16]:
    """Return probabilities as whole numbers of 65535ths, so that their sums are exact and small to store.

    Parameters
    ----------
    probabilities : ndarray of float
        From 0 to 1.

    Raises
    ------
    InputError
        If one is not from 0 to 1, by more than half a 65535th.

    Examples
    --------
    >>> quantise(np.array([0, 0.2, 1]))
    array([    0, 13107, 65535], dtype=uint16)
    """
    wide = np.result_type(probabilities.dtype, np.float32)  # 65535 is more than float16 holds
    steps = np.rint(np.multiply(probabilities, QUANTA, dtype=wide))
    if not (steps.min(initial=0) >= 0 and steps.max(initial=0) <= QUANTA):  # so that NaN does not pass
        raise InputError(
            f"probabilities run from {probabilities.min():g} to {probabilities.max():g}; "
            "expected 0 to 1 and no NaN"
        )
    return np.asarray(steps, np.uint16)


def sum_block(
    labels: NDArray[np.integer[Any]],
    *,
    origin: Sequence[int],
    image: NDArray[Any] | None = None,
    probabilities: NDArray[Any] | None = None,
    classes: NDArray[np.integer[Any]] | None = None,
) -> Sums:
    """Return the sums over the pixels of each object of a block.

    Parameters
    ----------
    labels : ndarray of int, (Y, X) or (Z, Y, X)
        1 and up are objects, 0 background, -1 ignored.
    origin : sequence of int
        The block's first pixel in the whole image.
    image : ndarray, (C, *spatial) or (*spatial), optional
    probabilities : ndarray of float or uint16, (*spatial), optional
        From 0 to 1, which `quantise` rounds to 16 bits; or quantised already.
    classes : ndarray of int, (*spatial), optional

    Raises
    ------
    ShapeError
        If `labels` are neither 2-D nor 3-D, or another array or `origin` does not fit them.
    LabelError
        If `labels` are not labels.
    InputError
        If classes are not integers, or probabilities not from 0 to 1.

    Examples
    --------
    >>> sums = sum_block(np.array([[1, 1, 0], [0, 0, 2]]), origin=(100, 200))
    >>> sums.sizes.tolist(), sums.boxes[0].tolist()
    ([2, 1], [[100, 101], [200, 202]])
    """
    labels = checked(labels)
    _check(labels, origin, probabilities=probabilities, classes=classes)
    channels = as_channels(image, labels.shape)
    if probabilities is not None and probabilities.dtype != np.uint16:
        probabilities = quantise(probabilities)
    return _summed(labels, tuple(origin), channels, probabilities, classes)


def _summed(
    labels: NDArray[np.int32],
    origin: tuple[int, ...],
    channels: NDArray[Any],
    probabilities: NDArray[Any] | None,
    classes: NDArray[Any] | None,
) -> Sums:
    """The sums of a block, of its halves first where 64 bits might not hold those of the whole."""
    longest = max(labels.shape)
    if labels.size > MOST or labels.size * float(longest) ** 2 >= LARGEST:
        axis = labels.shape.index(longest)
        halves = []
        for start, stop in ((0, longest // 2), (longest // 2, longest)):
            part = (slice(None),) * axis + (slice(start, stop),)
            corner = tuple(o + start * (k == axis) for k, o in enumerate(origin))
            extras = (None if a is None else a[part] for a in (probabilities, classes))
            halves.append(_summed(labels[part], corner, channels[slice(None), *part], *extras))
        return merge(*halves)
    labels = np.ascontiguousarray(labels)
    runs = _find_runs(labels)
    ids, sizes, boxes = runs.objects()
    first, second = runs.moments(boxes[..., 0])
    totals, squares = _intensities(runs, channels, sizes)
    steps = None if probabilities is None else probabilities[runs.inside].astype(np.int64)
    return Sums(
        ids=ids,
        sizes=sizes,
        boxes=boxes + np.array(origin)[:, None],
        first=first,
        second=second,
        totals=totals,
        squares=squares,
        probabilities=None if steps is None else runs.add(steps),
        votes=None if classes is None else _votes(runs, classes[runs.inside]),
        rows=_rows(runs, origin) if labels.ndim == 2 else None,
    )


@dataclass(frozen=True)
class _Runs:
    """The runs of object pixels, sorted by object, those of an object in raster order.

    `inside` is the mask of all object pixels; `offsets` are the places of the runs among these, in raster
    order, and `order` sorts them. `start` is where the runs of each object begin.
    """

    inside: NDArray[np.bool_]
    offsets: NDArray[np.intp]
    order: NDArray[np.intp]
    start: NDArray[np.intp]
    ids: NDArray[np.int32]  # of each run
    lengths: Ints
    lines: tuple[Ints, ...]  # the coordinates of each run's row: y, or z and y
    x: Ints  # of the first pixel of each run

    def objects(self) -> tuple[NDArray[np.int32], Ints, Ints]:
        """Ids, sizes and bounding boxes."""
        low = [np.minimum.reduceat(at, self.start) for at in (*self.lines, self.x)]
        high = [np.maximum.reduceat(at, self.start) + 1 for at in (*self.lines, self.x + self.lengths - 1)]
        boxes = np.stack([np.stack(low, axis=1), np.stack(high, axis=1)], axis=-1)
        return self.ids[self.start], np.add.reduceat(self.lengths, self.start), boxes

    def moments(self, corners: Ints) -> tuple[Ints, Ints]:
        """First and second moments about the corners."""
        corner = np.repeat(corners, np.diff(self.start, append=len(self.ids)), axis=0)
        lines = [line - corner[:, k] for k, line in enumerate(self.lines)]
        x = self.x - corner[:, -1]
        # The coordinates of a run are x, x + 1, ..., x + n - 1 = e.
        n, e = self.lengths, x + self.lengths - 1
        sum_x = n * (x + e) // 2
        sum_xx = e * (e + 1) * (2 * e + 1) // 6 - (x - 1) * x * (2 * x - 1) // 6
        firsts = [*(n * line for line in lines), sum_x]
        seconds = [sum_xx if i == len(lines) else firsts[j] * lines[i] for i, j in pairs(len(firsts))]
        first, second = (
            np.stack([np.add.reduceat(values, self.start) for values in sums], axis=1)
            for sums in (firsts, seconds)
        )
        return first, second

    def add(self, values: NDArray[Any]) -> NDArray[Any]:
        """The sum over each object of one value per object pixel, in raster order."""
        return np.add.reduceat(np.add.reduceat(values, self.offsets)[self.order], self.start)

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """One value per object to each object pixel, in raster order."""
        of_run = np.empty(len(self.order), values.dtype)
        of_run[self.order] = np.repeat(values, np.diff(self.start, append=len(self.order)))
        lengths = np.empty(len(self.order), np.int64)
        lengths[self.order] = self.lengths
        return np.repeat(of_run, lengths)


def _find_runs(labels: NDArray[np.int32]) -> _Runs:
    flat = labels.ravel()
    new = np.ones(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=new[1:])
    new[:: max(labels.shape[-1], 1)] = True  # a run ends with its row
    begin = np.flatnonzero(new)
    lengths = np.diff(begin, append=flat.size)
    objects = flat[begin] > 0
    begin, lengths = begin[objects], lengths[objects]
    ids = flat[begin]
    order = np.argsort(ids, kind="stable")
    offsets = np.cumsum(lengths) - lengths
    ids, begin, lengths = ids[order], begin[order], lengths[order]
    *lines, x = np.unravel_index(begin, labels.shape)
    start = np.flatnonzero(np.r_[np.ones(min(len(ids), 1), bool), ids[1:] != ids[:-1]])
    return _Runs(labels > 0, offsets, order, start, ids, lengths, tuple(lines), x)


def _intensities(runs: _Runs, channels: NDArray[Any], sizes: Ints) -> tuple[Exact, Exact]:
    """Totals and squares of each channel; see `Sums`."""
    exact = channels.dtype.kind in "biu" and channels.dtype.itemsize <= 2
    dtype = np.int64 if exact else np.float64
    totals = np.empty((len(sizes), len(channels)), dtype)
    squares = np.empty_like(totals)
    for k, channel in enumerate(channels):
        values = channel[runs.inside].astype(dtype)
        totals[:, k] = runs.add(values)
        if not exact:
            values -= runs.spread(totals[:, k] / sizes)
        squares[:, k] = runs.add(values * values)
    return totals, squares


def _votes(runs: _Runs, classes: NDArray[Any]) -> Ints:
    """Pixels of each object and class, from the runs of equal class within the runs of each object."""
    new = np.ones(len(classes), bool)
    np.not_equal(classes[1:], classes[:-1], out=new[1:])
    new[runs.offsets] = True
    begin = np.flatnonzero(new)
    ids = runs.spread(runs.ids[runs.start])[begin]
    votes = np.stack([ids, classes[begin].astype(np.int64), np.diff(begin, append=len(classes))])
    return added_votes(votes[:, votes[1] > 0])


def _rows(runs: _Runs, origin: tuple[int, ...]) -> Ints:
    """First and last pixel of each row of each object."""
    (y,) = runs.lines
    new = np.ones(len(y), bool)
    new[1:] = (y[1:] != y[:-1]) | (runs.ids[1:] != runs.ids[:-1])
    first, last = np.flatnonzero(new), np.flatnonzero(np.r_[new[1:], np.ones(min(len(y), 1), bool)])
    oy, ox = origin
    x_last = runs.x[last] + runs.lengths[last] - 1
    return np.stack([runs.ids[first].astype(np.int64), y[first] + oy, runs.x[first] + ox, x_last + ox])


def as_channels(image: NDArray[Any] | None, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the image as (C, *spatial); C is 0 without an image."""
    if image is None:
        return np.empty((0, *shape), np.uint8)
    if image.shape == shape:
        return image[np.newaxis]
    if image.shape[1:] != shape:
        raise ShapeError(
            f"image has shape {image.shape}, labels {shape}; expected {shape} or (channels, *{shape})"
        )
    return image


def _check(
    labels: NDArray[np.int32],
    origin: Sequence[int],
    *,
    probabilities: NDArray[Any] | None,
    classes: NDArray[Any] | None,
) -> None:
    if labels.ndim not in (2, 3):
        raise ShapeError(f"labels have shape {labels.shape}; expected 2 or 3 axes: (Y, X) or (Z, Y, X)")
    if len(origin) != labels.ndim:
        raise ShapeError(f"origin is {tuple(origin)}; expected {labels.ndim} coordinates, one per axis")
    for name, array in (("probabilities", probabilities), ("classes", classes)):
        if array is not None and array.shape != labels.shape:
            raise ShapeError(f"{name} have shape {array.shape}, labels {labels.shape}; expected equal shapes")
    if classes is not None and not np.issubdtype(classes.dtype, np.integer):
        raise InputError(f"classes have dtype {classes.dtype}; expected integers, one class per pixel")
