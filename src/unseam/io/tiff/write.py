"""Write TIFF files that ImageJ and the readers of OME open with axes and scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from unseam.axes import parse_axes, reorder, spatial_axes
from unseam.errors import InputError, ShapeError
from unseam.io.atomic import replacing

_CLASSIC_LIMIT = 2**32 - 2**26  # bytes; leaves room for the headers of a classic TIFF
_IMAGEJ_ORDER = "TZCYX"


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
