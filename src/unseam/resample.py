"""Images and probabilities at another pixel size, part by part, each pixel the same whatever the part.

One axis, five pixels made of ten; a new pixel is a weighted mean of the old ones under its triangle::

    old   │0│1│2│3│4│5│6│7│8│9│        centre of new pixel i at (i + 1/2) * ratio - 1/2
               ▁▃▅▇▅▃▁                 half width: the larger of one old and one new pixel
    new   │ 0 │ 1 │ 2 │ 3 │ 4 │

Where pixels become smaller this is linear interpolation; where they become larger it averages, so that noise
and fine structure are not aliased. Sums run over the taps of a pixel in a fixed order, one multiplication and
one addition at a time: no part of the image changes the last digit of another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import ConfigError
from unseam.grid import Region
from unseam.io.source import Source

Array = NDArray[Any]


@dataclass(frozen=True)
class Taps:
    """What each new pixel along one axis is made of.

    Attributes
    ----------
    index : ndarray of int, (taps, n)
        Old pixels.
    weight : ndarray of float32, (taps, n)
        Their weights, which add up to 1.
    """

    index: NDArray[np.intp]
    weight: NDArray[np.float32]


def taps(start: int, stop: int, *, old: int, new: int) -> Taps:
    """The taps of new pixels `start` to `stop` along an axis of `old` pixels that gets `new` ones.

    Beyond its ends the axis goes on with its last pixel.

    Examples
    --------
    >>> taps(0, 2, old=4, new=2).weight.T.tolist()
    [[0.125, 0.375, 0.375, 0.125], [0.125, 0.375, 0.375, 0.125]]
    """
    ratio = old / new
    centre = (np.arange(start, stop) + 0.5) * ratio - 0.5
    reach = max(1.0, ratio)
    count = 2 * math.ceil(reach)
    index = np.floor(centre).astype(np.intp) + np.arange(1 - count // 2, 1 + count // 2)[:, None]
    weight = np.maximum(0.0, 1.0 - np.abs(index - centre) / reach)
    weight /= weight.sum(0)
    return Taps(index.clip(0, old - 1), weight.astype(np.float32))


def needed(region: Region, *, old: Sequence[int], new: Sequence[int]) -> Region:
    """The old pixels that a region of new ones is made of."""
    return tuple(
        (int(t.index.min()), int(t.index.max()) + 1)
        for t in (
            taps(a, b, old=n_old, new=n_new) for (a, b), n_old, n_new in zip(region, old, new, strict=True)
        )
    )


def resample(
    part: Array, origin: Sequence[int], region: Region, *, old: Sequence[int], new: Sequence[int]
) -> Array:
    """A region of new pixels from the part of the old ones that it needs.

    Parameters
    ----------
    part : ndarray of float32, (C, *part)
        Old pixels, at least `needed(region)`; the first one lies at `origin`.
    origin : sequence of int
    region : Region
        Of new pixels.
    old, new : sequence of int
        Shape of the whole image before and after.

    Returns
    -------
    ndarray of float32, (C, *region)
    """
    for axis, ((a, b), first) in enumerate(zip(region, origin, strict=True), start=1):
        along = taps(a, b, old=old[axis - 1], new=new[axis - 1])
        shape = [1] * part.ndim
        shape[axis] = b - a
        total = None
        for index, weight in zip(along.index - first, along.weight, strict=True):
            term = part.take(index, axis)
            term *= weight.reshape(shape)
            total = term if total is None else np.add(total, term, out=total)
        assert total is not None
        part = total
    return part


def resample_at(
    part: Array, origin: Sequence[int], pixels: NDArray[np.intp], *, old: Sequence[int], new: Sequence[int]
) -> Array:
    """Single new pixels, (C, n), from the part of the old ones around them; `pixels` is (n, axes)."""
    total = np.zeros((len(part), len(pixels)), np.float32)
    for index, weight in taps_of_pixels(pixels, old=old, new=new):
        total += part[(slice(None), *(index - np.asarray(origin)).T)] * weight
    return total


def taps_of_pixels(
    pixels: NDArray[np.intp], *, old: Sequence[int], new: Sequence[int]
) -> list[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """The old pixels, (n, axes), and weights, (n,), of single new pixels, for each combination of taps."""
    along = []
    for axis, (n_old, n_new) in enumerate(zip(old, new, strict=True)):
        low = int(pixels[:, axis].min(initial=0))
        high = int(pixels[:, axis].max(initial=low)) + 1
        all_taps = taps(low, high, old=n_old, new=n_new)
        at = pixels[:, axis] - low
        along.append((all_taps.index[:, at], all_taps.weight[:, at]))
    pairs = []
    for chosen in product(*(range(len(index)) for index, _ in along)):
        index = np.stack([along[axis][0][k] for axis, k in enumerate(chosen)], axis=1)
        weight = np.ones(len(pixels), np.float32)
        for axis, k in enumerate(chosen):
            weight = weight * along[axis][1][k]
        pairs.append((index, weight))
    return pairs


def resampled(source: Source, shape: Sequence[int]) -> Source:
    """The same image, float32, with another number of pixels along its axes."""

    def read(region: Region) -> Array:
        old = needed(region, old=source.shape, new=shape)
        part = source.read(old).astype(np.float32, copy=False)
        return resample(part, [a for a, _ in old], region, old=source.shape, new=shape)

    spacing = None
    if source.spacing:
        spacing = tuple(s * n / m for s, n, m in zip(source.spacing, source.shape, shape, strict=True))
    return replace(
        source, read=read, shape=tuple(shape), dtype=np.dtype(np.float32), spacing=spacing, chunk=None
    )


def shape_at(shape: Sequence[int], spacing: Sequence[float], wanted: Sequence[float]) -> tuple[int, ...]:
    """Number of pixels along each axis when pixels of `spacing` become those of `wanted`.

    Raises
    ------
    ConfigError
        If the numbers of axes differ.
    """
    if not len(shape) == len(spacing) == len(wanted):
        raise ConfigError(
            f"pixel sizes of {len(spacing)} and {len(wanted)} axes were given for an image of {len(shape)}; "
            "give one for each axis"
        )
    return tuple(max(1, round(n * s / w)) for n, s, w in zip(shape, spacing, wanted, strict=True))
