"""Write OME-Zarr images block by block, from any number of processes.

Functions take the path of the image, never an open handle. A block is a whole shard (or chunk, where there
are no shards), which zarr writes under a temporary name and renames: it is there whole or not at all.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from unseam.axes import times
from unseam.errors import InputError, OutputError, OutputExistsError, ShapeError
from unseam.grid import Region, slices
from unseam.io.atomic import refuse_existing
from unseam.io.ome_zarr.layout import Layout
from unseam.io.ome_zarr.metadata import read_multiscale
from unseam.io.ome_zarr.read import ONE_AT_A_TIME, open_array

_ZSTD_LEVEL = 1


def create(path: str | Path, layout: Layout, *, overwrite: bool = False) -> None:
    """Create an OME-Zarr image, without pixels and with its finest level alone.

    Parameters
    ----------
    path : str or Path
        The folder to make; missing parents are made.
    layout : Layout
        What it looks like.
    overwrite : bool
        Whether a Zarr that is there already may be deleted.

    Raises
    ------
    OutputExistsError
        If there is something at `path` and `overwrite` is false, or it is no Zarr.
    OutputError
        If the folder cannot be written to.
    """
    path = Path(path)
    refuse_existing(path, overwrite=overwrite)
    with writing(path):
        _clear(path)
        zarr.create_group(path, zarr_format=_format(layout), attributes=layout.attributes())
        create_level(path, 0, layout)


def write(path: str | Path, region: Region, pixels: NDArray[Any], *, frame: int | None = None) -> None:
    """Write a block of the finest level.

    Parameters
    ----------
    path : str or Path
        An image made by `create`.
    region : Region
        Start and stop along each spatial axis; whole shards (chunks, where there are no shards), as two
        writers of one shard would undo each other's work.
    pixels : ndarray
        The type that was laid out; (C, *region) where the image has channels, else (*region).
    frame : int, optional
        The time point, where the image has time.

    Raises
    ------
    ShapeError
        If `pixels`, `region` or `frame` do not fit the image.
    InputError
        If `pixels` are of another type.
    OutputError
        If the disk is full or the folder cannot be written to.
    """
    path = Path(path)
    layout = read_layout(path)
    if (frame is None) == ("T" in layout.axes):
        raise ShapeError(f"time point {frame} was given for {path}, whose axes are {layout.axes}")
    place: Region = () if frame is None else ((frame, frame + 1),)
    if "C" in layout.axes:
        place += ((0, layout.shape[layout.axes.index("C")]),)
    write_level(path, 0, layout, (*place, *region), pixels if frame is None else pixels[None])


def read_layout(path: Path) -> Layout:
    """Return the layout of an image made by `create`.

    Raises
    ------
    FileReadError, InputError
        As `read_multiscale`.
    """
    name = "zarr.json" if (path / "zarr.json").exists() else ".zattrs"
    file = path / name
    return _read_layout(path.absolute(), _version_of(file))


def _version_of(file: Path) -> tuple[int, int]:
    """Differs once a file has been written anew, so that nothing is remembered of an older one."""
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns


@lru_cache(maxsize=64)
def _read_layout(path: Path, _version: tuple[int, int]) -> Layout:
    image = read_multiscale(path)
    array = open_array(path / image.levels[0].path, image.zarr_format)
    dims = 3 if "Z" in image.axes else 2
    scale, start = image.levels[0].scale[-dims:], image.levels[0].translation[-dims:]
    return Layout(
        image.axes,
        array.shape,
        np.dtype(array.dtype),
        chunk=array.chunks[-dims:],
        shard=array.shards[-dims:] if array.shards else None,
        spacing=scale if image.units[-1] else None,
        origin=start,
        version=image.version,
        labels=image.labels,
    )


def create_level(path: Path, level: int, layout: Layout) -> None:
    """Create the array of one level, empty; one that is there already as it should be is left alone."""
    folder = path / str(level)
    if _is_there(folder, layout):
        return
    older = layout.version == "0.4"
    compressor: Any = {"id": "zstd", "level": _ZSTD_LEVEL} if older else ZstdCodec(level=_ZSTD_LEVEL)
    zarr.create_array(
        folder,
        shape=layout.shape,
        dtype=layout.dtype,
        chunks=layout.chunks,
        shards=layout.shards,
        fill_value=0,
        compressors=compressor,
        zarr_format=_format(layout),
        dimension_names=None if older else list(layout.axes.lower()),
        chunk_key_encoding={"name": "v2" if older else "default", "separator": "/"},
        overwrite=True,
    )


def _is_there(folder: Path, layout: Layout) -> bool:
    if not folder.exists():
        return False
    array = open_array(folder, _format(layout))
    return (array.shape, array.chunks, array.shards, array.dtype) == (
        layout.shape,
        layout.chunks,
        layout.shards,
        layout.dtype,
    )


def write_level(path: Path, level: int, layout: Layout, region: Region, pixels: NDArray[Any]) -> None:
    """Write whole shards of one level; `region` and `pixels` are over all axes. Errors as `write`."""
    expected = tuple(stop - start for start, stop in region)
    if pixels.shape != expected or len(region) != len(layout.shape):
        raise ShapeError(
            f"a block {times(pixels.shape)} was given for a region {times(expected)} of {path}, "
            f"which is {times(layout.shape)}"
        )
    for (start, stop), size, step in zip(region, layout.shape, layout.block, strict=True):
        if start % step or not 0 <= start < stop <= size or (stop % step and stop != size):
            raise ShapeError(
                f"region {region} of {path} does not consist of whole blocks of {times(layout.block)}"
            )
    if pixels.dtype != layout.dtype:
        raise InputError(f"pixels of type {pixels.dtype} were given for {path}, which holds {layout.dtype}")
    file = path / str(level) / (".zarray" if layout.version == "0.4" else "zarr.json")
    with writing(path), ONE_AT_A_TIME:
        _open(file.parent.absolute(), _version_of(file))[slices(region)] = pixels


@lru_cache(maxsize=64)
def _open(path: Path, _version: tuple[int, int]) -> zarr.Array[Any]:
    # Blocks of zeros are written too, so that a chunk that is absent is one that was never made.
    return zarr.open_array(path, mode="r+").with_config({"write_empty_chunks": True})


def _format(layout: Layout) -> Literal[2, 3]:
    return 2 if layout.version == "0.4" else 3


def _clear(path: Path) -> None:
    """Delete a Zarr that is there; anything else is left alone."""
    if not path.exists():
        return
    kinds = ("zarr.json", ".zgroup", ".zattrs")
    if not path.is_dir() or (any(path.iterdir()) and not any((path / kind).is_file() for kind in kinds)):
        raise OutputExistsError(
            f"{path} is there and is no Zarr, so it is not replaced; choose another output"
        )
    shutil.rmtree(path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the disk complains about into an `OutputError`."""
    try:
        yield
    except (OutputError, OutputExistsError):
        raise
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; free some space or check it"
        ) from error
