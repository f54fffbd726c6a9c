"""What COCO objects cover: polygons, or run lengths, read to rings and written from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unseam.errors import LabelError
from unseam.io.annotations.outlines import outlines
from unseam.io.annotations.rasterise import rasterise
from unseam.io.annotations.record import FARTHEST, Ring, Shape
from unseam.io.annotations.rle import Mask, fill_runs, from_text

Entry = Mapping[str, Any]
Size = tuple[int, int]

_CANVAS = 2**24  # pixels outlined at a time


def rings_of(ones: Sequence[Entry], size: Size | None) -> list[tuple[Ring, ...]]:
    """Return the rings of each annotation.

    Parameters
    ----------
    ones : sequence of mapping
        Annotations of one image.
    size : height and width of the image, if it is known.

    Raises
    ------
    LabelError
        If one has no segmentation, or one that cannot be used.
    """
    parts = [_part(one, size) for one in ones]
    traced = iter(_traced([part for part in parts if isinstance(part, Window)]))
    return [next(traced) if isinstance(part, Window) else part for part in parts]


@dataclass(frozen=True)
class Window:
    """A mask, (y, x), and where it begins in the image."""

    mask: Mask
    origin: tuple[int, int]


def window(shape: Shape, size: Size) -> Window:
    """Return the pixels of a shape within its box."""
    limits = np.array(size)
    corners = np.concatenate(shape.rings) if shape.rings else np.zeros((1, 2))
    low = np.clip(np.floor(corners.min(axis=0)), 0, limits - 1)
    high = np.clip(np.ceil(corners.max(axis=0)), low + 1, limits)
    moved = Shape(1, tuple(ring - low for ring in shape.rings))
    height, width = (high - low).astype(int).tolist()
    return Window(rasterise([moved], (height, width)) > 0, (int(low[0]), int(low[1])))


def _part(one: Entry, size: Size | None) -> Window | tuple[Ring, ...]:
    """What an annotation covers: polygons as they are, all else as a mask."""
    segmentation, what = one.get("segmentation"), f"annotation {one.get('id')}"
    if isinstance(segmentation, Mapping):
        return _window_of_runs(segmentation, size, what)
    if not isinstance(segmentation, list) or not segmentation:
        raise LabelError(f"{what} has no segmentation; a box alone does not say which pixels are meant")
    polygons = [_ring(polygon, what) for polygon in segmentation]
    return tuple(polygons) if _lie_apart(polygons) else _united(polygons, what)


def _ring(polygon: Any, what: str) -> Ring:
    """The corners of a polygon, given as x, y, x, y, ..."""
    try:
        flat = np.asarray(polygon, np.float64)
    except (TypeError, ValueError):
        flat = np.zeros(0)
    if flat.ndim != 1 or flat.size % 2 or flat.size < 6 or not np.isfinite(flat).all():
        raise LabelError(f"{what} has a polygon that is not x, y, x, y, ... of three corners or more")
    if not (np.abs(flat) <= FARTHEST).all():
        raise LabelError(
            f"{what} has a polygon with corners beyond any image, {FARTHEST} px; give numbers in pixels"
        )
    return flat.reshape(-1, 2)[:, ::-1].copy()


def _lie_apart(polygons: list[Ring]) -> bool:
    """Whether no two boxes overlap: polygons add up in COCO, and by the even-odd rule they would not."""
    boxes = [(ring.min(axis=0), ring.max(axis=0)) for ring in polygons]
    return all(
        (low > other_high).any() or (other_low > high).any()
        for k, (low, high) in enumerate(boxes)
        for other_low, other_high in boxes[:k]
    )


def _united(polygons: list[Ring], what: str) -> Window:
    corners = np.concatenate(polygons)
    low = np.floor(corners.min(axis=0))
    height, width = np.maximum(np.ceil(corners.max(axis=0)) - low, 1).astype(int).tolist()
    try:
        mask = rasterise([Shape(1, (ring - low,)) for ring in polygons], (height, width)) > 0
    except LabelError as error:
        raise LabelError(f"{what} has polygons that overlap: {error}") from None
    return Window(mask, (int(low[0]), int(low[1])))


def _window_of_runs(runs: Entry, size: Size | None, what: str) -> Window:
    stated = runs.get("size")
    if not (
        isinstance(stated, list) and len(stated) == 2 and all(isinstance(n, int) and n > 0 for n in stated)
    ):
        raise LabelError(f"{what} has run lengths of size {stated!r}; height and width were expected")
    if size is not None and tuple(stated) != size:
        raise LabelError(
            f"{what} has run lengths for {stated[0]} x {stated[1]} pixels, its image is "
            f"{size[0]} x {size[1]}; they must be equal"
        )
    counts = runs.get("counts")
    try:
        lengths = from_text(counts) if isinstance(counts, str) else np.array(counts, np.int64)
        if lengths.ndim != 1:
            raise ValueError
        mask, first = fill_runs(lengths, (stated[0], stated[1]))
    except LabelError as error:
        raise LabelError(f"{what}: {error}") from None
    except MemoryError:
        raise LabelError(
            f"{what} has run lengths over {stated[0]} x {stated[1]} pixels, which do not fit into memory; "
            "the size is wrong, or the object is to be given as a polygon"
        ) from None
    except (TypeError, ValueError, OverflowError):
        raise LabelError(f"{what} has run lengths that are neither a list of numbers nor a text") from None
    held = np.flatnonzero(mask.any(axis=1))
    top, bottom = (int(held[0]), int(held[-1]) + 1) if len(held) else (0, 0)
    return Window(mask[top:bottom], (top, first))


def _traced(windows: list[Window]) -> list[tuple[Ring, ...]]:
    """The outlines of masks; those of many at once, one below the other, as each time takes a while."""
    traced: list[tuple[Ring, ...]] = []
    while len(traced) < len(windows):
        tops, width = [0], 1
        for window in windows[len(traced) :]:
            rows, columns = window.mask.shape
            if len(tops) > 1 and (tops[-1] + rows) * max(width, columns) > _CANVAS:
                break
            tops.append(tops[-1] + rows)
            width = max(width, columns)
        placed = list(zip(windows[len(traced) :], tops[:-1], strict=False))
        canvas = np.zeros((max(tops[-1], 1), width), np.int32)
        for number, (window, top) in enumerate(placed, start=1):
            rows, columns = window.mask.shape
            canvas[top : top + rows, :columns] = number * window.mask
        found = {shape.id: shape.rings for shape in outlines(canvas)}
        for number, (window, top) in enumerate(placed, start=1):
            move = np.array(window.origin, np.float64) - (top, 0)
            traced.append(tuple(ring + move for ring in found.get(number, ())))
    return traced
