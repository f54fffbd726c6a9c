"""The sentences and numbers of the report."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unseam.metrics.isbi import isbi_scores
from unseam.metrics.matching import object_outcomes
from unseam.metrics.scores import pool, score
from unseam.report.words import (
    MEASURES,
    NOTHING,
    OF_BOUNDARIES,
    Tally,
    number,
    plural,
    tally,
    verdict,
    verdict_of_classes,
    verdict_of_pixels,
    verdict_without_truth,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, NOTHING),
        (math.nan, NOTHING),
        (0, "0"),
        (12345, "12,345"),
        (0.0, "0.000"),
        (1.0, "1.000"),
        (0.87654, "0.877"),
        (0.000353, "0.00035"),
        (-0.5, "-0.500"),
        (12.34, "12.3"),
        (1234.5, "1,234"),
        (math.inf, "inf"),
    ],
)
def test_numbers_have_sensible_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_plural() -> None:
    assert [plural(n, "object") for n in (0, 1, 2000)] == ["0 objects", "1 object", "2,000 objects"]
    assert plural(2, "mouse", "mice") == "2 mice"


def test_tally_counts_each_object_once() -> None:
    # true 1 is hit, 2 and 3 are merged into 8, 4 is missed, 9 is false
    true = np.array([1, 1, 0, 2, 2, 3, 3, 0, 4, 4, 0, 0])
    pred = np.array([7, 7, 0, 8, 8, 8, 8, 0, 0, 0, 0, 9])
    counts = tally(object_outcomes(true, pred, 0.6))
    assert counts == Tally(hit=1, merged=2, split=0, missed=1, false=1)
    assert counts.n_true == 4
    assert counts + Tally(hit=1, false=2) == Tally(hit=2, merged=2, missed=1, false=3)


def test_verdict_says_the_counts() -> None:
    assert verdict(Tally(hit=87, merged=5, split=1, missed=7, false=3), 4) == (
        "Of 100 objects in 4 images, 87 are found (IoU 0.5 or more); 5 are merged with a neighbour, "
        "1 is split and 7 are missed. 3 predicted objects match no true object."
    )


def test_verdict_says_how_well_the_outlines_fit_where_it_is_known() -> None:
    found = verdict(Tally(hit=3), 2, 0.8349)
    assert found == "All 3 objects in 2 images are found (IoU 0.5 or more, 0.83 in the mean)."


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (Tally(hit=2), "All 2 objects in 1 image are found (IoU 0.5 or more)."),
        (Tally(hit=1), "The one object in 1 image is found (IoU 0.5 or more)."),
        (Tally(missed=3), "Of 3 objects in 1 image, none are found (IoU 0.5 or more); 3 are missed."),
        (Tally(), "There are no true objects in 1 image."),
        (Tally(false=1), "There are no true objects in 1 image. 1 predicted object matches no true object."),
    ],
)
def test_verdict_in_special_cases(counts: Tally, text: str) -> None:
    assert verdict(counts, 1) == text


def test_verdict_of_pixels() -> None:
    assert verdict_of_pixels(0.93, 0.0411, 2) == (
        "Prediction and truth overlap with a Dice of 0.930 in 2 images; 4.1 % of the pixels are wrong."
    )
    assert verdict_of_pixels(0.5, None, 0) == "Prediction and truth overlap with a Dice of 0.500."
    assert verdict_of_pixels(math.nan, 0.1, 1) == "The prediction could not be scored in 1 image."


def test_verdict_of_classes() -> None:
    words = "Prediction and truth overlap with a Dice of 0.667 in 2 images, the mean over the classes."
    assert verdict_of_classes(2 / 3, 2) == words
    assert verdict_of_classes(2 / 3, 0) == words.replace(" in 2 images", "")


def test_verdict_without_truth() -> None:
    assert verdict_without_truth(1, 2) == "1 object found in 2 images. There is no truth to compare with."


def test_every_measure_is_explained() -> None:
    scores = pool([score(np.array([1, 0]), np.array([1, 1]))]).to_dict()
    assert set(scores) - {"n_images"} == set(MEASURES)
    assert all(label and meaning for label, meaning in MEASURES.values())
    of_boundaries = isbi_scores(np.ones((2, 2), bool), np.ones((2, 2))).to_dict()
    assert list(of_boundaries) == list(OF_BOUNDARIES)
