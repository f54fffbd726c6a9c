"""Names of array axes, and the one order in which unseam keeps them: T? C Z? Y X.

::

    letter  meaning        in canonical order
    T       time           first, only where the file has it
    C       channel        always there; one channel where the file has none
    Z Y X   space          last; Z only in volumes
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import InputError, ShapeError

LETTERS = "TCZYX"
"""Every axis letter, in canonical order."""


def parse_axes(axes: str) -> str:
    """Return `axes` in capitals, checked.

    Parameters
    ----------
    axes : str
        One letter of `LETTERS` for each array axis, for example "ZYX"; small letters are accepted.

    Raises
    ------
    InputError
        If a letter is unknown or repeated, or if Y or X is absent.
    """
    letters = axes.strip().upper()
    unknown = [letter for letter in letters if letter not in LETTERS]
    if unknown:
        raise InputError(f"axes {axes!r} name {unknown[0]!r}, which is unknown; use letters of T C Z Y X")
    repeated = [letter for letter in LETTERS if letters.count(letter) > 1]
    if repeated:
        raise InputError(f"axes {axes!r} name {repeated[0]} more than once; use each letter once")
    if "Y" not in letters or "X" not in letters:
        raise InputError(f"axes {axes!r} lack Y or X; every image has both, for example YX, CYX or ZYX")
    return letters


def canonical_axes(axes: str) -> str:
    """Return the letters of `axes` in canonical order, with C added where it is absent.

    Example
    -------
    >>> canonical_axes("YX"), canonical_axes("ZTYX")
    ('CYX', 'TCZYX')
    """
    letters = parse_axes(axes)
    return "".join(letter for letter in LETTERS if letter in letters or letter == "C")


def spatial_axes(axes: str) -> str:
    """Return the spatial letters of `axes` in canonical order: "YX" or "ZYX"."""
    letters = parse_axes(axes)
    return "".join(letter for letter in "ZYX" if letter in letters)


def reorder(array: NDArray[Any], axes: str) -> NDArray[Any]:
    """Return a view of `array` with its axes in the order of `LETTERS`; no axis is added.

    Parameters
    ----------
    array : ndarray
        Any dtype, one axis for each letter.
    axes : str
        What each axis of `array` is.

    Raises
    ------
    InputError
        If `axes` is not valid (see `parse_axes`).
    ShapeError
        If the number of letters is not the number of array axes.
    """
    letters = parse_axes(axes)
    if len(letters) != array.ndim:
        raise ShapeError(
            f"axes {letters} name {len(letters)} axes, but the array has {array.ndim}, shape {array.shape};"
            " give one letter of T C Z Y X for each axis"
        )
    return array.transpose([letters.index(letter) for letter in LETTERS if letter in letters])


def to_canonical(array: NDArray[Any], axes: str) -> NDArray[Any]:
    """Return a view of `array` in the order of `canonical_axes(axes)`.

    Raises
    ------
    InputError, ShapeError
        As `reorder`.

    Example
    -------
    >>> to_canonical(np.zeros((4, 5, 3)), "YXC").shape
    (3, 4, 5)
    """
    ordered = reorder(array, axes)
    names = canonical_axes(axes)
    return ordered if len(names) == array.ndim else np.expand_dims(ordered, names.index("C"))


def times(shape: Iterable[int]) -> str:
    """Return a size as people write it.

    Example
    -------
    >>> times((512, 640))
    '512 x 640'
    """
    return " x ".join(map(str, shape))
