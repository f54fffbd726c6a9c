"""Engines whose bits depend on the tile as they are told: what an engine does in bfloat16, on any machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.tiny import untrained

from unseam.engines import Engine, EngineNetwork, Run
from unseam.engines.known import torch_on
from unseam.model.folded import FoldedNetwork
from unseam.prediction import Model

Array = NDArray[Any]


def fake(*, below: int = 0, by_place: float = 0.0, wrong: float = 0.0) -> Engine:
    """An engine whose foreground is the middle of the tile, 0 to 1, exactly.

    Tiles with an output smaller than `below` along an axis give up to 0.02 more; `by_place` is what the place
    within the tile adds at most; `wrong` is added to all.
    """

    def compile_tile(network: FoldedNetwork, tile: Sequence[int], *, precision: str, threads: int) -> Run:
        assert precision in ("bfloat16", "float32") and threads >= 0
        output, halo = network.geometry.output(tile), network.geometry.halo
        middle = tuple(slice(h, h + n) for h, n in zip(halo, output, strict=True))
        places = np.sin(np.arange(np.prod(output)).reshape(output)) * by_place

        def run(x: Array) -> Array:
            foreground = x[(0, *middle)].clip(0, 1) * 0.9
            if min(output) < below:
                foreground = foreground + 0.02 * np.abs(np.sin(40 * foreground))
            foreground = (foreground + places + wrong).astype(np.float32)
            return np.stack([1 - foreground, foreground])

        return run

    plain = torch_on("cpu")
    return Engine(
        "torch", "Fake", ("numpy",), "", ("bfloat16", "float32"), compile_tile, plain.compile_encoder
    )


def run_by(model: Model, engine: Engine, precision: str = "bfloat16") -> Model:
    """The model, run by another engine."""
    return replace(model, network=EngineNetwork(model.own.folded, engine, precision))


def faked(**how: Any) -> Model:
    """A model of a tiny network that a fake engine runs."""
    return run_by(untrained(), fake(**how))
