"""What is held out, how it is scored, and what is chosen by it."""

from __future__ import annotations

import types
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.tiny import samples

from unseam.config import ObjectConfig
from unseam.data.sample import Sample
from unseam.decisions import to_labels
from unseam.fingerprint import fingerprint
from unseam.workflow.validation import (
    CANDIDATES,
    choose_objects,
    class_scores,
    hold_out,
    hold_out_part,
    validate,
)

CELLS = samples(1, size=40)


@pytest.mark.parametrize(
    ("count", "share", "held"),
    [(1, 0.5, 0), (3, 0.5, 0), (4, 0.15, 1), (20, 0.15, 3), (20, 0.0, 0), (4, 0.9, 3), (200, 0.5, 16)],
)
def test_images_are_held_out_by_share_but_some_are_left(count: int, share: float, held: int) -> None:
    some = [replace(CELLS[0], stem=str(i)) for i in range(count)]
    learn, test = hold_out(some, share, seed=1)
    assert len(test) == held and len(learn) == count - held
    stems = [[s.stem for s in part] for part in (learn, test)]
    assert sorted(stems[0] + stems[1]) == sorted(s.stem for s in some)
    assert [s.stem for s in hold_out(some, share, seed=1)[1]] == stems[1]
    assert stems == [sorted(part, key=int) for part in stems]


def test_other_seeds_hold_other_images_out() -> None:
    some = [replace(CELLS[0], stem=str(i)) for i in range(20)]
    assert len({tuple(s.stem for s in hold_out(some, 0.15, seed)[1]) for seed in range(5)}) > 1


@pytest.mark.parametrize(("share", "fewest"), [(0.1, 1), (0.5, 6), (0.9, 11)])
def test_the_frames_of_a_series_stay_together(share: float, fewest: int) -> None:
    # Two films of four frames, and four single images; as many as were asked for where a group is left.
    stems = [*(f"film_{film}_t{t:03}" for film in "ab" for t in range(4)), "c", "d", "e_t2", "t003"]
    some = [replace(CELLS[0], stem=stem) for stem in stems]
    for seed in range(20):
        learn, test = ([s.stem for s in part] for part in hold_out(some, share, seed))
        assert learn and sorted(learn + test) == sorted(stems)
        assert len(test) >= min(fewest, 12 - 4)
        for film in ("film_a_", "film_b_"):
            assert sum(stem.startswith(film) for stem in test) in (0, 4)
    assert {len(hold_out(some, 0.1, seed)[1]) for seed in range(20)} == {1, 4}


def test_a_set_that_is_one_series_is_not_divided() -> None:
    film = [replace(CELLS[0], stem=f"film_t{t:03}") for t in range(8)]
    assert hold_out(film, 0.5, seed=0) == (tuple(film), ())


def in_rows(*shape: int, objects: int) -> Sample:
    """An image whose labels are stripes across its last axis, each intensity a place."""
    labels = np.broadcast_to(np.arange(shape[-1]) * objects // shape[-1] + 1, shape).astype(np.int32)
    return Sample("wide", np.arange(labels.size).reshape(1, *shape), labels, (1.0,) * len(shape))


@pytest.mark.parametrize("shape", [(8, 120), (3, 8, 120)])
def test_of_a_single_large_image_the_end_is_held_out(shape: tuple[int, ...]) -> None:
    whole = in_rows(*shape, objects=120)
    (learn,), (held,), which = hold_out_part([whole], 0.15, "instances")
    assert which == "x 102 to 119 of wide"
    assert learn.labels.shape == (*shape[:-1], 102) and held.labels.shape == (*shape[:-1], 18)
    for name in ("image", "labels"):
        joined = np.concatenate([getattr(part, name) for part in (learn, held)], axis=-1)
        np.testing.assert_array_equal(joined, getattr(whole, name))
    assert learn.spacing == held.spacing == whole.spacing and learn.stem == held.stem == "wide"


def test_the_longest_axis_is_cut_and_the_first_of_equal_ones() -> None:
    for shape, which in [((9, 20, 20), "y 4 to 19"), ((20, 20), "y 4 to 19"), ((20, 9, 9), "z 4 to 19")]:
        labels = np.arange(np.prod(shape), dtype=np.int32).reshape(shape) + 1
        one = Sample("a", labels[None], labels)
        assert hold_out_part([one], 0.8, "instances")[2] == f"{which} of a"


def test_of_few_images_the_largest_is_cut_and_the_order_stays() -> None:
    small, large = in_rows(5, 60, objects=60), replace(in_rows(6, 80, objects=80), stem="large")
    learn, held, which = hold_out_part([small, large, replace(small, stem="b")], 0.5, "instances")
    assert [s.labels.shape for s in learn] == [(5, 60), (6, 40), (5, 60)]
    assert [s.labels.shape for s in held] == [(6, 40)] and which == "x 40 to 79 of large"


@pytest.mark.parametrize(
    ("sample", "share", "task"),
    [
        (in_rows(8, 120, objects=25), 0.15, "instances"),  # four objects in the part, five are wanted
        (in_rows(8, 120, objects=25), 0.85, "instances"),  # and so few left to learn from
        (in_rows(8, 120, objects=2), 0.15, "semantic"),  # class 1 is nowhere in the part
        (in_rows(8, 100, objects=100), 0.15, "instances"),  # 15 pixels thick
        (in_rows(8, 120, objects=120), 0.0, "instances"),
    ],
)
def test_an_image_is_not_cut_where_a_part_would_be_too_poor(sample: Sample, share: float, task: str) -> None:
    assert hold_out_part([sample], share, task) == ((sample,), (), "")


def test_no_frame_of_a_series_is_cut_and_nothing_is_of_nothing() -> None:
    frames = tuple(replace(in_rows(5, 120, objects=60), stem=f"film_t{t:03}") for t in range(2))
    assert hold_out_part(frames, 0.15, "instances") == (frames, (), "")
    assert hold_out_part(frames[:1], 0.15, "instances")[2] == "x 102 to 119 of film_t000"
    assert hold_out_part([], 0.15, "instances") == ((), (), "")


def test_classes_are_cut_where_both_parts_hold_them_all() -> None:
    labels = np.tile(np.array([0, 1, -1, 2], np.int32), (4, 30))
    one = Sample("a", labels[None], labels)
    assert hold_out_part([one], 0.15, "semantic")[2] == "x 102 to 119 of a"


def test_class_scores_by_hand() -> None:
    # Class 1: tp 2, fp 1, fn 1, Dice 4/6, IoU 2/4. Class 2: tp 1, fp 1, fn 1, Dice 2/4, IoU 1/3.
    # Class 3 is nowhere; the last pixel is unknown.
    truths = [np.array([1, 1, 2, 0], np.int32), np.array([2, 1, 0, -1], np.int32)]
    found = [np.array([1, 1, 1, 0], np.int32), np.array([2, 2, 0, 3], np.int32)]
    scores = class_scores(truths, found, classes=4)
    assert scores == {
        "dice": pytest.approx((4 / 6 + 2 / 4) / 2),
        "iou": pytest.approx((2 / 4 + 1 / 3) / 2),
    }


def test_classes_that_are_confused_score_nothing() -> None:
    truth = np.array([1, 2, 1, 2], np.int32)
    assert class_scores([truth], [3 - truth], classes=3) == {"dice": 0.0, "iou": 0.0}
    assert class_scores([truth], [truth], classes=3) == {"dice": 1.0, "iou": 1.0}


def test_where_no_class_occurs_the_agreement_is_whole() -> None:
    nothing = np.zeros(3, np.int32)
    assert class_scores([nothing], [nothing], classes=3) == {"dice": 1.0, "iou": 1.0}


class Fixed:
    """In place of a model: the same probability everywhere it is asked."""

    def __init__(self, foreground: np.ndarray[Any, Any], task: str = "instances") -> None:
        objects = ObjectConfig(threshold=0.5, low_threshold=0.3, min_size=0, grow=0)
        self.header = types.SimpleNamespace(task=task, objects=objects, fingerprint=None)
        self.network = types.SimpleNamespace(classes=2)
        self.foreground = foreground

    def predict(self, _: Any) -> Any:
        return types.SimpleNamespace(
            labels=to_labels(self.probabilities(_), "instances", self.header.objects)
        )

    def probabilities(self, _: Any) -> np.ndarray[Any, Any]:
        return np.stack([1 - self.foreground, self.foreground]).astype(np.float32)


def tile(model: Fixed, labels: np.ndarray[Any, Any]) -> Fixed:
    """The same as if it had learned from these labels."""
    found = fingerprint([labels[None]], [labels], spacings=[None], task="instances")
    model.header.fingerprint = found
    return model


BRIDGED = np.array([[0.95, 0.95, 0.55, 0.95, 0.95]] * 3)  # two cells and a bridge between them
APART = np.array([[1, 1, 0, 2, 2]] * 3, np.int32)


def test_the_threshold_that_parts_the_held_out_objects_is_chosen() -> None:
    chosen = choose_objects(Fixed(BRIDGED), [Sample("a", BRIDGED[None], APART)])  # type: ignore[arg-type]
    assert chosen.threshold is not None and chosen.threshold > 0.55 and chosen.grow == 0


def test_what_was_planned_stays_where_nothing_is_better() -> None:
    clear = np.where(APART > 0, 0.95, 0.02)
    model = Fixed(clear)
    held_out = [Sample("a", clear[None], APART)]
    assert choose_objects(model, held_out) == model.header.objects  # type: ignore[arg-type]
    assert choose_objects(model, []) == model.header.objects  # type: ignore[arg-type]
    other = Fixed(BRIDGED, task="semantic")
    assert choose_objects(other, held_out) == other.header.objects  # type: ignore[arg-type]


@pytest.mark.parametrize("free", [(), ("low_threshold",), ("low_threshold", "grow")])
def test_what_the_user_set_is_left_alone(free: Collection[str]) -> None:
    model = Fixed(BRIDGED)
    chosen = choose_objects(model, [Sample("a", BRIDGED[None], APART)], free=free)  # type: ignore[arg-type]
    for name in set(CANDIDATES) - set(free):
        assert getattr(chosen, name) == getattr(model.header.objects, name)


def test_what_is_free_is_chosen_beside_what_is_set() -> None:
    # Cores of one pixel in objects of three: with the threshold set, growing finds the rest.
    foreground = np.array([[0.4, 0.9, 0.4, 0.0, 0.4, 0.9, 0.4]])
    truth = np.array([[1, 1, 1, 0, 2, 2, 2]], np.int32)
    model = Fixed(foreground)
    model.header.objects = replace(model.header.objects, threshold=0.8)
    chosen = choose_objects(model, [Sample("a", foreground[None], truth)], free=["grow"])  # type: ignore[arg-type]
    assert chosen == replace(model.header.objects, grow=1)


# Two large objects and a column of crumbs, wall to wall. Three of the crumbs are found at 0.6; the boundary
# of the large ones is faint, 0.85: only a threshold above it parts them, and loses the crumbs.
WALLS = np.array([[1] * 6 + [2] * 6 + [3 + row] for row in range(6)], np.int32)
FAINT = np.array([[0.99] * 6 + [0.85] + [0.99] * 4 + [0.1, 0.1 + 0.5 * (row % 2)] for row in range(6)])


def test_where_objects_tile_the_partition_chooses() -> None:
    held_out = [Sample("a", FAINT[None], WALLS)]
    by_partition = choose_objects(tile(Fixed(FAINT), WALLS), held_out)  # type: ignore[arg-type]
    assert by_partition.threshold in (0.9, 0.95, 0.98)
    assert choose_objects(Fixed(FAINT), held_out).threshold == 0.5  # type: ignore[arg-type]


def test_where_objects_tile_the_partition_is_scored() -> None:
    model = tile(Fixed(np.where(WALLS > 0, 0.9, 0)), WALLS)
    scores = validate(model, [Sample("a", WALLS[None], WALLS)])  # type: ignore[arg-type]
    # One object of all: nothing is told of the truth; of 78 pixels 36 and 36 and six single ones
    assert list(scores) == ["v_info", "v_rand", "ap50"] and scores["v_info"] == 0
    assert scores["v_rand"] == pytest.approx(2 * (2 * 36**2 + 6) / (78**2 + 2 * 36**2 + 6))
    apart = validate(Fixed(np.where(WALLS > 0, 0.9, 0)), [Sample("a", WALLS[None], WALLS)])  # type: ignore[arg-type]
    assert list(apart) == ["ap", "ap50", "dice"]
