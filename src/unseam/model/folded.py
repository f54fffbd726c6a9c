"""A trained U-Net as plain arrays, batch norm folded in: what every engine builds its own form of.

Nothing here needs PyTorch. The names of the arrays are those of the file: of `UNet`'s modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.config import NetworkConfig
from unseam.geometry import CONVOLUTIONS_PER_LEVEL, AxisGeometry, Geometry, check_levels
from unseam.model.calibration import Calibration

Floats = NDArray[np.float32]
BATCH_NORM_EPSILON = 1e-5
"""That of PyTorch's batch norm, which `UNet` leaves as it is."""
NORM = ("running_mean", "running_var", "weight", "bias")
DEFAULTS = {"in_channels": 1, "classes": 2, "spatial_dims": 2, "base_width": 64, "depth": 4}
"""Of `UNet`, for what a configuration leaves open."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """Weight and bias of a convolution, (out, in, *kernel), or of an up-convolution, (in, out, *stride)."""

    weight: Floats
    bias: Floats


@dataclass(frozen=True, eq=False)
class FoldedNetwork:
    """A U-Net for prediction, in the order of composition; see `unseam.model.unet`.

    Attributes
    ----------
    geometry : sizes of its tiles.
    strides : pooling stride of each step, per axis.
    down : the convolutions of each level of the contracting path.
    bottom : those of the level below.
    up : the up-convolution to each level.
    out : the convolutions of each level of the expanding path.
    head : the last convolution, 1x1.
    leak : slope of the activation below 0.
    active_up : whether the activation follows the up-convolutions too.
    calibration : what int8 takes; None where it is not known.
    """

    geometry: Geometry
    strides: tuple[tuple[int, ...], ...]
    down: tuple[tuple[Convolution, ...], ...]
    bottom: tuple[Convolution, ...]
    up: tuple[Convolution, ...]
    out: tuple[tuple[Convolution, ...], ...]
    head: Convolution
    leak: float = 0.0
    active_up: bool = False
    calibration: Calibration | None = None

    @property
    def in_channels(self) -> int:
        """Channels of the image."""
        return int((*self.down, self.bottom)[0][0].weight.shape[1])

    @property
    def classes(self) -> int:
        """Channels of the probabilities, background included."""
        return len(self.head.bias)

    @property
    def size(self) -> int:
        """Number of weights, biases included."""
        levels = (*self.down, self.bottom, *self.out, self.up, (self.head,))
        return sum(layer.weight.size + layer.bias.size for level in levels for layer in level)

    @property
    def spatial_dims(self) -> int:
        """2 or 3."""
        return len(self.geometry.axes)

    @property
    def base_width(self) -> int:
        """Channels at full resolution."""
        return len((*self.down, self.bottom)[0][0].bias)

    @property
    def is_local(self) -> bool:
        """Whether a tile, its halo cut away, gives what the whole image would: it pads nothing."""
        return True


def fold(config: NetworkConfig, arrays: Mapping[str, NDArray[Any]]) -> FoldedNetwork:
    """The network of a configuration, from the arrays of its file, which `shapes_of` names.

    Raises
    ------
    KeyError
        If an array is missing.
    """
    config = _decided(config)
    strides, kernels, depth = config.strides, config.kernels, config.depth
    assert strides is not None and kernels is not None and depth is not None

    def convolution(name: str) -> Convolution:
        return Convolution(_floats(arrays[f"{name}.weight"]), _floats(arrays[f"{name}.bias"]))

    def level(name: str) -> tuple[Convolution, ...]:
        if not config.batch_norm:
            return tuple(convolution(f"{name}.{2 * k}") for k in range(CONVOLUTIONS_PER_LEVEL))
        return tuple(
            _folded(arrays, f"{name}.{3 * k}", f"{name}.{3 * k + 1}") for k in range(CONVOLUTIONS_PER_LEVEL)
        )

    return FoldedNetwork(
        Geometry.from_levels(kernels, strides),
        tuple(tuple(stride) for stride in strides),
        tuple(level(f"down.{k}") for k in range(depth)),
        level("bottom"),
        tuple(convolution(f"up.{k}") for k in range(depth)),
        tuple(level(f"out.{k}") for k in range(depth)),
        convolution("head"),
        config.leak,
        config.release,
    )


def shapes_of(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """The arrays that the file of a network holds, by the names of `UNet`'s modules, and their shapes.

    Raises
    ------
    ConfigError
        If strides and kernels do not fit the depth.
    """
    config = _decided(config)
    channels, classes, base, depth = config.in_channels, config.classes, config.base_width, config.depth
    strides, kernels = config.strides, config.kernels
    assert channels and classes and base and strides is not None and kernels is not None and depth is not None
    widths = [base * 2**level for level in range(depth + 1)]
    into = [channels, *widths]
    up_widths = [w * (2 if config.release and k == 0 else 1) for k, w in enumerate(widths[:-1])]
    out_widths = [w * (2 if config.wide_top and k == 0 else 1) for k, w in enumerate(widths[:-1])]
    below = [*out_widths, widths[-1]]
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, shape: tuple[int, ...], bias: int | None) -> None:
        shapes[f"{name}.weight"] = shape
        if bias is not None:
            shapes[f"{name}.bias"] = (bias,)

    def level(name: str, before: int, width: int, kernel: tuple[int, ...]) -> None:
        step = 3 if config.batch_norm else 2  # modules of a convolution: batch norm is one, ReLU another
        for k in range(CONVOLUTIONS_PER_LEVEL):
            shape = (width, before if k == 0 else width, *kernel)
            convolution(f"{name}.{step * k}", shape, None if config.batch_norm else width)
            if config.batch_norm:
                norm = f"{name}.{step * k + 1}"
                shapes.update({f"{norm}.{key}": (width,) for key in NORM})
                shapes[f"{norm}.num_batches_tracked"] = ()

    for k in range(depth):
        level(f"down.{k}", into[k], widths[k], kernels[k])
        convolution(f"up.{k}", (below[k + 1], up_widths[k], *strides[k]), up_widths[k])
        level(f"out.{k}", widths[k] + up_widths[k], out_widths[k], kernels[k])
    level("bottom", into[depth], widths[depth], kernels[depth])
    convolution("head", (classes, below[0], *(1,) * len(kernels[0])), classes)
    return shapes


def _decided(config: NetworkConfig) -> NetworkConfig:
    """The configuration with what it leaves open as `UNet` has it."""
    left_open: dict[str, Any] = {
        name: default for name, default in DEFAULTS.items() if getattr(config, name) is None
    }
    decided = replace(config, **left_open)
    dims, depth = decided.spatial_dims, decided.depth
    assert dims is not None and depth is not None
    strides = tuple(map(tuple, config.strides)) if config.strides else ((2,) * dims,) * depth
    kernels = tuple(map(tuple, config.kernels)) if config.kernels else ((3,) * dims,) * (depth + 1)
    check_levels(strides, kernels, spatial_dims=dims, depth=depth)
    return replace(decided, strides=strides, kernels=kernels)


def _folded(arrays: Mapping[str, NDArray[Any]], name: str, norm: str) -> Convolution:
    """A convolution without a bias of its own, and the batch norm after it, as one convolution."""
    mean, variance, gain, shift = (np.float64(arrays[f"{norm}.{key}"]) for key in NORM)
    factor = gain / np.sqrt(variance + BATCH_NORM_EPSILON)
    weight = np.float64(arrays[f"{name}.weight"])
    scaled = weight * factor.reshape(-1, *(1,) * (weight.ndim - 1))
    return Convolution(_floats(scaled), _floats(shift - mean * factor))


def _floats(array: NDArray[Any]) -> Floats:
    return np.ascontiguousarray(array, np.float32)


def crop_margins(geometry: Geometry) -> list[tuple[int, ...]]:
    """What the skip of each level is cropped by on each side, pixels per axis.

    Notes
    -----
    Constants, as each step is linear in the size. A skip is larger than what comes up beside it by what the
    levels below take away: the convolutions down and up, and the crop between them. All of these are
    multiples of 4, since kernels are odd, so both sides are cropped alike.
    """
    axes = [axis for axis in geometry.axes if isinstance(axis, AxisGeometry)]  # as all of a UNet are
    margins: list[list[int]] = [[] for _ in axes[0].strides]
    for axis in axes:
        taken = [CONVOLUTIONS_PER_LEVEL * (kernel - 1) for kernel in axis.kernels]
        lost = taken[-1]
        for level in reversed(range(len(axis.strides))):
            lost *= axis.strides[level]  # as many pixels of this level
            margins[level].append(lost // 2)
            lost += 2 * taken[level]
    return [tuple(margin) for margin in margins]
