"""TIFF files read in parts: only the tiles, strips or bytes that a region needs.

The file is parsed once. Each read then opens it anew, so that any number of threads may read at once and
nothing stays open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from unseam.axes import parse_axes
from unseam.errors import InputError, ShapeError, UnseamError
from unseam.grid import Region, slices
from unseam.io.decoded import damaged, drop_alpha, unclear_axes
from unseam.io.stored import Missing, Stored
from unseam.io.tiff.pages import Pages, open_pages
from unseam.io.tiff.series import alpha_axis, check_complete, letters, logged, only_series
from unseam.io.tiff.spacing import stated_spacing


@dataclass(frozen=True)
class _Alpha:
    """A transparency that is the last sample of each pixel.

    Attributes
    ----------
    axis : of the samples in the file.
    value : that every pixel should have.
    samples : that are left without it; the axis of a single one is gone.
    """

    axis: int
    value: float
    samples: int

    def all_samples(self, region: Region) -> Region:
        """A region of the image without transparency, as a region of the file with all samples."""
        rest = region if self.samples == 1 else region[: self.axis] + region[self.axis + 1 :]
        return (*rest[: self.axis], (0, self.samples + 1), *rest[self.axis :])

    def without(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """The sizes of the image without transparency."""
        left = () if self.samples == 1 else (min(self.samples, sizes[self.axis]),)
        return (*sizes[: self.axis], *left, *sizes[self.axis + 1 :])


def open_tiff(path: Path, *, axes: str | None = None, level: int = 0) -> Stored:
    """Open a TIFF file without reading its pixels.

    Parameters
    ----------
    path : Path
        A TIFF file of any flavour.
    axes : str, optional
        What each axis is; overrides what the file says.
    level : int
        Of a pyramid, 0 being the finest.

    Raises
    ------
    FileReadError
        If the file is damaged, cut short, or no TIFF; reading raises it too.
    InputError
        If it holds several images of different kinds, does not say what its axes are, or lacks the level;
        reading raises it for a transparency that differs from that of the first pixel.
    ShapeError
        If `axes` does not fit.

    Notes
    -----
    Compressed strips and tiles are read one by one; pixels that lie in the file as they are, are mapped.
    The few kinds that tifffile changes after decoding are read whole.
    """
    with logged() as messages:
        try:
            with tifffile.TiffFile(path) as tif:
                series = only_series(tif, path)
                spacing = stated_spacing(tif, series)
                names = letters(series)
                at_level = _level(series, level, path)
                check_complete(at_level, messages)
                pages = open_pages(at_level)
                read = partial(_read_pages, path, pages) if pages else _whole(at_level.asarray())
                check_complete(at_level, messages)
                alpha = alpha_axis(at_level)
                shape, chunk = at_level.shape, pages.chunk if pages else at_level.shape
                steps = {a: _step(n, k) for a, n, k in zip(series.axes, series.shape, shape, strict=True)}
                dtype = np.dtype(at_level.dtype)
        except UnseamError:
            raise
        except Exception as error:  # damaged files make decoders raise nearly anything
            raise damaged(path, error) from error
    missing = partial(_count_missing, pages) if pages else None
    if alpha is not None:
        opaque = _Alpha(alpha, read(_corner(shape, alpha)).item(), shape[alpha] - 1)
        missing = partial(_count_opaque, missing, opaque) if missing else None
        read = partial(_read_opaque, path, read, opaque)
        shape, chunk = opaque.without(shape), opaque.without(chunk)
    names = _named(names, shape, axes, path)
    spacing = {letter: size * steps.get(letter, 1.0) for letter, size in spacing.items()}
    return Stored(path, read, shape, names, dtype, chunk, spacing=spacing, missing=missing)


def _level(series: Any, level: int, path: Path) -> Any:
    if level >= len(series.levels):
        raise InputError(f"{path} has no level {level}; its levels are 0 to {len(series.levels) - 1}")
    return series.levels[level]


def _step(fine: int, coarse: int) -> float:
    """Pixels of the finest level per pixel: a whole number where the sizes agree with one."""
    step = max(1, round(fine / coarse))
    return float(step) if coarse in (fine // step, -(-fine // step)) else fine / coarse


def _named(names: str, shape: tuple[int, ...], axes: str | None, path: Path) -> str:
    if axes is not None:
        names = parse_axes(axes)
        if len(names) != len(shape):
            raise ShapeError(f"{path}: axes {names} name {len(names)} axes, but the array has {len(shape)}")
    if "?" in names or not 2 <= len(names) <= 5:
        raise unclear_axes(shape, path)
    return parse_axes(names)


_Read = Callable[[Region], NDArray[Any]]


def _whole(pixels: NDArray[Any]) -> _Read:
    return lambda region: pixels[slices(region)]


def _read_pages(path: Path, pages: Pages, region: Region) -> NDArray[Any]:
    with logged() as messages:
        try:
            pixels = pages.read(region)
            pages.check(messages)
        except Exception as error:  # as above
            raise damaged(path, error) from error
    return pixels


def _count_missing(pages: Pages, region: Region) -> Missing:
    return Missing(*pages.count_missing(region))


def _corner(shape: Sequence[int], axis: int) -> Region:
    """The transparency of the first pixel, as a region."""
    return tuple((n - 1, n) if at == axis else (0, 1) for at, n in enumerate(shape))


def _read_opaque(path: Path, read: _Read, alpha: _Alpha, region: Region) -> NDArray[Any]:
    pixels = drop_alpha(read(alpha.all_samples(region)), alpha.axis, path, expected=alpha.value)
    if alpha.samples == 1:
        return pixels
    return pixels.take(np.arange(*region[alpha.axis]), axis=alpha.axis)


def _count_opaque(count: Callable[[Region], Missing], alpha: _Alpha, region: Region) -> Missing:
    return count(alpha.all_samples(region))
