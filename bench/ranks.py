"""Time one process with N threads beside N ranks with one thread each, on the same patches.

``python bench/ranks.py`` prints the patches learned per second of each, alternately run, the medians and
their ratio. The first ten steps, loading and validation are left out. Threads that wait for each other suffer
most from other work on the machine, so it should have none.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from unseam.data.synthetic import synthetic_set
from unseam.io.images import write_tiff
from unseam.workflow.run import read_history

WARM_UP = 10
"""Steps left out at the start; also the distance of the rows of a history."""


def write_set(folder: Path, size: int) -> None:
    """Write four images and their labels, one of which will be held out."""
    for s in synthetic_set(4, shape=(size, size), seed=1):
        write_tiff(folder / "images" / f"{s.stem}.tif", s.image[0], axes="YX", spacing=s.spacing)
        write_tiff(folder / "labels" / f"{s.stem}.tif", s.labels, axes="YX", spacing=s.spacing)


def patches_per_second(folder: Path, options: argparse.Namespace, *, ranks: int) -> float:
    """Train once on `ranks` ranks, with one thread each or with all of them, and return the speed."""
    run, batch = folder / "run", options.batch // ranks
    settings = {
        "network.base_width": options.width,
        "network.depth": options.depth,
        "train.patch": [options.patch, options.patch],
        "train.batch": batch,
        "train.validations": 1,
        "train.checkpoint_seconds": 1e6,
    }
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    subprocess.run(
        [
            *(sys.executable, *(torchrun if ranks > 1 else []), "-m", "unseam", "train"),
            *(str(folder / "images"), str(folder / "labels"), f"--out={run}", "--overwrite"),
            *(f"--iterations={options.iterations}", f"--precision={options.precision}", "--device=cpu"),
            *(f"--set={name}={value}" for name, value in settings.items()),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": str(options.ranks // ranks)},
    )
    rows = [row for row in read_history(run / "history.csv") if row["iteration"] % WARM_UP == 0]
    first, last = rows[0], rows[-1]
    steps, seconds = last["iteration"] - first["iteration"], last["seconds"] - first["seconds"]
    return steps * batch * ranks / seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=2, help="ranks, and threads of the one process")
    parser.add_argument("--iterations", type=int, default=60, help="steps of a run, in tens (default 60)")
    parser.add_argument("--batch", type=int, default=4, help="patches a step, of all ranks (default 4)")
    parser.add_argument("--patch", type=int, default=252, help="pixels per axis (default 252)")
    parser.add_argument("--width", type=int, default=16, help="channels at the first level (default 16)")
    parser.add_argument("--depth", type=int, default=3, help="poolings (default 3)")
    parser.add_argument("--size", type=int, default=512, help="pixels per axis of an image (default 512)")
    parser.add_argument("--precision", default="float32", help="float32 or bfloat16 (default float32)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default 3)")
    options = parser.parse_args()
    if options.ranks < 2 or options.batch % options.ranks or options.iterations < 2 * WARM_UP:
        parser.error("ranks must be at least 2 and divide the batch, and iterations at least 20")
    kinds = {f"1 process, {options.ranks} threads": 1, f"{options.ranks} ranks, 1 thread": options.ranks}
    found: dict[str, list[float]] = {name: [] for name in kinds}
    with tempfile.TemporaryDirectory() as temporary:
        write_set(Path(temporary), options.size)
        for _ in range(options.repeats):
            for name, ranks in kinds.items():
                found[name].append(patches_per_second(Path(temporary), options, ranks=ranks))
    print(
        f"{options.batch} patches of {options.patch} px a step, width {options.width}, depth {options.depth}"
    )
    print("\n| patches per second | runs | median |\n|---|---|---|")
    for name, speeds in found.items():
        runs = ", ".join(f"{speed:.2f}" for speed in speeds)
        print(f"| {name} | {runs} | {statistics.median(speeds):.2f} |")
    one, many = (statistics.median(speeds) for speeds in found.values())
    print(f"\nratio {many / one:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
