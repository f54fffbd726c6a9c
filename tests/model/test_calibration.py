"""Ranges in the header of a model: written, read, refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.export.nets import FLAT, NETS, model

from unseam.errors import ConfigError, ModelFileError
from unseam.model.calibration import Calibration
from unseam.model.checkpoint import save_model
from unseam.model.header import header_json, parse_header, read_header
from unseam.model.weights import load_folded

SEEN = Calibration({"down.0.0": (0.0, 2.5), "up.0": (-1.25, 3.0)}, {"up.0": (0.5, 0.25)}, ("a", "b"))


def test_it_stands_in_the_header(tmp_path: Path) -> None:
    of = model(FLAT)
    path = tmp_path / "m.safetensors"
    save_model(path, NETS[of.own.folded].state_dict(), replace(of.header, calibration=SEEN), overwrite=False)
    assert read_header(path).calibration == SEEN
    assert load_folded(path)[0].calibration == SEEN


def test_a_model_without_it_has_no_ranges(tmp_path: Path) -> None:
    of = model(FLAT)
    save_model(tmp_path / "m.safetensors", NETS[of.own.folded].state_dict(), of.header, overwrite=False)
    folded, header = load_folded(tmp_path / "m.safetensors")
    assert folded.calibration is None and header.calibration is None


@pytest.mark.parametrize("limits", [(1.0, 1.0), (2.0, 1.0), (0.0, float("inf")), (float("nan"), 1.0)])
def test_a_range_that_is_none(limits: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match=r"up\.1 has the range .* expected finite numbers"):
        Calibration({"up.1": limits}, {})


def test_a_header_with_a_range_that_is_none() -> None:
    text = header_json(replace(model(FLAT).header, calibration=SEEN)).replace("-1.25", "3.0")
    with pytest.raises(ModelFileError, match=r"the header of m cannot be understood \(up.0 has the range 3"):
        parse_header("m", text)
