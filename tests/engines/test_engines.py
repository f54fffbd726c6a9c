"""Every engine gives what the modules of PyTorch give, and no cut shows in it."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.engines.fakes import run_by
from tests.export.nets import FLAT, NETS, NETWORKS, by_torch, made_of, model, tiles
from tests.tiny import samples, trained_run, write_set

from unseam.config import NetworkConfig
from unseam.engines import EngineNetwork
from unseam.engines.agreement import Agreement
from unseam.engines.bits import with_rule
from unseam.engines.known import engine_of, torch_on
from unseam.engines.network import KEPT
from unseam.errors import ShapeError
from unseam.io.images import write_tiff
from unseam.io.remembered import OWN
from unseam.model.unet import UNet
from unseam.prediction import Model, load_model
from unseam.prediction.tiles import plan_image
from unseam.processor import multiplies_bfloat16
from unseam.streaming.job import ImageSpec
from unseam.streaming.run import stream
from unseam.streaming.wanted import Wanted
from unseam.tile_rule import TileRule

Array = NDArray[Any]
NAMES = tuple(name for name in ("openvino", "onnx", "torch") if engine_of(name).is_installed)
WAYS = [
    (name, precision)
    for name in NAMES
    for precision in engine_of(name).precisions
    if precision not in ("float64", "int8")
]
"""But those of `unseam verify`, and of networks that are calibrated: see test_quantised.py."""
NATIVE = pytest.mark.skipif(not multiplies_bfloat16(), reason="this processor has no native bfloat16")


def by(of: Model, name: str, precision: str = "float32") -> EngineNetwork:
    return EngineNetwork(of.own.folded, engine_of(name), precision)


# What they compute


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_that_of_pytorch(name: str, engine: str) -> None:
    of = model(NETWORKS[name])
    network = by(of, engine)
    for seed in range(2):
        (x,) = tiles(of.network.geometry, of.network.in_channels, seed=seed, count=1)
        found = network.probabilities(x)
        assert found.dtype == np.float32 and found.flags.c_contiguous
        np.testing.assert_allclose(found, by_torch(of, x[None])[0], atol=1e-5)


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("options", [{}, {"leak": 0.1, "wide_top": True}])
def test_the_networks_of_the_authors_are_too(options: dict[str, Any], engine: str) -> None:
    net = UNet(base_width=4, depth=2, release=True, **options)
    of = made_of(net.eval(), NetworkConfig(**FLAT | {"release": True, "batch_norm": False} | options))
    (x,) = tiles(net.geometry, 1, seed=3, count=1)
    np.testing.assert_allclose(by(of, engine).probabilities(x), by_torch(of, x[None])[0], atol=1e-5)


@pytest.mark.parametrize(("engine", "precision"), [way for way in WAYS if way[1] == "bfloat16"])
def test_low_precision_is_near(engine: str, precision: str) -> None:
    of = model(FLAT | {"depth": 3})
    (x,) = tiles(of.network.geometry, 1, seed=1, count=1)
    apart = np.abs(by(of, engine, precision).probabilities(x) - by_torch(of, x[None])[0])
    assert apart.mean() < 0.01
    if multiplies_bfloat16():
        assert apart.max() > 1e-5  # or it is float32 by another name


def test_double_precision_is_nearer_than_float32() -> None:
    of = model(FLAT)
    net = NETS[of.own.folded]
    (x,) = tiles(of.network.geometry, 1, seed=1, count=1)
    with torch.no_grad():
        expected = torch.softmax(net.double()(torch.from_numpy(x)[None].double()), 1)[0].numpy()
    found = by(of, "torch", "float64").probabilities(x)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("name", ["2-D, batch norm, colour", "3-D, anisotropic", "2-D, no pooling"])
def test_moments_are_those_of_each_level(name: str, engine: str) -> None:
    of = model(NETWORKS[name])
    net = NETS[of.own.folded]
    (part,) = tiles(of.network.geometry, of.network.in_channels, seed=2, count=1)
    seen: list[torch.Tensor] = []
    hooks = [
        level.register_forward_hook(lambda _, __, output: seen.append(output[0].flatten(1).double()))
        for level in (*net.down, net.bottom)
    ]
    with torch.no_grad():
        net(torch.from_numpy(part)[None])
    for hook in hooks:
        hook.remove()
    expected = torch.cat([torch.stack([x.mean(1), (x**2).mean(1)]) for x in seen], 1).numpy()
    np.testing.assert_allclose(by(of, engine).moments(part), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("engine", NAMES)
def test_threads_change_no_bit_that_matters(engine: str) -> None:
    of = model(FLAT | {"base_width": 8})
    (x,) = tiles(of.network.geometry, 1, seed=4, count=1)
    one, two = (replace(by(of, engine), threads=n).probabilities(x) for n in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_a_tile_of_no_valid_size() -> None:
    network = model(FLAT).own
    with pytest.raises(ShapeError, match="tile 45x44 does not fit this network"):
        network.probabilities(np.zeros((1, 45, 44), np.float32))


def test_few_shapes_stay_compiled() -> None:
    network, built = model(FLAT).own, list[tuple[int, ...]]()
    plain = torch_on("cpu")

    def compile_tile(folded: Any, tile: Any, **how: Any) -> Any:
        built.append(tuple(tile))
        return plain.compile_tile(folded, tile, **how)

    counted = replace(network, engine=replace(plain, compile_tile=compile_tile))
    sizes = [44 + 4 * k for k in range(KEPT + 1)]
    for size in [*sizes[:-1], *sizes[:-1], sizes[-1], sizes[-1], sizes[0]]:
        counted.probabilities(np.zeros((1, size, size), np.float32))
    assert built == [(n, n) for n in [*sizes, sizes[0]]]


# The law: no cut shows, whatever the engine


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Model:
    found = load_model(trained_run(tmp_path_factory), device="cpu", engine="torch")
    return found.with_objects(threshold=0.35, min_size=2)


@pytest.mark.parametrize(("engine", "precision"), WAYS)
def test_labels_do_not_depend_on_the_cut(engine: str, precision: str, trained: Model, tmp_path: Path) -> None:
    of = run_by(trained, engine_of(engine), precision)
    of = replace(of, network=with_rule(of.own))
    least = min(of.own.rule.shapes, default=(0, 0))
    height, width = (max(n, 50 + m) for n, m in zip((200, 150), least, strict=True))
    image = samples(1, size=max(height, width), seed=9)[0].image[:, :height, :width]
    assert math.prod(plan_image(image.shape[1:], of.own, tile=8).counts) > 1  # or there was no cut
    write_tiff(tmp_path / "cells.tif", image[0], axes="YX", spacing=(0.5, 0.5))
    raw = np.sort(1 - of.probabilities(image)[0], axis=None)
    of = of.with_objects(threshold=float(raw[int(0.7 * raw.size)]))  # which is the probability of a pixel
    first = of.predict(image, tile=512, spacing=(0.5, 0.5))
    assert first.labels.max() > 5
    for tile, tta in ((8, "none"), (37, "none"), ("auto", "none"), (40, "rotate")):
        whole = first if tta == "none" else of.predict(image, tile=512, tta=tta)
        np.testing.assert_array_equal(of.predict(image, tile=tile, tta=tta).labels, whole.labels)
    first.table().to_csv(tmp_path / "whole.csv")
    for block in (50, 64):
        wanted = Wanted(tmp_path / f"{block}.zarr", save=("labels", "table"), block=block)
        assert of.path is not None
        stream(of, of.path, ImageSpec(str(tmp_path / "cells.tif")), wanted)
        found = (tmp_path / f"{block}.csv").read_bytes()
        assert found == (tmp_path / "whole.csv").read_bytes()


@NATIVE
@pytest.mark.skipif("openvino" not in NAMES, reason="OpenVINO is not installed")
def test_small_tiles_do_differ_in_bfloat16_and_the_rule_knows() -> None:
    """A network wide enough for other kernels: what the rule is for."""
    of = model({"in_channels": 1, "classes": 2, "spatial_dims": 2, "base_width": 16, "depth": 3})
    network = with_rule(by(of, "openvino", "bfloat16"))
    assert network.rule.shapes and (128, 128) not in network.rule.shapes
    image = np.random.default_rng(0).normal(0.3, 0.6, (1, 300, 420)).astype(np.float32)
    agreed = Agreement(0.0, 0.0, 0.0, "bfloat16")  # which random weights need not do
    ruled = replace(of, network=network, agreement=agreed)
    free = replace(of, network=by(of, "openvino", "bfloat16"), agreement=agreed)
    one, other = (ruled.probabilities(image, tile=tile) for tile in (64, 512))
    np.testing.assert_allclose(one, other, atol=0 if network.rule.is_exact else 5e-6)
    one, other = (free.probabilities(image, tile=tile) for tile in (64, 512))
    assert np.abs(one - other).max() > 1e-3
    threshold = float(np.median(1 - other[0]))
    unsettled = replace(free, network=free.own.with_rule(TileRule(is_exact=True)))  # as if all tiles agreed
    for cut, same in ((ruled, True), (unsettled, False)):
        objects = cut.with_objects(threshold=threshold, low_threshold=threshold, min_size=0, grow=0)
        labels = [objects.predict(image, tile=tile).labels for tile in (64, "auto", 512)]
        assert labels[0].max() > 50
        assert all(np.array_equal(found, labels[-1]) for found in labels) is same


# Without PyTorch


@pytest.mark.skipif("openvino" not in NAMES, reason="OpenVINO is not installed")
@pytest.mark.parametrize("out", ["out", "out.zarr"])
def test_predicting_leaves_pytorch_out(
    tmp_path: Path, out: str, tmp_path_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the second time on: the first time that a model is used it is compared with PyTorch."""
    run = trained_run(tmp_path_factory)
    monkeypatch.setenv(OWN, str(tmp_path / "cache"))
    images, _ = write_set(tmp_path, samples(1))
    arguments = ["predict", str(run), str(images), "--engine", "openvino", "--overwrite", "--out"]
    code = (
        "import sys; from unseam.cli import main; code = main(sys.argv[1:]); "
        "print(code, sorted(m for m in ('torch', 'onnx', 'openvino') if m in sys.modules))"
    )
    said = []
    for _ in range(2):
        command = [sys.executable, "-W", "error", "-c", code, *arguments, str(tmp_path / out)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        said.append(done.stdout.splitlines()[-1])
        assert "engine: OpenVINO" in done.stderr
        assert f"of float32 {'when it was compared' if len(said) > 1 else 'on the first tile'}" in done.stderr
    assert said[1] == "0 ['openvino']"
