"""All passes over one array in memory: how the functions of this room fit together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.grid import BlockGrid, slices
from unseam.instances.blocks.cores import apply_numbers, find_cores, join_cores
from unseam.instances.blocks.holes import fill_block, find_holes, join_holes
from unseam.instances.blocks.objects import grow_block, join_objects
from unseam.instances.blocks.parts import apply_parts, find_parts, join_parts
from unseam.instances.blocks.records import CoreSummary, HoleSummary, ObjectSummary
from unseam.instances.labels import Labels, Mask
from unseam.instances.segment import check_foreground


def segment_in_blocks(
    foreground: NDArray[Any],
    block: tuple[int, ...],
    *,
    threshold: float,
    min_size: int,
    holes: bool = True,
    grow_pixels: int = 1,
    low_threshold: float = 0.0,
    split: float = 0.0,
    split_size: int = 1,
    split_grow: int = 16,
    order: Sequence[int] | None = None,
) -> Labels:
    """Return exactly `instances.segment` of `foreground`, looking at one block at a time.

    Parameters
    ----------
    foreground : ndarray of float, (*spatial)
    block : tuple of int
        Shape of a block; any.
    threshold, min_size, holes, grow_pixels, low_threshold, split, split_size, split_grow
        As for `instances.segment`.
    order : sequence of int, optional
        The order in which each pass goes over the blocks; the result does not depend on it.

    Raises
    ------
    ShapeError
        If `block` has another number of axes than `foreground`, or a size below 1.
    ConfigError, InputError
        As `instances.segment`.

    Examples
    --------
    >>> foreground = np.array([[0.9, 0.1, 0.2, 0.8]])
    >>> segment_in_blocks(foreground, (1, 2), threshold=0.5, min_size=1, grow_pixels=1)
    array([[1, 1, 2, 2]], dtype=int32)
    """
    check_foreground(foreground, threshold, low_threshold, split)
    shape = foreground.shape
    grid = BlockGrid(shape, block)
    blocks = list(range(len(grid)) if order is None else order)
    regions = [grid.region(b) for b in range(len(grid))]

    cores, core_records = np.zeros(shape, np.int32), dict[int, CoreSummary]()
    for b in blocks:
        pixels = foreground[slices(regions[b])]
        growable = np.asarray(pixels > low_threshold) if low_threshold > 0 else None
        found = find_cores(np.asarray(pixels > threshold), growable, regions[b], shape)
        cores[slices(regions[b])], core_records[b] = found
    reach = split_grow if split > threshold else 0
    if split > threshold:
        count = _number_parts(np.asarray(foreground > split), cores, grid, core_records, split_size)
    else:
        table = join_cores(grid, core_records.__getitem__)
        count = table.largest
        for b in blocks:
            cores[slices(regions[b])] = apply_numbers(cores[slices(regions[b])], table.part(b))

    labels, object_records = np.zeros(shape, np.int32), dict[int, ObjectSummary]()
    for b in blocks:
        view = slices(grid.region(b, margin=max(0, grow_pixels) + reach))
        grown = grow_block(cores[view], grow_pixels, regions[b], shape, reach=reach)
        labels[slices(regions[b])], object_records[b] = grown
    final = join_objects(grid, object_records.__getitem__, count, min_size)
    for b in blocks:
        labels[slices(regions[b])] = apply_numbers(labels[slices(regions[b])], final[1:])
    if not holes:
        return labels

    hole_records = dict[int, HoleSummary]()
    for b in blocks:
        hole_records[b] = find_holes(labels[slices(grid.region(b, margin=1))], regions[b], shape)
    owners = join_holes(grid, hole_records.__getitem__)
    filled = np.zeros(shape, np.int32)  # not in place: the margins of other blocks must stay as they were
    for b in blocks:
        view = slices(grid.region(b, margin=1))
        filled[slices(regions[b])] = fill_block(labels[view], owners.part(b), regions[b], shape)
    return filled


def _number_parts(
    mask: Mask, cores: Labels, grid: BlockGrid, core_records: dict[int, CoreSummary], part_size: int
) -> int:
    """Divide the cores, in place, into their parts, numbered as in the whole image; how many there are."""
    regions = [grid.region(b) for b in range(len(grid))]
    found = [find_parts(mask[slices(r)], cores[slices(r)], r, grid.shape) for r in regions]
    of_cores, of_parts = join_parts(grid, core_records.__getitem__, lambda b: found[b][1], part_size)
    for b, region in enumerate(regions):
        at = slices(region)
        cores[at] = apply_parts(cores[at], found[b][0], of_cores.part(b), of_parts.part(b))
    return max(of_cores.largest, of_parts.largest)
