"""Annotations as training wants them: shapes painted, named classes numbered, unknown regions marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unseam.axes import times
from unseam.data.check.finding import counted
from unseam.data.labels import Coding, Task
from unseam.data.sample import IGNORE
from unseam.errors import LabelError, ShapeError
from unseam.io.annotations.ignored import is_ignored
from unseam.io.annotations.points import draw_points
from unseam.io.annotations.rasterise import outside, rasterise, too_large
from unseam.io.annotations.record import Annotations, Shape, in_words
from unseam.io.images import Image

_MAX_CLASSES = 255


@dataclass(frozen=True, eq=False)
class Drawn:
    """The shapes of one image.

    Attributes
    ----------
    shapes : in the order of the file; those whose class begins with "ignore" mark what is unknown.
    size : height and width of the image.
    source : the file, for messages.
    """

    shapes: tuple[Shape, ...]
    size: tuple[int, int]
    source: Path


@dataclass(frozen=True)
class Extent:
    """How large an image is: spatial shape of a frame, number of frames, and of channels."""

    size: tuple[int, ...]
    count: int = 1
    channels: int = 1


def frames_of(annotations: Annotations) -> int:
    """How many frames a series has at least."""
    reached = 1 + max((shape.frame or 0 for shape in annotations.shapes), default=0)
    return max(annotations.frames or 1, reached)


def extent_of(image: Image) -> Extent:
    """How large an image in memory is."""
    frames = image.frames()
    return Extent(frames[0].data.shape[1:], len(frames), frames[0].data.shape[0])


@dataclass(frozen=True)
class Disk:
    """How points are drawn: radius of the disk and of the ring of unknown pixels around it."""

    radius: float = 3.0
    ring: float = 6.0


def drawn_frames(annotations: Annotations, image: Image | Extent, source: Path) -> list[Drawn]:
    """The shapes of each frame of an image; of an image that is no series all of them.

    Parameters
    ----------
    annotations : Annotations
    image : Image or Extent
    source : Path
        The file of the annotations, for messages.

    Raises
    ------
    ShapeError
        If the image is a volume, or the annotations are of an image of another size.
    LabelError
        If a shape is of a frame that the image does not have, or lies outside the image.
    """
    extent = image if isinstance(image, Extent) else extent_of(image)
    size, count = extent.size, extent.count
    if len(size) != 2:
        raise ShapeError(
            f"{source} has outlines, which are 2-D, and its image is a volume {times(size)}; "
            "give label images for volumes"
        )
    plane = (size[0], size[1])
    if annotations.size is not None and annotations.size != plane:
        raise ShapeError(
            f"{source} was drawn on an image of {times(annotations.size)} pixels and its image is "
            f"{times(plane)}; they must be equal"
        )
    for shape in annotations.shapes:
        _check_place(shape, plane, extent, source)
    return [
        Drawn(tuple(one for one in annotations.shapes if count == 1 or one.frame == number), plane, source)
        for number in range(count)
    ]


def paint(drawn: Drawn, names: Sequence[str] | None = None, disk: Disk | None = None) -> NDArray[np.int32]:
    """Return the labels that shapes stand for.

    Parameters
    ----------
    drawn : Drawn
    names : sequence of str, optional
        Of class 1, 2, ...: each pixel then gets its class, else its object. A shape without a class is of
        class 1.
    disk : Disk, optional
        How points are drawn.

    Returns
    -------
    ndarray of int32, (Y, X)
        0 is background, `IGNORE` what is unknown: the ignored regions, whatever else lies there, and the
        rings around points.

    Raises
    ------
    LabelError
        If a class is not among the names, or as `rasterise` and `draw_points`.
    """
    disk = disk or Disk()
    shapes = [one for one in drawn.shapes if not is_ignored(one)]
    values = [one.id if names is None else _class_of(one, names, drawn.source) for one in shapes]
    areas = [Shape(value, one.rings) for one, value in zip(shapes, values, strict=True) if not one.is_point]
    try:
        labels = rasterise(areas, drawn.size)
        points = [(one, value) for one, value in zip(shapes, values, strict=True) if one.is_point]
        draw_points(
            labels,
            [one for one, _ in points],
            [value for _, value in points],
            radius=disk.radius,
            ring=disk.ring,
            unknown=IGNORE,
        )
        ignored = [Shape(1, one.rings) for one in drawn.shapes if is_ignored(one)]
        if ignored:
            labels[rasterise(ignored, drawn.size) > 0] = IGNORE
    except LabelError as error:
        raise LabelError(f"{drawn.source}: {error}") from None
    except MemoryError:
        raise LabelError(f"{drawn.source}: {too_large(drawn.size)}") from None
    return labels


def class_names(drawn: Sequence[Drawn]) -> tuple[str, ...]:
    """The names of the classes of all shapes, sorted; shapes without one do not count."""
    return tuple(
        sorted({one.class_name for each in drawn for one in each.shapes if not is_ignored(one)} - {""})
    )


def coding_of(drawn: Sequence[Drawn], task: Task, names: Sequence[str]) -> Coding:
    """What painted labels mean: objects, or where the task is semantic the classes called `names`.

    Raises
    ------
    LabelError
        If there are more than 255 classes.
    """
    count = sum(not is_ignored(one) for each in drawn for one in each.shapes)
    if task != "semantic":
        known = class_names(drawn)
        hint = f"; their classes {', '.join(known)} count with --task semantic" if len(known) > 1 else ""
        return Coding("instances", (), 2, f"labels: instances, {counted(count, 'annotated object')}{hint}")
    named = list(names) or ["object"]
    if len(named) >= _MAX_CLASSES:
        raise LabelError(
            f"the annotations have {len(named)} classes, at most {_MAX_CLASSES - 1} can be told apart"
        )
    shown = ", ".join(f"{number} {name}" for number, name in enumerate(named, start=1))
    reason = f"labels: {len(named) + 1} classes, 0 background, {shown} (--class-names gives another order)"
    return Coding("classes", tuple(range(len(named) + 1)), len(named) + 1, reason)


def describe_drawn(drawn: Sequence[Drawn], *, painted: bool = True) -> str:
    """What was understood of annotations, in one line.

    Parameters
    ----------
    drawn : sequence of Drawn
    painted : bool
        Whether they are to be painted; what that loses is then counted, which paints them.

    Raises
    ------
    LabelError
        If labels do not fit into memory.
    """
    shapes = [one for each in drawn for one in each.shapes]
    kinds = Counter(_kind(one) for one in shapes)
    classes = Counter(one.class_name for one in shapes if one.class_name and not is_ignored(one))
    parts = [counted(kinds[kind], kind) for kind in ("outline", "point", "ignored region") if kinds[kind]]
    files = counted(len({each.source for each in drawn}), "file")
    line = f"annotations: {', '.join(parts) or 'no shape'} in {files}"
    if classes:
        line += f"; classes {', '.join(f'{name} {count:,}' for name, count in classes.most_common(6))}"
        line += ", ..." if len(classes) > 6 else ""
    cut = sum(len(outside(each.shapes, each.size)) for each in drawn)
    overlapping, lost = (
        (sum(counts) for counts in zip(*map(_conflicts, drawn), strict=True)) if painted else (0, 0)
    )
    for count, what in (
        (cut, "reach beyond their image and are cut off there"),
        (overlapping, "overlap, and the later one of the file counts"),
        (lost, "have no pixel left"),
    ):
        line += f"; {count:,} {what}" if count else ""
    return line


def _conflicts(drawn: Drawn) -> tuple[int, int]:
    """How many outlines overlap with others, and how many have no pixel: too small, or all painted over."""
    areas = [one for one in drawn.shapes if not (one.is_point or is_ignored(one))]
    numbered = [Shape(number, one.rings) for number, one in enumerate(areas, start=1)]
    try:
        forth, back = rasterise(numbered, drawn.size), rasterise(numbered[::-1], drawn.size)
        differing = forth != back
        left = np.count_nonzero(np.bincount(forth.ravel(), minlength=len(areas) + 1)[1:])
        return len(np.unique([forth[differing], back[differing]])), len(areas) - int(left)
    except LabelError as error:
        raise LabelError(f"{drawn.source}: {error}") from None
    except MemoryError:
        raise LabelError(f"{drawn.source}: {too_large(drawn.size)}") from None


def _kind(shape: Shape) -> str:
    return "ignored region" if is_ignored(shape) else "point" if shape.is_point else "outline"


def _check_place(shape: Shape, size: tuple[int, int], extent: Extent, source: Path) -> None:
    count = extent.count
    if count > 1 and shape.frame is None:
        raise LabelError(
            f"{source}: {in_words(shape)} does not say to which of the {count} frames of the image it belongs"
        )
    # ImageJ counts the channels of an image that is no series as places in a stack.
    if shape.frame is not None and shape.frame >= (count if count > 1 else extent.channels):
        raise LabelError(
            f"{source}: {in_words(shape)} is of frame {shape.frame}, the image has {count}, counted from 0"
        )
    corners = np.concatenate(shape.rings) if shape.rings else np.zeros((0, 2))
    limits = np.array(size)
    if len(corners) and ((corners.max(axis=0) < 0) | (corners.min(axis=0) > limits)).any():
        y, x = corners.mean(axis=0)
        raise LabelError(
            f"{source}: {in_words(shape)} lies outside the image of {times(size)} pixels, around y {y:.0f}, "
            f"x {x:.0f}; give the image it was drawn on"
        )


def _class_of(shape: Shape, names: Sequence[str], source: Path) -> int:
    if not shape.class_name:
        return 1
    if shape.class_name not in names:
        raise LabelError(
            f"{source}: {in_words(shape)} is of class {shape.class_name!r}, which is not among "
            f"{', '.join(names)}; add it to --class-names"
        )
    return 1 + list(names).index(shape.class_name)
