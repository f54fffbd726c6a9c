"""One annotated image in memory: the value that passes between reading, checking and training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IGNORE = -1
"""The label of a pixel whose truth is unknown; it counts nowhere."""


@dataclass(frozen=True)
class Sample:
    """An image with its labels.

    Attributes
    ----------
    stem : str
        Name without folder and suffix.
    image : ndarray, (C, *spatial)
        Intensities, dtype as in the file.
    labels : ndarray of int32, (*spatial)
        Instances or classes; 0 is background, `IGNORE` unknown.
    spacing : tuple of float or None
        Pixel size along each spatial axis, in micrometres.
    """

    stem: str
    image: NDArray[Any]
    labels: NDArray[np.int32]
    spacing: tuple[float, ...] | None = None
