"""Training as a whole: what a run writes, every kind of image, killed and continued, refused with reason."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tests.tiny import SETTINGS as TINY
from tests.tiny import samples, write_set

from unseam.config import Config, read_toml
from unseam.data.sample import Sample
from unseam.errors import (
    ConfigError,
    FileReadError,
    InputError,
    MissingExtraError,
    OutputExistsError,
    PairingError,
)
from unseam.io.images import write_tiff
from unseam.metrics.scores import pool, score
from unseam.prediction import Model, load_model
from unseam.workflow.listener import SILENT, Listener, Step
from unseam.workflow.run import FILES, about_run, read_history, trained_on
from unseam.workflow.task import uses_bfloat16
from unseam.workflow.training import configure, train

RUN_FILES = {
    "model.safetensors",
    "checkpoint.safetensors",
    "config.toml",
    "history.csv",
    "curves.png",
    "patches.png",
}
TRAIN = {"patch": [28, 28], "batch": 1, "validations": 2, "precision": "float32", "device": "cpu"}
CELLS = samples(4, size=40)


def settings(**sections: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The smallest network, with some values replaced."""
    merged: dict[str, dict[str, Any]] = {"network": {"base_width": 2, "depth": 1}, "train": TRAIN}
    for name, values in sections.items():
        merged[name] = {**merged.get(name, {}), **values}
    return merged


def trained(some: Sequence[Sample], out: Path, **options: Any) -> Model:
    """Train on samples as arrays, six steps if nothing else is said."""
    budget = {} if {"iterations", "minutes"} & set(options) else {"iterations": 6}
    arrays = [s.image for s in some], [s.labels for s in some]
    defaults = {"settings": settings(), "listener": SILENT, "pixel_size": 0.5}
    return train(*arrays, out=out, **{**defaults, **budget, **options})


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path)


def equal(one: Path, two: Path) -> bool:
    """Whether all tensors of two files are equal bit for bit."""
    a, b = load_file(one), load_file(two)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def state_of(run: Path) -> dict[str, Any]:
    with safe_open(run / "checkpoint.safetensors", framework="np") as file:
        numbers: dict[str, Any] = json.loads(file.metadata()["unseam_checkpoint"])
    return numbers


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on arrays, one of the four images held out."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    trained(CELLS, folder)
    return folder


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than these runs; `run` and those of the command line, made without this, draw."""

    def touch(*arguments: Any, overwrite: bool) -> None:
        assert overwrite
        arguments[-1].touch()

    for name in ("curves", "patches_figure"):
        monkeypatch.setattr(f"unseam.workflow.run.{name}", touch)


# What a run writes


def test_a_run_is_a_folder_of_six_files(run: Path) -> None:
    assert {file.name for file in run.iterdir()} == RUN_FILES
    assert all(file.stat().st_size > 0 for file in run.iterdir())


def test_the_model_says_what_it_was_trained_on(run: Path) -> None:
    header = load_model(run, device="cpu").header
    assert header.task == "instances" and header.spacing == (0.5, 0.5)
    assert (header.network.in_channels, header.network.base_width, header.network.depth) == (1, 2, 1)
    assert header.fingerprint is not None and header.fingerprint.n_images == 4
    summary = header.training
    assert (summary["preset"], summary["seed"], summary["iterations"]) == ("default", 0, 6)
    assert set(summary["held_out_scores"]) == {"ap", "ap50", "dice"} and summary["seconds"] > 0
    assert summary["chosen_on_them"] == ["model", "threshold", "low_threshold", "grow"]
    assert (summary["images_learned_from"], summary["images_held_out"]) == (3, 1)
    (fact,) = (value for name, value in about_run(run)["headline"] if name == "trained on")
    assert fact.startswith("3 images, and 1 held out to choose the best model; ")


def test_the_configuration_written_is_the_one_decided(run: Path) -> None:
    config = Config().updated(read_toml(run / "config.toml"))
    assert config.train.patch == (28, 28) and config.network.classes == 2
    assert config.objects.min_size is not None and config.train.iterations == 6
    stated = {key: value for key, value in state_of(run)["run"].items() if key not in ("images", "world")}
    assert config == Config().updated(stated)


OF_ALL = {"min_size", "split", "split_size", "split_grow", "fill_holes"}
"""Settings of objects that no run chooses on held-out images."""


def test_what_was_left_open_is_left_open_in_the_configuration_written(run: Path, tmp_path: Path) -> None:
    assert set(read_toml(run / "config.toml")["objects"]) == OF_ALL
    again = trained(CELLS, tmp_path / "again", settings=read_toml(run / "config.toml"), iterations=None)
    assert again.header.training["chosen_on_them"] == ["model", "threshold", "low_threshold", "grow"]
    trained(CELLS, tmp_path / "set", settings=settings(objects={"grow": 2}), iterations=1)
    assert set(read_toml(tmp_path / "set/config.toml")["objects"]) == {*OF_ALL, "grow"}


def test_a_score_that_is_undefined_is_none_in_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {"ap": np.nan, "dice": 0.5}
    monkeypatch.setattr("unseam.workflow.training.validate", lambda *_: scores)
    said: list[str] = []
    trained(CELLS, tmp_path, iterations=1, listener=Listener(said.append))
    with safe_open(tmp_path / "model.safetensors", framework="np") as file:
        header = file.metadata()["unseam_model"]
    assert json.loads(header)["training"]["held_out_scores"] == {"ap": None, "dice": 0.5}
    assert "NaN" not in header
    assert any(line.startswith("held-out images: ap \N{EN DASH}, dice 0.500 (chosen on") for line in said)


def test_the_history_has_a_score_for_each_validation(run: Path) -> None:
    rows = read_history(run / "history.csv")
    assert [row["iteration"] for row in rows if "val_ap" in row] == [3, 6]
    assert all(np.isfinite(row["loss"]) and row["learning_rate"] > 0 for row in rows)


def test_what_is_returned_predicts_as_what_is_saved(tmp_path: Path) -> None:
    model = trained(CELLS[:2], tmp_path)
    again_loaded = load_model(tmp_path, device="cpu", engine="torch")
    found, again = (m.predict(CELLS[3].image) for m in (model, again_loaded))
    np.testing.assert_array_equal(found.probabilities, again.probabilities)
    np.testing.assert_array_equal(found.labels, again.labels)


def test_files_train_as_arrays_do(run: Path, tmp_path: Path) -> None:
    images, labels = write_set(tmp_path, CELLS)
    train(images, labels, out=tmp_path / "run", settings=settings(), iterations=6, listener=SILENT)
    assert equal(run / "model.safetensors", tmp_path / "run/model.safetensors")
    assert {file.name for file in (tmp_path / "run").iterdir()} == RUN_FILES


def test_the_rows_of_a_csv_file_marked_train_are_trained_on(tmp_path: Path) -> None:
    write_set(tmp_path, CELLS)
    rows = [
        f"images/{s.stem}.tif,labels/{s.stem}.tif,{'test' if i else 'train'}" for i, s in enumerate(CELLS)
    ]
    (tmp_path / "pairs.csv").write_text("\n".join(["image,labels,split", *rows]))
    model = train(
        tmp_path / "pairs.csv", out=tmp_path / "run", settings=settings(), iterations=2, listener=SILENT
    )
    assert model.header.fingerprint is not None and model.header.fingerprint.n_images == 1


def test_rows_can_be_taken_from_a_csv_file_only(tmp_path: Path) -> None:
    words = "--split test takes rows of a CSV file of pairs, and none was given; leave it out, or list the"
    with pytest.raises(PairingError, match=words):
        trained(CELLS[:1], tmp_path / "run", split="test")
    assert not (tmp_path / "run").exists()


def test_what_is_set_for_objects_is_not_chosen_anew(tmp_path: Path) -> None:
    given = {"threshold": 0.37, "low_threshold": 0.21, "grow": 3}
    said: list[str] = []
    model = trained(CELLS, tmp_path / "all", settings=settings(objects=given), listener=Listener(said.append))
    assert {name: getattr(model.header.objects, name) for name in given} == given
    assert any(line.endswith(" (chosen on them: the model)") for line in said)
    listener = Listener(said.append)
    one = trained(CELLS, tmp_path / "one", settings=settings(objects={"grow": 3}), listener=listener).header
    chosen = f"threshold {one.objects.threshold:g}, low_threshold {one.objects.low_threshold:g}"
    assert one.objects.grow == 3
    assert any(line.endswith(f" (chosen on them: the model, {chosen})") for line in said)


def test_what_is_found_and_decided_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    steps: list[Step] = []
    trained(CELLS, tmp_path, listener=Listener(said.append, steps.append))
    told = "\n".join(said)
    for words in (
        "labels: instances",
        "network: 2-D U-Net, depth 1, base width 2",
        "images: 3 to learn from, 1 held out to choose the best model",
        "held-out images: ap ",
        f"model: {tmp_path / 'model.safetensors'}",
    ):
        assert words in told
    last = [step for step in steps if step.name == "training"][-1]
    assert last.fraction == 1.0 and last.detail.startswith("iteration 6, loss ")
    assert ", held-out AP " in last.detail


def test_of_a_single_large_image_a_part_is_held_out(tmp_path: Path) -> None:
    said: list[str] = []
    (one,) = samples(1, size=256)
    header = trained([one], tmp_path, listener=Listener(said.append)).header
    assert "images: 1 to learn from, y 218 to 255 of image000 held out to choose the best model" in said
    assert header.training["chosen_on_them"] == ["model", "threshold", "low_threshold", "grow"]
    assert (header.training["images_learned_from"], header.training["images_held_out"]) == (1, 0)
    assert trained_on(header) == ("1 image, and y 218 to 255 of image000 held out to choose the best model")
    assert not any(line.startswith("warning: fewer than") for line in said)


def test_where_objects_tile_a_volume_its_partition_chooses(tmp_path: Path) -> None:
    # Bricks of 4 x 8 x 8, wall to wall, brighter and darker ones, with dark walls; z is twice as coarse.
    z, y, x = np.indices((8, 24, 112))
    labels = (1 + x // 8 + 14 * (y // 8) + 42 * (z // 4)).astype(np.int32)
    image = 100.0 * ((x % 8 > 0) & (y % 8 > 0)) + labels
    said: list[str] = []
    steps: list[Step] = []
    model = train(
        [image],
        [labels],
        out=tmp_path,
        iterations=3,
        axes="ZYX",
        settings=settings(train={"patch": [18, 20, 20]}),
        listener=Listener(said.append, steps.append),
    )
    assert "images: 1 to learn from, x 95 to 111 of image000 held out to choose the best model" in said
    assert any(
        "a boundary of 2 px, half of it in each, parts them and is grown back" in line for line in said
    )
    assert set(model.header.training["held_out_scores"]) == {"v_info", "v_rand", "ap50"}
    assert [step for step in steps if step.name == "training"][-1].detail.count("held-out V info") == 1
    assert read_toml(tmp_path / "config.toml")["loss"]["gap"] == 2


def test_the_same_seed_gives_the_same_model_and_another_one_another(run: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        trained(CELLS, tmp_path / str(seed), seed=seed)
    assert equal(run / "model.safetensors", tmp_path / "0/model.safetensors")
    assert not equal(run / "model.safetensors", tmp_path / "1/model.safetensors")


# Every kind of image


def test_three_classes_are_learned_as_classes(tmp_path: Path) -> None:
    # Class 1 is bright and class 2 brighter: some steps tell them apart.
    y, x = np.mgrid[:40, :40]
    labels = ((x // 8 + y // 8) % 3).astype(np.int32)
    image = 100.0 * labels + np.random.default_rng(0).normal(0, 5, labels.shape)
    model = trained(
        [Sample(str(i), image[None] + i, labels) for i in range(4)],
        tmp_path,
        task="semantic",
        iterations=120,
        settings=settings(network={"base_width": 4}, train={"learning_rate": 0.02, "average": 0.8}),
    )
    assert model.header.task == "semantic" and model.network.classes == 3
    assert set(model.header.training["held_out_scores"]) == {"dice", "iou"}
    assert model.header.training["held_out_scores"]["dice"] > 0.6  # by chance it would be about a third
    found = model.predict(image)
    assert found.labels.shape == labels.shape and set(np.unique(found.labels)) == {0, 1, 2}


def test_the_value_of_unknown_pixels_does_not_matter(tmp_path: Path) -> None:
    models = []
    for value in (99, 255):
        unknown = []
        for s in CELLS:
            labels = s.labels.copy()
            labels[:12] = value
            unknown.append(replace(s, labels=labels))
        trained(unknown, tmp_path / str(value), ignore=value)
        models.append(tmp_path / str(value) / "model.safetensors")
    assert equal(*models)
    found = load_model(models[0], device="cpu").header.fingerprint
    assert found is not None and found.ignored_fraction == pytest.approx(12 / 40)


def test_colours_are_three_channels(tmp_path: Path) -> None:
    coloured = [replace(s, image=np.concatenate([s.image, s.image // 2, s.image // 3])) for s in CELLS[:2]]
    model = trained(coloured, tmp_path)
    assert model.header.network.in_channels == 3
    assert model.predict(coloured[0].image).labels.shape == (40, 40)


def volume(shape: tuple[int, ...]) -> Sample:
    z, y, x = np.indices(shape)
    labels = ((y // 8) * 10 + x // 8 + 1).astype(np.int32) * ((y % 8 > 1) & (x % 8 > 1) & (z > 0))
    return Sample("volume", (labels > 0)[None] * 50 + (z + x).astype(np.uint8)[None], labels)


def test_a_volume_needs_no_special_case(tmp_path: Path) -> None:
    one = volume((22, 24, 24))
    model = trained([one], tmp_path, settings=settings(train={"patch": [20, 20, 20]}), iterations=3)
    assert model.header.network.spatial_dims == 3 and model.header.spacing == (0.5, 0.5, 0.5)
    assert model.predict(one.image).labels.shape == (22, 24, 24)


def test_a_coarse_volume_is_pooled_in_its_planes_first(tmp_path: Path) -> None:
    one = volume((8, 24, 24))
    for folder, array in (("images", one.image[0]), ("labels", one.labels)):
        write_tiff(tmp_path / folder / "a.tif", array, axes="ZYX", spacing=(2.0, 0.5, 0.5))
    values = settings()
    values["train"] = {**TRAIN, "patch": [12, 28, 28]}
    model = train(
        tmp_path / "images",
        tmp_path / "labels",
        out=tmp_path / "run",
        settings=values,
        iterations=3,
        listener=SILENT,
    )
    assert model.header.network.strides == ((1, 2, 2),)
    assert model.predict(one.image).labels.shape == (8, 24, 24)


@pytest.mark.parametrize("count", [1, 3])
def test_few_images_are_all_learned_from(tmp_path: Path, count: int) -> None:
    said: list[str] = []
    model = trained(CELLS[:count], tmp_path, listener=Listener(said.append))
    assert f"images: {count} to learn from, 0 held out to choose the best model" in said
    assert model.header.training["held_out_scores"] == {} and model.header.training["best_score"] is None
    assert state_of(tmp_path)["step"] == 6


def test_a_budget_of_minutes_is_about_kept(tmp_path: Path) -> None:
    began = time.monotonic()
    model = trained(CELLS, tmp_path, minutes=0.05)
    assert 2 < time.monotonic() - began < 25  # 3 seconds on an idle machine
    assert model.header.training["iterations"] > 5
    assert 1 < model.header.training["seconds"] < 20


# Stopping and going on


def test_a_run_that_is_stopped_keeps_its_model_and_can_be_continued(run: Path, tmp_path: Path) -> None:
    asked = iter([False] * 5 + [True] * 100)
    model = trained(CELLS, tmp_path, should_stop=lambda: next(asked))
    assert model.header.training["iterations"] == 5 == state_of(tmp_path)["step"]
    said: list[str] = []
    trained(CELLS, tmp_path, resume=True, listener=Listener(said.append))
    assert "going on from iteration 5" in said
    assert equal(run / "checkpoint.safetensors", tmp_path / "checkpoint.safetensors")


def test_resuming_a_finished_run_changes_no_weight(tmp_path: Path) -> None:
    trained(CELLS[:2], tmp_path)
    before = weights(tmp_path / "model.safetensors")
    trained(CELLS[:2], tmp_path, resume=True)
    after = weights(tmp_path / "model.safetensors")
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_resuming_what_was_never_begun_begins(tmp_path: Path) -> None:
    said: list[str] = []
    trained(CELLS[:1], tmp_path, iterations=2, resume=True, listener=Listener(said.append))
    assert f"there is no checkpoint in {tmp_path} yet; starting from the beginning" in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 3}, "started with train.seed = 0 and is resumed with 3; give the same"),
        ({"settings": settings(loss={"dice": 0.5})}, r"started with loss.dice = 0.0 and is resumed with 0.5"),
        ({"settings": settings(network={"base_width": 3})}, "network.base_width = 2 and is resumed with 3"),
        ({"preset": "paper"}, "is resumed with"),
    ],
)
def test_a_run_is_resumed_with_its_own_options_only(run: Path, changes: dict[str, Any], words: str) -> None:
    before = contents(run)
    with pytest.raises(ConfigError, match=words):
        trained(CELLS, run, **{"iterations": 6, "resume": True, **changes})
    assert contents(run) == before


def test_a_run_that_needs_more_time_gets_it(tmp_path: Path) -> None:
    trained(CELLS, tmp_path, iterations=6)
    said: list[str] = []
    model = trained(CELLS, tmp_path, iterations=9, resume=True, listener=Listener(said.append))
    assert "going on from iteration 6" in said
    assert model.header.training["iterations"] == 9


def test_a_run_of_few_steps_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    trained(CELLS[:2], tmp_path, iterations=2, listener=Listener(said.append))
    assert any(line.startswith("warning: only 2 steps were done, too few to learn from") for line in said)
    assert any(
        line.startswith("warning: fewer than 4 images or files, and none large enough to hold a part")
        for line in said
    )


def test_a_run_is_resumed_with_its_own_images_only(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"started with images\.n_images = 4 and is resumed with 3"):
        trained([*CELLS[:2], CELLS[3]], run, resume=True)
    brighter = [replace(s, image=s.image + 1) for s in CELLS]
    with pytest.raises(ConfigError, match=r"started with images\.intensity = .*; give the same images"):
        trained(brighter, run, resume=True)


@pytest.mark.parametrize("spoil", ["image", "labels", "order"])
def test_what_the_fingerprint_does_not_show_is_refused_too(run: Path, spoil: str) -> None:
    others = list(CELLS)
    if spoil == "order":
        others.reverse()
    else:  # the same values in other places
        others[1] = replace(CELLS[1], **{spoil: np.ascontiguousarray(getattr(CELLS[1], spoil)[..., ::-1])})
    words = "started with other images or labels, or with these in another order; give the same, or --overw"
    with pytest.raises(ConfigError, match=words):
        trained(others, run, resume=True)


def test_a_run_is_resumed_in_its_own_precision_only(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unseam.workflow.task.uses_bfloat16", lambda *_: True)
    words = r"started with train.precision = float32 and is resumed with bfloat16; give the same"
    with pytest.raises(ConfigError, match=words):
        trained(CELLS, run, resume=True)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(b"not a checkpoint")
    with pytest.raises(FileReadError, match="train again without --resume"):
        trained(CELLS[:1], tmp_path, resume=True)


# What is there already


def test_a_run_that_is_there_is_neither_continued_nor_replaced_unasked(run: Path) -> None:
    before = contents(run)
    words = r"holds a run already \(model.safetensors\); --resume goes on with it, --overwrite replaces it"
    with pytest.raises(OutputExistsError, match=words):
        trained(CELLS, run)
    assert contents(run) == before


@pytest.mark.parametrize("name", FILES)
def test_no_file_of_a_run_is_replaced_unasked(tmp_path: Path, name: str) -> None:
    assert set(FILES) == RUN_FILES
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputExistsError, match=rf"holds a run already \({name}\); --resume goes on with it"):
        trained(CELLS, tmp_path)
    assert contents(tmp_path) == {name: b"mine"}


def test_a_run_may_be_replaced(tmp_path: Path) -> None:
    trained(CELLS[:1], tmp_path, iterations=2)
    trained(CELLS[:1], tmp_path, iterations=3, overwrite=True)
    assert state_of(tmp_path)["step"] == 3


def test_a_run_is_not_continued_and_replaced_at_once(run: Path) -> None:
    before = contents(run)
    words = "--resume goes on with a run and --overwrite replaces it; give one of them"
    with pytest.raises(ConfigError, match=words):
        trained(CELLS, run, resume=True, overwrite=True)
    assert contents(run) == before


def test_a_run_is_not_removed_before_its_successor_can_begin(tmp_path: Path) -> None:
    trained(CELLS[:1], tmp_path, iterations=2)
    before = contents(tmp_path)
    with pytest.raises(PairingError):
        train("nowhere", out=tmp_path, overwrite=True, listener=SILENT)
    with pytest.raises(InputError, match="does not fit this network"):
        trained(CELLS[:1], tmp_path, overwrite=True, settings=settings(train={"patch": [27, 27]}))
    assert contents(tmp_path) == before


# Killed in the middle, by the command line


def command(folder: Path, out: Path, *options: str, iterations: int) -> list[str]:
    values = {
        "network.base_width": 2,
        "network.depth": 1,
        "network.dropout": 0.3,
        "network.batch_norm": "true",
        "train.patch": "[28, 28]",
        "train.batch": 2,
        "train.validations": 3,
        "train.checkpoint_seconds": 1.0,
    }
    budget = ["--iterations", str(iterations), "--precision", "float32", "--device", "cpu"]
    given = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    data = [str(folder / "images"), str(folder / "labels"), "--out", str(out)]
    return [sys.executable, "-m", "unseam", "train", *data, *budget, *given, *options]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("set")
    write_set(path, CELLS)
    return path


def until_checkpoint(process: subprocess.Popen[str], run: Path) -> None:
    deadline = time.monotonic() + 60
    while not (run / "checkpoint.safetensors").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.005)


def begun(arguments: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment)


def test_a_run_that_was_killed_ends_with_the_same_weights_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    uninterrupted = begun(command(folder, whole, iterations=300))
    _, told = uninterrupted.communicate(timeout=120)
    assert uninterrupted.returncode == 0, told

    process = begun(command(folder, killed, iterations=300))
    until_checkpoint(process, killed)
    time.sleep(0.4)  # so that steps after the checkpoint are lost
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert 0 < state_of(killed)["step"] < 300
    assert not equal(whole / "checkpoint.safetensors", killed / "checkpoint.safetensors")

    resumed = begun(command(folder, killed, "--resume", iterations=300))
    _, told = resumed.communicate(timeout=120)
    assert resumed.returncode == 0 and "going on from iteration" in told
    assert state_of(killed)["step"] == 300
    for name in ("checkpoint.safetensors", "model.safetensors"):
        assert equal(whole / name, killed / name)
    scores = [
        [(row["iteration"], row["val_ap"]) for row in read_history(run / "history.csv") if "val_ap" in row]
        for run in (whole, killed)
    ]
    assert scores[0] == scores[1] and len(scores[0]) == 3


def test_ctrl_c_ends_a_run_with_its_model(folder: Path, tmp_path: Path) -> None:
    process = begun(command(folder, tmp_path / "run", iterations=10**6))
    until_checkpoint(process, tmp_path / "run")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert "stopping: the held-out images are scored and the model is saved" in told
    assert load_model(tmp_path / "run", device="cpu").header.training["iterations"] > 0
    assert {file.name for file in (tmp_path / "run").iterdir()} == RUN_FILES


# What cannot be trained on


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda s: replace(s, labels=np.zeros_like(s.labels)), "no image holds a labelled object"),
        (lambda s: replace(s, image=np.where(s.labels[None] > 0, np.nan, 1.0)), "^image000: .* NaN or infin"),
    ],
)
def test_a_set_with_an_error_is_refused_before_anything_is_written(
    tmp_path: Path, spoil: Any, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        trained([spoil(CELLS[0])], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_warnings_are_counted_and_the_first_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    twice = [CELLS[0], CELLS[0]]
    trained(twice, tmp_path, iterations=1, listener=Listener(said.append))
    assert any(line.startswith("warnings: ") and "(see unseam check), the first: " in line for line in said)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"itterations": 3}, "'itterations' is not a key of .train.; did you mean 'iterations'"),
        ({"iterations": 3, "minutes": 1.0}, "both minutes and iterations were given"),
        ({"preset": "best"}, "preset is 'best'; expected one of: default, paper"),
    ],
)
def test_options_that_contradict_or_are_unknown_are_refused(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        trained(CELLS[:1], tmp_path, **options)


def test_options_find_their_section() -> None:
    config = configure("paper", {"network": {"depth": 2}}, {"ignore": 7, "seed": 3, "device": None})
    assert (config.data.ignore, config.train.seed, config.train.device) == (7, 3, "auto")
    assert (config.network.depth, config.network.base_width) == (2, 64)


# TensorBoard


def test_tensorboard_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'unseam\[tensorboard\]'"):
        trained(CELLS[:1], tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_tensorboard_is_told_each_step_and_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int]] = []
    closed: list[str] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            self.folder = folder

        def __enter__(self) -> Writer:
            return self

        def __exit__(self, *_: object) -> None:
            closed.append(self.folder)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            assert np.isfinite(value)
            told.append((name, step))

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    trained(CELLS, tmp_path, tensorboard=True)
    assert [step for name, step in told if name == "loss"] == [1, 2, 3, 4, 5, 6]
    assert [step for name, step in told if name == "held_out_score"] == [4, 5, 6]  # scored at 3
    assert closed == [str(tmp_path / "tensorboard")]


# Pieces


@pytest.mark.parametrize(("precision", "expected"), [("float32", False), ("bfloat16", True)])
def test_a_precision_asked_for_is_used(precision: str, expected: bool) -> None:
    assert uses_bfloat16(precision, torch.device("cpu")) is expected


def test_cells_are_found_by_targets_that_rise_inwards(tmp_path: Path) -> None:
    settings = {"train": TINY["train"], "data": TINY["data"], "network": {"base_width": 8, "depth": 1}}
    learned, other = samples(4), samples(2, seed=8)
    arrays = [s.image for s in learned], [s.labels for s in learned]
    model = train(*arrays, out=tmp_path / "run", iterations=400, settings=settings, listener=SILENT)
    assert model.header.training["slope"] == 0.2
    counted = pool([score(s.labels, model.predict(s.image).labels) for s in other]).counted
    assert counted.ap50 > 0.4 and counted.dice > 0.8
