"""Time outlines of labels and the files that hold them, on random ellipses.

``python bench/outlines.py`` prints seconds of one core, the least of some runs, as other work on the machine
counts in the time on the wall.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from weight_map import ellipses

from unseam.io.annotations.geojson import read_geojson, write_geojson
from unseam.io.annotations.imagej import read_rois, write_rois
from unseam.io.annotations.outlines import outlines
from unseam.io.annotations.rasterise import rasterise


def seconds(function: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096, help="height and width in pixels (default 4096)")
    parser.add_argument("--cells", type=int, default=10_000, help="ellipses drawn (default 10000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--repeats", type=int, default=3, help="runs, of which the least is taken (default 3)"
    )
    options = parser.parse_args()
    labels = ellipses(options.size, options.cells, options.seed).astype(np.int32)
    shapes = outlines(labels)
    corners = sum(len(ring) for one in shapes for ring in one.rings)
    print(f"{options.size}x{options.size} pixels, {len(shapes)} objects, {corners} corners")
    with tempfile.TemporaryDirectory() as folder:
        geojson, rois = Path(folder) / "cells.geojson", Path(folder) / "cells.zip"
        acts: dict[str, Callable[[], Any]] = {
            "outlines": lambda: outlines(labels),
            "write_geojson": lambda: write_geojson(geojson, shapes, overwrite=True),
            "write_rois": lambda: write_rois(rois, shapes, overwrite=True),
            "read_geojson": lambda: read_geojson(geojson),
            "read_rois": lambda: read_rois(rois),
            "rasterise": lambda: rasterise(shapes, labels.shape),
        }
        for name, act in acts.items():
            print(f"{name:16s}{seconds(act, options.repeats):8.2f} s")
        for read in (read_geojson(geojson), read_rois(rois)):
            assert np.array_equal(rasterise(read.shapes, labels.shape), labels)


if __name__ == "__main__":
    main()
