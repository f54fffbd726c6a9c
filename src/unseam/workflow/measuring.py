"""Measure: the objects of label files in one table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unseam.axes import times
from unseam.config import DataConfig
from unseam.data.labels import Coding, Task, decode, recognise_coding
from unseam.data.pairs import find_pairs
from unseam.errors import ShapeError
from unseam.instances import label_class_regions
from unseam.io.atomic import refuse_existing
from unseam.io.images import Image, list_images, read_image, read_labels, stem
from unseam.measure import ObjectTable, measure
from unseam.workflow.listener import Countdown, Listener, printing
from unseam.workflow.loading import describe_pairing

Row = dict[str, Any]


def measure_files(
    labels: str | Path,
    images: str | Path | None,
    out: str | Path,
    *,
    config: DataConfig | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> int:
    """Measure the objects of a label file, or of a folder of them, into one CSV; returns their number.

    With a folder the table has a column `image`, the stem, and with a time series a column `frame`.

    Parameters
    ----------
    labels : str or Path
    images : str or Path, optional
        For intensities.
    out : str or Path
        The CSV file.
    config : DataConfig, optional
        What the labels mean, and axes and pixel size of files that do not state them.

    Raises
    ------
    OutputExistsError
        Before anything is read, if `out` exists and `overwrite` is false.
    UnseamError
        As `unseam.io.images.read_labels`, and if an image and its labels differ in size.
    """
    listener, out, config = listener or printing(), Path(out), config or DataConfig()
    refuse_existing(out, overwrite=overwrite)
    pairs = _pairs_to_measure(labels, images, listener)
    files = [read_labels(path, axes=config.axes) for path, _ in pairs]
    task: Task = config.task  # type: ignore[assignment]
    coding = recognise_coding([file.data for file in files], task=task, ignore=config.ignore)
    listener.say(coding.reason)
    rows: list[Row] = []
    names: dict[str, None] = {}
    countdown = Countdown(listener, "measuring", len(pairs))
    for done, (file, (path, image)) in enumerate(zip(files, pairs, strict=True), start=1):
        place: Row = {"image": stem(path)} if Path(labels).is_dir() else {}
        for where, table in _measure_file(file, image, coding, config):
            names |= dict.fromkeys([*place, *where, *table.columns])
            rows += [place | where | row for row in table.rows()]
        countdown.done(done)
    columns = {name: np.array([row.get(name, "") for row in rows], object) for name in names}
    ObjectTable(columns).to_csv(out, overwrite=overwrite)
    listener.say(f"{len(rows)} objects: {out}")
    return len(rows)


def _pairs_to_measure(
    labels: str | Path, images: str | Path | None, listener: Listener
) -> list[tuple[Path, Path | None]]:
    """Each label file, and its image where there are images."""
    if images is None:
        paths = list_images(labels)
        others = beside(stem(path) for path in paths)
        return [(path, None) for path in paths if stem(path) not in others]
    pairing = find_pairs(images, labels, list_second=list_images)
    others = beside(stem(pair.labels) for pair in pairing.pairs)
    alone = tuple(path for path in pairing.labels_without_image if stem(path) not in others)
    listener.say(describe_pairing(replace(pairing, labels_without_image=alone)))
    return [(pair.labels, pair.image) for pair in pairing.pairs]


def _measure_file(
    labels: Image, image_path: Path | None, coding: Coding, config: DataConfig
) -> Iterator[tuple[Row, ObjectTable]]:
    """The table of each frame, and where it belongs: its number in a time series, else nothing."""
    image = read_image(image_path, axes=config.axes) if image_path else None
    spacing = labels.spacing or (image.spacing if image else None)
    if spacing is None and config.pixel_size is not None:
        spacing = (config.pixel_size,) * labels.spatial_dims
    frames = labels.frames()
    pictures = image.frames() if image else [None] * len(frames)
    if len(pictures) != len(frames):
        raise ShapeError(
            f"{image_path} has {len(pictures)} frames and its labels {labels.path} {len(frames)}; "
            "one label image per frame was expected"
        )
    for number, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
        if picture is not None and picture.data.shape[1:] != frame.data.shape[1:]:
            raise ShapeError(
                f"{image_path} is {times(picture.data.shape[1:])} pixels and its labels {labels.path} "
                f"{times(frame.data.shape[1:])}; they must be equal"
            )
        decoded = decode(frame.data[0], coding, config.ignore, name=str(labels.path))
        classes = decoded if coding.kind == "classes" else None
        table = measure(
            decoded if classes is None else label_class_regions(classes),
            None if picture is None else picture.data,
            spacing=spacing,
            classes=classes,
        )
        yield ({"frame": number} if len(frames) > 1 else {}), table


def beside(stems: Iterable[str]) -> set[str]:
    """Stems of what `unseam predict` writes beside the labels of these stems."""
    return {name + ending for name in stems for ending in ("_probabilities", "_overlay")}
