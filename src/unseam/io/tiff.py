"""TIFF files: plain, OME, ImageJ, BigTIFF; axes and pixel size as the file states them."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from unseam.axes import parse_axes, reorder, spatial_axes
from unseam.errors import InputError, ShapeError, UnseamError
from unseam.io.atomic import replacing
from unseam.io.decoded import Decoded, damaged, drop_alpha

_MICROMETRES = {
    "pm": 1e-6,
    "å": 1e-4,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
}
_PRINT_DPI = (72, 96, 100, 150, 200, 240, 300, 360, 400, 600, 720, 1200, 1440, 2400, 2880, 4800)
_LARGEST_PIXEL_UM = 100.0
_SIDE_SERIES = {"thumbnail", "label", "macro", "overview"}
# What tifffile only logs, although pixels are missing from what it then returns.
_LOST = ("page offset", "value offset", "zeroed", "corrupted", "incorrect strip", "failed to read", "missing")
_CLASSIC_LIMIT = 2**32 - 2**26  # bytes; leaves room for the headers of a classic TIFF
_IMAGEJ_ORDER = "TZCYX"


def read_tiff(path: Path) -> Decoded:
    """Read a TIFF file of any flavour.

    Raises
    ------
    FileReadError
        If the file is damaged, cut short, or no TIFF.
    InputError
        If it holds several images of different kinds, or a transparency that is not constant.

    Notes
    -----
    Pixel size counts where it was meant for a microscope: OME `PhysicalSize` with a unit of
    length; ImageJ resolution with a unit of length other than inch; otherwise only resolution
    tags per centimetre that give at most 100 um and are not a printing density (72, 96, 300 ...
    dots per inch, within 0.5 %). Values are given as stored, also where zero is meant to be white.
    """
    with _logged() as messages:
        try:
            with tifffile.TiffFile(path) as tif:
                series = _only_series(tif, path)
                _check_complete(series, messages)
                data = series.asarray()
                _check_complete(series, messages)
                return _without_alpha(data, series, path, _spacing(tif, series))
        except UnseamError:
            raise
        except Exception as error:  # damaged files make decoders raise nearly anything
            raise damaged(path, error) from error


class _Collector(logging.Handler):
    """Keeps the messages of one thread; having a handler, tifffile does not print to stderr."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.thread = threading.get_ident()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self.thread:
            self.messages.append(record.getMessage())


@contextmanager
def _logged() -> Iterator[list[str]]:
    collector = _Collector()
    logger = logging.getLogger("tifffile")
    logger.addHandler(collector)
    try:
        yield collector.messages
    finally:
        logger.removeHandler(collector)


def _only_series(tif: Any, path: Path) -> Any:
    series = [
        one for one in tif.series if one.name.lower() not in _SIDE_SERIES and not one.keyframe.is_reduced
    ]
    if not series:
        raise ValueError("there is no image in it")
    if len(series) > 1:
        shapes = ", ".join(str(one.shape) for one in series[:3])
        shapes = shapes if len(series) <= 3 else f"{shapes}, ..."
        raise InputError(
            f"{path} holds {len(series)} images of different shape or type ({shapes});"
            " save each as a file of its own"
        )
    return series[0]


def _check_complete(series: Any, messages: list[str]) -> None:
    """Raise ValueError where pixels of the series are not in the file."""
    for message in messages:
        if any(word in message.lower() for word in _LOST):
            raise ValueError(message)
    for page in series.pages:
        if page is None:
            raise ValueError("some of its planes are missing")
        end = max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=False)), default=0)
        size = page.parent.filehandle.size
        if end > size:
            raise ValueError(f"its pixels should end at byte {end}, the file at byte {size}")


def _without_alpha(data: NDArray[Any], series: Any, path: Path, spacing: dict[str, float]) -> Decoded:
    axes, page = series.axes, series.keyframe
    alpha = bool(page.extrasamples) and page.extrasamples[-1] in (1, 2)  # associated, unassociated
    if "S" in axes and alpha:
        data = drop_alpha(data, axes.index("S"), path)
        axes = axes if data.ndim == len(axes) else axes.replace("S", "")
    if "C" not in axes:
        axes = axes.replace("S", "C")
    known = "".join(letter if letter in "TCZYX" else "?" for letter in axes)
    return Decoded(data, known, spacing)


def _spacing(tif: Any, series: Any) -> dict[str, float]:
    if tif.is_ome:
        sizes = _ome_spacing(tif.ome_metadata)
    elif tif.is_imagej:
        sizes = _imagej_spacing(tif.imagej_metadata or {}, series.keyframe)
    else:
        sizes = _plain_spacing(series.keyframe)
    return {letter: size for letter, size in sizes.items() if math.isfinite(size) and size > 0}


def _micrometres(unit: str) -> float:
    """Return the length of `unit` in micrometres, 0 where it is no unit of length."""
    plain = unit.strip().replace("\\u00B5", "u").replace("\u00b5", "u").replace("\u03bc", "u")
    return _MICROMETRES.get(plain.lower(), 0.0)


def _ome_spacing(xml: str) -> dict[str, float]:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    if pixels is None:
        return {}
    return {
        letter: float(pixels.get(f"PhysicalSize{letter}", "0"))
        * _micrometres(pixels.get(f"PhysicalSize{letter}Unit", "um"))
        for letter in "ZYX"
    }


def _imagej_spacing(metadata: dict[str, Any], page: Any) -> dict[str, float]:
    unit = _micrometres(str(metadata.get("unit", "")))
    depth = metadata.get("spacing", 0)
    return {
        "Z": abs(depth) * unit if isinstance(depth, int | float) else 0.0,
        "Y": _pixel_length(page, "YResolution") * unit,
        "X": _pixel_length(page, "XResolution") * unit,
    }


def _plain_spacing(page: Any) -> dict[str, float]:
    unit = page.tags.get("ResolutionUnit")
    if unit is None or unit.value != tifffile.RESUNIT.CENTIMETER:
        return {}
    sizes = {letter: 1e4 * _pixel_length(page, f"{letter}Resolution") for letter in "YX"}
    for size in sizes.values():
        if not 0 < size <= _LARGEST_PIXEL_UM:
            return {}
        if any(abs(25400 / size - dpi) < 0.005 * dpi for dpi in _PRINT_DPI):
            return {}
    return sizes


def _pixel_length(page: Any, tag: str) -> float:
    """Return the length of a pixel in units of the tag, 0 where it is not stated."""
    if tag not in page.tags:
        return 0.0
    pixels, length = page.tags[tag].value
    return float(length / pixels) if pixels else 0.0


def write_tiff(
    path: str | Path,
    array: NDArray[Any],
    *,
    axes: str,
    spacing: tuple[float, ...] | None = None,
    overwrite: bool = False,
) -> None:
    """Write an array as compressed TIFF with its axes and pixel size, whole or not at all.

    Parameters
    ----------
    path : str or Path
        The file to write, ending in .tif or .tiff.
    array : ndarray
        Pixels, labels or probabilities. Booleans are written as 0 and 255, float16 as float32,
        integers of 32 and 64 bits in the smallest of uint16, uint32 and int32 that holds them.
    axes : str
        What each axis is, for example "YX" or "CZYX".
    spacing : tuple of float, optional
        Pixel size in micrometres along Y, X or Z, Y, X.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        If the name has another suffix, or the type cannot be kept in a TIFF file.
    ShapeError
        If `axes` or `spacing` does not fit the array.
    OutputExistsError, OutputError
        As `unseam.io.atomic.replacing`.

    Notes
    -----
    uint8, uint16 and float32 below 4 GB are written as ImageJ hyperstacks, which ImageJ, Fiji and
    tifffile open with axes and scale; other types, larger arrays and names in .ome.tif as OME-TIFF.
    Axes of length one do not survive, as neither format tells them from absent ones.
    """
    path = Path(path)
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise InputError(f"{path} does not end in .tif; give a name that does")
    data = _storable(np.asarray(array), path)
    data = reorder(data, axes)
    letters = "".join(letter for letter in "TCZYX" if letter in parse_axes(axes))
    if spacing is not None and len(spacing) != len(spatial_axes(axes)):
        raise ShapeError(
            f"spacing {spacing} has {len(spacing)} values, axes {letters} need {len(spatial_axes(axes))}"
        )
    sizes = dict(zip(spatial_axes(axes), spacing or (), strict=False))
    ome = ".ome" in path.suffixes or data.dtype.name not in ("uint8", "uint16", "float32")
    ome = ome or data.nbytes > _CLASSIC_LIMIT
    options = _ome_options(data, letters, sizes) if ome else _imagej_options(letters, sizes)
    if not ome:
        data = data.transpose([letters.index(letter) for letter in _IMAGEJ_ORDER if letter in letters])
    with replacing(path, overwrite=overwrite) as temporary:
        tifffile.imwrite(temporary, data, photometric="minisblack", compression="zlib", **options)


def _storable(array: NDArray[Any], path: Path) -> NDArray[Any]:
    if array.dtype == bool:
        return np.where(array, np.uint8(255), np.uint8(0))
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype.kind in "iu" and array.dtype.itemsize >= 4:
        low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
        for smaller in (np.uint16, np.uint32, np.int32):
            if np.iinfo(smaller).min <= low and high <= np.iinfo(smaller).max:
                return array.astype(smaller)
        raise InputError(f"values {low} to {high} do not fit into 32 bits, the most that {path} can hold")
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise InputError(f"type {array.dtype} cannot be kept in {path}; give integers or floats")
    return array


def _imagej_options(letters: str, sizes: dict[str, float]) -> dict[str, Any]:
    order = "".join(letter for letter in _IMAGEJ_ORDER if letter in letters)
    metadata: dict[str, Any] = {"axes": order}
    if not sizes:
        return {"imagej": True, "ome": False, "metadata": metadata}
    metadata["unit"] = "um"
    if "Z" in sizes:
        metadata["spacing"] = sizes["Z"]
    resolution = (1 / sizes["X"], 1 / sizes["Y"])
    return {"imagej": True, "ome": False, "metadata": metadata, "resolution": resolution}


def _ome_options(data: NDArray[Any], letters: str, sizes: dict[str, float]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"axes": letters}
    options: dict[str, Any] = {"ome": True, "bigtiff": data.nbytes > _CLASSIC_LIMIT, "metadata": metadata}
    for letter, size in sizes.items():
        metadata[f"PhysicalSize{letter}"] = size
        metadata[f"PhysicalSize{letter}Unit"] = "µm"
    if sizes:
        # Readers that know nothing of OME find the pixel size here.
        options["resolution"] = (1e4 / sizes["X"], 1e4 / sizes["Y"])
        options["resolutionunit"] = "CENTIMETER"
    return options
