"""How well nuclei of any size are found: as the image is, told their diameter, and finding it.

    python bench/diameter.py nuclei --pairs runs/dsb2018.csv --split train --out runs/diameter.md

Real images are resized, so that the median diameter of their nuclei is 8 to 80 pixels; the truth is resized
with them. ap50 is pooled over the images of a range of diameters. What is found is weighted by area, so it is
above the median where nuclei differ in size.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import unseam
from unseam.fingerprint import equivalent_diameter
from unseam.io.images import read_image, read_labels
from unseam.prediction import Model
from unseam.workflow.evaluation import evaluate
from unseam.workflow.loading import pair_files

SCALES = (0.35, 0.5, 0.71, 1.0, 1.41, 2.0, 2.83, 4.0)
EDGES = (8, 12, 17, 24, 34, 48, 64, 80)
"""Of the ranges of diameters, pixels."""
LARGEST = 2_500_000
"""Pixels of a resized image; larger ones are left out."""
WAYS = ("as it is", "told", "auto")


@dataclass(frozen=True, eq=False)
class Case:
    """An image at a scale, its truth, and the median diameter of its objects."""

    stem: str
    image: Any
    true: Any
    diameter: float


def cases_of(pairs: Path, split: str, every: int) -> Iterator[Case]:
    """The images of a split at all scales that bring their nuclei into the range."""
    for pair in pair_files(pairs, None, split).pairs[::every]:
        image, true = read_image(pair.image).data[0], read_labels(pair.labels).data[0].astype(np.int32)
        for scale in SCALES:
            size = tuple(round(n * scale) for n in true.shape)
            larger = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))
            truth = np.asarray(Image.fromarray(true).resize(size[::-1], Image.Resampling.NEAREST))
            sizes = np.bincount(truth.ravel())[1:]
            diameter = float(np.median(equivalent_diameter(sizes[sizes > 0], 2)))
            if EDGES[0] <= diameter < EDGES[-1] and truth.size <= LARGEST:
                yield Case(f"{pair.stem} x {scale}", larger, truth, diameter)


def predict(model: Model, case: Case) -> dict[str, Any]:
    """The labels in each way, and the diameter found."""
    found = model.predict(case.image, diameter="auto")
    return {
        "as it is": model.predict(case.image, rescale=False).labels,
        "told": model.predict(case.image, diameter=case.diameter).labels,
        "auto": found.labels,
        "diameter": found.diameter or 0.0,
        "zoom": found.zoom,
    }


def table(cases: list[Case], results: list[dict[str, Any]]) -> list[str]:
    """A row for each range of diameters, and one for all."""
    lines = [
        "| median diameter, px | images | as it is | told (`--diameter PX`) | found (`--diameter auto`) "
        "| found within 30 % |",
        "|---|---|---|---|---|---|",
    ]
    ranges = [*pairwise(EDGES), (EDGES[0], EDGES[-1])]
    for low, high in ranges:
        chosen = [(c, r) for c, r in zip(cases, results, strict=True) if low <= c.diameter < high]
        if not chosen:
            continue
        true = [case.true for case, _ in chosen]
        ap50 = [evaluate(true, [r[way] for _, r in chosen], task="instances").ap50 for way in WAYS]
        near = sum(abs(np.log(max(r["diameter"], 1e-3) / c.diameter)) < np.log(1.3) for c, r in chosen)
        shown = " | ".join(f"{value:.3f}" for value in ap50)
        lines.append(f"| {low} to {high} | {len(chosen)} | {shown} | {near} |")
    return lines


def main() -> None:
    """Print, and write, the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--pairs", type=Path, required=True, metavar="PAIRS.csv")
    parser.add_argument("--split", default="train")
    parser.add_argument("--every", type=int, default=3, help="take every nth image (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.md")
    options = parser.parse_args()
    model = unseam.load_model(options.model)
    cases, results, started = [], [], time.monotonic()
    for case in cases_of(options.pairs, options.split, options.every):
        results.append(predict(model, case))
        cases.append(case)
        found = results[-1]
        print(
            f"{time.monotonic() - started:5.0f} s  {case.stem}: {case.diameter:.1f} px, found "
            f"{found['diameter']:.1f}, zoom {found['zoom']:.2f}",
            flush=True,
        )
    lines = table(cases, results)
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
