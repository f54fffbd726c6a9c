"""Scale intensities, once per image: never per tile, so that a tile cannot change the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import ConfigError, InputError

METHODS = ("percentile", "zscore", "none")


@dataclass(frozen=True)
class Normalization:
    """How an image is scaled; stored in the model.

    Attributes
    ----------
    method : str
        "percentile": `lower` becomes 0 and `upper` 1, nothing is clipped. "zscore": mean 0, deviation 1.
        "none": as it is. Each channel by itself, over the whole image.
    lower, upper : float
        Percentiles, 0 to 100.

    Examples
    --------
    >>> Normalization("zscore")(np.array([[[1, 3]]])).tolist()
    [[[-1.0, 1.0]]]
    """

    method: str = "percentile"
    lower: float = 1.0
    upper: float = 99.8

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f"normalization is {self.method!r}; expected one of: {', '.join(METHODS)}")
        if not 0 <= self.lower < self.upper <= 100:
            raise ConfigError(
                f"percentiles {self.lower} and {self.upper} were given; expected 0 <= lower < upper <= 100"
            )

    def __call__(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Scale `image`, (C, *spatial) of any real dtype, to float32.

        Raises
        ------
        InputError
            If a pixel is NaN or infinite.

        Notes
        -----
        A constant channel becomes 0 everywhere.
        """
        scaled = np.empty(image.shape, np.float32)
        for channel, plane in enumerate(image):
            offset, scale = self._fit(plane)
            rows = zip(np.atleast_2d(scaled[channel]), np.atleast_2d(plane), strict=True)
            for row, values in rows:  # one after the other: a whole image of float64 is large
                row[...] = (values.astype(np.float64) - offset) / scale if scale else 0.0
        return scaled

    def _fit(self, plane: NDArray[Any]) -> tuple[float, float]:
        """What is subtracted, and what is divided by, or 0 for a constant plane."""
        if plane.dtype.kind not in "iu":
            plane = plane.astype(np.float64)  # so that float16 does not overflow on the way
        if not np.isfinite(plane).all():
            count = int((~np.isfinite(plane)).sum())
            raise InputError(f"the image has {count} pixels that are NaN or infinite; replace them first")
        if self.method == "percentile":
            low, high = (float(value) for value in np.percentile(plane, [self.lower, self.upper]))
            if low == high:  # a few bright objects on black: the range that is left
                low, high = float(plane.min()), float(plane.max())
            return low, high - low
        if self.method == "zscore":
            constant = plane.min() == plane.max()  # whose mean, rounded, may be off by a deviation
            mean, deviation = plane.mean(dtype=np.float64), plane.std(dtype=np.float64)
            return float(mean), 0.0 if constant else float(deviation)
        return 0.0, 1.0
