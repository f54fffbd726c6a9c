"""int8: the same U whose values between the layers have 256 levels, and whose weights have 255.

What a layer makes is rounded as soon as it is made, so that pooling, cropping and concatenating move bytes::

    image ─conv, float32─ round ─conv, int8─ round ┬─ pool ─ …            … ─ up, int8 ─ round ┐
                                                   └─ crop ────────────── concatenate ─────────┴─ conv, int8

Both halves of a concatenation need the same 256 levels. What comes up is brought to the range of the skip
before that, by the weights around it (`matched`), which changes nothing in exact arithmetic. The image itself
and the first weights are not rounded: there it cost half of all the accuracy that was lost. What rounding
the weights changes on average is taken from the biases (`corrected`).

OpenVINO makes of such a graph one that multiplies bytes. Sums of their products are integers, exact in any
order, so that results have the same bits whatever the size of the tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.geometry import CONVOLUTIONS_PER_LEVEL
from unseam.model.folded import Convolution, FoldedNetwork

VALUES = 256
"""Levels of the values between the layers."""
WEIGHTS = 255
"""Levels of the weights, of each output channel apart: as many above zero as below."""
NOT_CALIBRATED = (
    "precision int8 was asked for and the model is not calibrated for it; "
    "`unseam calibrate MODEL IMAGES --out FILE` writes one that is"
)
LAST = CONVOLUTIONS_PER_LEVEL - 1


def matched(network: FoldedNetwork) -> FoldedNetwork:
    """The same network, calibrated alike, in which what comes up has the range of the skip beside it.

    It gives what `network` gives, up to rounding of float32.

    Raises
    ------
    KeyError
        If the calibration is that of another network.

    Notes
    -----
    With x' = f x + s in the place of what comes up, x, its weights are f w and its bias f b + s. The
    convolution after it takes w / f of these channels, and its bias loses s times the sum of them; that
    holds at every pixel, as nothing is padded. Where an activation follows, which only a factor passes, s
    is 0.
    """
    assert network.calibration is not None
    up, out = list(network.up), list(network.out)
    ranges, means = dict(network.calibration.ranges), dict(network.calibration.means)
    for k, layer in enumerate(network.up):
        own, wanted = ranges[f"up.{k}"], ranges[f"down.{k}.{LAST}"]
        factor, shift = _onto(own, wanted, may_shift=not network.active_up)
        up[k] = Convolution(_float(layer.weight * factor), _float(layer.bias * factor + shift))
        first, *rest = network.out[k]
        skip = len(network.down[k][LAST].bias)
        weight = first.weight.astype(np.float64)
        weight[:, skip:] /= factor
        lost = weight[:, skip:].sum(axis=tuple(range(1, weight.ndim)))
        out[k] = (Convolution(_float(weight), _float(first.bias - shift * lost)), *rest)
        both = wanted if shift else (min(factor * own[0], wanted[0]), max(factor * own[1], wanted[1]))
        ranges[f"up.{k}"] = ranges[f"down.{k}.{LAST}"] = both
        read = means[f"out.{k}.0"]
        means[f"out.{k}.0"] = (*read[:skip], *(factor * mean + shift for mean in read[skip:]))
    levelled = {name: with_zero(*limits) for name, limits in ranges.items()}
    calibration = replace(network.calibration, ranges=levelled, means=means)
    return replace(network, up=tuple(up), out=tuple(out), calibration=calibration)


def corrected(network: FoldedNetwork) -> FoldedNetwork:
    """The same network with other biases, so that rounding its weights changes no value on average.

    Raises
    ------
    KeyError
        If the calibration is that of another network.

    Notes
    -----
    What rounding takes from the weights of a channel, times the mean of what they read, is what it takes from
    the mean of that channel; an up-convolution reads one pixel for each of its own.

    References
    ----------
    M. Nagel, M. van Baalen, T. Blankevoort, M. Welling, 2019, Data-free quantization through weight
    equalization and bias correction, ICCV, doi:10.1109/ICCV.2019.00141 (its bias correction).
    """
    assert network.calibration is not None
    means = network.calibration.means

    def correct(name: str, layer: Convolution, output: int = 0) -> Convolution:
        lost = np.moveaxis(layer.weight - rounded(layer.weight, output), output, 0)
        taps = lost.reshape(*lost.shape[:2], -1)  # (out, in, positions)
        of_channels = taps.mean(2) if output else taps.sum(2)
        return Convolution(layer.weight, _float(layer.bias + of_channels @ np.array(means[name])))

    def level(name: str, layers: tuple[Convolution, ...], begin: int = 0) -> tuple[Convolution, ...]:
        same = layers[:begin]
        return (*same, *(correct(f"{name}.{k}", layers[k]) for k in range(begin, len(layers))))

    return replace(
        network,
        down=tuple(level(f"down.{k}", layers, begin=k == 0) for k, layers in enumerate(network.down)),
        bottom=level("bottom", network.bottom, begin=not network.down),
        up=tuple(correct(f"up.{k}", layer, 1) for k, layer in enumerate(network.up)),
        out=tuple(level(f"out.{k}", layers) for k, layers in enumerate(network.out)),
        head=correct("head", network.head),
    )


def rounded(weight: NDArray[np.float32], output: int) -> NDArray[np.float64]:
    """Weights as whole multiples of 1/127 of the largest of their output channel, along the axis `output`."""
    unit = _largest(weight, output).astype(np.float64) / (WEIGHTS // 2)
    return np.asarray(np.round(weight / unit) * unit)


def _largest(weight: NDArray[np.float32], output: int) -> NDArray[np.float32]:
    others = tuple(axis for axis in range(weight.ndim) if axis != output)
    return np.asarray(np.maximum(np.abs(weight).max(axis=others, keepdims=True), np.float32(1e-12)))


def _onto(own: tuple[float, float], wanted: tuple[float, float], *, may_shift: bool) -> tuple[float, float]:
    """The factor and the shift that bring one range to another; without a shift, its end farther from 0.

    >>> _onto((-1, 3), (0, 8), may_shift=True)
    (2.0, 2.0)
    >>> _onto((-1, 4), (-4, 10), may_shift=False)
    (2.5, 0.0)
    """
    if may_shift:
        factor = (wanted[1] - wanted[0]) / (own[1] - own[0])
        return factor, wanted[0] - factor * own[0]
    return max(map(abs, wanted)) / max(map(abs, own)), 0.0


def with_zero(low: float, high: float) -> tuple[float, float]:
    """A range of the same width, moved by less than a level so that 0 is one of its levels.

    >>> with_zero(-1.2, 253.8)
    (-1.0, 254.0)
    """
    step = (high - low) / (VALUES - 1)
    below = round(-low / step)
    return -below * step + 0.0, (VALUES - 1 - below) * step


def values(nodes: Mapping[str, Any], network: FoldedNetwork) -> Iterator[tuple[str, Any]]:
    """What each layer but the last makes, by its name: outputs of the nodes of a graph."""
    depth = len(network.down)
    for level in (*(f"down.{k}" for k in range(depth)), "bottom", *(f"out.{k}" for k in range(depth))):
        for k in range(CONVOLUTIONS_PER_LEVEL):
            yield f"{level}.{k}", nodes[f"{level}.{k}.relu"].output(0)
    for k in range(depth):
        yield f"up.{k}", nodes[f"concat.{k}"].input_value(1)


def nodes_of(model: Any) -> dict[str, Any]:
    """The nodes of a graph by their names."""
    return {node.get_friendly_name(): node for node in model.get_ops()}


def quantise(ops: Any, model: Any, network: FoldedNetwork) -> None:
    """Round the values and the weights of a graph of `network`, in place.

    Raises
    ------
    KeyError
        If the calibration is that of another network.
    """
    assert network.calibration is not None
    nodes = nodes_of(model)
    for name, value in list(values(nodes, network)):
        low, high = (np.array([limit], np.float32) for limit in network.calibration.ranges[name])
        _round(ops, value, low, high, VALUES)
    for name, weight, output in layers_of(network)[1:]:
        largest = _largest(weight, output)
        _round(ops, nodes[f"{name}.weight"].output(0), -largest, largest, WEIGHTS)


def _round(ops: Any, value: Any, low: Any, high: Any, levels: int) -> None:
    """Put rounding between a value and all that read it."""
    readers = list(value.get_target_inputs())
    rounded = ops.fake_quantize(value, low, high, low, high, levels)
    for reader in readers:
        reader.replace_source_output(rounded.output(0))


def layers_of(network: FoldedNetwork) -> list[tuple[str, NDArray[np.float32], int]]:
    """Name, weight and axis of the output channels of every layer, the first one first."""
    named = [(f"down.{k}", level) for k, level in enumerate(network.down)]
    named += [("bottom", network.bottom), *((f"out.{k}", level) for k, level in enumerate(network.out))]
    return [
        *((f"{name}.{k}", layer.weight, 0) for name, level in named for k, layer in enumerate(level)),
        *((f"up.{k}", layer.weight, 1) for k, layer in enumerate(network.up)),
        ("head", network.head.weight, 0),
    ]


def _float(array: Any) -> Any:
    return np.ascontiguousarray(array, np.float32)
