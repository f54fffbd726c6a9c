"""The words and numbers of the report: what happened, in plain sentences, and what each measure means."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

from unseam.metrics.matching import Outcomes

NOTHING = "\N{EN DASH}"
"""Stands for a number that is undefined."""

KINDS = {
    "hit": "found: IoU 0.5 or more, even where a smaller piece lies beside",
    "merged": "two or more true objects joined into one predicted object",
    "split": "one true object cut into several predicted objects",
    "missed": "a true object that the prediction lacks, or outlines too badly to count (IoU below 0.5)",
    "false": "a predicted object that matches no true one, nor is it part of a merge or split",
}
"""What became of an object, and what that means; in the order of the legend."""

MEASURES: dict[str, tuple[str, str]] = {
    "ap50": ("AP at IoU 0.5", "objects found, of all that are true or predicted; found: IoU 0.5 or more"),
    "ap75": ("AP at IoU 0.75", "the same, counting only outlines that are nearly exact"),
    "ap": ("AP, mean", "mean of AP over IoU thresholds 0.5, 0.55, … 0.95"),
    "f1_50": ("F1 at IoU 0.5", "harmonic mean of precision and recall"),
    "precision_50": ("Precision", "part of the predicted objects that are right"),
    "recall_50": ("Recall", "part of the true objects that were found"),
    "pq": ("Panoptic quality", "F1 times the mean IoU of the objects found"),
    "seg": ("SEG", "mean IoU over all true objects, 0 where one is missed (Cell Tracking Challenge)"),
    "aji": ("AJI", "intersection over union, summed over objects; errors of objects cost their area"),
    "dice": ("Dice", "overlap of the foregrounds: twice the intersection, over both areas"),
    "iou": ("IoU", "overlap of the foregrounds: intersection over union"),
    "pixel_error": ("Pixel error", "part of the pixels that are foreground in only one; 0 is perfect"),
    "v_rand": ("V Rand", "pairs of pixels that rightly lie in one object or in two; merges cost much"),
    "v_info": ("V info", "information that the two partitions share"),
    "rand_error": ("Rand error", "1 minus V Rand; 0 is perfect"),
    "voi": ("Variation of information", "bits (log to base 2) in which the partitions differ; 0 is perfect"),
    "voi_split": ("… from splits", "the part of it that splits make: H(predicted | true)"),
    "voi_merge": ("… from merges", "the part of it that merges make: H(true | predicted)"),
    "n_true": ("True objects", "number of objects in the truth"),
    "n_pred": ("Predicted objects", "number of objects in the prediction"),
    "merges": ("Merges", "predicted objects that cover more than half of two or more true ones"),
    "splits": ("Splits", "true objects that hold more than half of two or more predicted ones"),
}
"""Label and explanation of each measure, in the order of the table."""

OF_CLASSES: dict[str, tuple[str, str]] = {
    "dice_classes": (
        "Dice of classes",
        "mean over the classes: twice the intersection, over both areas",
    ),
    "iou_classes": ("IoU of classes", "mean over the classes: intersection over union"),
}
"""The same for measures that only images of classes have; they stand before the others."""

OF_BOUNDARIES: dict[str, tuple[str, str]] = {
    "isbi_v_rand_thinned": ("V Rand, thinned", "V Rand of the cells between membranes without width"),
    "isbi_v_info_thinned": ("V info, thinned", "V info of the same"),
    "isbi_v_rand": ("V Rand, best threshold", "V Rand of the cells between the membranes as predicted"),
    "isbi_v_info": ("V info, best threshold", "V info of the same"),
    "isbi_rand_error": ("Rand error, best threshold", "1 minus that V Rand; 0 is perfect"),
    "isbi_warping_error": (
        "Warping error",
        "part of the pixels that differ when membranes are moved to where they are predicted; 0 is perfect",
    ),
    "isbi_split_merge_error": ("… from merges, splits", "the part of it that merges or splits cells"),
    "isbi_pixel_error": (
        "Pixel error, best threshold",
        "1 minus the largest Dice of the cells; 0 is perfect",
    ),
    "isbi_pixel_disagreement": (
        "Disagreement, best threshold",
        "part of the pixels that are cell in only one",
    ),
}
"""The same for the measures of the ISBI 2012 challenge, where they are asked for; they stand first."""

MAIN = ("ap50", "ap", "precision_50", "recall_50", "seg", "dice", "v_rand", "voi")
"""The measures that are seen at once; the others are folded away."""

OF_PIXELS = (*OF_CLASSES, "dice", "iou", "pixel_error")
IN_A_ROW = ("ap50", "seg", "pq", "dice", "n_true", "n_pred", "merges", "splits")
"""The measures that stand beside a single image."""


@dataclass(frozen=True)
class Tally:
    """Numbers of true objects by what became of them, and of predicted objects that match none."""

    hit: int = 0
    merged: int = 0
    split: int = 0
    missed: int = 0
    false: int = 0

    @property
    def n_true(self) -> int:
        """Number of true objects."""
        return self.hit + self.merged + self.split + self.missed

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


def tally(outcomes: Outcomes) -> Tally:
    """Count the outcomes of an image."""
    true, pred = list(outcomes.true.values()), list(outcomes.pred.values())
    return Tally(
        hit=true.count("hit"),
        merged=true.count("merged"),
        split=true.count("split"),
        missed=true.count("missed"),
        false=pred.count("false"),
    )


def number(value: float | int | None) -> str:
    """Return a number with the digits that a reader wants: counts whole, scores to three decimals.

    Examples
    --------
    >>> number(12345), number(0.87654), number(0.000353), number(float("nan"))
    ('12,345', '0.877', '0.00035', '–')
    """
    if value is None or math.isnan(value):
        return NOTHING
    if isinstance(value, int) or math.isinf(value):
        return f"{value:,}"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 0.001 or size == 0:
        return f"{value:.3f}"
    return f"{value:.2g}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun: "1 object", "2,000 objects"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def verdict(of: Tally, n_images: int, mean_iou: float = math.nan) -> str:
    """Return the result in plain words: how many objects are found, and what became of the others.

    `mean_iou` is that of the objects found, NaN where it is not known.
    """
    found = f"found (IoU 0.5 or more{'' if math.isnan(mean_iou) else f', {mean_iou:.2f} in the mean'})"
    images = f"in {plural(n_images, 'image')}"
    false = (
        f"{plural(of.false, 'predicted object')} {'matches' if of.false == 1 else 'match'} no true object."
    )
    if not of.n_true:
        return f"There are no true objects {images}." + (f" {false}" if of.false else "")
    if of.hit == of.n_true:
        whole = "The one object" if of.n_true == 1 else f"All {of.n_true:,} objects"
        first = f"{whole} {images} {_is(of.n_true)} {found}."
    else:
        wrong = [
            f"{count:,} {_is(count)} {what}"
            for count, what in (
                (of.merged, "merged with a neighbour"),
                (of.split, "split"),
                (of.missed, "missed"),
            )
            if count
        ]
        first = (
            f"Of {plural(of.n_true, 'object')} {images}, {_some(of.hit)} {_is(of.hit)} {found}; "
            f"{_listed(wrong)}."
        )
    return f"{first} {false}" if of.false else first


def verdict_of_pixels(dice: float | None, pixel_error: float | None, n_images: int) -> str:
    """Return the result of a segmentation into foreground and background in plain words."""
    where = f" in {plural(n_images, 'image')}" if n_images else ""
    if dice is None or math.isnan(dice):
        return f"The prediction could not be scored{where}."
    sentence = f"Prediction and truth overlap with a Dice of {number(dice)}{where}"
    if pixel_error is None or math.isnan(pixel_error):
        return f"{sentence}."
    percent = 100 * pixel_error
    share = f"{percent:.1f}" if percent >= 0.1 or not percent else number(percent)
    return f"{sentence}; {share} % of the pixels are wrong."


def verdict_of_classes(dice: float, n_images: int) -> str:
    """Return the result of a segmentation into classes in plain words."""
    where = f" in {plural(n_images, 'image')}" if n_images else ""
    return f"Prediction and truth overlap with a Dice of {number(dice)}{where}, the mean over the classes."


def verdict_without_truth(n_objects: int, n_images: int) -> str:
    """Return what a prediction without truth found."""
    where = f"in {plural(n_images, 'image')}"
    return f"{plural(n_objects, 'object')} found {where}. There is no truth to compare with."


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _some(count: int) -> str:
    return f"{count:,}" if count else "none"


def _listed(parts: Iterable[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
