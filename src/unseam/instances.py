"""From foreground probabilities to numbered objects, in 2-D, 3-D or N-D.

Every step is exact and says how far it looks, so that it can be done block by block and give what the
whole image gives. Labels are int32: 0 is background, 1 and up are objects, -1 (`IGNORE`) is unknown and
left alone.

Objects are connected through faces (4 neighbours in 2-D, 6 in 3-D). The background is therefore connected
through faces, edges and corners (8 and 26): with this pair, and with no other of the simple ones, a closed
curve of object pixels separates its inside from its outside, also on a grid::

    . 1 .      face-connected ones: four objects, no closed curve,
    1 . 1      and the middle is joined to the outside through the corners: no hole
    . 1 .

References
----------
A. Rosenfeld, "Connectivity in digital pictures", Journal of the ACM 17:146-160, 1970,
doi:10.1145/321556.321570.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from unseam.data.sample import IGNORE
from unseam.errors import ConfigError, InputError, LabelError, ShapeError

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]

_NO_LABEL = np.iinfo(np.int32).max  # larger than every label, so that it loses each minimum


def segment(
    foreground: NDArray[Any],
    *,
    threshold: float,
    min_size: int,
    holes: bool = True,
    grow_pixels: int = 1,
    low_threshold: float = 0.0,
) -> Labels:
    """Return the objects of a foreground probability map, numbered in raster order.

    Parameters
    ----------
    foreground : ndarray of float, (*spatial)
        Probability of foreground, 0 to 1.
    threshold : float
        A pixel above it (not at it) is foreground; 0 to 1.
    min_size : int
        Objects of fewer pixels are removed.
    holes : bool
        Whether holes are filled.
    grow_pixels : int
        How far each object grows, in pixels; 1 gives back the gap that `carve_gaps` took in training.
    low_threshold : float
        Objects grow only where the probability is above it; 0 lets them grow anywhere. With a high
        `threshold` that tells touching objects apart, a low one gives them their full outline.

    Returns
    -------
    ndarray of int32, (*spatial)
        0 is background, objects are 1 to n.

    Raises
    ------
    ConfigError
        If a threshold is outside 0 to 1, or a size or distance is negative.
    InputError
        If `foreground` holds NaN.

    Notes
    -----
    The order is threshold, components, grow, remove small, fill holes, number:

    * components before growing: grown pixels carry the number of their object, so growing never merges;
    * sizes are counted after growing, because these are the objects that the user sees and measures;
    * small objects go before holes are filled: a speck inside a hole would else keep it open, since a
      hole is filled only where one object alone surrounds it;
    * holes after growing: growing may close a ring that was open by a pixel;
    * numbers last: growing can change which object comes first.

    Examples
    --------
    >>> segment(np.array([[0.9, 0.1, 0.2, 0.8]]), threshold=0.5, min_size=1, grow_pixels=1)
    array([[1, 1, 2, 2]], dtype=int32)
    """
    for name, value in (("threshold", threshold), ("low_threshold", low_threshold)):
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} is {value}; expected a probability from 0 to 1")
    if np.isnan(foreground).any():
        raise InputError("foreground holds NaN; expected probabilities from 0 to 1; check the model's output")
    within = np.asarray(foreground > low_threshold) if low_threshold > 0 else None
    labels = grow(label_components(np.asarray(foreground > threshold)), grow_pixels, within=within)
    labels = remove_small(labels, min_size)
    if holes:
        labels = fill_holes(labels)
    return number_in_raster_order(labels)


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
    classes = _checked(classes)
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


def number_in_raster_order(labels: NDArray[np.integer[Any]]) -> Labels:
    """Return the same objects numbered 1 to n in raster order of their first pixel; -1 stays -1.

    Examples
    --------
    >>> number_in_raster_order(np.array([[7, 0, 3, 7]]))
    array([[1, 0, 2, 1]], dtype=int32)
    """
    labels = _checked(labels)
    values, lengths = _runs(labels)
    ids, first, run_id = np.unique(values, return_index=True, return_inverse=True)
    numbers = np.minimum(ids, 0).astype(np.int32)  # background and ignored pixels stay
    objects = np.flatnonzero(ids > 0)
    numbers[objects[np.argsort(first[objects])]] = np.arange(1, len(objects) + 1)
    return np.repeat(numbers[run_id], lengths).reshape(labels.shape)


def consecutive(labels: NDArray[np.integer[Any]]) -> tuple[Labels, Labels]:
    """Return the object numbers in rising order, and the labels with the k-th of them as k (from 1)."""
    labels = _checked(labels)
    values, lengths = _runs(labels)
    ids, run_id = np.unique(values, return_inverse=True)
    numbers = np.minimum(ids, 0).astype(np.int32)
    numbers[ids > 0] = np.arange(1, np.count_nonzero(ids > 0) + 1)
    return ids[ids > 0], np.repeat(numbers[run_id], lengths).reshape(labels.shape)


def remove_small(labels: NDArray[np.integer[Any]], min_size: int) -> Labels:
    """Return `labels` without the objects of fewer than `min_size` pixels; the others keep their numbers.

    Raises
    ------
    ConfigError
        If `min_size` is negative.
    """
    if min_size < 0:
        raise ConfigError(f"min_size is {min_size}; expected 0 or more pixels")
    labels = _checked(labels)
    _, dense = consecutive(labels)
    sizes = np.bincount(np.maximum(dense, 0).ravel())
    small = (sizes < min_size)[dense] & (labels > 0)
    return np.where(small, np.int32(0), labels)


def fill_holes(labels: NDArray[np.integer[Any]]) -> Labels:
    """Return `labels` with the background regions that one object alone encloses given to that object.

    Parameters
    ----------
    labels : ndarray of int, (*spatial)

    Notes
    -----
    Background is connected through corners (see the head of this file). A region that touches the image
    border, a second object or an ignored pixel, be it by a corner, stays background: it is not known to be
    inside. How far a hole reaches is not bounded; in blocks, regions are joined as components are.
    """
    labels = _checked(labels)
    everywhere = np.ones((3,) * labels.ndim, bool)
    regions, count = ndimage.label(labels == 0, structure=everywhere)
    open_regions = np.zeros(count + 1, bool)
    for axis in range(labels.ndim if labels.size else 0):
        open_regions[regions.take([0, -1], axis)] = True
    open_regions[0] = True  # the objects themselves
    hole = np.flatnonzero(~open_regions[regions])

    # Holes stay off the border, so flat steps to their neighbours never wrap around.
    region, flat = regions.ravel()[hole], labels.ravel()
    lowest = np.full(count + 1, _NO_LABEL)
    highest = np.full(count + 1, -_NO_LABEL)
    strides = np.array([prod(labels.shape[axis + 1 :]) for axis in range(labels.ndim)], np.intp)
    for step in product((-1, 0, 1), repeat=labels.ndim):
        neighbour = flat[hole + int(np.dot(strides, step))]
        wall = neighbour != 0
        np.minimum.at(lowest, region[wall], neighbour[wall])
        np.maximum.at(highest, region[wall], neighbour[wall])
    owner = np.where((lowest == highest) & (lowest > 0), lowest, 0).astype(np.int32)
    filled = flat.copy()
    filled[hole] = owner[region]
    return filled.reshape(labels.shape)


def grow(labels: NDArray[np.integer[Any]], pixels: int, *, within: Mask | None = None) -> Labels:
    """Return `labels` with each object grown by `pixels` steps through faces, into background only.

    Parameters
    ----------
    labels : ndarray of int, (*spatial)
    pixels : int
        Number of steps, 0 or more.
    within : ndarray of bool, (*spatial), optional
        Where objects may grow; everywhere if not given.

    Raises
    ------
    ConfigError
        If `pixels` is negative.
    ShapeError
        If `within` has another shape than `labels`.

    Notes
    -----
    At each step a free pixel takes the smallest number among its face neighbours. The result of a pixel
    therefore depends on its neighbourhood of `pixels` steps alone: a block with a halo of that many pixels
    gives what the whole image gives, if its objects have the numbers, or the order, of the whole image.
    """
    if pixels < 0:
        raise ConfigError(f"pixels is {pixels}; expected 0 or more steps to grow")
    labels = _checked(labels).copy()
    if within is not None and within.shape != labels.shape:
        raise ShapeError(f"within has shape {within.shape}, labels {labels.shape}; expected equal shapes")
    for _ in range(pixels):
        source = np.where(labels > 0, labels, _NO_LABEL)
        nearest = np.full(labels.shape, _NO_LABEL, np.int32)
        for axis in range(labels.ndim):
            onto, origin = np.moveaxis(nearest, axis, 0), np.moveaxis(source, axis, 0)
            np.minimum(onto[1:], origin[:-1], out=onto[1:])
            np.minimum(onto[:-1], origin[1:], out=onto[:-1])
        free = (labels == 0) & (nearest < _NO_LABEL)
        if within is not None:
            free &= within
        labels[free] = nearest[free]
    return labels


def carve_gaps(labels: NDArray[np.integer[Any]]) -> Labels:
    """Return `labels` with touching objects separated by a gap of one background pixel.

    An object pixel becomes background when one of its causal neighbours, the half of the full neighbourhood
    that precedes it in raster order (4 of 8 in 2-D, 13 of 26 in 3-D), belongs to another object. All
    comparisons are on the labels as given. Ignored pixels are left alone and carve nothing.

    References
    ----------
    T. Falk et al., "U-Net: deep learning for cell counting, detection, and morphometry", Nature Methods
    16:67-70, 2019, doi:10.1038/s41592-018-0261-2 (the rule of the published plugin).

    Examples
    --------
    >>> carve_gaps(np.array([[1, 1, 2, 2]]))
    array([[1, 1, 0, 2]], dtype=int32)
    """
    labels = _checked(labels)
    carved = labels.copy()
    for step in product((-1, 0, 1), repeat=labels.ndim):
        if step >= (0,) * labels.ndim:
            continue
        here = tuple(slice(max(0, -s), min(n, n - s)) for s, n in zip(step, labels.shape, strict=True))
        there = tuple(slice(max(0, s), min(n, n + s)) for s, n in zip(step, labels.shape, strict=True))
        pixel, neighbour = labels[here], labels[there]
        carved[here][(pixel > 0) & (neighbour > 0) & (pixel != neighbour)] = 0
    return carved


def _runs(labels: Labels) -> tuple[Labels, NDArray[np.intp]]:
    """Return value and length of each run of equal pixels: far fewer than pixels, so cheap to sort."""
    flat = labels.ravel()
    starts = np.flatnonzero(np.r_[np.ones(min(flat.size, 1), bool), flat[1:] != flat[:-1]])
    return flat[starts], np.diff(starts, append=flat.size)


def _checked(labels: NDArray[Any]) -> Labels:
    """Return `labels` as int32 in raster layout, or say why they cannot be labels."""
    labels = np.asarray(labels)
    if labels.ndim == 0:
        raise ShapeError("labels are a single number; expected an array with one axis or more")
    if not np.issubdtype(labels.dtype, np.integer):
        raise LabelError(
            f"labels have dtype {labels.dtype}; expected integers; number a mask with label_components first"
        )
    if labels.size and (labels.min() < IGNORE or labels.max() >= _NO_LABEL):
        raise LabelError(
            f"labels run from {labels.min()} to {labels.max()}; expected -1 (ignored), 0 (background) "
            f"and objects below {_NO_LABEL}"
        )
    return np.ascontiguousarray(labels, np.int32)
