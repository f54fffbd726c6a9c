"""The demo, shrunken: from images to a report, and never over anybody's files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tiny import samples, write_set

from unseam.errors import InputError, OutputExistsError, PairingError
from unseam.io.images import read_image, write_tiff
from unseam.workflow import demo
from unseam.workflow.demo import run_demo
from unseam.workflow.listener import SILENT, Listener


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "TRAIN_IMAGES", 3)
    monkeypatch.setattr(demo, "TRAIN_SHAPE", (48, 48))
    monkeypatch.setattr(demo, "TEST_SHAPE", (80, 80))


def run(out: Path, **options: Any) -> Path:
    return run_demo(out, **{"minutes": 0.02, "listener": SILENT, **options})


def test_synthetic_images_become_a_report(tmp_path: Path) -> None:
    said: list[str] = []
    out = tmp_path / "demo"
    report = run(out, minutes=0.05, listener=Listener(said.append))
    page = report.read_text(encoding="utf-8")
    assert report == out / "report.html"
    assert "unseam on synthetic microscopy" in page and "unseam demo --minutes 0.05 --seed 0" in page
    assert "All images are synthetic" in page
    scores = json.loads((out / "scores.json").read_text())
    assert list(scores["images"]) == ["synthetic_000", "synthetic_001"]
    assert scores["set"]["n_true"] > 0
    assert read_image(out / "test/images/synthetic_000.tif").spacing == pytest.approx((0.5, 0.5))
    assert (out / "run/model.safetensors").exists() and said[-1].startswith("done in 0:")


def test_anisotropic_volumes_keep_their_pixel_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(Exception):
        pass

    def stop(images: Path, *_: Any, **__: Any) -> None:
        (first, *_) = sorted(images.iterdir())
        assert read_image(first).spacing == pytest.approx((2.0, 0.5, 0.5))
        raise Stopped

    monkeypatch.setattr(demo, "train", stop)
    for name in "ab":
        volume = np.random.default_rng(1).integers(0, 99, (4, 8, 8)).astype(np.uint16)
        labels = np.zeros((4, 8, 8), np.uint8)
        labels[1:3, 2:5, 2:5] = 1
        labels[1:3, 6:, 6:] = 2
        write_tiff(tmp_path / f"i/{name}.tif", volume, axes="ZYX", spacing=(2.0, 0.5, 0.5))
        write_tiff(tmp_path / f"l/{name}.tif", labels, axes="ZYX", spacing=(2.0, 0.5, 0.5))
    with pytest.raises(Stopped):
        run(tmp_path / "out", images=tmp_path / "i", labels=tmp_path / "l")


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_own_images_are_divided_and_a_second_demo_keeps_nothing_of_the_first(tmp_path: Path) -> None:
    own = [replace(s, stem=f"own_{number}") for number, s in enumerate(samples(4))]
    images, labels = write_set(tmp_path / "a folder", own)
    out = tmp_path / "out"
    page = run(out, images=images, labels=labels).read_text(encoding="utf-8")
    assert "unseam on images" in page and "All images are synthetic" not in page
    assert f"--images &#39;{images}&#39;" in page  # quoted, as the folder has a space
    learned, tested = names(out / "train/images"), names(out / "test/images")
    assert len(learned) == 3 and len(tested) == 1 and not set(learned) & set(tested)

    with pytest.raises(OutputExistsError, match="holds a demo already; give --overwrite to replace it"):
        run(out)
    run(out, overwrite=True)
    scores = json.loads((out / "scores.json").read_text())
    assert list(scores["images"]) == ["synthetic_000", "synthetic_001"]
    assert names(out / "train/labels") == [f"synthetic_00{k}.tif" for k in range(3)]
    assert names(out / "test/images") == [f"synthetic_00{k}.tif" for k in range(2)]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_somebody_else_is_never_touched(tmp_path: Path, overwrite: bool) -> None:
    mine = tmp_path / "test/images/mine.tif"
    write_tiff(mine, np.zeros((4, 4), np.uint8), axes="YX")
    (tmp_path / "command.txt").write_text("make coffee")
    with pytest.raises(OutputExistsError, match="holds files that are no demo; give --out a new folder"):
        run(tmp_path, overwrite=overwrite)
    assert mine.exists() and names(tmp_path) == ["command.txt", "test"]


def test_images_need_labels_and_labels_images(tmp_path: Path) -> None:
    for options in ({"images": tmp_path}, {"labels": tmp_path}):
        with pytest.raises(
            PairingError, match="one of --images and --labels was given; give both, or neither"
        ):
            run(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_one_image_is_not_enough(tmp_path: Path) -> None:
    images, labels = write_set(tmp_path, samples(1))
    with pytest.raises(InputError, match="1 annotated image was given; the demo needs 2, one to test on"):
        run(tmp_path / "out", images=images, labels=labels)
    assert not (tmp_path / "out").exists()
