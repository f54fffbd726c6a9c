"""From probabilities to objects: by hand, against flood fills, and the laws of halos."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.instances.pictures import array
from tests.reference import instances as reference

from unseam import instances
from unseam.errors import ConfigError, InputError, LabelError, ShapeError
from unseam.instances.parts import REST, divide

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6)
MASKS = SHAPES.flatmap(lambda shape: hnp.arrays(np.bool_, shape))
LABELS = SHAPES.flatmap(lambda shape: hnp.arrays(np.int32, shape, elements=st.integers(-1, 4)))
few = settings(max_examples=60, deadline=None)


# By hand


def test_components_touch_through_faces_not_corners() -> None:
    labels = instances.label_components(array("11. ..1 11.") > 0)
    np.testing.assert_array_equal(labels, array("11. ..2 33."))
    assert labels.dtype == np.int32


def test_numbers_follow_the_first_pixel_whatever_the_memory_layout() -> None:
    mask = array(".1. .11 1..") > 0
    expected = array(".1. .11 2..")
    np.testing.assert_array_equal(instances.label_components(mask), expected)
    np.testing.assert_array_equal(instances.label_components(np.asfortranarray(mask)), expected)


def test_raster_order_keeps_ignored_pixels() -> None:
    np.testing.assert_array_equal(instances.number_in_raster_order(array("?9. 5.9")), array("?1. 2.1"))


def test_regions_of_each_class_are_objects_also_where_classes_touch() -> None:
    # Class 2 has three regions and class 1 one, which touches two of them; -1 stays.
    np.testing.assert_array_equal(instances.label_class_regions(array("21? .12 2..")), array("12? .23 4.."))


def test_consecutive_keeps_the_order_of_numbers() -> None:
    ids, dense = instances.consecutive(array("?9. 5.9"))
    assert ids.tolist() == [5, 9]
    np.testing.assert_array_equal(dense, array("?2. 1.2"))


def test_remove_small_counts_pixels_and_keeps_numbers() -> None:
    # Object 7 has 3 pixels, object 4 has 2, and the ignored pixel is no object.
    labels = array("77. 7.4 ?.4")
    np.testing.assert_array_equal(instances.remove_small(labels, 3), array("77. 7.. ?.."))
    np.testing.assert_array_equal(instances.remove_small(labels, 2), labels)


@pytest.mark.parametrize(
    ("labels", "filled"),
    [
        ("111 1.1 111", "111 111 111"),  # one object encloses the middle
        (".1. 1.1 .1.", ".1. 1.1 .1."),  # four corners are open
        ("111 1.2 111", "111 1.2 111"),  # two objects
        ("111 1.1 112", "111 1.1 112"),  # the second object touches by a corner
        ("111 1.1 11?", "111 1.1 11?"),  # what is unknown may be background
        ("111 1.. 111", "111 1.. 111"),  # reaches the border
        ("11111 1...1 1.2.1 1...1 11111", "11111 1...1 1.2.1 1...1 11111"),  # an object within
    ],
)
def test_fill_holes(labels: str, filled: str) -> None:
    np.testing.assert_array_equal(instances.fill_holes(array(labels)), array(filled))


def test_holes_of_many_shapes_at_once() -> None:
    # A bent hole of 3, one pixel of 4, and between them a gap that touches both.
    labels = array("3333344444 3..33..444 33.33444.4 3333344444")
    filled = array("3333344444 33333..444 3333344444 3333344444")
    np.testing.assert_array_equal(instances.fill_holes(labels), filled)


def test_a_hole_in_3d_needs_all_its_walls() -> None:
    shell = np.ones((3, 3, 3), np.int32)
    shell[1, 1, 1] = 0
    assert instances.fill_holes(shell).all()
    shell[0, 0, 0] = 0  # opened by a corner
    np.testing.assert_array_equal(instances.fill_holes(shell), shell)


def test_grow_stops_at_others_and_ties_go_to_the_smallest() -> None:
    np.testing.assert_array_equal(instances.grow(array("2...1"), 1), array("22.11"))
    np.testing.assert_array_equal(instances.grow(array("2...1"), 2), array("22111"))
    np.testing.assert_array_equal(instances.grow(array("1.?.."), 3), array("11?.."))


def test_grow_within_goes_round_walls() -> None:
    within = array("1.1 111") > 0
    np.testing.assert_array_equal(instances.grow(array("1.. ..."), 9, within=within), array("1.1 111"))


def test_grown_pixels_are_compared_step_by_step() -> None:
    # The free pixel of the middle row is two steps from 1 and one from 9: 9 is there first, and stays.
    np.testing.assert_array_equal(instances.grow(array("1.. ... .9."), 2), array("111 199 999"))


def test_carve_gaps_takes_the_later_pixel_of_each_touching_pair() -> None:
    np.testing.assert_array_equal(instances.carve_gaps(array("1122")), array("11.2"))
    # The corner: 2 at the lower right has 1 at its upper left, and goes; 1 has nobody before it.
    np.testing.assert_array_equal(instances.carve_gaps(array("1. .2")), array("1. .."))
    # The comparison is on the labels as given: the middle 2 goes, and still carves the 3.
    np.testing.assert_array_equal(instances.carve_gaps(array("123")), array("1.."))
    np.testing.assert_array_equal(instances.carve_gaps(array("1?2")), array("1?2"))


def test_segment_by_hand() -> None:
    # Two pairs with a pixel between them; 0.5 is not above 0.5; growing meets in the middle, without merging.
    foreground = np.array([[0.9, 0.9, 0.5, 0.8, 0.8, 0.0, 0.0, 0.0, 0.6]])
    labels = instances.segment(foreground, threshold=0.5, min_size=3)
    np.testing.assert_array_equal(labels, array("111222..."))  # the last object: 2 pixels after growing
    ungrown = instances.segment(foreground, threshold=0.5, min_size=1, grow_pixels=0)
    np.testing.assert_array_equal(ungrown, array("11.22...3"))


@pytest.mark.parametrize(
    ("split", "part_size", "expected"),
    [
        (0.8, 2, "111112222.33"),  # the rest is shared by distance, the smaller number where that is equal
        (0.8, 1, "111122233.44"),
        (0.8, 3, "111111111.22"),  # fewer than two parts are large enough
        (0.5, 1, "111111111.22"),  # not above the threshold
    ],
)
def test_parts_by_hand(split: float, part_size: int, expected: str) -> None:
    # Above 0.5 two objects; above 0.8 the first has parts of 2, 1 and 2 pixels, the second one of 1.
    foreground = np.array([[0.9, 0.9, 0.6, 0.7, 0.6, 0.9, 0.6, 0.9, 0.9, 0.2, 0.6, 0.9]])
    labels = instances.segment(
        foreground, threshold=0.5, min_size=0, grow_pixels=0, split=split, split_size=part_size
    )
    np.testing.assert_array_equal(labels, array(expected))


@pytest.mark.parametrize("times", [1, 2, 4])
def test_divided_objects_keep_their_area_at_any_scale(times: int) -> None:
    """Two soft discs, closer than their edges are wide; sizes scaled as `objects_at` does."""
    y, x = np.mgrid[: 40 * times, : 60 * times] / times
    foreground = np.maximum(*(np.exp(-((y - 20) ** 2 + (x - c) ** 2) / 150) for c in (21, 39)))
    how: dict[str, Any] = {"threshold": 0.3, "min_size": 10, "grow_pixels": 0}
    divided = instances.segment(foreground, split=0.8, split_size=9, split_grow=16 * times, **how)
    assert divided.max() == 2 and instances.segment(foreground, **how).max() == 1
    assert np.count_nonzero(divided) > 0.98 * np.count_nonzero(foreground > 0.3)


def test_parts_reach_as_far_as_asked_and_grow_on_from_there() -> None:
    line = np.full((1, 24), 0.6)
    line[0, [0, 23]] = 0.9
    how = {"threshold": 0.5, "min_size": 0, "split": 0.8, "split_grow": 8}
    labels = instances.segment(line, grow_pixels=0, **how)
    np.testing.assert_array_equal(labels, array("1" * 9 + "." * 6 + "2" * 9))
    np.testing.assert_array_equal(
        instances.segment(line, grow_pixels=1, low_threshold=0.7, **how), array("1" * 10 + "." * 4 + "2" * 10)
    )


def test_segment_removes_the_speck_before_it_fills_the_hole() -> None:
    ring = array("1111111 1.....1 1.....1 1..1..1 1.....1 1.....1 1111111") / 1.0
    labels = instances.segment(ring, threshold=0.5, min_size=2, grow_pixels=0)
    np.testing.assert_array_equal(labels, np.ones((7, 7)))
    kept = instances.segment(ring, threshold=0.5, min_size=2, grow_pixels=0, holes=False)
    assert np.count_nonzero(kept) == 24  # the ring: 4 sides of 6


def test_segment_of_nothing_is_nothing() -> None:
    assert not instances.segment(np.zeros((4, 5)), threshold=0.5, min_size=0).any()
    assert instances.segment(np.zeros((0, 5)), threshold=0.5, min_size=0).shape == (0, 5)


# Oracles


@few
@given(MASKS)
def test_components_are_the_flood_fills(mask: Any) -> None:
    np.testing.assert_array_equal(instances.label_components(mask), reference.label_components(mask))


@few
@given(LABELS)
def test_raster_numbers_are_the_loop_s(labels: Any) -> None:
    np.testing.assert_array_equal(
        instances.number_in_raster_order(labels), reference.number_in_raster_order(labels)
    )


@few
@given(LABELS, st.integers(0, 9))
def test_small_objects_are_the_loop_s(labels: Any, min_size: int) -> None:
    np.testing.assert_array_equal(
        instances.remove_small(labels, min_size), reference.remove_small(labels, min_size)
    )


walls = hnp.array_shapes(min_dims=2, max_dims=3, min_side=3, max_side=6).flatmap(
    lambda shape: hnp.arrays(np.int32, shape, elements=st.sampled_from([0, 0, -1, 2]), fill=st.just(1))
)


@settings(max_examples=150, deadline=None)
@given(walls)
def test_holes_are_those_of_each_object_alone(labels: Any) -> None:
    np.testing.assert_array_equal(instances.fill_holes(labels), reference.fill_holes(labels))


@few
@given(LABELS, st.integers(0, 3), st.data())
def test_growing_is_the_loop_s(labels: Any, pixels: int, data: Any) -> None:
    within = data.draw(hnp.arrays(np.bool_, labels.shape))
    grown = instances.grow(labels, pixels, within=within)
    np.testing.assert_array_equal(grown, reference.grow(labels, pixels, within))


@few
@given(
    hnp.arrays(np.int8, hnp.array_shapes(min_dims=1, max_dims=3, max_side=7), elements=st.integers(0, 2)),
    st.integers(1, 4),
)
def test_dividing_is_the_loop_s(levels: Any, part_size: int) -> None:
    divided = divide(levels > 0, levels > 1, part_size)
    np.testing.assert_array_equal(divided, reference.divide(levels > 0, levels > 1, part_size, REST))


@few
@given(LABELS)
def test_carving_is_the_loop_s(labels: Any) -> None:
    np.testing.assert_array_equal(instances.carve_gaps(labels), reference.carve_gaps(labels))


# Laws


@few
@given(LABELS)
def test_carved_objects_touch_nowhere_and_carving_twice_changes_nothing(labels: Any) -> None:
    carved = instances.carve_gaps(labels)
    np.testing.assert_array_equal(instances.carve_gaps(carved), carved)


@few
@given(hnp.arrays(np.int32, (12, 9), elements=st.integers(-1, 4)), st.integers(0, 2), st.integers(0, 11))
def test_growing_needs_a_halo_of_its_own_radius_and_no_more(labels: Any, pixels: int, row: int) -> None:
    low, high = max(0, row - pixels), row + pixels + 1
    alone = instances.grow(labels[low:high], pixels)[row - low]
    np.testing.assert_array_equal(alone, instances.grow(labels, pixels)[row])


@few
@given(hnp.arrays(np.float32, (7, 8), elements=st.sampled_from([0.0, 0.25, 0.75])), st.integers(0, 6))
def test_segmented_objects_keep_the_promises(foreground: Any, min_size: int) -> None:
    labels = instances.segment(foreground, threshold=0.5, min_size=min_size)
    np.testing.assert_array_equal(labels, instances.number_in_raster_order(labels))
    assert (np.bincount(labels.ravel())[1:] >= min_size).all()
    free = instances.segment(foreground, threshold=0.5, min_size=0, grow_pixels=1, holes=False)
    assert free.max() == instances.label_components(foreground > 0.5).max()  # growing never merges


# Errors


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: instances.label_components(np.zeros((2, 2))), LabelError, "dtype float64; expected bool"),
        (lambda: instances.grow(np.zeros((2, 2)), 1), LabelError, "dtype float64; expected integers"),
        (lambda: instances.carve_gaps(np.array([-7, 3])), LabelError, "run from -7 to 3"),
        (lambda: instances.fill_holes(np.array([2**40])), LabelError, "objects below 2147483647"),
        (lambda: instances.fill_holes(np.array(1)), ShapeError, "single number"),
        (lambda: instances.remove_small(np.array([1]), -1), ConfigError, "min_size is -1"),
        (lambda: instances.grow(np.array([1]), -1), ConfigError, "pixels is -1"),
        (
            lambda: instances.grow(np.array([1]), 1, within=np.ones(2, bool)),
            ShapeError,
            r"within has shape \(2,\), labels \(1,\)",
        ),
        (
            lambda: instances.segment(np.zeros((2, 2)), threshold=1.5, min_size=0),
            ConfigError,
            "threshold is 1.5; expected a probability",
        ),
        (
            lambda: instances.segment(np.array([0.5, np.nan]), threshold=0.5, min_size=0),
            InputError,
            "foreground holds NaN",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(call: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        call()
