"""Targets that rise from the outline of an object to its inside, instead of jumping to 1::

    object                  . . ■ ■ ■ ■ ■ ■ ■ ■ ■ ■ ■ ■ ■ . .
    share of foreground     0 0 ⅝ ¾ ⅞ 1 1 1 1 1 1 1 ⅞ ¾ ⅝ 0 0

Where two objects meet, the network then has a slope on either side to learn, and not one thin line alone; so
their cores come apart where the line between them is faint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unseam.data.sample import IGNORE
from unseam.errors import ConfigError
from unseam.fingerprint import equivalent_diameter

OUTLINE = 0.5
"""Share of foreground from which the slope starts: all of an object is above, all background below."""
DEEPEST = 8.0
"""Largest depth of a slope, in pixels of the finest axis."""


def foreground_share(
    labels: NDArray[np.int32], depth: float, *, spacing: Sequence[float] | None = None
) -> NDArray[np.float32]:
    """How much of the foreground each pixel counts as, by its distance from the outline of its object.

    Parameters
    ----------
    labels : ndarray of int32, (*spatial)
        Objects; 0 is background, -1 unknown. Touching ones should have been parted before.
    depth : float, 0 to 1
        Depth at which a pixel counts fully, in diameters of its object (of the disc or ball of equal size);
        from one pixel to `DEEPEST`, and not deeper than the object is. 0 makes every pixel of an object 1.
    spacing : sequence of float, optional
        Pixel size along each axis, in units of the finest. Default 1 everywhere.

    Returns
    -------
    ndarray of float32, (*spatial)
        0 on background, above `OUTLINE` to 1 on objects, -1 where unknown.

    Raises
    ------
    ConfigError
        If `depth` is not between 0 and 1.

    Notes
    -----
    OUTLINE + (1 - OUTLINE) min(1, d / w) with d the distance between pixel centres to the nearest pixel known
    to be no part of the object, and w the depth. Unknown pixels and the edge of the image are no outline: an
    object may go on behind them.

    Examples
    --------
    >>> foreground_share(np.array([[0, 5, 5, 5, 5, 5, 0]], np.int32), 0.8).round(2)
    array([[0.  , 0.75, 1.  , 1.  , 1.  , 0.75, 0.  ]], dtype=float32)
    """
    if not 0 <= depth <= 1:
        raise ConfigError(f"the depth of the slope is {depth}; give a share of the diameter, from 0 to 1")
    shares = np.sign(labels).astype(np.float32)
    if depth == 0:
        return shares
    steps = tuple(spacing) if spacing is not None else (1.0,) * labels.ndim
    unit = math.prod(steps) ** (1 / labels.ndim)
    for number, box in enumerate(ndimage.find_objects(np.maximum(labels, 0)), start=1):
        if box is None:  # a number that no object has
            continue
        size = np.count_nonzero(labels[box] == number)
        width = float(np.clip(depth * unit * equivalent_diameter(np.array(size), labels.ndim), 1.0, DEEPEST))
        window = _widened(box, [math.ceil(width / step) for step in steps])
        own = labels[window] == number
        other = ~own & (labels[window] != IGNORE)
        if other.any():
            distance = ndimage.distance_transform_edt(~other, sampling=steps)[own]
            rise = np.minimum(1.0, distance / min(width, float(distance.max())))
            shares[window][own] = OUTLINE + (1 - OUTLINE) * rise
    return shares


def _widened(box: tuple[slice, ...], margins: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(max(b.start - m, 0), b.stop + m) for b, m in zip(box, margins, strict=True))
