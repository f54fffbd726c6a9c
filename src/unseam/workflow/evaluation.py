"""Evaluate and measure: labels against the truth, and labels in numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.data.labels import Task, decode, recognise_coding
from unseam.data.pairs import Pair, find_pairs
from unseam.errors import PairingError, ShapeError
from unseam.instances import label_class_regions
from unseam.io.atomic import refuse_existing, replacing
from unseam.io.images import list_images, read_image, read_labels, stem
from unseam.measure import measure
from unseam.metrics.scores import ImageScores, SetScores, pool, score
from unseam.report import Report, ReportImage, write_report
from unseam.workflow.listener import Countdown, Listener, printing
from unseam.workflow.loading import describe_pairing

Array = NDArray[Any]


@dataclass(frozen=True)
class Evaluation:
    """Scores of a set of images and of each image; a measure of the set is also an attribute, as `.ap50`.

    Attributes
    ----------
    set : SetScores
        Pooled counts where a measure is one of counts, averages of the rest.
    images : mapping of str to ImageScores
        By stem, or "image000" for arrays.
    """

    set: SetScores
    images: Mapping[str, ImageScores]

    def __getattr__(self, name: str) -> float | int | None:
        if not name.startswith("_"):
            scores = self.set.to_dict()
            if name in scores:
                return scores[name]
        raise AttributeError(f"Evaluation has no measure {name!r}")

    def to_dict(self) -> dict[str, Any]:
        """{"set": {measure: value}, "images": {stem: {measure: value}}}; undefined measures are None."""
        return {
            "set": self.set.to_dict(),
            "images": {name: scores.to_dict() for name, scores in self.images.items()},
        }


def evaluate(
    labels_true: Array | Sequence[Array],
    labels_pred: Array | Sequence[Array],
    *,
    ignore: int | None = None,
    task: Task = "auto",
) -> Evaluation:
    """Score predicted labels against true ones.

    Parameters
    ----------
    labels_true, labels_pred : ndarray (*spatial), or a list of them
        Instances, 0/255 masks (whose instances are their connected components) or classes.
    ignore : int, optional
        Value in the truth of pixels that count nowhere.
    task : {"auto", "instances", "semantic"}
        What the values mean.

    Raises
    ------
    PairingError
        If there are not as many predictions as truths, or none.
    ShapeError, LabelError
        If a pair differs in shape, or values are no labels.

    Examples
    --------
    >>> evaluate(np.array([[1, 1, 0, 2]]), np.array([[1, 1, 0, 0]])).ap50
    0.5
    """
    truths = [labels_true] if isinstance(labels_true, np.ndarray) else [np.asarray(t) for t in labels_true]
    predictions = (
        [labels_pred] if isinstance(labels_pred, np.ndarray) else [np.asarray(p) for p in labels_pred]
    )
    if len(truths) != len(predictions) or not truths:
        raise PairingError(
            f"{len(truths)} true and {len(predictions)} predicted label images were given; "
            "one prediction for each truth was expected, and at least one"
        )
    names = [f"image{number:03}" for number in range(len(truths))]
    return _evaluate(names, _decoded(truths, task, ignore), _decoded(predictions, task, None))


def evaluate_files(
    true: str | Path,
    pred: str | Path,
    *,
    images: str | Path | None = None,
    json_file: str | Path | None = None,
    report: str | Path | None = None,
    ignore: int | None = None,
    task: Task = "auto",
    overwrite: bool = False,
    listener: Listener | None = None,
    **about: Any,
) -> Evaluation:
    """Score label files against the truth, both files or folders, matched by name.

    Parameters
    ----------
    true, pred : str or Path
    images : str or Path, optional
        The images, to be seen in the report.
    json_file, report : str or Path, optional
        Where to write the scores and the report.
    ignore, task
        See `evaluate`.
    **about
        Fields of `Report`: title, headline, history, command, notes.
    """
    listener = listener or printing()
    for target in (json_file, report):
        if target is not None:
            refuse_existing(Path(target), overwrite=overwrite)
    pairing = find_pairs(pred, true)
    listener.say(
        f"pairs: {len(pairing.pairs)}, as {pairing.pairs[0].labels.name} with {pairing.pairs[0].image.name}"
    )
    if pairing.labels_without_image:
        listener.say(f"{len(pairing.labels_without_image)} truths have no prediction and are left out")
    truths = [read_labels(pair.labels).data[0] for pair in pairing.pairs]
    predictions = [read_labels(pair.image).data[0] for pair in pairing.pairs]
    names = [pair.stem for pair in pairing.pairs]
    decoded_true = _decoded(truths, task, ignore, listener, "truth")
    decoded_pred = _decoded(predictions, task, None, listener, "prediction")
    evaluation = _evaluate(names, decoded_true, decoded_pred, listener)
    if json_file is not None:
        write_json(json_file, evaluation, overwrite=overwrite)
        listener.say(f"scores: {json_file}")
    if report is not None:
        pictures = _pictures(images, pairing.pairs, decoded_true)
        shown = tuple(
            ReportImage(name, picture, t, p, evaluation.images[name].to_dict())
            for name, picture, t, p in zip(names, pictures, decoded_true, decoded_pred, strict=True)
        )
        about = {"title": f"{Path(pred).name} against {Path(true).name}"} | about
        write_report(
            report, Report(images=shown, scores=evaluation.set.to_dict(), **about), overwrite=overwrite
        )
        listener.say(f"report: {report}")
    return evaluation


def write_json(path: str | Path, evaluation: Evaluation, *, overwrite: bool = False) -> None:
    """Write the scores as JSON."""
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_text(
            json.dumps(evaluation.to_dict(), indent=2, allow_nan=False) + "\n", encoding="utf-8"
        )


def measure_files(
    labels: str | Path,
    images: str | Path | None,
    out: str | Path,
    *,
    pixel_size: float | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> int:
    """Measure the objects of a label file, or of a folder of them, into one CSV; returns their number.

    With a folder the table has a column `image`, the stem.
    """
    listener, out = listener or printing(), Path(out)
    refuse_existing(out, overwrite=overwrite)
    if images is None:
        pairs: list[tuple[Path, Path | None]] = [(path, None) for path in list_images(labels)]
    else:
        pairing = find_pairs(images, labels)
        pairs = [(pair.labels, pair.image) for pair in pairing.pairs]
        listener.say(describe_pairing(pairing))
    rows: list[dict[str, Any]] = []
    countdown = Countdown(listener, "measuring", len(pairs))
    for done, (label_path, image_path) in enumerate(pairs, start=1):
        rows += _measure_pair(label_path, image_path, pixel_size, name_it=Path(labels).is_dir())
        countdown.done(done)
    _write_rows(rows, out, overwrite=overwrite)
    listener.say(f"{len(rows)} objects: {out}")
    return len(rows)


def _measure_pair(
    label_path: Path, image_path: Path | None, pixel_size: float | None, *, name_it: bool
) -> list[dict[str, Any]]:
    read = read_labels(label_path)
    image = read_image(image_path) if image_path else None
    spacing = read.spacing or (image.spacing if image else None)
    if spacing is None and pixel_size is not None:
        spacing = (pixel_size,) * read.spatial_dims
    decoded = _decoded([read.data[0]], "auto", None)[0]
    if image is not None and image.data.shape[1:] != decoded.shape:
        raise ShapeError(
            f"{image_path} is {image.data.shape[1:]} and its labels {label_path} {decoded.shape}; "
            "they must be equal"
        )
    table = measure(decoded, None if image is None else image.data, spacing=spacing)
    return [({"image": stem(label_path)} if name_it else {}) | row for row in table.rows()]


def _write_rows(rows: Sequence[dict[str, Any]], out: Path, *, overwrite: bool) -> None:
    import csv

    names = list(dict.fromkeys(key for row in rows for key in row)) or ["id"]
    with (
        replacing(out, overwrite=overwrite) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _evaluate(
    names: Sequence[str],
    truths: Sequence[Array],
    predictions: Sequence[Array],
    listener: Listener | None = None,
) -> Evaluation:
    scores: dict[str, ImageScores] = {}
    countdown = Countdown(listener, "scoring", len(names)) if listener else None
    for name, truth, prediction in zip(names, truths, predictions, strict=True):
        if truth.shape != prediction.shape:
            raise ShapeError(
                f"{name}: the truth is {truth.shape} and the prediction {prediction.shape}, not equal"
            )
        scores[name] = score(truth, prediction)
        if countdown:
            countdown.done(len(scores))
    return Evaluation(pool(list(scores.values())), scores)


def _decoded(
    arrays: Sequence[Array], task: Task, ignore: int | None, listener: Listener | None = None, what: str = ""
) -> list[NDArray[np.int32]]:
    """Instances of each array; the connected regions of each class where the values are classes."""
    coding = recognise_coding(arrays, task=task, ignore=ignore)
    if listener:
        listener.say(f"{what}: {coding.reason}")
    decoded = [decode(array, coding, ignore) for array in arrays]
    return [label_class_regions(d) for d in decoded] if coding.kind == "classes" else decoded


def _pictures(
    images: str | Path | None, pairs: Sequence[Pair], truths: Sequence[NDArray[np.int32]]
) -> list[Array]:
    """The image of each pair for the report; without images, the outlines of the truth on black."""
    if images is None:
        return [np.zeros((1, *truth.shape), np.uint8) for truth in truths]
    by_stem = {pair.labels: pair.image for pair in find_pairs(images, pairs[0].labels.parent).pairs}
    missing = [pair.labels.name for pair in pairs if pair.labels not in by_stem]
    if missing:
        raise PairingError(f"{images} has no image for {missing[0]} ({len(missing)} missing in all)")
    return [read_image(by_stem[pair.labels]).data for pair in pairs]
