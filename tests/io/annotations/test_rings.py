"""Rings: areas, parts and holes, crossings."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.reference.outlines import label_images

from unseam.io.annotations import rings as room
from unseam.io.annotations.outlines import outlines
from unseam.io.annotations.rings import area, crossing, polygons

Ring = NDArray[np.float64]

# cells (y, x) of a coarse grid, moved a little, so that few corners lie on edges
SCATTERED = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=7, unique=True
).map(lambda cells: np.array([(10 * y + 0.7 * x * x, 10 * x + 0.9 * y * y) for y, x in cells]))


def square(low: float, high: float) -> Ring:
    return np.array([(low, low), (low, high), (high, high), (high, low)])


def first_crossing(*rings: Ring) -> tuple[int, float, float] | None:
    return crossing(rings, np.arange(len(rings)))


def test_area_by_hand() -> None:
    # 2 wide along x, 3 along y; from x towards y it is positive
    ring = np.array([(5.0, 1.0), (5.0, 3.0), (8.0, 3.0), (8.0, 1.0)])
    assert (area(ring), area(ring[::-1])) == (6, -6)


def test_rings_inside_rings() -> None:
    # 0 to 9 has the hole 1 to 8, in which lies 2 to 7 with the holes 3 to 4 and 5 to 6; of any direction
    given_rings = [square(3, 4), square(2, 7), square(0, 9)[::-1], square(5, 6)[::-1], square(1, 8)]
    inner, outer = polygons(given_rings)
    assert inner.outer.min() == 2 and sorted(hole.min() for hole in inner.holes) == [3, 5]
    assert outer.outer.min() == 0 and [hole.min() for hole in outer.holes] == [1]
    for part in (inner, outer):
        assert area(part.outer) > 0 and all(area(hole) < 0 for hole in part.holes)


def test_a_ring_that_touches_another_is_beside_it_or_inside() -> None:
    beside, inside = square(2, 3), np.array([(0.0, 1.0), (1.0, 2.0), (2.0, 1.0)])
    assert len(polygons([square(0, 2), beside])) == 2
    (part,) = polygons([square(0, 2), inside])
    assert len(part.holes) == 1


@settings(deadline=None)
@given(label_images, st.randoms())
def test_parts_are_found_whatever_the_order_and_direction(labels: NDArray[np.int32], random: object) -> None:
    for shape in outlines(labels):
        mixed = [ring[::-1] if k % 2 else ring for k, ring in enumerate(shape.rings)]
        random.shuffle(mixed)  # type: ignore[attr-defined]
        parts = polygons(mixed)
        drawn = shapely.MultiPolygon([(part.outer, part.holes) for part in parts])
        assert drawn.is_valid and drawn.area == np.count_nonzero(labels == shape.id)
        assert len(parts) == sum(area(ring) > 0 for ring in shape.rings)


def test_pairs_are_looked_at_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAIRS", 3)
    assert [len(part.holes) for part in polygons([square(0, 9), square(1, 8), square(2, 7)])] == [1, 0]
    bow = np.array([(0.0, 0.0), (9.0, 9.0), (9.0, 0.0), (0.0, 9.0)])
    assert first_crossing(square(0, 9), square(0, 9), bow) is not None


def test_a_bow_tie_crosses() -> None:
    bow = np.array([(0.0, 0.0), (4.0, 4.0), (4.0, 0.0), (0.0, 4.0)])
    found = first_crossing(square(0, 9), bow)
    assert found is not None and found[0] == 1
    assert first_crossing(square(0, 9)) is None
    assert crossing([], np.empty(0, int)) is None


def test_a_corner_on_the_edge_that_it_crosses() -> None:
    # from (4, 0) over (2, 2), which lies in the middle of the first edge, to (0, 4)
    assert first_crossing(np.array([(0.0, 0.0), (4.0, 4.0), (4.0, 0.0), (2.0, 2.0), (0.0, 4.0)]))


def test_touching_is_no_crossing() -> None:
    # a hole whose corner lies on the outer ring, one that shares an edge, and one beyond by a rounding
    for hole in ([(0, 4), (4, 6), (4, 2)], [(0, 4), (0, 6), (4, 5)], [(-0.01, 4), (4, 6), (4, 2)]):
        assert crossing([square(0, 9), np.array(hole, float)], np.zeros(2, int)) is None
    assert crossing([square(0, 9), np.array([(-1.0, 4.0), (4, 6), (4, 2)])], np.zeros(2, int)) is not None


def test_rings_of_different_shapes_may_cross() -> None:
    moved = square(0, 9) + 1
    assert first_crossing(square(0, 9), moved) is None
    assert crossing([square(0, 9), moved], np.zeros(2, int)) is not None


@settings(deadline=None, max_examples=200)
@given(SCATTERED)
def test_as_shapely_says(ring: Ring) -> None:
    edges = [shapely.LineString([a, b]) for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True)]
    corners = [(corner, edge) for corner in ring for edge in edges if tuple(corner) not in edge.coords]
    assume(all(edge.distance(shapely.Point(corner)) > room.TOLERANCE for corner, edge in corners))
    assert (first_crossing(square(0, 9), ring, square(0, 9)) is None) == shapely.Polygon(ring).is_valid


@pytest.mark.parametrize("seed", range(40))
def test_curves_of_many_edges_as_shapely_says(seed: int) -> None:
    # waves of random sizes around a circle: some seeds cross themselves, most edges are a few pixels long
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, 600, endpoint=False)
    sizes = rng.normal(size=(2, 3)) * rng.uniform(0, 60)
    wave = sum(size[:, None] * np.sin(k * angle + k) for k, size in enumerate(sizes.T, start=2))
    ring = np.stack([100 * np.sin(angle), 100 * np.cos(angle)], axis=1) + np.asarray(wave).T
    assert (first_crossing(ring) is None) == shapely.Polygon(ring).is_valid
