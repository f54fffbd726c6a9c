"""Errors by kind and by size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unseam.errors import ConfigError
from unseam.metrics.error_sizes import ErrorCounts, by_size, count_errors, judge_objects
from unseam.metrics.matching import object_outcomes

PAIRS = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        arrays(np.int32, (3, n), elements=st.integers(0, 4)),
        arrays(np.int32, (3, n), elements=st.integers(0, 4)),
    )
)


def test_each_kind_by_hand():
    truth = np.zeros((6, 12), np.int32)
    pred = np.zeros_like(truth)
    truth[0, :4], pred[0, :4] = 1, 1  # found
    truth[1, :5], pred[1, 3:6] = 2, 2  # 2 pixels of 5 + 3 - 2: IoU 1/3, badly outlined
    truth[2, :4], truth[2, 4:8], pred[2, :8] = 3, 4, 3  # IoU 1/2: one found, the other merged
    truth[3, :6], pred[3, :2], pred[3, 4:6] = 5, 4, 5  # two pieces of a third each: split
    truth[4, :3] = 6  # missed
    pred[5, 8:10] = 6  # false
    judged = judge_objects(truth, pred)
    assert judged.areas.tolist() == [4, 5, 4, 4, 6, 3]
    assert judged.kinds.tolist() in (
        ["found", "boundary", "found", "merged", "split", "missed"],
        ["found", "boundary", "merged", "found", "split", "missed"],
    )
    assert judged.false_areas.tolist() == [2]
    assert count_errors([judged]) == ErrorCounts(2, 1, 1, 1, 1, 1)


def test_an_outline_below_a_tenth_is_missed_and_false():
    truth = np.array([[1] * 6 + [0] * 6])
    touching = np.array([[0] * 5 + [1] * 7])  # 1 pixel of 12: IoU 1/12
    judged = judge_objects(truth, touching)
    assert judged.kinds.tolist() == ["missed"] and judged.false_areas.tolist() == [7]
    closer = np.array([[0] * 4 + [1] * 6 + [0] * 2])  # 2 of 10
    assert judge_objects(truth, closer).kinds.tolist() == ["boundary"]


def test_groups_have_as_many_objects_and_the_false_join_the_nearest():
    def row(lengths: list[int]) -> np.ndarray:
        return np.concatenate([np.r_[np.full(n, k), 0] for k, n in enumerate(lengths, start=1)])

    truth = row([1, 2, 3, 4, 0])
    pred = np.where(truth == 3, 0, truth)
    pred = np.concatenate([pred, np.full(9, 7)])
    truth = np.concatenate([truth, np.zeros(9, int)])
    groups = by_size([judge_objects(truth, pred)], groups=2)
    assert [(g.smallest, g.largest) for g in groups] == [(1, 2), (3, 4)]
    assert [g.counts for g in groups] == [ErrorCounts(found=2), ErrorCounts(found=1, missed=1, false=1)]


def test_objects_of_one_size_stay_together():
    truth = np.array([[1, 0, 2, 0, 3, 0, 4, 4]])
    groups = by_size([judge_objects(truth, truth)], groups=4)
    assert [(g.smallest, g.largest, g.counts.found) for g in groups] == [(1, 1, 3), (2, 2, 1)]


def test_without_true_objects_there_is_no_group():
    nothing = judge_objects(np.zeros((2, 2), int), np.ones((2, 2), int))
    assert by_size([nothing]) == () == by_size([])
    assert count_errors([nothing]) == ErrorCounts(false=1)


def test_no_groups_are_refused():
    with pytest.raises(ConfigError, match="0 groups"):
        by_size([], groups=0)


@given(PAIRS)
def test_nothing_is_lost_and_the_outcomes_agree(pair):
    truth, pred = pair
    judged = judge_objects(truth, pred)
    outcomes = object_outcomes(truth, pred)
    for kind, outcome in zip(judged.kinds, outcomes.true.values(), strict=True):
        assert outcome == {"found": "hit", "boundary": "missed"}.get(kind, kind)
    boundary = int((judged.kinds == "boundary").sum())
    assert len(judged.false_areas) + boundary == list(outcomes.pred.values()).count("false")
    for groups in (1, 2, 4):
        parts = by_size([judged, judged], groups)
        whole = count_errors([judged, judged])
        if parts:
            assert sum((g.counts for g in parts), ErrorCounts()) == whole
        else:
            assert whole.n_true == 0


@given(PAIRS)
def test_a_bad_outline_is_one_by_counting_pixels(pair):
    truth, pred = pair
    judged = judge_objects(truth, pred)
    outcomes = object_outcomes(truth, pred)
    for kind, (true_id, outcome) in zip(judged.kinds, outcomes.true.items(), strict=True):
        near = [
            int(((truth == true_id) & (pred == p)).sum()) / int(((truth == true_id) | (pred == p)).sum())
            for p, what in outcomes.pred.items()
            if what == "false"
        ]
        if kind == "boundary":
            assert max(near) >= 0.1
        if outcome == "missed" and (not near or max(near) < 0.1):
            assert kind == "missed"


@given(PAIRS)
def test_perfect_is_all_found(pair):
    truth, _ = pair
    counts = count_errors([judge_objects(truth, truth)])
    assert counts == ErrorCounts(found=counts.n_true)
