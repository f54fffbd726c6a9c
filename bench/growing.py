"""Time `instances.grow` beside the same rule written with passes over the whole image.

``python bench/growing.py`` prints the least processor time of each, their ratio, and how many pixels differ.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from weight_map import ellipses

from unseam.instances import grow


def grow_by_passes(labels: NDArray[np.int32], pixels: int, within: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the smallest number among the face neighbours for each free pixel, all pixels at each step."""
    labels, nobody = labels.copy(), np.iinfo(np.int32).max
    for _ in range(pixels):
        source = np.where(labels > 0, labels, nobody)
        nearest = np.full_like(labels, nobody)
        for axis in range(labels.ndim):
            onto, origin = np.moveaxis(nearest, axis, 0), np.moveaxis(source, axis, 0)
            np.minimum(onto[1:], origin[:-1], out=onto[1:])
            np.minimum(onto[:-1], origin[1:], out=onto[:-1])
        free = (labels == 0) & (nearest < nobody) & within
        labels[free] = nearest[free]
    return labels


def timed(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the shortest processor time in seconds, and the result."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        times.append(time.process_time() - start)
    return min(times), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048, help="height and width in pixels (default 2048)")
    parser.add_argument("--cells", type=int, default=4000, help="ellipses drawn (default 4000)")
    parser.add_argument("--repeats", type=int, default=7, help="runs of each (default 7)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    labels = ellipses(options.size, options.cells, options.seed)
    everywhere = np.ones(labels.shape, bool)
    ring = grow(labels, 2) > 0
    print(f"{options.size}x{options.size} pixels, {options.cells} cells, best of {options.repeats}")
    for name, within in (("a ring of 2 pixels", ring), ("everywhere", everywhere)):
        for pixels in (1, 2, 5):
            slow, expected = timed(lambda p=pixels, w=within: grow_by_passes(labels, p, w), options.repeats)
            fast, grown = timed(lambda p=pixels, w=within: grow(labels, p, within=w), options.repeats)
            print(
                f"{pixels} pixels, {name:<20} by passes {slow * 1e3:6.0f} ms, grow {fast * 1e3:6.0f} ms, "
                f"ratio {slow / fast:4.1f}, {np.count_nonzero(grown != expected)} pixels differ"
            )


if __name__ == "__main__":
    main()
