"""Part touching objects by a gap whose width and symmetry are chosen along each axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import ConfigError, ShapeError
from unseam.instances.labels import NO_LABEL, Labels, checked

_NOBODY = 0


def carve_contacts(labels: NDArray[np.integer[Any]], gap: Sequence[int]) -> Labels:
    """Return `labels` with objects that touch through faces separated by background of a chosen width.

    Parameters
    ----------
    labels : ndarray of int, (*spatial)
    gap : sequence of int, one per axis
        Background pixels, along this axis, between two objects that meet at a flat face: 0 is none, 1 is
        taken from the later object alone, an even number half from each.

    Raises
    ------
    ConfigError
        If a width is negative, or odd and above 1.
    ShapeError
        If there is not one width per axis.

    Notes
    -----
    Along the axes of even width, an object pixel becomes background when another object is within gap / 2
    steps through faces (of several such axes, each takes part in as many steps as half its width). What is
    taken is therefore what `grow` gives back in as many steps, but for objects, and parts of them, that are
    nowhere thicker than the gap: these are lost. Along an axis of width 1 a pixel becomes background when
    the one before it belongs to another object. All comparisons are on the labels as given. Ignored pixels
    are left alone, carve nothing and are not stepped over.

    `unseam.instances.carve_gaps` is the rule of the published plugin: width 1, diagonal contacts included.

    Examples
    --------
    >>> carve_contacts(np.array([1, 1, 1, 2, 2, 2]), [2])
    array([1, 1, 0, 0, 2, 2], dtype=int32)
    """
    labels = checked(labels)
    if len(gap) != labels.ndim:
        raise ShapeError(f"gap has {len(gap)} widths for {labels.ndim} axes; give one for each axis")
    for width in gap:
        if width < 0 or (width > 1 and width % 2):
            raise ConfigError(f"gap is {width}; expected 0, 1 or an even number of pixels")
    lowest = np.where(labels > 0, labels, NO_LABEL)
    highest = np.where(labels > 0, labels, _NOBODY)
    for step in range(max(gap, default=0) // 2):
        axes = [axis for axis, width in enumerate(gap) if width // 2 > step]
        lowest = _spread(lowest, labels, axes, np.minimum)
        highest = _spread(highest, labels, axes, np.maximum)
    contact = (labels > 0) & (lowest != highest)
    for axis in (axis for axis, width in enumerate(gap) if width == 1):
        here, before = np.moveaxis(labels, axis, 0)[1:], np.moveaxis(labels, axis, 0)[:-1]
        np.moveaxis(contact, axis, 0)[1:] |= (here > 0) & (before > 0) & (here != before)
    return np.where(contact, np.int32(0), labels)


def _spread(values: Labels, labels: Labels, axes: Sequence[int], better: np.ufunc) -> Labels:
    """The better of each pixel's value and those of its face neighbours along `axes`, within known pixels."""
    spread = values.copy()
    for axis in axes:
        onto, origin = np.moveaxis(spread, axis, 0), np.moveaxis(values, axis, 0)
        better(onto[1:], origin[:-1], out=onto[1:])
        better(onto[:-1], origin[1:], out=onto[:-1])
    return np.where(labels < 0, values, spread)
