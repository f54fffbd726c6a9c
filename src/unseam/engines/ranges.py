"""How large the values between the layers become on tiles, which int8 takes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from unseam.engines.openvino import compiled_graph, graph, load_openvino
from unseam.engines.quantised import nodes_of, values
from unseam.model.folded import FoldedNetwork

LEAST = 1e-6
"""Width of a range that would have none, as of a layer that gives 0 everywhere."""


def value_ranges(
    network: FoldedNetwork, tiles: Iterable[NDArray[np.float32]], *, threads: int = 0
) -> dict[str, tuple[float, float]]:
    """Smallest and largest value that each layer but the last makes of tiles, in float32.

    Parameters
    ----------
    network : FoldedNetwork
    tiles : iterable of ndarray, (C, *tile)
        Scaled, of sizes that are valid; few different ones, as each is compiled for.
    threads : int
        0 for as many as OpenVINO takes by itself.

    Returns
    -------
    dict
        (low, high) by the name of the layer; 0 is within.
    """
    ops = load_openvino().opset13
    limits: dict[str, tuple[float, float]] = {}
    for_shape = {}
    for tile in tiles:
        if tile.shape not in for_shape:
            model = graph(network, tile.shape[1:])
            named = dict(values(nodes_of(model), network))
            axes = list(range(tile.ndim + 1))
            ends = [end(value, axes) for value in named.values() for end in (ops.reduce_min, ops.reduce_max)]
            model.add_outputs([end.output(0) for end in ends])
            for_shape[tile.shape] = compiled_graph(model, "float32", threads), tuple(named)
        compiled, names = for_shape[tile.shape]
        found = compiled([np.ascontiguousarray(tile)[None]])
        for k, name in enumerate(names):
            low, high = (float(found[1 + 2 * k + end]) for end in (0, 1))
            before = limits.get(name, (0.0, 0.0))
            limits[name] = min(low, before[0]), max(high, before[1])
    return {name: (low, max(high, low + LEAST)) for name, (low, high) in limits.items()}
