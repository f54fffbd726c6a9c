"""Pass 2: cores grown to objects, and which objects are large enough to keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from unseam.errors import ConfigError
from unseam.grid import BlockGrid, Region
from unseam.instances.blocks.places import inside, numbered_by_first, place_in_image
from unseam.instances.blocks.records import ObjectSummary
from unseam.instances.labels import Labels
from unseam.instances.numbering import runs
from unseam.instances.parts import REST
from unseam.instances.shapes import check_steps, grow_into


def grow_block(
    cores: Labels, pixels: int, region: Region, shape: Sequence[int], *, reach: int = 0
) -> tuple[Labels, ObjectSummary]:
    """Return the objects of a block, grown as `instances.grow` grows those of the image, and their sizes.

    Parameters
    ----------
    cores : ndarray of int32, (*block with a margin of `pixels` + `reach`, cut off where the image ends)
        Cores with the numbers of the whole image; -1 where they may grow, -2 for the rest of divided ones,
        0 elsewhere.
    pixels : int
        Number of steps, 0 or more.
    region : start and stop of the block along each axis, without the margin.
    shape : shape of the whole image.
    reach : int
        Steps that parts grow over the rest of their cores, before all objects grow.

    Returns
    -------
    block : ndarray of int32, (*block)
        Objects with the numbers of their cores; all background is 0.
    summary : ObjectSummary

    Raises
    ------
    ConfigError
        If `pixels` is negative.
    ShapeError
        If `cores` does not have the shape of the region with its margin.

    Notes
    -----
    Where two objects meet, the smaller number wins: the numbers must be those of the whole image, as
    `join_cores` gives them.
    """
    check_steps(pixels)
    inner = inside(cores, region, shape, margin=pixels + reach)
    if reach:
        cores = grow_into(cores, cores == REST, reach)
    grown = np.maximum(grow_into(cores, cores < 0, pixels)[inner], 0)
    values, lengths = runs(grown)
    ids, first_run, run_id = np.unique(values, return_index=True, return_inverse=True)
    sizes = np.bincount(run_id, weights=lengths, minlength=len(ids)).astype(np.int64)  # exact below 2**53
    starts = np.cumsum(lengths) - lengths
    found = ids > 0
    first = place_in_image(starts[first_run[found]], region, shape)
    return grown, ObjectSummary(ids[found], sizes[found], first)


def join_objects(
    grid: BlockGrid, record_of: Callable[[int], ObjectSummary], count: int, min_size: int
) -> Labels:
    """Return the final number of each core, from 0 to `count`: 0 if its object is smaller than `min_size`.

    Parameters
    ----------
    grid : BlockGrid
    record_of : function from the number of a block to its record; called once for each.
    count : int
        Number of cores in the whole image, `BlockTable.largest`.
    min_size : int
        Objects of fewer pixels are removed; holes are not counted.

    Returns
    -------
    ndarray of int32, (count + 1,)
        Entry k is the number of core k; ``apply_numbers(block, final[1:])`` numbers a block.

    Raises
    ------
    ConfigError
        If `min_size` is negative.

    Notes
    -----
    Numbers follow the first pixels in raster order. They hold also after holes are filled, because that
    changes no first pixel: let h be the first pixel of a hole of object k, and p the pixel before it along
    the last axis. There is a p, for a hole touches no border. It is no pixel of this hole, being before its
    first, and no pixel of another background region, because it touches h. So it belongs to k, the only
    object that touches the hole: k has a pixel before the first of any of its holes.
    """
    if min_size < 0:
        raise ConfigError(f"min_size is {min_size}; expected 0 or more pixels")
    sizes = np.zeros(count + 1, np.int64)
    first = np.full(count + 1, np.iinfo(np.int64).max)
    for block in range(len(grid)):
        record = record_of(block)
        sizes[record.numbers] += record.sizes  # a number stands once in a record
        first[record.numbers] = np.minimum(first[record.numbers], record.first)
    return numbered_by_first(first, sizes >= max(min_size, 1))
