"""Networks with seams, to be put into a model: the usual padded U-Net, and one that normalises each tile."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from unseam.geometry import AxisGeometry, Geometry
from unseam.model.unet import UNet
from unseam.prediction import Model


class Padded(nn.Module):
    """A U-Net of depth 1 that pads each convolution, and whose output is cropped by less than it sees.

    A pixel sees 2 + 2 * 2 + 2 pixels around itself and more, and 4 of them are cut off.
    """

    in_channels, classes, spatial_dims, base_width = 1, 2, 2, 4
    is_local = True  # which it is not
    geometry = Geometry((AxisGeometry((1, 3), (2,)),) * 2)  # a halo of 4, tiles of 2, 4, 6, ...

    def __init__(self, *, normed: bool) -> None:
        super().__init__()

        def level(channels: int, width: int) -> nn.Sequential:
            norm = nn.InstanceNorm2d(width) if normed else nn.Identity()
            return nn.Sequential(nn.Conv2d(channels, width, 5, padding=2), norm, nn.ReLU())

        self.first, self.bottom, self.last = level(1, 4), level(4, 8), level(12, 4)
        self.head = nn.Conv2d(4, 2, 1)
        generator = torch.Generator().manual_seed(1)
        for weight in self.parameters():
            incoming = weight[0].numel() if weight.ndim > 1 else math.inf
            nn.init.normal_(weight, 0, math.sqrt(2 / incoming), generator=generator)

    def forward(self, image: Tensor) -> Tensor:
        skip = self.first(image)
        below = self.bottom(nn.functional.max_pool2d(skip, 2))
        up = nn.functional.interpolate(below, scale_factor=2)
        logits: Tensor = self.head(self.last(torch.cat([skip, up], 1)))
        return logits[..., 4:-4, 4:-4]


def with_seams(model: Model, *, normed: bool = False) -> Model:
    """The model with a padded network, or with one that normalises over the tile as well."""
    return replace(model, network=cast(UNet, Padded(normed=normed).eval().requires_grad_(False)))
