"""How large the values between the layers become on tiles, which int8 takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.engines.openvino import answers_of, compiled_graph, graph, load_openvino
from unseam.engines.quantised import layers_of, nodes_of, values
from unseam.model.calibration import Calibration
from unseam.model.folded import FoldedNetwork

LEAST = 1e-6
"""Width of a range that would have none, as of a layer that gives 0 everywhere."""
DIGITS = 5
"""Of the numbers that are kept."""


def calibrate(
    network: FoldedNetwork,
    tiles: Sequence[NDArray[np.float32]],
    *,
    images: tuple[str, ...] = (),
    threads: int = 0,
) -> Calibration:
    """What the layers of a network make of tiles, in float32.

    Parameters
    ----------
    network : FoldedNetwork
    tiles : sequence of ndarray, (C, *tile)
        Scaled, of sizes that are valid; few different ones, as each is compiled for.
    images : names of those that they are from.
    threads : int
        0 for as many as OpenVINO takes by itself.
    """
    compiled = {}
    limits: dict[str, tuple[float, float]] = {}
    sums: dict[str, NDArray[np.float64]] = {}
    for tile in tiles:
        if tile.shape not in compiled:
            model, watched = _watched(network, tile.shape[1:])
            compiled[tile.shape] = answers_of(compiled_graph(model, "float32", threads)), watched
        answers, watched = compiled[tile.shape]
        for (kind, layer), found in zip(watched, answers(tile)[1:], strict=True):
            if kind == "mean":
                sums[layer] = sums.get(layer, 0) + found.astype(np.float64)
            else:
                low, high = limits.get(layer, (0.0, 0.0))
                limits[layer] = min(low, float(found.min())), max(high, float(found.max()))
    return Calibration(
        {layer: (_short(low), _short(max(high, low + LEAST))) for layer, (low, high) in limits.items()},
        {layer: tuple(map(_short, total / len(tiles))) for layer, total in sums.items()},
        images,
    )


def _watched(network: FoldedNetwork, tile: tuple[int, ...]) -> tuple[Any, list[tuple[str, str]]]:
    """The graph with further outputs, a number of each channel, and which they are: kind and layer."""
    ops, model = load_openvino().opset13, graph(network, tile)
    nodes, spatial = nodes_of(model), list(range(2, 2 + len(tile)))
    ends = {}
    for name, value in values(nodes, network):
        ends["low", name] = ops.reduce_min(value, spatial)
        ends["high", name] = ops.reduce_max(value, spatial)
    for name, _, _ in layers_of(network)[1:]:
        ends["mean", name] = ops.reduce_mean(nodes[name].input_value(0), spatial)
    model.add_outputs([end.output(0) for end in ends.values()])
    return model, list(ends)


def _short(number: float) -> float:
    """A number with as many digits as are kept."""
    return float(f"{number:.{DIGITS}g}")
