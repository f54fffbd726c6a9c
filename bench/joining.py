"""Time and memory of segmenting an image block by block, beside the whole image at once.

``python bench/joining.py`` makes 10,000 x 10,000 pixels with about 100,000 cells, as files of 2048 x 2048,
and segments them on one thread with the functions of `unseam.instances.blocks`; every block and record comes
from a file and goes to one. It prints the seconds of each pass and the peak of memory above that of imported
Python. Then it segments the whole in memory and says whether all numbers are equal, and whether the cores
are as many as those that SciPy finds.
"""

from __future__ import annotations

import argparse
import functools
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unseam.grid import BlockGrid, Region, slices
from unseam.instances import blocks, segment

CELL = 40, 25  # one cell in each such rectangle
CORE, LOW, GROW, MIN_SIZE = 0.7, 0.5, 2, 30
LEVELS = 255  # probabilities are kept as bytes
Record = TypeVar("Record", blocks.CoreSummary, blocks.ObjectSummary, blocks.HoleSummary, blocks.BlockTable)


def cells(region: Region, seed: int) -> NDArray[np.uint8]:
    """Return the probabilities, 0 to 255, of a part of the image: ovals of many sizes, one in four hollow."""
    y, x = (np.arange(start, stop) for start, stop in region)
    rows, columns = (np.arange(0, line[-1] // step + 1) for line, step in zip((y, x), CELL, strict=True))
    middle_y, middle_x, radius, hollow = np.random.default_rng(seed).random((4, 400, 400))
    cell = np.ix_(y // CELL[0], x // CELL[1])
    away_y = (y % CELL[0])[:, None] / CELL[0] - (0.4 + 0.2 * middle_y[: len(rows), : len(columns)][cell])
    away_x = (x % CELL[1])[None] / CELL[1] - (0.4 + 0.2 * middle_x[: len(rows), : len(columns)][cell])
    distance = np.hypot(away_y, away_x)
    level = np.minimum(0.35 + 0.15 * radius[cell] - distance, distance - 0.4 * (hollow[cell] - 0.75))
    return np.clip((level * 4 + 0.5) * LEVELS, 0, LEVELS).astype(np.uint8)


class Store:
    """Blocks and records as files in a folder."""

    def __init__(self, folder: Path, grid: BlockGrid) -> None:
        self.folder, self.grid = folder, grid

    def write(self, name: str, number: int, block: NDArray[Any]) -> None:
        np.save(self.folder / f"{name}.{number}.npy", block)

    def read(self, name: str, number: int, *, margin: int = 0, table: blocks.BlockTable | None = None) -> Any:
        """Return a block with its margin, pieced together; `table` gives each piece its numbers first."""
        outer = self.grid.region(number, margin=margin)
        result = np.empty([b - a for a, b in outer], np.int32)
        for other in self.grid.overlapping(outer):
            region = self.grid.region(other)
            pairs = zip(outer, region, strict=True)
            part = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in pairs)
            stored = np.load(self.folder / f"{name}.{other}.npy", mmap_mode="r")
            piece = stored[slices(part, origin=[start for start, _ in region])]
            if table is not None:
                piece = blocks.apply_numbers(piece, table.part(other))
            result[slices(part, origin=[start for start, _ in outer])] = piece
        return result

    def write_record(self, name: str, number: int, record: Any) -> None:
        np.savez(self.folder / f"{name}.{number}.npz", **blocks.to_arrays(record))

    def records(self, name: str, kind: type[Record]) -> Callable[[int], Record]:
        @functools.lru_cache(maxsize=4)
        def record_of(number: int) -> Record:
            with np.load(self.folder / f"{name}.{number}.npz") as file:
                return blocks.from_arrays(kind, file)

        return record_of


@contextmanager
def timed(name: str, seconds: dict[str, float]) -> Iterator[None]:
    start = time.perf_counter(), time.process_time()
    yield
    seconds[name] = time.perf_counter() - start[0]
    print(f"{name:<22}{seconds[name]:8.2f} s, processor {time.process_time() - start[1]:6.2f} s")


def segment_files(store: Store, seconds: dict[str, float]) -> int:
    """Run the four passes and the three joins; return how many cores there are."""
    grid = store.grid
    regions = [grid.region(number) for number in range(len(grid))]
    with timed("1 find_cores", seconds):
        for b, region in enumerate(regions):
            level = np.load(store.folder / f"level.{b}.npy")
            found = blocks.find_cores(level > CORE * LEVELS, level > LOW * LEVELS, region, grid.shape)
            store.write("cores", b, found[0])
            store.write_record("cores", b, found[1])
    with timed("  join_cores", seconds):
        table = blocks.join_cores(grid, store.records("cores", blocks.CoreSummary))
    with timed("2 grow_block", seconds):
        for b, region in enumerate(regions):
            cores = store.read("cores", b, margin=GROW, table=table)
            grown = blocks.grow_block(cores, GROW, region, grid.shape)
            store.write("grown", b, grown[0])
            store.write_record("grown", b, grown[1])
    with timed("  join_objects", seconds):
        objects = store.records("grown", blocks.ObjectSummary)
        final = blocks.join_objects(grid, objects, table.largest, MIN_SIZE)
    with timed("3 find_holes", seconds):
        for b, region in enumerate(regions):
            labels = blocks.apply_numbers(store.read("grown", b, margin=1), final[1:])
            store.write_record("holes", b, blocks.find_holes(labels, region, grid.shape))
    with timed("  join_holes", seconds):
        owners = blocks.join_holes(grid, store.records("holes", blocks.HoleSummary))
    with timed("4 fill_block", seconds):
        for b, region in enumerate(regions):
            labels = blocks.apply_numbers(store.read("grown", b, margin=1), final[1:])
            store.write("final", b, blocks.fill_block(labels, owners.part(b), region, grid.shape))
    return table.largest


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=10_000, help="height and width in pixels (default 10000)")
    parser.add_argument("--block", type=int, default=2048, help="height and width of a block (default 2048)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-check", action="store_true", help="do not segment the whole (about 4 GB)")
    options = parser.parse_args()
    grid = BlockGrid((options.size,) * 2, (options.block,) * 2)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), grid)
        base = peak_megabytes()
        for b in range(len(grid)):
            make_block(store, b, options.seed)
        made = peak_megabytes()
        seconds: dict[str, float] = {}
        cores = segment_files(store, seconds)
        peak = peak_megabytes()
        print(f"{'total':<22}{sum(seconds.values()):8.2f} s")
        print(
            f"peak memory           {peak - base:8.0f} MB above the {base:.0f} MB of Python and its imports"
        )
        print(f"  (making the image took {made - base:.0f} MB)")
        if not options.no_check:
            check(store, cores)


def make_block(store: Store, number: int, seed: int) -> None:
    """Write the probabilities of one block, 256 rows at a time to need little memory."""
    (top, bottom), columns = store.grid.region(number)
    strips = [cells(((y, min(y + 256, bottom)), columns), seed) for y in range(top, bottom, 256)]
    store.write("level", number, np.concatenate(strips))


def check(store: Store, cores: int) -> None:
    """Compare with the whole image in memory, number for number."""
    grid = store.grid
    level = np.empty(grid.shape, np.float32)
    labels = np.empty(grid.shape, np.int32)
    for b in range(len(grid)):
        level[slices(grid.region(b))] = np.load(store.folder / f"level.{b}.npy")
        labels[slices(grid.region(b))] = store.read("final", b)
    level /= LEVELS
    print(f"{labels.max()} objects, {cores} cores; SciPy finds {ndimage.label(level > CORE)[1]} cores")
    with timed("whole image", {}):
        how: dict[str, Any] = {"threshold": CORE, "low_threshold": LOW, "grow_pixels": GROW}
        whole = segment(level, min_size=MIN_SIZE, **how)
    unfilled = segment(level, min_size=MIN_SIZE, holes=False, **how)
    print(f"{np.count_nonzero(whole) - np.count_nonzero(unfilled)} pixels lie in holes")
    print(f"pixels whose number differs: {np.count_nonzero(labels != whole)}")
    if not np.array_equal(labels, whole):
        raise SystemExit("blocks and whole differ")


if __name__ == "__main__":
    main()
