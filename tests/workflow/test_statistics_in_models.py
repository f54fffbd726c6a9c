"""Statistics in a model file, and what a prediction says: one line, one column, in memory and in blocks."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tests.tiny import SETTINGS, samples, state_of, trained_run, untrained

from unseam.cli import main
from unseam.errors import InputError, OutputExistsError, ShapeError
from unseam.io.images import read_labels, write_tiff
from unseam.model.checkpoint import save_model
from unseam.model.header import read_header
from unseam.prediction import Model, load_model
from unseam.workflow.guarding import attach, reference_of
from unseam.workflow.listener import SILENT, Listener
from unseam.workflow.predicting import Outcome, predict_files
from unseam.workflow.training import train

Array = NDArray[Any]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with the statistics of a dozen images of cells."""
    out = tmp_path_factory.mktemp("guarded") / "model.safetensors"
    attach(trained_run(tmp_path_factory), [s.image for s in samples(12, size=100, seed=1)], out)
    return out


@pytest.fixture
def model(guarded: Path) -> Model:
    return load_model(guarded, device="cpu").with_objects(threshold=0.35, min_size=2)


def cells(seed: int, size: int = 100) -> Array:
    return np.asarray(samples(1, size=size, seed=seed)[0].image[0])


def predict(model: Model, image: Path, out: Path, **options: Any) -> tuple[Outcome, list[str]]:
    said: list[str] = []
    (outcome,) = predict_files(model, [image], out, listener=Listener(said.append), **options)
    return outcome, said


def column(path: Path) -> set[str]:
    with open(path, newline="", encoding="utf-8") as file:
        return {row["guard"] for row in csv.DictReader(file)}


def test_training_ends_with_the_statistics_of_its_images(tmp_path: Path) -> None:
    some = samples(4)
    images, labels = [s.image for s in some], [s.labels for s in some]
    model = train(images, labels, out=tmp_path, iterations=2, settings=SETTINGS, listener=SILENT)
    header = read_header(tmp_path / "model.safetensors")
    assert header.guard is not None and header.guard.n_images == 4
    assert model.header.guard == header.guard == reference_of(model, images)


def test_of_two_images_there_are_no_statistics(tmp_path: Path) -> None:
    some = samples(2)
    images, labels = [s.image for s in some], [s.labels for s in some]
    train(images, labels, out=tmp_path, iterations=2, settings=SETTINGS, listener=SILENT)
    assert read_header(tmp_path / "model.safetensors").guard is None


def test_attach_writes_a_new_file_and_changes_no_weight(
    guarded: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    run = trained_run(tmp_path_factory)
    before, after = load_model(run, device="cpu"), load_model(guarded, device="cpu")
    assert after.header.guard is not None and after.header.guard.n_images == 12
    assert replace(after.header, guard=None) == replace(before.header, guard=None)
    image = cells(3)
    np.testing.assert_array_equal(before.predict(image).probabilities, after.predict(image).probabilities)
    with pytest.raises(OutputExistsError):
        attach(run, [image[None]] * 3, guarded)
    with pytest.raises(
        InputError, match="2 images were given; statistics of what a model knows take 3 or more"
    ):
        attach(run, [image[None]] * 2, tmp_path / "a.safetensors")
    with pytest.raises(ShapeError):
        attach(run, [np.zeros((2, 40, 40))] * 3, tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def test_attach_keeps_weights_in_half_precision(tmp_path: Path) -> None:
    model = untrained()
    weights = state_of(model)
    save_model(tmp_path / "a.safetensors", weights, model.header, overwrite=False, dtype=torch.bfloat16)
    images = [np.random.default_rng(seed).normal(size=(1, 30, 30)) for seed in range(4)]
    attach(tmp_path / "a.safetensors", images, tmp_path / "b.safetensors")
    kinds = [
        {key: value.dtype for key, value in load_file(tmp_path / f"{name}.safetensors").items()}
        for name in "ab"
    ]
    assert kinds[0] == kinds[1] and torch.bfloat16 in kinds[0].values()


def test_the_header_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of it is 10 numbers for each channel of the encoder: 480 of them for width 32 and depth 3."""
    monkeypatch.setattr("unseam.workflow.guarding.MOST", 20)
    model = untrained()
    rng = np.random.default_rng(0)
    images = [rng.normal(size=(1, 30, 30)) for _ in range(25)]
    reference = reference_of(model, images)
    assert reference is not None and reference.n_images == 20
    save_model(
        tmp_path / "a.safetensors",
        state_of(model),
        replace(model.header, guard=reference),
        overwrite=False,
    )
    assert (tmp_path / "a.safetensors").stat().st_size < 10_000
    assert read_header(tmp_path / "a.safetensors").guard == reference


def test_one_line_and_one_column_say_it(model: Model, tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", cells(50), axes="YX", spacing=(0.5, 0.5))
    write_tiff(tmp_path / "b.tif", np.invert(cells(50)), axes="YX", spacing=(0.5, 0.5))
    outcome, said = predict(model, tmp_path / "a.tif", tmp_path / "out")
    assert said[-1] == f"a.tif: {outcome.n_objects} objects; in range"
    assert column(tmp_path / "out/a.csv") == {"in range"}
    outcome, said = predict(model, tmp_path / "b.tif", tmp_path / "out")
    assert "objects; outside what the model was trained on: dark and bright exchanged" in said[-1]
    assert outcome.verdicts[0].status == "outside"


@pytest.mark.parametrize("adapt", [False, True])
@pytest.mark.parametrize("change", ["none", "inverted", "enlarged"])
def test_blocks_say_the_same_byte_for_byte(model: Model, tmp_path: Path, change: str, adapt: bool) -> None:
    image = cells(51, 100)
    image = np.invert(image) if change == "inverted" else image
    image = image.repeat(3, 0).repeat(3, 1) if change == "enlarged" else image
    write_tiff(tmp_path / "a.tif", image, axes="YX", spacing=None)
    one, said = predict(model, tmp_path / "a.tif", tmp_path / "small", adapt=adapt)
    other, said_of_blocks = predict(model, tmp_path / "a.tif", tmp_path / "a.zarr", adapt=adapt, block=128)
    assert one.verdicts == other.verdicts and said[-1] == said_of_blocks[-1]
    assert one.n_objects == other.n_objects
    assert (tmp_path / "small/a.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()
    if change != "none":
        assert one.verdicts[0].status == ("corrected" if adapt else "outside")


def test_an_adapted_image_has_the_labels_of_the_plain_one(model: Model, tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", cells(52), axes="YX", spacing=(0.5, 0.5))
    write_tiff(tmp_path / "b.tif", np.invert(cells(52)), axes="YX", spacing=(0.5, 0.5))
    plain, _ = predict(model, tmp_path / "a.tif", tmp_path / "out")
    _, said = predict(model, tmp_path / "b.tif", tmp_path / "out", adapt=True)
    assert said[-1] == f"b.tif: {plain.n_objects} objects; corrected: inverted, now in range"
    labels = [read_labels(tmp_path / f"out/{name}.tif").data for name in "ab"]
    np.testing.assert_array_equal(labels[0] > 0, labels[1] > 0)
    assert column(tmp_path / "out/b.csv") == {"corrected: inverted"}


def test_frames_are_judged_one_by_one_and_corrected_alike(model: Model, tmp_path: Path) -> None:
    film = np.stack([cells(50), np.invert(cells(51)), cells(52)])
    write_tiff(tmp_path / "film.tif", film, axes="TYX", spacing=(0.5, 0.5))
    outcome, said = predict(model, tmp_path / "film.tif", tmp_path / "out")
    assert [v.status for v in outcome.verdicts] == ["in range", "outside", "in range"]
    assert "1 of 3 frames outside, the first is frame 1: outside what the model" in said[-1]
    assert len(column(tmp_path / "out/film.csv")) == 2
    predict(model, tmp_path / "film.tif", tmp_path / "film.zarr", block=48)
    assert (tmp_path / "out/film.csv").read_bytes() == (tmp_path / "film.csv").read_bytes()


def test_the_command_line(guarded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiff(tmp_path / "b.tif", np.invert(cells(52)), axes="YX", spacing=(0.5, 0.5))
    command = ["predict", str(guarded), str(tmp_path / "b.tif"), "--out", str(tmp_path / "out"), "--adapt"]
    assert main([*command, "--device", "cpu"]) == 0
    assert "corrected: inverted, now in range" in capsys.readouterr().err
    assert main(["info", str(guarded)]) == 0
    assert "statistics     of 12 training images; " in capsys.readouterr().out
    assert main(["info", str(guarded), "--json"]) == 0
    assert '"limit"' in capsys.readouterr().out


def test_adapt_needs_a_model_with_statistics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = untrained()
    save_model(tmp_path / "m.safetensors", state_of(bare), bare.header, overwrite=False)
    write_tiff(tmp_path / "a.tif", cells(52), axes="YX")
    command = [
        "predict",
        str(tmp_path / "m.safetensors"),
        str(tmp_path / "a.tif"),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([*command, "--adapt"]) == 2
    assert "this model carries no statistics of its training images" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["info", str(tmp_path / "m.safetensors")]) == 0
    assert "statistics     none" in capsys.readouterr().out
