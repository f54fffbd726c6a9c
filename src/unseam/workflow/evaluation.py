"""Evaluate: labels against the truth."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.config import DataConfig
from unseam.data.labels import Task
from unseam.data.pairs import Pair, find_pairs
from unseam.errors import InputError, PairingError, ShapeError
from unseam.io.annotations.files import list_labels
from unseam.io.atomic import refuse_existing, replacing
from unseam.io.images import read_image, stem
from unseam.metrics.classes import (
    ClassCounts,
    class_counts,
    dice_classes,
    dice_per_class,
    iou_classes,
    pool_classes,
)
from unseam.metrics.error_sizes import JudgedObjects, SizeGroup, by_size, judge_objects
from unseam.metrics.overlap import overlaps
from unseam.metrics.scores import ImageScores, SetScores, pool, score
from unseam.report import Report, ReportImage, write_report
from unseam.workflow.boundaries import BoundaryEvaluation, evaluate_boundaries, read_cells
from unseam.workflow.cases import Pictures, decode_cases, key_of, pictures_of, read_cases
from unseam.workflow.decoding import Classes, Decoded, decode_both
from unseam.workflow.listener import Countdown, Listener, printing
from unseam.workflow.measuring import beside

Array = NDArray[Any]


Scores = dict[str, Any]


@dataclass(frozen=True)
class ClassEvaluation:
    """Pixels by class of a set of images and of each image.

    Attributes
    ----------
    names : tuple of str
        What class 1, 2, ... is called: its value in the true label images.
    set : ClassCounts
    images : mapping of str to ClassCounts
    """

    names: tuple[str, ...]
    set: ClassCounts
    images: Mapping[str, ClassCounts]

    def scores(self, counts: ClassCounts) -> Scores:
        """Mean Dice and IoU over the classes, and the Dice of each by its name."""
        of_each = zip(self.names, dice_per_class(counts), strict=True)
        return {
            "dice_classes": dice_classes(counts),
            "iou_classes": iou_classes(counts),
            "dice_per_class": {name: None if math.isnan(value) else value for name, value in of_each},
        }


@dataclass(frozen=True)
class Evaluation:
    """Scores of a set of images and of each image; a measure of the set is also an attribute, as `.ap50`.

    Attributes
    ----------
    set : SetScores
        Pooled counts where a measure is one of counts, averages of the rest.
    images : mapping of str to ImageScores
        By stem, or "image000" for arrays.
    classes : ClassEvaluation or None
        Where the labels are classes: then `set` and `images` score their connected regions.
    errors : tuple of SizeGroup
        What became of the objects of the set, by their size, the smallest first.
    boundaries : BoundaryEvaluation or None
        Where they were asked for.
    """

    set: SetScores
    images: Mapping[str, ImageScores]
    classes: ClassEvaluation | None = None
    errors: tuple[SizeGroup, ...] = ()
    boundaries: BoundaryEvaluation | None = None

    def __repr__(self) -> str:
        scores = self.of_set()
        shown = ("ap50", "ap", "pq", "seg", "dice", "v_rand", "voi", "n_true", "n_pred", "merges", "splits")
        named = ", ".join(
            f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}"
            for name, value in ((name, scores[name]) for name in shown)
        )
        return f"Evaluation({len(self.images)} images: {named})"

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            scores = self.of_set()
            if name in scores:
                return scores[name]
        raise AttributeError(f"Evaluation has no measure {name!r}")

    def of_set(self) -> Scores:
        """Every measure of the set by its name; undefined measures are None."""
        scores: Scores = dict(self.set.to_dict())
        scores |= self.boundaries.of_set() if self.boundaries else {}
        return scores | (self.classes.scores(self.classes.set) if self.classes else {})

    def of_image(self, name: str) -> Scores:
        """Every measure of an image by its name; undefined measures are None."""
        scores: Scores = dict(self.images[name].to_dict())
        scores |= self.boundaries.of_image(name) if self.boundaries else {}
        return scores | (self.classes.scores(self.classes.images[name]) if self.classes else {})

    def to_dict(self) -> dict[str, Any]:
        """{"set": {measure: value}, "images": {stem: {measure: value}}}; undefined measures are None.

        Beside them "errors": for each group of sizes, smallest and largest area in pixels, and the counts.
        """
        errors = [{"smallest": g.smallest, "largest": g.largest, **asdict(g.counts)} for g in self.errors]
        images = {name: self.of_image(name) for name in self.images}
        return {"set": self.of_set(), "images": images, "errors": errors}


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
    return evaluate_decoded(names, decode_both(truths, predictions, task, ignore, names=names))


def evaluate_files(
    true: str | Path,
    pred: str | Path,
    *,
    images: str | Path | None = None,
    model: str | Path | None = None,
    json_file: str | Path | None = None,
    report: str | Path | None = None,
    isbi: bool = False,
    config: DataConfig | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
    **about: Any,
) -> Evaluation:
    """Score label files against the truth, both files or folders, matched by name.

    Parameters
    ----------
    true, pred : str or Path
        Label images or annotations.
    images : str or Path, optional
        The images, to be seen in the report, and to know the size of where both are annotations.
    model : str or Path, optional
        The model that predicted, or its run: the report then says what it learned from, and draws how.
    json_file, report : str or Path, optional
        Where to write the scores and the report.
    isbi : bool
        Score the boundaries too, by the measures of `unseam.metrics.isbi`: of STEM_probabilities.tif beside
        the predicted labels, whose first class is the membrane.
    config : DataConfig, optional
        What the labels mean; ignore and background are about the truth.
    **about
        Fields of `Report`: title, headline, history, command, notes.

    Raises
    ------
    OutputExistsError
        Before anything is read, if an output exists and `overwrite` is false.
    UnseamError
        As `evaluate`, and for files that cannot be read or paired.
    """
    listener, config = listener or printing(), config or DataConfig()
    if model is not None:
        from unseam.workflow.run import about_run  # which needs PyTorch, and scores do not

        about = about_run(model) | about
    if report is not None and Path(report).suffix.lower() not in (".html", ".htm"):
        raise InputError(f"the report {report} would be a page; give a name that ends in .html")
    for target in (json_file, report):
        if target is not None:
            refuse_existing(Path(target), overwrite=overwrite)
    pairs = _pairs_to_score(true, pred, listener)
    pictures = {} if images is None else pictures_of(images, true)
    cases = [case for pair in pairs for case in read_cases(pair, config, pictures, listener.say)]
    names = [case.name for case in cases]
    decoded = decode_cases(cases, config, listener)
    evaluation = evaluate_decoded(names, decoded, listener)
    if isbi:
        boundaries = evaluate_boundaries(names, decoded.true, read_cells(pairs), listener)
        evaluation = replace(evaluation, boundaries=boundaries)
    if report is not None:
        shown_images = _pictures(pictures, images, pairs, config.axes, decoded.true)
        shown = tuple(
            ReportImage(name, picture, t, p, evaluation.of_image(name))
            for name, picture, t, p in zip(names, shown_images, decoded.true, decoded.pred, strict=True)
        )
        about = {"title": f"{Path(pred).name} against {Path(true).name}"} | about
        semantic = decoded.classes is not None
        page = Report(
            images=shown, scores=evaluation.of_set(), semantic=semantic, errors=evaluation.errors, **about
        )
        write_report(report, page, overwrite=overwrite)
        listener.say(f"report: {report}")
    if json_file is not None:
        write_json(json_file, evaluation, overwrite=overwrite)
        listener.say(f"scores: {json_file}")
    return evaluation


def write_json(path: str | Path, evaluation: Evaluation, *, overwrite: bool = False) -> None:
    """Write the scores as JSON."""
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_text(
            json.dumps(evaluation.to_dict(), indent=2, allow_nan=False) + "\n", encoding="utf-8"
        )


def _pairs_to_score(true: str | Path, pred: str | Path, listener: Listener) -> list[Pair]:
    """Truths with their predictions; what is left out is said."""
    pairing = find_pairs(pred, true, list_first=list_labels)
    others = beside(pair.stem for pair in pairing.pairs)
    pairs = [pair for pair in pairing.pairs if pair.stem not in others]
    first = pairs[0]
    listener.say(f"pairs: {len(pairs)}, as truth {first.labels.name} with prediction {first.image.name}")
    alone = [path for path in pairing.images_without_labels if stem(path) not in others]
    for count, kind, lacking in (
        (len(pairing.labels_without_image), "true label images", "prediction"),
        (len(alone), "predictions", "truth"),
    ):
        if count:
            listener.say(f"left out: {count} {kind} without {lacking}")
    return pairs


def evaluate_decoded(names: Sequence[str], decoded: Decoded, listener: Listener | None = None) -> Evaluation:
    """Score what is decoded already; `names` are those of the images, each another.

    Raises
    ------
    ShapeError
        If a prediction is of another size than its truth.
    """
    scores: dict[str, ImageScores] = {}
    judged: list[JudgedObjects] = []
    countdown = Countdown(listener, "scoring", len(names)) if listener else None
    for name, truth, prediction in zip(names, decoded.true, decoded.pred, strict=True):
        if truth.shape != prediction.shape:
            raise ShapeError(
                f"{name}: the truth has shape {truth.shape} and the prediction {prediction.shape}; "
                "they must be equal"
            )
        scores[name] = score(truth, prediction)
        judged.append(judge_objects(truth, prediction))
        if countdown:
            countdown.done(len(scores))
    classes = _evaluate_classes(names, decoded.classes) if decoded.classes else None
    return Evaluation(pool(list(scores.values())), scores, classes, by_size(judged))


def _evaluate_classes(names: Sequence[str], classes: Classes) -> ClassEvaluation:
    pairs = zip(classes.true, classes.pred, strict=True)
    counts = [class_counts(overlaps(truth, pred), len(classes.names)) for truth, pred in pairs]
    of_image = dict(zip(names, counts, strict=True))
    return ClassEvaluation(classes.names[1:], pool_classes(counts), of_image)


def _pictures(
    pictures: Pictures,
    images: str | Path | None,
    pairs: Sequence[Pair],
    axes: str | None,
    truths: Sequence[NDArray[np.int32]],
) -> list[Array]:
    """The image of each truth for the report; without images, black."""
    if images is None:
        return [np.zeros((1, *truth.shape), np.uint8) for truth in truths]
    missing = [pair.labels.name for pair in pairs if key_of(pair) not in pictures]
    if missing:
        raise PairingError(
            f"{images} has no image for {missing[0]} ({len(missing)} missing in all); "
            "add them, or leave out --images"
        )
    files = [read_image(pictures[key_of(pair)], axes=axes) for pair in pairs]
    return [frame.data for file in files for frame in file.frames()]
