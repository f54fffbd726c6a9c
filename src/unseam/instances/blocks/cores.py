"""Pass 1: the components of a block before they grow, and their numbers in the whole image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.grid import BlockGrid, Region
from unseam.instances.blocks.places import (
    first_pixels,
    inside,
    meet,
    numbered_by_first,
    outer_layers,
    place_in_image,
)
from unseam.instances.blocks.records import BlockTable, CoreSummary
from unseam.instances.components import label_block, label_classes, merge
from unseam.instances.labels import Labels, Mask
from unseam.instances.numbering import runs

GROWABLE = -1
"""Background that objects may grow into, between passes 1 and 2; other background is 0."""


def find_cores(
    core_mask: Mask, growable: Mask | None, region: Region, shape: Sequence[int]
) -> tuple[Labels, CoreSummary]:
    """Return the face-connected components of a block, and what the join needs to know of them.

    Parameters
    ----------
    core_mask : ndarray of bool, (*block)
        Pixels above the threshold.
    growable : ndarray of bool, (*block), or None
        Where objects may grow; None for everywhere.
    region : start and stop of the block along each axis.
    shape : shape of the whole image.

    Returns
    -------
    block : ndarray of int32, (*block)
        Components 1 to n of this block; `GROWABLE` (-1) where they may grow, 0 elsewhere.
    summary : CoreSummary

    Raises
    ------
    LabelError
        If `core_mask` is not boolean.
    ShapeError
        If an array does not have the shape of the region.

    Examples
    --------
    >>> block, summary = find_cores(np.array([False, True, True]), None, ((4, 7),), (9,))
    >>> block, summary.first
    (array([-1,  1,  1], dtype=int32), array([5]))
    """
    inside(core_mask, region, shape, margin=0)
    block, count = label_block(core_mask)
    summary = _summary(block, np.ones(count, np.int32), region, shape)
    free = ~core_mask
    if growable is not None:
        inside(growable, region, shape, margin=0)
        free &= growable
    block[free] = GROWABLE
    return block, summary


def find_class_regions(
    classes: NDArray[np.integer[Any]], region: Region, shape: Sequence[int]
) -> tuple[Labels, CoreSummary]:
    """Return the face-connected regions of each class in a block, and what the join needs to know of them.

    `join_cores` and `apply_numbers` give them the numbers of `instances.label_class_regions`. Ignored pixels
    (-1) stay -1. Arguments, results and errors are those of `find_cores`, with classes in place of masks.
    """
    inside(classes, region, shape, margin=0)
    block, class_of = label_classes(classes)
    return block, _summary(block, class_of, region, shape)


def join_cores(grid: BlockGrid, record_of: Callable[[int], CoreSummary]) -> BlockTable:
    """Return the number of each component in the whole image, in raster order of first pixels.

    Parameters
    ----------
    grid : BlockGrid
    record_of : function from the number of a block to its record
        Called for each block in turn, and again for the blocks before it along each axis.

    Raises
    ------
    LabelError
        If the blocks hold more components than int32 can number.

    Notes
    -----
    Two pixels are connected when a path of face steps joins them; each step lies inside one block or
    crosses one face between two. Components of the blocks, joined over the faces, are the components of
    the whole. Regions of two classes that touch stay two.
    """
    found = meet(grid, record_of, lambda record: (record.first, record.classes))
    if not found.count:
        return BlockTable(found.offsets, np.empty(0, np.int32))
    first, classes = found.columns
    alike = classes[found.pairs[:, 0] - 1] == classes[found.pairs[:, 1] - 1]
    core = merge(found.count, found.pairs[alike])[1:] - 1
    first_of_core = first_pixels(core, first, core.max() + 1)
    numbers = numbered_by_first(first_of_core, np.ones(len(first_of_core), bool))
    return BlockTable(found.offsets, numbers[core])


def apply_numbers(block: Labels, table: Labels) -> Labels:
    """Return `block` with each number k above 0 replaced by ``table[k - 1]``; 0 and -1 stay.

    Examples
    --------
    >>> apply_numbers(np.array([2, 0, -1, 1], np.int32), np.array([7, 5], np.int32))
    array([ 5,  0, -1,  7], dtype=int32)
    """
    values, lengths = runs(block)
    objects = values > 0
    values[objects] = table[values[objects] - 1]
    return np.repeat(values, lengths).reshape(block.shape)


def _summary(block: Labels, classes: Labels, region: Region, shape: Sequence[int]) -> CoreSummary:
    values, lengths = runs(block)
    starts = np.cumsum(lengths) - lengths
    first = np.zeros(len(classes) + 1, np.intp)
    backwards = slice(None, None, -1)  # of several assignments to one place the last one stays: the first run
    first[np.maximum(values, 0)[backwards]] = starts[backwards]
    low, high = outer_layers(block, region, shape, 1)
    return CoreSummary(place_in_image(first[1:], region, shape), classes, low, high)
