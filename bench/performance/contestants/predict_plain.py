"""The same network in plain PyTorch: the image mirrored by the halo, whole or in tiles, softmax, crop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from bench.performance.contestants.networks import image_of, input_of, laid_out, unpadded
from bench.performance.serving import Run, serve, threads
from numpy.typing import NDArray
from torch import nn

Array = NDArray[np.float32]


def setup(arguments: dict[str, Any]) -> Run:
    """As `predictor`, and `size` of the image."""
    torch.set_num_threads(threads())
    predict, image = predictor(arguments), image_of(arguments["size"])
    if arguments.get("compile"):
        predict(image)

    def run() -> dict[str, Any]:
        predict(image)
        return {"work": image.size}

    return run


def folded(net: nn.Module) -> nn.Module:
    """The network with each batch norm multiplied into the convolution before it."""
    for level in net.modules():
        if isinstance(level, nn.Sequential):
            for k, layer in enumerate(level):
                if isinstance(layer, nn.BatchNorm2d):
                    level[k - 1] = nn.utils.fusion.fuse_conv_bn_eval(level[k - 1], layer)
                    level[k] = nn.Identity()
    return net


def predictor(how: Mapping[str, Any]) -> Callable[[Array], Array]:
    """A square image, (N, N), to probabilities, (2, N, N).

    `network`, `dtype`, `channels_last`; `tile` of the output, or none for the whole image; `fold`, `compile`:
    whether.
    """
    dtype, channels_last = how["dtype"], how["channels_last"]
    net = unpadded(how["network"]).eval()
    geometry = net.geometry
    function = laid_out(folded(net) if how.get("fold") else net, dtype, channels_last)
    if how.get("compile"):
        function = torch.compile(function)

    def predict_tile(tile: Array) -> Array:
        logits = function(input_of(tile, dtype, channels_last))
        probabilities: Array = torch.softmax(logits, dim=1)[0].float().numpy()
        return probabilities

    @torch.inference_mode()
    def predict(image: Array) -> Array:
        n = image.shape[0]
        step = how.get("tile") or n
        (size, _), (halo, _), starts = geometry.input_for((step, step)), geometry.halo, range(0, n, step)
        around = np.pad(image, (halo, starts[-1] + size - halo - n), mode="reflect")
        result = np.empty((2, n, n), np.float32)
        for y in starts:
            for x in starts:
                output = predict_tile(np.ascontiguousarray(around[y : y + size, x : x + size]))
                part = result[:, y : y + step, x : x + step]
                part[...] = output[:, : part.shape[1], : part.shape[2]]
        return result

    return predict


if __name__ == "__main__":
    serve(setup, packages=("torch",))
