"""Warping error: what no deformation of the truth explains, and what kind of mistake each such pixel is.

The truth is deformed towards the prediction without a change of its topology (`simple_points.warp`). A
boundary that is merely displaced costs nothing; what still differs are merged and split cells and the like.

References
----------
V. Jain et al., 2010, "Boundary learning by optimization with topological constraints", CVPR 2010:2488-2495,
doi:10.1109/CVPR.2010.5539950, section 3.
I. Arganda-Carreras et al., 2015, Front. Neuroanat. 9:142, doi:10.3389/fnana.2015.00142 (merges and splits
alone, the first ranking of the ISBI 2012 challenge).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unseam.errors import ShapeError
from unseam.metrics.simple_points import BRANCHES, FACES, Mask, Places, codes, framed, steps, warp

_WITHIN_SLICE = np.zeros((3, 3, 3), bool)
_WITHIN_SLICE[1] = True
_THROUGH_FACES = _WITHIN_SLICE & ndimage.generate_binary_structure(3, 1)


@dataclass(frozen=True)
class WarpingCounts:
    """Pixels in which the deformed truth still differs from the prediction, by what flipping one would do.

    Attributes
    ----------
    n_pixels : int
        All pixels counted, equal ones included.
    merges, splits : int
        It would join two cells; it would part one.
    objects_added, objects_removed : int
        A cell of one pixel would appear in membrane; would vanish.
    holes_added, holes_removed : int
        A piece of membrane would come to lie within a cell, as where a cell closes to a ring; would vanish,
        or be joined to another.
    held : int
        Nothing of this: it could flip, but for the limits that were set.
    """

    n_pixels: int
    merges: int = 0
    splits: int = 0
    objects_added: int = 0
    objects_removed: int = 0
    holes_added: int = 0
    holes_removed: int = 0
    held: int = 0

    @property
    def n_different(self) -> int:
        """Pixels of all kinds together."""
        topological = self.merges + self.splits + self.objects_added + self.objects_removed
        return topological + self.holes_added + self.holes_removed + self.held


def warping_counts(
    truth: Mask,
    predicted: Mask,
    *,
    confidence: NDArray[np.floating[Any]] | None = None,
    movable: Mask | None = None,
    counted: Mask | None = None,
) -> WarpingCounts:
    """Return what is left to differ when the truth has been deformed towards the prediction.

    Parameters
    ----------
    truth, predicted, confidence, movable
        As for `unseam.metrics.simple_points.warp`: cells are True, slices are deformed each on its own.
    counted : ndarray of bool, same shape, optional
        Pixels whose truth is known; the others keep their truth and are counted nowhere.

    Raises
    ------
    ShapeError
        If shapes differ, or there are fewer than two axes.

    Examples
    --------
    >>> two = np.array([[1, 1, 0, 1, 1]], bool)
    >>> warping_counts(two, np.array([[1, 0, 1, 1, 1]], bool)).n_different  # the membrane lies elsewhere
    0
    >>> warping_counts(two, np.ones((1, 5), bool)).merges
    1
    """
    if counted is not None:
        if counted.shape != truth.shape:
            raise ShapeError(
                f"counted has shape {counted.shape}, the truth {truth.shape}; give a value for each pixel"
            )
        predicted = np.where(counted, predicted, truth)
    warped = warp(truth, predicted, confidence=confidence, movable=movable)
    n_pixels = truth.size if counted is None else int(np.count_nonzero(counted))
    left = framed(warped != predicted).reshape(-1).nonzero()[0]
    return WarpingCounts(n_pixels, **_kinds(framed(warped), left))


def warping_error(counts: WarpingCounts) -> float:
    """Return the share of pixels that still differ; NaN where no pixel is counted."""
    return _share(counts.n_different, counts.n_pixels)


def split_merge_error(counts: WarpingCounts) -> float:
    """Return the share of pixels that still differ and merge or split cells; NaN where none is counted.

    Notes
    -----
    The "minimum splits and mergers warping error" that the ISBI 2012 challenge ranked by first.
    """
    return _share(counts.merges + counts.splits, counts.n_pixels)


def sum_warping(many: Sequence[WarpingCounts]) -> WarpingCounts:
    """The counts of a set of images."""
    names = [field.name for field in fields(WarpingCounts)]
    return WarpingCounts(**{name: sum(getattr(one, name) for one in many) for name in names})


def _kinds(warped: Mask, left: Places) -> dict[str, int]:
    """How many of the pixels `left` are of which kind; `warped` is framed.

    With k pieces of cell around a pixel of membrane, of n cells, making it cell joins n cells to one and cuts
    off k - n pieces of membrane; with k pieces of membrane around a pixel of a cell, of m pieces in all,
    making it membrane joins those and cuts the cell into k - m more. (Both follow from the pixel's code by
    Euler's formula: cells less holes change by k - 1.)
    """
    flat, ring = warped.reshape(-1), steps(warped.shape)
    code = codes(flat, left, ring)
    is_cell, branches = flat[left], BRANCHES[code]
    enclosed = code == 255
    cells = _n_around(warped, _THROUGH_FACES, left, ring[list(FACES)])
    membranes = _n_around(~warped, _WITHIN_SLICE, left, ring)
    simple = branches == 1
    kinds = {
        "held": simple,
        "merges": ~is_cell & (cells > 1),
        "objects_added": ~is_cell & (cells == 0),
        "holes_removed": np.where(is_cell, (membranes > 1) & (branches == membranes), enclosed),
        "holes_added": np.where(is_cell, enclosed, ~enclosed & (cells == 1) & ~simple),
        "objects_removed": is_cell & (cells == 0),
        "splits": is_cell & (branches > membranes),
    }
    return {name: int(np.count_nonzero(chosen)) for name, chosen in kinds.items()}


def _n_around(mask: Mask, structure: Mask, places: Places, ring: Places) -> NDArray[np.intp]:
    """How many of the components of a mask lie at the neighbours of each place."""
    numbers = ndimage.label(mask, structure)[0].reshape(-1)
    around = np.sort(numbers[places[:, None] + ring], axis=1)
    return np.asarray(np.count_nonzero(np.diff(around, axis=1, prepend=0), axis=1))


def _share(part: int, whole: int) -> float:
    return math.nan if whole == 0 else part / whole
