"""The model in the box and the user's own, by their names, as a person gives them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Run
from tests.tiny import samples, trained_run

from unseam.io.images import read_labels, write_png


@pytest.fixture
def own(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of models, with one."""
    (tmp_path / "own").mkdir()
    shutil.copy(trained_run(tmp_path_factory) / "model.safetensors", tmp_path / "own/mine.safetensors")
    monkeypatch.setenv("UNSEAM_MODELS", str(tmp_path / "own"))
    return tmp_path / "own"


def test_the_model_in_the_box_finds_large_discs(run: Run, tmp_path: Path) -> None:
    y, x = np.mgrid[:240, :240]
    discs = [np.hypot(y - b, x - a) < 36 for a in (60, 180) for b in (60, 180)]
    image = np.random.default_rng(0).normal(np.where(np.any(discs, 0), 120, 20), 5).clip(0, 255)
    write_png(tmp_path / "discs.png", np.repeat(image.astype(np.uint8)[..., None], 3, axis=2))
    ran = run("predict", "nuclei", tmp_path / "discs.png", "--out", tmp_path / "out")
    assert ran.code == 0, ran
    assert "discs.png: objects of about 7" in ran.err and "times for the network" in ran.err
    labels = read_labels(tmp_path / "out/discs.tif").data[0]
    assert labels.max() == 4 and all(np.mean(labels[disc] > 0) > 0.9 for disc in discs)


def test_info_says_what_it_is_made_for(run: Run) -> None:
    lines = run("info", "nuclei").out.splitlines()
    assert lines[0] == "task           instances: nuclei in fluorescence images"
    assert "made for       objects of 8 to 80 px; finds their size and rescales images by it" in lines
    assert "licence        BSD-3-Clause; trained on CC0 images" in lines


def test_models_are_listed(run: Run, own: Path) -> None:
    ran = run("models")
    assert ran.code == 0 and ran.err == ""
    lines = ran.out.splitlines()
    assert lines[0].split() == ["mine", "instances"] and lines[2].strip() == str(own / "mine.safetensors")
    assert lines[3].split() == ["nuclei", "nuclei", "in", "fluorescence", "images"] and " MB, " in lines[4]
    assert str(own) in lines[-1]
    listed = json.loads(run("models", "--json").out)
    assert [model["name"] for model in listed] == ["mine", "nuclei"] and listed[0]["path"].endswith(
        "safetensors"
    )


@pytest.mark.usefixtures("own")
def test_every_command_takes_a_name(run: Run, tmp_path: Path) -> None:
    (sample,) = samples(1)
    write_png(tmp_path / "a.png", (sample.image[0] / sample.image.max() * 255).astype(np.uint8))
    assert run("predict", "mine", tmp_path / "a.png", "--out", tmp_path / "out").code == 0
    assert run("verify", "mine", tmp_path / "a.png", "--regions", 1).code == 0
    assert "task           instances" in run("info", "mine").out
    files = [
        tmp_path / "out/a.tif",
        tmp_path / "out/a.tif",
        "--model",
        "mine",
        "--report",
        tmp_path / "r.html",
    ]
    assert run("evaluate", *files).code == 0
    for command in ("predict", "verify", "info"):
        more = {"info": [], "predict": [tmp_path / "a.png", "--out", "b"], "verify": [tmp_path / "a.png"]}[
            command
        ]
        ran = run(command, "mien", *more)
        assert ran.code == 2 and "no model of that name; nearest: mine" in ran.err
