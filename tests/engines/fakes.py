"""Engines whose bits depend on the tile as they are told: what an engine does in bfloat16, on any machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from tests.tiny import untrained

from unseam.engines import Engine, EngineNetwork, Run
from unseam.engines.known import torch_on
from unseam.io.images import write_tiff
from unseam.model.folded import FoldedNetwork
from unseam.prediction import Model
from unseam.streaming.job import ImageSpec
from unseam.streaming.run import stream
from unseam.streaming.wanted import Wanted

Array = NDArray[Any]


def fake(*, below: int = 0, above: int = 10**9, by_place: float = 0.0, wrong: float = 0.0) -> Engine:
    """An engine whose foreground is the middle of the tile, 0 to 1, exactly.

    Tiles whose last axis has an output below `below` or above `above` give up to 0.02 more;
    `by_place` is what the place within the tile adds at most; `wrong` is added to all.
    """

    def compile_tile(network: FoldedNetwork, tile: Sequence[int], *, precision: str, threads: int) -> Run:
        assert precision in ("bfloat16", "float32") and threads >= 0
        output, halo = network.geometry.output(tile), network.geometry.halo
        middle = tuple(slice(h, h + n) for h, n in zip(halo, output, strict=True))
        places = np.sin(np.arange(np.prod(output)).reshape(output)) * by_place

        def run(x: Array) -> Array:
            foreground = x[(0, *middle)].clip(0, 1) * 0.9
            if output[-1] < below or output[-1] > above:
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


def soft(*shape: int) -> Array:
    """An image whose intensities are all between 0 and 1, many of them near any threshold."""
    return np.random.default_rng(0).random((1, *shape)).astype(np.float32)


def as_is(model: Model) -> Model:
    """The model, for intensities as they are."""
    scaling = replace(model.header.own_normalization, method="none")
    return replace(model, header=replace(model.header, normalization=scaling))


def labels_in_blocks(model: Model, image: Array, folder: Path, block: int) -> Array:
    write_tiff(folder / "image.tif", image[0], axes="YX", overwrite=True)
    (folder / "model").write_text("some model")
    wanted = Wanted(folder / f"{block}.zarr", save=("labels",), block=block)
    stream(model, folder / "model", ImageSpec(str(folder / "image.tif")), wanted)
    return np.asarray(zarr.open_array(wanted.out / "0", mode="r")[:])
