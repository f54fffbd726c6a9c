"""The measures of the ISBI 2012 challenge: thresholds, thinning, pooling, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from tests.reference import boundaries as reference

from unseam.errors import ConfigError, InputError, LabelError, ShapeError
from unseam.io.images import read_labels
from unseam.metrics.isbi import THRESHOLDS, isbi_counts, isbi_scores, pool_isbi, score_isbi

ERRORS = ("rand_error", "warping_error", "split_merge_error", "pixel_error", "pixel_disagreement")
SCORES = ("v_rand_thinned", "v_info_thinned", "v_rand", "v_info")


def row(*values: float) -> np.ndarray:
    return np.array([values])


def test_a_merge_and_a_split_by_hand() -> None:
    truth = np.array([[1, 1, 0, 2, 2]])
    merged = isbi_scores(truth, row(0.9, 0.9, 0.9, 0.9, 0.9), thresholds=[0.5])
    # 4 pixels of cells, in the truth 2 + 2: pairs 4 + 4 = 8; predicted together: 16; together in both: 8
    assert merged.v_rand == merged.v_rand_thinned == 8 / 12 and merged.rand_error == pytest.approx(1 / 3)
    assert merged.v_info == 0  # one segment tells nothing
    assert merged.warping_error == merged.split_merge_error == 1 / 5
    # cells: 4 right, 1 added: Dice 8 / 9
    assert (merged.pixel_error, merged.pixel_disagreement) == (pytest.approx(1 / 9), 1 / 5)


def test_thinning_by_hand() -> None:
    truth = np.array([[1, 1, 1, 0, 2, 2, 2]])
    wide = isbi_scores(truth, row(0.9, 0.9, 0.2, 0.2, 0.2, 0.9, 0.9), thresholds=[0.5])
    # of each cell 2 pixels are a segment and 1 is alone. Pairs: true 9 + 9, predicted and both 4 + 1 + 4 + 1
    assert wide.v_rand == 10 / 14
    assert wide.v_rand_thinned == wide.v_info_thinned == 1
    assert wide.warping_error == 0
    assert (wide.pixel_error, wide.pixel_disagreement) == (pytest.approx(1 - 8 / 10), 2 / 7)


def test_each_measure_takes_its_best_threshold() -> None:
    truth = np.array([[1, 1, 1, 0, 2, 2]])
    probabilities = row(0.9, 0.9, 0.5, 0.4, 0.9, 0.9)
    at = {one.threshold: score_isbi([one]) for one in isbi_counts(truth, probabilities)}
    assert tuple(at) == THRESHOLDS and at[0.3].v_rand < 1 == at[0.4].v_rand
    best = isbi_scores(truth, probabilities)
    for name in SCORES:
        assert getattr(best, name) == max(getattr(one, name) for one in at.values()) == 1
    for name in ERRORS:
        assert getattr(best, name) == min(getattr(one, name) for one in at.values()) == 0


def test_a_set_has_one_threshold() -> None:
    truth = np.array([[1, 1, 0, 2, 2]])
    low, high = row(0.3, 0.3, 0.2, 0.3, 0.3), row(0.9, 0.9, 0.8, 0.9, 0.9)
    alone = [isbi_counts(truth, p) for p in (low, high)]
    assert [score_isbi(counts).v_rand for counts in alone] == [1, 1]
    # at 0.2 the second is one segment; at 0.8 nothing of the first is cell: 4 pixels alone
    together = score_isbi(pool_isbi(alone))
    assert together.v_rand == pytest.approx(max((8 + 8) / (8 + (8 + 16) / 2), (4 + 8) / (8 + (4 + 8) / 2)))
    assert together.warping_error == pytest.approx(min(1 / 10, 4 / 10))


def test_slices_are_images_of_their_own() -> None:
    truth = np.array([[[1, 1, 0, 2, 2]], [[1, 1, 1, 1, 1]]])
    probabilities = np.full(truth.shape, 0.9)
    counts = isbi_counts(truth, probabilities, thresholds=[0.5])
    alone = [isbi_counts(t, p, thresholds=[0.5]) for t, p in zip(truth, probabilities, strict=True)]
    assert counts == pool_isbi(alone)
    # pairs in both 8 + 25, true 8 + 25, predicted 16 + 25
    assert score_isbi(counts).v_rand == 33 / (0.5 * 33 + 0.5 * 41)
    # bits, weighted by pixels: H(T) = 4 * 1 + 5 * 0, H(S) = 0, and nothing in common
    assert score_isbi(counts).v_info == 0


def test_labels_that_touch_get_a_membrane() -> None:
    touching = np.array([[1, 1, 2, 2, 2]])
    assert isbi_counts(touching, row(0.9, 0.9, 0.1, 0.9, 0.9)) == isbi_counts(
        np.array([[True, True, False, True, True]]), row(0.9, 0.9, 0.1, 0.9, 0.9)
    )


def test_pixels_that_are_not_counted() -> None:
    found = isbi_scores(np.array([[1, 1, 0, -1, -1]]), row(0.9, 0.9, 0.1, 0.9, 0.1))
    assert all(getattr(found, name) == 1 for name in SCORES) and all(getattr(found, e) == 0 for e in ERRORS)


def test_undefined_measures_are_none() -> None:
    membrane = isbi_scores(np.zeros((2, 2), int), np.full((2, 2), 0.2))
    shown = membrane.to_dict()
    assert math.isnan(membrane.v_rand) and shown["isbi_v_rand"] is None and shown["isbi_rand_error"] is None
    assert shown["isbi_warping_error"] == 0 and next(iter(shown)) == "isbi_v_rand_thinned"
    nothing = isbi_scores(np.full((2, 2), -1), np.full((2, 2), 0.2)).to_dict()
    assert nothing["isbi_warping_error"] is None and nothing["isbi_pixel_disagreement"] is None
    json.dumps([shown, nothing], allow_nan=False)


def test_a_threshold_without_cells_hides_no_merge() -> None:
    truth = np.ones((4, 7), int)
    truth[:, 3] = 0
    counts = isbi_counts(truth, np.full(truth.shape, 0.7), thresholds=[0.5, 0.8])
    at_5, at_8 = (score_isbi([one]) for one in counts)
    assert (at_5.split_merge_error, at_8.split_merge_error) == (4 / 28, 0)  # at 0.8 both cells are gone
    assert (at_5.warping_error, at_8.warping_error) == (4 / 28, 2 / 28)  # and cost one pixel each
    best = score_isbi(counts)
    assert best.v_rand_thinned == at_5.v_rand_thinned == 2 / 3 > at_8.v_rand_thinned
    assert (best.split_merge_error, best.warping_error) == (4 / 28, 2 / 28)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(1, 3), st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_agrees_with_loops(data: st.DataObject, depth: int, plane: tuple[int, int]) -> None:
    truth = data.draw(arrays(np.int8, (depth, *plane), elements=st.sampled_from([-1, 0, 1, 1])))
    p = data.draw(arrays(np.float64, truth.shape, elements=st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0])))
    for one in isbi_counts(truth, p, thresholds=(0.0, 0.3, 0.5)):
        found, masks = score_isbi([one]), list(p > one.threshold)
        for thinned, value in ((False, found.v_rand), (True, found.v_rand_thinned)):
            assert value == pytest.approx(reference.v_rand(truth, masks, thinned=thinned), nan_ok=True)
        left = 0
        for t, mask, q in zip(truth, masks, p, strict=True):
            target, sure = np.where(t < 0, t > 0, mask), np.abs(q - one.threshold)
            left += np.count_nonzero(reference.warp(t > 0, target, sure, np.ones(t.shape, bool)) != target)
        assert one.warping.n_different == left
        cells, counted = truth > 0, truth >= 0
        wrong = np.count_nonzero((cells != np.array(masks)) & counted)
        assert (one.pixels.fp + one.pixels.fn, one.warping.n_pixels) == (wrong, np.count_nonzero(counted))


@settings(max_examples=40, deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))))
def test_perfect(truth: np.ndarray) -> None:
    found = isbi_scores(truth, np.where(truth, 0.9, 0.1), thresholds=[0.5])
    if truth.any():
        assert [getattr(found, name) for name in SCORES] == pytest.approx([1] * 4)
        assert found.rand_error == found.pixel_error == 0
    assert found.warping_error == found.split_merge_error == found.pixel_disagreement == 0


def test_membranes_of_the_challenge(real_data: Path) -> None:
    labels = [read_labels(real_data / f"isbi2012/labels/{name}.png").data[0] for name in ("00", "29")]
    cells = np.stack(labels) > 0
    perfect = isbi_scores(cells, cells.astype(float), thresholds=[0.5])
    assert all(getattr(perfect, name) == 1 for name in SCORES)
    assert all(getattr(perfect, name) == 0 for name in ERRORS)
    thicker = np.stack([ndimage.binary_erosion(plane, border_value=1) for plane in cells])
    found = isbi_scores(cells, thicker.astype(float), thresholds=[0.5])
    # membranes a pixel wider on both sides: many pixels, few mistakes
    assert found.pixel_disagreement > 0.05 > 100 * found.warping_error > 0
    assert found.v_rand < 0.97 and found.v_rand_thinned > 0.99


@pytest.mark.parametrize(
    ("truth", "probabilities", "error", "words"),
    [
        (np.zeros((2, 2), int), np.zeros((2, 3)), ShapeError, r"truth has shape \(2, 2\).*\(2, 3\)"),
        (np.zeros(4, int), np.zeros(4), ShapeError, r"expected equal shapes, \(Y, X\) or \(Z, Y, X\)"),
        (np.zeros((2, 2)), np.zeros((2, 2)), LabelError, "holds float64 values; give a mask of the cells"),
        (np.zeros((2, 2), int), np.full((2, 2), 1.5), InputError, "not all between 0 and 1"),
        (np.zeros((2, 2), int), np.full((2, 2), math.nan), InputError, "not all between 0 and 1"),
    ],
)
def test_refusals(truth: np.ndarray, probabilities: np.ndarray, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        isbi_counts(truth, probabilities)


@pytest.mark.parametrize("thresholds", [(), (0.5, 1.0), (-0.1,)])
def test_thresholds_that_cannot_be(thresholds: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="expected one or more, from 0 to below 1"):
        isbi_counts(np.zeros((2, 2), int), np.zeros((2, 2)), thresholds=thresholds)


def test_what_cannot_be_pooled() -> None:
    truth, p = np.ones((2, 2), int), np.ones((2, 2))
    with pytest.raises(InputError, match="0 images, or thresholds that differ, cannot be pooled"):
        pool_isbi([])
    with pytest.raises(InputError, match="2 images, or thresholds that differ"):
        pool_isbi([isbi_counts(truth, p, thresholds=[0.1]), isbi_counts(truth, p, thresholds=[0.2])])
