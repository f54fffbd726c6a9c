"""The networks of the contest, and what they are given: PyTorch alone, for the environments of peers too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unseam.model.unet import UNet

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def image_of(size: int) -> NDArray[np.float32]:
    """Noise of 0 to 1, (size, size): time does not depend on what is seen."""
    return np.random.default_rng(0).random((size, size), dtype=np.float32)


def unpadded(network: Mapping[str, Any]) -> UNet:
    """The network of unseam, which is plain PyTorch, always with the same weights; two classes out."""
    drawn_with = torch.Generator().manual_seed(0)
    return UNet(in_channels=1, classes=2, dropout=0.0, generator=drawn_with, **network)


class PaddedUNet(nn.Module):
    """The same with padded convolutions, as peers have it: widths, depth and parameters are equal."""

    def __init__(self, base_width: int, depth: int, batch_norm: bool) -> None:
        super().__init__()
        widths = [base_width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            padded_convolutions(before, width, batch_norm)
            for before, width in zip([1, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, kernel_size=2, stride=2) for width in widths[:-1]
        )
        self.out = nn.ModuleList(padded_convolutions(2 * width, width, batch_norm) for width in widths[:-1])
        self.head = nn.Conv2d(base_width, 2, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (B, 2, Y, X), of an image (B, 1, Y, X) whose sizes are multiples of 2^depth."""
        skips = []
        for level in self.down[:-1]:
            skips.append(level(x))
            x = nn.functional.max_pool2d(skips[-1], 2)
        x = self.down[-1](x)
        for skip, up, level in zip(reversed(skips), reversed(self.up), reversed(self.out), strict=True):
            x = level(torch.cat([skip, up(x)], dim=1))
        logits: Tensor = self.head(x)
        return logits


def padded_convolutions(before: int, width: int, batch_norm: bool) -> nn.Sequential:
    """Two convolutions of 3x3, each with ReLU."""
    layers: list[nn.Module] = []
    for channels in (before, width):
        layers.append(nn.Conv2d(channels, width, 3, padding=1, bias=not batch_norm))
        layers.extend([nn.BatchNorm2d(width)] * batch_norm)
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def laid_out(net: nn.Module, dtype: str, channels_last: bool) -> nn.Module:
    """A network for prediction, in a data type and a memory layout."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return net.eval().requires_grad_(False).to(DTYPES[dtype], memory_format=layout)


def input_of(image: NDArray[np.float32], dtype: str, channels_last: bool) -> Tensor:
    """An image (Y, X) as (1, 1, Y, X) in a data type and a memory layout."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return torch.from_numpy(image)[None, None].to(DTYPES[dtype]).contiguous(memory_format=layout)
