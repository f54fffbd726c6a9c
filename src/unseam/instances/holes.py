"""Background regions: which object surrounds them, and the filling of those that one alone surrounds."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unseam.instances.labels import NO_LABEL, Labels, Mask, checked


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

    Examples
    --------
    >>> fill_holes(np.array([[7, 7, 7], [7, 0, 7], [7, 7, 7]]))[1]
    array([7, 7, 7], dtype=int32)
    """
    labels = checked(labels)
    regions, count = background_regions(labels)
    border = np.zeros(count + 1, bool)
    for axis in range(labels.ndim if labels.size else 0):
        border[regions.take([0, -1], axis)] = True
    owner = owners(*surroundings(labels, regions, border), border)
    if not owner.any():
        return labels.copy()
    filled: Labels = owner.take(regions)
    filled += labels
    return filled


def background_regions(labels: Labels) -> tuple[Labels, int]:
    """Return the regions of background, connected through corners, as numbers from 1, and how many."""
    regions = np.zeros(labels.shape, np.int32)
    everywhere = np.ones((3,) * labels.ndim, bool)
    return regions, int(ndimage.label(labels == 0, structure=everywhere, output=regions))


def surroundings(
    labels: Labels, regions: Labels, border: Mask, *, inner: tuple[slice, ...] = ()
) -> tuple[Labels, Labels]:
    """Return the lowest and the highest number that touches each region, also by a corner.

    Parameters
    ----------
    labels, regions : ndarray of int32, (*spatial)
    border : ndarray of bool, (regions + 1,)
        Regions that touch the image border: no holes, so nothing more is asked about them.
    inner : tuple of slice, optional
        Pixels to look at; all if not given. The pixels of the other regions that lie in it must have all
        their neighbours in the array.

    Returns
    -------
    lowest, highest : ndarray of int32, (regions + 1,)
        `NO_LABEL` and `-NO_LABEL` where nothing touches, as for number 0, the objects themselves. A region
        that is seen to touch two objects is no hole, whichever they are, so the search for others stops.
    """
    lowest = np.full(len(border), NO_LABEL, np.int32)
    highest = -lowest
    flat, region_of = labels.ravel(), regions.ravel()

    near = np.zeros(labels.shape, bool)
    near[inner] = ((regions > 0) & _widened(regions == 0))[inner]
    pixels = np.flatnonzero(near)
    pixels = pixels[~border[region_of[pixels]]]
    strides = [prod(labels.shape[axis + 1 :]) for axis in range(labels.ndim)]
    along = [step for stride in strides[::-1] for step in (-stride, stride)]
    others = [
        int(np.dot(strides, step))
        for step in product((-1, 0, 1), repeat=labels.ndim)
        if np.count_nonzero(step) > 1
    ]
    for step in along + others:
        neighbour, region = flat[pixels + step], region_of[pixels]  # off the border: never wraps around
        wall = neighbour != 0
        np.minimum.at(lowest, region[wall], neighbour[wall])
        np.maximum.at(highest, region[wall], neighbour[wall])
        pixels = pixels[(lowest >= highest)[region]]
    return lowest, highest


def owners(lowest: Labels, highest: Labels, border: Mask) -> Labels:
    """Return the object that encloses each region alone, or 0."""
    return np.where((lowest == highest) & (lowest > 0) & ~border, lowest, 0).astype(np.int32)


def _widened(mask: Mask) -> Mask:
    """Return `mask` and all its neighbours, also by corners."""
    for axis in range(mask.ndim):
        origin = np.moveaxis(mask, axis, 0)
        mask = mask.copy()
        onto = np.moveaxis(mask, axis, 0)
        onto[1:] |= origin[:-1]
        onto[:-1] |= origin[1:]
    return mask
