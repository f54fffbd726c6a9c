"""The worst objects, and the crops around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseam.metrics.matching import object_outcomes
from unseam.report.worst import MAX_CROPS, Find, Judged, _window, finds, pick, worst_crops


def judged(true: NDArray[np.int32], pred: NDArray[np.int32], stem: str = "a") -> Judged:
    image = np.random.default_rng(0).integers(0, 255, (1, *true.shape)).astype(np.uint8)
    return Judged(stem, image, true, pred, object_outcomes(true, pred))


def every_kind() -> Judged:
    """1: merged with 2 in 10; 3: split into 13, 14, 15; 4: missed; 5: weak; 6: right; 16: false."""
    true, pred = np.zeros((60, 120), np.int32), np.zeros((60, 120), np.int32)
    true[0:10, 0:10], true[0:10, 10:20], pred[0:10, 0:20] = 1, 2, 10
    true[20:30, 0:30], pred[20:30, 0:10], pred[20:30, 10:20], pred[20:30, 20:30] = 3, 13, 14, 15
    true[40:50, 0:10] = 4
    true[0:10, 50:60], pred[0:6, 50:60] = 5, 11
    true[0:10, 80:90], pred[0:10, 80:90] = 6, 12
    pred[40:44, 50:54] = 16
    return judged(true, pred)


def test_finds_every_kind_with_the_objects_concerned() -> None:
    everything = list(finds(every_kind()))
    assert len(everything) == 5
    assert {f.kind: (f.true_ids, f.pred_ids, f.area, f.iou) for f in everything} == {
        # each of 1 and 2 is half of 10, so one is a hit of IoU 0.5, the other merged: shown once, as merged
        "merged": ({1, 2}, {10}, 200, 0.0),
        "split": ({3}, {13, 14, 15}, 300, 0.0),
        "missed": ({4}, set(), 100, 0.0),
        "false": (set(), {16}, 16, 0.0),
        "hit": ({5}, {11}, 100, 0.6),
    }


def test_pick_takes_from_all_kinds_alike_and_the_largest_first() -> None:
    where = every_kind()
    many = [Find("missed", where, frozenset({k}), frozenset(), k) for k in range(1, 10)]
    few = [Find("false", where, frozenset(), frozenset({k}), k) for k in (1, 2)]
    weak = [Find("hit", where, frozenset({k}), frozenset({k}), 5, iou) for k, iou in ((1, 0.6), (2, 0.5))]
    chosen = pick([*weak, *few, *many], 7)
    assert [(f.kind, f.area, f.iou) for f in chosen] == [
        ("missed", 9, 0.0),
        ("missed", 8, 0.0),
        ("missed", 7, 0.0),
        ("false", 2, 0.0),
        ("false", 1, 0.0),
        ("hit", 5, 0.5),
        ("hit", 5, 0.6),
    ]
    assert pick([], 5) == []


def test_crops_are_bounded_and_say_what_they_show() -> None:
    crops = worst_crops([every_kind()])
    assert {crop.kind for crop in crops} == {"merged", "split", "missed", "false", "hit"}
    assert [crop.detail for crop in crops][:3] == [
        "2 objects in predicted 10",
        "object 3 in 3 pieces",
        "object 4",
    ]
    assert "object 5, IoU 0.60" in [crop.detail for crop in crops]
    rng = np.random.default_rng(0)
    crowd = rng.permutation(np.arange(1, 401)).reshape(20, 20).repeat(5, 0).repeat(5, 1).astype(np.int32)
    assert len(worst_crops([judged(crowd, np.zeros_like(crowd))])) == MAX_CROPS


def test_a_crop_of_a_volume_is_the_slice_with_most_of_the_object() -> None:
    true = np.zeros((4, 30, 30), np.int32)
    true[1, 2:5, 2:5], true[3, 2:9, 2:9] = 1, 1
    (crop,) = worst_crops([judged(true, np.zeros_like(true))])
    assert (crop.kind, crop.label, crop.detail, crop.stem) == ("missed", "missed", "object 1, z = 3", "a")
    assert (crop.picture.width, crop.picture.height) == (30, 30)


def test_ignored_ground_makes_no_finds() -> None:
    true, pred = np.full((9, 9), -1, np.int32), np.ones((9, 9), np.int32)
    assert worst_crops([judged(true, pred)]) == []


def test_the_window_is_square_and_inside() -> None:
    subject = np.zeros((100, 200), bool)
    subject[50:60, 100:150] = True
    assert _window(subject) == (
        slice(10, 100),
        slice(80, 170),
    )  # 50 and 40 % on each side: 90; pushed up to fit
    subject = np.zeros((100, 200), bool)
    subject[0, 0] = True
    assert _window(subject) == (slice(0, 40), slice(0, 40))
    assert _window(np.ones((10, 300), bool)) == (slice(0, 10), slice(0, 300))
