"""Scale intensities, once per image: never per tile, so that a tile cannot change the result.

What is subtracted and divided by is fitted on the whole image, in parts that need not be in memory together,
and exactly: percentiles are found digit by digit in histograms, as a whole sorted image would give them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import ConfigError, InputError
from unseam.grid import BlockGrid, Region, slices

METHODS = ("percentile", "zscore", "unit", "none")
PART = {1: 2**22, 2: 2048, 3: 160}
"""Pixels per axis of the parts that an image is fitted in: always the same, so that sums round alike."""
DIGIT_BITS = 16

Array = NDArray[Any]
Read = Callable[[Region], Array]
MapParts = Callable[[Callable[[Region], Any], Sequence[Region]], Iterable[Any]]
"""Applies a function to regions and gives the results in their order, as `map` does, or in threads."""


@dataclass(frozen=True)
class Scaling:
    """How the intensities of one image are scaled: minus `offset`, over `scale`, for each channel.

    A scale of 0 stands for a constant channel, which becomes 0. What is scaled is clipped from `low` to
    `high`, where these are given.
    """

    offset: tuple[float, ...]
    scale: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def __call__(self, part: Array) -> NDArray[np.float32]:
        """Scale a part of the image, (C, *region) of any real dtype, to float32."""
        scaled = np.empty(part.shape, np.float32)
        for channel, (offset, scale) in enumerate(zip(self.offset, self.scale, strict=True)):
            rows = zip(np.atleast_2d(scaled[channel]), np.atleast_2d(part[channel]), strict=True)
            for row, values in rows:  # one after the other: a whole image of float64 is large
                row[...] = (values.astype(np.float64) - offset) / scale if scale else 0.0
            if self.low:
                np.clip(scaled[channel], self.low[channel], self.high[channel], out=scaled[channel])
        return scaled

    def to_table(self) -> NDArray[np.float64]:
        """All numbers, a row for each attribute that is given, in their order."""
        return np.array([row for row in (self.offset, self.scale, self.low, self.high) if row], np.float64)


@dataclass(frozen=True)
class Normalization:
    """How an image is scaled; stored in the model.

    Attributes
    ----------
    method : str
        "percentile": `lower` becomes 0 and `upper` 1, nothing is clipped; 0 and 100 are smallest and largest.
        "zscore": mean 0, deviation 1. "unit": integers by the range of their type, as 255 becomes 1 in 8
        bits, floats as they are. "none": as it is. Each channel by itself, over the whole image.
    lower, upper : float
        Percentiles, 0 to 100.

    Examples
    --------
    >>> Normalization("zscore")(np.array([[[1, 3]]])).tolist()
    [[[-1.0, 1.0]]]
    """

    method: str = "percentile"
    lower: float = 1.0
    upper: float = 99.8

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f"normalization is {self.method!r}; expected one of: {', '.join(METHODS)}")
        if not 0 <= self.lower < self.upper <= 100:
            raise ConfigError(
                f"percentiles {self.lower} and {self.upper} were given; expected 0 <= lower < upper <= 100"
            )

    def __call__(self, image: Array) -> NDArray[np.float32]:
        """Scale `image`, (C, *spatial) of any real dtype, to float32.

        Raises
        ------
        InputError
            If a pixel is NaN or infinite.

        Notes
        -----
        A constant channel becomes 0 everywhere.
        """
        return self.fit(reading(image), image.shape[1:], channels=len(image), dtype=image.dtype)(image)

    def fit(
        self,
        read: Read,
        shape: Sequence[int],
        *,
        channels: int,
        dtype: np.dtype[Any],
        map_parts: MapParts = map,
    ) -> Scaling:
        """What this normalisation makes of an image, read in parts.

        Parameters
        ----------
        read : callable
            A region to its pixels, (C, *region); called more than once for the same region.
        shape : sequence of int
            Spatial shape of the image.
        channels : int
        dtype : dtype
            Of the pixels.
        map_parts : callable
            `map`, or one that works in threads.

        Raises
        ------
        InputError
            If a pixel is NaN or infinite.
        """
        image = in_parts(read, shape, channels=channels, dtype=dtype, map_parts=map_parts)
        if self.method == "none":
            return Scaling((0.0,) * channels, (1.0,) * channels)
        if self.method == "unit":
            low, high = _range(dtype)
            return Scaling((low,) * channels, (high - low,) * channels)
        pairs = self._percentiles(image) if self.method == "percentile" else mean_and_deviation(image)
        return Scaling(tuple(offset for offset, _ in pairs), tuple(scale for _, scale in pairs))

    def _percentiles(self, image: ImageParts) -> list[tuple[float, float]]:
        """Lower percentile and range; where both percentiles are equal, the smallest value and the range."""
        pairs = []
        for smallest, low, high, largest in percentiles(image, (0, self.lower, self.upper, 100)):
            if low == high:  # a few bright objects on black: the range that is left
                low, high = smallest, largest
            pairs.append((low, high - low))
        return pairs


@dataclass(frozen=True)
class ImageParts:
    """An image in parts: how to read them, and what they are."""

    read: Read
    regions: tuple[Region, ...]
    channels: int
    pixels: int  # of one channel
    dtype: np.dtype[Any]
    map_parts: MapParts

    def each(self, function: Callable[[Array], Any]) -> Iterable[Any]:
        """The results of `function` for each part, in order."""
        return self.map_parts(lambda region: function(self.read(region)), self.regions)


def _range(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Smallest and largest value of an integer type; of others what is taken to be black and white."""
    if dtype.kind not in "iu":
        return 0.0, 1.0
    limits = np.iinfo(dtype)
    return float(limits.min), float(limits.max)


def reading(image: Array) -> Read:
    """An image in memory, (C, *spatial), as a function of a region."""
    return lambda region: image[(slice(None), *slices(region))]


def in_parts(
    read: Read,
    shape: Sequence[int],
    *,
    channels: int,
    dtype: np.dtype[Any],
    map_parts: MapParts,
) -> ImageParts:
    """An image as `Normalization.fit` takes it, in parts.

    Raises
    ------
    InputError
        If a pixel is NaN or infinite.
    """
    grid = BlockGrid(tuple(shape), (PART.get(len(shape), 16),) * len(shape))
    regions = tuple(grid.region(number) for number in range(len(grid)))
    image = ImageParts(read, regions, channels, math.prod(shape), dtype, map_parts)
    if dtype.kind not in "biu":
        _check_finite(image)
    return image


def _check_finite(image: ImageParts) -> None:
    bad = sum(image.each(lambda part: part.size - int(np.count_nonzero(np.isfinite(part)))))
    if bad:
        raise InputError(f"the image has {bad} pixels that are NaN or infinite; replace them first")


def _between(low: float, high: float, share: float) -> float:
    """Linear interpolation, from the nearer end: so numpy.percentile does, and rounds alike."""
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share


def percentiles(image: ImageParts, wanted: Sequence[float]) -> list[list[float]]:
    """Percentiles of each channel, between pixels interpolated as numpy.percentile does."""
    last = image.pixels - 1
    places = [last * (q / 100) for q in wanted]
    below = [math.floor(place) for place in places]
    ranks = sorted({*below, *(min(rank + 1, last) for rank in below)})
    found = []
    for values in _values_at(image, ranks):
        at = dict(zip(ranks, values, strict=True))
        found.append(
            [_between(at[b], at[min(b + 1, last)], place - b) for place, b in zip(places, below, strict=True)]
        )
    return found


def _values_at(image: ImageParts, ranks: Sequence[int]) -> list[list[float]]:
    """The values at some places of the sorted pixels of each channel, exactly.

    Values become unsigned integers in the same order, and these are found digit by digit: a histogram of the
    first 16 bits says in which bin each rank lies, a histogram of the next 16 bits of the pixels in that bin
    goes on from there. One reading of the image per digit: 1 for 8 and 16 bits, 2 for 32, 4 for 64. An image
    of one part is partitioned in memory, which is faster.
    """
    if len(image.regions) == 1:
        part = image.read(image.regions[0])
        return [[float(value) for value in np.partition(plane.ravel(), ranks)[ranks]] for plane in part]
    bits = max(8 * image.dtype.itemsize, DIGIT_BITS)
    prefixes = [[0] * len(ranks) for _ in range(image.channels)]
    rests = [list(ranks) for _ in range(image.channels)]
    for shift in range(bits - DIGIT_BITS, -1, -DIGIT_BITS):

        def histograms(part: Array, shift: int = shift) -> list[dict[int, NDArray[np.int64]]]:
            return [
                _digits(_keys(plane), shift, set(wanted))
                for plane, wanted in zip(part, prefixes, strict=True)
            ]

        totals: list[dict[int, NDArray[np.int64]]] = [{} for _ in range(image.channels)]
        for counted in image.each(histograms):
            for total, of_channel in zip(totals, counted, strict=True):
                for prefix, counts in of_channel.items():
                    total[prefix] = total[prefix] + counts if prefix in total else counts
        for c, k in np.ndindex(image.channels, len(ranks)):
            up_to = totals[c][prefixes[c][k]].cumsum()
            digit = int(np.searchsorted(up_to, rests[c][k], side="right"))
            rests[c][k] -= int(up_to[digit - 1]) if digit else 0
            prefixes[c][k] = (prefixes[c][k] << DIGIT_BITS) | digit
    return [[_from_key(key, image.dtype) for key in of_channel] for of_channel in prefixes]


def _digits(keys: Array, shift: int, prefixes: Iterable[int]) -> dict[int, NDArray[np.int64]]:
    """How often each 16-bit digit at `shift` follows after each of the prefixes."""

    def counted(chosen: Array) -> NDArray[np.int64]:
        digits = (chosen >> shift).astype(np.uint16) if shift else chosen.astype(np.uint16)
        return np.bincount(digits.ravel(), minlength=2**DIGIT_BITS)

    if 8 * keys.dtype.itemsize <= shift + DIGIT_BITS:  # the first digit, before which there is nothing
        return {prefix: counted(keys) for prefix in prefixes}
    before = keys >> (shift + DIGIT_BITS)
    return {prefix: counted(keys[before == prefix]) for prefix in prefixes}


def _keys(values: Array) -> Array:
    """Unsigned integers in the order of `values`."""
    if values.dtype == bool:
        return values.astype(np.uint8)
    if values.dtype.kind == "u":
        return values.astype(values.dtype.newbyteorder("="), copy=False)
    unsigned = np.dtype(f"u{values.dtype.itemsize}")
    sign = unsigned.type(1 << (8 * unsigned.itemsize - 1))
    keys: Array = np.ascontiguousarray(values, values.dtype.newbyteorder("=")).view(unsigned)
    if values.dtype.kind == "i":
        return np.asarray(keys ^ sign)
    return np.where(keys & sign, ~keys, keys | sign)  # of negative floats the larger pattern is the smaller


def _from_key(key: int, dtype: np.dtype[Any]) -> float:
    if dtype.kind in "bu":
        return float(key)
    unsigned = np.dtype(f"u{dtype.itemsize}")
    sign = 1 << (8 * unsigned.itemsize - 1)
    if dtype.kind == "i":
        return float(key - sign)
    pattern = key ^ sign if key & sign else ~key & (2 * sign - 1)
    return float(np.array(pattern, unsigned).view(dtype.newbyteorder("=")))


def mean_and_deviation(image: ImageParts) -> list[tuple[float, float]]:
    """Mean and deviation, 0 for a constant channel, whose mean, rounded, may be off by a deviation."""
    pairs = []
    for parts in zip(*image.each(lambda part: [_moments(plane) for plane in part]), strict=True):
        count, mean, squares = 0, 0.0, 0.0
        for size, part_mean, part_squares, _, _ in parts:  # in the order of the parts
            step = part_mean - mean
            squares += part_squares + step * step * count * size / (count + size)
            mean += step * size / (count + size)
            count += size
        constant = min(part[3] for part in parts) == max(part[4] for part in parts)
        pairs.append((mean, 0.0 if constant else math.sqrt(squares / image.pixels)))
    return pairs


def _moments(plane: Array) -> tuple[int, float, float, float, float]:
    """Number of pixels, mean, sum of squares about it, smallest and largest value."""
    values = plane.astype(np.float64)
    mean = float(values.mean())
    return values.size, mean, float(((values - mean) ** 2).sum()), float(values.min()), float(values.max())
