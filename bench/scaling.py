"""Predict synthetic OME-Zarr images of growing size: peak memory, wall time, time of the network alone.

    python bench/scaling.py memory              # 4k, 16k, 64k pixels square, base width 4: about 40 minutes
    python bench/scaling.py speed               # 16k, base width 16, beside the network's own time
    python bench/scaling.py workers             # one process beside two workers of one thread each

Images and models are made first, in `--folder` (default runs/scaling), and used again by the next call.
Each prediction is `unseam predict` in a process of its own, whose peak memory the system reports.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SHARD, CHUNK = 2048, 512
SPACING = (0.5, 0.5)


def make_image(path: Path, side: int, *, dtype: str = "uint8") -> None:
    """An OME-Zarr of cells, a shard at a time: four synthetic fields, turned and mirrored over the image."""
    from unseam.data.synthetic import synthetic_image
    from unseam.grid import BlockGrid
    from unseam.io.ome_zarr.layout import Layout
    from unseam.io.ome_zarr.write import create, write

    if path.exists():
        return
    fields = [
        synthetic_image(np.random.default_rng(k), shape=(SHARD, SHARD), dtype=dtype).image[0]
        for k in range(4)
    ]
    part = path.with_name(f"{path.name}.making")
    layout = Layout(
        "YX", (side, side), np.dtype(dtype), chunk=(CHUNK, CHUNK), shard=(SHARD, SHARD), spacing=SPACING
    )
    create(part, layout, overwrite=True)
    grid = BlockGrid((side, side), (SHARD, SHARD))
    for number in range(len(grid)):
        region = grid.region(number)
        field = np.rot90(fields[number % 4], number // 4 % 4)
        write(part, region, np.ascontiguousarray(field[tuple(slice(0, b - a) for a, b in region)]))
    part.rename(path)


def make_model(run: Path, width: int, depth: int, iterations: int) -> Path:
    """A model trained on synthetic images for a moment."""
    import unseam
    from unseam.data.synthetic import synthetic_set

    if not (run / "model.safetensors").exists():
        some = synthetic_set(12, shape=(384, 384), seed=1, dtype="uint8")
        unseam.train(
            [s.image for s in some],
            [s.labels for s in some],
            out=run,
            iterations=iterations,
            pixel_size=SPACING[0],
            settings={"network": {"base_width": width, "depth": depth}},
            overwrite=True,
        )
    return run


@dataclass(frozen=True)
class Measured:
    """One prediction: seconds, peak bytes of the process, and of its largest worker."""

    seconds: float
    peak: int


def predict(model: Path, image: Path, out: Path, *options: str) -> Measured:
    """`unseam predict` as a process; its peak resident memory, workers not counted."""
    shutil.rmtree(out.with_name(f"{out.name}.part"), ignore_errors=True)
    command = [sys.executable, "-m", "unseam", "predict", str(model), str(image), "--out", str(out)]
    command += ["--overwrite", *options]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return Measured(seconds, usage.ru_maxrss * 1024)


def network_seconds(run: Path, side: int, tiles: int = 60) -> float:
    """Time that the network alone takes for all tiles of an image: the median tile, times their number."""
    import unseam
    from unseam.io.source import Source
    from unseam.streaming.plan import plan_stream

    model = unseam.load_model(run, device="cpu")
    image = Source(lambda _: np.empty(0), (side, side), 1, np.dtype(np.uint8), spacing=SPACING)
    plan = plan_stream(model, image)
    function = model.tile_function("none")
    tile = np.random.default_rng(0).random((1, *plan.tile_input), np.float32)
    times = []
    for _ in range(tiles):
        started = time.perf_counter()
        function(tile)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * plan.tiles


def row(*cells: object) -> None:
    """A row of a table, at once."""
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def memory(folder: Path, sides: Sequence[int]) -> None:
    """Peak memory of images of growing size."""
    model = make_model(folder / "width4", 4, 2, 300)
    row("image", "pixels", "objects", "wall time", "pixels a second", "peak memory")
    row(*["---"] * 6)
    for side in sides:
        image = folder / f"cells-{side}.zarr"
        make_image(image, side)
        out = folder / f"labels-{side}.zarr"
        done = predict(model, image, out)
        with open(out.with_suffix(".csv"), "rb") as file:
            objects = sum(1 for _ in file) - 1
        speed = side**2 / done.seconds / 1e6
        row(
            f"{side} x {side}",
            f"{side**2 / 1e6:,.0f} million",
            f"{objects:,}",
            f"{done.seconds:,.0f} s",
            f"{speed:.2f} million",
            f"{done.peak / 2**30:.2f} GB",
        )


def speed(folder: Path, sides: Sequence[int]) -> None:
    """Wall time beside the time of the network alone, measured before and after."""
    model = make_model(folder / "width16", 16, 3, 300)
    row("image", "wall time", "network alone, before and after", "ratio", "peak memory")
    row(*["---"] * 5)
    for side in sides:
        image = folder / f"cells-{side}.zarr"
        make_image(image, side)
        before = network_seconds(model, side)
        done = predict(model, image, folder / f"labels-{side}.zarr")
        after = network_seconds(model, side)
        ratio = 2 * done.seconds / (before + after)
        row(
            f"{side} x {side}",
            f"{done.seconds:,.0f} s",
            f"{before:,.0f} s, {after:,.0f} s",
            f"{ratio:.2f}",
            f"{done.peak / 2**30:.2f} GB",
        )


def workers(folder: Path, sides: Sequence[int], repeats: int = 2) -> None:
    """Two workers of one thread beside one process of two threads, by turns."""
    model = make_model(folder / "width16", 16, 3, 300)
    row("image", "one process, 2 threads", "2 workers, 1 thread each", "ratio", "seconds per million pixels")
    row(*["---"] * 5)
    for side in sides:
        image = folder / f"cells-{side}.zarr"
        make_image(image, side)
        alone, shared = [], []
        for _ in range(repeats):
            alone.append(predict(model, image, folder / "one.zarr").seconds)
            shared.append(predict(model, image, folder / "two.zarr", "--cluster", "local:2").seconds)
        one, two = statistics.median(alone), statistics.median(shared)
        row(
            f"{side} x {side}",
            ", ".join(f"{s:.0f} s" for s in alone),
            ", ".join(f"{s:.0f} s" for s in shared),
            f"{one / two:.2f}",
            f"{one / side**2 * 1e6:.2f}, {two / side**2 * 1e6:.2f}",
        )


TABLES = {
    "memory": (memory, (4096, 16384, 65536)),
    "speed": (speed, (16384,)),
    "workers": (workers, (2048, 4096, 8192)),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=sorted(TABLES))
    parser.add_argument("--sides", type=int, nargs="+", help="pixels along each side")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "scaling")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    table, sides = TABLES[options.table]
    table(options.folder, options.sides or sides)


if __name__ == "__main__":
    main()
