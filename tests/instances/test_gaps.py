"""Gaps of a chosen width: by hand, against a flood from each pixel, and what growing gives back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.reference import instances as reference

from unseam.errors import ConfigError, LabelError, ShapeError
from unseam.instances import carve_contacts, carve_gaps, grow, label_components

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5)
LABELS = SHAPES.flatmap(lambda shape: hnp.arrays(np.int32, shape, elements=st.integers(-1, 3)))
WIDTHS = st.sampled_from([0, 1, 2, 4])
few = settings(max_examples=80, deadline=None)


def carved(labels: Any, *gap: int) -> list[Any]:
    return carve_contacts(np.array(labels, np.int32), gap).tolist()


# By hand


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (0, [1, 1, 1, 1, 2, 2, 2, 2]),
        (1, [1, 1, 1, 1, 0, 2, 2, 2]),
        (2, [1, 1, 1, 0, 0, 2, 2, 2]),
        (4, [1, 1, 0, 0, 0, 0, 2, 2]),
    ],
)
def test_as_many_pixels_go_between_two_objects(gap: int, expected: list[int]) -> None:
    assert carved([1, 1, 1, 1, 2, 2, 2, 2], gap) == expected


def test_only_objects_that_are_near_enough_are_carved() -> None:
    assert carved([1, 1, 0, 2, 2], 2) == [1, 1, 0, 2, 2]  # two steps apart, and one is taken
    assert carved([1, 1, 0, 2, 2], 4) == [1, 0, 0, 0, 2]  # a pixel of background lies there already
    assert carved([1, 1, -1, 2, 2], 4) == [1, 1, -1, 2, 2]  # what is unknown is not stepped over


def test_corners_touch_nowhere() -> None:
    assert carved([[1, 0], [0, 2]], 2, 2) == [[1, 0], [0, 2]]
    assert carved([[1, 0], [0, 2]], 1, 1) == [[1, 0], [0, 2]]
    assert carved([[1, 0], [0, 2]], 4, 4) == [[0, 0], [0, 0]]


def test_each_axis_has_its_own_width() -> None:
    # Four objects meet in the middle; down, the later ones lose a row, across, each loses a column.
    quarters = np.kron([[1, 2], [3, 4]], np.ones((2, 2), np.int32))
    assert carved(quarters, 1, 2) == [[1, 0, 0, 2], [1, 0, 0, 2], [0, 0, 0, 0], [3, 0, 0, 4]]
    assert carved(quarters, 0, 2) == [[1, 0, 0, 2], [1, 0, 0, 2], [3, 0, 0, 4], [3, 0, 0, 4]]
    assert carved(quarters, 2, 0) == [[1, 1, 2, 2], [0, 0, 0, 0], [0, 0, 0, 0], [3, 3, 4, 4]]


# Oracle


@few
@given(LABELS, st.data())
def test_carving_is_the_flood_s(labels: Any, data: Any) -> None:
    gap = data.draw(st.tuples(*[WIDTHS] * labels.ndim))
    np.testing.assert_array_equal(carve_contacts(labels, gap), reference.carve_contacts(labels, gap))


# Laws


@few
@given(LABELS, st.sampled_from([1, 2, 4]))
def test_what_is_left_of_two_objects_does_not_touch(labels: Any, width: int) -> None:
    left = carve_contacts(labels, [width] * labels.ndim)
    components = label_components(left > 0)
    for number in range(1, components.max() + 1):
        assert len(np.unique(left[components == number])) == 1


@few
@given(LABELS, st.sampled_from([2, 4]))
def test_an_even_gap_is_the_same_seen_from_every_side(labels: Any, width: int) -> None:
    gap = [width] * labels.ndim
    mirrored = np.flip(carve_contacts(np.flip(labels), gap))
    np.testing.assert_array_equal(mirrored, carve_contacts(labels, gap))
    np.testing.assert_array_equal(carve_contacts(labels.T, gap), carve_contacts(labels, gap).T)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize("width", [2, 4])
def test_growing_gives_blocks_that_tile_back_to_the_pixel(shape: tuple[int, ...], width: int) -> None:
    labels = np.arange(1, np.prod(shape) + 1, dtype=np.int32).reshape(shape)
    for axis in range(len(shape)):
        labels = labels.repeat(width + 1, axis)
    back = grow(carve_contacts(labels, [width] * labels.ndim), len(shape) * width // 2)
    np.testing.assert_array_equal(back, labels)


def test_a_slanted_contact_comes_back_whole_where_the_gap_has_two_sides() -> None:
    # A slanted contact: the one-sided rule takes the pixels behind each corner too, and growing by its
    # one step does not find them again; the two-sided gap comes back whole.
    y, x = np.indices((20, 20))
    labels = np.where(x > y, 2, 1).astype(np.int32)
    np.testing.assert_array_equal(grow(carve_contacts(labels, (2, 2)), 1), labels)
    assert (grow(carve_gaps(labels), 1) != labels).any()


# Errors


@pytest.mark.parametrize(
    ("labels", "gap", "kind", "words"),
    [
        ([1, 2], [3], ConfigError, "gap is 3; expected 0, 1 or an even number of pixels"),
        ([1, 2], [-2], ConfigError, "gap is -2; expected 0, 1 or an even number of pixels"),
        ([1, 2], [2, 2], ShapeError, "gap has 2 widths for 1 axes; give one for each axis"),
        ([1, -2], [2], LabelError, "run from -2 to 1"),
    ],
)
def test_what_cannot_be_used_is_refused(
    labels: list[int], gap: list[int], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        carve_contacts(np.array(labels), gap)
