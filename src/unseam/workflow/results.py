"""What is said of a prediction, and how the results of an image in memory are written."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.draw import overlay
from unseam.instances import label_class_regions
from unseam.io.annotations.outlines import outlines
from unseam.io.annotations.record import Annotations, Shape
from unseam.io.annotations.save import OUTLINES, with_measurements, write_outlines
from unseam.io.images import write_png, write_tiff
from unseam.measure import ObjectTable
from unseam.prediction import Model, Segmentation
from unseam.prediction.diameter import Sized
from unseam.prediction.region import LARGEST_DIFFERENCE

VERY_DIFFERENT = 4.0
"""A pixel size this many times the model's, or less than one in so many, is rather a mistake."""


def remarks(
    model: Model,
    spacing: Sequence[float] | None,
    path: Path,
    *,
    rescale: bool,
    sized: Sized,
) -> Iterator[str]:
    """What a person should know about the size of an image's pixels or objects, a line each."""
    trained = model.header.spacing
    if sized.zoom is not None:
        yield f"{path.name}: {_of_size(model, sized, known=bool(trained and spacing))}"
        return
    if trained is None:
        return
    if spacing is None or len(spacing) != len(trained):
        yield (
            f"{path.name}: its pixel size is not known and taken to be the model's, {_sizes(trained)} µm; "
            "--pixel-size says it"
        )
        return
    apart = max(abs(math.log(s / t)) for s, t in zip(spacing, trained, strict=True))
    if apart <= math.log(1 + LARGEST_DIFFERENCE):
        return
    known = f"{path.name}: its pixels are {_sizes(spacing)} µm and the model learned on {_sizes(trained)}"
    if rescale:
        yield f"{known}; it is rescaled for the network, and its labels keep its own pixels"
    else:
        yield f"{known}; objects of another size may be missed without rescaling"
    if apart > math.log(VERY_DIFFERENT):
        yield f"{path.name}: that is very different; check that the pixel size is right, or give --pixel-size"


def _of_size(model: Model, sized: Sized, *, known: bool) -> str:
    """What was done because of the size of objects; `known` says whether there are pixel sizes."""
    if sized.diameter is None:
        return "no objects are found in its middle; not rescaled: --diameter says how large they are, pixels"
    done = "not rescaled" if sized.zoom == 1 else f"rescaled {sized.zoom:.2g} times"
    line = f"objects of about {sized.diameter:.3g} px: {done} for the network"
    if known:
        line += ", whatever its pixel size"
    low, high = model.header.diameters or (0.0, math.inf)
    if not low <= sized.diameter <= high:
        line += f"; the model is made for {low:g} to {high:g} px, check the result"
    return line


def _sizes(spacing: Sequence[float]) -> str:
    return " x ".join(f"{s:.3g}" for s in spacing)


def write_results(
    results: Sequence[Segmentation], targets: dict[str, Path], *, image: str, overwrite: bool
) -> None:
    """Write what is wanted of an image; the labels last, so that they stand for a finished image."""
    first = results[0]
    spatial, series = ("YX" if first.labels.ndim == 2 else "ZYX"), len(results) > 1
    time = "T" if series else ""
    tables = [result.table() for result in results] if set(targets) & {"table", "parquet", *OUTLINES} else []

    def frames(arrays: list[NDArray[Any]]) -> NDArray[Any]:
        return np.stack(arrays) if series else arrays[0]

    for kind in ("overlay", "table", "parquet", *OUTLINES, "probabilities", "labels"):
        if kind not in targets:
            continue
        path = targets[kind]
        if kind in OUTLINES:
            count = len(results) if series else None
            drawn = Annotations(outlines_of(results, tables), first.labels.shape, frames=count)
            write_outlines(kind, path, drawn, image=image, overwrite=overwrite)
        elif kind == "overlay":
            write_png(path, overlay(first.image, first.labels), overwrite=overwrite)
        elif kind == "table":
            table_of(tables).to_csv(path, overwrite=overwrite)
        elif kind == "parquet":
            table_of(tables).to_parquet(path, overwrite=overwrite)
        elif kind == "probabilities":
            stack = frames([r.probabilities for r in results])
            write_tiff(path, stack, axes=f"{time}C{spatial}", spacing=first.spacing, overwrite=overwrite)
        else:
            stack = frames([r.labels for r in results])
            write_tiff(path, stack, axes=f"{time}{spatial}", spacing=first.spacing, overwrite=overwrite)


def outlines_of(results: Sequence[Segmentation], tables: Sequence[ObjectTable]) -> tuple[Shape, ...]:
    """The outlines of all objects, or of all regions of classes, with their rows of the table."""
    shapes: list[Shape] = []
    for number, (result, table) in enumerate(zip(results, tables, strict=True)):
        semantic = result.task == "semantic"
        found = outlines(label_class_regions(result.labels) if semantic else result.labels)
        for shape, kind in zip(with_measurements(found, table.columns), table["class"].tolist(), strict=True):
            name = f"class {kind}" if semantic else ""
            shapes.append(replace(shape, class_name=name, frame=number if len(results) > 1 else None))
    return tuple(shapes)


def table_of(tables: Sequence[ObjectTable]) -> ObjectTable:
    """The tables of a time series as one, with a column frame; the table itself of a single image."""
    columns: dict[str, NDArray[Any]] = {}
    if len(tables) > 1:
        columns["frame"] = np.repeat(np.arange(len(tables)), [len(t) for t in tables])
    for name in tables[0].columns:
        columns[name] = np.concatenate([t[name] for t in tables])
    return ObjectTable(columns)
