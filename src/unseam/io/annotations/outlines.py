"""Label images to the exact outlines of their objects, along the cracks between pixels.

A corner of an outline lies where, of four pixels that meet, one is of the object, or three, or two that touch
only diagonally; where two side by side are, the outline goes straight on::

    . .     # #     . #     . .
     ┌      ─┘      ─┼─     ───
    . #     # .     # .     # #

Corners are found block by block and chained once. On a line of cracks the corners of one object, sorted,
belong together in pairs, as a stretch of its outline begins at one and ends at the next. Outer rings run
clockwise on the screen and holes the other way; if y points up, as in geometry files, outer rings are
counterclockwise.

Where two pixels of an object touch only diagonally, two rings could be taken for one that touches itself.
Parts that meet nowhere else are kept apart; where a part meets itself around a hole, the hole is parted from
what is outside. So no ring passes a place twice, and rings meet in points at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import LabelError, ShapeError
from unseam.grid import BlockGrid
from unseam.io.annotations.record import Shape
from unseam.io.source import Source, array_source

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BLOCK = 2048
"""Side of a block in pixels: some 100 MB while its corners are found."""

CORNERS = 2**20
"""So many are chained together, some 150 MB, unless a single object has more."""

Labels = NDArray[Any]
Index = NDArray[np.int64]


def outlines(labels: Labels) -> tuple[Shape, ...]:
    """Return the outline of each object, exact to the pixel.

    Parameters
    ----------
    labels : ndarray of int or bool, (Y, X)
        Objects are the values above 0; one may have several parts, and holes.

    Returns
    -------
    tuple of Shape
        In rising order of `id`. Corners are whole numbers, only where the outline turns; `rasterise` makes
        the very labels of them again. Outer rings come first in their part of the image, are simple and run
        so that their area is positive in (x, y); that of holes is negative.

    Raises
    ------
    ShapeError
        If the labels are not (Y, X).
    LabelError
        If they are not integers.

    Examples
    --------
    >>> outlines(np.array([[0, 5, 5]]))[0].rings
    (array([[0., 1.],
           [0., 3.],
           [1., 3.],
           [1., 1.]]),)
    """
    if labels.ndim != 2:
        raise ShapeError(
            f"labels of shape {labels.shape} have no outlines in a plane; give one slice, (Y, X)"
        )
    return outlines_of(array_source(labels[None], name="the label image"))


def outlines_of(
    source: Source,
    *,
    block: tuple[int, int] = (BLOCK, BLOCK),
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[Shape, ...]:
    """Return the outlines of labels that are read in blocks, the same ones whatever the blocks.

    Parameters
    ----------
    source : Source
        One channel of integers, 2-D.
    block : tuple of int
        What is read at a time.
    progress : callable
        Told the share of blocks done, 0 to 1.

    Raises
    ------
    ShapeError, LabelError
        As `outlines`; also for more than one channel.

    Notes
    -----
    Memory is that of a block and some 70 bytes for each corner of an outline; pixels do not count.
    """
    if len(source.shape) != 2 or source.channels != 1:
        raise ShapeError(
            f"{source.name} has {source.channels} channels of shape {source.shape}; outlines are drawn of "
            "one plane of labels: select one, for example by 'z=0, c=0'"
        )
    if source.dtype.kind not in "biu":
        raise LabelError(f"{source.name} holds {source.dtype} values, which are no labels; give integers")
    grid = BlockGrid(source.shape, block)
    parts = []
    for top, left, around in _padded(source, grid):
        parts.append(_corners(top, left, around))
        progress(len(parts) / len(grid))
    corners = _joined(parts)
    parts.clear()
    return tuple(shape for group in _groups(corners) for shape in _shapes(*_rings(group)))


@dataclass(frozen=True)
class _Corners:
    """Corners of outlines, one per turn, in any order.

    Attributes
    ----------
    label : of the object.
    y, x : where.
    quadrant : of the four pixels around, the one that differs from both its neighbours in being of the object
        or not: bit 0 for right, bit 1 for below.
    inside : whether that pixel is of the object; else the corner is that of a hole in it, or of a bay.
    """

    label: Index
    y: NDArray[np.int32]
    x: NDArray[np.int32]
    quadrant: NDArray[np.uint8]
    inside: NDArray[np.bool_]

    def take(self, order: Index) -> _Corners:
        """The corners in another order."""
        return _Corners(
            self.label[order], self.y[order], self.x[order], self.quadrant[order], self.inside[order]
        )


def _joined(parts: list[_Corners]) -> _Corners:
    return _Corners(
        np.concatenate([part.label for part in parts]),
        np.concatenate([part.y for part in parts]),
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.quadrant for part in parts]),
        np.concatenate([part.inside for part in parts]),
    )


def _padded(source: Source, grid: BlockGrid) -> Iterator[tuple[int, int, Labels]]:
    """Where each block begins, and its labels with a row above and a column on the left, zeros where it ends.

    Those are kept from the blocks before, so that no pixel is read twice.
    """
    above = below = np.zeros(grid.shape[1] + 1, dtype=source.dtype)  # from the column left of the image
    beside = above[:0]
    for number in range(len(grid)):
        (top, bottom), (left, right) = grid.region(number)
        if left == 0:
            above, below = below, np.zeros_like(below)
            beside = np.zeros(bottom - top, dtype=source.dtype)
        labels = source.read(((top, bottom), (left, right)))[0]
        end = (int(bottom == grid.shape[0]), int(right == grid.shape[1]))
        around = np.zeros((bottom - top + 1 + end[0], right - left + 1 + end[1]), dtype=source.dtype)
        around[0, : right - left + 1] = above[left : right + 1]
        around[1 : bottom - top + 1, 0] = beside
        around[1 : bottom - top + 1, 1 : right - left + 1] = labels
        below[left + 1 : right + 1], beside = labels[-1], labels[:, -1]
        yield top, left, around


def _corners(top: int, left: int, around: Labels) -> _Corners:
    """The corners at the upper left of the pixels of a block, and at the end of the image the others too."""
    if around.dtype == np.uint64 and int(around.max()) > np.iinfo(np.int64).max:
        raise LabelError(f"a label of {int(around.max())} is too large; number the objects from 1")
    same_x, same_y = around[:, 1:] == around[:, :-1], around[1:] == around[:-1]
    straight = (same_x[:-1] & same_x[1:]) | (same_y[:, :-1] & same_y[:, 1:])
    y, x = np.nonzero(~straight)
    four = np.stack([around[y + down, x + right] for down in (0, 1) for right in (0, 1)])  # (4, N)
    return _joined([_turns(four.astype(np.int64), y + top, x + left, q) for q in range(4)])


def _turns(four: Index, y: Index, x: Index, quadrant: int) -> _Corners:
    """The corners of which one pixel of the four is the odd one out, from (4, N) labels."""
    own, beside, below = four[quadrant], four[quadrant ^ 1], four[quadrant ^ 2]
    convex = (own > 0) & (own != beside) & (own != below)
    # three of four: its two neighbours and the one across are of one object, of which it is not
    bay = (beside > 0) & (beside == below) & (beside == four[quadrant ^ 3]) & (own != beside)
    at = np.concatenate([np.flatnonzero(convex), np.flatnonzero(bay)])
    inside = np.arange(len(at)) < np.count_nonzero(convex)
    label = np.where(inside, own[at], beside[at])
    return _Corners(
        label,
        y[at].astype(np.int32),
        x[at].astype(np.int32),
        np.full(len(at), quadrant, dtype=np.uint8),
        inside,
    )


def _groups(corners: _Corners) -> Iterator[_Corners]:
    """All corners of some objects at a time, in rising order of their labels."""
    order = np.argsort(corners.label, kind="stable")
    label = corners.label[order]
    start = 0
    while start < len(order):
        last = label[min(start + CORNERS, len(order)) - 1]
        stop = int(np.searchsorted(label, last, side="right"))
        yield corners.take(order[start:stop])
        start = stop


def _rings(corners: _Corners) -> tuple[_Corners, Index]:
    """The corners ring after ring, in order of travel, and where each ring begins."""
    goes_right, goes_down = corners.quadrant & 1, corners.quadrant >> 1  # which cracks meet there
    rows = (corners.y.astype(np.int64) << 32 | corners.x) << 1 | goes_right
    order = np.lexsort((rows, corners.label))
    corners, goes_down = corners.take(order), goes_down[order]
    columns = (corners.x.astype(np.int64) << 32 | corners.y) << 1 | goes_down
    down_columns = np.lexsort((columns, corners.label))
    count = len(order)
    along_x = np.arange(count) ^ 1
    along_y = np.empty(count, dtype=np.int64)
    along_y[down_columns] = down_columns[along_x]
    # the upper left and the lower right pixel are left along x, the others are reached so; bays the other way
    leaves_along_x = np.isin(corners.quadrant, (0, 3)) == corners.inside
    following = np.where(leaves_along_x, along_x, along_y)
    ring = _cycles(following)
    _part_from_outside(corners, following, ring)
    return _in_order(corners, following)


def _cycles(following: Index) -> NDArray[np.int32]:
    """The number of the ring of each corner."""
    from scipy.sparse.csgraph import connected_components  # slow to import, and needed for outlines alone

    return np.asarray(connected_components(_graph(following), directed=True, connection="weak")[1])


def _graph(following: Index) -> csr_array:
    from scipy.sparse import csr_array

    count = len(following)
    return csr_array((np.ones(count), following, np.arange(count + 1)), shape=(count, count))


def _part_from_outside(corners: _Corners, following: Index, ring: NDArray[np.int32]) -> None:
    """Where a ring passes a place twice, go on with the other pass, so that it becomes two rings.

    The passes belong to one ring if, and only if, the pixels that touch there are of one part of the object.
    """
    same = (
        (corners.label[1:] == corners.label[:-1])
        & (corners.y[1:] == corners.y[:-1])
        & (corners.x[1:] == corners.x[:-1])
        & (ring[1:] == ring[:-1])
    )
    first = np.flatnonzero(same)
    following[first], following[first + 1] = following[first + 1], following[first]


def _in_order(corners: _Corners, following: Index) -> tuple[_Corners, Index]:
    """All rings made into one path, ring after ring, which is then walked along."""
    from scipy.sparse.csgraph import breadth_first_order

    _, starts, sizes = np.unique(_cycles(following), return_index=True, return_counts=True)
    by_start = np.argsort(starts)
    starts, sizes = starts[by_start], sizes[by_start]
    before = np.empty_like(following)
    before[following] = np.arange(len(following))
    path = following.copy()
    path[before[starts]] = np.roll(starts, -1)
    order = breadth_first_order(_graph(path), starts[0], return_predecessors=False).astype(np.int64)
    return corners.take(order), np.cumsum(sizes) - sizes


def _shapes(corners: _Corners, starts: Index) -> Iterator[Shape]:
    """Rings of one label as one shape; they stand in order of their labels."""
    places = np.stack([corners.y, corners.x], axis=1).astype(np.float64)
    rings = np.split(places, starts[1:])
    ids, firsts = np.unique(corners.label[starts], return_index=True)
    ends = [*firsts[1:].tolist(), len(rings)]
    for label, first, end in zip(ids.tolist(), firsts.tolist(), ends, strict=True):
        yield Shape(label, tuple(rings[first:end]))
