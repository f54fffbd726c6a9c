"""Read a network of Caffe as the U that it is, from its input to its end; anything else is refused.

::

    scaling ─▶ level ───────────────── crop ─────────────────▶ level ─▶ 1x1 ─▶ classes
                 ▼ pooling                                       ▲ deconvolution, ReLU, concat
               level ──────────── crop ────────────▶ level ──────┘
                 ▼ pooling                             ▲ deconvolution, ReLU, concat
               bottom ─────────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unseam.caffe.graph import Graph, Node
from unseam.caffe.layers import Layer
from unseam.caffe.weights import Convolution, Doubles, batch_norm, convolution, deconvolution
from unseam.errors import ModelFileError


@dataclass(frozen=True)
class Level:
    """Two convolutions, and what was seen between and after them."""

    first: Convolution
    second: Convolution
    leak: float
    dropout: float

    @property
    def kernel(self) -> tuple[int, ...]:
        return self.first.kernel

    @property
    def width(self) -> int:
        return self.second.width


@dataclass(frozen=True)
class Up:
    """An up-convolution; the slope of the ReLU after it, or None where there is no ReLU.

    `first` says whether what it makes comes before the skip in the concatenation.
    """

    convolution: Convolution
    leak: float | None
    first: bool


@dataclass(frozen=True)
class U:
    """A whole network: `down` and `up` and `out` and `strides` from the first level on."""

    down: tuple[Level, ...]
    bottom: Level
    up: tuple[Up, ...]
    out: tuple[Level, ...]
    head: Convolution
    strides: tuple[tuple[int, ...], ...]
    centred: bool
    """Whether a crop states no offset, so that the centre is taken."""


def read_u(layers: Iterable[Layer]) -> U:
    """The U-Net that these layers are.

    Raises
    ------
    ModelFileError
        If they are none; the first layer that differs is named.
    """
    graph = Graph(layers)
    down, skips, strides, value = _way_down(graph)
    bottom = down.pop()
    dims = len(bottom.kernel)
    ups: list[Up] = []
    outs: list[Level] = []
    below, centred = bottom, False
    lost = tuple(2 * (size - 1) for size in bottom.kernel)  # between a skip and what comes up to it
    for skip, level, stride in zip(reversed(skips), reversed(down), reversed(strides), strict=True):
        lost = tuple(n * s for n, s in zip(lost, stride, strict=True))
        up, joined = _up(graph, value, below.width, stride)
        centred |= _is_centred_crop(graph, joined, skip, lost)
        below, value = _level(graph, joined.outputs[0], level.width + up.convolution.width, dims)
        if below.kernel != level.kernel:
            raise ModelFileError(
                f"{below.first.layer} has kernel {below.kernel}; on the way down it is {level.kernel}"
            )
        lost = tuple(n + 4 * (size - 1) for n, size in zip(lost, level.kernel, strict=True))
        ups, outs = [up, *ups], [below, *outs]
    head = _head(graph, value, below.width, dims)
    return U(tuple(down), bottom, tuple(ups), tuple(outs), head, tuple(strides), centred)


def _way_down(graph: Graph) -> tuple[list[Level], list[int], list[tuple[int, ...]], int]:
    """The levels down to the bottom, what the skips read, the strides, and what the bottom makes."""
    start = graph.first("convolution")
    dims = _dims(start.layer)
    value, scale, offset = _scaling(graph, start)
    levels: list[Level] = []
    skips: list[int] = []
    strides: list[tuple[int, ...]] = []
    while True:
        level, value = _level(graph, value, levels[-1].width if levels else None, dims)
        levels.append(level if levels else _with_input_scaled(level, scale, offset))
        pooling = graph.after(value, "pooling")
        if pooling is None:
            return levels, skips, strides, value
        skips.append(value)
        strides.append(_pooling_stride(pooling.layer, dims))
        value = pooling.outputs[0]


def _dims(layer: Layer) -> int:
    if not layer.blobs:
        raise ModelFileError(f"{layer} has 0 blobs; expected 2: weights and biases")
    dims = layer.blobs[0].ndim - 2
    if dims not in (2, 3):
        raise ModelFileError(
            f"{layer} has weights of shape {layer.blobs[0].shape}; expected 4 axes, or 5 in 3-D"
        )
    return dims


def _scaling(graph: Graph, start: Node) -> tuple[int, Doubles, Doubles]:
    """What the first convolution reads: the image times `scale` plus `offset`, per channel."""
    channels = start.layer.blobs[0].shape[1] * int(start.layer.number("convolution_param", "group", 1))
    scale, offset = np.ones(channels), np.zeros(channels)
    value = start.inputs[0] if start.inputs else -1
    before = graph.maker.get(value)
    while before is not None and before.layer.kind in ("valuetransformation", "power") and before.inputs:
        times, plus = _affine(before.layer, channels)
        scale, offset = scale * times, offset + scale * plus
        before = graph.maker.get(before.inputs[0])
    return value, scale, offset


def _affine(layer: Layer, channels: int) -> tuple[Doubles, Doubles]:
    """What a layer multiplies and then adds, per channel."""
    if layer.kind == "power":
        if layer.number("power_param", "power", 1) != 1:
            raise ModelFileError(f"{layer} raises to a power; only a scale and a shift can be imported")
        values = [
            [layer.number("power_param", name, default)] for name, default in (("scale", 1), ("shift", 0))
        ]
    else:  # scale * (x + offset)
        values = [
            layer.numbers("value_transformation_param", name, "v") or [default]
            for name, default in (("scale", 1), ("offset", 0))
        ]
    if any(len(given) not in (1, channels) for given in values):
        raise ModelFileError(f"{layer} has {[len(given) for given in values]} values for {channels} channels")
    times, plus = (np.broadcast_to(np.array(given, np.float64), channels) for given in values)
    return times, plus if layer.kind == "power" else times * plus


def _with_input_scaled(level: Level, scale: Doubles, offset: Doubles) -> Level:
    """The first level for an image that is not scaled before; as it is where there is nothing to do."""
    if (scale == 1).all() and not offset.any():
        return level
    return replace(level, first=level.first.after_scaling(scale, offset))


def _level(graph: Graph, value: int, channels: int | None, dims: int) -> tuple[Level, int]:
    """Two convolutions, each with ReLU, and perhaps dropout; and what they make."""
    convolutions: list[Convolution] = []
    leaks: list[float] = []
    for _ in range(2):
        node = graph.need(value, "convolution")
        made = convolution(node.layer, channels, dims)
        made, value = _normalised(graph, made, node.outputs[0])
        relu = graph.need(value, "relu")
        convolutions.append(made)
        leaks.append(_leak(relu.layer))
        channels, value = made.width, relu.outputs[0]
    first, second = convolutions
    if first.kernel != second.kernel or leaks[0] != leaks[1]:
        raise ModelFileError(
            f"{second.layer} has another kernel or ReLU than {first.layer}, the first of its level"
        )
    return Level(first, second, leaks[0], _short(graph.dropout.get(value, 0.0))), value


def _normalised(graph: Graph, made: Convolution, value: int) -> tuple[Convolution, int]:
    """A convolution with the batch norm after it multiplied into it."""
    while node := graph.after(value, "batchnorm", "scale"):
        made, value = made.before_scaling(*batch_norm(node.layer, made.width)), node.outputs[0]
    return made, value


def _leak(layer: Layer) -> float:
    return _short(layer.number("relu_param", "negative_slope", 0.0))


def _short(number: float) -> float:
    """0.1 of float32, which is 0.10000000149, as 0.1."""
    return float(f"{number:.6g}")


def _pooling_stride(layer: Layer, dims: int) -> tuple[int, ...]:
    """The stride of a maximum over cells that do not overlap."""
    method = (["MAX", *layer.all("pooling_param", "pool")])[-1]
    kernel = layer.sizes("pooling_param", "kernel_size", dims, 0)
    stride = layer.sizes("pooling_param", "stride", dims, 1)
    pad = layer.sizes("pooling_param", "pad", dims, 0)
    if method not in (0, "MAX") or kernel != stride or any(pad):
        raise ModelFileError(
            f"{layer} pools by {method} with kernel {kernel}, stride {stride}, pad {pad}; expected the "
            "maximum (MAX) over cells as large as the stride"
        )
    return stride


def _up(graph: Graph, value: int, channels: int, stride: tuple[int, ...]) -> tuple[Up, Node]:
    """An up-convolution, and the concatenation that it leads to."""
    node = graph.need(value, "deconvolution")
    made, value = _normalised(graph, deconvolution(node.layer, channels, stride), node.outputs[0])
    relu = graph.after(value, "relu")
    if relu is not None:
        value = relu.outputs[0]
    joined = graph.need(value, "concat")
    axis = joined.layer.number("concat_param", "axis", joined.layer.number("concat_param", "concat_dim", 1))
    if len(joined.inputs) != 2 or joined.inputs[0] == joined.inputs[1] or axis != 1:
        raise ModelFileError(
            f"{joined.layer} joins {len(joined.inputs)} along axis {axis}; expected 2 along 1"
        )
    return Up(made, _leak(relu.layer) if relu else None, first=joined.inputs[0] == value), joined


def _is_centred_crop(graph: Graph, joined: Node, skip: int, lost: Sequence[int]) -> bool:
    """Check that the centre of the skip is joined, which has `lost` pixels more; true if it is not stated.

    The authors' Caffe takes the centre where no offset is given, and where maps of several sizes are joined.
    """
    if skip in joined.inputs:
        return any(lost)
    crops = [graph.maker[value] for value in joined.inputs if value in graph.maker]
    crops = [crop for crop in crops if crop.layer.kind == "crop" and crop.inputs[:1] == (skip,)]
    if not crops:
        raise ModelFileError(
            f"{joined.layer} joins another layer than that of the same level on the way down"
        )
    layer, expected = crops[0].layer, tuple(size // 2 for size in lost)
    offset, axis = layer.sizes("crop_param", "offset", len(lost), -1), layer.number("crop_param", "axis", 2)
    if axis != 2 or offset not in (expected, (-1,) * len(lost)):
        raise ModelFileError(
            f"{layer} cuts at {offset} from axis {axis} on; the centre is {expected} from axis 2 on"
        )
    return offset != expected


def _head(graph: Graph, value: int, channels: int, dims: int) -> Convolution:
    """The convolution to the classes, at which the network ends."""
    node = graph.need(value, "convolution")
    head = convolution(node.layer, channels, dims)
    if set(head.kernel) != {1} or head.width < 2:
        raise ModelFileError(
            f"{node.layer} has kernel {head.kernel} and {head.width} outputs; expected a 1x1 convolution to "
            "two or more classes"
        )
    for other in graph.readers(node.outputs[0]):
        raise ModelFileError(f"it is no U-Net: {other.layer} is where a softmax or the end was expected")
    return head
