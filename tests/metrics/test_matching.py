"""Agreement of objects: matching, SEG, AJI, merges and splits, outcomes."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import metrics as reference

from unseam.errors import ConfigError
from unseam.metrics import matching
from unseam.metrics.matching import (
    THRESHOLDS,
    AjiCounts,
    MatchCounts,
    SegCounts,
    match_counts,
    object_outcomes,
)
from unseam.metrics.overlap import overlaps

Pair = tuple[np.ndarray, np.ndarray]
thresholds = st.sampled_from([0.05, 0.1, 0.2, 0.25, 1 / 3, 0.4, 0.5, 0.55, 0.75, 1.0])


def test_by_hand() -> None:
    # truth      1 1 1 2 2 3 0    (1,5): 2 of 3 -> IoU 2/3; (2,6): 2 of 3 -> 2/3; 3 is missed, 7 is false
    # prediction 5 5 0 6 6 6 7    (3,6): 1 of 3 -> 1/3, below the threshold
    overlap = overlaps(np.array([1, 1, 1, 2, 2, 3, 0]), np.array([5, 5, 0, 6, 6, 6, 7]))
    counts = match_counts(overlap, 0.5)
    assert counts == MatchCounts(0.5, tp=2, fp=1, fn=1, iou_sum=pytest.approx(4 / 3))
    assert matching.average_precision(counts) == 2 / 4
    assert matching.precision(counts) == matching.recall(counts) == matching.f1(counts) == 2 / 3
    assert matching.panoptic_quality(counts) == pytest.approx(4 / 9)
    assert match_counts(overlap, 0.7) == MatchCounts(0.7, tp=0, fp=3, fn=3, iou_sum=0)


def test_precision_is_of_the_predicted_and_recall_of_the_true() -> None:
    counts = MatchCounts(0.5, tp=3, fp=1, fn=3, iou_sum=2.5)
    assert matching.precision(counts) == 3 / 4
    assert matching.recall(counts) == 3 / 6
    assert matching.f1(counts) == 3 / 5
    assert matching.average_precision(counts) == 3 / 7
    assert matching.panoptic_quality(counts) == 2.5 / 5


def test_a_tie_at_one_half_is_matched_once() -> None:
    # truth 1 1, prediction 4 5: both IoU are 1/2, only one of them can be the match
    assert match_counts(overlaps(np.array([1, 1]), np.array([4, 5]))) == MatchCounts(0.5, 1, 1, 0, 0.5)


def test_more_matches_go_before_a_larger_sum() -> None:
    # truth 1 (10 pixels) and 2 (1); 7 is one pixel of 1; 8 is the other 9 and 2. IoU (1,8) 9/11, and nothing
    # is left for 2 and 7; (1,7) and (2,8) 1/10 each: less together, but two
    overlap = overlaps(np.repeat([1, 2], [10, 1]), np.repeat([7, 8], [1, 10]))
    assert match_counts(overlap, 0.1) == MatchCounts(0.1, 2, 0, 0, pytest.approx(0.2))
    assert match_counts(overlap, 0.11) == MatchCounts(0.11, 1, 1, 1, pytest.approx(9 / 11))


def test_thresholds_meet_the_fractions_that_lie_on_them() -> None:
    assert THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    for k, threshold in zip(range(10, 20), THRESHOLDS, strict=True):
        overlap = overlaps(np.repeat(1, 20), np.repeat([1, 0], [k, 20 - k]))  # IoU k / 20
        assert match_counts(overlap, threshold).tp == 1
        assert match_counts(overlap, threshold + 1e-9).tp == 0


def test_mean_average_precision_by_hand() -> None:
    overlap = overlaps(
        np.repeat(1, 20), np.repeat([1, 0], [14, 6])
    )  # IoU 0.7: a match at 5 of the 10 thresholds
    assert matching.mean_average_precision([match_counts(overlap, t) for t in THRESHOLDS]) == 0.5


def test_seg_by_hand() -> None:
    # true 1: 4 pixels, 3 by prediction 5 -> 3/5 (5 has one pixel outside); true 2: half covered is not more
    # than half -> 0; true 3: missed -> 0
    overlap = overlaps(np.array([0, 1, 1, 1, 1, 2, 2, 3]), np.array([5, 5, 5, 5, 0, 6, 0, 0]))
    assert matching.seg_counts(overlap) == SegCounts(3 / 5, 3)
    assert matching.seg(SegCounts(3 / 5, 3)) == pytest.approx(0.2)


def test_aji_by_hand() -> None:
    # 1 chooses 5: intersection 2, union 3; 2 overlaps nothing: union 2; 6 was not chosen: union 1
    overlap = overlaps(np.array([1, 1, 1, 2, 2, 0]), np.array([5, 5, 0, 0, 0, 6]))
    assert matching.aji_counts(overlap) == AjiCounts(2, 3 + 2 + 1)
    assert matching.aji(AjiCounts(2, 6)) == pytest.approx(1 / 3)


def test_aji_counts_a_prediction_once_for_each_true_object_that_chose_it() -> None:
    # both true objects (2 pixels) choose 5 (4 pixels): intersection 2 + 2, union 4 + 4; it is not unchosen
    assert matching.aji_counts(overlaps(np.array([1, 1, 2, 2]), np.array([5, 5, 5, 5]))) == AjiCounts(4, 8)


def test_aji_tie_goes_to_the_larger_intersection() -> None:
    # truth 6 pixels; 4 has 2, all inside: IoU 2/6; 5 has 3 inside, 3 outside: 3/9, chosen; 4 adds its 2
    labels_true, labels_pred = np.repeat([1, 0], [6, 3]), np.repeat([4, 0, 5], [2, 1, 6])
    assert matching.aji_counts(overlaps(labels_true, labels_pred)) == AjiCounts(3, 9 + 2)


def test_merge_and_split_by_hand() -> None:
    halves, whole = np.array([1, 1, 1, 2, 2, 0]), np.array([5, 5, 5, 5, 5, 5])
    merged, split = overlaps(halves, whole), overlaps(whole, halves)
    assert (matching.n_merges(merged), matching.n_splits(merged)) == (1, 0)
    assert (matching.n_merges(split), matching.n_splits(split)) == (0, 1)
    # exactly half of 2 is not more than half
    assert matching.n_merges(overlaps(np.array([1, 1, 1, 2, 2, 0]), np.array([5, 5, 5, 5, 0, 0]))) == 0


def test_outcomes_by_hand() -> None:
    #             hit   merged    split     missed   false
    # truth       1 1 | 2 2 3 3 | 4 4 4 4 | 6      | 0
    # prediction  1 1 | 2 2 2 2 | 4 5 5 0 | 0      | 9    (2,2), (3,2) and (4,5) have IoU 1/2
    labels_true = np.array([1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 6, 0])
    labels_pred = np.array([1, 1, 2, 2, 2, 2, 4, 5, 5, 0, 0, 9])
    found = object_outcomes(labels_true, labels_pred, 0.6)
    assert found.true == {1: "hit", 2: "merged", 3: "merged", 4: "split", 6: "missed"}
    assert found.pred == {1: "hit", 2: "merge", 4: "split", 5: "split", 9: "false"}
    at_half = object_outcomes(labels_true, labels_pred)
    assert at_half.threshold == 0.5
    assert sorted([at_half.true[2], at_half.true[3]]) == ["hit", "merged"]
    assert at_half.true[4] == at_half.pred[5] == at_half.pred[2] == "hit"
    assert at_half.pred[4] == "split"


@settings(max_examples=150, deadline=None)
@given(reference.label_pairs(), thresholds)
def test_matching_agrees_with_trying_everything(pair: Pair, threshold: float) -> None:
    true, pred, _ = reference.objects(*pair)
    tp, iou_sum = reference.best_matching(true, pred, threshold)
    counts = match_counts(overlaps(*pair), threshold)
    assert counts == MatchCounts(threshold, tp, len(pred) - tp, len(true) - tp, pytest.approx(iou_sum))


@settings(max_examples=150, deadline=None)
@given(reference.label_pairs())
def test_object_measures_agree_with_loops(pair: Pair) -> None:
    true, pred, _ = reference.objects(*pair)
    overlap = overlaps(*pair)
    assert matching.seg(matching.seg_counts(overlap)) == pytest.approx(reference.seg(true, pred), nan_ok=True)
    assert matching.aji(matching.aji_counts(overlap)) == pytest.approx(reference.aji(true, pred), nan_ok=True)
    assert matching.n_merges(overlap) == len(reference.merges(true, pred))
    assert matching.n_splits(overlap) == len(reference.splits(true, pred))


@settings(max_examples=100, deadline=None)
@given(reference.label_pairs(), thresholds)
def test_outcomes_agree_with_the_counts(pair: Pair, threshold: float) -> None:
    overlap = overlaps(*pair)
    counts, found = match_counts(overlap, threshold), object_outcomes(*pair, threshold)
    of_true, of_pred = Counter(found.true.values()), Counter(found.pred.values())
    assert of_true["hit"] == of_pred["hit"] == counts.tp
    assert of_true["missed"] + of_true["merged"] + of_true["split"] == counts.fn
    assert of_pred["false"] + of_pred["merge"] + of_pred["split"] == counts.fp
    true, pred, _ = reference.objects(*pair)
    merges, splits = reference.merges(true, pred), reference.splits(true, pred)
    assert {p for p, outcome in found.pred.items() if outcome == "merge"} <= merges
    assert {p for p in merges if found.pred[p] != "hit"} == {p for p in pred if found.pred[p] == "merge"}
    assert {t for t, outcome in found.true.items() if outcome == "split"} <= splits
    for p in merges if threshold >= 0.5 else ():
        assert "merged" in {found.true[t] for t in true if 2 * len(true[t] & pred[p]) > len(true[t])}
    for t in splits if threshold >= 0.5 else ():
        assert {"split", "merge"} & {found.pred[p] for p in pred if 2 * len(true[t] & pred[p]) > len(pred[p])}


@settings(max_examples=100, deadline=None)
@given(reference.label_pairs(ignore=False), thresholds)
def test_symmetry(pair: Pair, threshold: float) -> None:
    there, back = overlaps(*pair), overlaps(*pair[::-1])
    one, two = match_counts(there, threshold), match_counts(back, threshold)
    assert (two.tp, two.fp, two.fn) == (one.tp, one.fn, one.fp)
    assert two.iou_sum == pytest.approx(one.iou_sum)
    assert (matching.n_merges(there), matching.n_splits(there)) == (
        matching.n_splits(back),
        matching.n_merges(back),
    )


@settings(max_examples=50, deadline=None)
@given(reference.label_pairs(), thresholds, st.permutations([1, 2, 3, 5, 700]))
def test_ids_do_not_matter(pair: Pair, threshold: float, new: list[int]) -> None:
    table = np.arange(701)
    table[[1, 2, 3, 5, 700]] = new
    labels_pred = np.minimum(pair[1], 4)  # the huge id does not fit the table
    labels_true = np.where(pair[0] < 0, pair[0], table[pair[0]])
    before, after = overlaps(pair[0], labels_pred), overlaps(labels_true, table[labels_pred])
    one, two = match_counts(before, threshold), match_counts(after, threshold)
    assert (two.tp, two.fp, two.fn) == (one.tp, one.fp, one.fn)
    assert two.iou_sum == pytest.approx(one.iou_sum)
    assert matching.seg(matching.seg_counts(before)) == pytest.approx(
        matching.seg(matching.seg_counts(after)), nan_ok=True
    )
    assert (matching.n_merges(before), matching.n_splits(before)) == (
        matching.n_merges(after),
        matching.n_splits(after),
    )


def test_undefined_scores_are_nan() -> None:
    nothing = overlaps(np.zeros(3, int), np.zeros(3, int))
    counts = match_counts(nothing)
    assert counts == MatchCounts(0.5, 0, 0, 0, 0)
    scores = (
        matching.average_precision,
        matching.precision,
        matching.recall,
        matching.f1,
        matching.panoptic_quality,
    )
    assert all(math.isnan(one(counts)) for one in scores)
    assert math.isnan(matching.mean_average_precision([counts]))
    assert math.isnan(matching.seg(matching.seg_counts(nothing)))
    assert math.isnan(matching.aji(matching.aji_counts(nothing)))
    assert object_outcomes(np.zeros(3, int), np.zeros(3, int)) == matching.Outcomes(0.5, {}, {})


def test_one_empty_side_scores_zero() -> None:
    only_pred = overlaps(np.zeros(3, int), np.array([1, 2, 0]))
    counts = match_counts(only_pred)
    assert matching.average_precision(counts) == matching.f1(counts) == matching.precision(counts) == 0
    assert math.isnan(matching.recall(counts))
    assert matching.aji_counts(only_pred) == AjiCounts(0, 2)
    assert matching.seg_counts(overlaps(np.array([1, 2, 0]), np.zeros(3, int))) == SegCounts(0, 2)


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, math.nan])
def test_threshold_out_of_range(threshold: float) -> None:
    with pytest.raises(
        ConfigError, match=r"the IoU threshold is .*; give one above 0 and at most 1, such as 0.5"
    ):
        match_counts(overlaps(np.array([1]), np.array([1])), threshold)
