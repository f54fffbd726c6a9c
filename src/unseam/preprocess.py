"""Steps before the network, as descriptions of other programs' models state them, one after the other.

What a step needs to know of an image is fitted once, on the whole of it, never per tile. Whatever the steps
are, together they take something off each channel, divide, and clip: one `Scaling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import InputError
from unseam.grid import Region
from unseam.normalize import (
    Array,
    ImageParts,
    MapParts,
    Read,
    Scaling,
    in_parts,
    mean_and_deviation,
    percentiles,
    reading,
)

Pairs = list[tuple[float, float]]
"""What each channel is reduced by, and divided by."""


@dataclass(frozen=True)
class ScaleRange:
    """Percentile `lower` becomes 0 and `upper` 1: (x - low) / (high - low + eps).

    `joint`: percentiles of all channels together, as in the steps below.
    """

    lower: float = 0.0
    upper: float = 100.0
    eps: float = 1e-6
    joint: bool = False
    name: str = field(default="scale_range", init=False)

    def fit(self, image: ImageParts) -> Pairs:
        """Percentile and range of each channel."""
        found = percentiles(image, (self.lower, self.upper))
        return [(low, high - low + self.eps) for low, high in found]

    def __str__(self) -> str:
        return f"percentile {self.lower:g} to 0 and {self.upper:g} to 1, {_whose(self.joint)}"


@dataclass(frozen=True)
class ZeroMean:
    """Mean 0 and deviation 1: (x - mean) / (deviation + eps)."""

    eps: float = 1e-6
    joint: bool = False
    name: str = field(default="zero_mean_unit_variance", init=False)

    def fit(self, image: ImageParts) -> Pairs:
        """Mean and deviation of each channel."""
        return [(mean, deviation + self.eps) for mean, deviation in mean_and_deviation(image)]

    def __str__(self) -> str:
        return f"mean to 0 and deviation to 1, {_whose(self.joint)}"


@dataclass(frozen=True)
class Fixed:
    """Minus `offset`, over `scale`: a number for each channel, or one for all."""

    offset: tuple[float, ...]
    scale: tuple[float, ...]
    name: str = field(default="fixed", init=False)

    def pairs(self, channels: int) -> Pairs:
        """The numbers of each channel.

        Raises
        ------
        InputError
            If there are numbers for another number of channels.
        """
        for values in (self.offset, self.scale):
            if len(values) not in (1, channels):
                raise InputError(
                    f"the model's description scales {len(values)} channels and its network has {channels}; "
                    "correct one of them"
                )
        many = (values * channels if len(values) == 1 else values for values in (self.offset, self.scale))
        return list(zip(*many, strict=True))

    def __str__(self) -> str:
        return f"minus {_numbers(self.offset)}, over {_numbers(self.scale)}"


@dataclass(frozen=True)
class Clip:
    """From `low` to `high`."""

    low: float
    high: float
    name: str = field(default="clip", init=False)

    def __str__(self) -> str:
        return f"clipped from {self.low:g} to {self.high:g}"


Step = ScaleRange | ZeroMean | Fixed | Clip


@dataclass(frozen=True)
class Preprocessing:
    """How an image is scaled for the network of another program; it takes the place of a `Normalization`.

    Attributes
    ----------
    steps : in their order.
    dtype : the number format that images must have; None for any.

    Examples
    --------
    >>> Preprocessing((Fixed((1.0,), (2.0,)), Clip(0, 1)))(np.array([[[0, 2, 9]]])).tolist()
    [[[0.0, 0.5, 1.0]]]
    """

    steps: tuple[Step, ...] = ()
    dtype: str | None = None

    def __call__(self, image: Array) -> NDArray[np.float32]:
        """Scale `image`, (C, *spatial) of any real dtype, to float32; errors as `fit`."""
        return self.fit(reading(image), image.shape[1:], channels=len(image), dtype=image.dtype)(image)

    def fit(
        self,
        read: Read,
        shape: Sequence[int],
        *,
        channels: int,
        dtype: np.dtype[Any],
        map_parts: MapParts = map,
    ) -> Scaling:
        """What the steps make of an image, read in parts; see `Normalization.fit`.

        Raises
        ------
        InputError
            If a pixel is NaN or infinite, or the image has not the number format that the model takes.
        """
        if self.dtype is not None and dtype != np.dtype(self.dtype):
            raise InputError(
                f"the image is {dtype} and this model takes {self.dtype} alone; convert the image"
            )
        image = in_parts(read, shape, channels=channels, dtype=dtype, map_parts=map_parts)
        scaling = Scaling((0.0,) * channels, (1.0,) * channels)
        for step in self.steps:
            if isinstance(step, Clip):
                scaling = clipped(scaling, step)
            elif isinstance(step, Fixed):
                scaling = followed(scaling, step.pairs(channels))
            else:
                so_far = _joined(_scaled(image, scaling)) if step.joint else _scaled(image, scaling)
                pairs = step.fit(so_far)
                scaling = followed(scaling, pairs * channels if step.joint else pairs)
        return scaling

    def __str__(self) -> str:
        return ", then ".join(map(str, self.steps)) or "intensities as they are"


def followed(scaling: Scaling, pairs: Pairs) -> Scaling:
    """A scaling and then (x - offset) / scale, as one: what it clipped is then clipped elsewhere."""
    offset, scale, low, high = [], [], [], []
    for c, (minus, over) in enumerate(pairs):
        offset.append(scaling.offset[c] + minus * scaling.scale[c])
        scale.append(scaling.scale[c] * over)
        if scaling.low:
            ends = [(scaling.low[c] - minus) / over, (scaling.high[c] - minus) / over]
            low.append(min(ends))  # where `over` is negative the two change places
            high.append(max(ends))
    return Scaling(tuple(offset), tuple(scale), tuple(low), tuple(high))


def clipped(scaling: Scaling, clip: Clip) -> Scaling:
    """A scaling whose result is clipped, once more where it was already."""
    channels = len(scaling.offset)
    low = scaling.low or (-np.inf,) * channels
    high = scaling.high or (np.inf,) * channels
    return replace(
        scaling,
        low=tuple(min(max(value, clip.low), clip.high) for value in low),
        high=tuple(min(max(value, clip.low), clip.high) for value in high),
    )


def _scaled(image: ImageParts, scaling: Scaling) -> ImageParts:
    """The image as the steps so far make it; pixels of integers as they are where there were none."""
    nothing = set(scaling.offset) == {0.0} and set(scaling.scale) == {1.0} and not scaling.low
    if nothing:
        return image
    return replace(image, read=lambda region: scaling(image.read(region)), dtype=np.dtype(np.float32))


def _joined(image: ImageParts) -> ImageParts:
    """All channels as one."""

    def read(region: Region) -> Array:
        return image.read(region).reshape(1, -1)

    return replace(image, read=read, channels=1, pixels=image.channels * image.pixels)


def _whose(joint: bool) -> str:
    return "of all channels together" if joint else "of each channel"


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
