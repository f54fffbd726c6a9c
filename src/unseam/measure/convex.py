"""Convex areas of many objects at once, in integers, from the first and last pixel of each of their rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseam.measure.sums import Ints


def convex_areas(owner: Ints, y: Ints, first: Ints, last: Ints, count: int) -> Ints:
    """Return the number of pixel centres in the convex hull of each object's edge midpoints.

    Parameters
    ----------
    owner, y, first, last : ndarray of int64, (r,)
        For each row of each object the object, 0 to `count` - 1, y, and x of the row's first and last pixel;
        sorted by object and y.
    count : int
        Number of objects.

    Notes
    -----
    Coordinates are doubled, so that edge midpoints are whole. The hull is cut into its left and its right
    chain, and each row between them holds the centres from the left chain, rounded up, to the right one,
    rounded down.

    Examples
    --------
    >>> convex_areas(*np.array([[0, 0, 0], [0, 1, 2], [0, 0, 0], [0, 0, 2]]), 1)  # an L of 5 pixels
    array([6])
    """
    if not count:
        return np.zeros(0, np.int64)
    left = _chain(owner, 2 * y, 2 * first)
    right = _chain(owner, 2 * y, -2 * last)  # mirrored: a left chain again
    begin = np.flatnonzero(np.r_[True, left.owner[1:] != left.owner[:-1]])
    areas: Ints = np.add.reduceat(-right.x - left.x + 1, begin)
    return areas


@dataclass(frozen=True)
class _Rows:
    """For every row of every hull: the object, and the first pixel inside."""

    owner: Ints
    x: Ints


def _chain(owner: Ints, y: Ints, x: Ints) -> _Rows:
    """Return the first pixel of each row that is inside the left side of the hulls.

    `owner`, `y`, `x` are the first pixels of the rows in doubled coordinates, sorted by object and row.
    """
    # The midpoints of the upper, left and lower edge of each pixel; the lower one may share its level with
    # the upper one of the next row, and then the leftmost of the two counts.
    level, across = y[:, None] + np.array([-1, 0, 1]), x[:, None] + np.array([0, -1, 0])
    shared = np.flatnonzero((owner[1:] == owner[:-1]) & (y[1:] - y[:-1] == 2))
    across[shared + 1, 0] = np.minimum(across[shared + 1, 0], across[shared, 2])
    keep = np.ones(level.shape, bool)
    keep[shared, 2] = False
    y, x, owner = level[keep], across[keep], np.repeat(owner, 3)[keep.ravel()]
    keep = np.zeros(1, bool)
    while not keep.all():
        # A point on or right of the line between its two neighbours is no corner of the hull. All such
        # points may go at once: what remains still spans the same hull.
        turn = (x[1:-1] - x[:-2]) * (y[2:] - y[:-2]) - (x[2:] - x[:-2]) * (y[1:-1] - y[:-2])
        keep = np.r_[True, (turn < 0) | (owner[:-2] != owner[2:]), True]
        owner, y, x = owner[keep], y[keep], x[keep]
    corner = np.flatnonzero(owner[1:] == owner[:-1])  # one segment from each corner to the next
    return _rows_of_segments(owner, y, x, corner)


def _rows_of_segments(owner: Ints, y: Ints, x: Ints, start: NDArray[np.intp]) -> _Rows:
    """Return, for each row from corner to next corner, the first pixel on or right of the segment."""
    dy, dx = y[start + 1] - y[start], x[start + 1] - x[start]
    top = (y[start] + 1) // 2  # in pixels: the first row at or below the corner
    rows = (y[start + 1] + 1) // 2 - top
    segment = np.repeat(np.arange(len(start)), rows)
    row = np.arange(len(segment)) - np.repeat(np.cumsum(rows) - rows, rows) + top[segment]
    across = x[start][segment] * dy[segment] + (2 * row - y[start][segment]) * dx[segment]
    return _Rows(owner[start][segment], -(-across // (2 * dy[segment])))
