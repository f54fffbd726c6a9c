"""Image and label files of every supported format, read into one form: an `Image`.

The formats themselves are next door: `tiff`, and `raster` for PNG, JPEG and NPY.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.axes import canonical_axes, parse_axes, spatial_axes, to_canonical
from unseam.errors import FileReadError, InputError, LabelError, ShapeError
from unseam.io.decoded import Decoded, check_finite, check_numeric, unclear_axes
from unseam.io.raster import read_npy, read_raster, write_png
from unseam.io.tiff import read_tiff, write_tiff

__all__ = [
    "SUFFIXES",
    "Image",
    "list_images",
    "read_image",
    "read_labels",
    "stem",
    "write_png",
    "write_tiff",
]

TIFF_SUFFIXES = (".tif", ".tiff", ".btf")
_JPEG = (".jpg", ".jpeg")
SUFFIXES = (*TIFF_SUFFIXES, ".png", *_JPEG, ".npy")
"""File name endings that can be read, whatever their case."""


@dataclass(frozen=True)
class Image:
    """An image in memory.

    Attributes
    ----------
    data : ndarray
        Pixels in canonical order T? C Z? Y X, type as in the file.
    axes : str
        The letters of `data`: "CYX", "CZYX", "TCYX" or "TCZYX".
    spacing : tuple of float or None
        Pixel size in micrometres along Y, X or Z, Y, X; None unless known for each of them.
    path : Path or None
        Where it was read from.
    """

    data: NDArray[Any]
    axes: str
    spacing: tuple[float, ...] | None = None
    path: Path | None = None

    @property
    def spatial_dims(self) -> int:
        """Number of spatial axes, 2 or 3."""
        return len(spatial_axes(self.axes))

    def frames(self) -> list[Image]:
        """Return one image for each time point; the image itself where it has no time axis."""
        if "T" not in self.axes:
            return [self]
        return [Image(frame, self.axes.replace("T", ""), self.spacing, self.path) for frame in self.data]


def stem(path: str | Path) -> str:
    """Return the file name without folder and suffix; ".ome.tif" is one suffix.

    Example
    -------
    >>> stem("scans/cell_1.ome.tif")
    'cell_1'
    """
    bare = Path(path).stem
    return bare[:-4] if bare.lower().endswith(".ome") and len(bare) > 4 else bare


def list_images(path: str | Path) -> list[Path]:
    """Return the image files at `path`: the file itself, or those directly in the folder.

    Names are sorted as a person would, "2" before "10"; hidden files and files of other kinds are
    left out.

    Raises
    ------
    FileReadError
        If `path` does not exist, or is a file of an unknown kind.
    InputError
        If the folder holds no image.
    """
    path = Path(path)
    if path.is_dir():
        files = [file for file in path.iterdir() if _is_image(file)]
        if not files:
            raise InputError(f"folder {path} holds no image; expected files ending in {', '.join(SUFFIXES)}")
        return in_order(files)
    check_file(path)
    return [path]


def in_order(files: Iterable[Path]) -> list[Path]:
    """Sort files by name as a person would, "2" before "10"."""
    return sorted(files, key=_natural)


def read_image(path: str | Path, *, axes: str | None = None) -> Image:
    """Read an image file.

    Parameters
    ----------
    path : str or Path
        A TIFF (plain, OME, ImageJ, BigTIFF), PNG, JPEG or NPY file.
    axes : str, optional
        What each axis of the stored array is, for example "ZYX"; overrides what the file says.

    Returns
    -------
    Image
        Pixels as stored, in canonical order.

    Raises
    ------
    FileReadError
        If the file is missing, empty, cut short, or of an unknown kind.
    InputError
        If the meaning of an axis is unclear, or pixels are NaN or infinite.
    ShapeError
        If `axes` does not fit the array.
    """
    path = Path(path)
    image = _named(_decode(path, palette_index=False), axes, path)
    check_finite(image.data, path)
    return image


def read_labels(path: str | Path, *, axes: str | None = None) -> Image:
    """Read a label file: one channel of whole numbers, zero or more.

    Parameters
    ----------
    path : str or Path
        A TIFF, PNG or NPY file. Of a palette PNG the index counts; RGB with three equal channels
        is grey.
    axes : str, optional
        What each axis of the stored array is, or of the image to which the labels belong: a C that
        the labels do not have is passed over.

    Raises
    ------
    FileReadError
        If the file is missing, empty, cut short, or of an unknown kind.
    LabelError
        If values are coloured, fractional or negative, or the file is a JPEG, which changes them.
    InputError, ShapeError
        As `read_image`.
    """
    path = Path(path)
    if path.suffix.lower() in _JPEG:
        raise LabelError(f"{path} is a JPEG, which changes label values; save labels as PNG or TIFF")
    decoded = _decode(path, palette_index=True)
    if axes is not None and decoded.data.ndim == len(axes) - 1:
        axes = axes.upper().replace("C", "")
    image = _named(decoded, axes, path)
    labels = _whole_numbers(_one_channel(image, path), path)
    return Image(labels, image.axes, image.spacing, path)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key that compares runs of digits as numbers."""
    parts = re.split(r"([0-9]+)", path.name)
    return [(0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts if part]


def check_file(path: Path, suffixes: Sequence[str] = SUFFIXES) -> None:
    """Raise `FileReadError` unless `path` is a file with one of the endings, and with something in it."""
    if path.is_dir():
        raise FileReadError(f"{path} is a folder; expected a file")
    if not path.exists():
        raise FileReadError(f"{path} does not exist; check the name")
    if path.suffix.lower() not in suffixes:
        raise FileReadError(f"{path} is of an unknown kind; expected a file ending in {', '.join(suffixes)}")
    if path.stat().st_size == 0:
        raise FileReadError(f"{path} is empty (0 bytes); copy or export it again")


def _decode(path: Path, *, palette_index: bool) -> Decoded:
    check_file(path)
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        decoded = read_tiff(path)
    elif suffix == ".npy":
        decoded = read_npy(path)
    else:
        decoded = read_raster(path, palette_index=palette_index)
    check_numeric(decoded.data.dtype, path)
    if decoded.data.size == 0:
        raise ShapeError(f"{path} holds no pixel, its shape is {decoded.data.shape}")
    return decoded


def _named(decoded: Decoded, axes: str | None, path: Path) -> Image:
    """Bring the array into canonical order by the axes given, else by those that the file states."""
    names = decoded.axes if axes is None else parse_axes(axes)
    if "?" in names:
        raise unclear_axes(decoded.data.shape, path)
    try:
        data = to_canonical(decoded.data, names)
    except ShapeError as error:
        raise ShapeError(f"{path}: {error}") from None
    if data.dtype == bool:
        data = data.astype(np.uint8)
    data = np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("="))
    spatial = spatial_axes(names)
    known = all(letter in decoded.spacing for letter in spatial)
    spacing = tuple(decoded.spacing[letter] for letter in spatial) if known else None
    return Image(data, canonical_axes(names), spacing, path)


def _one_channel(image: Image, path: Path) -> NDArray[Any]:
    axis = image.axes.index("C")
    channels = image.data.shape[axis]
    first = image.data.take([0], axis=axis)
    if channels == 1:
        return first
    if channels == 3 and (image.data == first).all():
        return first
    raise LabelError(
        f"{path} has {channels} channels that differ, labels need one; "
        "save them as one channel of whole numbers or as a palette PNG"
    )


def _whole_numbers(labels: NDArray[Any], path: Path) -> NDArray[Any]:
    if labels.dtype.kind == "f":
        check_finite(labels, path)
        if (labels != np.rint(labels)).any() or np.abs(labels).max() >= 2.0**53:
            raise LabelError(f"{path} has values that are not whole numbers; labels are 0, 1, 2, ...")
        labels = labels.astype(np.int64)
    if labels.dtype.kind == "i" and labels.min() < 0:
        raise LabelError(
            f"{path} has negative values, the lowest is {labels.min()}; labels start at 0;"
            " give unknown pixels a positive value and name it by --ignore"
        )
    return labels
