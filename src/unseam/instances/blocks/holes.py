"""Passes 3 and 4: which background regions one object alone encloses, and the filling of them.

Each block is looked at with a margin of one pixel, its view, so that the block that owns a pixel sees all
its neighbours. Two blocks in a row both see a slab of two layers, the last of one and the first of the
other, and regions that hold the same pixel of the slab are one. Around a corner::

    a a a │ b b b      view of A: a and #, and of B, C, D alike
    a a # │ # b b      slab of A and B: the columns left and right of the line, down to the lower #
    ──────┼──────
    c c # │ # d d      the four # are in all four views, and in the slabs A-B, A-C, B-D and C-D
    c c c │ d d d

A region that goes from A to D by the corner alone, from the upper left # to the lower right one, lies in
all four views as one region, and is joined to itself from A to B and from B to D: no slab of A and D is
needed.

In general, the blocks that see a pixel stand, along each axis, at one, two or three places in a row (three
where blocks are one pixel thick). Steps between neighbours lead from each of them to each other through
blocks that see the pixel too, and two neighbours that both see it have it in their slab: along their axis
both see the two layers of the slab and no more, however thick they are; along the others they see the same.
So all regions that hold the pixel are joined. And two background pixels that touch are in one region of the
view of the block that owns either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from unseam.errors import ShapeError
from unseam.grid import BlockGrid, Region
from unseam.instances.blocks.places import inside, meet, outer_layers
from unseam.instances.blocks.records import BlockTable, HoleSummary
from unseam.instances.components import merge
from unseam.instances.holes import background_regions, owners, surroundings
from unseam.instances.labels import NO_LABEL, Labels


def find_holes(labels: Labels, region: Region, shape: Sequence[int]) -> HoleSummary:
    """Return what surrounds the background regions of a block, and where they go on.

    Parameters
    ----------
    labels : ndarray of int32, (*block with a margin of 1, cut off where the image ends)
        Objects with their final numbers.
    region : start and stop of the block along each axis, without the margin.
    shape : shape of the whole image.

    Raises
    ------
    ShapeError
        If `labels` does not have the shape of the region with its margin.
    """
    inner = inside(labels, region, shape, margin=1)
    regions, count = background_regions(labels)
    border = np.zeros(count + 1, bool)
    for axis, ((start, stop), size) in enumerate(zip(region, shape, strict=True)):
        ends = [0] * (start == 0) + [-1] * (stop == size)
        border[regions.take(ends, axis)] = True
    lowest, highest = surroundings(labels, regions, border, inner=inner)
    low, high = outer_layers(regions, region, shape, 2)
    return HoleSummary(lowest[1:], highest[1:], border[1:], low, high)


def join_holes(grid: BlockGrid, record_of: Callable[[int], HoleSummary]) -> BlockTable:
    """Return, for each region of each block, the number of the object that encloses it alone, or 0.

    Raises
    ------
    LabelError
        If the blocks hold more regions than int32 can number.
    """
    found = meet(grid, record_of, lambda record: (record.lowest, record.highest, record.border))
    if not found.count:
        return BlockTable(found.offsets, np.empty(0, np.int32))
    lowest, highest, border = found.columns
    whole = merge(found.count, found.pairs)[1:] - 1
    count = whole.max() + 1
    low, high = np.full(count, NO_LABEL, np.int32), np.full(count, -NO_LABEL, np.int32)
    np.minimum.at(low, whole, lowest)
    np.maximum.at(high, whole, highest)
    open_ = np.zeros(count, bool)
    open_[whole[border]] = True
    return BlockTable(found.offsets, owners(low, high, open_)[whole])


def fill_block(labels: Labels, owner: Labels, region: Region, shape: Sequence[int]) -> Labels:
    """Return a block with its holes filled.

    Parameters
    ----------
    labels : ndarray of int32, (*block with a margin of 1, cut off where the image ends)
        Exactly what `find_holes` was given: regions are found again and must come in the same order.
    owner : ndarray of int32, (n,)
        The object that each region is given to, or 0: the part of this block in what `join_holes` returns.
    region : start and stop of the block along each axis, without the margin.
    shape : shape of the whole image.

    Raises
    ------
    ShapeError
        If an array does not have the shape that belongs to this block.
    """
    inner = inside(labels, region, shape, margin=1)
    if not owner.any():
        return labels[inner].copy()
    regions, count = background_regions(labels)
    if count != len(owner):
        raise ShapeError(
            f"the block has {count} background regions, and owners are given for {len(owner)}; give the "
            "labels that find_holes saw, not yet filled, and the owners of this block"
        )
    enclosed = np.concatenate([[False], owner > 0])[regions[inner]]
    filled = labels[inner].copy()
    filled[enclosed] = owner[regions[inner][enclosed] - 1]
    return filled
