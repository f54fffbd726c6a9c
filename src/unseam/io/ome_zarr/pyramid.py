"""The coarser levels of an OME-Zarr image, made shard by shard from the level before.

Every shard of a level depends on the level before alone, so they may be made in any order, by any number of
threads or processes, and again after a kill, always with the same result::

    0 ─ 1 ─ 2 ─ 3 ─ 4 ─ 5 ─ 6      level 0, seven pixels
    0       2       4       6      labels: every second pixel; pixel 0 keeps its place
      0,1     2,3     4,5     6    others: means; pixel 0 lies half a pixel further on
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from unseam.grid import BlockGrid, slices
from unseam.io.decoded import damaged
from unseam.io.ome_zarr.layout import Layout, dataset, levels, step_between
from unseam.io.ome_zarr.read import open_array
from unseam.io.ome_zarr.write import create_level, read_layout, write_level, writing


def build_pyramid(
    path: str | Path, *, threads: int = 1, on_step: Callable[[int, int], None] | None = None
) -> None:
    """Make all coarser levels of an image, and list them in its metadata.

    Parameters
    ----------
    path : str or Path
        An image made by `create`, its finest level complete.
    threads : int
        How many shards are made at once; each takes the memory of 2^axes shards.
    on_step : callable, optional
        Called with the number of shards made and the number of all of them.

    Raises
    ------
    FileReadError
        If a chunk of the finest level is damaged.
    OutputError
        If the disk is full or the folder cannot be written to.
    """
    grids = add_levels(path)
    total, done = sum(map(len, grids)), 0
    with ThreadPoolExecutor(threads) as pool:
        for level, grid in enumerate(grids, start=1):
            for _ in pool.map(lambda number, at=level: build_block(path, at, number), range(len(grid))):
                done += 1
                if on_step:
                    on_step(done, total)
    list_levels(path)


def add_levels(path: str | Path) -> tuple[BlockGrid, ...]:
    """Create the arrays of the coarser levels, and return the blocks of each, the finer level first.

    Levels that are there already are left as they are. The blocks are over all axes.
    """
    chain = levels(read_layout(Path(path)))
    with writing(Path(path)):
        for level, layout in enumerate(chain[1:], start=1):
            create_level(Path(path), level, layout)
    return tuple(BlockGrid(layout.shape, layout.block) for layout in chain[1:])


def build_block(path: str | Path, level: int, number: int) -> None:
    """Make one block of a level; all blocks of the level before that it covers must be there.

    Parameters
    ----------
    path : str or Path
        An image whose levels have been added.
    level : int
        1 or more.
    number : int
        Of the block, in the grid that `add_levels` returned for this level.
    """
    path = Path(path)
    chain = levels(read_layout(path))
    finer, coarser = chain[level - 1], chain[level]
    region = BlockGrid(coarser.shape, coarser.block).region(number)
    step = step_between(finer, coarser)
    wanted = tuple(
        (start * by, min(stop * by, size))
        for (start, stop), by, size in zip(region, step, finer.shape, strict=True)
    )
    array = open_array(path / str(level - 1), 2 if finer.version == "0.4" else 3)
    try:
        pixels = np.asarray(array[slices(wanted)])
    except Exception as error:  # damaged chunks make the codecs raise nearly anything
        raise damaged(path, error) from error
    write_level(path, level, coarser, region, coarsen(pixels, step, mean=not finer.labels))


def coarsen(pixels: NDArray[Any], step: tuple[int, ...], *, mean: bool) -> NDArray[Any]:
    """Take every second pixel along the axes whose step is 2, or the mean of two.

    Notes
    -----
    Where the number of pixels is odd, the last one stands alone. Means of integers are rounded, halves to
    even.

    Example
    -------
    >>> coarsen(np.array([1.0, 3.0, 4.0]), (2,), mean=True)
    array([2., 4.])
    """
    if not mean:
        return pixels[tuple(slice(None, None, by) for by in step)]
    result = pixels if pixels.dtype.kind == "f" else pixels.astype(np.float64)
    for axis, by in enumerate(step):
        if by == 2:
            first = result[(slice(None),) * axis + (slice(0, None, 2),)]
            second = result[(slice(None),) * axis + (slice(1, None, 2),)]
            if second.shape[axis] < first.shape[axis]:
                last = first[(slice(None),) * axis + (slice(-1, None),)]
                second = np.concatenate([second, last], axis=axis)
            result = (first + second) * result.dtype.type(0.5)
    return result if pixels.dtype.kind == "f" else np.rint(result).astype(pixels.dtype)


def list_levels(path: str | Path) -> None:
    """List all levels in the metadata of the image; to be called when their blocks are made."""
    path = Path(path)
    layout = read_layout(path)
    with writing(path):
        group = zarr.open_group(path, mode="r+")
        attributes: dict[str, Any] = group.attrs.asdict()
        _describe(attributes["ome"] if layout.version == "0.5" else attributes, layout)
        group.attrs.put(attributes)


def _describe(ome: dict[str, Any], layout: Layout) -> None:
    image = ome["multiscales"][0]
    chain = levels(layout)
    image["datasets"] = [dataset(level, one.transformations()) for level, one in enumerate(chain)]
    if len(chain) > 1:
        image["type"] = "nearest" if layout.labels else "mean"
