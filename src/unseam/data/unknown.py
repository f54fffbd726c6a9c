"""Which pixels of a label image are unknown, and which are background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.data.sample import IGNORE
from unseam.errors import ConfigError, LabelError


def mark_unknown(
    arrays: Sequence[NDArray[Any]], *, ignore: int | None = None, background: int | None = None
) -> list[NDArray[Any]]:
    """Return label images in which unknown pixels are `IGNORE` and background is 0.

    Parameters
    ----------
    arrays : sequence of ndarray of int, (*spatial)
        All label images of a set.
    ignore : int, optional
        The value of pixels whose truth is unknown.
    background : int, optional
        The value of background where it is not 0, as in scribbles; pixels of 0 are then unlabelled, and
        unknown too.

    Raises
    ------
    ConfigError
        If both are one value.
    LabelError
        If no pixel of the set is background.

    Examples
    --------
    >>> mark_unknown([np.array([[0, 1, 2]])], background=1)
    [array([[-1,  0,  2]])]
    """
    if ignore is None and not background:
        return list(arrays)
    if background is not None and background == ignore:
        raise ConfigError(f"--background and --ignore are both {ignore}; a pixel is one or the other")
    if background and not any((array == background).any() for array in arrays):
        raise LabelError(
            f"no pixel of the labels has the value {background}, given by --background; without background "
            "there is nothing to tell objects from"
        )
    return [_marked(array, ignore, background) for array in arrays]


def _marked(array: NDArray[Any], ignore: int | None, background: int | None) -> NDArray[Any]:
    unknown = np.zeros(array.shape, np.bool_) if ignore is None else array == ignore
    marked = array.astype(np.int32 if array.dtype.itemsize < 4 else np.int64)
    if background:
        unknown |= array == 0
        marked[array == background] = 0
    marked[unknown] = IGNORE
    return marked
