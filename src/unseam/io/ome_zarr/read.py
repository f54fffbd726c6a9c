"""Read OME-Zarr images in parts."""

from __future__ import annotations

import math
import os
from functools import partial
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from unseam.axes import parse_axes
from unseam.errors import FileReadError, InputError, ShapeError
from unseam.grid import Region, slices
from unseam.io.decoded import check_numeric, damaged
from unseam.io.ome_zarr.metadata import Level, Multiscale, read_multiscale
from unseam.io.stored import Missing, Stored
from unseam.io.units import micrometres

ONE_AT_A_TIME = Lock()
"""zarr has one event loop; two threads that use it at once take some three times as long as in turn."""


def open_zarr(path: Path, *, axes: str | None = None, level: int = 0) -> Stored:
    """Open an OME-Zarr image without reading its pixels.

    Parameters
    ----------
    path : Path
        The folder of an OME-Zarr image; it may lie inside another.
    axes : str, optional
        What each axis is; overrides what the metadata say.
    level : int
        Of the pyramid, 0 being the finest.

    Raises
    ------
    FileReadError, InputError
        As `read_multiscale`; if an array is not there, or the level does not exist. Reading raises
        FileReadError for damaged chunks.
    ShapeError
        If `axes` or the metadata do not fit the array.

    Notes
    -----
    Pixel size counts where the unit is one of length; an axis without unit has none.
    """
    image = read_multiscale(path)
    if level >= len(image.levels):
        raise InputError(f"{path} has no level {level}; its levels are 0 to {len(image.levels) - 1}")
    here = image.levels[level]
    array = open_array(path / here.path, image.zarr_format)
    names = image.axes if axes is None else parse_axes(axes)
    if len(names) != array.ndim:
        raise ShapeError(
            f"{path}: axes {names} name {len(names)} axes, but its array {here.path} has {array.ndim};"
            " give one letter of T C Z Y X for each axis"
        )
    spacing, offset = _lengths(image, here, names)
    return Stored(
        path,
        partial(_read, path, array),
        array.shape,
        names,
        check_numeric(array.dtype, path),
        array.chunks,
        spacing=spacing,
        offset=offset,
        missing=partial(_missing, path / here.path, array),
    )


def open_array(path: Path, zarr_format: int) -> zarr.Array[Any]:
    """Open one array of a store for reading.

    Raises
    ------
    FileReadError
        If it is not there, or its metadata are damaged.
    """
    if not (path / ("zarr.json" if zarr_format == 3 else ".zarray")).is_file():
        raise FileReadError(
            f"array {path}, which the OME-Zarr metadata name, is not there; copy the folder again"
        )
    try:
        return zarr.open_array(path, mode="r", zarr_format=3 if zarr_format == 3 else 2)
    except Exception as error:  # damaged metadata make zarr raise nearly anything
        raise damaged(path, error) from error


def _lengths(image: Multiscale, level: Level, names: str) -> tuple[dict[str, float], dict[str, float]]:
    """Pixel size and place of pixel 0 in micrometres, of the axes with a unit of length.

    Where no axis has one there is no size, and the place is in pixels.
    """
    spacing, offset, pixels = {}, {}, {}
    for letter, unit, size, start in zip(names, image.units, level.scale, level.translation, strict=True):
        if not math.isfinite(size) or size <= 0 or not math.isfinite(start):
            continue
        pixels[letter] = start / size
        if length := micrometres(unit):
            spacing[letter], offset[letter] = size * length, start * length
    return (spacing, offset) if spacing else ({}, pixels)


def _read(path: Path, array: zarr.Array[Any], region: Region) -> NDArray[Any]:
    try:
        with ONE_AT_A_TIME:
            return np.asarray(array[slices(region)])
    except Exception as error:  # damaged chunks make the codecs raise nearly anything
        raise damaged(path, error) from error


def _missing(path: Path, array: zarr.Array[Any], region: Region) -> Missing:
    """Count absent chunks by their names alone; of a sharded array, absent shards."""
    steps = array.shards or array.chunks
    ranges = [range(a // step, math.ceil(b / step)) for (a, b), step in zip(region, steps, strict=True)]
    listed: str | None = None
    names: set[str] = set()
    count = 0
    for at in product(*ranges):
        folder, _, name = array.metadata.encode_chunk_key(at).rpartition("/")
        if folder != listed:  # chunks of one folder follow one another; of a large image all names are many
            listed, names = folder, _listing(path / folder)
        count += name not in names
    return Missing(count, math.prod(map(len, ranges)))


def _listing(folder: Path) -> set[str]:
    return set(os.listdir(folder)) if folder.is_dir() else set()
