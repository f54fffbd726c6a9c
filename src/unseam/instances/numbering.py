"""Number objects anew: in raster order, or densely."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.instances.labels import Labels, checked


def number_in_raster_order(labels: NDArray[np.integer[Any]]) -> Labels:
    """Return the same objects numbered 1 to n in raster order of their first pixel; -1 stays -1.

    Examples
    --------
    >>> number_in_raster_order(np.array([[7, 0, 3, 7]]))
    array([[1, 0, 2, 1]], dtype=int32)
    """
    labels = checked(labels)
    values, lengths = runs(labels)
    ids, first, run_id = np.unique(values, return_index=True, return_inverse=True)
    numbers = np.minimum(ids, 0).astype(np.int32)  # background and ignored pixels stay
    objects = np.flatnonzero(ids > 0)
    numbers[objects[np.argsort(first[objects])]] = np.arange(1, len(objects) + 1)
    return np.repeat(numbers[run_id], lengths).reshape(labels.shape)


def consecutive(labels: NDArray[np.integer[Any]]) -> tuple[Labels, Labels]:
    """Return the object numbers in rising order, and the labels with the k-th of them as k (from 1)."""
    labels = checked(labels)
    values, lengths = runs(labels)
    ids, run_id = np.unique(values, return_inverse=True)
    numbers = np.minimum(ids, 0).astype(np.int32)
    numbers[ids > 0] = np.arange(1, np.count_nonzero(ids > 0) + 1)
    return ids[ids > 0], np.repeat(numbers[run_id], lengths).reshape(labels.shape)


def runs(labels: Labels) -> tuple[Labels, NDArray[np.intp]]:
    """Return value and length of each run of equal pixels: far fewer than pixels, so cheap to sort."""
    flat = labels.ravel()
    starts = np.flatnonzero(np.r_[np.ones(min(flat.size, 1), bool), flat[1:] != flat[:-1]])
    return flat[starts], np.diff(starts, append=flat.size)
