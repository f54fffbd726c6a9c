"""PyTorch: the U operation by operation, eager; on a GPU too, and in double precision for `unseam verify`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from unseam.engines.engine import Encode, Run, Shared, telling_memory
from unseam.model.folded import Convolution, FoldedNetwork, crop_margins

CONVOLUTION = {2: functional.conv2d, 3: functional.conv3d}
UP_CONVOLUTION = {2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
POOL = {2: functional.max_pool2d, 3: functional.max_pool3d}
NO_MEMORY = ("DefaultCPUAllocator", "out of memory")
"""Words of its errors where memory is used up."""
LAYOUT = {2: torch.channels_last, 3: torch.channels_last_3d}


class _Placed:
    """The weights of a network on a device, in one precision, each laid out as it is used."""

    def __init__(self, network: FoldedNetwork, precision: str, device: str) -> None:
        self.layout, self.dtype, self.device = LAYOUT[network.spatial_dims], getattr(torch, precision), device
        self._layers: dict[Convolution, tuple[Tensor, Tensor]] = {}

    def tensors(self, layer: Convolution) -> tuple[Tensor, Tensor]:
        """Weight and bias of a layer."""
        if layer not in self._layers:
            weight = torch.tensor(layer.weight).to(self.device, self.dtype)
            bias = torch.tensor(layer.bias).to(self.device, self.dtype)
            self._layers[layer] = weight.to(memory_format=self.layout), bias  # of one channel too
        return self._layers[layer]

    def image(self, tile: NDArray[np.float32]) -> Tensor:
        """A tile as the network takes it, (1, C, *tile)."""
        x = torch.tensor(np.ascontiguousarray(tile))[None].to(self.device, self.dtype)
        return x.contiguous(memory_format=self.layout)


_PLACED = Shared(_Placed)


def compile_tile(
    network: FoldedNetwork, tile: Sequence[int], *, precision: str, threads: int = 0, device: str = "cpu"
) -> Run:
    """The network as a function of a tile: (C, *tile) to probabilities (classes, *output).

    They are float32; in double precision they are float64.
    """
    placed = _PLACED.of(network, precision, device)
    answer = torch.float64 if precision == "float64" else torch.float32

    def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
        with _computing(threads, device):
            p = torch.softmax(_forward(network, placed, placed.image(x)).to(answer), dim=1)[0]
            return np.ascontiguousarray(p.cpu().numpy())

    assert network.geometry.output(tile)
    return run


def compile_encoder(
    network: FoldedNetwork, part: Sequence[int], *, threads: int = 0, device: str = "cpu"
) -> Encode:
    """The contracting path as a function of a part of an image: what each level makes of it, float32."""
    placed = _PLACED.of(network, "float32", device)

    def encode(x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        assert x.shape[1:] == tuple(part)
        with _computing(threads, device):
            bottom, skips = _contract(network, placed, placed.image(x))
            return [np.ascontiguousarray(level[0].cpu().numpy()) for level in (*skips, bottom)]

    return encode


class _Settings:
    """Settings of the process that hold while tiles are computed, in any thread; then they are as before."""

    def __init__(self) -> None:
        self._lock, self._within = Lock(), 0
        self._threads, self._tf32 = 0, True

    def enter(self, threads: int, *, exact: bool) -> None:
        """Take `threads`, where it is not 0, and no TF32 if `exact`: its 10 bits are not float32."""
        with self._lock:
            if not self._within:
                self._threads, self._tf32 = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
            self._within += 1
            if threads:
                torch.set_num_threads(threads)  # which holds for the thread that says it
            if exact:
                torch.backends.cudnn.allow_tf32 = False

    def leave(self) -> None:
        """Undo `enter`."""
        with self._lock:
            self._within -= 1
            if torch.get_num_threads() != self._threads:
                torch.set_num_threads(self._threads)
            if not self._within and torch.backends.cudnn.allow_tf32 != self._tf32:
                torch.backends.cudnn.allow_tf32 = self._tf32


_SETTINGS = _Settings()


@contextmanager
def _computing(threads: int, device: str) -> Iterator[None]:
    _SETTINGS.enter(threads, exact=device != "cpu")
    try:
        with torch.inference_mode(), telling_memory(*NO_MEMORY):
            yield
    finally:
        _SETTINGS.leave()


def _forward(network: FoldedNetwork, placed: _Placed, image: Tensor) -> Tensor:
    """Logits, as `UNet.forward`."""
    x, skips = _contract(network, placed, image)
    margins = crop_margins(network.geometry)
    for k in reversed(range(len(skips))):
        up = UP_CONVOLUTION[network.spatial_dims]
        x = up(x, *placed.tensors(network.up[k]), stride=network.strides[k])
        if network.active_up:
            x = _activation(x, network.leak)
        x = torch.cat([_crop(skips.pop(), margins[k]), x], dim=1)  # (1, skip + up, *spatial)
        x = _level(network, placed, network.out[k], x)
    return CONVOLUTION[network.spatial_dims](x, *placed.tensors(network.head))


def _contract(network: FoldedNetwork, placed: _Placed, image: Tensor) -> tuple[Tensor, list[Tensor]]:
    """What is at the bottom, and what each level above it makes before pooling."""
    x, skips = image, []
    for level, stride in zip(network.down, network.strides, strict=True):
        x = _level(network, placed, level, x)
        skips.append(x)
        x = POOL[network.spatial_dims](x, stride, stride)
    return _level(network, placed, network.bottom, x), skips


def _level(network: FoldedNetwork, placed: _Placed, level: Sequence[Convolution], x: Tensor) -> Tensor:
    convolution: Any = CONVOLUTION[network.spatial_dims]
    for layer in level:
        x = _activation(convolution(x, *placed.tensors(layer)), network.leak)
    return x


def _activation(x: Tensor, leak: float) -> Tensor:
    return functional.leaky_relu(x, leak, inplace=True) if leak else functional.relu(x, inplace=True)


def _crop(x: Tensor, margin: Sequence[int]) -> Tensor:
    for axis, cut in enumerate(margin, start=2):
        x = x.narrow(axis, cut, x.shape[axis] - 2 * cut)
    return x
