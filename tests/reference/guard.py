"""Power in bands of spatial frequency, one frequency and one pixel after the other."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def octave_power(plane: NDArray[Any], octaves: int) -> list[float | None]:
    """Mean power of the frequencies of each band, of a plane less its mean, under a Hann window."""
    rows, columns = plane.shape
    mean = float(plane.mean())
    window = [[hann(y, rows) * hann(x, columns) for x in range(columns)] for y in range(rows)]
    energy = sum(w * w for row in window for w in row)
    powers: list[list[float]] = [[] for _ in range(octaves)]
    for ky in range(rows):
        fy = min(ky, rows - ky) / rows
        for kx in range(columns // 2 + 1):
            frequency = math.sqrt(fy**2 + (kx / columns) ** 2)
            for band in range(octaves):
                if 2 ** -(band + 2) < frequency <= 2 ** -(band + 1):
                    total = 0j
                    for y in range(rows):
                        for x in range(columns):
                            value = (float(plane[y, x]) - mean) * window[y][x]
                            total += value * cmath.exp(-2j * math.pi * (ky * y / rows + kx * x / columns))
                    powers[band].append(abs(total) ** 2 / energy)
    return [float(np.mean(some)) if some else None for some in powers]


def hann(k: int, n: int) -> float:
    """A Hann window of `n` values none of which is 0."""
    return 0.5 - 0.5 * math.cos(2 * math.pi * (k + 1) / (n + 1))
