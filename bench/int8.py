"""What int8 costs and gains: labels against those of float32 and the truth, and the time of a tile.

    unseam calibrate nuclei runs/calibration --out runs/nuclei8.safetensors
    python bench/int8.py runs/nuclei8.safetensors --pairs runs/dsb2018.csv --split test --out runs/int8.md

Each precision is given the zoom that float32 finds. A tile of 512 pixels and its halo is computed by each way
in turn; eager PyTorch in float32, channels last, is the measure. Seconds are those of the processor, whose
ratios hold on a busy machine too, with OMP_NUM_THREADS=1; `--wall` counts those of the clock.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam import load_model
from unseam.engines.agreement import Agreement
from unseam.io.images import read_image, read_labels
from unseam.metrics.scores import ImageScores, pool, score
from unseam.prediction import Model
from unseam.workflow.loading import pair_files

Labels = NDArray[np.int32]
PRECISIONS = ("float32", "bfloat16", "int8")
WAYS = (("torch", "float32"), ("torch", "bfloat16"), *(("openvino", name) for name in PRECISIONS))


def loaded(model: str, engine: str, precision: str) -> Model:
    """A model, run by one engine and no other, agreement or not."""
    of = load_model(model, device="cpu", engine=engine, precision=precision)
    assert of.own.precision == precision, of.notes
    return replace(of, agreement=Agreement(0, 0, 0, precision))


def cost(model: str, pairs: Path, split: str) -> list[str]:
    """A row for each precision: its labels against those of float32, and against the truth."""
    models = {name: loaded(model, "openvino", name) for name in PRECISIONS}
    near: dict[str, list[ImageScores]] = {name: [] for name in PRECISIONS}
    true: dict[str, list[ImageScores]] = {name: [] for name in PRECISIONS}
    for pair in pair_files(pairs, None, split).pairs:
        image, truth = read_image(pair.image).data, read_labels(pair.labels).data[0].astype(np.int32)
        exact = models["float32"].predict(image)
        for name, of in models.items():
            found = exact if name == "float32" else of.predict(image, zoom=exact.zoom or 1.0)
            near[name].append(score(exact.labels, found.labels))
            true[name].append(score(truth, found.labels))
    lines = [
        "| OpenVINO | Dice to float32 | the worst image | pixels that differ | AP50 to float32 "
        "| Dice to the truth | AP50 to the truth |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in PRECISIONS:
        one, other = pool(near[name]).counted, pool(true[name]).counted
        worst = min(scores.counted.dice for scores in near[name])
        lines.append(
            f"| {name} | {one.dice:.4f} | {worst:.4f} | {one.pixel_error:.3%} | {one.ap50:.4f} "
            f"| {other.dice:.4f} | {other.ap50:.4f} |"
        )
    return lines


def speed(model: str, size: int, rounds: int, clock: Callable[[], float]) -> list[str]:
    """A row for each way: how often it does a tile while eager PyTorch does one, and its seconds."""
    networks = {way: loaded(model, *way).own for way in WAYS}
    geometry = networks[WAYS[0]].geometry
    shape = geometry.input_for([size] * len(geometry.axes))
    channels = networks[WAYS[0]].in_channels
    tile = np.random.default_rng(0).normal(0.3, 0.6, (channels, *shape)).astype(np.float32)
    seconds: dict[Any, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds + 1):
        for way, network in networks.items():
            began = clock()
            network.probabilities(tile)
            seconds[way].append(clock() - began)
    middle = {way: median(times[1:]) for way, times in seconds.items()}  # the first compiles
    lines = [f"| a tile of {' x '.join(map(str, shape))} | times eager float32 | seconds |", "|---|---|---|"]
    for way, times in seconds.items():
        spread = f"{middle[way]:.3g} ({min(times[1:]):.3g} to {max(times[1:]):.3g})"
        lines.append(f"| {' '.join(way)} | {middle[WAYS[0]] / middle[way]:.1f} | {spread} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Print, and write, the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="one that `unseam calibrate` wrote")
    parser.add_argument(
        "--pairs", type=Path, metavar="PAIRS.csv", help="images and truths, for what it costs"
    )
    parser.add_argument("--split", default="test")
    parser.add_argument("--size", type=int, default=512, help="output of the tile (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--wall", action="store_true")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.md")
    options = parser.parse_args(arguments)
    clock = time.perf_counter if options.wall else time.process_time
    lines = speed(options.model, options.size, options.rounds, clock)
    if options.pairs:
        lines += ["", *cost(options.model, options.pairs, options.split)]
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
