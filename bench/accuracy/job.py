"""A data set as a job for a peer, and what the peer wrote as label files for the scorer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench.accuracy.classes import border_width
from numpy.typing import NDArray

from unseam.data.labels import decode, recognise_coding
from unseam.draw.arrays import overlay
from unseam.fingerprint import equivalent_diameter
from unseam.io.images import read_image, read_labels, stem
from unseam.io.tiff.write import write_tiff
from unseam.workflow.trial import Row

Array = NDArray[Any]
SHOWN = 4


@dataclass(frozen=True)
class Settings:
    """What stands in job.json, as `competing.Job` without its folder."""

    minutes: float
    seed: int
    threads: int
    border: int
    smallest: int
    diameter: float
    unknown: bool
    variant: str


def write_job(
    folder: Path, rows: Sequence[Row], *, ignore: int | None, touching: bool, **settings: Any
) -> Settings:
    """Write images and labels of the rows as arrays, and job.json.

    Parameters
    ----------
    folder : of the job; replaced.
    rows : of both splits.
    ignore : value of unknown pixels in the label files.
    touching : whether objects may touch, so that classes of pixels need a border between them.
    **settings : minutes, seed, threads and variant.
    """
    shutil.rmtree(folder, ignore_errors=True)
    learned = [row for row in rows if row.split == "train"]
    raw = [read_labels(row.labels).data[0] for row in learned]
    coding = recognise_coding(raw, task="instances", ignore=ignore)
    labels = [decode(one, coding, ignore) for one in raw]
    for row, array in zip(learned, labels, strict=True):
        _save(folder / "train" / "labels", row, array.astype(np.int32))
    for row in rows:
        _save(folder / row.split / "images", row, read_image(row.image).data[0])
    areas = np.concatenate([np.unique(one[one > 0], return_counts=True)[1] for one in labels])
    diameter = float(np.median(equivalent_diameter(areas, 2)))
    written = Settings(
        border=border_width(diameter) if touching else 0,
        smallest=int(np.quantile(areas, 0.01)),
        diameter=round(diameter, 1),
        unknown=any(bool((one < 0).any()) for one in labels),
        **settings,
    )
    (folder / "job.json").write_text(json.dumps(asdict(written), indent=1) + "\n", encoding="utf-8")
    return written


def write_truth(folder: Path, rows: Sequence[Row]) -> None:
    """The true label files of the test rows, under the names of their images."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for row in rows:
        if row.split == "test":
            shutil.copyfile(row.labels, folder / f"{stem(row.image)}{row.labels.suffix}")


def collect_labels(job: Path, out: Path, *, cells: bool) -> None:
    """The labels that a peer wrote as TIFF; with `cells` their probabilities beside them, for membranes."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for path in sorted((job / "labels").glob("*.npy")):
        labels = np.load(path)
        write_tiff(out / f"{path.stem}.tif", labels.astype(np.int32), axes="YX")
        if cells:
            known = job / "cells" / path.name
            inside = np.load(known) if known.exists() else inside_of(labels)
            both = np.stack([1 - inside, inside]).astype(np.float32)
            write_tiff(out / f"{path.stem}_probabilities.tif", both, axes="CYX")


def inside_of(labels: Array) -> NDArray[np.float32]:
    """1 inside objects, 0 outside and where an object touches another: cells of peers that give labels alone.

    Examples
    --------
    >>> inside_of(np.array([[1, 1, 1, 2, 2, 0]]))
    array([[1., 1., 0., 0., 1., 0.]], dtype=float32)
    """
    inside = labels > 0
    for axis in range(labels.ndim):
        here = [slice(None)] * labels.ndim
        there = [slice(None)] * labels.ndim
        here[axis], there[axis] = slice(1, None), slice(None, -1)
        a, b = labels[tuple(here)], labels[tuple(there)]
        apart = (a != b) & (a > 0) & (b > 0)
        inside[tuple(here)] &= ~apart
        inside[tuple(there)] &= ~apart
    return inside.astype(np.float32)


def draw(rows: Sequence[Row], labels: Path, path: Path) -> None:
    """A picture of some test images: the truth above, the prediction below."""
    from PIL import Image

    tests = [row for row in rows if row.split == "test"]
    columns = []
    for row in tests[:: max(1, len(tests) // SHOWN)][:SHOWN]:
        image = read_image(row.image).data
        truth = read_labels(row.labels).data[0]
        found = read_labels(labels / f"{stem(row.image)}.tif").data[0]
        halves = [overlay(image, one.astype(np.int32))[:256, :256] for one in (truth, found)]
        columns.append(np.concatenate([_square(half) for half in halves]))
    Image.fromarray(np.concatenate(columns, axis=1)).save(path)


def _square(picture: Array) -> Array:
    missing = [(0, 260 - length) for length in picture.shape[:2]]
    return np.pad(picture, (*missing, (0, 0)))


def _save(folder: Path, row: Row, array: Array) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{stem(row.image)}.npy", np.ascontiguousarray(array))
