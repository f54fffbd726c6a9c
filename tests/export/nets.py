"""Small models of every shape, with weights drawn so that no two places look alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from unseam.config import NetworkConfig, ObjectConfig
from unseam.geometry import Geometry
from unseam.model.checkpoint import build_network
from unseam.model.folded import FoldedNetwork
from unseam.model.header import ModelHeader
from unseam.model.unet import UNet
from unseam.normalize import Normalization
from unseam.plan import OBJECTS
from unseam.prediction import Model, ready

FLAT: dict[str, Any] = {"in_channels": 1, "classes": 2, "spatial_dims": 2, "base_width": 4, "depth": 2}
ANISOTROPIC: dict[str, Any] = {
    "in_channels": 2,
    "classes": 3,
    "spatial_dims": 3,
    "base_width": 2,
    "depth": 2,
    "strides": ((1, 2, 2), (2, 2, 3)),
    "kernels": ((1, 3, 3), (3, 3, 1), (3, 3, 3)),
}
NETS: dict[FoldedNetwork, UNet] = {}
"""The modules that models were made of."""
NETWORKS: dict[str, dict[str, Any]] = {
    "2-D": FLAT,
    "2-D, batch norm, colour": FLAT | {"batch_norm": True, "in_channels": 3, "depth": 3},
    "2-D, no pooling": FLAT | {"depth": 0},
    "3-D": FLAT | {"spatial_dims": 3, "depth": 1, "base_width": 2},
    "3-D, anisotropic": ANISOTROPIC | {"batch_norm": True},
}


def model(options: dict[str, Any] = FLAT, *, method: str = "percentile", **header: Any) -> Model:
    """A model with random weights, biases and, where there are any, statistics of its batch norms."""
    network = NetworkConfig(**{"batch_norm": False, "dropout": 0.0} | options)
    generator = torch.Generator().manual_seed(5)
    net = build_network(network, generator)
    with torch.no_grad():
        for weight in net.parameters():
            if weight.ndim == 1:
                weight.normal_(0.2, 0.3, generator=generator)
    for layer in net.modules():
        if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)):
            assert layer.running_mean is not None and layer.running_var is not None
            layer.running_mean.normal_(0, 0.3, generator=generator)
            layer.running_var.uniform_(0.5, 2, generator=generator)
    return made_of(net.eval(), network, method=method, **header)


def made_of(net: UNet, network: NetworkConfig, *, method: str = "percentile", **header: Any) -> Model:
    """The model of a network."""
    task = "instances" if network.classes == 2 else "semantic"
    full = ModelHeader(task, network, Normalization(method), ObjectConfig(**OBJECTS), **header)
    made = ready(net, full)
    NETS[made.own.folded] = net
    return made


def tiles(geometry: Geometry, channels: int, *, seed: int, count: int = 2) -> np.ndarray:
    """Random tiles (B, C, *input) of a valid size, up to three steps of the grid larger than the smallest."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(0, 4, len(geometry.axes))
    shape = [s + k * g for s, k, g in zip(geometry.smallest_input, steps, geometry.grid, strict=True)]
    return rng.normal(0.3, 0.6, (count, channels, *shape)).astype(np.float32)


def by_torch(of: Model, x: np.ndarray) -> np.ndarray:
    """Probabilities of tiles, by the network and a softmax."""
    with torch.inference_mode():
        return torch.softmax(NETS[of.own.folded](torch.from_numpy(x)), 1).numpy()
