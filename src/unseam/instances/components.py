"""Connected components of masks and of class maps, and how those of blocks are joined over faces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unseam.errors import LabelError
from unseam.instances.labels import Labels, Mask, checked
from unseam.instances.numbering import numbered


def label_components(mask: Mask) -> Labels:
    """Return the face-connected components of `mask`, numbered 1 to n in raster order of first pixel.

    Parameters
    ----------
    mask : ndarray of bool, (*spatial)

    Raises
    ------
    LabelError
        If `mask` is not boolean.

    Examples
    --------
    >>> label_components(np.array([[True, False], [False, True]]))
    array([[1, 0],
           [0, 2]], dtype=int32)
    """
    return numbered(label_block(mask)[0])


def label_class_regions(classes: NDArray[np.integer[Any]]) -> Labels:
    """Return the face-connected regions of each class of a class map, numbered in raster order; -1 stays -1.

    Examples
    --------
    >>> label_class_regions(np.array([[2, 1, 1, 0, 2]]))
    array([[1, 2, 2, 0, 3]], dtype=int32)
    """
    return numbered(label_classes(classes)[0])


def label_classes(classes: NDArray[np.integer[Any]]) -> tuple[Labels, Labels]:
    """Return the regions of each class, numbered from 1 class by class, and the class of each region."""
    classes = checked(classes)
    regions = np.minimum(classes, 0)
    values = np.unique(classes[classes > 0])
    counts, count = [], 0
    for value in values:
        mask = classes == value
        numbered, after = label_block(mask, after=count)
        regions[mask] = numbered[mask]
        counts.append(after - count)
        count = after
    return regions, np.repeat(values, counts)


def label_block(mask: Mask, *, after: int = 0) -> tuple[Labels, int]:
    """Return the components of one block, numbered from `after` + 1, and the last number given."""
    if mask.dtype != np.bool_:
        raise LabelError(
            f"mask has dtype {mask.dtype}; expected bool; compare first, for example probabilities > 0.5"
        )
    labels = np.zeros(mask.shape, np.int32)
    count = int(ndimage.label(mask, output=labels))
    if after:
        labels[mask] += after
    return labels, after + count


def face_pairs(low: Labels, high: Labels) -> Labels:
    """Return the pairs of numbers that meet across a face, each once, as an array of shape (k, 2).

    `low` is the last layer of one block and `high` the first layer of the next, of equal shape.
    """
    both = (low > 0) & (high > 0)
    pairs = np.unique((low[both].astype(np.int64) << 32) | high[both])  # as one integer: quicker to sort
    return np.stack([pairs >> 32, pairs & 0xFFFFFFFF], axis=1).astype(np.int32)


def merge(count: int, pairs: NDArray[np.integer[Any]]) -> Labels:
    """Return the table from block numbers 0 to `count` to joined numbers; 0 stays 0.

    `pairs`, (k, 2), holds the numbers that belong together; equal results are one object.
    """
    from scipy.sparse import coo_array  # slow to import, and needed for blocks alone
    from scipy.sparse.csgraph import connected_components

    low, high = pairs.T - 1
    graph = coo_array((np.ones(len(pairs), bool), (low, high)), shape=(count, count))
    joined = connected_components(graph, directed=False)[1] if count else np.empty(0)
    return np.concatenate([[0], joined + 1]).astype(np.int32)
