"""Convert: label images and annotations of every kind into each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.config import DataConfig
from unseam.data.pairs import find_pairs
from unseam.errors import InputError
from unseam.io.annotations.coco import write_coco
from unseam.io.annotations.ctc import write_ctc
from unseam.io.annotations.files import images_named, list_labels
from unseam.io.annotations.save import OUTLINES, pictures, write_outlines
from unseam.io.atomic import refuse_existing
from unseam.io.images import stem, write_tiff
from unseam.workflow.labelled import (
    Labelled,
    marked_set,
    read_labelled,
    to_objects,
    to_shapes,
    to_values,
    understood,
    unknown_value,
)
from unseam.workflow.listener import Countdown, Listener, printing
from unseam.workflow.loading import describe_pairing
from unseam.workflow.measuring import beside
from unseam.workflow.streaming import is_zarr

ENDINGS = {"labels": ".tif", "ome-tiff": ".ome.tif", **OUTLINES, "ctc": ""}
"""What can be written, and what the names of the files end in; of ctc it is a folder."""


@dataclass(frozen=True)
class _Item:
    """The labels of one image: what it is called, where they are, and its image if that was given."""

    name: str
    path: Path
    within: str = ""
    image: Path | None = None


def convert_files(
    source: str | Path,
    to: str,
    out: str | Path,
    *,
    images: str | Path | None = None,
    config: DataConfig | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> list[Path]:
    """Convert label images or annotations; returns what was written.

    Parameters
    ----------
    source : str or Path
        A file, a folder of them, or an OME-Zarr label image, which is read whole.
    to : one of `ENDINGS`.
    out : str or Path
        A file for one input, a folder for several; for coco always one file, for ctc one folder.
    images : str or Path, optional
        What the labels are of: for the size, which ROIs and GeoJSON do not say, pixel size and intensities.
    config : DataConfig, optional
        What the labels mean, and axes and pixel size of files that do not state them.

    Raises
    ------
    OutputExistsError
        Before anything is read, if an output exists and `overwrite` is false.
    InputError
        If `to` is unknown, `out` does not fit it, two inputs have one name, or several of which one is a
        series were to be one sequence of the challenge.
    UnseamError
        As the readers and writers of the kinds.
    """
    listener, out, config = listener or printing(), Path(out), config or DataConfig()
    if to not in ENDINGS:
        raise InputError(f"{to!r} cannot be written; expected one of {', '.join(ENDINGS)}")
    items = _items(source, images, listener)
    several = len(items) > 1 or (Path(source).is_dir() and not is_zarr(Path(source)))
    targets = _targets(items, to, out, several=several)
    for target in targets:
        refuse_existing(target, overwrite=overwrite)
    reads = marked_set(_read_all(items, config, listener), config)
    if to == "ctc":
        _refuse_many_sequences(items, reads)
    meaning = understood(reads, config, painted=to in ("labels", "ome-tiff", "ctc"))
    for line in meaning.lines:
        listener.say(line)
    unknown = unknown_value(reads, meaning, config) if to in ("labels", "ome-tiff") else None
    if unknown is not None:
        listener.say(f"unknown pixels are {unknown}; train with --ignore {unknown}")
    if to == "ctc":
        frames = [frame for one in reads for frame in to_objects(one, meaning, config)]
        write_ctc(out, frames, overwrite=overwrite)
    elif to == "coco":
        named = zip(items, reads, strict=True)
        entries = [
            entry for item, one in named for entry in pictures(to_shapes(one, meaning), _image_name(item))
        ]
        write_coco(out, entries, overwrite=overwrite)
    else:
        countdown = Countdown(listener, "writing", len(reads))
        for done, (item, one, target) in enumerate(zip(items, reads, targets, strict=True), start=1):
            if to in OUTLINES:
                shapes = to_shapes(one, meaning)
                write_outlines(to, target, shapes, image=_image_name(item), overwrite=overwrite)
            else:
                values = to_values(one, meaning, config, unknown)
                _write_values(target, values, one.spacing, overwrite=overwrite)
            countdown.done(done, target.name)
    listener.say(f"{len(reads)} converted: {out}")
    return targets


def _items(source: str | Path, images: str | Path | None, listener: Listener) -> list[_Item]:
    path = Path(source)
    if is_zarr(path):
        return [_Item(path.name.removesuffix(".zarr"), path, image=Path(images) if images else None)]
    if images is not None:
        pairing = find_pairs(images, source)
        listener.say(describe_pairing(pairing))
        return [_Item(pair.stem, pair.labels, pair.within, pair.image) for pair in pairing.pairs]
    files = list_labels(path)
    others = beside(map(stem, files))
    files = [file for file in files if stem(file) not in others]
    names = images_named(files[0]) if len(files) == 1 else ()
    if len(names) > 1:
        return [_Item(stem(name), files[0], name) for name in names]
    return [_Item(stem(file), file) for file in files]


def _image_name(item: _Item) -> str:
    """The file name of the image, as COCO has it."""
    return item.image.name if item.image else item.within or f"{item.name}.tif"


def _targets(items: Sequence[_Item], to: str, out: Path, *, several: bool) -> list[Path]:
    """Where each item goes; all of them into one file of COCO, or one folder of the challenge."""
    ending = ENDINGS[to]
    if to == "ctc":
        return [out]
    if to == "coco" or (not several and out.suffix and not out.is_dir()):
        if not out.name.lower().endswith(ending):
            raise InputError(f"{out} does not end in {ending}, as a file of {to} does; give a name that does")
        return [out]
    if out.suffix == Path(f"a{ending}").suffix or out.is_file():
        raise InputError(f"{len(items)} label files were given for one output {out}; give a folder")
    targets = [out / f"{item.name}{ending}" for item in items]
    for number, target in enumerate(targets):
        if target in targets[:number]:
            other = items[targets.index(target)]
            raise InputError(
                f"{other.path} and {items[number].path} would both be written to {target.name}; rename one"
            )
    return targets


def _read_all(items: Sequence[_Item], config: DataConfig, listener: Listener) -> list[Labelled]:
    countdown = Countdown(listener, "reading", len(items))
    reads = []
    for done, item in enumerate(items, start=1):
        reads.append(read_labelled(item.path, item.image, item.within, config, listener.say))
        countdown.done(done, item.name)
    return reads


def _refuse_many_sequences(items: Sequence[_Item], reads: Sequence[Labelled]) -> None:
    """Raise where a series is one of several inputs: the files of a folder are the frames of one sequence."""
    for item, one in zip(items, reads, strict=True):
        count = one.extent.count if one.extent is not None else 1
        if len(items) > 1 and count > 1:
            raise InputError(
                f"{item.path} is a series of {count} frames and one of {len(items)} inputs, which become one "
                "sequence of the challenge; convert each on its own"
            )


def _write_values(
    target: Path, frames: Sequence[NDArray[Any]], spacing: tuple[float, ...] | None, *, overwrite: bool
) -> None:
    axes = "YX" if frames[0].ndim == 2 else "ZYX"
    stack, axes = (np.stack(frames), f"T{axes}") if len(frames) > 1 else (frames[0], axes)
    write_tiff(target, stack, axes=axes, spacing=spacing, overwrite=overwrite)
