"""What int8 takes beside the weights: how large the values between the layers become, seen on images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unseam.errors import ConfigError

Ranges = Mapping[str, tuple[float, float]]
"""Smallest and largest value that a layer makes, by its name, as "down.0.1", "up.3" or "bottom.0"."""


@dataclass(frozen=True)
class Calibration:
    """Ranges of the values between the layers, and what they were seen on.

    Attributes
    ----------
    ranges : of every layer but the last, whose values are not rounded.
    images : names of the images.
    """

    ranges: Ranges
    images: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, (low, high) in self.ranges.items():
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise ConfigError(
                    f"{name} has the range {low:g} to {high:g}; expected finite numbers, the first below the "
                    "second: calibrate the model on images that are not empty"
                )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """What the header of a model file holds of it."""
        ranges = {name: (float(low), float(high)) for name, (low, high) in values["ranges"].items()}
        return cls(ranges, tuple(values["images"]))
