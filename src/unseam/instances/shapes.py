"""Change the shapes of objects: remove, fill, grow, part."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unseam.errors import ConfigError, ShapeError
from unseam.instances.labels import NO_LABEL, Labels, Mask, checked
from unseam.instances.numbering import consecutive


def remove_small(labels: NDArray[np.integer[Any]], min_size: int) -> Labels:
    """Return `labels` without the objects of fewer than `min_size` pixels; the others keep their numbers.

    Raises
    ------
    ConfigError
        If `min_size` is negative.
    """
    if min_size < 0:
        raise ConfigError(f"min_size is {min_size}; expected 0 or more pixels")
    labels = checked(labels)
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
    Background is connected through corners (see `unseam.instances`). A region that touches the image
    border, a second object or an ignored pixel, be it by a corner, stays background: it is not known to be
    inside. How far a hole reaches is not bounded; in blocks, regions are joined as components are.
    """
    labels = checked(labels)
    everywhere = np.ones((3,) * labels.ndim, bool)
    regions, count = ndimage.label(labels == 0, structure=everywhere)
    open_regions = np.zeros(count + 1, bool)
    for axis in range(labels.ndim if labels.size else 0):
        open_regions[regions.take([0, -1], axis)] = True
    open_regions[0] = True  # the objects themselves
    hole = np.flatnonzero(~open_regions[regions])

    # Holes stay off the border, so flat steps to their neighbours never wrap around.
    region, flat = regions.ravel()[hole], labels.ravel()
    lowest = np.full(count + 1, NO_LABEL)
    highest = np.full(count + 1, -NO_LABEL)
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
    labels = checked(labels).copy()
    if within is not None and within.shape != labels.shape:
        raise ShapeError(f"within has shape {within.shape}, labels {labels.shape}; expected equal shapes")
    for _ in range(pixels):
        source = np.where(labels > 0, labels, NO_LABEL)
        nearest = np.full(labels.shape, NO_LABEL, np.int32)
        for axis in range(labels.ndim):
            onto, origin = np.moveaxis(nearest, axis, 0), np.moveaxis(source, axis, 0)
            np.minimum(onto[1:], origin[:-1], out=onto[1:])
            np.minimum(onto[:-1], origin[1:], out=onto[:-1])
        free = (labels == 0) & (nearest < NO_LABEL)
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
    labels = checked(labels)
    carved = labels.copy()
    for step in product((-1, 0, 1), repeat=labels.ndim):
        if step >= (0,) * labels.ndim:
            continue
        here = tuple(slice(max(0, -s), min(n, n - s)) for s, n in zip(step, labels.shape, strict=True))
        there = tuple(slice(max(0, s), min(n, n + s)) for s, n in zip(step, labels.shape, strict=True))
        pixel, neighbour = labels[here], labels[there]
        carved[here][(pixel > 0) & (neighbour > 0) & (pixel != neighbour)] = 0
    return carved
