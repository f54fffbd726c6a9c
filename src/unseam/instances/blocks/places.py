"""Where a block and its outer layers lie in the whole image, and which numbers of two blocks are one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from unseam.errors import LabelError, ShapeError
from unseam.grid import BlockGrid, Region, slices
from unseam.instances.blocks.records import CoreSummary, HoleSummary, PartSummary
from unseam.instances.components import face_pairs
from unseam.instances.labels import NO_LABEL, Labels

Faced = TypeVar("Faced", CoreSummary, PartSummary, HoleSummary)


def inside(array: NDArray[Any], region: Region, shape: Sequence[int], *, margin: int) -> tuple[slice, ...]:
    """Return the index of `region` in `array`, which holds it and `margin` pixels more, within the image.

    Raises
    ------
    ShapeError
        If `array` has another shape.
    """
    outer = [(max(0, a - margin), min(n, b + margin)) for (a, b), n in zip(region, shape, strict=True)]
    expected = tuple(b - a for a, b in outer)
    if array.shape != expected:
        raise ShapeError(
            f"the block has shape {array.shape}; expected {expected}: pixels {region} and {margin} more on "
            f"each side, as far as the image of {tuple(shape)} goes"
        )
    return slices(region, origin=[a for a, _ in outer])


def place_in_image(flat: NDArray[np.intp], region: Region, shape: Sequence[int]) -> NDArray[np.int64]:
    """Return where pixels of a block, given by their place in its raster order, lie in that of the image."""
    within = np.unravel_index(flat, [b - a for a, b in region])
    whole = [at + start for at, (start, _) in zip(within, region, strict=True)]
    return np.ravel_multi_index(whole, shape).astype(np.int64)


def outer_layers(
    numbers: Labels, region: Region, shape: Sequence[int], thickness: int
) -> tuple[tuple[Labels, ...], tuple[Labels, ...]]:
    """Return, per axis, the first and the last layers of a block where it has a neighbour, else nothing."""
    nothing = np.empty(0, np.int32)
    low = [
        numbers.take(range(thickness), axis) if start > 0 else nothing
        for axis, (start, _) in enumerate(region)
    ]
    high = [
        numbers.take(range(-thickness, 0), axis) if stop < n else nothing
        for axis, ((_, stop), n) in enumerate(zip(region, shape, strict=True))
    ]
    return tuple(low), tuple(high)


@dataclass(frozen=True, eq=False)
class Meeting(Generic[Faced]):
    """All components of all blocks in one row, and which of them meet.

    Attributes
    ----------
    offsets : (blocks + 1,) int64, where those of each block start.
    pairs : (m, 2) int64, components that meet, counted from 1.
    columns : arrays asked of the records, one entry per component.
    """

    offsets: NDArray[np.int64]
    pairs: NDArray[np.int64]
    columns: tuple[NDArray[Any], ...]

    @property
    def count(self) -> int:
        """Number of components."""
        return int(self.offsets[-1])


def meet(
    grid: BlockGrid,
    record_of: Callable[[int], Faced],
    columns: Callable[[Faced], tuple[NDArray[Any], ...]],
) -> Meeting[Faced]:
    """Return the components of all blocks, and the pairs that hold the same pixel or touch across a face.

    The layers of a block are looked at beside those of the blocks before it, then let go.

    Raises
    ------
    LabelError
        If there are more components than int32 can number.
    """
    offsets = np.zeros(len(grid) + 1, np.int64)
    pairs, kept = [np.empty((0, 2), np.int64)], []
    for block in range(len(grid)):
        record = record_of(block)
        kept.append(columns(record))
        offsets[block + 1] = offsets[block] + len(kept[-1][0])
        if offsets[block + 1] >= NO_LABEL:
            raise LabelError(
                f"blocks 0 to {block} hold {offsets[block + 1]} components; expected fewer than {NO_LABEL}; "
                "raise the threshold, or smooth the image"
            )
        for axis in range(len(grid.shape)):
            before = grid.before(block, axis)
            if before is not None:
                shared = face_pairs(record_of(before).high[axis], record.low[axis])
                pairs.append(shared + offsets[[before, block]])
    gathered = tuple(np.concatenate(parts) for parts in zip(*kept, strict=True))
    return Meeting(offsets, np.concatenate(pairs), gathered)


def first_pixels(owner: NDArray[np.integer[Any]], first: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return where each of `count` objects begins in the whole image: the least `first` of its parts."""
    least = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(least, owner, first)
    return least


def numbered_by_first(first: NDArray[np.int64], chosen: NDArray[np.bool_]) -> Labels:
    """Return 1 to n for the chosen objects in the order of their first pixels, 0 for the others."""
    numbers = np.zeros(len(first), np.int32)
    objects = np.flatnonzero(chosen)
    numbers[objects[np.argsort(first[objects])]] = np.arange(1, len(objects) + 1)
    return numbers
