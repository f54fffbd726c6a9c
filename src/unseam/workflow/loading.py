"""Images and labels, from paths or arrays, into samples in memory; what was understood is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.config import DataConfig
from unseam.data.labels import Coding
from unseam.data.pairs import Pairing, find_pairs, read_pairs_csv
from unseam.data.sample import Sample
from unseam.errors import InputError, PairingError, ShapeError, UnseamError
from unseam.io.images import Image, read_image
from unseam.workflow.listener import Countdown, Listener
from unseam.workflow.truths import Truth, read_truths, understand

Images = str | Path | Sequence[NDArray[Any]]
Labels = str | Path | Sequence[NDArray[Any]] | None

DEFAULT_SPLIT = "train"
"""The rows of a CSV file that are trained on where nothing else is said."""


@dataclass(frozen=True)
class LoadedSet:
    """A set of annotated images.

    Attributes
    ----------
    samples : in the order of the images.
    coding : how the labels were coded.
    task : "instances" or "semantic".
    failures : a line for each image that could not be read.
    lines : what was understood of the labels.
    """

    samples: tuple[Sample, ...]
    coding: Coding
    task: str
    failures: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


def load_set(
    images: Images,
    labels: Labels,
    config: DataConfig,
    listener: Listener,
    *,
    split: str | None = None,
    skip_bad: bool = False,
) -> LoadedSet:
    """Read, pair and decode a set.

    Parameters
    ----------
    images, labels : folder, file, or list of arrays
        `images` may be a CSV file of pairs (columns image, labels, split), `labels` then None.
    split : str, optional
        Of a CSV file, the rows to take; None takes all.
    skip_bad : bool
        Go on past a pair that cannot be read, and report it.

    Raises
    ------
    UnseamError
        As the rooms below; with arrays, ShapeError or PairingError where they do not fit.
    """
    if not is_csv(images):
        refuse_split(split)
    failures: list[str] = []
    if isinstance(images, (str, Path)):
        raw = _read_pairs(images, labels, config, listener, split, failures if skip_bad else None)
    else:
        raw = _from_arrays(images, labels, config)
    understood = understand([truth for _, _, truth in raw], [name for name, _, _ in raw], config)
    samples = tuple(
        Sample(name, image.data, lab, image.spacing)
        for (name, image, _), lab in zip(raw, understood.labels, strict=True)
    )
    _check_alike(samples)
    for line in understood.lines:
        listener.say(line)
    task = "semantic" if understood.coding.kind == "classes" else "instances"
    return LoadedSet(samples, understood.coding, task, tuple(failures), understood.lines)


Raw = tuple[str, Image, Truth]


def is_csv(images: Images) -> bool:
    """Whether images are named by a CSV file of pairs."""
    return isinstance(images, (str, Path)) and Path(images).suffix.lower() == ".csv"


def refuse_split(split: str | None) -> None:
    """Raise where rows of a CSV file are asked for and none was given."""
    if split is not None:
        raise PairingError(
            f"--split {split} takes rows of a CSV file of pairs, and none was given; leave it out, or list "
            "the pairs in a CSV file with the columns image,labels,split"
        )


def pair_files(images: str | Path, labels: str | Path | None, split: str | None = None) -> Pairing:
    """The pairs of two folders, two files, or a CSV file.

    Where a row of the file names a split, one that names none belongs to no split.
    """
    if is_csv(images):
        if labels is not None:
            raise PairingError(f"{images} names its labels itself, and {labels} was given too; leave one out")
        pairing = read_pairs_csv(images)
        if split is None or not any(pair.split for pair in pairing.pairs):
            return pairing
        kept = tuple(pair for pair in pairing.pairs if pair.split == split)
        if not kept:
            raise PairingError(f"{images} has no row with split {split!r}; check the column split")
        return Pairing(kept, images_without_split=tuple(p.image for p in pairing.pairs if not p.split))
    if labels is None:
        raise PairingError(
            f"{images} was given without labels; give the folder of labels, or a CSV file of pairs"
        )
    return find_pairs(images, labels)


def _read_pairs(
    images: str | Path,
    labels: Labels,
    config: DataConfig,
    listener: Listener,
    split: str | None,
    failures: list[str] | None,
) -> list[Raw]:
    if not (labels is None or isinstance(labels, (str, Path))):
        raise PairingError(
            "images are given as a path and labels as arrays; give both as paths, or both as arrays"
        )
    pairing = pair_files(images, labels, split)
    listener.say(describe_pairing(pairing))
    raw: list[Raw] = []
    countdown = Countdown(listener, "reading", len(pairing.pairs))
    for done, pair in enumerate(pairing.pairs, start=1):
        try:
            image = read_image(pair.image, axes=config.axes)
            axes = _label_axes(config.axes)
            truths = read_truths(pair.labels, image, axes=axes, within=pair.within, say=listener.say)
            raw += _frames(pair.stem, _with_spacing(image, config), truths)
        except UnseamError as error:
            if failures is None:
                raise
            failures.append(str(error))
        countdown.done(done)
    if not raw:
        raise InputError(
            f"none of the {len(pairing.pairs)} pairs could be read; the first: {(failures or [''])[0]}"
        )
    return raw


def _frames(stem: str, image: Image, truths: Sequence[Truth]) -> list[Raw]:
    """The 2-D images or volumes of a file; more than one where it is a time series."""
    pictures = image.frames()
    names = [stem] if len(pictures) == 1 else [f"{stem}_t{t:03}" for t in range(len(pictures))]
    return list(zip(names, pictures, truths, strict=True))


def _from_arrays(images: Sequence[NDArray[Any]], labels: Labels, config: DataConfig) -> list[Raw]:
    if labels is None or isinstance(labels, (str, Path)) or len(images) != len(labels) or not len(images):
        count = 0 if labels is None or isinstance(labels, (str, Path)) else len(labels)
        raise PairingError(
            f"{len(images)} image arrays and {count} label arrays were given; "
            "one label array per image was expected"
        )
    raw: list[Raw] = []
    for number, (picture, truth) in enumerate(zip(images, labels, strict=True)):
        image, lab = np.asarray(picture), np.asarray(truth)
        if image.shape == lab.shape:
            image = image[None]
        if image.shape[1:] != lab.shape or lab.ndim not in (2, 3):
            raise ShapeError(
                f"image {number} has shape {np.shape(picture)} and its labels {lab.shape}; "
                "expected labels (Y, X) or (Z, Y, X) and the same with channels first for the image"
            )
        axes = "CYX" if lab.ndim == 2 else "CZYX"
        raw.append((f"image{number:03}", _with_spacing(Image(image, axes), config), lab))
    return raw


def _with_spacing(image: Image, config: DataConfig) -> Image:
    if image.spacing is not None or config.pixel_size is None:
        return image
    return Image(image.data, image.axes, (config.pixel_size,) * image.spatial_dims, image.path)


def _label_axes(axes: str | None) -> str | None:
    """Axes given for the images, as the labels have them: without channels."""
    return axes.replace("C", "") if axes else None


def _check_alike(samples: Sequence[Sample]) -> None:
    """All images of a set have the same channels and number of axes."""
    first = samples[0]
    for s in samples[1:]:
        if s.labels.ndim != first.labels.ndim or s.image.shape[0] != first.image.shape[0]:
            raise ShapeError(
                f"{first.stem} has {first.image.shape[0]} channels and {first.labels.ndim} spatial axes, "
                f"{s.stem} has {s.image.shape[0]} and {s.labels.ndim}; all images of a set must be alike: "
                "convert or remove one kind"
            )


def describe_pairing(pairing: Pairing) -> str:
    """The pairing in one line."""
    first = pairing.pairs[0]
    line = f"pairs: {len(pairing.pairs)}, as {first.image.name} with {first.labels.name}"
    if pairing.images_without_labels:
        line += f"; {_left_out(len(pairing.images_without_labels), 'image', 'without labels')}"
    if pairing.labels_without_image:
        line += f"; {_left_out(len(pairing.labels_without_image), 'label file', 'without an image')}"
    if pairing.images_without_split:
        line += f"; {_left_out(len(pairing.images_without_split), 'row', 'without a split')}"
    return line


def _left_out(count: int, noun: str, lacking: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'} {lacking} {'is' if count == 1 else 'are'} left out"
