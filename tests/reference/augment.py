"""Sampling, interpolation and coordinates, pixel after pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def mirrored(position: float, size: int) -> float:
    """Fold a position back into an axis of `size` pixels; the outermost pixels are the mirrors."""
    if size == 1:
        return 0.0
    while not 0 <= position <= size - 1:
        position = -position if position < 0 else 2 * (size - 1) - position
    return position


def sample(volume: Floats, positions: Floats, mode: str) -> Floats:
    """Values of `volume`, (C, *spatial), at `positions`, (*shape, N)."""
    result = np.zeros((len(volume), *positions.shape[:-1]))
    for channel, plane in enumerate(volume):
        for pixel in np.ndindex(positions.shape[:-1]):
            folded = [mirrored(float(p), size) for p, size in zip(positions[pixel], plane.shape, strict=True)]
            if mode == "nearest":
                result[(channel, *pixel)] = plane[tuple(round(p) for p in folded)]
                continue
            for corner in product((0, 1), repeat=plane.ndim):
                weight, index = 1.0, []
                for p, up, size in zip(folded, corner, plane.shape, strict=True):
                    fraction = p - math.floor(p)
                    weight *= fraction if up else 1 - fraction
                    index.append(min(math.floor(p) + up, size - 1))
                result[(channel, *pixel)] += weight * plane[tuple(index)]
    return result


def keys(t: float) -> float:
    """Keys' kernel with a = -1/2: R. Keys, 1981, equation 15."""
    t = abs(t)
    if t < 1:
        return 3 / 2 * t**3 - 5 / 2 * t**2 + 1
    if t < 2:
        return -1 / 2 * t**3 + 5 / 2 * t**2 - 4 * t + 2
    return 0.0


def cubic(coarse: Floats, shape: Sequence[int]) -> Floats:
    """Cubic interpolation of one grid to `shape`, one sum over all grid points and flat continuations."""
    result = np.zeros(shape)
    for pixel in np.ndindex(*shape):
        places = [
            i * (points - 1) / (size - 1) for i, size, points in zip(pixel, shape, coarse.shape, strict=True)
        ]
        for index in product(*(range(-2, points + 2) for points in coarse.shape)):
            weight = math.prod(keys(place - i) for place, i in zip(places, index, strict=True))
            nearest = tuple(min(max(i, 0), p - 1) for i, p in zip(index, coarse.shape, strict=True))
            result[pixel] += weight * coarse[nearest]
    return result


def coordinates(
    matrix: Floats, centre: Sequence[float], shape: Sequence[int], shift: Callable[..., Sequence[float]]
) -> Floats:
    """Where each pixel of a patch lies in the image: centre + matrix (pixel - middle) + shift."""
    dims = len(shape)
    result = np.zeros((*shape, dims))
    for pixel in np.ndindex(*shape):
        offset = [i - (size - 1) / 2 for i, size in zip(pixel, shape, strict=True)]
        moved = shift(pixel)
        for a in range(dims):
            turned = sum(float(matrix[a, b]) * offset[b] for b in range(dims))
            result[(*pixel, a)] = centre[a] + turned + moved[a]
    return result
