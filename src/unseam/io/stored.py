"""An array as a file keeps it, read in parts, and the images that are cut from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.axes import spatial_axes, to_canonical
from unseam.errors import InputError, ShapeError
from unseam.grid import Region
from unseam.io.decoded import check_finite, check_numeric
from unseam.io.select import Selection
from unseam.io.source import Source


@dataclass(frozen=True)
class Missing:
    """How much of an array its store does not have, so that it reads as the fill value.

    Attributes
    ----------
    count : chunks that are absent; of a sharded array, shards.
    total : chunks, or shards, that there should be.
    """

    count: int
    total: int


@dataclass(frozen=True)
class Stored:
    """An array in a file.

    Attributes
    ----------
    path : where it is.
    read : a region over all axes, in the order of the file, to its pixels; from several threads at once.
    shape : of all axes, in the order of the file.
    axes : what each of them is; letters of T C Z Y X.
    dtype : of the pixels as stored.
    chunk : what is kept together along each axis.
    spacing : pixel size in micrometres of each axis for which the file states one.
    offset : where the centre of pixel 0 lies, in micrometres, along axes of which that is known; in pixels
        where no axis has a spacing.
    squeeze : whether T and Z of length one are there only because the format wants them.
    missing : counts what is absent within a region.
    """

    path: Path
    read: Callable[[Region], NDArray[Any]]
    shape: tuple[int, ...]
    axes: str
    dtype: np.dtype[Any]
    chunk: tuple[int, ...]
    spacing: Mapping[str, float] = field(default_factory=dict)
    offset: Mapping[str, float] = field(default_factory=dict)
    squeeze: bool = True
    missing: Callable[[Region], Missing] | None = None

    def __post_init__(self) -> None:
        check_numeric(self.dtype, self.path)
        if 0 in self.shape:
            raise ShapeError(f"{self.path} holds no pixel, its shape is {self.shape}")


Ranges = dict[str, tuple[tuple[int, int], ...]]
"""Of each axis the ranges that are wanted; several only along C."""


@dataclass(frozen=True)
class Cut:
    """What a selection leaves of an array.

    Attributes
    ----------
    ranges : along each axis of the file.
    gone : letters of T and Z that the image does not have, as one index of them is wanted.
    """

    ranges: Ranges
    gone: str

    @property
    def bounds(self) -> Region:
        """The smallest region, over all axes in the order of the file, with everything in it."""
        return tuple(
            (min(start for start, _ in ranges), max(stop for _, stop in ranges))
            for ranges in self.ranges.values()
        )


def cut(stored: Stored, selection: Selection) -> Cut:
    """Return what `selection` leaves of an array.

    Raises
    ------
    InputError
        If an axis is selected that is not there, or beyond its end.
    """
    for pick in selection.picks:
        if pick.letter not in stored.axes:
            there = ", ".join(
                f"{letter} of length {size}" for letter, size in zip(stored.axes, stored.shape, strict=True)
            )
            raise InputError(
                f"{stored.path} has no axis {pick.letter}, it has {there}; leave {pick.letter.lower()}= out"
            )
    ranges: Ranges = {}
    gone = ""
    for letter, size in zip(stored.axes, stored.shape, strict=True):
        one = selection.pick(letter)
        ranges[letter] = one.within(size, str(stored.path)) if one else ((0, size),)
        if letter in "TZ" and (one.single if one else size == 1 and stored.squeeze):
            gone += letter
    return Cut(ranges, gone)


def sources(stored: Stored, selection: Selection) -> tuple[Source, ...]:
    """Return one source per time point of what `selection` leaves of an array.

    Raises
    ------
    InputError
        As `cut`; reading raises it for pixels that are NaN or infinite.
    """
    part = cut(stored, selection)
    series = "T" in stored.axes and "T" not in part.gone
    first, stop = part.ranges["T"][0] if "T" in stored.axes else (0, 1)
    return tuple(_source(stored, part, time, time - first if series else None) for time in range(first, stop))


def _source(stored: Stored, part: Cut, time: int, frame: int | None) -> Source:
    spatial = "".join(letter for letter in spatial_axes(stored.axes) if letter not in part.gone)
    starts = {letter: part.ranges[letter][0][0] for letter in spatial}
    shape = tuple(stop - start for letter in spatial for start, stop in part.ranges[letter])
    channels = sum(stop - start for start, stop in part.ranges.get("C", ((0, 1),)))
    known = all(letter in stored.spacing for letter in spatial)
    size = {letter: stored.spacing[letter] if known else 1.0 for letter in spatial}
    zero = stored.offset if known or not stored.spacing else {}
    chunks = dict(zip(stored.axes, stored.chunk, strict=True))
    return Source(
        partial(_read, stored, part, time, spatial),
        shape,
        channels,
        _plain(stored.dtype),
        spacing=tuple(size.values()) if known else None,
        chunk=tuple(chunks[letter] for letter in spatial),
        name=str(stored.path) if frame is None else f"{stored.path}, time point {frame}",
        frame=frame,
        origin=tuple(zero.get(letter, 0.0) + starts[letter] * size[letter] for letter in spatial),
    )


def _plain(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type in which pixels are handed over: numbers, in the byte order of this machine."""
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")


def _read(stored: Stored, part: Cut, time: int, spatial: str, region: Region) -> NDArray[Any]:
    wanted = {letter: ranges[0] for letter, ranges in part.ranges.items()}
    wanted["T"] = (time, time + 1)
    for letter, (start, stop) in zip(spatial, region, strict=True):
        first = part.ranges[letter][0][0]
        wanted[letter] = (first + start, first + stop)
    pieces = []
    for channels in part.ranges.get("C", ((0, 1),)):
        wanted["C"] = channels
        pieces.append(_canonical(stored.read(tuple(wanted[a] for a in stored.axes)), stored.axes, part.gone))
    pixels = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    check_finite(pixels, stored.path)
    return np.ascontiguousarray(pixels, dtype=_plain(stored.dtype))


def _canonical(pixels: NDArray[Any], axes: str, gone: str) -> NDArray[Any]:
    """(C, *spatial) of a block in the order of the file, with one time point in it."""
    at = tuple(0 if letter in gone + "T" else slice(None) for letter in axes)
    return to_canonical(pixels[at], "".join(letter for letter in axes if letter not in gone + "T"))
