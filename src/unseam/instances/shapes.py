"""Change the shapes of objects: remove, grow, part."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import ConfigError, ShapeError
from unseam.instances.labels import Labels, Mask, checked
from unseam.instances.numbering import distinct, runs


def remove_small(labels: NDArray[np.integer[Any]], min_size: int) -> Labels:
    """Return `labels` without the objects of fewer than `min_size` pixels; the others keep their numbers.

    Raises
    ------
    ConfigError
        If `min_size` is negative.
    """
    if min_size < 0:
        raise ConfigError(f"min_size is {min_size}; expected 0 or more pixels")
    labels = checked(labels)
    values, lengths = runs(labels)
    ids, run_id = distinct(values)
    sizes = np.bincount(run_id, weights=lengths)  # exact below 2**53
    small = (sizes < min_size) & (ids > 0)
    if not small.any():
        return labels.copy()
    values[small[run_id]] = 0
    return np.repeat(values, lengths).reshape(labels.shape)


def grow(labels: NDArray[np.integer[Any]], pixels: int, *, within: Mask | None = None) -> Labels:
    """Return `labels` with each object grown by `pixels` steps through faces, into background only.

    Parameters
    ----------
    labels : ndarray of int, (*spatial)
    pixels : int
        Number of steps, 0 or more.
    within : ndarray of bool, (*spatial), optional
        Where objects may grow; everywhere if not given.

    Raises
    ------
    ConfigError
        If `pixels` is negative.
    ShapeError
        If `within` has another shape than `labels`.

    Notes
    -----
    At each step a free pixel takes the smallest number among its face neighbours. The result of a pixel
    therefore depends on its neighbourhood of `pixels` steps alone: a block with a halo of that many pixels
    gives what the whole image gives, if its objects have the numbers, or the order, of the whole image.
    """
    check_steps(pixels)
    labels = checked(labels)
    if within is not None and within.shape != labels.shape:
        raise ShapeError(f"within has shape {within.shape}, labels {labels.shape}; expected equal shapes")
    free = labels == 0
    return grow_into(labels, free if within is None else free & within, pixels)


def check_steps(pixels: int) -> int:
    """Say what is wrong if the number of steps is negative; else return it."""
    if pixels < 0:
        raise ConfigError(f"pixels is {pixels}; expected 0 or more steps to grow")
    return pixels


def grow_into(labels: Labels, free: Mask, pixels: int) -> Labels:
    """Return `labels` grown by `pixels` steps into the pixels of `free`, which hold no object yet.

    Notes
    -----
    A pixel that is reached at one step can have neighbours that were reached at the step before, and no
    older ones: those would have reached it earlier. So each step looks at the pixels just reached alone.
    The arrays get a frame of one pixel that is not free; flat steps to a neighbour then never wrap around.
    """
    if not pixels or not labels.size:
        return labels.copy()
    inside = (slice(1, -1),) * labels.ndim
    frame = tuple(size + 2 for size in labels.shape)
    grown, open_ = np.zeros(frame, np.int32), np.zeros(frame, bool)
    grown[inside], open_[inside] = labels, free
    now, ahead = grown.ravel(), open_.ravel()  # both are views
    strides = [prod(frame[axis + 1 :]) for axis in range(labels.ndim)]
    steps = [step for stride in strides for step in (-stride, stride)]

    first_reached, objects = [], now > 0
    for step in steps:
        low, high = max(0, -step), now.size - max(0, step)
        seeds = low + np.flatnonzero(objects[low:high] & ahead[low + step : high + step])
        first_reached.append(_reach(now, seeds + step, now[seeds]))
    reached = np.concatenate(first_reached)
    for _ in range(pixels - 1):
        if not reached.size:
            break
        ahead[reached] = False
        numbers, newly = now[reached], []
        for step in steps:
            onto = reached + step
            is_free = ahead[onto]
            newly.append(_reach(now, onto[is_free], numbers[is_free]))
        reached = np.concatenate(newly)
    return np.ascontiguousarray(grown[inside])


def _reach(now: Labels, onto: NDArray[np.intp], numbers: Labels) -> NDArray[np.intp]:
    """Give the pixels `onto`, each named once, their numbers, smallest first; return those that had none."""
    before = now[onto]
    untouched = before <= 0
    now[onto] = np.where(untouched, numbers, np.minimum(before, numbers))
    return onto[untouched]


def carve_gaps(labels: NDArray[np.integer[Any]]) -> Labels:
    """Return `labels` with touching objects separated by a gap of one background pixel.

    An object pixel becomes background when one of its causal neighbours, the half of the full neighbourhood
    that precedes it in raster order (4 of 8 in 2-D, 13 of 26 in 3-D), belongs to another object. All
    comparisons are on the labels as given. Ignored pixels are left alone and carve nothing.

    References
    ----------
    T. Falk et al., "U-Net: deep learning for cell counting, detection, and morphometry", Nature Methods
    16:67-70, 2019, doi:10.1038/s41592-018-0261-2 (the rule of the published plugin).

    Examples
    --------
    >>> carve_gaps(np.array([[1, 1, 2, 2]]))
    array([[1, 1, 0, 2]], dtype=int32)
    """
    labels = checked(labels)
    carved = labels.copy()
    for step in product((-1, 0, 1), repeat=labels.ndim):
        if step >= (0,) * labels.ndim:
            continue
        here = tuple(slice(max(0, -s), min(n, n - s)) for s, n in zip(step, labels.shape, strict=True))
        there = tuple(slice(max(0, s), min(n, n + s)) for s, n in zip(step, labels.shape, strict=True))
        pixel, neighbour = labels[here], labels[there]
        carved[here][(pixel > 0) & (neighbour > 0) & (pixel != neighbour)] = 0
    return carved
