"""Number objects anew: in raster order, or densely."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.instances.labels import Labels, checked

_TABLE = 2**16  # numbers up to this are looked up, however few values there are


def number_in_raster_order(labels: NDArray[np.integer[Any]]) -> Labels:
    """Return the same objects numbered 1 to n in raster order of their first pixel; -1 stays -1.

    Examples
    --------
    >>> number_in_raster_order(np.array([[7, 0, 3, 7]]))
    array([[1, 0, 2, 1]], dtype=int32)
    """
    return numbered(checked(labels))


def numbered(labels: Labels) -> Labels:
    """Return what `number_in_raster_order` returns; every number below 1 stays."""
    values, lengths = runs(labels)
    ids, run_id = distinct(values)
    first = np.zeros(len(ids), np.intp)
    backwards = slice(None, None, -1)  # of several assignments to one place the last one stays: the first run
    first[run_id[backwards]] = np.arange(len(values))[backwards]
    numbers = np.minimum(ids, 0).astype(np.int32)  # background and ignored pixels stay
    objects = np.flatnonzero(ids > 0)
    numbers[objects[np.argsort(first[objects])]] = np.arange(1, len(objects) + 1)
    if (numbers == ids).all():
        return labels.copy()
    return np.repeat(numbers[run_id], lengths).reshape(labels.shape)


def consecutive(labels: NDArray[np.integer[Any]]) -> tuple[Labels, Labels]:
    """Return the object numbers in rising order, and the labels with the k-th of them as k (from 1)."""
    labels = checked(labels)
    values, lengths = runs(labels)
    ids, run_id = distinct(values)
    numbers = np.minimum(ids, 0).astype(np.int32)
    numbers[ids > 0] = np.arange(1, np.count_nonzero(ids > 0) + 1)
    return ids[ids > 0], np.repeat(numbers[run_id], lengths).reshape(labels.shape)


def runs(labels: Labels) -> tuple[Labels, NDArray[np.intp]]:
    """Return value and length of each run of equal pixels: far fewer than pixels, so cheap to sort."""
    flat = labels.ravel()
    is_start = np.ones(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=is_start[1:])
    starts = np.flatnonzero(is_start)
    return flat[starts], np.diff(starts, append=flat.size)


def distinct(values: Labels) -> tuple[Labels, NDArray[np.intp]]:
    """Return the distinct numbers, rising, and the position of each value among them, as `np.unique` does.

    Where the numbers are not much larger than there are values, a table of them takes the place of sorting.

    Examples
    --------
    >>> distinct(np.array([7, 0, 3, 7], np.int32))
    (array([0, 3, 7], dtype=int32), array([2, 0, 1, 2]))
    """
    lowest, highest = int(values.min(initial=0)), int(values.max(initial=0))
    if highest - lowest > _TABLE + 4 * values.size:
        return np.unique(values, return_inverse=True)
    place = values - np.int32(lowest)
    is_there = np.zeros(highest - lowest + 1, bool)
    is_there[place] = True
    ids = (np.flatnonzero(is_there) + lowest).astype(np.int32)
    return ids, (np.cumsum(is_there) - 1)[place]
