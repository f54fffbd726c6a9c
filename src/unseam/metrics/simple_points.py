"""Deform one binary image towards another by flipping simple points alone, which keeps its topology.

Cells (foreground) are connected through faces, the membranes between them (background) over corners too,
as in the ISBI 2012 challenge. A point is simple if flipping it changes neither the number of cells nor that
of pieces of membrane nor what lies in what. In 2-D its eight neighbours decide::

      simple          not simple: a merge       not simple: a hole
      # # .                # # .                    # # #
      # o .                . o .                    # o #
      # # .                # # .                    # # #

References
----------
V. Jain et al., 2010, "Boundary learning by optimization with topological constraints", CVPR 2010:2488-2495,
doi:10.1109/CVPR.2010.5539950 (the deformation).
G. Bertrand and G. Malandain, 1994, Pattern Recognit. Lett. 15:169-175, doi:10.1016/0167-8655(94)90046-9
(simple points by counts of components).
S. Yokoi, J. Toriwaki and T. Fukumura, 1975, "An analysis of topological properties of digitized binary
pictures using local features", Comput. Graph. Image Process. 4:63-73 (the sum in `_branches`).
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import ShapeError

Mask = NDArray[np.bool_]
Places = NDArray[np.intp]

AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
"""The neighbours of a pixel (y, x), once around; bit k of its code is the k-th. Odd ones share a face."""
FACES = (1, 3, 5, 7)
FRAME = ((0, 0), (1, 1), (1, 1))


def _branches() -> NDArray[np.uint8]:
    """For each code, in how many places of the ring of neighbours the cells end: Yokoi's sum.

    It is the number of pieces of cell within the ring that share a face with the pixel, and of pieces of
    membrane between them; 0 where all neighbours are cell, or none that shares a face.
    """
    ring = np.arange(256)[:, None] >> np.arange(8) & 1
    ends = [
        ring[:, face] * (1 - ring[:, (face + 1) % 8] * ring[:, (face + 2) % 8]) for face in FACES
    ]  # a face neighbour from which the ring does not lead on, through cell, to the next one
    return np.asarray(sum(ends), np.uint8)


BRANCHES = _branches()
"""By code: a pixel is simple where it is 1."""


def warp(
    truth: Mask,
    target: Mask,
    *,
    confidence: NDArray[np.floating[Any]] | None = None,
    movable: Mask | None = None,
) -> Mask:
    """Return `truth` after the flips of simple points that bring it near `target`.

    Parameters
    ----------
    truth, target : ndarray of bool, (*slices, Y, X)
        Cells are True. Each slice is deformed on its own; outside is membrane.
    confidence : ndarray of float, same shape, optional
        How sure the target is of a pixel; surer ones flip first. All alike if not given.
    movable : ndarray of bool, same shape, optional
        Pixels that may flip; all if not given.

    Returns
    -------
    ndarray of bool, same shape
        As many cells, pieces of membrane and holes as in `truth`, and no simple point left that differs.

    Raises
    ------
    ShapeError
        If shapes differ, or there are fewer than two axes.

    Notes
    -----
    Only pixels that differ from the target flip, so each flips once at most. In each round those flip
    that are simple and surer than all simple differing neighbours; equally sure ones take turns by the
    parities of y and x. No two of a round are neighbours, and a flip changes no code but its neighbours':
    to flip them at once is to flip them one by one. The published program goes through all differing
    pixels in order of confidence, again and again. Which of the nearest deformations is found depends on
    such choices; how many pixels are left differs by a few per cent at most on EM predictions. A membrane
    that lies wholly beside that of the target may get stuck on its way: no pixel flips there and back.

    Examples
    --------
    >>> cell = np.array([[1, 1, 0, 0], [1, 1, 0, 0]], bool)
    >>> warp(cell, np.array([[1, 1, 1, 0], [1, 0, 0, 1]], bool)).astype(int)
    array([[1, 1, 1, 0],
           [1, 0, 0, 0]])
    """
    _check(truth, target, confidence, movable)
    now, wanted = framed(truth), framed(target)
    shape = now.shape
    differs = now != wanted
    if movable is not None:
        differs &= framed(movable)
    order = np.zeros(shape, np.int32)
    order[differs] = _turns(differs, None if confidence is None else framed(confidence))
    _flip_in_turn(now.reshape(-1), order.reshape(-1), steps(shape))
    return now[:, 1:-1, 1:-1].reshape(truth.shape).copy()


def framed(values: NDArray[Any]) -> NDArray[Any]:
    """Slices with a frame of one pixel of 0, so that neighbours in flat order are neighbours in a slice."""
    return np.pad(values.reshape(prod(values.shape[:-2]), *values.shape[-2:]), FRAME)


def steps(shape: tuple[int, ...]) -> Places:
    """How far the neighbours of `AROUND` are in the flat order of a framed array of this shape."""
    return np.array([y * shape[-1] + x for y, x in AROUND])


def codes(flat: Mask, places: Places, ring: Places) -> NDArray[np.uint8]:
    """The codes of pixels of a framed array in flat order."""
    code = np.zeros(len(places), np.uint8)
    for bit, step in enumerate(ring):
        code |= flat[places + step].view(np.uint8) << np.uint8(bit)
    return code


def _turns(differs: Mask, confidence: NDArray[np.floating[Any]] | None) -> NDArray[np.int32]:
    """A number of at least 1 for each differing pixel: larger if surer, never that of a neighbour."""
    y, x = np.nonzero(differs)[1:]
    turns = 1 + 2 * (y % 2) + x % 2
    if confidence is not None:
        turns += 4 * np.unique(confidence[differs], return_inverse=True)[1]
    return turns.astype(np.int32)


def _flip_in_turn(now: Mask, order: NDArray[np.int32], ring: Places) -> None:
    """Flip in place the pixels of nonzero order, while any is simple; of neighbours, the larger first."""
    claim = np.zeros_like(order)  # the order of each pixel that could flip at once, else 0
    stamp = np.zeros(len(order), np.intp)
    touched = waiting = np.flatnonzero(order)
    while touched.size:
        claim[touched] = np.where(BRANCHES[codes(now, touched, ring)] == 1, order[touched], 0)
        waiting = waiting[claim[waiting] > 0]
        strongest = np.zeros(len(waiting), np.int32)
        for step in ring:
            np.maximum(strongest, claim[waiting + step], out=strongest)
        flipped = waiting[claim[waiting] > strongest]
        now[flipped] ^= True
        order[flipped] = claim[flipped] = 0
        touched = (flipped[:, None] + ring).reshape(-1)
        touched = _each_once(touched[order[touched] > 0], stamp)
        waiting = np.concatenate([waiting, touched[claim[touched] == 0]])  # the others wait already


def _each_once(places: Places, stamp: Places) -> Places:
    """The places without repetition; `stamp` is room for notes, one for each place there is."""
    number = np.arange(len(places))
    stamp[places] = number  # the last of equal places stays
    once: Places = places[stamp[places] == number]
    return once


def _check(truth: Mask, *others: NDArray[Any] | None) -> None:
    if truth.ndim < 2:
        raise ShapeError(f"the truth has shape {truth.shape}; expected slices of two axes, (*slices, Y, X)")
    for other in others:
        if other is not None and other.shape != truth.shape:
            raise ShapeError(
                f"the truth has shape {truth.shape} and what it is compared with {other.shape}; "
                "they must be equal: compare a prediction with the truth of the same image"
            )
