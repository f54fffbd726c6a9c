"""Agreement class by class: each class in turn is the foreground, all others are background.

Class 0 is the background and has no score of its own. A class that occurs in neither truth nor prediction
is undefined (NaN) and left out of the mean; where no class occurs, the mean is 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from unseam.errors import InputError, LabelError
from unseam.metrics.overlap import Counts, Overlaps
from unseam.metrics.pixel import PixelCounts, dice, iou


@dataclass(frozen=True)
class ClassCounts:
    """Pixels by class, of one image or, summed, of a set.

    Attributes
    ----------
    of_class : tuple of PixelCounts
        One for each class but the background: the first is of class 1.
    """

    of_class: tuple[PixelCounts, ...]


def class_counts(overlap: Overlaps, n_classes: int) -> ClassCounts:
    """Return the pixel counts of each class; ignored pixels are left out.

    Parameters
    ----------
    overlap : Overlaps
        Of a true and a predicted image of classes, 0 to `n_classes` - 1.
    n_classes : int
        Number of classes, background included.

    Raises
    ------
    LabelError
        If there is a class of `n_classes` or more.

    Examples
    --------
    >>> from unseam.metrics.overlap import overlaps
    >>> class_counts(overlaps(np.array([1, 1, 2, -1]), np.array([1, 2, 2, 1])), 3).of_class[0]
    PixelCounts(tp=1, fp=0, fn=1, tn=1)
    """
    highest = max(overlap.ids_true.max(initial=0), overlap.ids_pred.max(initial=0))
    if highest >= n_classes:
        raise LabelError(f"class {highest} was found; expected classes 0 to {n_classes - 1}")
    true = _by_class(overlap.ids_true, overlap.area_true, n_classes)
    pred = _by_class(overlap.ids_pred, overlap.area_pred, n_classes)
    pair_true, pair_pred = overlap.ids_true[overlap.pair_true], overlap.ids_pred[overlap.pair_pred]
    same = pair_true == pair_pred
    both = _by_class(pair_true[same], overlap.pair_area[same], n_classes)
    return ClassCounts(
        tuple(
            PixelCounts(tp=b, fp=p - b, fn=t - b, tn=overlap.n_pixels - t - p + b)
            for t, p, b in zip(true, pred, both, strict=True)
        )
    )


def pool_classes(images: Sequence[ClassCounts]) -> ClassCounts:
    """Return the counts of a set: the sums over its images.

    Raises
    ------
    InputError
        If there is no image, or the images have different numbers of classes.
    """
    numbers = {len(image.of_class) for image in images}
    if len(numbers) != 1:
        given = " and ".join(str(number + 1) for number in sorted(numbers)) or "no"
        raise InputError(f"counts of {given} classes were given; expected images of one number of classes")
    return ClassCounts(
        tuple(
            PixelCounts(
                tp=sum(one.tp for one in many),
                fp=sum(one.fp for one in many),
                fn=sum(one.fn for one in many),
                tn=sum(one.tn for one in many),
            )
            for many in zip(*(image.of_class for image in images), strict=True)
        )
    )


def dice_per_class(counts: ClassCounts) -> tuple[float, ...]:
    """Return the Dice of class 1, 2, ...; NaN where a class occurs in neither truth nor prediction.

    References
    ----------
    L. R. Dice, 1945, Ecology 26:297-302, doi:10.2307/1932409, of each class against all others.
    """
    return _per_class(dice, counts)


def iou_per_class(counts: ClassCounts) -> tuple[float, ...]:
    """Return the IoU of class 1, 2, ...; NaN where a class occurs in neither truth nor prediction."""
    return _per_class(iou, counts)


def dice_classes(counts: ClassCounts) -> float:
    """Return the mean Dice of the classes but background that occur; 1 where none does.

    Notes
    -----
    Of a set, the pixels of a class are pooled over the images first: a class that is rare in one image
    does not weigh more there.
    """
    return _mean(dice_per_class(counts))


def iou_classes(counts: ClassCounts) -> float:
    """Return the mean IoU of the classes but background that occur; 1 where none does.

    References
    ----------
    M. Everingham et al., "The PASCAL visual object classes challenge: a retrospective", 2015, IJCV
    111:98-136, doi:10.1007/s11263-014-0733-5 (segmentation accuracy; there the background counts too).
    """
    return _mean(iou_per_class(counts))


def _by_class(ids: Counts, areas: Counts, n_classes: int) -> list[int]:
    """Areas of class 1 to the last, 0 where a class has none."""
    total = np.zeros(n_classes, np.int64)
    total[ids] = areas
    return [int(area) for area in total[1:]]


def _per_class(measure: Callable[[PixelCounts], float], counts: ClassCounts) -> tuple[float, ...]:
    return tuple(measure(one) if one.tp + one.fp + one.fn else math.nan for one in counts.of_class)


def _mean(values: Sequence[float]) -> float:
    occurring = [value for value in values if not math.isnan(value)]
    return math.fsum(occurring) / len(occurring) if occurring else 1.0
