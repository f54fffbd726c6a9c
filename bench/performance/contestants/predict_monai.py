"""MONAI's sliding_window_inference with the padded twin of the network."""

from __future__ import annotations

from typing import Any

import torch
from bench.performance.contestants.networks import PaddedUNet, image_of, input_of, laid_out
from bench.performance.serving import Run, serve, threads
from monai.inferers import sliding_window_inference


def setup(arguments: dict[str, Any]) -> Run:
    """`network`, `size`, `dtype`, `channels_last`, `roi`, `overlap`, `batch` of windows."""
    torch.set_num_threads(threads())
    dtype, channels_last = arguments["dtype"], arguments["channels_last"]
    net = laid_out(PaddedUNet(**arguments["network"]), dtype, channels_last)
    image, roi = image_of(arguments["size"]), (arguments["roi"],) * 2

    @torch.inference_mode()
    def run() -> dict[str, Any]:
        logits = sliding_window_inference(
            input_of(image, dtype, channels_last), roi, arguments["batch"], net, overlap=arguments["overlap"]
        )
        probabilities = torch.softmax(logits, dim=1)[0].float().numpy()
        assert probabilities.shape == (2, *image.shape)
        return {"work": image.size}

    return run


if __name__ == "__main__":
    serve(setup, packages=("monai", "torch"))
