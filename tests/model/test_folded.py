"""The network as plain arrays: the shapes that a file has, and batch norm folded, as PyTorch computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.export.nets import FLAT, NETWORKS
from tests.test_geometry import axes

from unseam.config import NetworkConfig, ObjectConfig
from unseam.errors import ConfigError, ModelFileError
from unseam.geometry import AxisGeometry, Geometry
from unseam.model.checkpoint import build_network, save_model
from unseam.model.folded import crop_margins, fold, shapes_of
from unseam.model.header import ModelHeader
from unseam.model.weights import load_folded, read_weights
from unseam.normalize import Normalization

VARIANTS = {
    **NETWORKS,
    "release": FLAT | {"release": True, "batch_norm": False},
    "wide top": FLAT | {"wide_top": True, "leak": 0.1},
    "release, no pooling": FLAT | {"release": True, "depth": 0},
    "left open": {"depth": 1},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_arrays_are_those_of_the_modules(name: str) -> None:
    config = NetworkConfig(**VARIANTS[name])
    with torch.device("meta"):
        net = build_network(config)
    assert shapes_of(config) == {key: tuple(value.shape) for key, value in net.state_dict().items()}


def test_strides_that_do_not_fit_the_depth() -> None:
    with pytest.raises(ConfigError, match="1 strides and 3 kernels were given for depth 2"):
        shapes_of(NetworkConfig(**FLAT | {"strides": ((2, 2),)}))


def test_batch_norm_folded_by_hand() -> None:
    """Kernel 4, mean 2, variance 9, gain 6, shift 1: 6 (4 x - 2) / 3 + 1 = 8 x - 3."""
    config = NetworkConfig(in_channels=1, classes=2, spatial_dims=2, base_width=1, depth=0, batch_norm=True)
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes_of(config).items()}
    arrays["bottom.0.weight"] = np.full((1, 1, 3, 3), 4, np.float32)
    for key, value in {"running_mean": 2, "running_var": 9, "weight": 6, "bias": 1}.items():
        arrays[f"bottom.1.{key}"] = np.float32([value])
    first = fold(config, arrays).bottom[0]
    np.testing.assert_allclose(first.weight, 8, rtol=2e-6)  # the epsilon
    np.testing.assert_allclose(first.bias, -3, rtol=2e-6)


def test_the_paper_s_crops_by_hand() -> None:
    # figure 1: 568 beside 392, 280 beside 200, 136 beside 104, 64 beside 56; half of each difference
    paper = Geometry.regular(spatial_dims=2, depth=4)
    assert crop_margins(paper) == [(88, 88), (40, 40), (16, 16), (4, 4)]


def test_crops_of_an_axis_without_convolutions_are_none() -> None:
    # along Z nothing is lost; along Y the bottom loses 4, which are 8 above
    assert crop_margins(Geometry.from_levels([(1, 3), (1, 3)], [(2, 2)])) == [(0, 4)]


@given(axes(), st.integers(0, 3))
def test_crops_are_those_of_a_walk_at_every_size(axis: AxisGeometry, more: int) -> None:
    size, skips = axis.smallest_input + more * axis.grid, []
    for kernel, stride in zip(axis.kernels, axis.strides, strict=False):
        skips.append(size - 2 * (kernel - 1))
        size = skips[-1] // stride
    size -= 2 * (axis.kernels[-1] - 1)
    margins = crop_margins(Geometry((axis,)))
    for level in reversed(range(len(skips))):
        size *= axis.strides[level]
        before, after = (skips[level] - size) // 2, skips[level] - size - (skips[level] - size) // 2
        assert (before, after) == margins[level] * 2
        size -= 2 * (axis.kernels[level] - 1)


def saved(path: Path, config: NetworkConfig, dtype: torch.dtype | None = None) -> dict[str, torch.Tensor]:
    state = build_network(config, torch.Generator().manual_seed(0)).state_dict()
    header = ModelHeader("instances", config, Normalization(), ObjectConfig())
    save_model(path, state, header, overwrite=True, dtype=dtype)
    return state


@pytest.mark.parametrize("dtype", [None, torch.bfloat16, torch.float16])
def test_weights_are_read_as_pytorch_reads_them(tmp_path: Path, dtype: torch.dtype | None) -> None:
    path = tmp_path / "m.safetensors"
    state = saved(path, NetworkConfig(**NETWORKS["3-D, anisotropic"]), dtype)
    arrays = read_weights(path.read_bytes())
    assert arrays.keys() == state.keys()
    for name, tensor in state.items():
        stored = tensor if dtype is None or tensor.ndim < 2 else tensor.to(dtype).float()
        np.testing.assert_array_equal(arrays[name], stored.numpy())


def test_a_file_gives_network_and_header(tmp_path: Path) -> None:
    config = NetworkConfig(**FLAT, batch_norm=False)
    state = saved(tmp_path / "m.safetensors", config)
    network, header = load_folded(tmp_path / "m.safetensors")
    assert header.network == config
    np.testing.assert_array_equal(network.down[1][0].weight, state["down.1.0.weight"].numpy())
    assert (network.in_channels, network.classes, network.spatial_dims, network.base_width) == (1, 2, 2, 4)
    assert network.geometry == build_network(config).geometry


def without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda state: state.pop(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("bottom.0.bias"), r"bottom\.0\.bias is missing, and \(16,\) was expected"),
        (lambda s: s.update(more=torch.zeros(2)), r"more is \(2,\), and nothing was expected"),
        (lambda s: s.update({"head.bias": torch.zeros(3)}), r"head\.bias is \(3,\), and \(2,\) was expected"),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, change: Callable[[Any], Any], said: str) -> None:
    path, config = tmp_path / "m.safetensors", NetworkConfig(**FLAT, batch_norm=False)
    state = saved(path, config)
    change(state)
    header = ModelHeader("instances", config, Normalization(), ObjectConfig())
    save_model(path, state, header, overwrite=True)
    with pytest.raises(ModelFileError, match="do not fit its own description: " + said):
        load_folded(path)


def test_a_description_that_cannot_be_built(tmp_path: Path) -> None:
    path, config = tmp_path / "m.safetensors", NetworkConfig(**FLAT, batch_norm=False)
    state = saved(path, config)
    broken = ModelHeader("instances", replace(config, strides=((2, 2),)), Normalization(), ObjectConfig())
    save_model(path, state, broken, overwrite=True)
    with pytest.raises(ModelFileError, match="describes a network that cannot be built: 1 strides"):
        load_folded(path)


def test_numbers_of_an_unknown_kind(tmp_path: Path) -> None:
    path, config = tmp_path / "m.safetensors", NetworkConfig(**FLAT, batch_norm=False)
    state = saved(path, config)
    state["head.bias"] = torch.zeros(2, dtype=torch.bool)
    header = ModelHeader("instances", config, Normalization(), ObjectConfig())
    save_model(path, state, header, overwrite=True)
    with pytest.raises(ModelFileError, match=r"holds numbers of a kind that no model has .*BOOL"):
        load_folded(path)
