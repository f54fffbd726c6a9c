"""Models listed by their names, and made smaller."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.tiny import samples, trained_run

from unseam.errors import ModelFileError, OutputExistsError
from unseam.prediction import load_model
from unseam.workflow.models import half_model, list_models


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_run(tmp_path_factory)


def test_models_are_listed_and_those_that_cannot_be_used_say_why(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNSEAM_MODELS", str(tmp_path / "none"))
    (nuclei,) = list_models()
    assert nuclei.name == "nuclei" and nuclei.segments == "nuclei in fluorescence images"
    assert nuclei.size == nuclei.path.stat().st_size and not nuclei.problem
    monkeypatch.setenv("UNSEAM_MODELS", str(tmp_path))
    shutil.copy(run / "model.safetensors", tmp_path / "mine.safetensors")
    shutil.copy(run / "model.safetensors", tmp_path / "nuclei.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no model")
    bad, mine, *twice = list_models()
    assert "is cut short or not a model file" in bad.problem
    assert mine.segments == "instances" and not mine.problem and mine.path == tmp_path / "mine.safetensors"
    assert [model.name for model in twice] == ["nuclei", "nuclei"]
    assert all(model.problem.startswith("another one has this name too; give the path") for model in twice)


def test_half_a_model_finds_next_to_the_same(run: Path, tmp_path: Path) -> None:
    half_model(run / "model.safetensors", tmp_path / "half.safetensors")
    image = samples(1, seed=9)[0].image
    whole, half = (load_model(path).predict(image).labels for path in (run, tmp_path / "half.safetensors"))
    assert whole.max() > 0 and np.mean((whole > 0) != (half > 0)) < 0.01


def test_what_cannot_be_halved(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no model file"):
        half_model(tmp_path / "none.safetensors", tmp_path / "half.safetensors")
    half_model(run / "model.safetensors", tmp_path / "half.safetensors")
    with pytest.raises(OutputExistsError, match="exists already"):
        half_model(run / "model.safetensors", tmp_path / "half.safetensors")
