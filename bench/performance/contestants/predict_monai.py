"""MONAI's sliding_window_inference with the padded twin of the network."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from bench.performance.contestants.networks import PaddedUNet, image_of, input_of, laid_out
from bench.performance.serving import Run, serve, threads
from monai.inferers import sliding_window_inference
from torch import Tensor

TUNED_ON = 2048
"""Pixels along each side of an image that windows are tried on, or that of the contest if smaller."""


def setup(arguments: dict[str, Any]) -> Run:
    """`network`, `size`, `dtype`, `channels_last`, `overlap`; `windows`: sizes, the fastest is taken."""
    torch.set_num_threads(threads())
    dtype, channels_last, size = arguments["dtype"], arguments["channels_last"], arguments["size"]
    net = laid_out(PaddedUNet(**arguments["network"]), dtype, channels_last)

    @torch.inference_mode()
    def predict(image: Tensor, window: int) -> Tensor:
        logits = sliding_window_inference(image, (window,) * 2, 1, net, overlap=arguments["overlap"])
        assert isinstance(logits, Tensor)
        return torch.softmax(logits, dim=1)[0].float()

    tried = input_of(image_of(min(size, TUNED_ON)), dtype, channels_last)
    window = fastest(predict, arguments["windows"], tried)
    image = image_of(size)

    def run() -> dict[str, Any]:
        probabilities = predict(input_of(image, dtype, channels_last), window).numpy()
        assert probabilities.shape == (2, *image.shape)
        return {"work": image.size, "windows of": window}

    return run


def fastest(predict: Callable[[Tensor, int], Tensor], windows: list[int], image: Tensor) -> int:
    """The window with which an image takes the least time; each is tried once, after one that warms up."""
    if len(windows) == 1:
        return windows[0]
    predict(image[..., : min(windows), : min(windows)], min(windows))
    seconds = {}
    for window in windows:
        started = time.perf_counter()
        predict(image, window)
        seconds[window] = time.perf_counter() - started
    return min(windows, key=lambda window: seconds[window])


if __name__ == "__main__":
    serve(setup, packages=("monai", "torch"))
