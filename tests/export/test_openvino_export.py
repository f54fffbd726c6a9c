"""OpenVINO: what it gives in float32 is what PyTorch gives, and both files stand or neither."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.export.nets import NETWORKS, by_torch, model, tiles

from unseam.errors import MissingExtraError, OutputError, OutputExistsError
from unseam.export import openvino as exported
from unseam.export.openvino import openvino_run, write_openvino
from unseam.model.header import header_json


@pytest.mark.parametrize("name", NETWORKS)
def test_openvino_gives_what_pytorch_gives_at_every_size(name: str, tmp_path: Path) -> None:
    of = model(NETWORKS[name])
    written = write_openvino(of, tmp_path / "net.xml")
    assert written.files == (tmp_path / "net.xml", tmp_path / "net.bin")
    assert sorted(tmp_path.iterdir()) == sorted(written.files) and 0 <= written.difference < 1e-5
    run = openvino_run(tmp_path / "net.xml")
    for seed in range(3):
        x = tiles(of.network.geometry, of.network.in_channels, seed=seed, count=1 + seed % 2)
        assert np.abs(run(x) - by_torch(of, x)).max() < 1e-5


def test_weights_are_float32_and_the_file_says_what_using_it_takes(tmp_path: Path) -> None:
    import openvino

    of = model()
    write_openvino(of, tmp_path / "net.xml")
    count = of.own.folded.size
    assert (tmp_path / "net.bin").stat().st_size >= 4 * count
    info = openvino.Core().read_model(tmp_path / "net.xml").get_rt_info()["unseam"]
    assert json.loads(info["unseam_model"].value) == json.loads(header_json(of.header))
    assert info["sizes"].value.startswith("y 44 + 4 n")


def test_nobody_is_told_that_it_was_imported() -> None:
    exported._openvino()
    assert sys.modules["openvino_telemetry"] is None


def test_files_that_differ_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = openvino_run
    monkeypatch.setattr(exported, "openvino_run", lambda path: lambda x: right(path)(x) + 1e-3)
    with pytest.raises(OutputError, match=r"differs from PyTorch by 1\.0e-03"):
        write_openvino(model(), tmp_path / "net.xml")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("there", ["net.xml", "net.bin"])
def test_existing_files_are_kept(there: str, tmp_path: Path) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(OutputExistsError, match=f"{there} exists already; give --overwrite"):
        write_openvino(model(), tmp_path / "net.xml")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(there, "mine")]
    write_openvino(model(), tmp_path / "net.xml", overwrite=True)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_missing_package_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"needs the package openvino; .*'unseam\[openvino\]'"):
        write_openvino(model(), tmp_path / "net.xml")
