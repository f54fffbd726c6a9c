"""Agreement of objects: which true object was found by which predicted one, and how well.

Counting is apart from scoring: functions of an `Overlaps` count, functions of counts score. Where a score is
0 / 0 (neither image has objects, say) it is undefined: NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from unseam.errors import ConfigError
from unseam.metrics.overlap import Labels, Overlaps, overlaps

# k / 100, not 0.5 + 0.05 k: so an IoU of exactly 11/20 is the same float as the threshold 0.55
THRESHOLDS = tuple(k / 100 for k in range(50, 100, 5))
"""The IoU thresholds that AP is averaged over: 0.5, 0.55, ... 0.95."""

Flags = NDArray[np.bool_]
TrueOutcome = Literal["hit", "missed", "merged", "split"]
PredOutcome = Literal["hit", "false", "merge", "split"]


@dataclass(frozen=True)
class MatchCounts:
    """Matched and unmatched objects at an IoU threshold.

    Attributes
    ----------
    threshold : float
        Smallest IoU of a match, in (0, 1].
    tp, fp, fn : int
        Matched pairs; predicted objects without a match; true objects without a match.
    iou_sum : float
        Sum of the IoU of the matched pairs.
    """

    threshold: float
    tp: int
    fp: int
    fn: int
    iou_sum: float


@dataclass(frozen=True)
class SegCounts:
    """Sum of the Jaccard index of each true object, and the number of true objects."""

    jaccard_sum: float
    n_true: int


@dataclass(frozen=True)
class AjiCounts:
    """Aggregated intersection and union, in pixels."""

    intersection: int
    union: int


@dataclass(frozen=True)
class Outcomes:
    """What became of each object, by its id; "hit" is a match at `threshold`."""

    threshold: float
    true: dict[int, TrueOutcome]
    pred: dict[int, PredOutcome]


def match_counts(overlap: Overlaps, threshold: float = 0.5) -> MatchCounts:
    """Return the counts of a one-to-one matching of true and predicted objects.

    Raises
    ------
    ConfigError
        If the threshold is not above 0 and at most 1.

    Notes
    -----
    Pairs with IoU >= threshold may be matched. Of all one-to-one matchings it is the one with the most
    pairs and, among these, with the largest sum of IoU. Above 0.5 there is no choice: no object can have
    such an IoU with two others.

    Examples
    --------
    >>> import numpy as np
    >>> match_counts(overlaps(np.array([1, 1, 1, 2]), np.array([5, 5, 0, 0])))
    MatchCounts(threshold=0.5, tp=1, fp=0, fn=1, iou_sum=0.6666666666666666)
    """
    matched = match_pairs(overlap, threshold)
    tp = len(matched)
    iou_sum = float(overlap.pair_iou[matched].sum())
    return MatchCounts(threshold, tp=tp, fp=overlap.n_pred - tp, fn=overlap.n_true - tp, iou_sum=iou_sum)


def average_precision(counts: MatchCounts) -> float:
    """Return tp / (tp + fp + fn), AP as the nucleus challenges (DSB 2018) define it."""
    return _ratio(counts.tp, counts.tp + counts.fp + counts.fn)


def precision(counts: MatchCounts) -> float:
    """Return tp / (tp + fp), the fraction of the predicted objects that are right."""
    return _ratio(counts.tp, counts.tp + counts.fp)


def recall(counts: MatchCounts) -> float:
    """Return tp / (tp + fn), the fraction of the true objects that were found."""
    return _ratio(counts.tp, counts.tp + counts.fn)


def f1(counts: MatchCounts) -> float:
    """Return tp / (tp + fp / 2 + fn / 2), the harmonic mean of precision and recall."""
    return _ratio(counts.tp, counts.tp + counts.fp / 2 + counts.fn / 2)


def panoptic_quality(counts: MatchCounts) -> float:
    """Return iou_sum / (tp + fp / 2 + fn / 2): Kirillov et al., CVPR 2019, doi:10.1109/CVPR.2019.00963."""
    return _ratio(counts.iou_sum, counts.tp + counts.fp / 2 + counts.fn / 2)


def mean_average_precision(counts: Sequence[MatchCounts]) -> float:
    """Return the mean of `average_precision` over counts at several thresholds, such as `THRESHOLDS`."""
    return _ratio(sum(average_precision(one) for one in counts), len(counts))


def seg_counts(overlap: Overlaps) -> SegCounts:
    """Return what SEG, the measure of the Cell Tracking Challenge, is made of.

    Notes
    -----
    A true object belongs to the predicted object that covers strictly more than half of it, and its Jaccard
    index is 0 where there is none. One predicted object may so serve several true ones.

    Pixels whose truth is `IGNORE` belong to neither object. The program of the challenge knows no such pixels
    and takes all that is not annotated for background: what of a matched object lies there lowers its index.

    References
    ----------
    M. Maska et al., 2014, Bioinformatics 30:1609-1617, doi:10.1093/bioinformatics/btu080.
    """
    return SegCounts(float(overlap.pair_iou[_covers_true(overlap)].sum()), overlap.n_true)


def seg(counts: SegCounts) -> float:
    """Return the mean Jaccard index of the true objects; NaN where there are none."""
    return _ratio(counts.jaccard_sum, counts.n_true)


def aji_counts(overlap: Overlaps) -> AjiCounts:
    """Return the aggregated intersection and union.

    Notes
    -----
    Each true object adds its intersection and union with the predicted object of largest IoU (its own area
    to the union where nothing overlaps); each predicted object that was chosen by no true one adds its area
    to the union. Of equal IoU, the pair with the larger intersection is chosen, then the smaller id.

    References
    ----------
    N. Kumar et al., 2017, IEEE Trans. Med. Imaging 36:1550-1560, doi:10.1109/TMI.2017.2677499, algorithm 1.
    """
    order = np.lexsort((overlap.pair_pred, -overlap.pair_area, -overlap.pair_iou, overlap.pair_true))
    best = order[np.unique(overlap.pair_true[order], return_index=True)[1]]
    chosen = np.unique(overlap.pair_pred[best])
    intersection = overlap.pair_area[best].sum()
    union = overlap.area_true.sum() + overlap.area_pred[overlap.pair_pred[best]].sum() - intersection
    unchosen = overlap.area_pred.sum() - overlap.area_pred[chosen].sum()
    return AjiCounts(int(intersection), int(union + unchosen))


def aji(counts: AjiCounts) -> float:
    """Return the aggregated Jaccard index, intersection / union; NaN where both images are empty."""
    return _ratio(counts.intersection, counts.union)


def n_merges(overlap: Overlaps) -> int:
    """Return how many predicted objects each cover more than half of two or more true objects."""
    return int(_is_merge(overlap).sum())


def n_splits(overlap: Overlaps) -> int:
    """Return how many true objects each contain more than half of two or more predicted objects."""
    return int(_is_split(overlap).sum())


def object_outcomes(labels_true: Labels, labels_pred: Labels, threshold: float = 0.5) -> Outcomes:
    """Return what became of each true and each predicted object, for pictures in colour.

    Parameters
    ----------
    labels_true, labels_pred : ndarray of int, any shape
        As for `unseam.metrics.overlap.overlaps`.
    threshold : float
        Smallest IoU of a hit.

    Notes
    -----
    The first that holds. True object: "hit", it has a match; "merged", more than half of it is covered by a
    merge; "split", it contains more than half of each of two predicted objects; else "missed". Predicted
    object: "hit"; "merge", it covers more than half of each of two true objects; "split", more than half of
    it lies in a split true object; else "false". So hits are tp, other true objects fn, other predicted ones
    fp. At thresholds from 0.5 no merge is lost where it is also a hit: at least one of the true objects that
    it covers is "merged". Likewise at least one piece of each split true object is "split" or "merge".
    """
    overlap = overlaps(labels_true, labels_pred)
    true, pred = outcomes_of(overlap, threshold)
    return Outcomes(
        threshold,
        true=dict(zip(overlap.ids_true.tolist(), true.tolist(), strict=True)),
        pred=dict(zip(overlap.ids_pred.tolist(), pred.tolist(), strict=True)),
    )


def outcomes_of(overlap: Overlaps, threshold: float) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """What became of each true and of each predicted object, in their order; see `object_outcomes`."""
    matched = match_pairs(overlap, threshold)
    is_merge, is_split = _is_merge(overlap), _is_split(overlap)
    swallowed = _covers_true(overlap) & is_merge[overlap.pair_pred]
    fragment = _covers_pred(overlap) & is_split[overlap.pair_true]
    true: NDArray[np.str_] = np.full(overlap.n_true, "missed")
    true[is_split] = "split"
    true[overlap.pair_true[swallowed]] = "merged"
    true[overlap.pair_true[matched]] = "hit"
    pred: NDArray[np.str_] = np.full(overlap.n_pred, "false")
    pred[overlap.pair_pred[fragment]] = "split"
    pred[is_merge] = "merge"
    pred[overlap.pair_pred[matched]] = "hit"
    return true, pred


def _covers_true(overlap: Overlaps) -> Flags:
    """Which pairs are more than half of their true object: at most one pair for each."""
    return np.asarray(2 * overlap.pair_area > overlap.area_true[overlap.pair_true])


def _covers_pred(overlap: Overlaps) -> Flags:
    """Which pairs are more than half of their predicted object: at most one pair for each."""
    return np.asarray(2 * overlap.pair_area > overlap.area_pred[overlap.pair_pred])


def _is_merge(overlap: Overlaps) -> Flags:
    return np.bincount(overlap.pair_pred[_covers_true(overlap)], minlength=overlap.n_pred) >= 2


def _is_split(overlap: Overlaps) -> Flags:
    return np.bincount(overlap.pair_true[_covers_pred(overlap)], minlength=overlap.n_true) >= 2


def match_pairs(overlap: Overlaps, threshold: float) -> NDArray[np.intp]:
    """Return the positions, in the pairs of `overlap`, of those that `match_counts` counts, ascending.

    Raises
    ------
    ConfigError
        If the threshold is not above 0 and at most 1.
    """
    if not 0 < threshold <= 1:
        raise ConfigError(f"the IoU threshold is {threshold}; give one above 0 and at most 1, such as 0.5")
    allowed = np.flatnonzero(overlap.pair_iou >= threshold)
    true, pred = overlap.pair_true[allowed], overlap.pair_pred[allowed]
    alone = (np.bincount(true)[true] == 1) & (np.bincount(pred)[pred] == 1)
    settled = [_assigned(overlap, group) for group in _groups(overlap, allowed[~alone])]
    return np.sort(np.concatenate([allowed[alone], *settled]))


def _groups(overlap: Overlaps, pairs: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Cut pairs that compete for objects into independent groups, each small enough for a dense matrix."""
    if not len(pairs):
        return []
    true, pred = overlap.pair_true[pairs], overlap.pair_pred[pairs]
    n_nodes = overlap.n_true + overlap.n_pred
    graph = coo_array((np.ones(len(pairs)), (true, pred + overlap.n_true)), shape=(n_nodes, n_nodes))
    group = connected_components(graph, directed=False)[1][true]
    order = np.argsort(group, kind="stable")
    return np.split(pairs[order], np.flatnonzero(np.diff(group[order])) + 1)


def _assigned(overlap: Overlaps, pairs: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the pairs of the best one-to-one matching within a group of competing pairs."""
    true, row = np.unique(overlap.pair_true[pairs], return_inverse=True)
    pred, column = np.unique(overlap.pair_pred[pairs], return_inverse=True)
    gain = np.zeros((len(true), len(pred)))
    # one more match outweighs any sum of IoU, which is at most min(shape)
    gain[row, column] = overlap.pair_iou[pairs] + min(gain.shape) + 1
    chosen = np.zeros(gain.shape, dtype=bool)
    chosen[linear_sum_assignment(gain, maximize=True)] = True
    return pairs[chosen[row, column]]


def _ratio(part: float, whole: float) -> float:
    return math.nan if whole == 0 else part / whole
