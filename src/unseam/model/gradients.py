"""Two steps of the network with shorter ways back; forwards they are what PyTorch computes, bit for bit.

What PyTorch does by itself for a crop is to write a map of zeros, of another memory layout, put the gradient
into its middle, and add the whole to the gradient of the pooling. Here it is added in the middle alone::

    gradient of the pooled map ── to the pixels that were largest ─▶ ┌───────────┐
                                                                     │  ┌─────┐  │
    gradient of the skip ────────────────── add ─────────────────────┼─▶│     │  │
                                                                     │  └─────┘  │
                                                                     └───────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

max_pool: dict[int, Callable[..., Any]] = {
    2: torch.nn.functional.max_pool2d,
    3: torch.nn.functional.max_pool3d,
}
_up_convolution: dict[int, Callable[..., Tensor]] = {
    2: torch.nn.functional.conv_transpose2d,
    3: torch.nn.functional.conv_transpose3d,
}
_pool_backward: dict[int, Callable[..., Tensor]] = {
    2: torch.ops.aten.max_pool2d_with_indices_backward,
    3: torch.ops.aten.max_pool3d_with_indices_backward,
}


def centre_crop(x: Tensor, shape: Sequence[int]) -> Tensor:
    """The middle of the spatial axes of `x`: a view of the given shape."""
    for axis, size in enumerate(shape, start=2):
        x = x.narrow(axis, (x.shape[axis] - size) // 2, size)
    return x


def pool_and_crop(x: Tensor, stride: Sequence[int], shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The largest value of each window of `stride`, and the middle of the spatial axes of `x`, a view."""
    if torch.is_grad_enabled() and x.requires_grad:
        pooled, skip = _PoolAndCrop.apply(x, list(stride), shape)  # type: ignore[no-untyped-call]
        return pooled, skip
    return max_pool[x.ndim - 2](x, stride, stride), centre_crop(x, shape)


def up_convolution(layer: nn.Module, x: Tensor) -> Tensor:
    """What the layer gives for `x`: a transposed convolution whose kernel is its stride.

    In training on the CPU the layer's weights are used, and its hooks are not called.
    """
    if layer.training and torch.is_grad_enabled() and x.requires_grad and x.device.type == "cpu":
        y: Tensor = _UpConvolution.apply(x, layer.weight, layer.bias)  # type: ignore[no-untyped-call]
    else:
        y = layer(x)
    return y


class _PoolAndCrop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, stride: list[int], shape: Sequence[int]) -> tuple[Tensor, Tensor]:
        pooled, places = max_pool[x.ndim - 2](x, stride, stride, return_indices=True)
        ctx.save_for_backward(x, places)
        ctx.stride, ctx.shape = stride, shape
        return pooled, centre_crop(x, shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_pooled: Tensor, of_skip: Tensor) -> tuple[Tensor, None, None]:
        x, places = ctx.saved_tensors
        dims = x.ndim - 2
        window, none, one = ctx.stride, [0] * dims, [1] * dims
        gradient = _pool_backward[dims](of_pooled, x, window, window, none, one, False, places)
        centre_crop(gradient, ctx.shape).add_(of_skip)
        return gradient, None, None


class _UpConvolution(torch.autograd.Function):
    """As each output pixel has one input pixel, the way back is two products of matrices.

    Rows are input pixels, columns are their channels, or the channels of the window that each becomes.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.bias_dtype = bias.dtype
        return _up_convolution[x.ndim - 2](x, weight, bias, stride=weight.shape[2:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        width, window = weight.shape[1], weight.shape[2:]
        windows = _windows(of_y, window)  # (pixels, window * C_out)
        matrix = weight.to(of_y.dtype).movedim(1, -1).flatten(1)  # (C, window * C_out)
        pixels = x.to(of_y.dtype).movedim(1, -1)  # (B, *spatial, C)
        of_x = (windows @ matrix.T).view(pixels.shape).movedim(-1, 1)
        of_matrix = pixels.flatten(0, -2).T @ windows
        of_weight = of_matrix.view(-1, *window, width).movedim(-1, 1)
        of_bias = windows.view(-1, width).sum(0)
        return of_x.to(x.dtype), of_weight.to(weight.dtype), of_bias.to(ctx.bias_dtype)


def _windows(y: Tensor, window: Sequence[int]) -> Tensor:
    """A row for each window of the map, channels innermost: (B, C, *spatial) to (windows, pixels * C)."""
    dims = len(window)
    y = y.movedim(1, -1)
    for axis, size in reversed(list(enumerate(window, start=1))):
        y = y.view(*y.shape[:axis], y.shape[axis] // size, size, *y.shape[axis + 1 :])
    which, within = range(1, 2 * dims, 2), range(2, 2 * dims + 1, 2)
    return y.permute(0, *which, *within, 2 * dims + 1).flatten(0, dims).flatten(1)
