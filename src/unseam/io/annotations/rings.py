"""Rings of a shape: their areas, which are holes of which, and whether any cross."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseam.io.annotations.record import Ring

PAIRS = 2**21
"""Pairs of edges, or of edges and places, looked at together; some 200 MB."""
TOLERANCE = 0.02
"""Pixels. QuPath writes two decimals, so that rings that touched may cross by as much."""
FRACTION = 0.381966
"""Where on its longest edge a ring is asked whether others go around it; no corner is likely to be there."""

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Polygon:
    """A part of a shape.

    Attributes
    ----------
    outer : its outer ring, of positive area.
    holes : rings of negative area.
    """

    outer: Ring
    holes: tuple[Ring, ...] = ()


def area(ring: Ring) -> float:
    """Signed area in square pixels, by the shoelace formula: positive if x turns towards y.

    >>> area(np.array([[0.0, 0.0], [0.0, 2.0], [1.0, 2.0], [1.0, 0.0]]))
    2.0
    """
    y, x = (ring - ring[0]).T
    return float(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2


def distinct(corners: Ring) -> Ring:
    """Corners of a ring, none of which is the same as the next: one that closes the ring is left out.

    >>> distinct(np.array([[0, 0], [0, 2], [0, 2], [3, 0], [0, 0]])).tolist()
    [[0, 0], [0, 2], [3, 0]]
    """
    return np.asarray(corners[(corners != np.roll(corners, -1, axis=0)).any(axis=1)])


def polygons(rings: Sequence[Ring]) -> tuple[Polygon, ...]:
    """Return the parts of a shape, in the order of their outer rings.

    Parameters
    ----------
    rings : sequence of ndarray, (N, 2)
        In any order and direction, not crossing. A ring inside an odd number of others is a hole, of the
        smallest of them.
    """
    areas = np.array([area(ring) for ring in rings])
    around = enclosing(rings, areas)
    holes: list[list[Ring]] = [[] for _ in rings]
    for ring, own, others in zip(rings, areas, around, strict=True):
        if len(others) % 2:
            parent = others[int(np.argmin(np.abs(areas[others])))]
            holes[parent].append(ring[::-1] if own > 0 else ring)
    return tuple(
        Polygon(ring[::-1] if own < 0 else ring, tuple(inner))
        for ring, own, others, inner in zip(rings, areas, around, holes, strict=True)
        if len(others) % 2 == 0
    )


def enclosing(rings: Sequence[Ring], areas: Floats) -> list[Index]:
    """Of each ring, which others go around it; a larger ring is never inside a smaller one."""
    if len(rings) == 1:
        return [np.empty(0, dtype=np.int64)]
    start, following, owner = edges(rings)
    stop = start[following]
    places = np.stack([_place(ring) for ring in rings])
    by_y = np.argsort(places[:, 0], kind="stable")
    (low, high) = np.searchsorted(places[by_y, 0], np.sort([start[:, 0], stop[:, 0]], axis=0))
    found = [np.empty((2, 0), dtype=np.int64)]
    for edge, position in _pairs(low, high):
        inner, outer = by_y[position], owner[edge]
        larger = np.abs(areas[outer]) > np.abs(areas[inner])
        edge, inner, outer = edge[larger], inner[larger], outer[larger]
        (y, x), (y0, x0), (y1, x1) = places[inner].T, start[edge].T, stop[edge].T
        left = x0 + (y - y0) * ((x1 - x0) / (y1 - y0)) < x
        found.append(np.stack([inner[left], outer[left]]))
    crossed, times = np.unique(np.concatenate(found, axis=1), axis=1, return_counts=True)
    inner, outer = crossed[:, times % 2 == 1]
    return np.split(outer, np.searchsorted(inner, np.arange(1, len(rings))))


def crossing(rings: Sequence[Ring], shape_of: Index) -> tuple[int, float, float] | None:
    """Find a place where edges of one shape cross: the number of the shape, y and x; None if there is none.

    Parameters
    ----------
    rings : sequence of ndarray, (N, 2)
        Without repeated corners.
    shape_of : ndarray of int, (R,)
        The shape of each ring, rising.

    Notes
    -----
    Edges cross if the ends of each lie on both sides of the other, or if a corner lies on an edge and the
    corners before and after it on both sides; what is nearer than `TOLERANCE` to an edge lies on it. Rings
    that touch, and stretches that are passed twice, do not cross.
    """
    if not len(rings):
        return None
    start, following, ring_of = edges(rings)
    stop, before = start[following], np.empty_like(start)
    before[following] = start
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    for one, other in _neighbours(low, high, shape_of[ring_of]):
        near = (low[one, 0] <= high[other, 0]) & (low[other, 0] <= high[one, 0])
        near &= (following[one] != other) & (following[other] != one)
        one, other = one[near], other[near]
        crossed = np.flatnonzero(_cross(start, stop, before, one, other))
        if len(crossed):
            y, x = start[other[crossed[0]]]
            return int(shape_of[ring_of[one[crossed[0]]]]), float(y), float(x)
    return None


def _neighbours(low: Floats, high: Floats, shape: Index) -> Iterator[tuple[Index, Index]]:
    """Pairs of edges of one shape that share a place along x, and a band along y; some come more than once.

    The bands of a shape are four times as high as its edges on average, so that an edge is in few of them and
    a band holds few edges.
    """
    firsts = np.flatnonzero(np.diff(shape, prepend=-1))
    counts = np.diff(np.append(firsts, len(shape)))
    heights = np.maximum(1, 4 * np.add.reduceat(high[:, 0] - low[:, 0], firsts) / counts)
    tops, heights = (np.repeat(a, counts) for a in (np.minimum.reduceat(low[:, 0], firsts), heights))
    top, bottom = (((y[:, 0] - tops) // heights).astype(np.int64) for y in (low, high))
    edge = np.repeat(np.arange(len(low)), bottom - top + 1)
    band = top[edge] + counted(bottom - top + 1)
    order = np.lexsort((low[edge, 1], band, shape[edge]))
    edge, band = edge[order], band[order]
    left, right = low[edge, 1], high[edge, 1]
    # bands side by side, so that one search over x finds the neighbours in all of them
    firsts = np.flatnonzero((np.diff(band, prepend=-1) != 0) | (np.diff(shape[edge], prepend=-1) != 0))
    least, most = np.minimum.reduceat(left, firsts), np.maximum.reduceat(right, firsts)
    shift = np.cumsum(np.append(0, most - least + 1))[:-1] - least
    shift = np.repeat(shift, np.diff(np.append(firsts, len(edge))))
    behind = np.searchsorted(left + shift, right + shift, side="right")
    for first, second in _pairs(np.arange(1, len(edge) + 1), behind):
        yield edge[first], edge[second]


def edges(rings: Sequence[Ring]) -> tuple[Floats, Index, Index]:
    """All edges of rings: where each starts, (N, 2), the number of the next edge, and that of its ring."""
    lengths = np.array([len(ring) for ring in rings])
    ends = np.cumsum(lengths)
    start = np.concatenate(rings)
    following = np.arange(1, len(start) + 1)
    following[ends - 1] = ends - lengths
    return start, following, np.repeat(np.arange(len(rings)), lengths)


def counted(counts: Index) -> Index:
    """0, 1, ... up to each of the counts, one after the other.

    >>> counted(np.array([2, 0, 3]))
    array([0, 1, 0, 1, 2])
    """
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - counts, counts)


def _place(ring: Ring) -> Floats:
    """A place on the longest edge."""
    along = np.roll(ring, -1, axis=0) - ring
    longest = int(np.argmax((along**2).sum(axis=1)))
    return np.asarray(ring[longest] + FRACTION * along[longest])


def _pairs(low: Index, high: Index) -> Iterator[tuple[Index, Index]]:
    """Each k with each number from low[k] to high[k], some `PAIRS` at a time."""
    counts = np.maximum(high - low, 0)
    ends = np.cumsum(counts)
    at = 0
    while at < len(counts):
        to = max(at + 1, int(np.searchsorted(ends, (ends[at - 1] if at else 0) + PAIRS, side="right")))
        part = counts[at:to]
        yield np.repeat(np.arange(at, to), part), np.repeat(low[at:to], part) + counted(part)
        at = to


def _cross(start: Floats, stop: Floats, before: Floats, one: Index, other: Index) -> NDArray[np.bool_]:
    """Whether pairs of edges cross."""
    through = _side(start, stop, one, start[other]) * _side(start, stop, one, stop[other]) < 0
    through &= _side(start, stop, other, start[one]) * _side(start, stop, other, stop[one]) < 0
    for edge, corner in ((one, other), (other, one)):
        on = np.flatnonzero(_side(start, stop, edge, start[corner]) == 0)
        edge, corner = edge[on], corner[on]
        along = stop[edge] - start[edge]
        length = np.hypot(*along.T)
        way = ((start[corner] - start[edge]) * along).sum(axis=1) / length
        beside = _side(start, stop, edge, before[corner]) * _side(start, stop, edge, stop[corner]) < 0
        through[on] |= beside & (way > TOLERANCE) & (way < length - TOLERANCE)
    return through


def _side(start: Floats, stop: Floats, edge: Index, place: Floats) -> Floats:
    """On which side of edges, prolonged, places lie: -1, 0 or 1."""
    (y, x), (down, right) = (place - start[edge]).T, (stop[edge] - start[edge]).T
    distance = (right * y - down * x) / np.hypot(down, right)
    return np.asarray(np.sign(distance) * (np.abs(distance) > TOLERANCE))
