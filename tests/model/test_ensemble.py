"""The folder of a cross-validation, read and written, and refused where it is not whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.tiny import trained_run, variants

from unseam.config import ObjectConfig
from unseam.errors import ModelFileError
from unseam.model.ensemble import (
    Ensemble,
    Fold,
    ensemble_of,
    find_models,
    in_order,
    read_ensemble,
    write_ensemble,
)
from unseam.model.finding import ENSEMBLE, find_model
from unseam.model.weights import file_digest, files_digest

OBJECTS = ObjectConfig(threshold=0.6, low_threshold=0.1, grow=3, min_size=5, split=0.0, split_size=7)


@pytest.fixture
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    paths = variants(trained_run(tmp_path_factory), tmp_path, 2)
    folds = tuple(Fold(path.name, (f"image{k}",), file_digest(path)) for k, path in enumerate(paths))
    write_ensemble(tmp_path, Ensemble(folds, {"folds": {"count": 2}}, OBJECTS, {"ap": 0.5}))
    return tmp_path


def test_what_is_written_is_read(folder: Path) -> None:
    ensemble = ensemble_of(folder)
    assert ensemble is not None and ensemble == read_ensemble(folder)
    assert ensemble.objects == OBJECTS and ensemble.scores == {"ap": 0.5}
    assert ensemble.folds[1].held_out == ("image1",)


def test_models_are_found_in_a_folder_a_file_or_several(folder: Path) -> None:
    two = (folder / "variant0.safetensors", folder / "variant1.safetensors")
    assert find_models(folder) == two and find_models(two[1]) == two[1:]
    assert find_models([two[1], folder]) == (two[1], *two)
    assert ensemble_of(two[0]) is None


def test_the_order_of_the_sum_is_that_of_the_digests(folder: Path) -> None:
    two = find_models(folder)
    assert in_order(two) == in_order(two[::-1]) == sorted(two, key=file_digest)
    assert files_digest(two[:1]) == file_digest(two[0])
    assert files_digest(two) != files_digest(two[::-1]) and len(files_digest(two)) == 16


def test_a_folder_of_several_is_no_single_model(folder: Path) -> None:
    with pytest.raises(ModelFileError, match=r"holds the models of a cross-validation, and one .*fold0"):
        find_model(folder)


def test_a_model_that_is_another_or_gone_is_refused(folder: Path) -> None:
    path = folder / "variant1.safetensors"
    path.write_bytes((folder / "variant0.safetensors").read_bytes())
    with pytest.raises(ModelFileError, match=r"variant1.safetensors is gone or is another model"):
        ensemble_of(folder)
    path.unlink()
    with pytest.raises(ModelFileError, match=r"copy the whole folder again"):
        find_models(folder)


def test_an_unfinished_one_is_refused(folder: Path) -> None:
    ensemble = read_ensemble(folder)
    folds = (ensemble.folds[0], replace(ensemble.folds[1], digest=""))
    write_ensemble(folder, replace(ensemble, folds=folds, objects=None))
    with pytest.raises(ModelFileError, match=r"unfinished .* 1 of 2 folds are trained; .*--resume"):
        find_models(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format_version": 99}, r"has format 99; this unseam reads up to 1: update it"),
        ({"folds": None}, r"ensemble.json cannot be understood"),
        ({"objects": {"thresold": 0.5}}, r"cannot be understood .*did you mean 'threshold'"),
        (None, r"cannot be understood .*copy it again"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused(
    folder: Path, change: dict[str, object] | None, words: str
) -> None:
    document = json.loads((folder / ENSEMBLE).read_text())
    text = "no JSON" if change is None else json.dumps(document | change)
    (folder / ENSEMBLE).write_text(text)
    with pytest.raises(ModelFileError, match=words):
        read_ensemble(folder)
