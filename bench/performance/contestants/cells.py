"""Labels of cells, a prediction of them, probabilities, drawn from a seed: NumPy alone, for all peers."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int32]
LOST = 0.05
"""Share of the cells that the prediction does not have."""


@dataclass(frozen=True)
class Ellipse:
    """Of one cell: centre and radii in pixels, angle in radians."""

    centre: NDArray[np.float64]
    radii: NDArray[np.float64]
    angle: float

    def paint(self, labels: Labels, number: int) -> None:
        """Give the background pixels in it their number."""
        reach = int(self.radii.max()) + 1
        top, left = (max(int(place) - reach, 0) for place in self.centre)
        part = labels[top : int(self.centre[0]) + reach + 1, left : int(self.centre[1]) + reach + 1]
        y, x = np.ogrid[: part.shape[0], : part.shape[1]]
        y, x = y + top - self.centre[0], x + left - self.centre[1]
        along = (y * np.cos(self.angle) + x * np.sin(self.angle)) / self.radii[0]
        across = (x * np.cos(self.angle) - y * np.sin(self.angle)) / self.radii[1]
        part[(along**2 + across**2 <= 1) & (part == 0)] = number


def scattered(size: int, cells: int, seed: int = 0) -> Labels:
    """Cells of 16 to 28 pixels anywhere; a later one yields to earlier ones. (size, size)"""
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size), np.int32)
    for number in range(1, cells + 1):
        Ellipse(rng.uniform(0, size, 2), rng.uniform(8, 14, 2), rng.uniform(0, np.pi)).paint(labels, number)
    return labels


def truth_and_prediction(size: int, cells: int, seed: int = 0) -> tuple[Labels, Labels]:
    """Crowded cells on half of the image, and as predicted: moved, resized, some lost, renumbered."""
    rng = np.random.default_rng(seed)
    side = ceil(sqrt(cells))
    step = size / side
    truth = np.zeros((size, size), np.int32)
    found = truth.copy()
    for number in range(1, cells + 1):
        centre = (np.array(divmod(number - 1, side)) + 0.5 + rng.uniform(-0.1, 0.1, 2)) * step
        radii, angle = rng.uniform(0.3, 0.5, 2) * step, rng.uniform(0, np.pi)
        Ellipse(centre, radii, angle).paint(truth, number)
        Ellipse(centre + rng.normal(0, 1, 2), radii * rng.uniform(0.8, 1.1, 2), angle).paint(found, number)
    numbers = np.append(0, rng.permutation(cells) + 1).astype(np.int32)
    numbers[rng.random(cells + 1) < LOST] = 0
    return truth, numbers[found]


def probabilities(size: int, cells: int, seed: int = 0) -> NDArray[np.float32]:
    """Foreground as a network sees it: those cells, unsure at their edges, with noise. (size, size)"""
    truth, _ = truth_and_prediction(size, cells, seed)
    inside = truth > 0
    for axis in (0, 1):
        for shift in (-1, 1):
            inside &= np.roll(truth, shift, axis) == truth
    sure: NDArray[Any] = np.where(inside, np.float32(0.9), np.where(truth > 0, np.float32(0.4), 0.05))
    noise = np.random.default_rng(seed).normal(0, 0.08, truth.shape)
    return np.clip(sure + noise, 0, 1).astype(np.float32)
