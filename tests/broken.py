"""Networks with seams, to be put into a model: the usual padded U-Net, and one that normalises each tile."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unseam.engines import EngineNetwork, Run
from unseam.engines.known import torch_on
from unseam.geometry import AxisGeometry, Geometry
from unseam.model.folded import FoldedNetwork
from unseam.prediction import Model

GEOMETRY = Geometry((AxisGeometry((1, 3), (2,)),) * 2)
"""Of `Padded`, as it claims: a halo of 4, tiles of 2, 4, 6, ..."""


class Padded(nn.Module):
    """A U-Net of depth 1 that pads each convolution, and whose output is cropped by less than it sees.

    A pixel sees 2 + 2 * 2 + 2 pixels around itself and more, and 4 of them are cut off.
    """

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
    net, plain = Padded(normed=normed).eval().requires_grad_(False), torch_on("cpu")

    def compile_tile(_: FoldedNetwork, tile: Sequence[int], *, precision: str, threads: int) -> Run:
        assert threads >= 0 and len(tile) == 2
        dtype = {"float32": torch.float32, "float64": torch.float64}[precision]
        placed = copy.deepcopy(net).to(dtype)

        def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
            image = torch.from_numpy(np.ascontiguousarray(x))[None].to(dtype)
            return np.asarray(torch.softmax(placed(image), 1)[0].numpy())

        return run

    engine = replace(plain, precisions=("float32", "float64"), compile_tile=compile_tile)
    folded = replace(model.own.folded, geometry=GEOMETRY)
    return replace(model, network=EngineNetwork(folded, engine))
