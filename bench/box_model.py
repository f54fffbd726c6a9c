"""The file of the model that comes with the package, from the run that trained it.

    python bench/box_model.py file RUN --out FILE.safetensors [--scores scores.json]
    python bench/box_model.py half RUN FILE.safetensors PAIRS.csv --json half.json
    python bench/box_model.py chosen RUN

`file` writes the weights in bfloat16, with the header of a model for images of any scale; `half` says what
bfloat16 changes on the images that were trained on; `chosen` prints what a run chose on its held-out images,
for one that holds none out. bench/box_model.sh calls them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import unseam
from unseam.io.images import read_image, read_labels
from unseam.model.checkpoint import load_network, save_model
from unseam.model.header import read_header
from unseam.workflow.evaluation import evaluate
from unseam.workflow.loading import pair_files

LARGEST = 4_000_000
"""Bytes that the file may take."""
SEGMENTS = "nuclei in fluorescence images"
DIAMETERS = (8.0, 80.0)
LICENSE = "BSD-3-Clause; trained on CC0 images"
SCORES = ("ap50", "ap", "pq", "seg", "dice")
"""What the header says of the test images."""


def write_file(run: Path, out: Path, scores: Path | None) -> None:
    """The model of a run as it comes with the package."""
    net, header = load_network(run / "model.safetensors")
    training = dict(header.training)
    if scores is not None:
        measured = json.loads(scores.read_text())["set"]
        training["test_scores"] = {name: measured[name] for name in SCORES}
    header = replace(header, segments=SEGMENTS, diameters=DIAMETERS, license=LICENSE, training=training)
    save_model(out, net.state_dict(), header, overwrite=True, dtype=torch.bfloat16)
    size = out.stat().st_size
    print(f"{out}: {size:,} bytes")
    if size > LARGEST:
        raise SystemExit(f"{out} takes {size:,} bytes; at most {LARGEST:,} may come with the package")


def compare_halves(run: Path, file: Path, csv: Path) -> dict[str, float]:
    """What weights in bfloat16 change, on the training images as they are, not rescaled."""
    models = {
        "float32": unseam.load_model(run, precision="float32"),
        "bfloat16": unseam.load_model(file, precision="float32"),
    }
    true: list[Any] = []
    found: dict[str, list[Any]] = {name: [] for name in models}
    pairs = pair_files(csv, None, "train").pairs
    for number, pair in enumerate(pairs, start=1):
        image = read_image(pair.image).data
        true.append(read_labels(pair.labels).data[0].astype(np.int32))
        for name, model in models.items():
            found[name].append(model.predict(image, rescale=False).labels)
        print(f"{number} of {len(pairs)}", end="\r")
    between = evaluate(found["float32"], found["bfloat16"], task="instances")
    ap50 = {f"ap50_{name}": evaluate(true, of, task="instances").ap50 for name, of in found.items()}
    return {"images": len(pairs), **ap50, "dice_between": between.dice, "ap50_between": between.ap50}


def chosen(run: Path) -> str:
    """Options of `unseam train` for the way to objects that a run chose on its held-out images."""
    objects = read_header(run / "model.safetensors").objects
    names = ("threshold", "low_threshold", "split", "split_size", "grow")
    values = {name: getattr(objects, name) for name in names}
    return " ".join(f"--set objects.{name}={value}" for name, value in values.items() if value is not None)


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    acts = parser.add_subparsers(dest="act", required=True)
    file = acts.add_parser("file")
    file.add_argument("run", type=Path)
    file.add_argument("--out", type=Path, required=True)
    file.add_argument("--scores", type=Path)
    half = acts.add_parser("half")
    half.add_argument("run", type=Path)
    half.add_argument("file", type=Path)
    half.add_argument("pairs", type=Path)
    half.add_argument("--json", type=Path, required=True)
    acts.add_parser("chosen").add_argument("run", type=Path)
    options = parser.parse_args()
    if options.act == "chosen":
        print(chosen(options.run))
        return
    if options.act == "file":
        write_file(options.run, options.out, options.scores)
        return
    compared = compare_halves(options.run, options.file, options.pairs)
    options.json.write_text(json.dumps(compared, indent=2) + "\n")
    print(f"{options.json}: {compared}")


if __name__ == "__main__":
    main()
