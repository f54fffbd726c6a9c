"""Loop-only oracles for `unseam.io.annotations`: slow, plain, and written from the definitions alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from tests.reference.instances import regions

Corner = tuple[int, int]
Crack = tuple[Corner, Corner]

label_images: st.SearchStrategy[NDArray[np.int32]] = st.tuples(st.integers(1, 7), st.integers(1, 7)).flatmap(
    lambda shape: arrays(np.int32, shape, elements=st.integers(0, 2))
)
"""Small enough to be full of diagonal contacts, holes, and parts that are one pixel wide."""


def cracks(mask: NDArray[np.bool_]) -> set[Crack]:
    """The sides of pixels between an object and what is not, clockwise around each pixel, (y, x)."""
    padded = np.pad(mask, 1)
    found = set()
    for y, x in zip(*np.nonzero(mask), strict=True):
        y, x = int(y), int(x)
        if not padded[y, x + 1]:  # above
            found.add(((y, x), (y, x + 1)))
        if not padded[y + 1, x + 2]:  # on the right
            found.add(((y, x + 1), (y + 1, x + 1)))
        if not padded[y + 2, x + 1]:  # below
            found.add(((y + 1, x + 1), (y + 1, x)))
        if not padded[y + 1, x]:  # on the left
            found.add(((y + 1, x), (y, x)))
    return found


def steps(ring: NDArray[np.float64]) -> Iterator[Crack]:
    """The sides of pixels that a ring runs along, one by one."""
    corners = [(int(y), int(x)) for y, x in ring]
    for (y0, x0), (y1, x1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        assert (y0 == y1) != (x0 == x1), "an edge is neither along x nor along y"
        dy, dx = (y1 > y0) - (y1 < y0), (x1 > x0) - (x1 < x0)
        while (y0, x0) != (y1, x1):
            yield (y0, x0), (y0 + dy, x0 + dx)
            y0, x0 = y0 + dy, x0 + dx


def parts_and_holes(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Parts of an object, joined through sides, and the holes of all of them, joined through sides too."""
    parts = regions(mask, faces=True)
    holes = 0
    for part in parts:
        rest = np.ones((mask.shape[0] + 2, mask.shape[1] + 2), dtype=bool)
        for y, x in part:
            rest[y + 1, x + 1] = False
        holes += len(regions(rest, faces=True)) - 1
    return len(parts), holes


def is_inside(rings: Sequence[NDArray[np.float64]], y: Fraction, x: Fraction) -> bool:
    """Even-odd: whether a ray to the left crosses an odd number of edges; exact."""
    inside = False
    for ring in rings:
        corners = [(Fraction(float(a)), Fraction(float(b))) for a, b in ring]
        for (y0, x0), (y1, x1) in zip(corners, [*corners[1:], corners[0]], strict=True):
            if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) < x:
                inside = not inside
    return inside


def imagej_mask(rings: Sequence[Any], height: int, width: int) -> NDArray[np.bool_]:
    """The pixels that ImageJ fills, from rings of (x, y): row by row, between pairs of edges sorted by x.

    As its class PolygonFiller does: an edge is in the rows from its upper to above its lower end, at the x of
    their middle plus 1e-8, and pixels are taken from the rounded x of one edge to before that of the next.
    """
    mask = np.zeros((height, width), dtype=bool)
    for row in range(height):
        at = []
        for ring in rings:
            corners = [(float(x), float(y)) for x, y in ring]
            for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
                if min(y0, y1) <= row < max(y0, y1):
                    at.append(x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0) + 1e-8)
        at.sort()
        for k in range(0, len(at), 2):
            for x in range(int(at[k] + 0.5), int(at[k + 1] + 0.5)):
                mask[row, x] = True
    return mask
