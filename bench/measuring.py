"""Time the table of objects: sums of one block, rows from sums, both, blocks through a stream, scikit-image.

``python bench/measuring.py`` prints median milliseconds for an image of random ellipses, one 16-bit channel.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import regionprops_table
from weight_map import ellipses

from unseam.grid import BlockGrid, slices
from unseam.measure import ObjectTable, TableStream, finish, measure, sum_block

SPACING = (0.5, 0.5)
ACROSS = 28
"""Pixels of the largest ellipse: as far apart can its parts lie, where another one lies over it."""
PROPERTIES = (
    "label",
    "area",
    "centroid",
    "bbox",
    "equivalent_diameter_area",
    "axis_major_length",
    "axis_minor_length",
    "eccentricity",
    "solidity",
    "intensity_mean",
    "intensity_std",
)


def streamed(labels: NDArray[Any], image: NDArray[Any], block: int) -> list[ObjectTable]:
    """The table by way of blocks."""
    grid = BlockGrid(labels.shape, (block, block))
    with (
        tempfile.TemporaryDirectory() as folder,
        TableStream(grid, int(labels.max()), Path(folder) / "rows", spacing=SPACING, reach=ACROSS) as stream,
    ):
        for number in range(len(grid)):
            region = grid.region(number)
            part, origin = slices(region), [start for start, _ in region]
            stream.add(number, sum_block(labels[part], origin=origin, image=image[part]))
        return list(stream.batches())


def milliseconds(function: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048, help="height and width in pixels (default 2048)")
    parser.add_argument("--cells", type=int, default=5000, help="ellipses drawn (default 5000)")
    parser.add_argument("--block", type=int, default=512, help="blocks of the stream (default 512)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=5, help="runs of unseam, median taken (default 5)")
    options = parser.parse_args()
    drawn = ellipses(options.size, options.cells, options.seed)
    present = np.unique(drawn[drawn > 0])
    labels = np.where(drawn > 0, np.searchsorted(present, drawn) + 1, 0).astype(np.int32)
    image = np.random.default_rng(options.seed).integers(0, 60_000, labels.shape, dtype=np.uint16)
    sums = sum_block(labels, origin=(0, 0), image=image)
    print(f"{options.size}x{options.size} pixels, {len(sums)} objects, median of {options.repeats}")
    acts: dict[str, Callable[[], Any]] = {
        "sum_block": lambda: sum_block(labels, origin=(0, 0), image=image),
        "finish": lambda: finish(sums, shape=labels.shape, spacing=SPACING),
        "measure": lambda: measure(labels, image, spacing=SPACING),
        f"blocks of {options.block}, TableStream": lambda: streamed(labels, image, options.block),
    }
    taken = {name: milliseconds(act, options.repeats) for name, act in acts.items()}
    taken["skimage regionprops_table"] = milliseconds(
        lambda: regionprops_table(labels, image, properties=PROPERTIES), 1
    )
    for name, time_taken in taken.items():
        print(f"{name:30s}{time_taken:10.0f} ms{time_taken / taken['measure']:8.1f} x measure")


if __name__ == "__main__":
    main()
