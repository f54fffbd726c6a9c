"""The U in int8, step by step in float64: values rounded to levels of their range, weights to their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from unseam.model.folded import Convolution, FoldedNetwork, crop_margins

CONVOLVE = {4: functional.conv2d, 5: functional.conv3d}
RAISE = {4: functional.conv_transpose2d, 5: functional.conv_transpose3d}
POOL = {4: functional.max_pool2d, 5: functional.max_pool3d}


def to_levels(x: Tensor, low: Any, high: Any, levels: int) -> Tensor:
    """The nearest of `levels` values from low to high; what is beyond them is cut off."""
    step = (high - low) / (levels - 1)
    return torch.round((torch.clamp(x, low, high) - low) / step) * step + low


def weights(weight: NDArray[np.float32], channels: int) -> Tensor:
    """Weights as whole multiples, -127 to 127, of the largest of their output channel over 127."""
    w = torch.from_numpy(np.moveaxis(weight, channels, 0).astype(np.float64))
    rounded = torch.zeros_like(w)
    for k, one in enumerate(w):
        unit = one.abs().max() / 127
        rounded[k] = torch.round(one / unit) * unit
    return torch.movedim(rounded, 0, channels)


def probabilities(network: FoldedNetwork, tile: NDArray[np.float32]) -> NDArray[np.float64]:
    """A tile (C, *tile) to probabilities (classes, *output), of a network that is matched and corrected."""
    assert network.calibration is not None
    first = (*network.down, network.bottom)[0][0]

    def rounded(x: Tensor, name: str) -> Tensor:
        return to_levels(x, *network.calibration.ranges[name], 256)

    def active(x: Tensor) -> Tensor:
        return functional.leaky_relu(x, network.leak)

    def convolve(x: Tensor, layer: Convolution) -> Tensor:
        plain = torch.from_numpy(layer.weight.astype(np.float64))
        w = plain if layer is first else weights(layer.weight, 0)
        return CONVOLVE[x.ndim](x, w, torch.from_numpy(layer.bias.astype(np.float64)))

    def level(x: Tensor, layers: tuple[Convolution, ...], name: str) -> Tensor:
        for k, layer in enumerate(layers):
            x = rounded(active(convolve(x, layer)), f"{name}.{k}")
        return x

    x, skips = torch.from_numpy(tile.astype(np.float64))[None], []
    for k, layers in enumerate(network.down):
        x = level(x, layers, f"down.{k}")
        skips.append(x)
        x = POOL[x.ndim](x, network.strides[k], network.strides[k])
    x = level(x, network.bottom, "bottom")
    margins = crop_margins(network.geometry)
    for k in reversed(range(len(skips))):
        layer = network.up[k]
        bias = torch.from_numpy(layer.bias.astype(np.float64))
        x = RAISE[x.ndim](x, weights(layer.weight, 1), bias, stride=network.strides[k])
        x = rounded(active(x) if network.active_up else x, f"up.{k}")
        skip = skips[k]
        for axis, margin in enumerate(margins[k], start=2):
            skip = skip.narrow(axis, margin, skip.shape[axis] - 2 * margin)
        x = level(torch.cat([skip, x], 1), network.out[k], f"out.{k}")
    return np.asarray(torch.softmax(convolve(x, network.head), 1)[0].numpy(), np.float64)
