"""A training loop as it is written by hand: DataLoader, an augmenter, weighted cross entropy, Adam."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import torch
from bench.performance.augmenters import Draw
from bench.performance.cells import cells
from bench.performance.contestants.networks import PaddedUNet, unpadded
from bench.performance.serving import Run, serve, threads
from bench.performance.stepping import autocast, counts, laid_out, prepared, stepping
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset


class Patches(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """As many patches as one run takes; of labels and weights the middle that the network labels."""

    def __init__(self, draw: Draw, images: int, patches: int, margin: int) -> None:
        self.draw, self.images, self.patches, self.margin = draw, images, patches, margin

    def __len__(self) -> int:
        return self.patches

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        image, classes, weights = self.draw(index % self.images)
        inner = slice(self.margin, image.shape[-1] - self.margin)
        return image, classes[inner, inner].long(), weights[inner, inner]


def setup(arguments: dict[str, Any]) -> Run:
    """`network`, `padded`, `dtype`, `augmenter`, `best`, `patch`, `labelled`, `batch`, `steps`, images."""
    torch.set_num_threads(threads())
    make = import_module(f"bench.performance.augmenters.{arguments['augmenter']}").augmenter
    images, patch, batch, dtype = (arguments[key] for key in ("images", "patch", "batch", "dtype"))
    patches, margin = arguments["steps"] * batch, (patch - arguments["labelled"]) // 2
    draw = make(cells(images, arguments["size"]), patch, best=arguments["best"])
    network = arguments["network"]
    net = prepared(PaddedUNet(**network) if arguments["padded"] else unpadded(network), dtype)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step(drawn: list[Tensor]) -> None:
        image, classes, weights = drawn
        optimizer.zero_grad()
        with autocast(dtype):
            logits = net(laid_out(image, dtype))
        loss = (cross_entropy(logits.float(), classes, reduction="none") * weights).mean()
        loss.backward()
        optimizer.step()
        loss.item()

    data = Patches(draw, images, patches, margin)
    epochs = {
        workers: partial(
            iter, DataLoader(data, batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
        )
        for workers in (0, 2)
    }
    return stepping(epochs, step, counts(patches, patch, arguments["labelled"]))


if __name__ == "__main__":
    serve(setup, packages=("torch", "numpy", "albumentations", "opencv-python-headless", "elasticdeform"))
