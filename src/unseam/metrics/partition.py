"""Agreement of two partitions of the image: Rand and information scores, for boundary (EM) segmentation.

Foreground-restricted: pixels that are background (0, membrane) or ignored in the truth are left out. A pixel
of the true foreground that is predicted background is a segment of its own, one pixel large, as in the
ISBI 2012 and SNEMI3D challenges.

With p_ij the fraction of these N pixels in predicted segment i and true segment j, s_i and t_j its margins,
z such single pixels add z / N^2 to the sums of p_ij^2 and s_i^2, and z / N * log2(N) to the entropies of
p and s: nobody has to make an id for each of them.

References
----------
I. Arganda-Carreras et al., 2015, Front. Neuroanat. 9:142, doi:10.3389/fnana.2015.00142 (V_rand, V_info).
M. Meila, 2003, "Comparing clusterings by the variation of information", COLT 2003, LNCS 2777:173-187,
doi:10.1007/978-3-540-45167-9_14; and 2007, J. Multivariate Anal. 98:873-895, doi:10.1016/j.jmva.2006.11.013.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseam.metrics.overlap import Counts, Overlaps


@dataclass(frozen=True)
class PartitionCounts:
    """Sums of squares and entropies of the true and the predicted partition, and of the joint one.

    Attributes
    ----------
    n_pixels : int
        Pixels of the true foreground, N.
    pairs_joint, pairs_true, pairs_pred : float
        N^2 sum p_ij^2, N^2 sum t_j^2 and N^2 sum s_i^2: ordered pairs of pixels (a pixel with itself
        included) that are in one segment of both, of the truth, of the prediction.
    entropy_joint, entropy_true, entropy_pred : float
        H(S, T), H(T) and H(S), in bits; T the truth, S the prediction.
    """

    n_pixels: int
    pairs_joint: float
    pairs_true: float
    pairs_pred: float
    entropy_joint: float
    entropy_true: float
    entropy_pred: float


def partition_counts(overlap: Overlaps) -> PartitionCounts:
    """Return what the partition measures of an image are made of.

    Examples
    --------
    >>> import numpy as np
    >>> from unseam.metrics.overlap import overlaps
    >>> counts = partition_counts(overlaps(np.array([1, 1, 1, 1]), np.array([1, 1, 2, 2])))
    >>> rand_split(counts), rand_merge(counts)
    (0.5, 1.0)
    """
    restricted = np.zeros(overlap.n_pred, dtype=np.int64)
    np.add.at(restricted, overlap.pair_pred, overlap.pair_area)
    singles = int(overlap.true_on_background.sum())
    n_pixels = int(overlap.area_true.sum())
    return PartitionCounts(
        n_pixels=n_pixels,
        pairs_joint=_squares(overlap.pair_area) + singles,
        pairs_true=_squares(overlap.area_true),
        pairs_pred=_squares(restricted) + singles,
        entropy_joint=_entropy(overlap.pair_area, singles, n_pixels),
        entropy_true=_entropy(overlap.area_true, 0, n_pixels),
        entropy_pred=_entropy(restricted, singles, n_pixels),
    )


def pool_partitions(many: Sequence[PartitionCounts]) -> PartitionCounts:
    """The counts of a set of images, or of the slices of a stack, of which no segment is in two.

    Notes
    -----
    Pairs of pixels are those within an image. Entropies are those of the segment where the image is known:
    the mean over the images, weighted by their pixels.
    """
    n_pixels = sum(one.n_pixels for one in many)

    def mean(name: str) -> float:
        return math.fsum(one.n_pixels * getattr(one, name) for one in many) / max(n_pixels, 1)

    return PartitionCounts(
        n_pixels=n_pixels,
        pairs_joint=math.fsum(one.pairs_joint for one in many),
        pairs_true=math.fsum(one.pairs_true for one in many),
        pairs_pred=math.fsum(one.pairs_pred for one in many),
        entropy_joint=mean("entropy_joint"),
        entropy_true=mean("entropy_true"),
        entropy_pred=mean("entropy_pred"),
    )


def v_rand(counts: PartitionCounts) -> float:
    """Return the Rand F-score, sum p^2 / (0.5 sum s^2 + 0.5 sum t^2); NaN without true foreground."""
    return _ratio(counts.pairs_joint, 0.5 * counts.pairs_pred + 0.5 * counts.pairs_true)


def rand_error(counts: PartitionCounts) -> float:
    """Return 1 - V_rand, for the labels as given; NaN without true foreground."""
    return 1.0 - v_rand(counts)


def rand_split(counts: PartitionCounts) -> float:
    """Return sum p^2 / sum t^2, low where true segments are split; NaN without true foreground.

    Notes
    -----
    Of the pixel pairs that belong together, the fraction that was kept together: the *recall* of pairs.
    """
    return _ratio(counts.pairs_joint, counts.pairs_true)


def rand_merge(counts: PartitionCounts) -> float:
    """Return sum p^2 / sum s^2, low where true segments are merged; NaN without true foreground.

    Notes
    -----
    Of the pixel pairs that were put together, the fraction that belongs together: the *precision* of pairs.
    """
    return _ratio(counts.pairs_joint, counts.pairs_pred)


def v_info(counts: PartitionCounts) -> float:
    """Return the information F-score, I(S; T) / (0.5 H(S) + 0.5 H(T)).

    Notes
    -----
    NaN without true foreground; 1 where both partitions are one whole segment (both entropies are 0).
    """
    mean_entropy = 0.5 * counts.entropy_pred + 0.5 * counts.entropy_true
    if counts.n_pixels == 0:
        return math.nan
    if mean_entropy == 0:
        return 1.0
    information = counts.entropy_pred + counts.entropy_true - counts.entropy_joint
    return min(max(information / mean_entropy, 0.0), 1.0)  # rounding could leave [0, 1]


def variation_of_information(counts: PartitionCounts) -> float:
    """Return VI = H(S|T) + H(T|S) in bits, 0 for equal partitions; NaN without true foreground.

    Notes
    -----
    Logarithms are to base 2; many papers use the natural one, and their figures are 0.693 times ours. With
    H(S|T) = H(S, T) - H(T), it is a metric on partitions of N pixels (Meila 2007), and at most
    log2(N).
    """
    return voi_split(counts) + voi_merge(counts)


def voi_split(counts: PartitionCounts) -> float:
    """Return H(S|T) in bits, above 0 where true segments are split; NaN without true foreground."""
    return math.nan if counts.n_pixels == 0 else max(counts.entropy_joint - counts.entropy_true, 0.0)


def voi_merge(counts: PartitionCounts) -> float:
    """Return H(T|S) in bits, above 0 where true segments are merged; NaN without true foreground."""
    return math.nan if counts.n_pixels == 0 else max(counts.entropy_joint - counts.entropy_pred, 0.0)


def _squares(areas: Counts) -> float:
    # in float64, because the square of the area of a large volume does not fit 64-bit integers
    return float(np.square(areas, dtype=np.float64).sum())


def _entropy(areas: Counts, singles: int, n_pixels: int) -> float:
    """Return the entropy in bits of a partition of `n_pixels` into `areas` and `singles` lone pixels."""
    fractions: NDArray[np.float64] = areas[areas > 0] / max(n_pixels, 1)
    lone = singles / n_pixels * math.log2(n_pixels) if singles else 0.0
    return float(-(fractions * np.log2(fractions)).sum()) + lone


def _ratio(part: float, whole: float) -> float:
    return math.nan if whole == 0 else part / whole
