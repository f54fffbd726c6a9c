"""What `unseam evaluate` compares: truth and prediction of each image, from label images or annotations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unseam.axes import times
from unseam.config import DataConfig
from unseam.data.drawn import Drawn, Extent, coding_of, describe_drawn, drawn_frames, extent_of, frames_of
from unseam.data.labels import recognise_coding
from unseam.data.pairs import Pair, find_pairs
from unseam.data.sample import IGNORE
from unseam.errors import LabelError, ShapeError
from unseam.io.annotations.files import is_annotation, read_annotations
from unseam.io.annotations.record import Annotations
from unseam.io.images import Image, read_image, read_labels
from unseam.workflow.decoding import Array, Decoded, decode_both
from unseam.workflow.listener import Listener
from unseam.workflow.truths import Truth, chosen_classes, marked, painted_as, task_of

Pictures = Mapping[tuple[Path, str], Path]
"""The image of each truth, by its file and by what a file of several images calls it."""


@dataclass(frozen=True)
class Case:
    """A true and a predicted label image, as read."""

    name: str
    true: Truth
    pred: Truth


def pictures_of(images: str | Path, true: str | Path) -> Pictures:
    """The images of truths.

    Raises
    ------
    PairingError
        As `find_pairs`.
    """
    return {key_of(pair): pair.image for pair in find_pairs(images, true).pairs}


def key_of(pair: Pair) -> tuple[Path, str]:
    """What tells a truth from all others."""
    return pair.labels, pair.within if is_annotation(pair.labels) else ""


def read_cases(
    pair: Pair, config: DataConfig, pictures: Pictures, say: Callable[[str], None] = lambda _: None
) -> list[Case]:
    """The labels of two files: of one image, or of each frame of a time series.

    Raises
    ------
    ShapeError
        If they differ in size, or in their number of frames.
    LabelError
        If both are annotations, and the size of the image is not known.
    UnseamError
        As the readers.
    """
    true, pred = (_read(path, pair.within, config, say) for path in (pair.labels, pair.image))
    if isinstance(true, Image) and isinstance(pred, Image):
        truths, predictions = _frames_alike(true, pred)
    else:
        of = next((one for one in (pred, true) if isinstance(one, Image)), None)
        extent = extent_of(of) if of else _extent(pair, true, pred, config, pictures)
        truths = _frames(true, extent, pair.labels)
        predictions = _frames(pred, extent, pair.image)
    names = [pair.stem if len(truths) == 1 else f"{pair.stem}_t{number:03}" for number in range(len(truths))]
    return [Case(*case) for case in zip(names, truths, predictions, strict=True)]


def decode_cases(cases: Sequence[Case], config: DataConfig, listener: Listener) -> Decoded:
    """Decode truths and predictions alike; see `decode_both`. Annotations are painted first.

    Raises
    ------
    PairingError
        If some are annotations, others images, and they are to be classes.
    LabelError
        As `recognise_coding`, `decode` and `paint`.
    """
    truths, predictions = [case.true for case in cases], [case.pred for case in cases]
    drawn = [one for one in (*truths, *predictions) if isinstance(one, Drawn)]
    task = task_of(len(truths) + len(predictions) - len(drawn), len(drawn), config)
    arrays = marked([one for one in truths if not isinstance(one, Drawn)], config)
    drawn_truths = [one for one in truths if isinstance(one, Drawn)]
    classes = chosen_classes(drawn, config)  # of both sides, so that a class has one number
    if drawn_truths:
        of_true = coding_of(drawn_truths, task, classes)
    else:
        of_true = recognise_coding(arrays, task=task, ignore=IGNORE)
    if drawn:
        listener.say(describe_drawn(drawn))
    rest = iter(arrays)
    painted_true = [
        painted_as(one, of_true, classes, config) if isinstance(one, Drawn) else next(rest) for one in truths
    ]
    painted_pred: list[Array] = [
        np.maximum(painted_as(one, of_true, classes, config), 0) if isinstance(one, Drawn) else one
        for one in predictions
    ]
    names = [case.name for case in cases]
    return decode_both(painted_true, painted_pred, task, IGNORE, listener, names, of_true=of_true)


def _read(path: Path, within: str, config: DataConfig, say: Callable[[str], None]) -> Image | Annotations:
    if is_annotation(path):
        return read_annotations(path, within or None, say=say)
    return read_labels(path, axes=config.axes)


def _frames_alike(true: Image, pred: Image) -> tuple[list[Truth], list[Truth]]:
    """The frames of two label images."""
    truths, predictions = true.frames(), pred.frames()
    if len(truths) != len(predictions):
        raise ShapeError(
            f"the truth {true.path} has {len(truths)} frames and the prediction {pred.path} "
            f"{len(predictions)}; they must be equal"
        )
    for truth, prediction in zip(truths, predictions, strict=True):
        if truth.data.shape != prediction.data.shape:
            raise ShapeError(
                f"the truth {true.path} is {times(truth.data.shape[1:])} pixels and the prediction "
                f"{pred.path} {times(prediction.data.shape[1:])}; they must be equal"
            )
    return [one.data[0] for one in truths], [one.data[0] for one in predictions]


def _frames(labels: Image | Annotations, extent: Extent, path: Path) -> list[Truth]:
    if isinstance(labels, Image):
        return [frame.data[0] for frame in labels.frames()]
    return list(drawn_frames(labels, extent, path))


def _extent(
    pair: Pair, true: Image | Annotations, pred: Image | Annotations, config: DataConfig, pictures: Pictures
) -> Extent:
    """How large an image is of which truth and prediction are annotations."""
    if key_of(pair) in pictures:
        return extent_of(read_image(pictures[key_of(pair)], axes=config.axes))
    for one in (true, pred):
        if isinstance(one, Annotations) and one.size is not None:
            return Extent(one.size, frames_of(one))
    raise LabelError(
        f"neither {pair.labels} nor {pair.image} says how large the image is; give the images by --images"
    )
