"""Networks of Caffe run layer by layer in NumPy, from the definition of each layer: slow and plain.

A network is a list of `Spec`: what a file of Caffe says of a layer. Files are written of the same specs, in
`tests.caffe.files`, so that what is read of a file can be compared with what it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Spec:
    """A layer: its names, the fields of its section (as kernel_size), and its weights."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    fields: dict[str, Any] = field(default_factory=dict)
    blobs: tuple[NDArray[np.float32], ...] = ()
    training: bool = False


def run(specs: list[Spec], image: Array, *, given: str = "data") -> dict[str, Array]:
    """All that the layers make of an image, (C, *spatial), by name; what comes later in place replaces."""
    made = {given: image.astype(np.float64)}
    for spec in specs:
        if spec.training or spec.type in ("HDF5Data", "SoftmaxWithLoss"):
            continue
        inputs = [made[name] for name in spec.bottoms]
        output = LAYERS[spec.type](spec, *inputs)
        for name in spec.tops:
            made[name] = output
    return made


def convolve(spec: Spec, x: Array) -> Array:
    """y[o, p] = bias[o] + the sum over the channels i of o's group and over k of w[o, i, k] x[i, p + k]."""
    weight, groups = spec.blobs[0].astype(np.float64), spec.fields.get("group", 1)
    outputs, inputs, *kernel = weight.shape
    shape = [size - k + 1 for size, k in zip(x.shape[1:], kernel, strict=True)]
    y = np.zeros((outputs, *shape))
    for o in range(outputs):
        group = o // (outputs // groups)
        for i, place in product(range(inputs), product(*map(range, kernel))):
            window = tuple(slice(p, p + size) for p, size in zip(place, shape, strict=True))
            y[o] += weight[(o, i, *place)] * x[(group * inputs + i, *window)]
        if len(spec.blobs) > 1:
            y[o] += spec.blobs[1].ravel()[o]
    return y


def deconvolve(spec: Spec, x: Array) -> Array:
    """Each pixel x[i, p] adds w[i, o, k] x[i, p] to y[o, stride p + k], for the outputs o of its group."""
    weight, groups = spec.blobs[0].astype(np.float64), spec.fields.get("group", 1)
    inputs, per_group, *kernel = weight.shape
    stride = axes(spec.fields["stride"], len(kernel))
    shape = [(n - 1) * s + k for n, s, k in zip(x.shape[1:], stride, kernel, strict=True)]
    y = np.zeros((per_group * groups, *shape))
    for i, o, place in product(range(inputs), range(per_group), product(*map(range, kernel))):
        group = i // (inputs // groups)
        window = tuple(
            slice(k, k + (n - 1) * s + 1, s) for k, n, s in zip(place, x.shape[1:], stride, strict=True)
        )
        y[(group * per_group + o, *window)] += weight[(i, o, *place)] * x[i]
    for o in range(len(y)):
        y[o] += spec.blobs[1].ravel()[o]
    return y


def pool(spec: Spec, x: Array) -> Array:
    """The largest value of each cell."""
    stride = axes(spec.fields["stride"], x.ndim - 1)
    shape = [n // s for n, s in zip(x.shape[1:], stride, strict=True)]
    y = np.empty((len(x), *shape))
    for place in product(*map(range, shape)):
        cell = tuple(slice(p * s, p * s + s) for p, s in zip(place, stride, strict=True))
        y[(slice(None), *place)] = x[(slice(None), *cell)].reshape(len(x), -1).max(1)
    return y


def rectify(spec: Spec, x: Array) -> Array:
    return np.where(x > 0, x, spec.fields.get("negative_slope", 0.0) * x)


def crop(spec: Spec, x: Array, like: Array) -> Array:
    """A part as large as `like`, from the stated offset on or from the centre."""
    spare = [n - m for n, m in zip(x.shape[1:], like.shape[1:], strict=True)]
    offset = axes(spec.fields["offset"], len(spare)) if "offset" in spec.fields else [n // 2 for n in spare]
    window = tuple(slice(o, o + m) for o, m in zip(offset, like.shape[1:], strict=True))
    return x[(slice(None), *window)]


def concatenate(_: Spec, *inputs: Array) -> Array:
    """Channels one after the other; of larger maps the centre, as the authors' Caffe does it."""
    like = min(inputs, key=lambda x: x[0].size)
    return np.concatenate([crop(Spec("", "", (), ()), x, like) for x in inputs])


def transform(spec: Spec, x: Array) -> Array:
    """scale (x + offset), per channel."""
    y = np.empty_like(x)
    for c in range(len(x)):
        scale, offset = spec.fields.get("scale", [1.0]), spec.fields.get("offset", [0.0])
        y[c] = scale[c % len(scale)] * (x[c] + offset[c % len(offset)])
    return y


def power(spec: Spec, x: Array) -> Array:
    return spec.fields.get("scale", 1.0) * x + spec.fields.get("shift", 0.0)


def batch_norm(spec: Spec, x: Array) -> Array:
    """(x - mean) / sqrt(variance + eps): the weights are sums of both, and what to divide them by."""
    mean, variance = (blob.astype(np.float64) / spec.blobs[2][0] for blob in spec.blobs[:2])
    y = np.empty_like(x)
    for c in range(len(x)):
        y[c] = (x[c] - mean[c]) / np.sqrt(variance[c] + spec.fields.get("eps", 1e-5))
    return y


def scale(spec: Spec, x: Array) -> Array:
    y = np.empty_like(x)
    for c in range(len(x)):
        y[c] = x[c] * spec.blobs[0][c] + spec.blobs[1][c]
    return y


def axes(value: Any, dims: int) -> list[int]:
    """A size per axis, given once or for each."""
    return list(value) if isinstance(value, (list, tuple)) else [value] * dims


LAYERS = {
    "Convolution": convolve,
    "Deconvolution": deconvolve,
    "Pooling": pool,
    "ReLU": rectify,
    "Crop": crop,
    "Concat": concatenate,
    "ValueTransformation": transform,
    "Power": power,
    "BatchNorm": batch_norm,
    "Scale": scale,
    "Split": lambda _, x: x,
    "Dropout": lambda _, x: x,
}
