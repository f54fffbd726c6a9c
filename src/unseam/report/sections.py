"""The sections of the page, as plain values for the template."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.draw import display, middle_slice
from unseam.fingerprint import equivalent_diameter
from unseam.metrics.error_sizes import ErrorCounts
from unseam.metrics.matching import object_outcomes
from unseam.report import words
from unseam.report.pictures import Picture, difference_layer, outcome_layer, photograph
from unseam.report.record import Report, ReportImage
from unseam.report.words import Tally, number, plural, tally
from unseam.report.worst import Judged

EXPLAINED = {**words.OF_BOUNDARIES, **words.OF_CLASSES, **words.MEASURES}


@dataclass(frozen=True, eq=False)
class Row:
    """An image; its objects and their tally, where they are judged; its place in the order, low is bad."""

    image: ReportImage
    judged: Judged | None
    tally: Tally | None
    rank: float


def judge(image: ReportImage, semantic: bool) -> Row:
    """Return what became of the objects of an image, and how good it is: AP at IoU 0.5, or Dice."""
    if image.labels_true is None or semantic:
        scores = image.scores or {}
        dice = scores.get("dice_classes", scores.get("dice"))
        return Row(image, None, None, math.inf if dice is None or math.isnan(dice) else dice)
    outcomes = object_outcomes(image.labels_true, image.labels_pred)
    judged = Judged(image.stem, image.image, image.labels_true, image.labels_pred, outcomes)
    counts = tally(outcomes)
    tp, unmatched = counts.hit, sum(kind != "hit" for kind in outcomes.pred.values())
    objects = counts.n_true + unmatched
    return Row(image, judged, counts, tp / objects if objects else 1.0)


def sentence(report: Report, total: Tally, n_judged: int) -> str:
    """Return the verdict on the whole set in words; empty where there is no image."""
    n_images = len(report.images)
    if report.semantic and (of_classes := report.scores.get("dice_classes")) is not None:
        return words.verdict_of_classes(of_classes, n_images)
    if report.semantic and report.scores:
        return words.verdict_of_pixels(report.scores.get("dice"), report.scores.get("pixel_error"), n_images)
    if n_judged:
        return words.verdict(total, n_judged, _mean_iou(report) if total.hit else math.nan)
    if n_images:
        return words.verdict_without_truth(
            sum(_n_objects(one.labels_pred) for one in report.images), n_images
        )
    return ""


def _mean_iou(report: Report) -> float:
    """Mean IoU of the objects found: panoptic quality is F1 times it."""
    pq, f1 = report.scores.get("pq"), report.scores.get("f1_50")
    return pq / f1 if pq is not None and f1 else math.nan


def _n_objects(labels: NDArray[Any]) -> int:
    return int(np.count_nonzero(np.unique(labels) > 0))


@dataclass(frozen=True)
class Stat:
    """A large number, its name, and what to compare it with."""

    value: str
    label: str
    detail: str


def stats_of(report: Report, total: Tally | None) -> list[Stat]:
    """Return the large numbers of the page's top."""
    scores = report.scores
    if report.semantic and scores:
        names = (name for name in words.OF_PIXELS if name in scores)
        return [Stat(number(scores[name]), *EXPLAINED[name]) for name in names]
    stats = []
    if "ap50" in scores:
        stats.append(Stat(number(scores["ap50"]), "AP at IoU 0.5", "1 is perfect"))
    if total is not None:
        share = f"{100 * total.hit / max(1, total.n_true):.0f} % of {total.n_true:,} true"
        stats.append(Stat(number(total.hit), "found", share))
    if "n_pred" in scores:
        stats.append(Stat(number(scores["n_pred"]), "predicted", f"{number(scores.get('n_true'))} true"))
    for name, what in (("merges", "predicted over several true"), ("splits", "true in several pieces")):
        if name in scores:
            stats.append(Stat(number(scores[name]), name, what))
    if not stats and report.images:
        n_objects = sum(_n_objects(one.labels_pred) for one in report.images)
        stats = [
            Stat(number(n_objects), "objects", "in the prediction"),
            Stat(number(len(report.images)), "images", f"{n_objects / len(report.images):.1f} objects each"),
        ]
    return stats


@dataclass(frozen=True)
class Line:
    """A line of the score table; `bar` is the length of its bar, 0 to 1, None where a bar makes no sense."""

    label: str
    meaning: str
    value: str
    bar: float | None
    main: bool


def score_table(report: Report) -> list[Line]:
    """Return the known measures among the scores of the set."""
    lines = []
    main = (*words.OF_BOUNDARIES, *(words.OF_PIXELS if report.semantic else words.MAIN))
    for name in (name for name in EXPLAINED if name in report.scores):
        value = report.scores[name]
        defined = value is not None and 0 <= value <= 1 and not isinstance(value, int)
        bar = value if defined and not name.startswith("voi") else None
        lines.append(Line(*EXPLAINED[name], number(value), bar, name in main))
    return lines


@dataclass(frozen=True)
class SizeLine:
    """A line of the table of errors: sizes in words, what became of the objects, share found, 0 to 1."""

    sizes: str
    counts: ErrorCounts
    found: float


def size_lines(report: Report) -> list[SizeLine]:
    """Return the errors by size, as equivalent diameters; none where foreground alone is looked at."""
    dims = max((image.labels_pred.ndim for image in report.images), default=2)
    lines = []
    for group in () if report.semantic else report.errors:
        ends = equivalent_diameter(np.array([group.smallest, group.largest]), dims)
        low, high = (f"{end:.0f}" for end in ends)
        sizes = f"{low} px" if low == high else f"{low} to {high} px"
        lines.append(SizeLine(sizes, group.counts, group.counts.found / group.counts.n_true))
    return lines


@dataclass(frozen=True)
class Shown:
    """An image with its layers and its line of scores, ready for the page."""

    stem: str
    key: str
    slice: str
    picture: Picture
    layer_true: str | None
    layer_pred: str
    tally: Tally | None
    scores: list[tuple[str, str, str]]
    objects: str


def pictures_of(row: Row, position: int, semantic: bool) -> Shown:
    """Return an image as the page shows it; of a volume the middle slice."""
    image, true, pred = row.image.image, row.image.labels_true, row.image.labels_pred
    where = ""
    if pred.ndim == 3:
        where = f"slice z = {pred.shape[0] // 2} of {pred.shape[0]}"
        pred = middle_slice(pred)
        true = None if true is None else middle_slice(true)
    layer_true, layer_pred = _layers(row.judged, true, pred)
    scores = row.image.scores or {}
    wanted = words.OF_PIXELS if semantic else words.IN_A_ROW
    return Shown(
        stem=row.image.stem,
        key=f"image-{position}",
        slice=where,
        picture=photograph(display(image)),
        layer_true=layer_true,
        layer_pred=layer_pred,
        tally=row.tally,
        scores=[(*EXPLAINED[name], number(scores[name])) for name in wanted if name in scores],
        objects="" if semantic else plural(_n_objects(row.image.labels_pred), "object"),
    )


def _layers(judged: Judged | None, true: NDArray[Any] | None, pred: NDArray[Any]) -> tuple[str | None, str]:
    """Return the outlines of a slice of truth and prediction: by outcome, or of the foreground."""
    if true is None:
        return None, difference_layer(None, pred)
    if judged is None:
        return difference_layer(None, true), difference_layer(true, pred)
    return outcome_layer(true, judged.outcomes.true), outcome_layer(pred, judged.outcomes.pred)
