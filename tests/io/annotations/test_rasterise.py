"""Shapes painted as labels, by the even-odd rule at the centres of pixels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.reference.outlines import is_inside

from unseam.errors import InputError, LabelError, ShapeError
from unseam.io.annotations import rasterise as room
from unseam.io.annotations.outlines import outlines
from unseam.io.annotations.rasterise import outside, rasterise
from unseam.io.annotations.record import Shape

QUARTERS = st.tuples(st.integers(-8, 32), st.integers(-8, 32)).map(
    lambda corner: (corner[0] / 4, corner[1] / 4)
)
RINGS = st.lists(st.lists(QUARTERS, min_size=3, max_size=6).map(np.array), min_size=1, max_size=3)


def square(top: float, left: float, bottom: float, right: float) -> NDArray[np.float64]:
    return np.array([(top, left), (top, right), (bottom, right), (bottom, left)])


def test_a_triangle_by_hand() -> None:
    # x below 4 - y: in row 0 0.5, 1.5 and 2.5 are below 3.5, and 3.5 lies on it: inside
    triangle = np.array([(0.0, 0.0), (0.0, 4.0), (4.0, 0.0)])
    assert rasterise([Shape(1, (triangle,))], (4, 4)).tolist() == [
        [1, 1, 1, 1],
        [1, 1, 1, 0],
        [1, 1, 0, 0],
        [1, 0, 0, 0],
    ]


def test_a_centre_on_the_outline_is_inside_on_the_right_and_above() -> None:
    assert rasterise([Shape(1, (square(0.5, 0.5, 2.5, 2.5),))], (4, 4)).tolist() == [
        [0, 1, 1, 0],
        [0, 1, 1, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]


@settings(deadline=None)
@given(RINGS)
def test_as_a_ray_says(rings: list[NDArray[np.float64]]) -> None:
    half = Fraction(1, 2)
    expected = [[int(is_inside(rings, y + half, x + half)) for x in range(6)] for y in range(7)]
    assert rasterise([Shape(1, tuple(rings))], (7, 6)).tolist() == expected


def test_later_shapes_lie_over_earlier_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = [Shape(9, (square(0, 0, 2, 2),)), Shape(3, (square(0, 1, 1, 3),))]
    assert rasterise(shapes, (2, 3)).tolist() == [[9, 3, 3], [9, 9, 0]]
    monkeypatch.setattr(room, "PIXELS", 1)  # painted in as many steps as there are runs
    assert rasterise(shapes, (2, 3)).tolist() == [[9, 3, 3], [9, 9, 0]]


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 40))
def test_painted_in_steps(pixels: int) -> None:
    labels = np.random.default_rng(pixels).integers(0, 4, (9, 9)).astype(np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "PIXELS", pixels)
        assert np.array_equal(rasterise(outlines(labels), (9, 9)), labels)


def test_points_and_shapes_outside_paint_nothing() -> None:
    point = Shape(1, (np.array([[0.5, 0.5]]),), is_point=True)
    beyond = Shape(2, (square(-3, -3, 9, 0), square(5, 5, 9, 9)), name="far")
    assert not rasterise([point, beyond], (3, 3)).any()
    assert not rasterise([], (3, 3)).any()


def test_what_reaches_beyond_is_told() -> None:
    inner, left, lower = (
        Shape(k + 1, (square(*sides),), name="abc"[k])
        for k, sides in enumerate([(0, 0, 3, 4), (0, -1, 2, 2), (1, 1, 3.5, 2)])
    )
    assert [one.id for one in outside([inner, left, lower], (3, 4))] == [2, 3]
    assert rasterise([inner], (3, 4), strict=True).all()
    with pytest.raises(InputError, match=r"shape 3 \('c'\) reaches beyond the image of 3x4 pixels; give"):
        rasterise([inner, lower], (3, 4), strict=True)
    with pytest.raises(InputError, match=r"shape 2 \('b'\) and 1 others reach beyond the image"):
        rasterise([inner, left, lower], (3, 4), strict=True)


def test_what_cannot_be_painted_is_refused() -> None:
    for label in (0, -1, 2**31):
        with pytest.raises(
            LabelError, match=f"shape {label} cannot be painted; labels are whole numbers from 1"
        ):
            rasterise([Shape(label, (square(0, 0, 1, 1),))], (2, 2))
    with pytest.raises(ShapeError, match="an image of 0x5 pixels holds no label"):
        rasterise([], (0, 5))


@pytest.mark.parametrize("side", [10**7, 2**31])
def test_labels_larger_than_memory_are_refused(side: int) -> None:
    with pytest.raises(LabelError, match=f"labels of {side} x {side} pixels take .* GB"):
        rasterise([], (side, side))
