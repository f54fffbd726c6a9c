"""A network small enough to be trained in a second or two, and images for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from unseam.config import NetworkConfig, ObjectConfig
from unseam.data.sample import Sample
from unseam.data.synthetic import synthetic_set
from unseam.io.images import write_tiff
from unseam.model.checkpoint import build_network, load_network, save_model
from unseam.model.header import ModelHeader
from unseam.normalize import Normalization
from unseam.plan import OBJECTS
from unseam.prediction import Model, ready
from unseam.workflow.listener import SILENT
from unseam.workflow.training import train

SETTINGS = {
    "network": {"base_width": 4, "depth": 1},
    "train": {
        "patch": [52, 52],
        "batch": 2,
        "validations": 1,
        "learning_rate": 0.01,
        "average": 0.9,
        "device": "cpu",
        "precision": "float32",
    },
    "data": {"validation": 0.0},
    "loss": {"slope": 0.0},  # with it forty steps leave every probability below a half
    "objects": {"threshold": 0.5, "min_size": 8},
}


def samples(count: int, size: int = 64, seed: int = 1) -> list[Sample]:
    """Images of cells with their labels, their pixels 0.5 micrometres long."""
    return synthetic_set(count, shape=(size, size), seed=seed, radius=7.0)


def write_set(folder: Path, some: Sequence[Sample]) -> tuple[Path, Path]:
    """Write images and labels to two folders; returns both."""
    for s in some:
        write_tiff(folder / "images" / f"{s.stem}.tif", s.image[0], axes="YX", spacing=s.spacing)
        write_tiff(folder / "labels" / f"{s.stem}.tif", s.labels, axes="YX", spacing=s.spacing)
    return folder / "images", folder / "labels"


def trained_run(factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny training run, made once in a session."""
    run = factory.getbasetemp() / "tiny_run"
    if not run.exists():
        some = samples(4)
        train(
            [s.image for s in some],
            [s.labels for s in some],
            out=run,
            iterations=40,
            pixel_size=0.5,
            settings=SETTINGS,
            listener=SILENT,
        )
    return run


def untrained(
    *, task: str = "instances", dims: int = 2, channels: int = 1, classes: int = 2, **header: object
) -> Model:
    """A model with random weights, for what does not depend on what it has learned."""
    network = NetworkConfig(
        in_channels=channels, classes=classes, spatial_dims=dims, base_width=2, depth=1, batch_norm=False
    )
    net = build_network(network)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in net.parameters():
            weight.normal_(0, 0.5, generator=generator)
    full = ModelHeader(task, network, Normalization(), ObjectConfig(**OBJECTS), **header)  # type: ignore[arg-type]
    return ready(net.eval(), full)


def state_of(model: Model) -> dict[str, torch.Tensor]:
    """The weights of a model without batch norm, by the names of its file."""
    net = model.own.folded
    levels = {f"down.{k}": level for k, level in enumerate(net.down)} | {"bottom": net.bottom}
    levels |= {f"out.{k}": level for k, level in enumerate(net.out)}
    layers = {f"{name}.{2 * k}": layer for name, level in levels.items() for k, layer in enumerate(level)}
    layers |= {f"up.{k}": layer for k, layer in enumerate(net.up)} | {"head": net.head}
    return {
        f"{name}.{kind}": torch.tensor(getattr(layer, kind))
        for name, layer in layers.items()
        for kind in ("weight", "bias")
    }


def saved(model: Model, path: Path) -> Model:
    """The model with a file of its own, in which it has no batch norm."""
    network = replace(model.header.network, batch_norm=False)
    header = replace(model.header, network=network)
    save_model(path, state_of(model), header, overwrite=True)
    return replace(model, header=header, path=path)


def variants(run: Path, folder: Path, count: int = 3) -> list[Path]:
    """Files of models that differ a little from that of a run, in weights and in thresholds."""
    paths = []
    for number in range(count):
        net, header = load_network(run / "model.safetensors")
        generator = torch.Generator().manual_seed(number)
        with torch.no_grad():
            for weight in net.parameters():
                weight.mul_(1 + 0.1 * torch.randn(weight.shape, generator=generator))
        objects = replace(header.objects, threshold=0.3 + 0.1 * number, grow=number, min_size=2)
        paths.append(folder / f"variant{number}.safetensors")
        save_model(paths[-1], net.state_dict(), replace(header, objects=objects), overwrite=True)
    return paths
