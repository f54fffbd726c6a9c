"""The network of the paper step by step, in NumPy: slow, plain, and written without looking at ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Layer = tuple[Array, Array]
"""Weight and bias."""


def walk(size: int, kernels: Sequence[int], strides: Sequence[int]) -> int | None:
    """The output size of a U along one axis, or None where a step cannot be done."""
    skips: list[int] = []
    for kernel, stride in zip(kernels, strides, strict=False):
        size -= kernel - 1
        size -= kernel - 1
        if size < 1 or size % stride:
            return None
        skips.append(size)
        size //= stride
    size -= kernels[-1] - 1
    size -= kernels[-1] - 1
    for level in reversed(range(len(strides))):
        size *= strides[level]
        if size < 1 or size > skips[level] or (skips[level] - size) % 2:
            return None
        size -= kernels[level] - 1
        size -= kernels[level] - 1
    return size if size > 0 else None


def forward(image: Array, layers: Iterator[Layer], *, depth: int) -> Array:
    """Logits (K, H - 184, W - 184 for depth 4) of an image (C, H, W).

    `layers` come in the order of figure 1: down the left side, up the right side (each step its
    up-convolution first), and the 1x1 convolution.
    """
    skips = []
    x = image
    for _ in range(depth):
        x = convolve_relu(x, *next(layers))
        x = convolve_relu(x, *next(layers))
        skips.append(x)
        x = pool(x)
    x = convolve_relu(x, *next(layers))
    x = convolve_relu(x, *next(layers))
    while skips:
        x = up_convolve(x, *next(layers))
        skip = skips.pop()
        top, left = (skip.shape[1] - x.shape[1]) // 2, (skip.shape[2] - x.shape[2]) // 2
        x = np.concatenate([skip[:, top : top + x.shape[1], left : left + x.shape[2]], x])
        x = convolve_relu(x, *next(layers))
        x = convolve_relu(x, *next(layers))
    return convolve(x, *next(layers))


def convolve(x: Array, weight: Array, bias: Array) -> Array:
    """Sum over the kernel's places of the shifted image; nothing is padded."""
    height, width = x.shape[1] - weight.shape[2] + 1, x.shape[2] - weight.shape[3] + 1
    result = np.zeros((len(weight), height, width)) + bias[:, None, None]
    for row in range(weight.shape[2]):
        for column in range(weight.shape[3]):
            moved = x[:, row : row + height, column : column + width]
            result += np.einsum("oi,ihw->ohw", weight[:, :, row, column], moved)
    return result


def convolve_relu(x: Array, weight: Array, bias: Array) -> Array:
    return np.maximum(convolve(x, weight, bias), 0)


def pool(x: Array) -> Array:
    """The largest of each 2x2."""
    return np.max([x[:, row::2, column::2] for row in (0, 1) for column in (0, 1)], axis=0)


def up_convolve(x: Array, weight: Array, bias: Array) -> Array:
    """Each pixel becomes 2x2 pixels; weight is (in, out, 2, 2)."""
    result = np.zeros((weight.shape[1], 2 * x.shape[1], 2 * x.shape[2]))
    for row in (0, 1):
        for column in (0, 1):
            result[:, row::2, column::2] = np.einsum("io,ihw->ohw", weight[:, :, row, column], x)
    return result + bias[:, None, None]
