"""Agreement of the foregrounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from tests.reference import metrics as reference

from unseam.metrics.overlap import overlaps
from unseam.metrics.pixel import PixelCounts, dice, iou, pixel_counts, pixel_error


def test_by_hand() -> None:
    # truth 1 2    prediction 3 0    tp 1 (first), fn 2 (first row right, second row left), fp 1
    #       2 0               0 3
    counts = pixel_counts(overlaps(np.array([[1, 2], [2, 0]]), np.array([[3, 0], [0, 3]])))
    assert counts == PixelCounts(tp=1, fp=1, fn=2, tn=0)
    assert dice(counts) == 2 / 5
    assert iou(counts) == 1 / 4
    assert pixel_error(counts) == 3 / 4


def test_ignored_pixels_are_left_out() -> None:
    counts = pixel_counts(overlaps(np.array([1, 0, -1, -1]), np.array([1, 0, 1, 0])))
    assert counts == PixelCounts(tp=1, fp=0, fn=0, tn=1)


@settings(max_examples=100, deadline=None)
@given(reference.label_pairs())
def test_agrees_with_loops(pair: tuple[np.ndarray, np.ndarray]) -> None:
    counts = pixel_counts(overlaps(*pair))
    assert (counts.tp, counts.fp, counts.fn, counts.tn) == reference.pixel_table(reference.objects(*pair)[2])
    assert iou(counts) == pytest.approx(dice(counts) / (2 - dice(counts)))


@settings(max_examples=50, deadline=None)
@given(reference.label_pairs(ignore=False))
def test_symmetry(pair: tuple[np.ndarray, np.ndarray]) -> None:
    there, back = pixel_counts(overlaps(*pair)), pixel_counts(overlaps(*pair[::-1]))
    assert back == PixelCounts(tp=there.tp, fp=there.fn, fn=there.fp, tn=there.tn)
    assert (dice(there), iou(there)) == (dice(back), iou(back))


def test_empty_cases() -> None:
    assert dice(PixelCounts(0, 0, 0, 9)) == iou(PixelCounts(0, 0, 0, 9)) == 1
    assert pixel_error(PixelCounts(0, 0, 0, 9)) == 0
    assert dice(PixelCounts(0, 2, 0, 7)) == iou(PixelCounts(0, 0, 2, 7)) == 0
    assert math.isnan(pixel_error(PixelCounts(0, 0, 0, 0)))
