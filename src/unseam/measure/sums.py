"""What is known of each object from some of its pixels, so that parts of an object add up to the whole.

A giant in four blocks. Each block sees a part and counts it from the corner of the part's own bounding box
(o); two parts are added by moving both to the corner of their joint box::

    ┌──────┬──────┐         o─────────┐
    │   o▒▒│▒▒    │         │ ▒▒▒▒▒   │
    │ o▒▒▒▒│▒▒▒   │   ->    │▒▒▒▒▒▒▒  │     the corner belongs to the object, not to the blocks
    ├──────┼──────┤         │ ▒▒▒▒▒▒▒▒│
    │  ▒▒▒▒│▒▒▒▒  │         └─────────┘
    └──────┴──────┘

All of this is integers, so the sums of an object are the same, bit for bit, however the image was cut and in
whatever order the parts were added. They are small, because an object is small, wherever it lies; where 64
bits do not hold them they are Python's integers, in an array of dtype object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Exact = NDArray[Any]
"""Integers: int64, or of dtype object and any size."""
LARGEST = 2.0**62
"""Below this an integer fits into 64 bits, and so does the sum of two."""
QUANTA = 65535
"""Steps from probability 0 to 1: what 16 bits hold."""
RECORDS = ("votes", "rows")
"""Fields with any number of entries per object, which name its id."""


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over the pixels of n objects in rising order of their ids; D axes, C channels.

    Attributes
    ----------
    ids : ndarray of int32, (n,)
    sizes : ndarray of int64, (n,)
        Pixels.
    boxes : ndarray of int64, (n, D, 2)
        Bounding boxes in the whole image, half open.
    first : ndarray of int, (n, D)
        Sums of coordinates, counted from the lower corner of the object's bounding box.
    second : ndarray of int, (n, D (D + 1) / 2)
        Sums of products of two such coordinates, in the order of `pairs`.
    totals : ndarray, (n, C)
        Sums of the intensities: integers of an image of 8 or 16 bits, else float64.
    squares : ndarray, (n, C)
        Beside integer totals the sums of squares; beside floats those of squared differences from the
        object's own mean, since sums of squares would lose the digits of a small spread in a bright image.
    probabilities : ndarray of int64, (n,), or None
        Sums of the probabilities in 65535ths.
    votes : ndarray of int64, (3, v), or None
        Id, class and number of pixels, sorted by id and class; classes of 1 and up only.
    rows : ndarray of int64, (4, r), or None
        In 2-D, for each row of each object: id, y, x of the first and of the last pixel in the whole image;
        sorted by id and y.
    """

    ids: NDArray[np.int32]
    sizes: Ints
    boxes: Ints
    first: Exact
    second: Exact
    totals: Exact
    squares: Exact
    probabilities: Ints | None = None
    votes: Ints | None = None
    rows: Ints | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def kind(self) -> str:
        """What was measured, in words; only sums of one kind add up."""
        extras = {"probabilities": self.probabilities, "classes": self.votes}
        given = [name for name, array in extras.items() if array is not None]
        dtype = "float" if self.totals.dtype.kind == "f" else "integer"
        axes, channels = self.boxes.shape[1], self.totals.shape[1]
        return ", ".join([f"{axes} axes", f"{channels} {dtype} channels", *given])

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The fields that are there, as arrays for `numpy.savez`: small, and without objects.

        Integers are stored in the narrowest type that holds them, those beyond 64 bits as decimal text.
        """
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: _packed(array) for name, array in arrays.items() if array is not None}


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Sums:
    """The sums that `Sums.to_arrays` took apart.

    Examples
    --------
    >>> from unseam.measure import sum_block
    >>> sums = sum_block(np.array([[0, 5, 5]]), origin=(7, 100))
    >>> from_arrays(sums.to_arrays()).boxes.tolist()
    [[[7, 8], [101, 103]]]
    """
    found = {name: _unpacked(arrays[name]) for name in (f.name for f in fields(Sums)) if name in arrays}
    return Sums(**found | {"ids": found["ids"].astype(np.int32)})


def pairs(ndim: int) -> list[tuple[int, int]]:
    """The pairs of axes of `Sums.second`: i <= j, (0, 0) first."""
    return list(combinations_with_replacement(range(ndim), 2))


def select(sums: Sums, keep: NDArray[np.bool_]) -> Sums:
    """The objects for which `keep`, of shape (n,), is true."""
    chosen = sums.ids[keep]
    changes: dict[str, Any] = {}
    for field in fields(sums):
        array = getattr(sums, field.name)
        if array is None:
            continue
        if field.name in RECORDS:
            changes[field.name] = array[:, np.isin(array[0], chosen)]
        else:
            changes[field.name] = array[keep]
    return Sums(**changes)


def _packed(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind == "f":
        return array
    if array.dtype == object:
        return array.astype(str)
    low, high = array.min(initial=0), array.max(initial=0)
    widths = (np.iinfo(dtype) for dtype in (np.int8, np.int16, np.int32, np.int64))
    return array.astype(next(w.dtype for w in widths if w.min <= low and high <= w.max))


def _unpacked(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind == "f":
        return array
    if array.dtype.kind == "U":
        return np.array([int(text) for text in array.ravel()], object).reshape(array.shape)
    return array.astype(np.int64)
