"""Beside pass 1: the parts of a block that a higher threshold tells apart, and which cores they divide."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from unseam.grid import BlockGrid, Region
from unseam.instances.blocks.cores import apply_numbers
from unseam.instances.blocks.places import (
    first_pixels,
    inside,
    meet,
    numbered_by_first,
    outer_layers,
    place_in_image,
)
from unseam.instances.blocks.records import BlockTable, CoreSummary, PartSummary
from unseam.instances.components import label_block, merge
from unseam.instances.labels import Labels, Mask
from unseam.instances.parts import REST, large_parts


def find_parts(
    part_mask: Mask, cores: Labels, region: Region, shape: Sequence[int]
) -> tuple[Labels, PartSummary]:
    """Return the parts of the cores of a block, and what the join needs to know of them.

    Parameters
    ----------
    part_mask : ndarray of bool, (*block)
        Pixels above the higher threshold.
    cores : ndarray of int32, (*block)
        As `find_cores` gives them.
    region : start and stop of the block along each axis.
    shape : shape of the whole image.

    Returns
    -------
    block : ndarray of int32, (*block)
        Parts 1 to n of this block, 0 elsewhere.
    summary : PartSummary

    Raises
    ------
    LabelError
        If `part_mask` is not boolean.
    ShapeError
        If an array does not have the shape of the region.
    """
    inside(part_mask, region, shape, margin=0)
    inside(cores, region, shape, margin=0)
    block, count = label_block(part_mask & (cores > 0))
    numbers, first, sizes = np.unique(block, return_index=True, return_counts=True)
    found = numbers > 0
    core_of = np.zeros(count + 1, np.int32)
    core_of[block] = cores
    low, high = outer_layers(block, region, shape, 1)
    places = place_in_image(first[found], region, shape)
    return block, PartSummary(places, sizes[found].astype(np.int64), core_of[1:], low, high)


def join_parts(
    grid: BlockGrid,
    core_of: Callable[[int], CoreSummary],
    part_of: Callable[[int], PartSummary],
    part_size: int,
) -> tuple[BlockTable, BlockTable]:
    """Return the numbers of cores and of parts in the whole image, in raster order of their first pixels.

    Parameters
    ----------
    grid : BlockGrid
    core_of, part_of : functions from the number of a block to its records
    part_size : int
        Parts of fewer pixels do not count.

    Returns
    -------
    cores : BlockTable
        The number of each core; `REST` where it is divided.
    parts : BlockTable
        The number of each part that is an object of its own, else 0.

    Raises
    ------
    LabelError
        If the blocks hold more components than int32 can number.

    Notes
    -----
    A part lies in one core of its block, and so in one core of the image, however many blocks both reach.
    """
    cores = meet(grid, core_of, lambda record: (record.first,))
    parts = meet(grid, part_of, lambda record: (record.first, record.sizes, record.cores))
    core = merge(cores.count, cores.pairs)[1:] - 1
    part = merge(parts.count, parts.pairs)[1:] - 1
    n_cores, n_parts = core.max(initial=-1) + 1, part.max(initial=-1) + 1
    sizes, owner = np.zeros(n_parts, np.int64), np.zeros(n_parts, np.intp)
    np.add.at(sizes, part, parts.columns[1])
    start = np.repeat(cores.offsets[:-1], np.diff(parts.offsets))  # where the cores of the part's block start
    owner[part] = core[start + parts.columns[2] - 1]
    is_large, is_divided = large_parts(sizes, owner, n_cores, part_size)
    first = np.concatenate(
        [first_pixels(core, cores.columns[0], n_cores), first_pixels(part, parts.columns[0], n_parts)]
    )
    numbers = numbered_by_first(first, np.concatenate([~is_divided, is_large & is_divided[owner]]))
    of_cores = np.where(is_divided, REST, numbers[:n_cores]).astype(np.int32)
    return BlockTable(cores.offsets, of_cores[core]), BlockTable(parts.offsets, numbers[n_cores:][part])


def apply_parts(cores: Labels, parts: Labels, core_numbers: Labels, part_numbers: Labels) -> Labels:
    """Return a block of cores and its parts as one, with the numbers of the whole image.

    `cores` and `parts` are as `find_cores` and `find_parts` give them, the numbers those of `join_parts`.
    """
    block = apply_numbers(cores, core_numbers)
    numbered = apply_numbers(parts, part_numbers)
    return np.where(numbered > 0, numbered, block)
