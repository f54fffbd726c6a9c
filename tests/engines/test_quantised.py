"""int8: by hand, against a slow version in float64, and the laws that it keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.export.nets import FLAT, NETS, NETWORKS, model, tiles
from tests.reference import int8 as reference

from unseam.engines import EngineNetwork
from unseam.engines.choosing import choices, choose, instead
from unseam.engines.known import engine_of
from unseam.engines.quantised import corrected, layers_of, matched, nodes_of, rounded, values
from unseam.errors import ConfigError, InputError, MissingExtraError
from unseam.geometry import Geometry
from unseam.model.calibration import Calibration
from unseam.model.folded import Convolution, FoldedNetwork

if not engine_of("openvino").is_installed:
    pytest.skip("openvino is not installed", allow_module_level=True)
from unseam.engines.calibrating import calibrate
from unseam.engines.openvino import compile_tile, compiled_graph, graph, quantised_graph

AUTHORS = {
    "release": FLAT | {"release": True},
    "leaky": FLAT | {"leak": 0.1},
    "release, leaky": FLAT | {"release": True, "leak": 0.1, "wide_top": True},
}
EVERY = NETWORKS | AUTHORS


def calibrated(options: dict[str, Any], seed: int = 0) -> tuple[FoldedNetwork, list[np.ndarray]]:
    """A network that is calibrated on a few tiles, and the tiles."""
    folded = model(options).own.folded
    some = list(tiles(folded.geometry, folded.in_channels, seed=seed, count=3))
    return replace(folded, calibration=calibrate(folded, some, threads=1)), some


def in_int8(network: FoldedNetwork, tile: np.ndarray) -> np.ndarray:
    return compile_tile(network, tile.shape[1:], precision="int8", threads=1)(tile)


def in_float32(network: FoldedNetwork, tile: np.ndarray) -> np.ndarray:
    return compile_tile(network, tile.shape[1:], precision="float32", threads=1)(tile)


# Ranges


@pytest.mark.parametrize("name", EVERY)
def test_ranges_are_those_of_the_modules(name: str) -> None:
    folded, some = calibrated(EVERY[name] | {"batch_norm": False})
    net, seen = NETS[model(EVERY[name] | {"batch_norm": False}).own.folded], {}

    def watch(module: torch.nn.Module, name: str) -> None:
        def keep(_: object, __: object, output: torch.Tensor) -> None:
            limits = seen.setdefault(name, [0.0, 0.0])
            limits[0] = min(limits[0], float(output.min()))
            limits[1] = max(limits[1], float(output.max()))

        module.register_forward_hook(keep)

    for level, layers in net.named_modules():
        if isinstance(layers, torch.nn.Sequential) and level.split(".")[0] in ("down", "bottom", "out"):
            watch(layers[1], f"{level}.0")
            watch(layers[3], f"{level}.1")
    for k, up in enumerate(net.up):
        watch(up, f"up.{k}")
    with torch.no_grad():
        for tile in some:
            net(torch.from_numpy(tile)[None])
    if folded.active_up:  # what the module gives before its activation
        slope = folded.leak
        seen |= {n: [low * slope, high] for n, (low, high) in seen.items() if n.startswith("up")}
    assert folded.calibration is not None and folded.calibration.ranges.keys() == seen.keys()
    for name, limits in seen.items():
        np.testing.assert_allclose(folded.calibration.ranges[name], limits, rtol=1e-4, atol=1e-5)


def test_a_range_is_never_empty() -> None:
    folded = model(FLAT).own.folded
    dead = replace(
        folded,
        head=folded.head,
        bottom=tuple(Convolution(layer.weight * 0, layer.bias * 0) for layer in folded.bottom),
    )
    (tile,) = tiles(folded.geometry, 1, seed=0, count=1)
    found = calibrate(dead, [tile], threads=1)
    assert found.ranges["bottom.1"] == (0.0, 1e-6)
    assert np.isfinite(in_int8(replace(dead, calibration=found), tile)).all()


# What comes up, brought to the range of the skip


def test_matching_by_hand() -> None:
    """What comes up, -1 to 3, becomes 0 to 8 by x' = 2 x + 2; 5 x = 2.5 x' - 5."""

    def one(*weights: float, bias: float = 0.0) -> Convolution:
        return Convolution(np.array(weights, np.float32).reshape(1, -1, 1, 1), np.float32([bias]))

    level = (one(1), one(1))
    network = FoldedNetwork(
        Geometry.from_levels([(1, 1), (1, 1)], [(1, 1)]),
        ((1, 1),),
        (level,),
        level,
        (one(3, bias=1),),
        ((one(7, 5, bias=1), one(1)),),
        one(1),
    )
    ranges = dict.fromkeys(("down.0.0", "bottom.0", "bottom.1", "out.0.0", "out.0.1"), (0.0, 4.0))
    means = {"out.0.0": (0.5, 1.5), "out.0.1": (2.0,)}
    seen = Calibration(ranges | {"down.0.1": (0.0, 8.0), "up.0": (-1.0, 3.0)}, means)
    same = matched(replace(network, calibration=seen))
    found = same.calibration
    assert found is not None
    assert found.ranges["up.0"] == found.ranges["down.0.1"] == pytest.approx((0.0, 8.0))
    assert found.ranges["out.0.0"] == pytest.approx((0.0, 4.0))
    assert found.means == {"out.0.0": (0.5, 5.0), "out.0.1": (2.0,)}  # 2 * 1.5 + 2
    assert same.up[0].weight.item() == 6 and same.up[0].bias.item() == 4
    first = same.out[0][0]
    assert first.weight.ravel().tolist() == [7, 2.5] and first.bias.item() == 1 - 5


@pytest.mark.parametrize("name", EVERY)
def test_matching_changes_nothing_but_ranges(name: str) -> None:
    folded, some = calibrated(EVERY[name])
    same = matched(folded)
    again = calibrate(same, some, threads=1)
    assert same.calibration is not None
    common = same.calibration.ranges
    for tile in some:
        np.testing.assert_allclose(in_float32(same, tile), in_float32(folded, tile), atol=2e-5)
    for k in range(len(folded.up)):
        skip, up = common[f"down.{k}.1"], common[f"up.{k}"]
        assert skip == up
        found = np.array([again.ranges[f"up.{k}"], again.ranges[f"down.{k}.1"]])
        slack = (up[1] - up[0]) / 255  # a level, by which a range is moved
        assert found[:, 0].min() >= up[0] - slack and found[:, 1].max() <= up[1] + slack
        assert abs(found[:, 1].max() - up[1]) <= slack  # no wider than it must be
    for layer, means in same.calibration.means.items():
        np.testing.assert_allclose(means, again.means[layer], rtol=1e-3, atol=2e-4)


# Biases that make up for rounded weights


def test_weights_are_rounded_by_hand() -> None:
    """The largest, 254, is 127 units of 2; 3 is a unit and a half, which goes to the even number of units."""
    weight = np.array([[254, 3, -5.1], [-127, 0.4, 0.6]], np.float32)
    assert rounded(weight, 0).tolist() == [[254, 4, -6], [-127, 0, 1]]
    assert rounded(np.zeros((2, 2), np.float32), 1).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("name", EVERY)
def test_rounded_weights_change_no_mean(name: str) -> None:
    """Of the values before the activation, seen on the tiles that were calibrated on, a layer at a time."""
    folded, _ = calibrated(EVERY[name])
    same = corrected(folded)
    calibration = folded.calibration
    assert calibration is not None
    biases, before = biases_of(same), biases_of(folded)
    for layer, weight, output in layers_of(folded)[1:]:
        means = np.array(calibration.means[layer])
        for k in range(weight.shape[output]):
            one, changed = (
                np.take(w, k, output).reshape(len(means), -1) for w in (weight, rounded(weight, output))
            )
            per_tap = np.mean if output else np.sum
            expected = per_tap(one, 1) @ means + before[layer][k]
            found = per_tap(changed, 1) @ means + biases[layer][k]
            assert found == pytest.approx(expected, abs=1e-5)
    first = next(iter(biases))
    np.testing.assert_array_equal(biases[first], before[first])  # whose weights are not rounded


def biases_of(network: FoldedNetwork) -> dict[str, np.ndarray]:
    levels = [(f"down.{k}", level) for k, level in enumerate(network.down)]
    levels += [("bottom", network.bottom), *((f"out.{k}", level) for k, level in enumerate(network.out))]
    found = {f"{name}.{k}": layer.bias for name, level in levels for k, layer in enumerate(level)}
    return found | {f"up.{k}": layer.bias for k, layer in enumerate(network.up)} | {"head": network.head.bias}


def test_means_are_those_of_what_layers_read() -> None:
    folded, some = calibrated(FLAT | {"depth": 1})
    net, seen = NETS[model(FLAT | {"depth": 1}).own.folded], dict[str, list[np.ndarray]]()

    def watch(module: torch.nn.Module, name: str) -> None:
        def keep(_: object, read: tuple[torch.Tensor], __: object) -> None:
            seen.setdefault(name, []).append(read[0].mean((0, 2, 3)).numpy())

        module.register_forward_hook(keep)

    read = {
        "down.0.1": net.down[0][2],
        "bottom.0": net.bottom[0],
        "bottom.1": net.bottom[2],
        "up.0": net.up[0],
    }
    read |= {"out.0.0": net.out[0][0], "out.0.1": net.out[0][2], "head": net.head}
    for name, module in read.items():
        watch(module, name)
    with torch.no_grad():
        for tile in some:
            net(torch.from_numpy(tile)[None])
    assert folded.calibration is not None and folded.calibration.means.keys() == seen.keys()
    for name, means in seen.items():
        np.testing.assert_allclose(folded.calibration.means[name], np.mean(means, 0), rtol=1e-4, atol=1e-5)


# What is computed


@pytest.mark.parametrize("name", EVERY)
def test_it_is_the_rounded_network(name: str) -> None:
    folded, some = calibrated(EVERY[name])
    found = in_int8(folded, some[0])
    expected = reference.probabilities(corrected(matched(folded)), some[0])
    exact = in_float32(folded, some[0])
    apart, lost = np.abs(found - expected), np.abs(expected - exact)
    assert lost.max() > 1e-5  # rounding does something here
    assert apart.mean() < 0.02 * lost.mean()  # ties may fall to either side


def test_the_convolutions_multiply_bytes() -> None:
    folded, _ = calibrated(FLAT | {"base_width": 16})
    compiled = compiled_graph(quantised_graph(folded, folded.geometry.input_for((64, 64))), "int8", 1)
    kinds = {}
    for node in compiled.get_runtime_model().get_ordered_ops():
        about = {
            key: str(value.astype(str))
            for key, value in node.get_rt_info().items()
            if key != "originalLayersNames"
        }
        if about["layerType"] in ("Convolution", "Deconvolution"):
            kinds[node.get_friendly_name()] = about["primitiveType"]
    assert len(kinds) == 10 + 2 + 1, kinds
    floats = [name for name, kind in kinds.items() if not kind.endswith("I8")]
    assert floats == ["down.0.0"], kinds


@pytest.mark.parametrize("options", [FLAT | {"base_width": 16, "depth": 3}, NETWORKS["3-D"]])
def test_tiles_of_every_size_have_the_same_bits(options: dict[str, Any]) -> None:
    folded, _ = calibrated(options)
    geometry, dims = folded.geometry, folded.spatial_dims
    grid, rng = geometry.grid[0], np.random.default_rng(2)
    sizes = (1, 40, 200, 328) if dims == 2 else (1, 10, 36)
    whole = rng.normal(0.3, 0.6, (1, *geometry.input_for([sizes[-1]] * dims))).astype(np.float32)
    expected = in_int8(folded, whole)
    for size in sizes[:-1]:
        shape = geometry.input_for((size, *[sizes[1]] * (dims - 1)))
        for shift in (0, grid):
            cut = tuple(slice(shift, shift + n) for n in shape)
            found = in_int8(folded, np.ascontiguousarray(whole[(slice(None), *cut)]))
            part = tuple(slice(shift, shift + n) for n in found.shape[1:])
            np.testing.assert_array_equal(found, expected[(slice(None), *part)])


def test_zero_stays_zero() -> None:
    folded, _ = calibrated(AUTHORS["leaky"])
    calibration = matched(folded).calibration
    assert calibration is not None
    for low, high in calibration.ranges.values():
        levels = np.linspace(low, high, 256)
        assert low < 0 < high and np.abs(levels).min() < 1e-12


def test_values_beyond_the_ranges_are_cut_off() -> None:
    folded, some = calibrated(FLAT)
    assert np.isfinite(in_int8(folded, 1000 * some[0])).all()


def test_every_layer_has_a_value() -> None:
    folded = model(FLAT).own.folded
    named = dict(values(nodes_of(graph(folded, folded.geometry.smallest_input)), folded))
    assert len(named) == 10 + 2 and "head" not in named  # ten convolutions, two that come up


# The choice


def test_int8_is_openvino_s_and_never_taken_unasked() -> None:
    first = choices("auto", "int8")[0]
    assert (first.engine.name, first.precision, first.why_precision) == ("openvino", "int8", "as asked")
    assert all(choice.precision != "int8" for choice in choices())
    with pytest.raises(ConfigError, match="precision int8 was asked for and PyTorch computes in float32"):
        choices("torch", "int8")
    with pytest.raises(InputError, match="engine openvino runs on the processor, and device cuda was asked"):
        choices("auto", "int8", device="cuda")


def test_int8_of_a_machine_without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unseam.engines.engine.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'unseam\[openvino\]'"):
        choices("auto", "int8")


def test_a_network_that_is_not_calibrated() -> None:
    words = r"the model is not calibrated for it; `unseam calibrate MODEL IMAGES --out FILE` writes one"
    with pytest.raises(InputError, match=words):
        choose(model(FLAT).own.folded, choices("auto", "int8"))


def test_in_place_of_int8_comes_float32() -> None:
    folded, _ = calibrated(FLAT)
    network = choose(folded, choices("openvino", "int8"), threads=1).network
    assert network.precision == "int8" and network.rule.is_exact
    assert instead(network).precision == "float32"


def test_ranges_of_another_network_are_no_way_to_run_it() -> None:
    folded, _ = calibrated(FLAT)
    other = replace(folded, calibration=Calibration({}, {}))
    chosen = choose(other, choices("openvino", "int8"), threads=1)
    assert chosen.network.precision == "float32"
    assert "OpenVINO" in chosen.failures[0] and "int8 cannot run this network" in chosen.failures[0]


def test_it_is_an_engine_s_network_like_any() -> None:
    folded, some = calibrated(FLAT)
    network = EngineNetwork(folded, engine_of("openvino"), "int8", 1)
    np.testing.assert_array_equal(network.probabilities(some[0]), in_int8(folded, some[0]))
