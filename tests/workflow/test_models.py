"""Model files made smaller."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.tiny import samples, trained_run

from unseam.errors import ModelFileError, OutputExistsError
from unseam.prediction import load_model
from unseam.workflow.models import half_model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_run(tmp_path_factory)


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
