"""MONAI: CacheDataset, its DataLoader and transforms, DiceCELoss, and its network or the padded twin."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from bench.performance.augmenters.monai import greys, moves
from bench.performance.cells import cells
from bench.performance.contestants.networks import PaddedUNet
from bench.performance.serving import Run, serve, threads
from bench.performance.stepping import autocast, counts, laid_out, prepared, stepping
from monai import transforms
from monai.data import CacheDataset, DataLoader, set_track_meta
from monai.losses import DiceCELoss
from monai.networks.nets import BasicUNet
from torch import nn

KEYS = ("image", "label")
MODES = ("bilinear", "nearest")


def setup(arguments: dict[str, Any]) -> Run:
    """`network`, `own`: whose layout, `dtype`, `best`, `patch`, `batch`, `images`, as many as steps."""
    torch.set_num_threads(threads())
    patch, batch, dtype, best = (arguments[key] for key in ("patch", "batch", "dtype", "best"))
    set_track_meta(not best)
    twin = PaddedUNet(**arguments["network"])
    net = prepared(basic_unet(parameters(twin)) if arguments["own"] else twin, dtype)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True)

    def step(drawn: dict[str, Any]) -> None:
        optimizer.zero_grad()
        with autocast(dtype):
            logits = net(laid_out(drawn["image"], dtype))
        loss = loss_of(logits.float(), drawn["label"])
        loss.backward()
        optimizer.step()
        loss.item()

    data = [
        {"image": image[None], "label": classes[None].astype("float32")}
        for image, classes, _ in cells(arguments["images"], arguments["size"])
    ]
    crop = transforms.RandSpatialCropSamplesd(
        KEYS, roi_size=(patch, patch), num_samples=batch, random_size=False
    )
    chain = [transforms.EnsureTyped(KEYS), crop, *moves(KEYS, MODES, best=best), *greys("image")]
    cached = CacheDataset(data, transforms.Compose(chain), progress=False)
    epochs = {
        workers: partial(
            iter,
            DataLoader(
                cached, batch_size=1, shuffle=True, num_workers=workers, persistent_workers=workers > 0
            ),
        )
        for workers in (0, 2)
    }
    said = {**counts(len(data) * batch, patch, patch), "parameters": parameters(net)}
    return stepping(epochs, step, said)


def basic_unet(wanted: int) -> BasicUNet:
    """BasicUNet in its own proportions, of the width that brings it nearest to `wanted` parameters."""
    nets = (
        BasicUNet(spatial_dims=2, in_channels=1, features=[w, w, 2 * w, 4 * w, 8 * w, w])
        for w in range(4, 33)
    )
    return min(nets, key=lambda net: abs(parameters(net) - wanted))


def parameters(net: nn.Module) -> int:
    """How many numbers it learns."""
    return sum(p.numel() for p in net.parameters())


if __name__ == "__main__":
    serve(setup, packages=("monai", "torch", "numpy"))
