"""Agreement of partitions: Rand and information scores, and which part is split and which merge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.reference import metrics as reference

from unseam.metrics import partition
from unseam.metrics.overlap import overlaps
from unseam.metrics.partition import PartitionCounts, partition_counts

Pair = tuple[np.ndarray, np.ndarray]
WHOLE, HALVES = np.array([[1, 1], [1, 1]]), np.array([[2, 2], [7, 7]])


def counts_of(labels_true: np.ndarray, labels_pred: np.ndarray) -> PartitionCounts:
    return partition_counts(overlaps(labels_true, labels_pred))


def test_a_split_by_hand() -> None:
    # pixel pairs, of 16: together in the truth 16, in the prediction 4 + 4, in both 8
    # H(T) = 0, H(S) = 1 bit, H(S, T) = 1 bit, I = 0
    counts = counts_of(WHOLE, HALVES)
    assert counts == PartitionCounts(4, 8, 16, 8, entropy_joint=1, entropy_true=0, entropy_pred=1)
    assert partition.rand_split(counts) == 8 / 16  # recall of pairs: half of those that belong together
    assert partition.rand_merge(counts) == 8 / 8  # precision of pairs: nothing was put together wrongly
    assert partition.v_rand(counts) == 8 / 12
    assert partition.rand_error(counts) == pytest.approx(4 / 12)
    assert (partition.voi_split(counts), partition.voi_merge(counts)) == (1, 0)
    assert partition.variation_of_information(counts) == 1
    assert partition.v_info(counts) == 0


def test_a_merge_by_hand() -> None:
    counts = counts_of(HALVES, WHOLE)
    assert partition.rand_split(counts) == 1
    assert partition.rand_merge(counts) == 8 / 16
    assert partition.v_rand(counts) == 8 / 12
    assert (partition.voi_split(counts), partition.voi_merge(counts)) == (0, 1)


def test_information_by_hand() -> None:
    # truth 1 1 2 2, prediction 1 1 2 3: H(T) = 1, H(S) = 1.5, H(S, T) = 1.5, I = 1; V_info = 1 / 1.25
    counts = counts_of(np.array([1, 1, 2, 2]), np.array([1, 1, 2, 3]))
    assert partition.v_info(counts) == pytest.approx(0.8)
    assert partition.variation_of_information(counts) == pytest.approx(0.5)


def test_predicted_background_is_lone_pixels_and_true_background_is_left_out() -> None:
    # in the true foreground (4 pixels): segment 5 with 2 pixels, and two lone pixels; the rest is left out
    # pairs: truth 16, prediction 4 + 1 + 1 = 6, both 6; H(S) = 0.5 * 1 + 2 * 0.25 * 2 = 1.5
    counts = counts_of(np.array([1, 1, 1, 1, 0, 0, -1]), np.array([5, 5, 0, 0, 5, 6, 7]))
    assert counts == PartitionCounts(4, 6, 16, 6, entropy_joint=1.5, entropy_true=0, entropy_pred=1.5)
    assert partition.v_rand(counts) == pytest.approx(6 / 11)


def test_a_set_is_pooled_image_by_image() -> None:
    # the halves, found: pairs 4 + 4 in all three; H(T) = H(S) = H(S, T) = 1 bit
    # 8 pixels of one segment, found as 4 + 4: pairs true 64, predicted and both 32; H(T) = 0, H(S) = 1 bit
    perfect = counts_of(HALVES, HALVES)
    split = counts_of(np.ones((2, 4), int), np.array([[1] * 4, [2] * 4]))
    pooled = partition.pool_partitions([perfect, split])
    assert (pooled.n_pixels, pooled.pairs_joint) == (4 + 8, 8 + 32)
    assert (pooled.pairs_true, pooled.pairs_pred) == (8 + 64, 8 + 32)
    assert partition.v_rand(pooled) == pytest.approx(40 / 56)
    assert (pooled.entropy_true, pooled.entropy_pred) == (pytest.approx(4 / 12), 1)
    assert partition.v_info(pooled) == pytest.approx((4 / 12) / (0.5 * 4 / 12 + 0.5))
    nothing = partition.pool_partitions([])
    assert math.isnan(partition.v_rand(nothing)) and math.isnan(partition.v_info(nothing))


@settings(max_examples=150, deadline=None)
@given(reference.label_pairs())
def test_agrees_with_loops_over_pixel_pairs(pair: Pair) -> None:
    segments = reference.foreground_with_lone_pixels(reference.objects(*pair)[2])
    counts = counts_of(*pair)
    assert (counts.pairs_joint, counts.pairs_true, counts.pairs_pred) == reference.pair_counts(segments)
    assert counts.n_pixels == len(segments)
    assert counts.entropy_joint == pytest.approx(reference.entropy(list(segments)), abs=1e-12)
    assert counts.entropy_true == pytest.approx(reference.entropy([t for t, _ in segments]), abs=1e-12)
    assert counts.entropy_pred == pytest.approx(reference.entropy([p for _, p in segments]), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(reference.label_pairs())
def test_ranges(pair: Pair) -> None:
    counts = counts_of(*pair)
    assume(counts.n_pixels > 0)
    assert 0 < partition.v_rand(counts) <= 1
    assert 0 <= partition.v_info(counts) <= 1
    assert partition.voi_split(counts) >= 0
    assert partition.voi_merge(counts) >= 0


@settings(max_examples=50, deadline=None)
@given(reference.label_pairs(ignore=False))
def test_symmetry_where_both_are_foreground(pair: Pair) -> None:
    labels_true, labels_pred = np.where(pair[0], pair[0], 4), np.where(pair[1], pair[1], 4)
    assume(labels_true.size > 0)
    there, back = counts_of(labels_true, labels_pred), counts_of(labels_pred, labels_true)
    assert partition.v_rand(there) == pytest.approx(partition.v_rand(back))
    assert partition.rand_split(there) == pytest.approx(partition.rand_merge(back))
    assert partition.v_info(there) == pytest.approx(partition.v_info(back), abs=1e-9)
    assert partition.voi_split(there) == pytest.approx(partition.voi_merge(back), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(reference.label_pairs(), st.permutations([1, 2, 3, 5, 700]))
def test_perfect_is_1_whatever_the_ids(pair: Pair, new: list[int]) -> None:
    labels_true = pair[0]
    table = np.arange(701)
    table[[1, 2, 3, 5, 700]] = new
    counts = counts_of(labels_true, table[np.maximum(labels_true, 0)])
    assume(counts.n_pixels > 0)
    assert partition.v_rand(counts) == 1
    assert partition.rand_error(counts) == 0
    assert partition.v_info(counts) == pytest.approx(1)
    assert partition.variation_of_information(counts) == pytest.approx(0, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(np.int32, st.tuples(st.just(3), st.integers(1, 30)), elements=st.integers(1, 4)))
def test_variation_of_information_is_a_distance_and_bounded(partitions: np.ndarray) -> None:
    # Meila 2007: a metric on partitions of n pixels, at most log n, and for at most 4 segments each at
    # most 2 log 4.
    def distance(one: np.ndarray, two: np.ndarray) -> float:
        return partition.variation_of_information(counts_of(one, two))

    a, b, c = partitions
    assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-9
    assert distance(a, b) <= min(math.log2(a.size), 2 * math.log2(4)) + 1e-9
    assert (distance(a, b) < 1e-9) == (len({*zip(a, b, strict=True)}) == len({*a}) == len({*b}))


def test_splitting_one_segment_costs_its_share_of_the_pixels_in_bits() -> None:
    # Meila 2007: splitting a segment of 6 of 8 pixels in halves costs 6/8 * H(1/2, 1/2).
    counts = counts_of(np.array([1] * 6 + [2] * 2), np.array([1, 1, 1, 3, 3, 3, 2, 2]))
    assert partition.voi_split(counts) == pytest.approx(6 / 8)
    assert partition.voi_merge(counts) == 0


def test_variation_of_information_s_golden_extremes() -> None:
    # Meila 2003: one segment against n single pixels is the farthest, log n apart; and
    # partitions into k equal parts that say nothing of each other are 2 log k apart.
    grid = np.arange(64).reshape(8, 8)
    assert partition.variation_of_information(counts_of(np.ones((8, 8), int), grid + 1)) == 6
    assert partition.variation_of_information(counts_of(grid // 8 + 1, grid % 8 + 1)) == 6
    # ... which a prediction of nothing but background also is: each of its pixels stands alone.
    assert partition.variation_of_information(counts_of(np.ones((8, 8), int), np.zeros((8, 8), int))) == 6


def test_both_one_segment_has_information_score_1() -> None:
    assert partition.v_info(counts_of(WHOLE, WHOLE)) == 1


def test_without_true_foreground_all_are_nan() -> None:
    counts = counts_of(np.array([0, -1]), np.array([1, 1]))
    assert counts == PartitionCounts(0, 0, 0, 0, 0, 0, 0)
    measures = (
        partition.v_rand,
        partition.rand_error,
        partition.rand_split,
        partition.rand_merge,
        partition.v_info,
        partition.variation_of_information,
        partition.voi_split,
        partition.voi_merge,
    )
    assert all(math.isnan(measure(counts)) for measure in measures)
