"""Loop-only oracles for `unseam.measure`: one object at a time, from the definitions alone."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Point = tuple[int, ...]


def pixels_of(labels: NDArray[Any], number: int) -> list[Point]:
    return [pixel for pixel in np.ndindex(labels.shape) if labels[pixel] == number]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def axis_lengths(pixels: list[Point], spacing: tuple[float, ...]) -> list[float]:
    """Return the axes of the ellipsoid of equal moments, longest first."""
    ndim = len(spacing)
    points = [[p * step for p, step in zip(pixel, spacing, strict=True)] for pixel in pixels]
    centre = [mean([point[i] for point in points]) for i in range(ndim)]
    covariance = [
        [mean([(p[i] - centre[i]) * (p[j] - centre[j]) for p in points]) for j in range(ndim)]
        for i in range(ndim)
    ]
    values = np.linalg.svd(np.array(covariance), compute_uv=False)  # equal to the eigenvalues here
    return [2 * sqrt((ndim + 2) * value) for value in values]


def convex_area(pixels: list[Point]) -> int:
    """Count pixel centres that no line through two edge midpoints separates from all the others."""
    midpoints = sorted(
        {(2 * y + dy, 2 * x + dx) for y, x in pixels for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1))}
    )  # doubled, so that they are whole
    edges = [
        (a, b) for a in midpoints for b in midpoints if a != b and all(side(a, b, p) >= 0 for p in midpoints)
    ]
    ys, xs = [y for y, _ in pixels], [x for _, x in pixels]
    return sum(
        all(side(a, b, (2 * y, 2 * x)) >= 0 for a, b in edges)
        for y in range(min(ys), max(ys) + 1)
        for x in range(min(xs), max(xs) + 1)
    )


def side(a: Point, b: Point, p: Point) -> int:
    """Return on which side of the line from a to b the point p lies: positive, negative, or 0 on it."""
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


def majority(votes: list[int]) -> int:
    voting = [vote for vote in votes if vote > 0]
    return max(sorted(set(voting)), key=voting.count, default=0)


def moments(pixels: list[Point]) -> tuple[list[int], list[int]]:
    """Sums of coordinates and of products of two (i <= j), counted from the least of each coordinate."""
    axes = range(len(pixels[0]))
    least = [min(pixel[i] for pixel in pixels) for i in axes]
    points = [[pixel[i] - least[i] for i in axes] for pixel in pixels]
    first = [sum(p[i] for p in points) for i in axes]
    return first, [sum(p[i] * p[j] for p in points) for i in axes for j in axes if i <= j]


def row_extents(pixels: list[Point]) -> list[tuple[int, int, int]]:
    """For each row that a 2-D object has pixels in: y, and x of the first and of the last."""
    return [
        (y, min(x for v, x in pixels if v == y), max(x for v, x in pixels if v == y))
        for y in sorted({y for y, _ in pixels})
    ]
