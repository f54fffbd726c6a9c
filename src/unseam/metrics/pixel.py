"""Agreement of foreground and background, pixel by pixel: objects do not matter, only their union."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from unseam.metrics.overlap import Overlaps


@dataclass(frozen=True)
class PixelCounts:
    """Pixels by truth and prediction, foreground being positive; ignored pixels are left out.

    Attributes
    ----------
    tp, fp, fn, tn : int
        Foreground in both; in the prediction alone; in the truth alone; in neither.
    """

    tp: int
    fp: int
    fn: int
    tn: int


def pixel_counts(overlap: Overlaps) -> PixelCounts:
    """Return the four pixel counts of an image.

    Examples
    --------
    >>> import numpy as np
    >>> from unseam.metrics.overlap import overlaps
    >>> pixel_counts(overlaps(np.array([1, 2, 0, -1]), np.array([3, 0, 0, 3])))
    PixelCounts(tp=1, fp=0, fn=1, tn=1)
    """
    tp = int(overlap.pair_area.sum())
    fp = int(overlap.area_pred.sum()) - tp
    fn = int(overlap.area_true.sum()) - tp
    return PixelCounts(tp=tp, fp=fp, fn=fn, tn=overlap.n_background)


def sum_pixels(many: Sequence[PixelCounts]) -> PixelCounts:
    """The counts of a set of images."""
    return PixelCounts(
        tp=sum(one.tp for one in many),
        fp=sum(one.fp for one in many),
        fn=sum(one.fn for one in many),
        tn=sum(one.tn for one in many),
    )


def dice(counts: PixelCounts) -> float:
    """Return 2 tp / (2 tp + fp + fn); 1 where both foregrounds are empty.

    References
    ----------
    L. R. Dice, 1945, Ecology 26:297-302, doi:10.2307/1932409.
    """
    foreground = 2 * counts.tp + counts.fp + counts.fn
    return 1.0 if foreground == 0 else 2 * counts.tp / foreground


def iou(counts: PixelCounts) -> float:
    """Return tp / (tp + fp + fn), the Jaccard index; 1 where both foregrounds are empty."""
    foreground = counts.tp + counts.fp + counts.fn
    return 1.0 if foreground == 0 else counts.tp / foreground


def pixel_error(counts: PixelCounts) -> float:
    """Return (fp + fn) / all, the plain disagreement; NaN where no pixel is counted."""
    everything = counts.tp + counts.fp + counts.fn + counts.tn
    return math.nan if everything == 0 else (counts.fp + counts.fn) / everything
