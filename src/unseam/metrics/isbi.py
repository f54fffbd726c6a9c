"""The measures of the ISBI 2012 challenge: how well a probability map tells cells from membranes.

A threshold makes a map of membranes of the probabilities, and the cells between them are its segments. Each
measure takes the threshold that suits it best, the same for the whole set. Slices of a stack are images of
their own.

==========================  =========================================================================
``v_rand``, ``v_info``      Largest Rand and information F-score of the segments (`metrics.partition`),
                            on the pixels that are no membrane in the truth.
``..._thinned``             The same after border thinning: predicted segments are grown until they meet,
                            so that the width of a predicted membrane does not count.
``rand_error``              1 - ``v_rand``, the "Rand error" of the table of 2012 (not thinned).
``warping_error``           Smallest share of pixels that differ after deforming the truth
                            (`metrics.warping`).
``split_merge_error``       The share of such pixels that merge or split cells, at the threshold of
                            ``v_rand_thinned``: the "warping error" of the table of 2012.
``pixel_error``             1 - largest Dice of the cells: the "pixel error" of the table of 2012.
``pixel_disagreement``      Smallest share of pixels that are cell in only one.
==========================  =========================================================================

The published program leaves membranes one pixel wide where it thins; ours have no width. It takes the
smallest split and merge error of all thresholds, which is 0 where one of them leaves no cell at all; ours is
never smaller than that. (The warping error of no cell at all is 0.002 on the labels of the challenge: a
vanished cell costs a pixel.)

References
----------
I. Arganda-Carreras et al., 2015, "Crowdsourcing the creation of image segmentation algorithms for
connectomics", Front. Neuroanat. 9:142, doi:10.3389/fnana.2015.00142.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import ConfigError, InputError, LabelError, ShapeError
from unseam.instances.components import label_components
from unseam.instances.gaps import carve_contacts
from unseam.instances.shapes import grow_into
from unseam.metrics import partition, pixel, warping
from unseam.metrics.overlap import overlaps
from unseam.metrics.partition import PartitionCounts
from unseam.metrics.pixel import PixelCounts
from unseam.metrics.warping import WarpingCounts

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]

THRESHOLDS = tuple(k / 10 for k in range(10))
"""The thresholds of the challenge: 0, 0.1, ... 0.9. A pixel is cell above them."""


@dataclass(frozen=True)
class ThresholdCounts:
    """What the measures at a threshold are made of; for a set, the sums.

    Attributes
    ----------
    threshold : float
    segments, thinned : PartitionCounts
        Of the predicted segments as they are, and grown until they meet.
    warping : WarpingCounts
    pixels : PixelCounts
        Cells being positive.
    """

    threshold: float
    segments: PartitionCounts
    thinned: PartitionCounts
    warping: WarpingCounts
    pixels: PixelCounts


@dataclass(frozen=True)
class IsbiScores:
    """The measures of the challenge, each at its best threshold, or all at one; see the table above.

    Attributes
    ----------
    v_rand_thinned, v_info_thinned, v_rand, v_info : float
        1 is perfect; NaN without true cells.
    rand_error, warping_error, split_merge_error, pixel_error, pixel_disagreement : float
        0 is perfect; NaN where they are undefined.
    """

    v_rand_thinned: float
    v_info_thinned: float
    v_rand: float
    v_info: float
    rand_error: float
    warping_error: float
    split_merge_error: float
    pixel_error: float
    pixel_disagreement: float

    def to_dict(self) -> dict[str, float | None]:
        """Every measure by its name after "isbi_", undefined ones as None: ready for JSON."""
        values = {f"isbi_{field.name}": getattr(self, field.name) for field in fields(self)}
        return {name: None if math.isnan(value) else value for name, value in values.items()}


def isbi_scores(
    truth: NDArray[Any],
    cell_probabilities: NDArray[np.floating[Any]],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
) -> IsbiScores:
    """Return the measures of the challenge of an image or a stack of slices.

    Parameters
    ----------
    truth, cell_probabilities, thresholds
        As for `isbi_counts`.

    Raises
    ------
    InputError
        As `isbi_counts`.

    Examples
    --------
    >>> cells = np.array([[1, 1, 0, 1, 1]], bool)
    >>> found = isbi_scores(cells, np.array([[0.9, 0.8, 0.3, 0.8, 0.9]]))
    >>> found.v_rand, found.warping_error
    (1.0, 0.0)
    """
    return score_isbi(isbi_counts(truth, cell_probabilities, thresholds=thresholds))


def isbi_counts(
    truth: NDArray[Any],
    cell_probabilities: NDArray[np.floating[Any]],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
) -> tuple[ThresholdCounts, ...]:
    """Return what the measures are made of, at each threshold.

    Parameters
    ----------
    truth : ndarray of bool or int, (Y, X) or (Z, Y, X)
        Cells are True, or have labels; 0 is membrane, -1 not counted. Where two labels touch, the pixels of
        the later one become membrane. True segments are the face-connected cells of each slice.
    cell_probabilities : ndarray of float, same shape
        Of a pixel being cell, 0 to 1.
    thresholds : sequence of float
        Each at least 0 and below 1.

    Raises
    ------
    ShapeError
        If the shapes differ, or are not of two or three axes.
    LabelError
        If the truth is no mask and no labels.
    InputError
        If probabilities are not between 0 and 1.
    ConfigError
        If there is no threshold, or one outside [0, 1).
    """
    truth = np.asarray(truth)
    probabilities = np.asarray(cell_probabilities)
    _check(truth, probabilities, thresholds)
    slices = zip(
        truth.reshape(-1, *truth.shape[-2:]), probabilities.reshape(-1, *truth.shape[-2:]), strict=True
    )
    return pool_isbi([_count_slice(t, p, thresholds) for t, p in slices])


def pool_isbi(many: Sequence[Sequence[ThresholdCounts]]) -> tuple[ThresholdCounts, ...]:
    """Return the counts of a set of images, threshold by threshold.

    Raises
    ------
    InputError
        If there are no images, or their thresholds differ.
    """
    if not many or len({tuple(one.threshold for one in image) for image in many}) > 1:
        raise InputError(f"{len(many)} images, or thresholds that differ, cannot be pooled; count them alike")
    return tuple(
        ThresholdCounts(
            at[0].threshold,
            partition.pool_partitions([one.segments for one in at]),
            partition.pool_partitions([one.thinned for one in at]),
            warping.sum_warping([one.warping for one in at]),
            pixel.sum_pixels([one.pixels for one in at]),
        )
        for at in zip(*many, strict=True)
    )


def score_isbi(counts: Sequence[ThresholdCounts]) -> IsbiScores:
    """Return each measure at the threshold of `counts` that suits it best; of one, the measures there."""
    at = [_score(one) for one in counts]
    v_rand = _best(max, [one.v_rand for one in at])
    v_rand_thinned = _best(max, [one.v_rand_thinned for one in at])
    there = [one for one in at if one.v_rand_thinned == v_rand_thinned] or at
    return IsbiScores(
        v_rand_thinned=v_rand_thinned,
        v_info_thinned=_best(max, [one.v_info_thinned for one in at]),
        v_rand=v_rand,
        v_info=_best(max, [one.v_info for one in at]),
        rand_error=1 - v_rand,
        warping_error=_best(min, [one.warping_error for one in at]),
        split_merge_error=_best(min, [one.split_merge_error for one in there]),
        pixel_error=_best(min, [one.pixel_error for one in at]),
        pixel_disagreement=_best(min, [one.pixel_disagreement for one in at]),
    )


def _count_slice(
    truth: NDArray[Any], probabilities: NDArray[np.floating[Any]], thresholds: Sequence[float]
) -> tuple[ThresholdCounts, ...]:
    labels = truth if truth.dtype == bool else carve_contacts(truth, (1, 1))
    cells, counted = labels > 0, labels >= 0
    segments = np.where(counted, label_components(cells), -1)
    return tuple(
        _count(segments, cells, counted, probabilities, threshold=threshold) for threshold in thresholds
    )


def _count(
    segments: Labels,
    cells: Mask,
    counted: Mask,
    probabilities: NDArray[np.floating[Any]],
    *,
    threshold: float,
) -> ThresholdCounts:
    predicted = probabilities > threshold
    found = label_components(predicted)
    met = grow_into(found, found == 0, sum(found.shape))
    return ThresholdCounts(
        threshold,
        partition.partition_counts(overlaps(segments, found)),
        partition.partition_counts(overlaps(segments, met)),
        warping.warping_counts(
            cells, predicted, confidence=np.abs(probabilities - threshold), counted=counted
        ),
        pixel.pixel_counts(overlaps(segments, predicted.astype(np.uint8))),
    )


def _score(counts: ThresholdCounts) -> IsbiScores:
    v_rand = partition.v_rand(counts.segments)
    return IsbiScores(
        v_rand_thinned=partition.v_rand(counts.thinned),
        v_info_thinned=partition.v_info(counts.thinned),
        v_rand=v_rand,
        v_info=partition.v_info(counts.segments),
        rand_error=1 - v_rand,
        warping_error=warping.warping_error(counts.warping),
        split_merge_error=warping.split_merge_error(counts.warping),
        pixel_error=1 - pixel.dice(counts.pixels),
        pixel_disagreement=pixel.pixel_error(counts.pixels),
    )


def _best(choose: Callable[[list[float]], float], values: list[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return choose(defined) if defined else math.nan


def _check(truth: NDArray[Any], probabilities: NDArray[Any], thresholds: Sequence[float]) -> None:
    if truth.shape != probabilities.shape or truth.ndim not in (2, 3):
        raise ShapeError(
            f"the truth has shape {truth.shape} and the probabilities {probabilities.shape}; "
            "expected equal shapes, (Y, X) or (Z, Y, X)"
        )
    if truth.dtype.kind not in "biu":
        raise LabelError(f"the truth holds {truth.dtype} values; give a mask of the cells, or their labels")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():  # NaN is neither
        raise InputError("the probabilities are not all between 0 and 1; give the probability of being cell")
    if not thresholds or not all(0 <= threshold < 1 for threshold in thresholds):
        raise ConfigError(f"thresholds are {tuple(thresholds)}; expected one or more, from 0 to below 1")
