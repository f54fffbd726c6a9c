"""Out of fold: each image predicted by the model that did not see it, scored, and what is chosen by it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unseam.config import ObjectConfig
from unseam.data.sample import Sample
from unseam.decisions import to_labels
from unseam.instances import label_class_regions
from unseam.io.images import write_tiff
from unseam.metrics.scores import pool, score
from unseam.plan import is_tiled
from unseam.prediction import Model
from unseam.report import Report, ReportImage, write_report
from unseam.workflow.decoding import Classes, Decoded
from unseam.workflow.evaluation import Evaluation, evaluate_decoded
from unseam.workflow.folds.record import HONEST, Chosen, OutOfFold
from unseam.workflow.listener import Countdown, Listener
from unseam.workflow.validation import MOST_TO_HOLD_OUT, choose_on


def predict_fold(
    model: Model, fold: int, images: Sequence[tuple[str, Sample]], countdown: Countdown, *, before: int
) -> list[OutOfFold]:
    """Predict the images of a fold at the size at which they were learned from.

    `before` is how many images were predicted of other folds; probabilities are kept of the first
    `MOST_TO_HOLD_OUT` of each fold, as many as `unseam train` chooses on.
    """
    found = []
    for k, (name, sample) in enumerate(images):
        result = model.predict(sample.image, zoom=1.0)
        kept = result.probabilities if k < MOST_TO_HOLD_OUT and model.header.task == "instances" else None
        found.append(OutOfFold(name, fold, sample, result.labels, kept))
        countdown.done(before + k + 1, name)
    return found


def evaluate_out_of_fold(
    predictions: Sequence[OutOfFold], task: str, classes: Sequence[str], listener: Listener | None = None
) -> Evaluation:
    """Score predictions; `classes` are the names of class 0, 1, ... where the task is "semantic"."""
    names = [one.name for one in predictions]
    truths, found = [one.sample.labels for one in predictions], [one.labels for one in predictions]
    if task == "instances":
        return evaluate_decoded(names, Decoded(truths, found), listener)
    regions = [[label_class_regions(labels) for labels in side] for side in (truths, found)]
    decoded = Decoded(regions[0], regions[1], Classes(tuple(classes), truths, found))
    return evaluate_decoded(names, decoded, listener)


def choose_together(
    predictions: Sequence[OutOfFold], model: Model, objects: ObjectConfig, free: Collection[str]
) -> Chosen:
    """Thresholds and growth that are best on the out-of-fold probabilities; `model` is one of the folds."""
    with_maps = [(one.sample, one.probabilities) for one in predictions if one.probabilities is not None]
    if model.header.task != "instances" or not free or not with_maps:
        return Chosen(objects)
    samples, maps = [sample for sample, _ in with_maps], [p for _, p in with_maps]
    fingerprint = model.header.fingerprint
    of_partition = fingerprint is not None and is_tiled(fingerprint)
    best = choose_on(maps, samples, objects, free=free, of_partition=of_partition)
    pairs = zip(samples, maps, strict=True)
    pooled = pool([score(s.labels, to_labels(p, "instances", best)) for s, p in pairs]).to_dict()
    scores = {name: float(pooled[name] or 0.0) for name in main_measures(model)}
    return Chosen(best, tuple(free), len(samples), scores)


def main_measures(model: Model) -> tuple[str, ...]:
    """The measures that are told; the first one decides."""
    if model.header.task == "semantic":
        return ("dice_classes", "iou_classes")
    fingerprint = model.header.fingerprint
    return (
        ("v_info", "v_rand", "ap50")
        if fingerprint is not None and is_tiled(fingerprint)
        else ("ap", "ap50", "dice")
    )


def write_labels(folder: Path, predictions: Sequence[OutOfFold]) -> None:
    """Write the labels of each image as NAME.tif, in place of those of an earlier run."""
    for one in predictions:
        axes = "YX" if one.labels.ndim == 2 else "ZYX"
        path = folder / f"{one.name}.tif"
        write_tiff(path, one.labels, axes=axes, spacing=one.sample.spacing, overwrite=True)


def write_page(
    path: Path,
    predictions: Sequence[OutOfFold],
    evaluation: Evaluation,
    *,
    headline: Sequence[tuple[str, str]],
    semantic: bool,
) -> None:
    """Write the report: every image with the prediction of the model that did not see it."""
    images = tuple(
        ReportImage(one.name, one.sample.image, one.sample.labels, one.labels, evaluation.of_image(one.name))
        for one in predictions
    )
    page = Report(
        title="cross-validation: every image predicted by a model that did not see it",
        headline=tuple(headline),
        images=images,
        scores=evaluation.of_set(),
        notes=(HONEST,),
        semantic=semantic,
        errors=evaluation.errors,
    )
    write_report(path, page, overwrite=True)


def document_of(
    evaluation: Evaluation, of_folds: Sequence[Evaluation], chosen: Chosen, models: Sequence[str]
) -> dict[str, Any]:
    """All scores for a JSON file: as `unseam evaluate` writes them, and those of each fold."""
    each = zip(models, of_folds, strict=True)
    folds = [{"model": m, "set": e.of_set(), "images": list(e.images)} for m, e in each]
    return {**evaluation.to_dict(), "folds": folds, "together": asdict(chosen) | {"note": HONEST}}
