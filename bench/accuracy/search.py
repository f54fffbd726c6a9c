"""Try a recipe by cross-validation inside the training images; no test image is opened.

python -m bench.accuracy.search NAME DATASET MINUTES [--seed 0] [--set loss.slope=0.3] [--set ...]

The training images of the protocol are halved; each half is learned from and the other one predicted, both
trainings at once, each on a processor of its own with one thread. Scored are the predictions of all training
images together. `runs/search/NAME-DATASET-MINUTES-SEED` keeps models, labels, logs and scores.json.
docs/experiments.md has what came of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from bench.performance.contest import ROOT, THREAD_COUNTS
from numpy.typing import NDArray

from unseam.config import parse_assignment
from unseam.workflow.reproduction.protocols import protocol, rows_of
from unseam.workflow.trial import Row

HALVES = (0, 1)
STACKS = ("isbi2012",)
"""Sets whose images are slices: neighbours are alike and stay together."""


def halves(rows: Sequence[Row], *, is_stack: bool) -> tuple[list[Row], list[Row]]:
    """The training rows in two: a stack where it is cut, single images at random."""
    learned = [row for row in rows if row.split == "train"]
    order = np.arange(len(learned))
    if not is_stack:
        order = np.random.default_rng(0).permutation(len(learned))
    first, second = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    return [learned[i] for i in first], [learned[i] for i in second]


def learn(options: argparse.Namespace, half: int, folder: Path) -> None:
    """Train on one half, predict the other."""
    from unseam.workflow.predicting import predict_files
    from unseam.workflow.training import train
    from unseam.workflow.trial import write_pairs

    parts = halves(rows_of_set(options.dataset, folder), is_stack=options.dataset in STACKS)
    folder.mkdir(parents=True, exist_ok=True)
    write_pairs(folder / "pairs.csv", parts[half])
    write_pairs(folder / "others.csv", parts[1 - half])
    settings: dict[str, dict[str, Any]] = {}
    for section, values in (pair for text in options.set for pair in parse_assignment(text).items()):
        settings.setdefault(section, {}).update(values)
    chosen: dict[str, Any] = {"minutes": options.minutes, "seed": options.seed}
    chosen["ignore"] = protocol(options.dataset).ignore
    model = train(folder / "pairs.csv", out=folder, overwrite=True, settings=settings, **chosen)
    predict_files(model, [folder / "others.csv"], folder / "out", split="train", overwrite=True)


def rows_of_set(dataset: str, work: Path) -> list[Row]:
    """All rows of the first way to split a set."""
    chosen = protocol(dataset)
    data = Path(os.environ.get("UNSEAM_DATA", ROOT.parent / "shared" / "data")) / chosen.folder
    return rows_of(chosen, next(iter(chosen.directions)), data, work / "known")


def scores(dataset: str, out: Path) -> dict[str, Any]:
    """Of the predictions of both halves together, and which share of each quarter by size is found."""
    from unseam.data.labels import decode, recognise_coding
    from unseam.io.images import read_labels, stem
    from unseam.metrics.scores import pool, score

    rows = [row for row in rows_of_set(dataset, out) if row.split == "train"]
    raw, ignore = [read_labels(row.labels).data[0] for row in rows], protocol(dataset).ignore
    coding = recognise_coding(raw, task="instances", ignore=ignore)
    counted, areas, found = [], [], []
    for row, written in zip(rows, raw, strict=True):
        truth = decode(written, coding, ignore)
        paths = [out / str(half) / "out" / f"{stem(row.image)}.tif" for half in HALVES]
        labels = next(read_labels(path).data[0].astype(np.int32) for path in paths if path.exists())
        counted.append(score(truth, labels))
        area, iou = best_overlaps(np.maximum(truth, 0), labels)
        areas.append(area)
        found.append(iou >= 0.5)
    by_size = np.concatenate(found)[np.argsort(np.concatenate(areas), kind="stable")]
    one = pool(counted)
    names = ("ap50", "ap75", "ap", "seg", "dice", "merges", "splits")
    return {
        **{name: getattr(one.counted, name) for name in names},
        "v_rand": one.partition.v_rand,
        "found_by_size": [float(part.mean()) for part in np.array_split(by_size, 4)],
    }


def best_overlaps(
    truth: NDArray[np.int32], labels: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Area and largest IoU of each true object."""
    shape = int(truth.max()) + 1, int(labels.max()) + 1
    numbers = truth.ravel().astype(np.int64) * shape[1] + labels.ravel()
    both = np.bincount(numbers, minlength=shape[0] * shape[1]).reshape(shape)
    area, other = both.sum(1)[1:], both.sum(0)[1:]
    iou = both[1:, 1:] / np.maximum(area[:, None] + other - both[1:, 1:], 1)
    return area[area > 0], iou.max(1, initial=0.0)[area > 0]


def main() -> int:
    """Both halves at once, then the scores."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.accuracy.search",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", help="of the folder")
    parser.add_argument("dataset", choices=("nuclei", "isbi2012"))
    parser.add_argument("minutes", type=float, help="of each of the two trainings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--half", type=int, choices=HALVES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    name = f"{options.name}-{options.dataset}-{options.minutes:g}-{options.seed}"
    out = ROOT / "runs" / "search" / name
    if options.half is not None:
        learn(options, options.half, out / str(options.half))
        return 0
    out.mkdir(parents=True, exist_ok=True)
    running = [_start(half, out / f"log{half}.txt") for half in HALVES]
    ends = [one.wait() for one in running]
    if any(ends):
        print(f"a training failed; see {out}/log0.txt and log1.txt", file=sys.stderr)
        return 1
    about = {"set": options.set, "minutes": options.minutes, "seed": options.seed}
    result = {**about, **scores(options.dataset, out)}
    (out / "scores.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result))
    return 0


def _start(half: int, log: Path) -> subprocess.Popen[bytes]:
    """A half in a process of its own, on a processor of its own."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = {**os.environ, **dict.fromkeys(THREAD_COUNTS, "1"), "PYTHONPATH": paths}
    command = [sys.executable, "-m", "bench.accuracy.search", *sys.argv[1:], "--half", str(half)]
    with open(log, "wb") as file:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=ROOT,
            stdout=file,
            stderr=file,
            preexec_fn=partial(_keep_to_one, half),
        )


def _keep_to_one(number: int) -> None:
    """Bind this process to a processor of its own, where there are two."""
    if hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, processors[number : number + 1] or processors)


if __name__ == "__main__":
    sys.exit(main())
