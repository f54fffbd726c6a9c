"""The pixel size that a TIFF file states."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

import tifffile

from unseam.io.units import micrometres

_PRINT_DPI = (72, 96, 100, 150, 200, 240, 300, 360, 400, 600, 720, 1200, 1440, 2400, 2880, 4800)
_LARGEST_PIXEL_UM = 100.0


def stated_spacing(tif: Any, series: Any) -> dict[str, float]:
    """Return the pixel size in micrometres of each axis for which the file states one.

    Notes
    -----
    Pixel size counts where it was meant for a microscope: OME `PhysicalSize` with a unit of
    length; ImageJ resolution with a unit of length other than inch; otherwise only resolution
    tags per centimetre that give at most 100 um and are not a printing density (72, 96, 300 ...
    dots per inch, within 0.5 %).
    """
    if tif.is_ome:
        sizes = _ome_spacing(tif.ome_metadata)
    elif tif.is_imagej:
        sizes = _imagej_spacing(tif.imagej_metadata or {}, series.keyframe)
    else:
        sizes = _plain_spacing(series.keyframe)
    return {letter: size for letter, size in sizes.items() if math.isfinite(size) and size > 0}


def _ome_spacing(xml: str) -> dict[str, float]:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    if pixels is None:
        return {}
    return {
        letter: float(pixels.get(f"PhysicalSize{letter}", "0"))
        * micrometres(pixels.get(f"PhysicalSize{letter}Unit", "um"))
        for letter in "ZYX"
    }


def _imagej_spacing(metadata: dict[str, Any], page: Any) -> dict[str, float]:
    unit = micrometres(str(metadata.get("unit", "")))
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
