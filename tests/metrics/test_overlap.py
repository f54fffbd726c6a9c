"""The table of overlaps: areas, intersections, ignored pixels, ids of any size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import metrics as reference

from unseam.errors import LabelError, ShapeError
from unseam.metrics.overlap import Overlaps, overlaps


def as_dicts(overlap: Overlaps) -> tuple[dict[int, int], dict[int, int], dict[tuple[int, int], int]]:
    pairs = zip(overlap.ids_true[overlap.pair_true], overlap.ids_pred[overlap.pair_pred], strict=True)
    return (
        dict(zip(overlap.ids_true.tolist(), overlap.area_true.tolist(), strict=True)),
        dict(zip(overlap.ids_pred.tolist(), overlap.area_pred.tolist(), strict=True)),
        {(int(t), int(p)): int(area) for (t, p), area in zip(pairs, overlap.pair_area, strict=True)},
    )


def test_by_hand() -> None:
    # truth 1 1 0    prediction 5 5 5    pairs: (1,5) 2 pixels, (1,9) 1, (4,9) 1; 4 has 1 pixel on background,
    #       1 4 4               9 9 0    5 has 1 pixel on background; the last row is background in both
    #       0 0 0               0 0 0
    found = overlaps(np.array([[1, 1, 0], [1, 4, 4], [0, 0, 0]]), np.array([[5, 5, 5], [9, 9, 0], [0, 0, 0]]))
    assert as_dicts(found) == ({1: 3, 4: 2}, {5: 3, 9: 2}, {(1, 5): 2, (1, 9): 1, (4, 9): 1})
    assert found.true_on_background.tolist() == [0, 1]
    assert found.pred_on_background.tolist() == [1, 0]
    assert (found.n_pixels, found.n_background, found.n_true, found.n_pred) == (9, 3, 2, 2)
    assert found.pair_iou.tolist() == [2 / 4, 1 / 4, 1 / 3]


def test_ignored_pixels_are_removed_from_both() -> None:
    # prediction 8 lies wholly on ignored pixels, so it does not exist; 5 keeps 1 of its 2 pixels
    found = overlaps(np.array([1, -1, -1, -1]), np.array([5, 5, 8, 0]))
    assert as_dicts(found) == ({1: 1}, {5: 1}, {(1, 5): 1})
    assert found.n_pixels == 1


@settings(max_examples=150, deadline=None)
@given(reference.label_pairs())
def test_agrees_with_loops(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, pred, kept = reference.objects(*pair)
    found = overlaps(*pair)
    areas_true, areas_pred, areas = as_dicts(found)
    assert areas_true == {t: len(pixels) for t, pixels in true.items()}
    assert areas_pred == {p: len(pixels) for p, pixels in pred.items()}
    assert areas == {(t, p): len(a & b) for t, a in true.items() for p, b in pred.items() if a & b}
    assert found.n_pixels == len(kept)
    assert found.n_background == kept.count((0, 0))
    assert found.true_on_background.sum() == sum(t != 0 and p == 0 for t, p in kept)
    assert found.pred_on_background.sum() == sum(t == 0 and p != 0 for t, p in kept)


@settings(max_examples=50, deadline=None)
@given(reference.label_pairs(), st.integers(0, 2**32 - 1))
def test_the_order_of_the_pixels_does_not_matter(pair: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(pair[0].size)
    shuffled = overlaps(pair[0].ravel()[order], pair[1].ravel()[order])
    assert as_dicts(shuffled) == as_dicts(overlaps(*pair))


def test_views_with_strides() -> None:
    labels_true = np.arange(24).reshape(4, 6) % 5
    labels_pred = np.arange(24).reshape(4, 6) % 3
    there = overlaps(labels_true[::-1, ::2].T, labels_pred[::-1, ::2].T)
    assert as_dicts(there) == as_dicts(overlaps(labels_true[:, ::2].copy(), labels_pred[:, ::2].copy()))


@pytest.mark.parametrize("huge", [2**24, 2**24 + 1, 2**31 - 1, 2**40])
def test_huge_ids(huge: int) -> None:
    found = overlaps(np.array([huge, huge, 3, 0]), np.array([1, huge, huge - 1, huge]))
    assert as_dicts(found) == (
        {3: 1, huge: 2},
        {1: 1, huge - 1: 1, huge: 2},
        {(3, huge - 1): 1, (huge, 1): 1, (huge, huge): 1},
    )


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint32, np.int64, np.uint64])
def test_any_integer_dtype(dtype: type) -> None:
    found = overlaps(np.array([[1, 0], [1, 1]], dtype=dtype), np.array([[1, 1], [0, 1]]))
    assert as_dicts(found) == ({1: 3}, {1: 3}, {(1, 1): 2})


@pytest.mark.parametrize("shape", [(0,), (0, 5), (3, 3)])
def test_without_objects(shape: tuple[int, ...]) -> None:
    nothing = np.zeros(shape, dtype=np.int32)
    found = overlaps(nothing, nothing)
    assert as_dicts(found) == ({}, {}, {})
    assert found.n_background == found.n_pixels == nothing.size


def test_shapes_differ() -> None:
    with pytest.raises(
        ShapeError, match=r"truth has shape \(2, 2\) and the prediction \(2, 3\); they must be"
    ):
        overlaps(np.zeros((2, 2), int), np.zeros((2, 3), int))


ONE = np.array([1])


@pytest.mark.parametrize(
    ("labels_true", "labels_pred", "words"),
    [
        (np.array([1.0]), ONE, "the truth holds float64 values; labels are integers: convert"),
        (ONE, np.array([1.0], np.float32), "the prediction holds float32 values; labels are integers"),
        (
            np.array([-2]),
            ONE,
            "the truth holds the label -2; labels are 0 and above, or -1 for pixels to leave out",
        ),
        (ONE, np.array([-1]), "the prediction holds the label -1; labels are 0 and above: relabel"),
        (ONE, np.array([2**63], np.uint64), r"holds the label 9223372036854775808; labels are below 2\*\*63"),
    ],
)
def test_values_that_cannot_be_labels(labels_true: np.ndarray, labels_pred: np.ndarray, words: str) -> None:
    with pytest.raises(LabelError, match=words):
        overlaps(labels_true, labels_pred)


def test_bad_values_on_ignored_pixels_are_still_errors() -> None:
    with pytest.raises(LabelError, match="the prediction holds the label -3"):
        overlaps(np.array([-1, 1]), np.array([-3, 1]))
