"""Where the pixels of a TIFF image lie in its files, and how to fetch a region of them.

A series of shape (leading axes, page axes) is stored as one page after the other. A page has five axes,
(separate sample, depth, length, width, contiguous sample), most of them of length one, and is cut into
tiles or strips; each of these is compressed on its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from unseam.grid import Region, slices
from unseam.io.tiff.series import check_messages


@dataclass(frozen=True)
class _Page:
    """One page: its file, and where its segments lie there. One that is mapped is a single segment."""

    file: Path
    offsets: Sequence[int]
    counts: Sequence[int]
    options: dict[str, Any]


@dataclass(frozen=True)
class Pages:
    """A series of pages that can be read in parts.

    Attributes
    ----------
    shape : of the series.
    chunk : of a tile or strip, or of a row where pixels are mapped, along the axes of the series.
    dtype : of the pixels, in the byte order of the file.
    page_shape : the five axes of a page.
    tile : the five axes of a tile or strip; its sizes along samples are those that are stored together.
    place : of each axis of the series, which of the five axes of a page it is, or None for a leading one.
    pages : one for each combination of the leading axes, in raster order.
    decode : bytes of a segment and its number, to pixels, their place and their shape; None where the
        pixels lie in the file as they are and are mapped.
    fill : the value of segments that are not in the file.
    """

    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: np.dtype[Any]
    page_shape: tuple[int, ...]
    tile: tuple[int, ...]
    place: tuple[int | None, ...]
    pages: tuple[_Page, ...]
    decode: Callable[..., Any] | None
    fill: float

    def read(self, region: Region) -> NDArray[Any]:
        """The pixels of a region over all axes of the series."""
        lead = [(a, b) for (a, b), at in zip(region, self.place, strict=True) if at is None]
        inside = self._inside(region)
        planes = np.empty(
            (math.prod(b - a for a, b in lead), *(b - a for a, b in inside)), self.dtype
        )  # (pages, separate sample, depth, length, width, contiguous sample)
        with ExitStack() as files:
            handles: dict[Path, BinaryIO] = {}
            for plane, page in zip(planes, self._wanted(lead), strict=True):
                if self.decode is None:
                    plane[:] = self._mapped(page)[slices(inside)]
                    continue
                if page.file not in handles:
                    handles[page.file] = files.enter_context(page.file.open("rb"))
                self._fill(plane, page, inside, handles[page.file])
        return planes.reshape([b - a for a, b in region])

    def check(self, messages: Sequence[str]) -> None:
        """Raise ValueError if tifffile logged that it lost pixels."""
        check_messages(messages)

    def count_missing(self, region: Region) -> tuple[int, int]:
        """How many segments within a region are not in the file, and how many there should be."""
        if self.decode is None:
            return 0, len(self.pages)
        lead = [(a, b) for (a, b), at in zip(region, self.place, strict=True) if at is None]
        wanted = list(self._segments(self._inside(region)))
        absent = sum(
            1 for page in self._wanted(lead) for number in wanted if self._where(page, number)[1] == 0
        )
        return absent, len(wanted) * math.prod(b - a for a, b in lead)

    def _inside(self, region: Region) -> Region:
        """The part of each page that a region needs, over the five axes."""
        inside = [(0, n) for n in self.page_shape]
        for bounds, at in zip(region, self.place, strict=True):
            if at is not None:
                inside[at] = bounds
        return tuple(inside)

    def _wanted(self, lead: Sequence[tuple[int, int]]) -> Iterator[_Page]:
        sizes = [n for n, at in zip(self.shape, self.place, strict=True) if at is None]
        for index in product(*(range(a, b) for a, b in lead)):
            number = 0
            for at, size in zip(index, sizes, strict=True):
                number = number * size + at
            yield self.pages[number]

    def _mapped(self, page: _Page) -> NDArray[Any]:
        return np.memmap(page.file, self.dtype, "r", offset=page.offsets[0], shape=self.page_shape)

    def _segments(self, inside: Region) -> Iterator[int]:
        """The numbers of the tiles or strips that share a pixel with a part of a page."""
        counts = [math.ceil(n / t) for n, t in zip(self.page_shape, self.tile, strict=True)]
        ranges = [range(a // t, math.ceil(b / t)) for (a, b), t in zip(inside, self.tile, strict=True)]
        for place in product(*ranges):
            number = 0
            for at, count in zip(place, counts, strict=True):
                number = number * count + at
            yield number

    def _where(self, page: _Page, number: int) -> tuple[int, int]:
        """Offset and length of a segment, zero where the file does not have it."""
        if number >= len(page.offsets) or number >= len(page.counts) or not page.offsets[number]:
            return 0, 0
        return page.offsets[number], page.counts[number]

    def _fill(self, plane: NDArray[Any], page: _Page, inside: Region, handle: BinaryIO) -> None:
        assert self.decode is not None
        for number in self._segments(inside):
            offset, length = self._where(page, number)
            data = None
            if length:
                handle.seek(offset)
                data = handle.read(length)
                if len(data) < length:
                    raise ValueError(f"its pixels should end at byte {offset + length}")
            pixels, at, shape = self.decode(data, number, **page.options)  # (depth, length, width, sample)
            target, source = _overlap(inside, (at[0], at[1], at[2], at[3], at[4]), (1, *shape))
            plane[target] = self.fill if pixels is None else pixels[None][source]


def _overlap(
    inside: Region, at: Sequence[int], shape: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where a segment at `at` and a part of a page share pixels: as an index into either."""
    bounds = [(max(a, s), min(b, s + n)) for (a, b), s, n in zip(inside, at, shape, strict=True)]
    target = tuple(slice(lo - a, hi - a) for (lo, hi), (a, _) in zip(bounds, inside, strict=True))
    source = tuple(slice(lo - s, hi - s) for (lo, hi), s in zip(bounds, at, strict=True))
    return target, source


def open_pages(series: Any) -> Pages | None:
    """Return where the pixels of a series lie, or None where tifffile alone can put them together."""
    first, dtype = series.keyframe, np.dtype(series.dtype)
    if series.transform is not None or first.dtype is None or np.dtype(first.dtype) != dtype:
        return None
    size = math.prod(first.shaped)
    number = math.prod(series.shape) // size
    place = _places(series.shape, first.shaped, number)
    if place is None:
        return None
    mapped = _mapped_pages(series, number)
    if mapped is None and any(page is None for page in series.pages):
        return None
    pages = mapped or [_page(page, first) for page in series.pages]
    if len(pages) != number:
        return None
    tile = _tile(first)
    together = (1, 1, 1, *first.shaped[3:]) if mapped else tile  # a row, where nothing is decoded
    chunk = tuple(1 if at is None else min(together[at], first.shaped[at]) for at in place)
    stored = dtype.newbyteorder(series.parent.byteorder) if mapped else dtype
    decode = None if mapped else first.decode
    fill = first.nodata
    return Pages(series.shape, chunk, stored, first.shaped, tile, place, tuple(pages), decode, fill)


def _places(shape: Sequence[int], page: Sequence[int], number: int) -> tuple[int | None, ...] | None:
    """Which axis of a page each axis of a series is, None for leading ones; None if they do not fit."""
    place: list[int | None] = [None] * len(shape)
    left = [at for at, n in enumerate(page) if n > 1]
    lead = 1
    for axis in reversed(range(len(shape))):
        if left and lead == 1 and shape[axis] == page[left[-1]]:
            place[axis] = left.pop()
        elif shape[axis] > 1:
            lead *= shape[axis]
    return tuple(place) if not left and lead == number else None


def _mapped_pages(series: Any, number: int) -> list[_Page] | None:
    """The pages of a series that lies in its file as it is, else None."""
    first = series.keyframe
    step = first.nbytes
    if series.dataoffset is not None:
        file = _file(first)
        return [_Page(file, (series.dataoffset + k * step,), (step,), {}) for k in range(number)]
    if any(page is None or not page.is_final for page in series.pages):
        return None
    return [_Page(_file(page), page.dataoffsets[:1], (step,), {}) for page in series.pages]


def _page(page: Any, first: Any) -> _Page:
    options: dict[str, Any] = {}
    if page.jpegtables is not None:
        options["jpegtables"] = page.jpegtables
    if first.jpegheader is not None:
        options["jpegheader"] = first.jpegheader
    return _Page(_file(page), page.dataoffsets, page.databytecounts, options)


def _file(page: Any) -> Path:
    handle = page.parent.filehandle
    return Path(handle.dirname, handle.name)


def _tile(page: Any) -> tuple[int, ...]:
    """The five axes of a tile or strip."""
    samples = page.shaped[4]
    if page.is_tiled:
        return (1, page.tiledepth, page.tilelength, page.tilewidth, samples)
    return (1, 1, min(page.rowsperstrip, page.imagelength), page.imagewidth, samples)
