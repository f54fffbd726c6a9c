"""Label files of every kind, images and annotations, understood together as the labels of a set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.axes import times
from unseam.config import DataConfig
from unseam.data.drawn import Disk, Drawn, class_names, coding_of, describe_drawn, drawn_frames, paint
from unseam.data.labels import Coding, Task, decode, recognise_coding
from unseam.data.sample import IGNORE
from unseam.data.unknown import mark_unknown
from unseam.errors import LabelError, PairingError, ShapeError
from unseam.io.annotations.files import is_annotation, read_annotations
from unseam.io.images import Image, read_labels

Truth = NDArray[Any] | Drawn
"""The labels of one image: an array as read, or shapes that are not painted yet."""


@dataclass(frozen=True)
class Understood:
    """Truths as training wants them.

    Attributes
    ----------
    labels : list of ndarray of int32
        Objects or classes, and `IGNORE`.
    coding : how they were coded.
    lines : what was understood, to be said.
    """

    labels: list[NDArray[np.int32]]
    coding: Coding
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Meaning:
    """What the values and names of a set mean.

    Attributes
    ----------
    images : coding of label images, or None where there are none.
    shapes : coding of annotations, or None where there are none.
    classes : names of class 1, 2, ... of annotations.
    lines : what was understood, to be said.
    """

    images: Coding | None
    shapes: Coding | None
    classes: tuple[str, ...]
    lines: tuple[str, ...]


def read_truths(
    path: Path,
    image: Image,
    *,
    axes: str | None = None,
    within: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> list[Truth]:
    """Read the labels of each frame of an image.

    Parameters
    ----------
    path : Path
        A label image, or annotations.
    image : Image
        What they are of; an image or labels.
    axes : str, optional
        Of label images that do not state them.
    within : str
        What a file of several images calls this one, if not by its file name.
    say : callable
        Told what of annotations was left out.

    Raises
    ------
    ShapeError
        If the labels are of another size, or have another number of frames.
    UnseamError
        As `read_labels` and `read_annotations`.
    """
    frames = image.frames()
    size = frames[0].data.shape[1:]
    if is_annotation(path):
        annotations = read_annotations(path, within or (image.path.name if image.path else None), say=say)
        return list(drawn_frames(annotations, image, path))
    truths = read_labels(path, axes=axes).frames()
    if len(frames) != len(truths):
        raise ShapeError(
            f"{image.path} has {len(frames)} frames and {path} {len(truths)}; "
            "one label image per frame was expected"
        )
    for truth in truths:
        if truth.data.shape[1:] != size:
            raise ShapeError(
                f"{image.path} is {times(size)} pixels and its labels {path} {times(truth.data.shape[1:])}; "
                "they must be equal"
            )
    return [truth.data[0] for truth in truths]


def understand(truths: Sequence[Truth], names: Sequence[str], config: DataConfig) -> Understood:
    """Decode the labels of a set, images and annotations alike.

    Parameters
    ----------
    truths : sequence of ndarray or Drawn
    names : sequence of str
        Of the images, for messages.
    config : DataConfig

    Raises
    ------
    PairingError
        If some are annotations, others images, and they are to be classes.
    LabelError, ConfigError
        As `recognise_coding`, `decode`, `mark_unknown` and `paint`.
    """
    drawn = [truth for truth in truths if isinstance(truth, Drawn)]
    arrays = marked([truth for truth in truths if not isinstance(truth, Drawn)], config)
    meaning = meaning_of(arrays, drawn, config)
    labels: list[NDArray[np.int32]] = []
    unread = iter(arrays)
    for truth, name in zip(truths, names, strict=True):
        if isinstance(truth, Drawn):
            assert meaning.shapes is not None
            labels.append(painted_as(truth, meaning.shapes, meaning.classes, config))
        else:
            assert meaning.images is not None
            labels.append(decode(next(unread), meaning.images, IGNORE, name=name))
    coding = meaning.images or meaning.shapes
    assert coding is not None
    return Understood(labels, coding, meaning.lines)


def meaning_of(
    arrays: Sequence[NDArray[Any]], drawn: Sequence[Drawn], config: DataConfig, *, painted: bool = True
) -> Meaning:
    """What the labels of a set mean.

    Parameters
    ----------
    arrays : sequence of ndarray
        Its label images, from `marked`.
    drawn : sequence of Drawn
        Its annotations, frame by frame.
    config : DataConfig
    painted : bool
        Whether annotations are to be painted, so that it is worth saying what overlaps.

    Raises
    ------
    PairingError
        If there are both, and they are to be classes.
    LabelError, ConfigError
        As `recognise_coding` and `coding_of`.
    """
    task = task_of(len(arrays), len(drawn), config)
    images = recognise_coding(arrays, task=task, ignore=IGNORE) if arrays else None
    classes = chosen_classes(drawn, config) if drawn else ()
    shapes = coding_of(drawn, task, classes) if drawn else None
    said = [describe_drawn(drawn, painted=painted)] if drawn else []
    codings = [coding.reason for coding in (images, shapes) if coding is not None]
    return Meaning(images, shapes, classes, (*said, *codings))


def task_of(images: int, drawn: int, config: DataConfig) -> Task:
    """The task; where there are both label images and annotations, objects, unless classes were asked for.

    Raises
    ------
    PairingError
        If there are both, and they are to be classes.
    """
    task: Task = config.task  # type: ignore[assignment]
    if not (images and drawn):
        return task
    if task == "semantic":
        raise PairingError(
            "some labels are annotations, whose classes have names, others images, whose classes have "
            "numbers; give one kind for --task semantic"
        )
    return "instances"


def marked(arrays: Sequence[NDArray[Any]], config: DataConfig) -> list[NDArray[Any]]:
    """Label images with unknown pixels as `IGNORE` and background as 0; see `mark_unknown`."""
    return mark_unknown(arrays, ignore=config.ignore, background=config.background) if arrays else []


def chosen_classes(drawn: Sequence[Drawn], config: DataConfig) -> tuple[str, ...]:
    """The names of class 1, 2, ...: those that were given, else those of the shapes, sorted."""
    if config.class_names is None:
        return class_names(drawn)
    names = tuple(filter(None, map(str.strip, config.class_names.split(","))))
    if len(set(names)) < len(names) or not names:
        raise LabelError(f"--class-names {config.class_names!r} was given; each name once was expected")
    return names


def painted_as(drawn: Drawn, coding: Coding, classes: Sequence[str], config: DataConfig) -> NDArray[np.int32]:
    """The labels of shapes: classes or objects, as the coding says."""
    names = (classes or ("object",)) if coding.kind == "classes" else None
    return paint(drawn, names, Disk(config.point_radius, config.point_ring))
