"""Simple points: which they are, and what stays when only they flip."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.reference import boundaries as reference

from unseam.errors import ShapeError
from unseam.metrics.simple_points import AROUND, BRANCHES, warp

Pair = tuple[np.ndarray, np.ndarray]


def plane(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


def test_the_table_agrees_with_counting_components() -> None:
    for code in range(256):
        patch = np.zeros((3, 3), bool)
        for bit, (y, x) in enumerate(AROUND):
            patch[1 + y, 1 + x] = code >> bit & 1
        assert (BRANCHES[code] == 1) == reference.is_simple(patch), patch


def test_simple_points_are_many() -> None:
    assert np.count_nonzero(BRANCHES == 1) == 116  # of 256, whichever of the two is the foreground


def test_by_hand() -> None:
    truth = plane("##..", "##..", "....")
    # the cell grows to the right; the lone pixel below touches no face of it, and cannot come from nothing
    target = plane("###.", "##..", "...#")
    assert (warp(truth, target) == plane("###.", "##..", "....")).all()


def test_a_membrane_moves_but_does_not_break() -> None:
    truth = plane("##.##", "##.##", "##.##")
    assert (warp(truth, plane("#.###", "#.###", "#.###")) == plane("#.###", "#.###", "#.###")).all()
    found = warp(truth, plane("#####", "#####", "#####"))
    assert reference.topology(found) == (2, 1) and np.count_nonzero(~found) == 3


def test_the_surer_of_two_flips_first() -> None:
    truth, target = plane("#..#"), plane("####")  # one of the two may flip: both would merge the cells
    assert (warp(truth, target, confidence=np.array([[0, 0.1, 0.4, 0]])) == plane("#.##")).all()
    assert (warp(truth, target, confidence=np.array([[0, 0.4, 0.1, 0]])) == plane("##.#")).all()


def test_slices_do_not_touch() -> None:
    truth, target = np.ones((2, 1, 3), bool), np.ones((2, 1, 3), bool)
    target[1] = False
    found = warp(truth, target)
    assert found[0].all() and np.count_nonzero(found[1]) == 1  # the cell of the second slice stays a cell


def test_what_may_not_move_stays() -> None:
    truth, target = plane("##.."), plane("####")
    assert (warp(truth, target, movable=plane("###.")) == plane("###.")).all()


def test_nothing_comes_of_nothing() -> None:
    assert warp(np.zeros((0, 4), bool), np.zeros((0, 4), bool)).shape == (0, 4)
    assert not warp(np.zeros((3, 3), bool), np.ones((3, 3), bool)).any()


@settings(max_examples=80, deadline=None)
@given(st.data(), reference.mask_pairs())
def test_agrees_with_loops(data: st.DataObject, pair: Pair) -> None:
    truth, target = pair
    confidence = data.draw(arrays(np.float64, truth.shape, elements=st.sampled_from([0, 0.25, 0.5, 1])))
    movable = data.draw(arrays(np.bool_, truth.shape))
    everywhere, alike = np.ones(truth.shape, bool), np.zeros(truth.shape)
    expected = reference.warp(truth, target, confidence, movable)
    assert (warp(truth, target, confidence=confidence, movable=movable) == expected).all()
    assert (warp(truth, target) == reference.warp(truth, target, alike, everywhere)).all()


@settings(max_examples=80, deadline=None)
@given(reference.mask_pairs())
def test_topology_stays_and_no_simple_point_is_left(pair: Pair) -> None:
    truth, target = pair
    found = warp(truth, target)
    assert reference.topology(found) == reference.topology(truth)
    assert not ((found != truth) & (found != target)).any()
    framed = np.pad(found, 1)
    for y, x in zip(*np.nonzero(found != target), strict=True):
        assert not reference.is_simple(framed[y : y + 3, x : x + 3])


@settings(max_examples=30, deadline=None)
@given(st.lists(reference.mask_pairs(), min_size=2, max_size=2))
def test_a_stack_is_its_slices(pairs: list[Pair]) -> None:
    y, x = (min(pair[0].shape[axis] for pair in pairs) for axis in (0, 1))
    truth, target = (np.stack([pair[which][:y, :x] for pair in pairs]) for which in (0, 1))
    alone = [warp(t, p) for t, p in zip(truth, target, strict=True)]
    assert (warp(truth, target) == np.stack(alone)).all()


def test_refusals() -> None:
    two = np.ones((2, 2), bool)
    with pytest.raises(ShapeError, match=r"truth has shape \(3,\); expected slices of two axes"):
        warp(np.ones(3, bool), np.ones(3, bool))
    with pytest.raises(ShapeError, match=r"what it is compared with \(2, 3\); they must be equal"):
        warp(two, two, confidence=np.ones((2, 3)))
