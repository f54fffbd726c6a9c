"""Labels against the truth: what is paired, what counts as an object, and what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unseam
from unseam.config import DataConfig
from unseam.errors import FileReadError, LabelError, OutputExistsError, PairingError, ShapeError
from unseam.io.images import write_png, write_tiff
from unseam.workflow.evaluation import Evaluation, evaluate, evaluate_files
from unseam.workflow.listener import SILENT, Listener

MEASURES = [
    "ap50",
    "ap75",
    "ap",
    "f1_50",
    "pq",
    "seg",
    "dice",
    "iou",
    "pixel_error",
    "v_rand",
    "v_info",
    "rand_error",
    "voi",
    "voi_split",
    "voi_merge",
    "n_true",
    "n_pred",
    "merges",
    "splits",
]
# Two true objects; the first is found whole, of the second 2 of 4 pixels.
TRUE = np.array([[1, 1, 0, 2, 2, 2, 2]], np.uint8)
PRED = np.array([[1, 1, 0, 2, 2, 0, 0]], np.uint8)


def save(folder: Path, **arrays: np.ndarray) -> Path:
    for name, array in arrays.items():
        write_png(folder / f"{name}.png", array)
    return folder


def files(true: Path, pred: Path, **options: Any) -> Evaluation:
    data = {name: options.pop(name) for name in ("ignore", "task", "axes") if name in options}
    return evaluate_files(true, pred, config=DataConfig(**data), **{"listener": SILENT, **options})


def test_scores_by_hand() -> None:
    found = evaluate(TRUE, PRED)
    # IoU 1 and 2/4: both match at 0.5, one of two at 0.75: 1 / (1 + 1 wrong + 1 missed).
    assert (found.ap50, found.ap75) == (1.0, pytest.approx(1 / 3))
    assert found.seg == pytest.approx(0.5)  # 2 of 4 pixels are not more than half: Jaccard 0
    # Foreground: 4 pixels right, 2 missed, none added, of 7.
    assert (found.iou, found.dice) == (pytest.approx(4 / 6), pytest.approx(8 / 10))
    assert found.pixel_error == pytest.approx(2 / 7)
    assert (found.n_true, found.n_pred, found.merges, found.splits) == (2, 2, 0, 0)


def test_a_list_of_images_is_pooled_and_each_is_named() -> None:
    found = unseam.evaluate([TRUE, TRUE], [TRUE, PRED * 0])
    assert list(found.images) == ["image000", "image001"]
    assert found.n_images == 2 and found.ap50 == 0.5  # 2 found, 2 missed
    shown = found.to_dict()
    assert set(MEASURES) <= set(shown["set"]) and set(MEASURES) <= set(shown["images"]["image001"])
    assert shown["images"]["image000"]["ap"] == 1.0 and shown["images"]["image001"]["ap"] == 0.0


def test_a_measure_that_is_none_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="Evaluation has no measure 'accuracy'"):
        _ = evaluate(TRUE, PRED).accuracy


def test_the_objects_of_a_mask_are_its_components_on_both_sides() -> None:
    # Diagonal neighbours are two objects; so are the two ends of the second row.
    mask = np.array([[255, 0, 0, 0], [0, 255, 0, 255]], np.uint8)
    same = evaluate(mask, mask)
    assert (same.n_true, same.n_pred, same.ap) == (3, 3, 1.0)
    numbered = evaluate(mask, np.array([[1, 0, 0, 0], [0, 2, 0, 3]]))
    assert (numbered.n_pred, numbered.ap) == (3, 1.0)
    assert evaluate(mask > 0, mask > 0).n_true == 3


def test_pixels_of_the_ignore_value_count_nowhere() -> None:
    true = np.array([[1, 1, 9, 9, 0]])
    assert evaluate(true, np.array([[1, 1, 1, 2, 0]]), ignore=9).ap == 1.0
    perfect = evaluate(true, np.array([[1, 1, 1, 2, 0]]), ignore=9)
    assert (perfect.pixel_error, perfect.n_true, perfect.n_pred) == (0.0, 1, 1)
    assert evaluate(true, np.array([[1, 1, 1, 2, 0]])).ap < 1.0
    mask = np.array([[255, 0, 255, 9, 0]])  # beside 9 it is a mask of two objects
    assert evaluate(mask, np.array([[1, 0, 2, 2, 0]]), ignore=9, task="instances").ap == 1.0


def test_the_truth_decides_whether_values_are_classes() -> None:
    # Two of three classes in two places: five regions. The prediction alone would pass for three objects.
    true = np.array([[1, 0, 2, 0, 1, 0, 2, 0, 3]])
    pred = np.array([[1, 0, 2, 0, 1, 0, 0, 0, 3]])
    found = evaluate(true, pred)
    assert (found.n_true, found.n_pred, found.ap50) == (5, 4, 0.8)
    # And numbered objects in the truth make numbered objects of the prediction, in pieces or not.
    true = np.array([[1, 1, 0, 2, 2, 0, 3, 3]])
    pred = np.array([[1, 2, 0, 2, 1, 0, 1, 2]])
    assert evaluate(true, pred).n_pred == 2
    assert evaluate(true, pred, task="semantic").n_pred == 6


# Rows of classes 0, 1, 2; the prediction takes half of class 1 for class 2.
CLASSES = np.array([[0, 0, 1, 1, 0, 2, 2, 0, 1, 1]], np.uint8)
HALF = np.array([[0, 0, 1, 1, 0, 2, 2, 0, 2, 2]], np.uint8)


def test_classes_are_scored_one_by_one() -> None:
    # Class 1: 2 right, 2 missed: Dice 4/6, IoU 2/4. Class 2: 2 right, 2 added: the same.
    found = evaluate(CLASSES, HALF, task="semantic")
    assert found.dice_classes == pytest.approx(4 / 6) and found.iou_classes == pytest.approx(2 / 4)
    assert found.dice == 1.0  # of the foreground
    assert found.to_dict()["images"]["image000"]["dice_per_class"] == pytest.approx({"1": 4 / 6, "2": 4 / 6})
    assert set(MEASURES) <= set(found.to_dict()["set"])


def test_classes_that_are_all_confused_score_nothing() -> None:
    true = np.array([[1, 1, 0, 2, 2, 0]])
    found = evaluate(true, np.array([[2, 2, 0, 1, 1, 0]]), task="semantic")
    assert (found.dice_classes, found.iou_classes, found.dice) == (0.0, 0.0, 1.0)


def test_classes_of_a_set_are_pooled_and_an_absent_class_has_no_score() -> None:
    # Class 1 of the set: 2 + 1 right, 1 missed: Dice 6/7. Class 2 occurs in the second image alone.
    true, pred = np.array([[1, 1, 0, 0]]), np.array([[1, 0, 0, 2]])
    shown = evaluate([true, true], [true, pred], task="semantic").to_dict()
    assert shown["set"]["dice_per_class"] == {"1": pytest.approx(6 / 7), "2": 0.0}
    assert shown["set"]["dice_classes"] == pytest.approx(3 / 7)
    assert shown["images"]["image000"]["dice_per_class"] == {"1": 1.0, "2": None}
    assert shown["images"]["image000"]["dice_classes"] == 1.0


def test_ignored_pixels_count_for_no_class() -> None:
    found = evaluate(np.array([[1, 1, 2, 9, 9]]), np.array([[1, 1, 2, 1, 2]]), ignore=9, task="semantic")
    assert found.dice_classes == found.iou_classes == 1.0


def test_instances_have_no_scores_of_classes() -> None:
    assert "dice_classes" not in evaluate(TRUE, PRED).to_dict()["set"]
    with pytest.raises(AttributeError, match="no measure 'dice_classes'"):
        _ = evaluate(TRUE, PRED).dice_classes


def test_the_report_of_classes_gives_their_mean(tmp_path: Path) -> None:
    true, pred = save(tmp_path / "t", a=CLASSES), save(tmp_path / "p", a=HALF)
    files(true, pred, task="semantic", report=tmp_path / "r.html", json_file=tmp_path / "s.json")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Prediction and truth overlap with a Dice of 0.667 in 1 image, the mean over the classes." in page
    scores = json.loads((tmp_path / "s.json").read_text())
    assert scores["set"]["dice_per_class"] == pytest.approx({"1": 4 / 6, "2": 4 / 6})


def test_empty_images_have_no_defined_scores_but_can_be_scored(tmp_path: Path) -> None:
    save(tmp_path / "t", a=TRUE * 0)
    found = files(tmp_path / "t", tmp_path / "t" / "a.png", json_file=tmp_path / "s.json")
    assert np.isnan(found.set.counted.ap50) and found.ap50 is None and found.dice == 1.0
    scores = json.loads((tmp_path / "s.json").read_text())
    assert scores["set"]["ap50"] is None and scores["images"]["a"]["n_true"] == 0


def test_ten_thousand_objects() -> None:
    squares = np.zeros((400, 400), np.int32)
    squares.reshape(100, 4, 100, 4)[:, :3, :, :3] = np.arange(1, 10_001).reshape(100, 1, 100, 1)
    found = evaluate(squares, squares[:, ::-1])  # the free column is on the other side: IoU 6/12
    assert (found.n_true, found.n_pred, found.ap50) == (10_000, 10_000, 1.0)


@pytest.mark.parametrize(
    ("true", "pred", "error", "words"),
    [
        ([TRUE], [], PairingError, "1 true and 0 predicted label images were given; one prediction for each"),
        ([], [], PairingError, "and at least one"),
        (
            TRUE,
            PRED[:, :5],
            ShapeError,
            r"image000: the truth has shape \(1, 7\) and the prediction \(1, 5\)",
        ),
        (TRUE / 2, PRED, LabelError, "labels of type float64 are no labels"),
        (TRUE, PRED.astype(int) - 1, LabelError, "negative value -1"),
    ],
)
def test_arrays_that_cannot_be_scored(true: Any, pred: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        evaluate(true, pred)


def test_folders_are_paired_by_name_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    true = save(tmp_path / "t", a=TRUE, b=TRUE, c=TRUE)
    pred = save(tmp_path / "p", a=PRED, b=TRUE, z=PRED)
    found = files(true, pred, json_file=tmp_path / "new" / "s.json", listener=Listener(said.append))
    scores = json.loads((tmp_path / "new" / "s.json").read_text())
    assert scores == found.to_dict() and list(scores["images"]) == ["a", "b"]
    assert scores["images"]["a"]["ap75"] == pytest.approx(1 / 3)
    assert said[:4] == [
        "pairs: 2, as truth a.png with prediction a.png",
        "left out: 1 true label images without prediction",
        "left out: 1 predictions without truth",
        "true labels: instances, 2 different numbers from 1 to 2 (--task semantic takes them as classes)",
    ]


def predictions(folder: Path, *names: str) -> Path:
    """A folder as `unseam predict` leaves it."""
    for name in names:
        write_tiff(folder / f"{name}.tif", PRED, axes="YX")
        write_tiff(folder / f"{name}_probabilities.tif", np.zeros((2, 1, 7), np.float32), axes="CYX")
        write_png(folder / f"{name}_overlay.png", np.zeros((1, 7, 3), np.uint8))
        (folder / f"{name}.csv").write_text("id\n")
    return folder


def test_what_predict_writes_beside_the_labels_is_passed_over(tmp_path: Path) -> None:
    said: list[str] = []
    pred = predictions(tmp_path / "p", "a", "b")
    found = files(save(tmp_path / "t", a=TRUE, b=TRUE), pred, listener=Listener(said.append))
    assert list(found.images) == ["a", "b"]
    assert not any("left out" in line for line in said)
    masks = save(tmp_path / "masks", a_mask=TRUE, b_mask=TRUE)
    assert list(files(masks, pred).images) == ["a", "b"]
    other = predictions(tmp_path / "q", "a", "b")
    assert files(pred, other).ap == 1.0  # two folders of predictions


def test_names_of_the_cell_tracking_challenge_are_paired(tmp_path: Path) -> None:
    true = save(tmp_path / "t", man_seg002=TRUE, man_seg010=TRUE)
    assert list(files(true, predictions(tmp_path / "p", "t002", "t010", "t011")).images) == ["t002", "t010"]


def test_results_of_the_cell_tracking_challenge_are_paired(tmp_path: Path) -> None:
    true, pred = save(tmp_path / "t", man_seg002=TRUE), save(tmp_path / "p", mask002=PRED, mask003=PRED)
    assert list(files(true, pred).images) == ["mask002"]


def test_each_frame_of_a_time_series_is_scored(tmp_path: Path) -> None:
    write_tiff(tmp_path / "t/a.tif", np.stack([TRUE, TRUE]), axes="TYX")
    write_tiff(tmp_path / "p/a.tif", np.stack([TRUE, PRED]), axes="TYX")
    found = files(tmp_path / "t", tmp_path / "p")
    assert {name: one.counted.ap75 for name, one in found.images.items()} == {
        "a_t000": 1.0,
        "a_t001": pytest.approx(1 / 3),
    }
    write_tiff(tmp_path / "q/a.tif", np.stack([TRUE, TRUE, PRED]), axes="TYX")
    with pytest.raises(ShapeError, match=r"a.tif has 2 frames and the prediction .*a.tif 3; they must"):
        files(tmp_path / "t", tmp_path / "q")


def test_axes_are_given_to_files_that_state_none(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.stack([TRUE, TRUE]))
    assert list(files(tmp_path / "a.npy", tmp_path / "a.npy", axes="ZYX").images) == ["a"]
    assert list(files(tmp_path / "a.npy", tmp_path / "a.npy", axes="TYX").images) == ["a_t000", "a_t001"]


def test_the_report_shows_the_images(tmp_path: Path) -> None:
    true, pred = save(tmp_path / "t", a_mask=TRUE), predictions(tmp_path / "p", "a")
    images = save(tmp_path / "i", a=np.full((1, 7), 77, np.uint8))
    found = files(true, pred, images=images, report=tmp_path / "r.html", headline=(("trained on", "hope"),))
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "p against t" in page and "trained on" in page and "hope" in page
    assert found.ap50 == 1.0
    files(true / "a_mask.png", pred / "a.tif", images=images / "a.png", report=tmp_path / "one.html")
    files(true, pred, report=tmp_path / "black.html")
    assert (tmp_path / "one.html").exists() and (tmp_path / "black.html").exists()


def test_outputs_that_are_there_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    for name in ("s.json", "r.html"):
        (tmp_path / name).write_text("mine")
    for option in ({"json_file": tmp_path / "s.json"}, {"report": tmp_path / "r.html"}):
        with pytest.raises(OutputExistsError, match="exists already; give --overwrite"):
            files(tmp_path / "nowhere", tmp_path / "nowhere", **option)
    save(tmp_path / "t", a=TRUE)
    save(tmp_path / "p", a=PRED)
    files(tmp_path / "t", tmp_path / "p", json_file=tmp_path / "s.json", overwrite=True)
    assert json.loads((tmp_path / "s.json").read_text())["set"]["n_images"] == 1


def test_where_the_report_fails_no_score_is_written(tmp_path: Path) -> None:
    true, pred = save(tmp_path / "t", a=TRUE, b=TRUE), save(tmp_path / "p", a=PRED, b=PRED)
    images = save(tmp_path / "i", a=PRED)
    with pytest.raises(
        PairingError, match=r"has no image for b.png \(1 missing in all\); add them, or leave"
    ):
        files(true, pred, images=images, json_file=tmp_path / "s.json", report=tmp_path / "r.html")
    assert not (tmp_path / "s.json").exists() and not (tmp_path / "r.html").exists()


def test_files_that_cannot_be_scored(tmp_path: Path) -> None:
    true = save(tmp_path / "t", a=TRUE)
    with pytest.raises(PairingError, match=r"no label file in .* belongs to an image"):
        files(true, save(tmp_path / "other", zzz=TRUE))
    with pytest.raises(
        ShapeError, match=r"a.png is 1 x 7 pixels and the prediction .*c.png 1 x 5; they must"
    ):
        files(true / "a.png", save(tmp_path / "cut", c=PRED[:, :5]) / "c.png")
    write_tiff(tmp_path / "half.tif", TRUE / 2, axes="YX")
    with pytest.raises(LabelError, match=r"half.tif has values that are not whole numbers"):
        files(true / "a.png", tmp_path / "half.tif")
    with pytest.raises(FileReadError, match="does not exist"):
        files(true, tmp_path / "nowhere")
