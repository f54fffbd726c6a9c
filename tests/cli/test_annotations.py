"""Each kind of annotation through the commands, as a person gives it: trained on, scored, written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.cli.conftest import Run
from tests.tiny import samples

from unseam.io.annotations.coco import write_coco
from unseam.io.annotations.geojson import write_geojson
from unseam.io.annotations.imagej import write_rois
from unseam.io.annotations.outlines import outlines
from unseam.io.annotations.record import Annotations
from unseam.io.images import read_labels, write_png, write_tiff

SMALL = [
    part
    for setting in (
        "network.base_width=2",
        "network.depth=1",
        "train.patch=[52, 52]",
        "train.batch=1",
        "train.validations=1",
        "data.validation=0",
    )
    for part in ("--set", setting)
]
NAMES = ("cells_0", "cells_1", "cells_2")
Labels = NDArray[np.int32]


@pytest.fixture
def cells(tmp_path: Path) -> dict[str, Labels]:
    """Labels of three images, which lie in the folder images."""
    labels = {}
    for name, sample in zip(NAMES, samples(3), strict=True):
        write_tiff(tmp_path / "images" / f"{name}.tif", sample.image[0], axes="YX", spacing=sample.spacing)
        labels[name] = sample.labels
    return labels


def annotate(kind: str, folder: Path, cells: dict[str, Labels]) -> Path:
    """The labels as files of a kind; returns what is given to the commands."""
    out = folder / "annotations"
    out.mkdir()
    for name, labels in cells.items():
        shapes = outlines(labels)
        if kind == "zip":
            write_rois(out / f"{name}.zip", shapes)
        elif kind == "roi":
            write_rois(out / f"{name}.roi", shapes[:1])
        elif kind == "geojson":
            write_geojson(out / f"{name}.geojson", shapes)
        elif kind == "csv":
            centres = [np.argwhere(labels == shape.id).mean(axis=0) for shape in shapes]
            (out / f"{name}.csv").write_text("x,y\n" + "".join(f"{x},{y}\n" for y, x in centres))
    if kind == "coco":
        named = [(f"{name}.png", Annotations(outlines(labels), (64, 64))) for name, labels in cells.items()]
        write_coco(out / "set.json", named)
        return out / "set.json"
    return out


@pytest.mark.parametrize("kind", ["zip", "roi", "geojson", "coco", "csv"])
def test_annotations_are_trained_on_and_scored_against(
    run: Run, tmp_path: Path, cells: dict[str, Labels], kind: str
) -> None:
    given = annotate(kind, tmp_path, cells)
    trained = run("train", tmp_path / "images", given, "--out", tmp_path / "run", "--iterations", 2, *SMALL)
    assert trained.code == 0, trained.err
    shapes = "3 outlines" if kind == "roi" else "points" if kind == "csv" else "outlines"
    assert f"{shapes} in {1 if kind == 'coco' else 3} file" in trained.err
    assert ("unknown, and left out of training" in trained.err) == (kind == "csv")
    assert run("check", tmp_path / "images", given).code == 0
    for name, labels in cells.items():
        write_tiff(tmp_path / "labels" / f"{name}.tif", labels, axes="YX")
    scored = run("evaluate", given, tmp_path / "labels", "--task", "instances")
    assert scored.code == 0 and "n_images       3" in scored.out, scored.err


def test_outlines_of_a_prediction_lie_beside_its_labels(
    run: Run, model: Path, tmp_path: Path, cells: dict[str, Labels]
) -> None:
    saves = ("--save", "labels,rois,geojson,coco,table")
    predicted = run("predict", model, tmp_path / "images", "--out", tmp_path / "out", *saves)
    assert predicted.code == 0, predicted.err
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {f"{name}.{end}" for name in NAMES for end in ("tif", "zip", "geojson", "json", "csv")}
    scored = run("evaluate", annotate("zip", tmp_path, cells), tmp_path / "out")
    assert scored.code == 0 and "n_images       3" in scored.out, scored.err


def test_scribbles_are_trained_on(run: Run, tmp_path: Path, cells: dict[str, Labels]) -> None:
    for name, labels in cells.items():
        scribbles = np.zeros(labels.shape, np.uint8)
        scribbles[::8] = np.where(labels[::8] > 0, 2, 1)  # a stroke every eight rows
        write_png(tmp_path / "scribbles" / f"{name}.png", scribbles)
    options = ["--background", 1, "--task", "semantic"]
    arguments = [tmp_path / "images", tmp_path / "scribbles", *options]
    trained = run("train", *arguments, "--out", tmp_path / "run", "--iterations", 2, *SMALL)
    assert trained.code == 0, trained.err
    assert "labels: 2 classes, 0 is class 0, 2 is class 1" in trained.err
    assert "unknown, and left out of training: 87.5% of the pixels" in trained.err  # seven rows of eight
    assert run("check", *arguments).code == 0
    assert run("evaluate", tmp_path / "scribbles", tmp_path / "scribbles_copy", *options).code == 2


def test_labels_are_converted(run: Run, tmp_path: Path, cells: dict[str, Labels]) -> None:
    given = annotate("zip", tmp_path, cells)
    out = tmp_path / "labels"
    ran = run("convert", given, "--to", "labels", "--images", tmp_path / "images", "--out", out)
    assert ran.code == 0 and ran.err.endswith(f"3 converted: {out}\n"), ran.err
    for name, labels in cells.items():
        written = read_labels(out / f"{name}.tif")
        np.testing.assert_array_equal(written.data[0], labels)
        assert written.spacing == pytest.approx((0.5, 0.5))
    again = run("convert", given, "--to", "labels", "--images", tmp_path / "images", "--out", out)
    assert again.code == 2 and "exist" in again.err
    assert run("convert", out, "--to", "ctc", "--out", tmp_path / "01_RES").code == 0
    assert len(list((tmp_path / "01_RES").iterdir())) == 4


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.zip", b"PK", "a.zip"),
        ("a.roi", b"Iout", "a.roi"),
        ("a.geojson", b'{"type": "Feature"', "a.geojson"),
        ("a.json", b"{}", "a.json"),
        ("a.json", b'{"images": [], "annotations": [], "categories": []}', "a.json"),
        ("a.csv", b"y\n1\n", "expected the columns y and x"),
        ("a.csv", b"", "is empty (0 bytes)"),
    ],
)
def test_a_broken_file_is_one_sentence(
    run: Run, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    image = tmp_path / "cells.tif"
    write_tiff(image, np.eye(9, dtype=np.uint8), axes="YX")
    for arguments in (
        ("train", image, tmp_path / name, "--out", tmp_path / "run"),
        ("convert", tmp_path / name, "--to", "labels", "--out", tmp_path / "a.tif", "--images", image),
        ("evaluate", tmp_path / name, image),
    ):
        ran = run(*arguments)
        assert ran.code == 2 and words in ran.err.splitlines()[-1], ran.err
        assert "Traceback" not in ran.err and "please report" not in ran.err
    assert not (tmp_path / "run").exists() and not (tmp_path / "a.tif").exists()
