"""`unseam calibrate` as a person gives it, and what takes its model."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Run

from unseam.engines.known import engine_of

if not engine_of("openvino").is_installed:
    pytest.skip("openvino is not installed", allow_module_level=True)


def test_calibrate_then_predict(run: Run, model: Path, folders: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "m8.safetensors"
    ran = run("calibrate", model, folders[0], "--out", out)
    assert ran.code == 0, ran
    assert ran.out.startswith("against float32, on 1 other image: Dice ")
    assert "times faster than float32" in ran.out and f"{out}: to be used with --precision int8" in ran.out
    assert "calibrating on 2 tiles of 2 images" in ran.err
    assert "int8           calibrated on 2 images" in run("info", out).out
    ran = run("predict", out, folders[0], "--out", tmp_path / "o", "--precision", "int8")
    assert ran.code == 0 and ", int8; probabilities within" in ran.err, ran


def test_a_model_that_is_not_calibrated(
    run: Run, model: Path, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    ran = run("predict", model, folders[0], "--out", tmp_path / "o", "--precision", "int8")
    assert ran.code == 2 and ran.out == ""
    assert ran.err.startswith("unseam predict: precision int8 was asked for and the model is not calibrated")
    assert "int8" not in run("info", model).out


def test_a_model_that_is_not_there(run: Run, folders: tuple[Path, Path], tmp_path: Path) -> None:
    ran = run("calibrate", tmp_path / "none.safetensors", folders[0], "--out", tmp_path / "m.safetensors")
    assert ran.code == 2 and "there is no model file" in ran.err
