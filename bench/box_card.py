"""The card of the model that comes with the package, from what bench/box_model.sh measured.

    python bench/box_card.py SPLIT_RUN FILE.safetensors PAIRS.csv

SPLIT_RUN holds what was predicted of the test images (test/) and measured of it (scores.json, as-is.json,
half.json, diameter.md). Written are docs/models/nuclei.md with its picture, and the short card beside FILE.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unseam.draw import display, outlines
from unseam.fingerprint import equivalent_diameter
from unseam.io.images import read_image, read_labels
from unseam.metrics.matching import object_outcomes
from unseam.model.header import ModelHeader, read_header
from unseam.workflow.evaluation import Evaluation, evaluate
from unseam.workflow.loading import pair_files

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs/models"
WORST, SIDE = 5, 400
DIM, BRIGHT = 25, 50
"""Grey values."""


@dataclass(frozen=True, eq=False)
class Case:
    """A test image with its true and its predicted labels."""

    stem: str
    image: Any
    true: Any
    pred: Any

    @property
    def diameter(self) -> float:
        """Median over its true objects, pixels."""
        sizes = np.bincount(self.true.ravel())[1:]
        return float(np.median(equivalent_diameter(sizes[sizes > 0], 2)))

    @property
    def contrast(self) -> float:
        """Grey values from the background to the nuclei, medians."""
        return float(np.median(self.image[0][self.true > 0]) - np.median(self.image[0][self.true == 0]))

    @property
    def size(self) -> str:
        """Of the image."""
        return " x ".join(map(str, self.true.shape))

    @property
    def scores(self) -> Evaluation:
        """Of this image."""
        return evaluate(self.true, self.pred, task="instances")


def read_cases(csv: Path, predictions: Path) -> list[Case]:
    """The test images with what was predicted of them."""
    cases = []
    for pair in pair_files(csv, None, "test").pairs:
        true, pred = (
            read_labels(path).data[0].astype(np.int32)
            for path in (pair.labels, predictions / f"{pair.stem}.tif")
        )
        cases.append(Case(pair.stem, read_image(pair.image).data, true, pred))
    return cases


def kinds_of(cases: Sequence[Case]) -> list[tuple[str, list[Case]]]:
    """The test images by what is seen in them."""
    kinds: list[tuple[str, Callable[[Case], bool]]] = [
        ("all", lambda _: True),
        ("nuclei below 15 px (median)", lambda case: case.diameter < 15),
        ("nuclei of 15 to 30 px", lambda case: 15 <= case.diameter < 30),
        ("nuclei above 30 px", lambda case: case.diameter >= 30),
        (f"nuclei less than {DIM} grey values above the background", lambda case: case.contrast < DIM),
        (f"{DIM} to {BRIGHT} above it", lambda case: DIM <= case.contrast < BRIGHT),
        (f"{BRIGHT} or more above it", lambda case: case.contrast >= BRIGHT),
    ]
    for size in sorted({case.size for case in cases}, key=lambda text: tuple(map(int, text.split(" x ")))):
        kinds.append((f"images of {size} px", lambda case, size=size: case.size == size))
    groups = [(name, [case for case in cases if belongs(case)]) for name, belongs in kinds]
    return [(name, some) for name, some in groups if some]


def scores_by_kind(cases: Sequence[Case]) -> str:
    """Scores of each kind of image, a row each."""
    lines = [
        "| test images | images | nuclei | ap50 | ap | SEG | Dice | merges, splits | missed, false |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, some in kinds_of(cases):
        scores = evaluate([case.true for case in some], [case.pred for case in some], task="instances")
        missed, false = missed_and_false(some)
        lines.append(
            f"| {name} | {len(some)} | {scores.n_true} | {scores.ap50:.3f} | {scores.ap:.3f} | "
            f"{scores.seg:.3f} | {scores.dice:.3f} | {scores.merges}, {scores.splits} | {missed}, {false} |"
        )
    return "\n".join(lines)


def missed_and_false(cases: Sequence[Case]) -> tuple[int, int]:
    """How many nuclei are found by nothing, and how many predictions are no nucleus."""
    outcomes = [object_outcomes(case.true, case.pred) for case in cases]
    return (
        sum(kind == "missed" for found in outcomes for kind in found.true.values()),
        sum(kind == "false" for found in outcomes for kind in found.pred.values()),
    )


def worst_of(cases: Sequence[Case]) -> list[Case]:
    """The test images with the lowest ap50, the worst first."""
    return sorted(cases, key=lambda case: case.scores.ap50)[:WORST]


def draw_worst(cases: Sequence[Case], path: Path) -> None:
    """Draw images, their truth and their prediction side by side, at most the middle `SIDE` pixels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2 * len(cases)), layout="constrained")
    for row, case in zip(figure.subplots(len(cases), 3, squeeze=False), cases, strict=True):
        starts = [max(0, (n - SIDE) // 2) for n in case.true.shape]
        part = tuple(slice(start, start + SIDE) for start in starts)
        shown = display(case.image[(slice(None), *part)])
        layers = ((f"{case.stem}, {case.size}", None), ("truth", case.true), ("prediction", case.pred))
        for ax, (title, labels) in zip(row, layers, strict=True):
            picture = shown.copy()
            if labels is not None:
                picture[outlines(labels[part])] = (255, 130, 40)
            ax.imshow(picture, interpolation="nearest")
            ax.set_title(title, fontsize=9, loc="left")
            ax.set_axis_off()
    figure.savefig(path, dpi=100, metadata={"Software": None})


def worst_lines(cases: Sequence[Case]) -> str:
    """A line about each image."""
    lines = []
    for case in cases:
        missed, false = missed_and_false([case])
        found = case.scores
        lines.append(
            f"- {case.stem}: ap50 {found.ap50:.2f}; of {found.n_true} nuclei with a median diameter of "
            f"{case.diameter:.0f} px, {case.contrast:.0f} grey values above the ground, {missed} are missed; "
            f"merges {found.merges}, splits {found.splits}, false {false}"
        )
    return "\n".join(lines)


def of_training(header: ModelHeader) -> dict[str, str]:
    """What the images were like that the model learned from."""
    fp = header.fingerprint
    assert fp is not None
    low, p1, median, p99, high = fp.intensity[0]
    return {
        "images": f"{fp.n_images} images, {fp.n_objects:,} nuclei",
        "sizes": f"{fp.diameter_median:.1f} px in the median, 80 % between {fp.diameter_p10:.1f} and "
        f"{fp.diameter_p90:.1f} px",
        "greys": f"{low:.0f} to {high:.0f}, {p1:.0f} to {p99:.0f} without the darkest 1 % and the brightest "
        f"0.2 %, the median {median:.0f} ({', '.join(fp.dtypes)})",
    }


def write_cards(split: Path, file: Path, csv: Path) -> None:
    """The long card in docs/models, and the short one beside the file."""
    header = read_header(file)
    assert header.diameters is not None
    cases = read_cases(csv, split / "test")
    sets, as_is = (json.loads((split / f"{name}.json").read_text())["set"] for name in ("scores", "as-is"))
    half = json.loads((split / "half.json").read_text())
    worst = worst_of(cases)
    training = header.training
    values = of_training(header) | {
        "megabytes": f"{file.stat().st_size / 1e6:.2f}",
        "license": header.license,
        "low": f"{header.diameters[0]:g}",
        "high": f"{header.diameters[1]:g}",
        "iterations": f"{training['iterations']}",
        "seed": f"{training['seed']}",
        "network": f"depth {header.network.depth}, base width {header.network.base_width}",
        "config": (split / "config.toml").read_text().strip(),
        "kinds": scores_by_kind(cases),
        "auto": f"{sets['ap50']:.3f}",
        "as_is": f"{as_is['ap50']:.3f}",
        "scores": ", ".join(f"{name} {sets[name]:.3f}" for name in ("ap50", "ap", "pq", "seg", "dice")),
        "sizes_table": (split / "diameter.md").read_text().strip(),
        "float32": f"{half['ap50_float32']:.4f}",
        "bfloat16": f"{half['ap50_bfloat16']:.4f}",
        "half_dice": f"{half['dice_between']:.5f}",
        "half_images": f"{half['images']}",
        "worst": worst_lines(worst),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    draw_worst(worst, FOLDER / "nuclei-worst.png")
    templates = Path(__file__).parent
    for template, out in (
        ("box_card.md.txt", FOLDER / "nuclei.md"),
        ("box_card_short.md.txt", file.with_suffix(".md")),
    ):
        out.write_text((templates / template).read_text(encoding="utf-8").format(**values), encoding="utf-8")
        print(out)


if __name__ == "__main__":
    write_cards(*map(Path, sys.argv[1:4]))
