"""What an annotation file holds: shapes with their labels, names and classes.

Coordinates are those of pixel corners, (y, x), as in ImageJ and QuPath: pixel (i, j) covers [i, i + 1) x
[j, j + 1), and its centre is (i + 1/2, j + 1/2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.float64]
"""Corners (N, 2), y and x, in order; the last one is joined to the first, which is not repeated."""

FARTHEST = 2**31
"""Pixels; what lies beyond is in no image."""


@dataclass(frozen=True, eq=False)
class Shape:
    """One annotated object, of one part or several, with or without holes, or a point.

    Attributes
    ----------
    id : label value. Where the file gives none, shapes are numbered from 1 in the order of the file.
    rings : outer rings and holes, in any order: a place is inside if an odd number of rings go around it.
    name : as the file has it; may be empty.
    class_name : of what class it is; empty if none is given.
    frame : its number in a time series, from 0, or None.
    is_point : whether it is a point; `rings` is then one array (1, 2).
    properties : measurements, by name.
    """

    id: int
    rings: tuple[Ring, ...]
    name: str = ""
    class_name: str = ""
    frame: int | None = None
    is_point: bool = False
    properties: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Annotations:
    """The shapes of a file.

    Attributes
    ----------
    shapes : in the order of the file.
    size : height and width of the image in pixels, if the file says.
    source : the file, or None.
    frames : how many frames the time series has, if that is known; None of an image that is no series too.
    """

    shapes: tuple[Shape, ...]
    size: tuple[int, int] | None = None
    source: Path | None = None
    frames: int | None = None


def in_words(shape: Shape) -> str:
    """What messages call a shape.

    >>> in_words(Shape(7, (), name="cell 7"))
    "shape 7 ('cell 7')"
    """
    return f"shape {shape.id}" + (f" ({shape.name!r})" if shape.name else "")


def numbered(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """Shapes with their own ids, if each has one from 1 that no other of its frame has; else 1, 2, 3, ..."""
    keys = {(one.frame, one.id) for one in shapes if one.id > 0}
    if len(keys) == len(shapes):
        return tuple(shapes)
    return tuple(replace(one, id=number) for number, one in enumerate(shapes, start=1))
