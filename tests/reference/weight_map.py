"""The border weight map straight from its definition: each background pixel against each pixel of a cell."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def border_weight_map(
    labels: NDArray[np.int32], w0: float, sigma: float, spacing: Sequence[float]
) -> NDArray[np.float64]:
    weights = np.zeros(labels.shape)
    for pixel in np.ndindex(labels.shape):
        if labels[pixel] == 0:
            distances = sorted(distance_to_each_cell(labels, pixel, spacing).values())
            if len(distances) >= 2:
                weights[pixel] = w0 * math.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2))
    return weights


def distance_to_each_cell(
    labels: NDArray[np.int32], pixel: tuple[int, ...], spacing: Sequence[float]
) -> dict[int, float]:
    position = [index * step for index, step in zip(pixel, spacing, strict=True)]
    nearest: dict[int, float] = {}
    for other in zip(*(axis.tolist() for axis in np.nonzero(labels > 0)), strict=True):
        distance = math.dist(position, [index * step for index, step in zip(other, spacing, strict=True)])
        cell = int(labels[other])
        nearest[cell] = min(nearest.get(cell, math.inf), distance)
    return nearest
