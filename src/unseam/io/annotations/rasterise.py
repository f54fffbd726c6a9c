"""Shapes to labels: a pixel belongs to a shape if its centre is inside, by the even-odd rule."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unseam.errors import InputError, LabelError, ShapeError
from unseam.io.annotations.record import Shape, in_words
from unseam.io.annotations.rings import counted, edges

PIXELS = 2**22
"""Pixels painted at a time, some 100 MB."""

Index = NDArray[np.int64]


def rasterise(shapes: Sequence[Shape], shape: tuple[int, int], *, strict: bool = False) -> NDArray[np.int32]:
    """Return the labels that shapes stand for.

    Parameters
    ----------
    shapes : sequence of Shape
        Later ones are painted over earlier ones; points paint nothing.
    shape : tuple of int
        Height and width of the image. What lies outside is left out.
    strict : bool
        Refuse shapes that reach beyond the image.

    Returns
    -------
    ndarray of int32, (Y, X)

    Raises
    ------
    InputError
        If `strict` and a shape reaches beyond the image; it is named.
    LabelError
        If an id is not from 1 to 2147483647, or the labels do not fit into memory.
    ShapeError
        If a side of the image is below 1.

    Notes
    -----
    A centre that lies exactly on an outline is inside if it lies on its right or upper side, as in ImageJ.

    Examples
    --------
    >>> ring = np.array([[0.0, 1.0], [0.0, 3.0], [1.0, 3.0], [1.0, 1.0]])
    >>> rasterise([Shape(5, (ring,))], (1, 4))
    array([[0, 5, 5, 0]], dtype=int32)
    """
    if min(shape) < 1:
        raise ShapeError(
            f"an image of {shape[0]}x{shape[1]} pixels holds no label; give its height and width"
        )
    for one in shapes:
        if not 1 <= one.id <= np.iinfo(np.int32).max:
            raise LabelError(
                f"{in_words(one)} cannot be painted; labels are whole numbers from 1 to 2147483647"
            )
    if strict and (beyond := outside(shapes, shape)):
        others = f" and {len(beyond) - 1} others reach" if len(beyond) > 1 else " reaches"
        raise InputError(
            f"{in_words(beyond[0])}{others} beyond the image of {shape[0]}x{shape[1]} pixels; "
            "give the image on which they were drawn, or its offset and scale"
        )
    try:
        labels = np.zeros(shape, dtype=np.int32)
    except (MemoryError, ValueError):  # the latter of more bytes than can be counted
        raise LabelError(too_large(shape)) from None
    areas = [one for one in shapes if not one.is_point and one.rings]
    _paint(labels.reshape(-1), *_spans(areas, shape))
    return labels


def too_large(shape: tuple[int, int]) -> str:
    """What is said where labels do not fit into memory."""
    size = 4 * shape[0] * shape[1] / 2**30
    return (
        f"labels of {shape[0]} x {shape[1]} pixels take {size:,.1f} GB, more than there is memory; give a "
        "part of the image, or keep the outlines as rois or geojson"
    )


def outside(shapes: Sequence[Shape], shape: tuple[int, int]) -> tuple[Shape, ...]:
    """Return the shapes that reach beyond an image of height and width `shape`, points included."""
    limits = np.array(shape)
    return tuple(
        one for one in shapes if any((ring < 0).any() or (ring > limits).any() for ring in one.rings)
    )


def _spans(shapes: Sequence[Shape], shape: tuple[int, int]) -> tuple[Index, Index, Index]:
    """Runs of pixels in rows, shape after shape: the first, the one behind the last, and the label."""
    rings = [ring for one in shapes for ring in one.rings]
    if not rings:
        return (np.empty(0, dtype=np.int64),) * 3
    start, following, ring_of = edges(rings)
    stop = start[following]
    owner = np.repeat(np.arange(len(shapes)), [len(one.rings) for one in shapes])[ring_of]
    edge, row = _crossings(start[:, 0], stop[:, 0], shape[0])
    (y0, x0), (y1, x1) = start[edge].T, stop[edge].T
    x = x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0)  # in this order, small fractions are exact
    column = np.clip(np.floor(x + 0.5), 0, shape[1]).astype(np.int64)  # the first one beyond the crossing
    order = np.lexsort((column, row, owner[edge]))
    first, last = order[::2], order[1::2]  # an even number of crossings in each row of each shape
    ids = np.array([one.id for one in shapes], dtype=np.int64)
    base = row[first] * shape[1]
    return base + column[first], base + column[last], ids[owner[edge[first]]]


def _crossings(start: NDArray[np.float64], stop: NDArray[np.float64], height: int) -> tuple[Index, Index]:
    """Each pair of an edge, from `start` to `stop` in y, and a row of pixel centres that it crosses."""
    low, high = (
        np.clip(np.ceil(y - 0.5), 0, height).astype(np.int64) for y in np.sort([start, stop], axis=0)
    )
    edge = np.repeat(np.arange(len(low)), high - low)
    return edge, low[edge] + counted(high - low)


def _paint(labels: NDArray[np.int32], first: Index, behind: Index, label: Index) -> None:
    """Paint runs in their order, so many at a time that memory is bounded."""
    lengths = behind - first
    groups = math.ceil(int(lengths.sum()) / PIXELS)
    ends = np.cumsum(lengths)
    cuts = np.searchsorted(ends, np.arange(1, groups) * PIXELS)
    for part in np.split(np.arange(len(first)), cuts):
        at = np.repeat(first[part], lengths[part]) + counted(lengths[part])
        labels[at] = np.repeat(label[part], lengths[part])
