"""All measures of one image, and of a set of images: count, pool the counts, then score.

Undefined measures are NaN in Python and null (None) in the dictionary, and are left out of averages:

==========================================  ===========================================================
``seg``, ``recall_50``                      without true objects
``precision_50``                            without predicted objects
``ap50``, ``ap75``, ``ap``, ``f1_50``,      where truth and prediction both have no object (0 where only
``pq``, ``aji``                             one of them has)
``v_rand``, ``v_info``, ``rand_error``,     without true foreground
``voi``, ``voi_split``, ``voi_merge``
``pixel_error``                             where every pixel is ignored
``dice``, ``iou``                           never: 1 where both foregrounds are empty
==========================================  ===========================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from unseam.errors import InputError
from unseam.metrics import matching, partition, pixel
from unseam.metrics.matching import THRESHOLDS, AjiCounts, MatchCounts, SegCounts
from unseam.metrics.overlap import Labels, Overlaps, overlaps
from unseam.metrics.pixel import PixelCounts

_AT_50 = THRESHOLDS.index(0.5)
_AT_75 = THRESHOLDS.index(0.75)


@dataclass(frozen=True)
class ScoreCounts:
    """Everything countable about one image or, summed, about a set.

    Attributes
    ----------
    matches : tuple of MatchCounts
        One for each of `THRESHOLDS`.
    seg, aji, pixels : SegCounts, AjiCounts, PixelCounts
        What SEG, AJI and the measures of pixels are made of.
    n_true, n_pred : int
        Number of objects.
    merges, splits : int
        Predicted objects that merge true ones; true objects that were split.
    """

    matches: tuple[MatchCounts, ...]
    seg: SegCounts
    aji: AjiCounts
    pixels: PixelCounts
    n_true: int
    n_pred: int
    merges: int
    splits: int


@dataclass(frozen=True)
class CountedScores:
    """Measures that are made of counts, so that a set is scored by summing the counts of its images.

    Attributes
    ----------
    ap50, ap75, ap : float
        Average precision at IoU 0.5, at 0.75, and its mean over `THRESHOLDS`.
    f1_50, precision_50, recall_50, pq : float
        F1, precision, recall and panoptic quality of the matching at IoU 0.5.
    seg, aji : float
        SEG of the Cell Tracking Challenge; aggregated Jaccard index.
    dice, iou, pixel_error : float
        Agreement of the foregrounds.
    n_true, n_pred, merges, splits : int
        As in `ScoreCounts`.
    """

    ap50: float
    ap75: float
    ap: float
    f1_50: float
    precision_50: float
    recall_50: float
    pq: float
    seg: float
    aji: float
    dice: float
    iou: float
    pixel_error: float
    n_true: int
    n_pred: int
    merges: int
    splits: int


@dataclass(frozen=True)
class PartitionScores:
    """Measures of the whole partition of an image; over a set they are averaged.

    Attributes
    ----------
    v_rand, v_info, rand_error : float
        Foreground-restricted Rand F-score, information F-score, and 1 - V_rand.
    voi, voi_split, voi_merge : float
        Variation of information and its two parts, in bits.
    """

    v_rand: float
    v_info: float
    rand_error: float
    voi: float
    voi_split: float
    voi_merge: float


@dataclass(frozen=True)
class ImageScores:
    """The scores of one image, and the counts that `pool` sums."""

    counts: ScoreCounts
    counted: CountedScores
    partition: PartitionScores

    def to_dict(self) -> dict[str, float | int | None]:
        """Return every measure by its name, flat, undefined ones as None: ready for JSON."""
        return _flat(self.counted, self.partition)


@dataclass(frozen=True)
class SetScores:
    """The scores of a set of images, and the summed counts."""

    n_images: int
    counts: ScoreCounts
    counted: CountedScores
    partition: PartitionScores

    def to_dict(self) -> dict[str, float | int | None]:
        """Return `n_images` and every measure by its name, as `ImageScores.to_dict` does."""
        return {"n_images": self.n_images, **_flat(self.counted, self.partition)}


def score(labels_true: Labels, labels_pred: Labels) -> ImageScores:
    """Return all measures of one image.

    Parameters
    ----------
    labels_true, labels_pred : ndarray of int, any shape
        As for `unseam.metrics.overlap.overlaps`: 0 background, -1 in the truth not counted.

    Raises
    ------
    ShapeError, LabelError
        As `unseam.metrics.overlap.overlaps` does.

    Examples
    --------
    >>> import numpy as np
    >>> scores = score(np.array([1, 1, 1, 2]), np.array([5, 5, 0, 0]))
    >>> scores.counted.ap50, scores.to_dict()["precision_50"]
    (0.5, 1.0)
    """
    overlap = overlaps(labels_true, labels_pred)
    counts = _count(overlap)
    parts = partition.partition_counts(overlap)
    of_partition = PartitionScores(
        v_rand=partition.v_rand(parts),
        v_info=partition.v_info(parts),
        rand_error=partition.rand_error(parts),
        voi=partition.variation_of_information(parts),
        voi_split=partition.voi_split(parts),
        voi_merge=partition.voi_merge(parts),
    )
    return ImageScores(counts, _score_counts(counts), of_partition)


def pool(images: Sequence[ImageScores]) -> SetScores:
    """Return the scores of a set of images.

    Raises
    ------
    InputError
        If there are no images.

    Notes
    -----
    `CountedScores` are made of summed counts: every object, or pixel, counts the same wherever it lies, and
    SEG is the mean over all true objects. `PartitionScores` are averaged over the images where they are
    defined.
    """
    if not images:
        raise InputError("there are no scores to pool; score at least one image")
    counts = _sum([image.counts for image in images])
    partitions = [image.partition for image in images]
    of_partition = PartitionScores(
        v_rand=_mean([one.v_rand for one in partitions]),
        v_info=_mean([one.v_info for one in partitions]),
        rand_error=_mean([one.rand_error for one in partitions]),
        voi=_mean([one.voi for one in partitions]),
        voi_split=_mean([one.voi_split for one in partitions]),
        voi_merge=_mean([one.voi_merge for one in partitions]),
    )
    return SetScores(len(images), counts, _score_counts(counts), of_partition)


def _count(overlap: Overlaps) -> ScoreCounts:
    return ScoreCounts(
        matches=tuple(matching.match_counts(overlap, threshold) for threshold in THRESHOLDS),
        seg=matching.seg_counts(overlap),
        aji=matching.aji_counts(overlap),
        pixels=pixel.pixel_counts(overlap),
        n_true=overlap.n_true,
        n_pred=overlap.n_pred,
        merges=matching.n_merges(overlap),
        splits=matching.n_splits(overlap),
    )


def _score_counts(counts: ScoreCounts) -> CountedScores:
    at_50, at_75 = counts.matches[_AT_50], counts.matches[_AT_75]
    return CountedScores(
        ap50=matching.average_precision(at_50),
        ap75=matching.average_precision(at_75),
        ap=matching.mean_average_precision(counts.matches),
        f1_50=matching.f1(at_50),
        precision_50=matching.precision(at_50),
        recall_50=matching.recall(at_50),
        pq=matching.panoptic_quality(at_50),
        seg=matching.seg(counts.seg),
        aji=matching.aji(counts.aji),
        dice=pixel.dice(counts.pixels),
        iou=pixel.iou(counts.pixels),
        pixel_error=pixel.pixel_error(counts.pixels),
        n_true=counts.n_true,
        n_pred=counts.n_pred,
        merges=counts.merges,
        splits=counts.splits,
    )


def _sum(many: Sequence[ScoreCounts]) -> ScoreCounts:
    return ScoreCounts(
        matches=tuple(
            _sum_matches([one.matches[k] for one in many], threshold)
            for k, threshold in enumerate(THRESHOLDS)
        ),
        seg=SegCounts(math.fsum(one.seg.jaccard_sum for one in many), sum(one.seg.n_true for one in many)),
        aji=AjiCounts(sum(one.aji.intersection for one in many), sum(one.aji.union for one in many)),
        pixels=pixel.sum_pixels([one.pixels for one in many]),
        n_true=sum(one.n_true for one in many),
        n_pred=sum(one.n_pred for one in many),
        merges=sum(one.merges for one in many),
        splits=sum(one.splits for one in many),
    )


def _sum_matches(many: Sequence[MatchCounts], threshold: float) -> MatchCounts:
    return MatchCounts(
        threshold,
        tp=sum(one.tp for one in many),
        fp=sum(one.fp for one in many),
        fn=sum(one.fn for one in many),
        iou_sum=math.fsum(one.iou_sum for one in many),
    )


def _mean(values: Sequence[float]) -> float:
    """Return the mean of the values that are not NaN; NaN where there are none."""
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def _flat(counted: CountedScores, of_partition: PartitionScores) -> dict[str, float | int | None]:
    values: dict[str, float | int | None] = {}
    for record in (counted, of_partition):
        for field in fields(record):
            value = getattr(record, field.name)
            values[field.name] = None if math.isnan(value) else value
    return values
