"""Warping error: a displaced boundary is free, merges, splits and holes are not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.reference import boundaries as reference

from unseam.errors import ShapeError
from unseam.metrics.simple_points import warp
from unseam.metrics.warping import (
    WarpingCounts,
    split_merge_error,
    sum_warping,
    warping_counts,
    warping_error,
)

Pair = tuple[np.ndarray, np.ndarray]


def two_cells(gap: slice = slice(6, 9)) -> np.ndarray:
    cells = np.ones((9, 15), bool)
    cells[:, gap] = False
    return cells


def test_a_merge_by_hand() -> None:
    predicted = two_cells()
    predicted[3:6] = True  # the membrane is open in three rows, where the truth keeps one pixel of each row
    counts = warping_counts(two_cells(), predicted)
    assert counts == WarpingCounts(9 * 15, merges=3)
    assert warping_error(counts) == split_merge_error(counts) == 3 / 135


def test_a_split_by_hand() -> None:
    counts = warping_counts(np.ones((9, 15), bool), two_cells(slice(6, 7)))
    # membrane grows from above and below until one pixel of the cell is left between
    assert counts == WarpingCounts(135, splits=1)


def test_holes_and_crumbs_by_hand() -> None:
    truth = two_cells(slice(7, 15))
    hole, crumb = truth.copy(), truth.copy()
    hole[3:5, 3:5] = False
    crumb[3:5, 10:12] = True
    assert warping_counts(truth, hole) == WarpingCounts(135, holes_added=4)
    assert warping_counts(truth, crumb) == WarpingCounts(135, objects_added=4)
    assert warping_counts(hole, truth) == WarpingCounts(135, holes_removed=1)  # it shrinks to one pixel
    assert warping_counts(crumb, truth) == WarpingCounts(135, objects_removed=1)
    assert split_merge_error(warping_counts(truth, hole)) == 0 < warping_error(warping_counts(truth, hole))


def test_a_ring_that_opens_by_hand() -> None:
    ring = np.pad(np.pad(np.zeros((1, 1), bool), 1, constant_values=True), 1)
    opened = ring.copy()
    opened[2, 1] = False
    assert warping_counts(ring, opened) == WarpingCounts(25, holes_removed=1)
    assert warping_counts(opened, ring) == WarpingCounts(25, holes_added=1)


def test_displaced_wider_and_thinner_membranes_cost_nothing() -> None:
    for gap in (slice(4, 7), slice(2, 13), slice(7, 8), slice(8, 11)):
        assert warping_counts(two_cells(), two_cells(gap)).n_different == 0


def test_limits_and_uncounted_pixels() -> None:
    truth, moved = two_cells(), two_cells(slice(5, 9))
    nowhere = np.zeros(truth.shape, bool)
    assert warping_counts(truth, moved, movable=nowhere) == WarpingCounts(135, held=9)
    assert warping_counts(truth, ~truth, counted=nowhere) == WarpingCounts(0)
    merged = np.ones(truth.shape, bool)
    left = np.ones(truth.shape, bool)
    left[:, 8:] = False
    assert warping_counts(truth, merged, counted=left).n_different == 0  # the membrane moves to column 8
    left[:, 8:] = True
    left[3] = False
    assert warping_counts(truth, merged, counted=left) == WarpingCounts(120, merges=8)


def test_undefined_and_empty() -> None:
    nothing = np.zeros((0, 3), bool)
    counts = warping_counts(nothing, nothing)
    assert counts.n_different == 0
    assert math.isnan(warping_error(counts)) and math.isnan(split_merge_error(counts))


def test_counts_add_up() -> None:
    one, two = WarpingCounts(10, merges=1, held=2), WarpingCounts(5, merges=3, splits=1)
    assert sum_warping([one, two]) == WarpingCounts(15, merges=4, splits=1, held=2)
    assert sum_warping([one, two]).n_different == 7


@settings(max_examples=50, deadline=None)
@given(st.data(), reference.mask_pairs())
def test_kinds_agree_with_flipping_and_counting(data: st.DataObject, pair: Pair) -> None:
    truth, target = pair
    movable = data.draw(arrays(np.bool_, truth.shape))
    for limits in (None, movable):
        counts = warping_counts(truth, target, movable=limits)
        warped = warp(truth, target, movable=limits)
        kinds = [reference.kind(warped, (y, x)) for y, x in zip(*np.nonzero(warped != target), strict=True)]
        expected = WarpingCounts(truth.size, **{name: kinds.count(name) for name in set(kinds)})
        assert counts == expected and counts.n_different == len(kinds)


@settings(max_examples=50, deadline=None)
@given(reference.mask_pairs())
def test_perfect_is_0_and_no_warp_is_worse_than_none(pair: Pair) -> None:
    truth, target = pair
    assert warping_counts(truth, truth).n_different == 0
    assert warping_counts(truth, target).n_different <= np.count_nonzero(truth != target)


def test_refusal() -> None:
    with pytest.raises(ShapeError, match=r"counted has shape \(1, 2\), the truth \(2, 2\)"):
        warping_counts(np.ones((2, 2), bool), np.ones((2, 2), bool), counted=np.ones((1, 2), bool))
