"""PNG, JPEG and NPY files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from unseam.errors import InputError, UnseamError
from unseam.io.atomic import replacing
from unseam.io.decoded import Decoded, damaged, drop_alpha

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"  # byte 24 is the bit depth, byte 25 the colour type (0 grey, 3 palette)


def read_npy(path: Path) -> Decoded:
    """Read an NPY file; only a 2-D array has axes that are beyond doubt.

    Raises
    ------
    FileReadError
        If the file is damaged or holds Python objects (those are never unpickled).
    """
    try:
        data = np.load(path, allow_pickle=False)
        if not isinstance(data, np.ndarray):
            raise ValueError("it is an archive of several arrays")
    except Exception as error:  # a damaged header makes numpy raise nearly anything
        raise damaged(path, error) from error
    return Decoded(data, "YX" if data.ndim == 2 else "?" * data.ndim)


def read_raster(path: Path, *, palette_index: bool = False) -> Decoded:
    """Read a PNG or JPEG file as it is stored: 8 or 16 bits, grey or RGB.

    Parameters
    ----------
    path : Path
        The file.
    palette_index : bool
        Whether a palette PNG gives the index of each pixel (labels) or its colour (images).

    Raises
    ------
    FileReadError
        If the file is damaged or of another format.
    InputError
        If it has a transparency that is not constant, or CMYK colours.
    """
    try:
        with open(path, "rb") as file:
            header = file.read(26)
        if header.startswith(_PNG_SIGNATURE) and header[24] == 16 and header[25] != 0:
            # Pillow would cut 16-bit colours down to 8 bits without a word.
            return _named(imagecodecs.png_decode(path.read_bytes()), path)
        return _read_with_pillow(path, header, palette_index)
    except UnseamError:
        raise
    except Exception as error:  # damaged files make decoders raise nearly anything
        raise damaged(path, error) from error


def _read_with_pillow(path: Path, header: bytes, palette_index: bool) -> Decoded:
    is_png = header.startswith(_PNG_SIGNATURE)
    # Not by PillowImage.open, which refuses slides of 200 megapixels, ordinary in microscopy, as an attack.
    with PngImageFile(path) if is_png else JpegImageFile(path) as picture:
        picture.load()
        if picture.mode == "CMYK":
            raise InputError(f"{path} has CMYK (printing) colours; save it as RGB or grey")
        if picture.mode == "P" and not palette_index:
            mode = "RGBA" if "transparency" in picture.info else "RGB"
        else:
            mode = "L" if picture.mode == "1" else picture.mode
        pixels = np.asarray(picture.convert(mode))
    if is_png and header[24] in (2, 4) and header[25] == 0:
        # Pillow stretches 2- and 4-bit grey to 0..255; labels need the values as stored.
        pixels = pixels // (255 // (2 ** header[24] - 1))
    if pixels.dtype == np.int32:  # Pillow's older name for 16-bit grey
        pixels = pixels.astype(np.uint16)
    return _named(pixels, path)


def _named(pixels: NDArray[Any], path: Path) -> Decoded:
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels = drop_alpha(pixels, 2, path)
    return Decoded(pixels, "YX" if pixels.ndim == 2 else "YXC")


def write_png(path: str | Path, array: NDArray[Any], *, overwrite: bool = False) -> None:
    """Write a grey, label or RGB image as PNG, whole or not at all.

    Parameters
    ----------
    path : str or Path
        The file to write.
    array : ndarray, (Y, X) or (Y, X, 3)
        Booleans (written as 0 and 255), integers 0..65535, or RGB as uint8.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        If the array cannot be kept without loss in a PNG file.
    OutputExistsError, OutputError
        As `unseam.io.atomic.replacing`.
    """
    pixels = _png_pixels(array, path)
    with replacing(path, overwrite=overwrite) as temporary:
        PillowImage.fromarray(pixels).save(temporary, format="PNG")


def _png_pixels(array: NDArray[Any], path: str | Path) -> NDArray[Any]:
    what = f"an array of shape {array.shape} and type {array.dtype} does not fit into the PNG file {path}"
    rgb = array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8
    if array.ndim != 2 and not rgb:
        raise InputError(f"{what}; give (Y, X), or (Y, X, 3) of uint8, or write a TIFF file")
    if array.dtype == bool:
        return np.where(array, np.uint8(255), np.uint8(0))
    if array.dtype.kind not in "iu" or (array.size and not 0 <= array.min() <= array.max() <= 65535):
        raise InputError(f"{what}; give whole numbers from 0 to 65535, or write a TIFF file")
    return np.ascontiguousarray(array if array.dtype == np.uint8 else array.astype(np.uint16))
