"""Connected components of masks and of class maps, in one go or block by block."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from unseam.errors import LabelError, ShapeError
from unseam.instances.labels import Labels, Mask, checked
from unseam.instances.numbering import number_in_raster_order


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
    return number_in_raster_order(label_block(mask)[0])


def label_class_regions(classes: NDArray[np.integer[Any]]) -> Labels:
    """Return the face-connected regions of each class of a class map, numbered in raster order; -1 stays -1.

    Examples
    --------
    >>> label_class_regions(np.array([[2, 1, 1, 0, 2]]))
    array([[1, 2, 2, 0, 3]], dtype=int32)
    """
    classes = checked(classes)
    regions = np.minimum(classes, 0)
    count = 0
    for value in np.unique(classes[classes > 0]):
        mask = classes == value
        numbered, count = label_block(mask, after=count)
        regions[mask] = numbered[mask]
    return number_in_raster_order(regions)


def label_components_blockwise(mask: Mask, block_shape: tuple[int, ...]) -> Labels:
    """Return exactly `label_components(mask)`, looking at one block and one pair of faces at a time.

    Parameters
    ----------
    mask : ndarray of bool, (*spatial)
    block_shape : tuple of int
        Size of a block along each axis; the last blocks may be smaller.

    Raises
    ------
    ShapeError
        If `block_shape` has another number of axes than `mask`, or a size below 1.

    Notes
    -----
    Two pixels are connected when a path of face steps joins them; each step lies inside one block or
    crosses one face between two. Components of the blocks, joined over the faces, are the components of
    the whole.
    """
    if len(block_shape) != mask.ndim or min(block_shape, default=1) < 1:
        raise ShapeError(
            f"blocks of {block_shape} do not fit a mask of shape {mask.shape}; "
            f"give {mask.ndim} sizes of 1 or more"
        )
    starts = [range(0, size, step) for size, step in zip(mask.shape, block_shape, strict=True)]
    labels = np.zeros(mask.shape, np.int32)
    count = 0
    for corner in product(*starts):
        block = tuple(slice(at, at + step) for at, step in zip(corner, block_shape, strict=True))
        labels[block], count = label_block(mask[block], after=count)
    pairs = [
        face_pairs(labels.take([at - 1], axis), labels.take([at], axis))
        for axis in range(mask.ndim)
        for at in starts[axis][1:]
    ]
    joined = merge(count, np.concatenate([np.empty((0, 2), np.int32), *pairs]))
    return number_in_raster_order(joined[labels])


def label_block(mask: Mask, *, after: int = 0) -> tuple[Labels, int]:
    """Return the components of one block, numbered from `after` + 1, and the last number given."""
    if mask.dtype != np.bool_:
        raise LabelError(
            f"mask has dtype {mask.dtype}; expected bool; compare first, for example probabilities > 0.5"
        )
    labels = np.zeros(mask.shape, np.int32)
    count = int(ndimage.label(mask, output=labels))
    labels[mask] += after
    return labels, after + count


def face_pairs(low: Labels, high: Labels) -> Labels:
    """Return the pairs of numbers that meet across a face, each once, as an array of shape (k, 2).

    `low` is the last layer of one block and `high` the first layer of the next, of equal shape.
    """
    both = (low > 0) & (high > 0)
    return np.unique(np.stack([low[both], high[both]], axis=1), axis=0)


def merge(count: int, pairs: Labels) -> Labels:
    """Return the table from block numbers 0 to `count` to joined numbers; 0 stays 0.

    `pairs`, (k, 2), holds the numbers that belong together; equal results are one object.
    """
    low, high = pairs.T - 1
    graph = coo_array((np.ones(len(pairs), bool), (low, high)), shape=(count, count))
    joined = connected_components(graph, directed=False)[1] if count else np.empty(0)
    return np.concatenate([[0], joined + 1]).astype(np.int32)
