"""Errors by kind and by the size of the object: which objects are lost, and how.

A badly outlined object is told apart from a missed one: the prediction has it, at an IoU that does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from unseam.errors import ConfigError
from unseam.metrics.matching import match_pairs, outcomes_of
from unseam.metrics.overlap import Labels, overlaps

FOUND, LOOSE = 0.5, 0.1
"""IoU from which an object is found, and from which one that is not is badly outlined rather than missed."""


@dataclass(frozen=True)
class ErrorCounts:
    """True objects by what became of them, and predicted objects that stand for none.

    Attributes
    ----------
    found : matched at IoU 0.5 or more.
    boundary : matched with nothing, but one predicted object outlines it badly, at IoU 0.1 to 0.5.
    merged : lies for more than half in a predicted object that holds another true one as well.
    split : holds more than half of each of two predicted objects.
    missed : none of these.
    false : predicted, and neither found nor part of a merge, a split or a bad outline.
    """

    found: int = 0
    boundary: int = 0
    merged: int = 0
    split: int = 0
    missed: int = 0
    false: int = 0

    @property
    def n_true(self) -> int:
        """Number of true objects."""
        return self.found + self.boundary + self.merged + self.split + self.missed

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        return ErrorCounts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


TRUE_KINDS = ("found", "boundary", "merged", "split", "missed")


@dataclass(frozen=True, eq=False)
class JudgedObjects:
    """What became of the objects of an image.

    Attributes
    ----------
    areas : ndarray of int64, (n_true,)
        Of the true objects, pixels.
    kinds : ndarray of str, (n_true,)
        One of `TRUE_KINDS` each.
    false_areas : ndarray of int64, (n_false,)
        Of the predicted objects that stand for none.
    """

    areas: NDArray[np.int64]
    kinds: NDArray[np.str_]
    false_areas: NDArray[np.int64]


@dataclass(frozen=True)
class SizeGroup:
    """Errors of objects of a size: areas from `smallest` to `largest` pixels, both among them."""

    smallest: int
    largest: int
    counts: ErrorCounts


def judge_objects(labels_true: Labels, labels_pred: Labels) -> JudgedObjects:
    """Say of each true object what became of it; labels as for `unseam.metrics.overlap.overlaps`.

    Notes
    -----
    Found, merged, split and missed as in `unseam.metrics.matching.object_outcomes`. Of what is missed there
    and false there, the pairs of a one-to-one matching at an IoU of `LOOSE` or more are bad outlines.

    Examples
    --------
    >>> judge_objects(np.array([[1, 1, 1, 1, 1, 0]]), np.array([[0, 0, 0, 2, 2, 2]])).kinds.tolist()
    ['boundary']
    """
    overlap = overlaps(labels_true, labels_pred)
    true, pred = outcomes_of(overlap, FOUND)
    kinds = np.where(true == "hit", "found", true).astype("<U8")
    false = pred == "false"
    loose = match_pairs(overlap, LOOSE)
    rows, columns = overlap.pair_true[loose], overlap.pair_pred[loose]
    bad = (true[rows] == "missed") & false[columns]
    kinds[rows[bad]] = "boundary"
    false[columns[bad]] = False
    return JudgedObjects(overlap.area_true, kinds, overlap.area_pred[false])


def count_errors(judged: Sequence[JudgedObjects]) -> ErrorCounts:
    """The errors of a set of images by kind."""
    return sum((_counts(one.kinds, len(one.false_areas)) for one in judged), ErrorCounts())


def by_size(judged: Sequence[JudgedObjects], groups: int = 4) -> tuple[SizeGroup, ...]:
    """The errors of a set of images, in groups of about as many true objects each, the smallest first.

    Predicted objects that stand for none are counted in the group whose sizes they are nearest to. Objects of
    one size are never parted, so there may be fewer groups, and there is none without a true object.

    Raises
    ------
    ConfigError
        If `groups` is less than 1.
    """
    if groups < 1:
        raise ConfigError(f"{groups} groups of sizes were asked for; give 1 or more")
    areas = np.concatenate([one.areas for one in judged] or [np.zeros(0, np.int64)])
    if not len(areas):
        return ()
    kinds = np.concatenate([one.kinds for one in judged])
    false = np.concatenate([one.false_areas for one in judged])
    ranked = np.sort(areas)
    starts = np.unique(ranked[(np.arange(groups) * len(ranked)) // groups])
    group = np.searchsorted(starts, areas, side="right") - 1
    group_false = np.clip(np.searchsorted(starts, false, side="right") - 1, 0, None)
    return tuple(
        SizeGroup(
            int(areas[group == k].min()),
            int(areas[group == k].max()),
            _counts(kinds[group == k], int((group_false == k).sum())),
        )
        for k in range(len(starts))
    )


def _counts(kinds: NDArray[np.str_], false: int) -> ErrorCounts:
    return ErrorCounts(**{kind: int((kinds == kind).sum()) for kind in TRUE_KINDS}, false=false)
