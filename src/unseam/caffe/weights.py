"""The weights of a layer of Caffe as PyTorch holds them.

Caffe's convolution is PyTorch's: the kernel is not turned, weights are (out, in / groups, *kernel). Its
deconvolution is PyTorch's transposed convolution: (in, out / groups, *kernel).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unseam.caffe.layers import Layer, Weights
from unseam.errors import ModelFileError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
BATCH_NORM_EPS = 1e-5


@dataclass(frozen=True)
class Convolution:
    """The weights of a convolution, (out, in, *kernel), or of a transposed one, (in, out, *kernel).

    `layer` is where they are from.
    """

    weight: Floats
    bias: Floats
    layer: Layer

    @property
    def kernel(self) -> tuple[int, ...]:
        return self.weight.shape[2:]

    @property
    def width(self) -> int:
        """Number of outputs."""
        return len(self.bias)

    def after_scaling(self, scale: Doubles, offset: Doubles) -> Convolution:
        """The convolution that does the same to x as this one to scale * x + offset, per channel."""
        weight = self.weight.astype(np.float64)
        axes = (slice(None), *(None,) * len(self.kernel))
        bias = self.bias + (weight * offset[axes]).sum(axis=tuple(range(1, weight.ndim)))
        return replace(self, weight=(weight * scale[axes]).astype(np.float32), bias=bias.astype(np.float32))

    def before_scaling(self, scale: Doubles, offset: Doubles) -> Convolution:
        """The convolution that gives scale * y + offset, per channel, where this one gives y."""
        weight = self.weight.astype(np.float64) * scale[(slice(None), None, *(None,) * len(self.kernel))]
        bias = self.bias.astype(np.float64) * scale + offset
        return replace(self, weight=weight.astype(np.float32), bias=bias.astype(np.float32))


def convolution(layer: Layer, channels: int | None, dims: int) -> Convolution:
    """The weights of an unpadded convolution; `channels` go in, where that is known.

    Raises
    ------
    ModelFileError
        If weights are missing or do not fit, or it pads, steps or is dilated.
    """
    _refuse_sizes(layer, pad=0, stride=1, dilation=1, dims=dims)
    weight, bias = _weight_and_bias(layer, dims)
    groups = _groups(layer, weight.shape[0])
    _check(layer, weight.shape[1] * groups, channels, "inputs")
    _check(
        layer, weight.shape[0], layer.number("convolution_param", "num_output", weight.shape[0]), "outputs"
    )
    _check_kernel(layer, weight)
    return Convolution(_dense(weight, groups), _bias(layer, bias, len(weight)), layer)


def deconvolution(layer: Layer, channels: int, stride: tuple[int, ...]) -> Convolution:
    """The weights of an up-convolution whose kernel is its stride.

    Raises
    ------
    ModelFileError
        As `convolution`, and if the stride is another than that of the pooling it undoes.
    """
    dims = len(stride)
    if layer.sizes("convolution_param", "stride", dims, 1) != stride:
        given = layer.sizes("convolution_param", "stride", dims, 1)
        raise ModelFileError(f"{layer} goes up by {given}; the pooling of its level goes down by {stride}")
    _refuse_sizes(layer, pad=0, dilation=1, dims=dims)
    weight, bias = _weight_and_bias(layer, dims)
    groups = _groups(layer, weight.shape[0])
    _check(layer, weight.shape[0], channels, "inputs")
    width = weight.shape[1] * groups
    _check(layer, width, layer.number("convolution_param", "num_output", width), "outputs")
    if weight.shape[2:] != stride:
        raise ModelFileError(f"{layer} has kernel {weight.shape[2:]} and stride {stride}; expected the same")
    return Convolution(_dense(weight, groups), _bias(layer, bias, width), layer)


def batch_norm(layer: Layer, width: int) -> tuple[Doubles, Doubles]:
    """What a batch norm, or a Scale, multiplies and adds in a prediction, per channel.

    Raises
    ------
    ModelFileError
        If weights are missing or do not fit.

    Notes
    -----
    BatchNorm holds sums of means and variances and the number they are to be divided by; Scale holds a factor
    and, perhaps, an offset.
    """
    blobs = [np.ravel(blob).astype(np.float64) for blob in layer.blobs]
    least = 3 if layer.kind == "batchnorm" else 1
    if len(blobs) < least or any(len(blob) != width for blob in blobs[:2]):
        raise ModelFileError(f"{layer} has weights of {[len(b) for b in blobs]} numbers for {width} channels")
    if layer.kind == "scale":
        return blobs[0], blobs[1] if len(blobs) > 1 else np.zeros(width)
    share = 1 / blobs[2][0] if blobs[2][0] else 0.0
    eps = layer.number("batch_norm_param", "eps", BATCH_NORM_EPS)
    scale = 1 / np.sqrt(blobs[1] * share + eps)
    return scale, -blobs[0] * share * scale


def _weight_and_bias(layer: Layer, dims: int) -> tuple[Weights, Weights | None]:
    with_bias = bool(layer.number("convolution_param", "bias_term", 1))
    if len(layer.blobs) != 1 + with_bias:
        expected = "weights and biases" if with_bias else "weights"
        raise ModelFileError(f"{layer} has {len(layer.blobs)} blobs; expected {1 + with_bias}: {expected}")
    weight = layer.blobs[0]
    if weight.ndim != dims + 2:
        raise ModelFileError(f"{layer} has weights of shape {weight.shape}; expected {dims + 2} axes")
    return weight, layer.blobs[1] if with_bias else None


def _bias(layer: Layer, bias: Weights | None, width: int) -> Floats:
    """Biases of any shape, as (1, 1, 1, width) of old files, as a line; zeros where there are none."""
    if bias is None:
        return np.zeros(width, np.float32)
    if bias.size != width:
        raise ModelFileError(f"{layer} has {bias.size} biases for {width} outputs")
    return np.array(bias, np.float32).reshape(width)


def _groups(layer: Layer, rows: int) -> int:
    groups = int(layer.number("convolution_param", "group", 1))
    if groups < 1 or rows % groups:
        raise ModelFileError(
            f"{layer} has {groups} groups, which do not divide the {rows} rows of its weights"
        )
    return groups


def _dense(weight: Weights, groups: int) -> Floats:
    """Weights of groups as weights between all channels: zero from one group to another."""
    if groups == 1:
        return np.asarray(weight, np.float32)
    rows, columns = weight.shape[0] // groups, weight.shape[1]
    dense = np.zeros((weight.shape[0], columns * groups, *weight.shape[2:]), np.float32)
    for group in range(groups):
        part = slice(group * rows, (group + 1) * rows)
        dense[part, group * columns : (group + 1) * columns] = weight[part]
    return dense


def _refuse_sizes(layer: Layer, *, dims: int, **expected: int) -> None:
    for field, value in expected.items():
        sizes = layer.sizes("convolution_param", field, dims, value)
        if set(sizes) != {value}:
            raise ModelFileError(f"{layer} has {field} {sizes}; a U-Net of the authors has {value}")


def _check_kernel(layer: Layer, weight: Weights) -> None:
    dims = weight.ndim - 2
    stated = layer.sizes("convolution_param", "kernel_size", dims, 0)
    if any(stated) and stated != weight.shape[2:]:
        raise ModelFileError(f"{layer} has weights of kernel {weight.shape[2:]}; its kernel is {stated}")
    if any(size % 2 == 0 for size in weight.shape[2:]):
        raise ModelFileError(f"{layer} has kernel {weight.shape[2:]}; a centred crop needs odd kernels")


def _check(layer: Layer, given: int, expected: float | None, what: str) -> None:
    if expected is not None and given != expected:
        raise ModelFileError(f"{layer} has weights for {given} {what}; expected {expected}")
