"""All measures of an image and of a set: names, pooling, what is undefined."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import metrics as reference

from unseam.errors import InputError
from unseam.metrics.scores import pool, score

Pair = tuple[np.ndarray, np.ndarray]
COUNTED = (
    "ap50 ap75 ap f1_50 precision_50 recall_50 pq seg aji dice iou pixel_error n_true n_pred merges splits"
)
OF_PARTITION = "v_rand v_info rand_error voi voi_split voi_merge"

PERFECT = np.array([[1, 1, 0], [2, 2, 0], [2, 2, 0]])
NOTHING = np.zeros((3, 3), int)


def test_names() -> None:
    found = score(PERFECT, PERFECT)
    assert list(found.to_dict()) == (COUNTED + " " + OF_PARTITION).split()
    assert list(pool([found]).to_dict()) == ["n_images", *found.to_dict()]


def test_perfect_is_1() -> None:
    found = score(PERFECT, PERFECT * 40).to_dict()
    zeros = {"pixel_error", "merges", "splits", "rand_error", "voi", "voi_split", "voi_merge"}
    expected = {name: 0 if name in zeros else 1 for name in found} | {"n_true": 2, "n_pred": 2}
    assert found == pytest.approx(expected)


def test_by_hand() -> None:
    # truth 1 1 1 2 0, prediction 5 5 0 0 6: (1,5) IoU 2/3; 2 is missed, 6 is false
    # AP is 1/3 at 0.5, 0.55, 0.6, 0.65 and 0 above: mean 4/30; AJI 2 / (3 + 1 + 1); pixels tp 2, fp 1, fn 2
    # true foreground 4 pixels: truth 9 + 1 = 10 pairs, prediction 4 + 1 + 1 = 6, both 6: V_rand 6/8
    found = score(np.array([1, 1, 1, 2, 0]), np.array([5, 5, 0, 0, 6]))
    assert found.to_dict() == pytest.approx(
        {
            "ap50": 1 / 3,
            "ap75": 0,
            "ap": 4 / 30,
            "f1_50": 1 / 2,
            "precision_50": 1 / 2,
            "recall_50": 1 / 2,
            "pq": 1 / 3,
            "seg": 1 / 3,
            "aji": 2 / 5,
            "dice": 4 / 7,
            "iou": 2 / 5,
            "pixel_error": 3 / 5,
            "n_true": 2,
            "n_pred": 2,
            "merges": 0,
            "splits": 0,
            "v_rand": 6 / 8,
            # H(T) = 2 - 0.75 log2(3), H(S) = H(S, T) = 1.5, I = H(T)
            "v_info": (2 - 0.75 * math.log2(3)) / (0.5 * 1.5 + 0.5 * (2 - 0.75 * math.log2(3))),
            "rand_error": 2 / 8,
            "voi": 1.5 - (2 - 0.75 * math.log2(3)),
            "voi_split": 1.5 - (2 - 0.75 * math.log2(3)),
            "voi_merge": 0,
        },
        abs=1e-12,
    )


def test_merges_and_splits_are_reported() -> None:
    apart, together = np.array([1, 1, 2, 2]), np.array([1, 1, 1, 1])
    assert (score(apart, together).counted.merges, score(apart, together).counted.splits) == (1, 0)
    assert (score(together, apart).counted.merges, score(together, apart).counted.splits) == (0, 1)


def test_pooled_counts_by_hand() -> None:
    # one image of 1 object, perfect; one of 3 objects, all missed: AP pooled is 1/4, not the mean 1/2
    one, other = np.array([1, 1, 0, 0]), np.array([1, 2, 3, 0])
    found = pool([score(one, one), score(other, np.zeros(4, int))])
    assert found.n_images == 2
    assert found.counted.ap50 == found.counted.ap == found.counted.seg == found.counted.recall_50 == 1 / 4
    assert found.counted.precision_50 == 1
    assert found.counted.aji == found.counted.iou == 2 / 5  # 2 pixels found, 3 missed
    assert found.counted.pixel_error == 3 / 8
    assert (found.counted.n_true, found.counted.n_pred) == (4, 1)
    # V_rand is averaged: 1, and, of 3 lone pixels each a true segment of its own, 1
    assert found.partition.v_rand == 1


def test_partition_scores_are_averaged_where_defined() -> None:
    whole, halves = np.array([1, 1, 1, 1]), np.array([1, 1, 2, 2])
    images = [score(whole, whole), score(whole, halves), score(np.zeros(4, int), whole)]
    assert pool(images).partition.v_rand == pytest.approx((1 + 2 / 3) / 2)
    assert pool(images).partition.voi_split == 1 / 2
    assert pool(images).partition.voi_merge == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(reference.label_pairs(), min_size=1, max_size=3))
def test_pooled_counts_are_those_of_the_images_side_by_side(pairs: list[Pair]) -> None:
    # the images as one, with ids of their own
    moved = [
        (
            np.where(t > 0, t.astype(np.int64) + k * 2**32, t),
            np.where(p > 0, p.astype(np.int64) + k * 2**32, p),
        )
        for k, (t, p) in enumerate(pairs)
    ]
    beside = score(
        np.concatenate([t.ravel() for t, _ in moved]), np.concatenate([p.ravel() for _, p in moved])
    )
    pooled = pool([score(*pair) for pair in pairs])
    for name in COUNTED.split():
        assert getattr(pooled.counted, name) == pytest.approx(getattr(beside.counted, name), nan_ok=True)


@settings(max_examples=50, deadline=None)
@given(reference.label_pairs())
def test_the_same_image_once_or_twice(pair: Pair) -> None:
    one = score(*pair)
    assert pool([one, one]).to_dict() == pytest.approx(
        one.to_dict()
        | {"n_images": 2}
        | {name: 2 * getattr(one.counted, name) for name in ("n_true", "n_pred", "merges", "splits")}
    )
    assert pool([one]).to_dict() == one.to_dict() | {"n_images": 1}


@settings(max_examples=50, deadline=None)
@given(reference.label_pairs())
def test_json_has_no_nan(pair: Pair) -> None:
    found = score(*pair).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_undefined_is_null() -> None:
    found = score(NOTHING, NOTHING).to_dict()
    undefined = "ap50 ap75 ap f1_50 precision_50 recall_50 pq seg aji " + OF_PARTITION
    assert [name for name, value in found.items() if value is None] == undefined.split()
    assert (found["dice"], found["iou"], found["pixel_error"]) == (1, 1, 0)
    assert math.isnan(score(NOTHING, NOTHING).counted.ap50)


def test_false_objects_in_an_empty_image_score_zero() -> None:
    found = score(NOTHING, PERFECT).to_dict()
    undefined = {"seg", "recall_50", *OF_PARTITION.split()}
    assert {name for name, value in found.items() if value is None} == undefined
    assert all(found[name] == 0 for name in COUNTED.split()[:12] if name not in undefined | {"pixel_error"})
    assert found["pixel_error"] == 6 / 9


def test_everything_ignored() -> None:
    found = score(NOTHING - 1, PERFECT).to_dict()
    assert found["pixel_error"] is None
    assert (found["n_true"], found["n_pred"]) == (0, 0)


def test_ignored_pixels_change_nothing() -> None:
    labels_true, labels_pred = np.array([1, 1, 2, -1, -1, -1, 0]), np.array([1, 0, 2, 2, 3, 0, 4])
    known = labels_true >= 0
    assert score(labels_true, labels_pred) == score(labels_true[known], labels_pred[known])


def test_no_images() -> None:
    with pytest.raises(InputError, match="there are no scores to pool; score at least one image"):
        pool([])


@pytest.mark.real
def test_real_nuclei_moved_by_a_pixel(real_data: Path) -> None:
    path = min((real_data / "dsb2018" / "labels").glob("*.tif"))
    labels = tifffile.imread(path).astype(np.int32)
    perfect, moved = score(labels, labels), score(labels, np.roll(labels, 1, axis=1))
    assert perfect.counted.ap == perfect.counted.seg == perfect.counted.aji == perfect.partition.v_rand == 1
    assert perfect.counted.n_true == len(np.unique(labels)) - 1
    assert 0.5 < moved.counted.seg < 1
    assert moved.counted.n_pred == perfect.counted.n_true
