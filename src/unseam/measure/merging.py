"""Add the parts of objects that blocks saw: in any order, to the same integers."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import ShapeError
from unseam.measure.sums import LARGEST, RECORDS, Exact, Ints, Sums, pairs


def merge(a: Sums, *others: Sums) -> Sums:
    """Return the sums over the pixels of all: the parts of an object that is in several are added.

    The parts may come in any order, and share no pixel; nothing but float intensities depends on the order,
    and those only by rounding.

    Raises
    ------
    ShapeError
        If not all are of images with the same axes and channels, and with or without probabilities and
        classes.

    Notes
    -----
    Means and squared differences of floats are added as T. F. Chan, G. H. Golub and R. J. LeVeque do,
    "Updating formulae and a pairwise algorithm for computing sample variances", COMPSTAT 1982, 30-41,
    doi:10.1007/978-3-642-51461-6_3, eq. 2.1.

    Examples
    --------
    >>> from unseam.measure import sum_block
    >>> left, right = (sum_block(np.array([[5, 5]]), origin=(0, x)) for x in (10, 12))
    >>> both = merge(right, left)
    >>> both.sizes.tolist(), both.first.tolist()  # x counted from 10: 0 + 1 + 2 + 3
    ([4], [[0, 6]])
    """
    for other in others:
        if other.kind != a.kind:
            raise ShapeError(f"sums of {a.kind} and of {other.kind} do not add up; measure all blocks alike")
    parts = [part for part in (a, *others) if len(part)]
    if len(parts) < 2:
        return parts[0] if parts else a
    names = [field.name for field in fields(a) if getattr(a, field.name) is not None]
    return _grouped(Sums(**{name: _side_by_side(name, parts) for name in names}))


def _side_by_side(name: str, parts: list[Sums]) -> NDArray[Any]:
    axis = 1 if name in RECORDS else 0
    return np.concatenate([getattr(part, name) for part in parts], axis=axis)


def _grouped(parts: Sums) -> Sums:
    """The sums of objects that stand in several places of `parts`, in any order."""
    order = np.argsort(parts.ids, kind="stable")
    ids = parts.ids[order]
    start = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
    group = np.repeat(np.arange(len(start)), np.diff(start, append=len(ids)))
    boxes = parts.boxes[order]
    joint = np.stack(
        [np.minimum.reduceat(boxes[..., 0], start), np.maximum.reduceat(boxes[..., 1], start)], axis=-1
    )
    sizes = parts.sizes[order]
    total = np.add.reduceat(sizes, start)
    first, second = parts.first[order], parts.second[order]
    if not fits(total, joint):
        first, second = first.astype(object), second.astype(object)
    shift = boxes[..., 0] - joint[group, :, 0]
    first, second = moved(sizes, first, second, shift.astype(first.dtype))
    totals, squares = _intensities(sizes, parts.totals[order], parts.squares[order], start, group)
    return replace(
        parts,
        ids=ids[start],
        sizes=total,
        boxes=joint,
        first=np.add.reduceat(first, start),
        second=np.add.reduceat(second, start),
        totals=totals,
        squares=squares,
        probabilities=_added(parts.probabilities, order, start),
        votes=None if parts.votes is None else added_votes(parts.votes),
        rows=None if parts.rows is None else _joined_rows(parts.rows),
    )


def fits(sizes: Ints, boxes: Ints) -> bool:
    """Whether no moment of these objects, counted from their boxes' corners, exceeds 64 bits."""
    extent = np.max(boxes[..., 1] - boxes[..., 0], axis=1, initial=0).astype(np.float64)
    return bool((sizes * extent**2 < LARGEST).all())


def moved(sizes: Ints, first: Exact, second: Exact, shift: Exact) -> tuple[Exact, Exact]:
    """Moments of coordinates that are greater by `shift`, (n, D): sum (x + s)(y + t) multiplied out."""
    n = sizes[:, None].astype(first.dtype)
    i, j = map(list, zip(*pairs(first.shape[1]), strict=True))
    si, sj = shift[:, i], shift[:, j]
    return first + n * shift, second + si * first[:, j] + sj * first[:, i] + n * si * sj


def _intensities(
    sizes: Ints, totals: Exact, squares: Exact, start: NDArray[np.intp], group: NDArray[np.intp]
) -> tuple[Exact, Exact]:
    if totals.dtype.kind == "f":
        weight = np.add.reduceat(sizes, start)[:, None]
        joint = np.add.reduceat(totals, start)
        apart = totals / sizes[:, None] - (joint / weight)[group]
        return joint, np.add.reduceat(squares + sizes[:, None] * apart**2, start)
    if squares.size and np.add.reduce(squares.astype(np.float64), axis=None) >= LARGEST:
        totals, squares = totals.astype(object), squares.astype(object)
    return np.add.reduceat(totals, start), np.add.reduceat(squares, start)


def _added(values: Ints | None, order: NDArray[np.intp], start: NDArray[np.intp]) -> Ints | None:
    return None if values is None else np.add.reduceat(values[order], start)


def added_votes(votes: Ints) -> Ints:
    """Sorted by id and class, equal pairs added."""
    votes = votes[:, np.lexsort((votes[1], votes[0]))]
    start = _changes(votes)
    return np.stack([votes[0, start], votes[1, start], np.add.reduceat(votes[2], start)])


def _joined_rows(rows: Ints) -> Ints:
    """Sorted by id and row, the pieces of a row joined."""
    rows = rows[:, np.lexsort((rows[1], rows[0]))]
    start = _changes(rows)
    ends = np.minimum.reduceat(rows[2], start), np.maximum.reduceat(rows[3], start)
    return np.stack([rows[0, start], rows[1, start], *ends])


def _changes(records: Ints) -> NDArray[np.intp]:
    """Where the first two entries of sorted records, (k, n), are new."""
    new = np.ones(records.shape[1], bool)
    new[1:] = (records[:2, 1:] != records[:2, :-1]).any(axis=0)
    return np.flatnonzero(new)
