"""The worst objects of a set of images, each in a small crop of its surroundings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.draw import display
from unseam.metrics.matching import Outcomes
from unseam.metrics.overlap import Overlaps, overlaps
from unseam.report.pictures import Picture, outcome_layer, photograph
from unseam.report.words import KINDS

MAX_CROPS = 24
WEAK_IOU = 0.7
"""Objects that count as found, but with a lower IoU than this, are shown as weak outlines."""

_MARGIN, _MIN_SIDE, _CROP_SIDE = 0.4, 40, 300
_LABEL_OF = {"hit": "weak outline"}


@dataclass(frozen=True, eq=False)
class Judged:
    """An image (C, *spatial), its labels (*spatial), and what became of each object."""

    stem: str
    image: NDArray[Any]
    labels_true: NDArray[Any]
    labels_pred: NDArray[Any]
    outcomes: Outcomes


@dataclass(frozen=True, eq=False)
class Find:
    """An object worth looking at.

    Attributes
    ----------
    kind : str
        One of `KINDS`; "hit" for a weak outline.
    where : Judged
        Its image.
    true_ids, pred_ids : frozenset of int
        The objects concerned, of truth and of prediction.
    area : int
        Area of the object, in pixels.
    iou : float
        IoU of a weak outline, else 0.
    """

    kind: str
    where: Judged
    true_ids: frozenset[int]
    pred_ids: frozenset[int]
    area: int
    iou: float = 0.0


@dataclass(frozen=True)
class Crop:
    """A find as the page shows it: the surroundings, and two layers of outlines."""

    kind: str
    label: str
    detail: str
    stem: str
    picture: Picture
    layer_true: str
    layer_pred: str


def worst_crops(images: Sequence[Judged], limit: int = MAX_CROPS) -> list[Crop]:
    """Return crops around the worst objects: each kind of error in turn, the largest object first."""
    return [_crop(find) for find in pick([find for one in images for find in finds(one)], limit)]


def pick(found: Sequence[Find], limit: int) -> list[Find]:
    """Return at most `limit` finds, of all kinds alike while they last, ordered by kind, the worst first."""
    ranked = {kind: sorted((f for f in found if f.kind == kind), key=_rank) for kind in _KINDS_WORST_FIRST}
    rounds = max((len(some) for some in ranked.values()), default=0)
    chosen = [some[turn] for turn in range(rounds) for some in ranked.values() if turn < len(some)][:limit]
    return sorted(chosen, key=lambda find: (_KINDS_WORST_FIRST.index(find.kind), _rank(find)))


_KINDS_WORST_FIRST = [*(kind for kind in KINDS if kind != "hit"), "hit"]


def _rank(find: Find) -> tuple[float, int]:
    return find.iou, -find.area


def finds(judged: Judged) -> Iterator[Find]:
    """Yield every object of an image that is not right, or right with a weak outline only."""
    table = overlaps(judged.labels_true, judged.labels_pred)
    true_kinds = [judged.outcomes.true[int(one)] for one in table.ids_true]
    pred_kinds = [judged.outcomes.pred[int(one)] for one in table.ids_pred]
    iou = table.pair_iou
    merges: set[frozenset[int]] = set()
    weak: list[Find] = []
    for t, kind in enumerate(true_kinds):
        partners = _partners(table, t)
        area, ids = int(table.area_true[t]), frozenset({int(table.ids_true[t])})
        if kind == "merged":
            cover = partners[np.argmax(table.pair_area[partners])]
            yield from _merge(judged, table, int(table.pair_pred[cover]), merges)
        elif kind == "hit":
            best = float(iou[partners].max())
            if best < WEAK_IOU:
                pred_ids = _ids_pred(table, partners[iou[partners] == best])
                weak.append(Find("hit", judged, ids, pred_ids, area, best))
        else:
            within = 2 * table.pair_area[partners] > table.area_pred[table.pair_pred[partners]]
            yield Find(kind, judged, ids, _ids_pred(table, partners[within]), area)
    yield from (find for find in weak if find.pred_ids not in merges)  # a merge is shown once
    for p, outcome in enumerate(pred_kinds):
        if outcome == "false":
            ids = frozenset({int(table.ids_pred[p])})
            yield Find("false", judged, frozenset(), ids, int(table.area_pred[p]))


def _merge(judged: Judged, table: Overlaps, pred: int, merges: set[frozenset[int]]) -> Iterator[Find]:
    """Yield a predicted object that merges true ones, once however many they are."""
    ids = frozenset({int(table.ids_pred[pred])})
    if ids in merges:
        return
    merges.add(ids)
    pairs = np.flatnonzero(table.pair_pred == pred)
    swallowed = pairs[2 * table.pair_area[pairs] > table.area_true[table.pair_true[pairs]]]
    true_ids = frozenset(table.ids_true[table.pair_true[swallowed]].tolist())
    yield Find("merged", judged, true_ids, ids, int(table.area_pred[pred]))


def _partners(table: Overlaps, true: int) -> NDArray[np.intp]:
    """Return the positions of the pairs of a true object; pairs are in the order of true objects."""
    first, last = np.searchsorted(table.pair_true, [true, true + 1])
    return np.arange(first, last)


def _ids_pred(table: Overlaps, pairs: NDArray[np.intp]) -> frozenset[int]:
    return frozenset(table.ids_pred[table.pair_pred[pairs]].tolist())


def _crop(find: Find) -> Crop:
    where = find.where
    subject = np.isin(where.labels_true, list(find.true_ids)) | (
        np.isin(where.labels_pred, list(find.pred_ids)) & (where.labels_true >= 0)
    )
    image, true, pred, detail = where.image, where.labels_true, where.labels_pred, _detail(find)
    if subject.ndim == 3:  # of a volume the slice that shows most of it
        z = int(np.argmax(subject.sum(axis=(1, 2))))
        image, true, pred, subject = image[:, z], true[z], pred[z], subject[z]
        detail += f", z = {z}"
    window = _window(subject)
    true, pred = true[window], pred[window]
    # the largest piece of a split may also be a hit, as may a merge; in this picture it is the error
    as_kind = find.kind in ("merged", "split")
    true_kinds = where.outcomes.true | (dict.fromkeys(find.true_ids, find.kind) if as_kind else {})
    pred_kinds = where.outcomes.pred | (dict.fromkeys(find.pred_ids, find.kind) if as_kind else {})
    return Crop(
        kind=find.kind,
        label=_LABEL_OF.get(find.kind, find.kind),
        detail=detail,
        stem=where.stem,
        picture=photograph(display(image)[window], _CROP_SIDE),
        layer_true=outcome_layer(true, true_kinds, find.true_ids),
        layer_pred=outcome_layer(pred, pred_kinds, find.pred_ids),
    )


def _window(subject: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return a square around the subject with a margin, moved to lie inside the image."""
    spans = [np.flatnonzero(subject.any(axis=1 - axis))[[0, -1]] for axis in range(2)]
    longest = max(int(last - first) + 1 for first, last in spans)
    side = max(_MIN_SIDE, round(longest * (1 + 2 * _MARGIN)))
    slices = []
    for (first, last), size in zip(spans, subject.shape, strict=True):
        start = max(0, min(int(first + last + 1 - side) // 2, size - side))
        slices.append(slice(start, min(size, start + side)))
    return slices[0], slices[1]


def _detail(find: Find) -> str:
    true, pred = sorted(find.true_ids), sorted(find.pred_ids)
    if find.kind == "merged":
        return f"{len(true)} objects in predicted {pred[0]}"
    if find.kind == "split":
        return f"object {true[0]} in {len(pred)} pieces"
    if find.kind == "hit":
        return f"object {true[0]}, IoU {find.iou:.2f}"
    return f"object {true[0]}" if true else f"predicted {pred[0]}"
