"""Time the border weight map beside one distance transform of the whole image per cell.

``python bench/weight_map.py`` prints the median time of each, their ratio, and the largest difference.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unseam.data.weight_map import border_weight_map


def ellipses(size: int, cells: int, seed: int) -> NDArray[np.int32]:
    """Return labels of random ellipses, 16 to 28 pixels across; a later one yields to earlier ones."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size), np.int32)
    for number in range(1, cells + 1):
        centre, radii = rng.uniform(0, size, 2), rng.uniform(8, 14, 2)
        angle = rng.uniform(0, np.pi)
        top, left = (max(int(c) - 15, 0) for c in centre)
        part = labels[top : int(centre[0]) + 16, left : int(centre[1]) + 16]
        y, x = np.indices(part.shape) + np.array([top, left])[:, None, None] - centre[:, None, None]
        along = (y * np.cos(angle) + x * np.sin(angle)) / radii[0]
        across = (x * np.cos(angle) - y * np.sin(angle)) / radii[1]
        part[(along**2 + across**2 <= 1) & (part == 0)] = number
    return labels


def one_transform_per_cell(labels: NDArray[np.int32], w0: float = 10.0, sigma: float = 5.0) -> NDArray[Any]:
    """Return the border term straight from its definition."""
    d1 = np.full(labels.shape, np.inf)
    d2 = d1.copy()
    for number in np.unique(labels[labels > 0]):
        d = ndimage.distance_transform_edt(labels != number)
        d2 = np.minimum(d2, np.maximum(d1, d))
        d1 = np.minimum(d1, d)
    return np.where(labels == 0, w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2)), 0)


def timed(function: Callable[..., Any], labels: NDArray[np.int32], repeats: int) -> tuple[float, Any]:
    """Return the median time in seconds, and the result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function(labels)
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="height and width in pixels (default 1024)")
    parser.add_argument("--cells", type=int, default=500, help="ellipses drawn (default 500)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--repeats", type=int, default=3, help="runs of which the median is taken (default 3)"
    )
    options = parser.parse_args()
    labels = ellipses(options.size, options.cells, options.seed)
    count = len(np.unique(labels[labels > 0]))
    print(f"{options.size}x{options.size} pixels, {count} cells, median of {options.repeats}")
    slow, expected = timed(one_transform_per_cell, labels, options.repeats)
    print(f"one transform of the image per cell  {slow:8.3f} s")
    fast, weights = timed(border_weight_map, labels, options.repeats)
    print(f"unseam border_weight_map             {fast:8.3f} s")
    print(f"ratio                                {slow / fast:8.0f}")
    print(f"largest absolute difference          {np.abs(weights - expected).max():8.1e}")


if __name__ == "__main__":
    main()
