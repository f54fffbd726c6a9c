"""Annotations train and are scored as the label images that they were made of."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.tiny import samples, write_set

from unseam.config import DataConfig
from unseam.data.sample import IGNORE
from unseam.errors import LabelError, PairingError, ShapeError
from unseam.io.annotations.geojson import write_geojson
from unseam.io.annotations.outlines import outlines
from unseam.io.annotations.record import Shape
from unseam.io.images import read_labels, write_png, write_tiff
from unseam.workflow.checking import check_files
from unseam.workflow.converting import convert_files
from unseam.workflow.evaluation import evaluate_files
from unseam.workflow.listener import SILENT, Listener
from unseam.workflow.loading import LoadedSet, load_set

Folders = tuple[Path, Path]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return write_set(tmp_path / "set", samples(3))


def load(images: Path, labels: Path | None, said: list[str] | None = None, **data: object) -> LoadedSet:
    listener = SILENT if said is None else Listener(say=said.append)
    return load_set(images, labels, DataConfig(**data), listener)  # type: ignore[arg-type]


def square(top: int, left: int, side: int = 2, number: int = 1, **more: object) -> Shape:
    corners = [[top, left], [top, left + side], [top + side, left + side], [top + side, left]]
    return Shape(number, (np.array(corners, np.float64),), **more)  # type: ignore[arg-type]


def drawn(folder: Path, *shapes: Shape, name: str = "a", size: tuple[int, int] = (6, 8)) -> Folders:
    """An image and its GeoJSON."""
    write_png(folder / "images" / f"{name}.png", np.arange(size[0] * size[1], dtype=np.uint8).reshape(size))
    (folder / "drawn").mkdir(exist_ok=True)
    write_geojson(folder / "drawn" / f"{name}.geojson", shapes)
    return folder / "images", folder / "drawn"


@pytest.mark.parametrize("kind", ["rois", "geojson", "coco"])
def test_a_set_is_the_same_whatever_its_labels_are_kept_in(
    folders: Folders, tmp_path: Path, kind: str
) -> None:
    images, labels = folders
    out = tmp_path / ("set.json" if kind == "coco" else kind)
    convert_files(labels, kind, out, images=images, config=DataConfig(task="instances"), listener=SILENT)
    said: list[str] = []
    ours, theirs = load(images, out, said), load(images, labels, task="instances")
    assert [sample.stem for sample in ours.samples] == [sample.stem for sample in theirs.samples]
    for one, other in zip(ours.samples, theirs.samples, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
    count = sum(len(outlines(sample.labels)) for sample in theirs.samples)
    assert said[1].startswith(f"annotations: {count} outlines in {1 if kind == 'coco' else 3} file")
    checked = check_files(images, out, DataConfig(), listener=SILENT)
    assert checked.errors == 0 and said[1] in checked.lines
    again = shutil.copytree(out, tmp_path / "again") if out.is_dir() else out
    for true, pred in ((out, labels), (labels, out), (out, again)):
        scored = evaluate_files(
            true, pred, images=images, config=DataConfig(task="instances"), listener=SILENT
        )
        assert (scored.ap, scored.n_true, scored.n_pred) == (1.0, count, count)


def test_a_csv_file_of_pairs_may_name_annotations(folders: Folders, tmp_path: Path) -> None:
    images, labels = folders
    config = DataConfig(task="instances")
    convert_files(labels, "coco", tmp_path / "set.json", images=images, config=config, listener=SILENT)
    convert_files(labels, "rois", tmp_path / "rois", images=images, config=config, listener=SILENT)
    rows = [
        "image,labels",
        "set/images/synthetic_000.tif,set.json",
        "set/images/synthetic_001.tif,rois/synthetic_001.zip",
        "set/images/synthetic_002.tif,set/labels/synthetic_002.tif",
    ]
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    said: list[str] = []
    loaded = load(tmp_path / "pairs.csv", None, said)
    for sample in loaded.samples:
        np.testing.assert_array_equal(sample.labels, read_labels(labels / f"{sample.stem}.tif").data[0])
    assert (
        len(said) == 4 and said[2].startswith("labels: instances") and said[3].startswith("labels: instances")
    )
    with pytest.raises(
        PairingError, match=r"some labels are annotations, .* give one kind for --task semantic"
    ):
        load(tmp_path / "pairs.csv", None, task="semantic")


def test_the_frames_of_a_series_have_their_shapes(tmp_path: Path) -> None:
    film = np.zeros((2, 6, 8), np.uint8)
    film[:, 0, 0] = 9
    write_tiff(tmp_path / "film.tif", film, axes="TYX")
    write_geojson(tmp_path / "film.geojson", [square(0, 0, frame=0), square(3, 3, number=2, frame=1)])
    first, second = load(tmp_path / "film.tif", tmp_path / "film.geojson").samples
    assert np.argwhere(first.labels)[0].tolist() == [0, 0] and np.argwhere(second.labels)[0].tolist() == [
        3,
        3,
    ]


def test_points_become_disks_in_unknown_rings(tmp_path: Path) -> None:
    images, _ = drawn(tmp_path, square(0, 0), size=(9, 9))
    (tmp_path / "points").mkdir()
    (tmp_path / "points/a.csv").write_text("y,x\n4,4\n")
    labels = load(images, tmp_path / "points", point_radius=1.0, point_ring=2.0).samples[0].labels
    assert ((labels == 1).sum(), (labels == IGNORE).sum()) == (5, 8)


def test_ignored_regions_count_nowhere(tmp_path: Path) -> None:
    images, labels = drawn(tmp_path, square(0, 0), square(3, 3, 3, 2, class_name="Ignore*"))
    found = load(images, labels).samples[0].labels
    assert ((found == 1).sum(), (found == IGNORE).sum()) == (4, 9)
    write_png(
        tmp_path / "pred" / "a.png", np.maximum(found, 0).astype(np.uint8) + (found < 0).astype(np.uint8) * 2
    )
    scored = evaluate_files(labels, tmp_path / "pred", listener=SILENT)
    assert (scored.n_true, scored.n_pred, scored.ap) == (1, 1, 1.0)  # the object in the region is not counted


def test_classes_have_names_with_task_semantic(tmp_path: Path) -> None:
    images, labels = drawn(tmp_path, square(0, 0, class_name="b"), square(3, 3, 2, 2, class_name="a"))
    said: list[str] = []
    assert load(images, labels).task == "instances"
    loaded = load(images, labels, said, task="semantic")
    assert (
        loaded.task == "semantic" and "0 background, 1 a, 2 b (--class-names gives another order)" in said[-1]
    )
    assert (loaded.samples[0].labels[0, 0], loaded.samples[0].labels[3, 3]) == (2, 1)
    named = load(images, labels, task="semantic", class_names="b, a, c")
    assert (named.samples[0].labels[0, 0], named.coding.n_classes) == (1, 4)
    with pytest.raises(LabelError, match=r"of class 'a', which is not among b; add it to --class-names"):
        load(images, labels, task="semantic", class_names="b")
    for twice in ("b,b", " ,"):
        with pytest.raises(LabelError, match="each name once was expected"):
            load(images, labels, task="semantic", class_names=twice)


def test_classes_of_truth_and_prediction_are_the_same_ones(tmp_path: Path) -> None:
    images, labels = drawn(tmp_path, square(0, 0, class_name="b"), square(3, 3, 2, 2, class_name="c"))
    write_geojson(tmp_path / "a.geojson", [square(0, 0, class_name="b"), square(3, 3, class_name="a")])
    config = DataConfig(task="semantic")
    scored = evaluate_files(
        labels / "a.geojson", tmp_path / "a.geojson", images=images / "a.png", config=config, listener=SILENT
    )
    # The prediction has a where the truth has c: of three classes only b is right.
    assert scored.classes is not None
    assert scored.classes.scores(scored.classes.set)["dice_per_class"]["2"] == 1.0


def test_scribbles_have_a_background_of_their_own(tmp_path: Path) -> None:
    scribbles = np.zeros((6, 8), np.uint8)
    scribbles[0], scribbles[3, :3], scribbles[5, 4:] = 1, 2, 2
    write_png(tmp_path / "i" / "a.png", np.arange(48, dtype=np.uint8).reshape(6, 8))
    write_png(tmp_path / "l" / "a.png", scribbles)
    labels = load(tmp_path / "i", tmp_path / "l", background=1).samples[0].labels
    assert (labels == 0).sum() == 8 and (labels == IGNORE).sum() == 48 - 8 - 7
    assert labels[3, 0] == 1 and labels[5, 7] == 2  # two strokes, two objects
    semantic = load(tmp_path / "i", tmp_path / "l", background=1, task="semantic")
    assert semantic.coding.values == (0, 2) and semantic.samples[0].labels[5, 7] == 1
    write_png(tmp_path / "p" / "a.png", np.full((6, 8), 1, np.uint8))
    config = DataConfig(background=1, task="semantic")
    scored = evaluate_files(tmp_path / "l", tmp_path / "p", config=config, listener=SILENT)
    assert scored.pixel_error == 8 / 15  # all 8 pixels of background are wrong, and no unlabelled one is


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    images, labels = drawn(tmp_path, square(20, 20, name="lost"))
    with pytest.raises(
        LabelError, match=r"a\.geojson: shape 1 \('lost'\) lies outside the image of 6 x 8 pixels"
    ):
        load(images, labels)
    checked = check_files(images, labels, DataConfig(), listener=SILENT)
    assert checked.errors == 1 and "lies outside the image" in checked.lines[-1]
    write_tiff(tmp_path / "v.tif", np.zeros((3, 6, 8), np.uint8), axes="ZYX")
    with pytest.raises(ShapeError, match="outlines, which are 2-D, and its image is a volume"):
        load(tmp_path / "v.tif", labels / "a.geojson")
    with pytest.raises(LabelError, match="says how large the image is; give the images by --images"):
        evaluate_files(labels / "a.geojson", labels / "a.geojson", listener=SILENT)


def test_truths_of_two_kinds_cannot_be_classes(tmp_path: Path) -> None:
    _, labels = drawn(tmp_path, square(0, 0))
    for name in ("a", "b"):
        write_png(tmp_path / "pred" / f"{name}.png", np.eye(6, 8, dtype=np.uint8))
    write_png(labels / "b.png", np.eye(6, 8, dtype=np.uint8))
    assert evaluate_files(labels, tmp_path / "pred", listener=SILENT).n_images == 2
    with pytest.raises(
        PairingError, match=r"some labels are annotations, .* give one kind for --task semantic"
    ):
        evaluate_files(labels, tmp_path / "pred", config=DataConfig(task="semantic"), listener=SILENT)


def test_names_against_numbers_cannot_be_classes(tmp_path: Path) -> None:
    _, named = drawn(tmp_path, square(0, 0, class_name="b"), square(3, 3, 2, 2, class_name="a"))
    write_png(tmp_path / "numbers" / "a.png", np.eye(6, 8, dtype=np.uint8))
    for true, pred in ((named, tmp_path / "numbers"), (tmp_path / "numbers", named)):
        with pytest.raises(PairingError, match="classes have names, others images, whose classes have num"):
            evaluate_files(true, pred, config=DataConfig(task="semantic"), listener=SILENT)


def test_few_numbers_are_objects_where_the_other_side_is_drawn(tmp_path: Path) -> None:
    """By their values alone, 1 and 2 in two places each, they would pass for classes."""
    _, named = drawn(tmp_path, square(0, 0, class_name="a"), square(3, 3, 2, 2, class_name="a"))
    numbers = np.zeros((6, 8), np.uint8)
    numbers[0, 0], numbers[0, 7], numbers[5, 0], numbers[5, 7] = 1, 1, 2, 2
    write_png(tmp_path / "numbers" / "a.png", numbers)
    scored = evaluate_files(tmp_path / "numbers", named, listener=SILENT)
    assert scored.classes is None and (scored.n_true, scored.n_pred) == (2, 2)
