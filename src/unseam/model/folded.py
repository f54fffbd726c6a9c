"""A trained U-Net as plain arrays, batch norm folded in: what every engine builds its own form of.

Nothing here needs PyTorch. The names of the arrays are those of the file, which are those of `UNet`'s modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.config import NetworkConfig
from unseam.geometry import CONVOLUTIONS_PER_LEVEL, AxisGeometry, Geometry

Floats = NDArray[np.float32]
BATCH_NORM_EPSILON = 1e-5
"""That of PyTorch's batch norm, which `UNet` leaves as it is."""


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

    @property
    def in_channels(self) -> int:
        """Channels of the image."""
        return int((*self.down, self.bottom)[0][0].weight.shape[1])

    @property
    def classes(self) -> int:
        """Channels of the probabilities, background included."""
        return len(self.head.bias)

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
    """The network of a configuration in which everything is decided, from the arrays of its file.

    Raises
    ------
    KeyError
        If an array is missing.
    """
    dims, depth = config.spatial_dims, config.depth
    assert dims is not None and depth is not None
    strides = config.strides or ((2,) * dims,) * depth
    kernels = config.kernels or ((3,) * dims,) * (depth + 1)

    def convolution(name: str) -> Convolution:
        return Convolution(np.float32(arrays[f"{name}.weight"]), np.float32(arrays[f"{name}.bias"]))

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


def _folded(arrays: Mapping[str, NDArray[Any]], name: str, norm: str) -> Convolution:
    """A convolution without a bias of its own, and the batch norm after it, as one convolution."""
    mean, variance, gain, shift = (
        np.float64(arrays[f"{norm}.{key}"]) for key in ("running_mean", "running_var", "weight", "bias")
    )
    factor = gain / np.sqrt(variance + BATCH_NORM_EPSILON)
    weight = np.float64(arrays[f"{name}.weight"])
    scaled = weight * factor.reshape(-1, *(1,) * (weight.ndim - 1))
    return Convolution(np.float32(scaled), np.float32(shift - mean * factor))


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
