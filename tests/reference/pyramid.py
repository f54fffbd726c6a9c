"""Coarser levels of a pyramid, pixel by pixel."""

from __future__ import annotations

from itertools import product

import numpy as np


def coarsen(pixels: np.ndarray, step: tuple[int, ...], *, mean: bool) -> np.ndarray:
    """Every pixel from the ones that it covers: the first of them, or their mean."""
    shape = tuple(-(-n // by) for n, by in zip(pixels.shape, step, strict=True))
    result = np.zeros(shape)
    for at in product(*map(range, shape)):
        covered = [
            float(pixels[index])
            for index in product(
                *(range(a * by, min(a * by + by, n)) for a, by, n in zip(at, step, pixels.shape, strict=True))
            )
        ]
        result[at] = sum(covered) / len(covered) if mean else covered[0]
    return result
