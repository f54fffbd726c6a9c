"""Agreement class by class."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.reference import metrics as reference

from unseam.errors import InputError, LabelError, ShapeError
from unseam.metrics.classes import (
    ClassCounts,
    class_counts,
    dice_classes,
    dice_per_class,
    iou_classes,
    iou_per_class,
    pool_classes,
)
from unseam.metrics.overlap import overlaps
from unseam.metrics.pixel import PixelCounts, dice, pixel_counts

CLASSES = 4
few = settings(max_examples=60, deadline=None)
SHAPES = st.sampled_from([(1,), (9,), (4, 5), (2, 3, 3), (0, 2)])


@st.composite
def class_pairs(draw: st.DrawFn, *, ignore: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Draw images of classes 0 to 3 of one shape, alike in some of the pixels."""
    shape = draw(SHAPES)
    true = draw(arrays(np.int32, shape, elements=st.integers(-1 if ignore else 0, 3)))
    other = draw(arrays(np.int32, shape, elements=st.integers(0, 3)))
    alike = draw(arrays(np.bool_, shape))
    return true, np.where(alike & (true >= 0), true, other)


def counted(true: np.ndarray, pred: np.ndarray, n_classes: int = CLASSES) -> ClassCounts:
    return class_counts(overlaps(true, pred), n_classes)


# By hand

TRUTHS = [np.array([1, 1, 2, 0], np.int32), np.array([2, 1, 0, -1], np.int32)]
FOUND = [np.array([1, 1, 1, 0], np.int32), np.array([2, 2, 0, 3], np.int32)]


def test_by_hand() -> None:
    # Class 1: tp 2, fp 1, fn 1. Class 2: tp 1, fp 1, fn 1. Class 3 is only where the truth is unknown.
    counts = pool_classes([counted(t, p) for t, p in zip(TRUTHS, FOUND, strict=True)])
    assert counts.of_class == (
        PixelCounts(tp=2, fp=1, fn=1, tn=3),
        PixelCounts(tp=1, fp=1, fn=1, tn=4),
        PixelCounts(tp=0, fp=0, fn=0, tn=7),
    )
    assert dice_per_class(counts) == (4 / 6, 2 / 4, pytest.approx(math.nan, nan_ok=True))
    assert iou_per_class(counts) == (2 / 4, 1 / 3, pytest.approx(math.nan, nan_ok=True))
    assert dice_classes(counts) == pytest.approx((4 / 6 + 2 / 4) / 2)
    assert iou_classes(counts) == pytest.approx((2 / 4 + 1 / 3) / 2)


def test_by_hand_a_border_that_is_moved_by_a_pixel() -> None:
    # Class 1 is columns 0, 1 and predicted 1, 2: 4 of 12 pixels. Class 2 is 2, 3 and predicted 3: 4 of 8.
    true = np.repeat([[1, 1, 2, 2]], 4, axis=0)
    pred = np.repeat([[0, 1, 1, 2]], 4, axis=0)
    assert iou_per_class(counted(true, pred, 3)) == (4 / 12, 4 / 8)


def test_classes_that_are_confused_score_nothing() -> None:
    truth = np.array([1, 2, 1, 2], np.int32)
    confused = counted(truth, 3 - truth, 3)
    assert (dice_classes(confused), iou_classes(confused)) == (0.0, 0.0)
    assert dice(pixel_counts(overlaps(truth, 3 - truth))) == 1.0  # of the foreground, all is right


def test_a_class_that_is_only_predicted_counts_as_wrong() -> None:
    counts = counted(np.array([1, 1, 0]), np.array([1, 1, 2]), 3)
    assert dice_per_class(counts) == (1.0, 0.0) and dice_classes(counts) == 0.5


def test_where_no_class_occurs_the_agreement_is_whole() -> None:
    for nothing in (np.zeros(3, np.int32), np.full(3, -1, np.int32), np.zeros((0, 2), np.int32)):
        counts = counted(nothing, np.maximum(nothing, 0), 3)
        assert dice_classes(counts) == iou_classes(counts) == 1.0
        assert all(math.isnan(value) for value in dice_per_class(counts))


# Against loops


@few
@given(class_pairs())
def test_agrees_with_loops(pair: tuple[np.ndarray, np.ndarray]) -> None:
    counts = counted(*pair)
    expected = reference.class_tables(reference.objects(*pair)[2], CLASSES)
    assert [(one.tp, one.fp, one.fn, one.tn) for one in counts.of_class] == expected
    scores = [2 * tp / (2 * tp + fp + fn) for tp, fp, fn, _ in expected if tp + fp + fn]
    assert dice_classes(counts) == pytest.approx(sum(scores) / len(scores) if scores else 1.0)


# Laws


@few
@given(class_pairs())
def test_perfect_is_one_whatever_is_ignored(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, noise = pair
    counts = counted(true, np.where(true >= 0, true, noise))
    assert dice_classes(counts) == iou_classes(counts) == 1.0


@few
@given(class_pairs(ignore=False), st.permutations([1, 2, 3]))
def test_symmetric_and_the_same_whatever_the_classes_are_called(
    pair: tuple[np.ndarray, np.ndarray], order: list[int]
) -> None:
    true, pred = pair
    renamed = np.array([0, *order])
    score = dice_classes(counted(true, pred))
    assert dice_classes(counted(pred, true)) == pytest.approx(score)
    assert dice_classes(counted(renamed[true], renamed[pred])) == pytest.approx(score)


@few
@given(class_pairs(), class_pairs())
def test_a_set_scores_as_one_image_of_all_its_pixels(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]
) -> None:
    whole = [np.concatenate([a.ravel(), b.ravel()]) for a, b in zip(one, other, strict=True)]
    assert pool_classes([counted(*one), counted(*other)]) == counted(whole[0], whole[1])


@few
@given(class_pairs())
def test_one_class_scores_as_the_foreground(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, pred = np.minimum(pair[0], 1), np.minimum(pair[1], 1)
    assert counted(true, pred, 2).of_class == (pixel_counts(overlaps(true, pred)),)


@few
@given(class_pairs())
def test_dice_and_iou_say_the_same(pair: tuple[np.ndarray, np.ndarray]) -> None:
    counts = counted(*pair)
    for d, j in zip(dice_per_class(counts), iou_per_class(counts), strict=True):
        assert d == pytest.approx(2 * j / (1 + j), nan_ok=True)


# Errors


def test_what_cannot_be_counted() -> None:
    one, two = (counted(TRUTHS[0], FOUND[0], n_classes) for n_classes in (3, 4))
    with pytest.raises(LabelError, match="class 3 was found; expected classes 0 to 2"):
        counted(np.array([0, 1]), np.array([0, 3]), 3)
    with pytest.raises(InputError, match="counts of 3 and 4 classes were given; expected images of one"):
        pool_classes([one, two])
    with pytest.raises(InputError, match="counts of no classes were given"):
        pool_classes([])
    with pytest.raises(ShapeError, match="must be of one shape"):
        counted(np.zeros(2, int), np.zeros(3, int))
