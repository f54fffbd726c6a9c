"""What int8 takes beside the weights: how large the values between the layers become, seen on images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unseam.errors import ConfigError


@dataclass(frozen=True)
class Calibration:
    """How large the values between the layers are; layers have their names, as "down.0.1", "up.3" or "head".

    Attributes
    ----------
    ranges : smallest and largest value that a layer makes, 0 within; of every layer but the last.
    means : of each channel that a layer reads; of every layer but the first.
    images : names of the images that they were seen on.
    """

    ranges: Mapping[str, tuple[float, float]]
    means: Mapping[str, tuple[float, ...]]
    images: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, (low, high) in self.ranges.items():
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise ConfigError(
                    f"{name} has the range {low:g} to {high:g}; expected finite numbers, the first below the "
                    "second: calibrate the model again"
                )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """What the header of a model file holds of it."""
        ranges = {name: (float(low), float(high)) for name, (low, high) in values["ranges"].items()}
        means = {name: tuple(map(float, channels)) for name, channels in values["means"].items()}
        return cls(ranges, means, tuple(values["images"]))
