"""How truth and prediction overlap: one sparse table of pixel counts, from which every measure is made.

::

                         prediction
                   0          ids_pred
               +-----+--------------------+
             0 | n_b | pred_on_background |     n_b: n_background
               +-----+--------------------+
    truth      |  t  | pair_area, one for |     t: true_on_background
     ids_true  |  b  | each nonzero pair  |     row sums: area_true
               +-----+--------------------+     column sums: area_pred
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.data.sample import IGNORE
from unseam.errors import LabelError, ShapeError

Labels = NDArray[np.integer[Any]]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Areas of the objects of truth and prediction and of their intersections, in pixels.

    Pixels whose truth is `IGNORE` are counted nowhere; an object that lies wholly on them does not exist.

    Attributes
    ----------
    ids_true, ids_pred : ndarray of int64, (n_true,) and (n_pred,)
        Object ids, ascending, without the background 0.
    area_true, area_pred : ndarray of int64, (n_true,) and (n_pred,)
        Area of each object.
    pair_true, pair_pred : ndarray of int64, (n_pairs,)
        Positions in `ids_true` and `ids_pred` of each pair of objects that share a pixel; in order.
    pair_area : ndarray of int64, (n_pairs,)
        Area of each intersection, at least 1.
    n_pixels : int
        All pixels counted, background included.
    """

    ids_true: Counts
    area_true: Counts
    ids_pred: Counts
    area_pred: Counts
    pair_true: Counts
    pair_pred: Counts
    pair_area: Counts
    n_pixels: int

    @property
    def n_true(self) -> int:
        """Number of true objects."""
        return len(self.ids_true)

    @property
    def n_pred(self) -> int:
        """Number of predicted objects."""
        return len(self.ids_pred)

    @property
    def true_on_background(self) -> Counts:
        """Pixels of each true object that are predicted background."""
        return self.area_true - _sums(self.pair_true, self.pair_area, self.n_true)

    @property
    def pred_on_background(self) -> Counts:
        """Pixels of each predicted object that are true background."""
        return self.area_pred - _sums(self.pair_pred, self.pair_area, self.n_pred)

    @property
    def n_background(self) -> int:
        """Pixels that are background in both."""
        union = self.area_true.sum() + self.area_pred.sum() - self.pair_area.sum()
        return int(self.n_pixels - union)

    @property
    def pair_iou(self) -> NDArray[np.float64]:
        """Intersection over union of each pair."""
        union = self.area_true[self.pair_true] + self.area_pred[self.pair_pred] - self.pair_area
        return np.asarray(self.pair_area / union)


def overlaps(labels_true: Labels, labels_pred: Labels) -> Overlaps:
    """Return the areas of all objects and of their intersections.

    Parameters
    ----------
    labels_true : ndarray of int or bool, any shape
        True objects: 0 background, `IGNORE` (-1) not counted. Ids may be any positive integers.
    labels_pred : ndarray of int or bool, same shape
        Predicted objects: 0 background.

    Raises
    ------
    ShapeError
        If the shapes differ.
    LabelError
        If labels are not integers or are negative (other than `IGNORE` in the truth).

    Notes
    -----
    Both arrays are cut, in memory order, into runs along which neither label changes; only the runs are
    tabulated. The time is that of one pass over the pixels, and the number of objects hardly matters.

    Examples
    --------
    >>> import numpy as np
    >>> found = overlaps(np.array([[1, 1], [7, -1]]), np.array([[2, 0], [2, 2]]))
    >>> found.ids_true, found.area_true, found.pair_area
    (array([1, 7]), array([2, 1]), array([1, 1]))
    """
    labels_true, labels_pred = np.asarray(labels_true), np.asarray(labels_pred)
    if labels_true.shape != labels_pred.shape:
        raise ShapeError(
            f"the truth has shape {labels_true.shape} and the prediction {labels_pred.shape}; "
            "they must be of one shape: compare a prediction with the truth of the same image"
        )
    run_true, run_pred, length = _runs(labels_true, labels_pred)
    known = run_true != IGNORE
    if not known.all():
        run_true, run_pred, length = run_true[known], run_pred[known], length[known]
    ids_true, row = _compact(run_true)
    ids_pred, column = _compact(run_pred)
    pair_true, pair_pred, pair_area = _pairs(row, column, length, len(ids_pred))
    return Overlaps(
        ids_true=ids_true[1:],
        area_true=_sums(row, length, len(ids_true))[1:],
        ids_pred=ids_pred[1:],
        area_pred=_sums(column, length, len(ids_pred))[1:],
        pair_true=pair_true,
        pair_pred=pair_pred,
        pair_area=pair_area,
        n_pixels=int(length.sum()),
    )


def _pairs(row: Counts, column: Counts, length: Counts, n_columns: int) -> tuple[Counts, Counts, Counts]:
    """Return the positions, from 0 for the first object, and the shared area of each pair of objects."""
    runs = np.flatnonzero((row > 0) & (column > 0))
    cell = row.take(runs) * n_columns + column.take(runs)  # far below 2**63: runs are not that many
    order = np.argsort(cell, kind="stable")
    cell = cell[order]
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    area = np.add.reduceat(length.take(runs)[order], first) if len(first) else np.zeros(0, np.int64)
    pair_true, pair_pred = np.divmod(cell[first], n_columns)
    return pair_true - 1, pair_pred - 1, area


def _runs(labels_true: Labels, labels_pred: Labels) -> tuple[Counts, Counts, Counts]:
    """Return the true label, the predicted label and the length of each run of equal pixels."""
    flat_true, flat_pred = labels_true.ravel(), labels_pred.ravel()
    starts_run = np.ones(flat_true.size, dtype=bool)
    np.not_equal(flat_true[1:], flat_true[:-1], out=starts_run[1:])
    starts_run[1:] |= flat_pred[1:] != flat_pred[:-1]
    start = np.flatnonzero(starts_run)
    length = np.diff(start, append=flat_true.size).astype(np.int64)
    run_true = _checked(flat_true[start], "truth", lowest=IGNORE)
    run_pred = _checked(flat_pred[start], "prediction", lowest=0)
    return run_true, run_pred, length


def _checked(values: NDArray[Any], name: str, *, lowest: int) -> Counts:
    """Return `values` as int64, or raise `LabelError` if they cannot be labels."""
    if values.dtype.kind not in "biu":
        raise LabelError(
            f"the {name} holds {values.dtype} values; labels are integers: convert it with astype"
        )
    if values.size and int(values.min()) < lowest:
        allowed = "0 and above" if lowest == 0 else f"0 and above, or {lowest} for pixels to leave out"
        raise LabelError(f"the {name} holds the label {values.min()}; labels are {allowed}: relabel it")
    if values.size and int(values.max()) > np.iinfo(np.int64).max:
        raise LabelError(f"the {name} holds the label {values.max()}; labels are below 2**63: relabel it")
    return values.astype(np.int64)


def _compact(values: Counts) -> tuple[Counts, Counts]:
    """Return the distinct values, ascending and always with 0, and the position of each value among them."""
    highest = int(values.max(initial=0))
    if highest > 2**16 + 4 * values.size:  # a lookup table would be slower, or larger, than sorting
        ids, position = np.unique(np.append(values, 0), return_inverse=True)
        return ids, position[:-1].astype(np.int64)
    present = np.zeros(highest + 1, dtype=bool)
    present[0] = True
    present[values] = True
    return np.flatnonzero(present).astype(np.int64), (np.cumsum(present) - 1)[values].astype(np.int64)


def _sums(index: Counts, area: Counts, n: int) -> Counts:
    """Return the sum of `area` for each of `n` positions in `index`."""
    return np.bincount(index, area, n).astype(np.int64)  # in float64, exact below 2**53 pixels
