"""segmentation_models.pytorch's Unet, its default encoder, tiles side by side without overlap."""

from __future__ import annotations

from typing import Any

import segmentation_models_pytorch as smp
import torch
from bench.performance.contestants.networks import image_of, input_of, laid_out
from bench.performance.serving import Run, serve, threads


def setup(arguments: dict[str, Any]) -> Run:
    """`size`, a multiple of `tile`; `dtype`, `channels_last`."""
    torch.set_num_threads(threads())
    dtype, channels_last = arguments["dtype"], arguments["channels_last"]
    net = laid_out(smp.Unet(encoder_weights=None, in_channels=1, classes=2), dtype, channels_last)
    image, step = image_of(arguments["size"]), arguments["tile"]

    @torch.inference_mode()
    def run() -> dict[str, Any]:
        result = torch.empty(2, *image.shape)
        for y in range(0, image.shape[0], step):
            for x in range(0, image.shape[1], step):
                tile = input_of(image[y : y + step, x : x + step].copy(), dtype, channels_last)
                result[:, y : y + step, x : x + step] = torch.softmax(net(tile), dim=1)[0]
        return {"work": image.size}

    return run


if __name__ == "__main__":
    serve(setup, packages=("segmentation-models-pytorch", "torch", "torchvision"))
