"""ONNX: what ONNX Runtime gives is what PyTorch gives, and the file reads as the U."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tests.export.nets import ANISOTROPIC, FLAT, NETWORKS, by_torch, made_of, model, tiles

from unseam.config import NetworkConfig
from unseam.errors import MissingExtraError, OutputError, OutputExistsError
from unseam.export import agreement
from unseam.export import onnx as exported
from unseam.export.frame import frame_of
from unseam.export.onnx import onnx_model, onnx_run, write_onnx
from unseam.model.header import header_json
from unseam.model.unet import UNet


def kinds(proto: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in proto.graph.node]


def dims(value: onnx.ValueInfoProto) -> list[str | int]:
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


# Agreement


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_runtime_gives_what_pytorch_gives_at_every_size(name: str, tmp_path: Path) -> None:
    of = model(NETWORKS[name])
    written = write_onnx(of, tmp_path / "net.onnx")
    assert written.files == (tmp_path / "net.onnx",) and 0 <= written.difference < 1e-5
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    run = onnx_run(tmp_path / "net.onnx")
    for seed in range(4):
        x = tiles(of.network.geometry, of.network.in_channels, seed=seed, count=1 + seed % 2)
        assert np.abs(run(x) - by_torch(of, x)).max() < 1e-5


@pytest.mark.parametrize(("options", "kind"), [({}, "Relu"), ({"leak": 0.1, "wide_top": True}, "LeakyRelu")])
def test_the_network_of_the_release_has_its_own_widths_and_relus(
    tmp_path: Path, options: dict[str, Any], kind: str
) -> None:
    net = UNet(base_width=4, depth=2, release=True, **options)
    of = made_of(net.eval(), NetworkConfig(**FLAT | {"release": True, "batch_norm": False} | options))
    write_onnx(of, tmp_path / "net.onnx")
    assert kinds(onnx.load(tmp_path / "net.onnx")).count(kind) == 10 + 2
    x = tiles(net.geometry, 1, seed=3)
    assert np.abs(onnx_run(tmp_path / "net.onnx")(x) - by_torch(of, x)).max() < 1e-5


def test_framed_the_middle_is_the_answer_and_the_margin_is_zero(tmp_path: Path) -> None:
    of = model(ANISOTROPIC)
    (tmp_path / "net.onnx").write_bytes(onnx_model(of, framed=True).SerializeToString())
    frame = frame_of(of.network.geometry)
    x = np.random.default_rng(0).normal(size=(1, 2, *frame.input_for(3))).astype(np.float32)
    got = onnx_run(tmp_path / "net.onnx")(x)
    assert got.shape == (1, 3, *x.shape[2:])
    kept = tuple(slice(h, n - h) for h, n in zip(frame.halo, x.shape[2:], strict=True))
    tile = x[(..., *(slice(e, None) for e in frame.extra))]
    expected = by_torch(of, tile)[(..., *(slice(k.stop - k.start) for k in kept))]
    assert np.abs(got[(..., *kept)] - expected).max() < 1e-5
    got[(..., *kept)] = 0
    assert not got.any()


# What is in the file


def test_the_file_reads_as_the_u() -> None:
    proto = onnx_model(model(FLAT | {"depth": 1}))
    level = ["Conv", "Relu", "Conv", "Relu"]
    up = ["ConvTranspose", "Slice", "Concat"]
    assert kinds(proto) == [*level, "MaxPool", *level, *up, *level, "Conv", "Softmax"]
    names = [node.name for node in proto.graph.node]
    assert names[:5] == ["down.0.0", "down.0.1", "down.0.2", "down.0.3", "pool.0"]
    assert names[9:12] == ["up.0", "crop.0", "concat.0"] and names[-2:] == ["head", "probabilities"]
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in proto.graph.initializer}
    assert constants["up.0.weight"].shape == (8, 4, 2, 2)
    # the bottom loses 4, which are 8 one level above: 4 on each side
    assert [constants[f"crop.0.{key}"].tolist() for key in ("starts", "ends", "axes")] == [
        [4, 4],
        [-4, -4],
        [2, 3],
    ]


def test_batch_and_space_are_free_and_channels_are_not() -> None:
    proto = onnx_model(model(ANISOTROPIC))
    halo = proto.graph.output[0]
    assert dims(proto.graph.input[0]) == ["batch", 2, "z", "y", "x"]
    assert dims(halo)[:2] == ["batch", 3] and str(dims(halo)[3]).startswith("y - ")
    assert proto.opset_import[0].version == 17 and proto.producer_name == "unseam"


def test_the_file_says_what_using_it_takes() -> None:
    of = model(spacing=(0.5, 0.25), unseam_version="0.1.0")
    proto = onnx_model(of)
    said = {prop.key: prop.value for prop in proto.metadata_props}
    assert json.loads(said["unseam_model"]) == json.loads(header_json(of.header))
    # depth 2: 4 + 8 lost on the way down and up, 16 at the bottom, so 20 on each side; smallest 44
    assert said["sizes"] == "y 44 + 4 n, x 44 + 4 n pixels in; 20, 20 fewer out on each side"
    assert "percentile 1 becomes 0 and percentile 99.8 becomes 1" in said["intensities"]
    assert (said["classes"], said["spacing_um"]) == ("background, object", "0.5 x 0.25")
    assert proto.producer_version == "0.1.0" and "2015" in said["citation"]


# What is refused


@pytest.mark.parametrize("wrong", [2e-4, np.nan])
def test_a_file_that_differs_is_not_written(
    wrong: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = onnx_run
    monkeypatch.setattr(exported, "onnx_run", lambda path: lambda x: right(path)(x) + wrong)
    with pytest.raises(OutputError, match=r"differs from PyTorch by .* at most 1e-04 was expected; nothing"):
        write_onnx(model(), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_a_difference_within_tolerance_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = onnx_run
    monkeypatch.setattr(exported, "onnx_run", lambda path: lambda x: right(path)(x) + 5e-5)
    assert 4e-5 < write_onnx(model(), tmp_path / "net.onnx").difference < agreement.TOLERANCE


def test_steps_are_told(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    write_onnx(model(), tmp_path / "net.onnx", on_step=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"net\.onnx exists already; give --overwrite"):
        write_onnx(model(), tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_text() == "mine"
    write_onnx(model(), tmp_path / "net.onnx", overwrite=True)
    assert onnx.load(tmp_path / "net.onnx").graph.name == "unet"


def test_a_missing_package_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        MissingExtraError, match=r"--to onnx needs the package onnxruntime; .*'unseam\[onnx\]'"
    ):
        write_onnx(model(), tmp_path / "net.onnx")
