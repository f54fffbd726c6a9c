"""Points: tables of them, and the disks that stand for them in training.

::

    . i i i .        i  a ring of unknown pixels: where the object ends is not said
    i i # i i        #  a disk at the point
    i # # # i        .  background
    i i # i i
    . i i i .

A network that learns disks finds one object for each point. The plugin of the paper's authors draws them so,
the ring twice as wide as the disk. Where another point is near, the ring ends halfway to it, and the disk is
smaller by as much, so that disks never touch.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unseam.errors import ConfigError, FileReadError, LabelError
from unseam.io.annotations.record import Annotations, Shape, in_words

Floats = NDArray[np.float64]

_CLASS, _FRAME = ("class", "label"), ("frame", "t")


def read_points(path: str | Path) -> Annotations:
    """Read a table of points, as CSV with a column y and a column x, in any order and case.

    Parameters
    ----------
    path : str or Path
        Separated by commas, semicolons or tabs. In y and x, 0 is the centre of the first pixel. A column
        `class` or `label` names classes, a column `frame` or `t` counts time points from 0; others are
        passed over.

    Raises
    ------
    FileReadError
        If the file cannot be read.
    LabelError
        If a column is missing, or a cell is no number.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileReadError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    columns = _columns(lines[0] if lines else "")
    if not {"y", "x"} <= columns.keys():
        raise LabelError(f"{path} starts with {lines[0] if lines else ''!r}; expected the columns y and x")
    shapes: list[Shape] = []
    for number, cells in enumerate(csv.reader(lines[1:], delimiter=_delimiter(lines[0])), start=2):
        if any(map(str.strip, cells)):
            shapes.append(_point(cells, columns, len(shapes) + 1, f"{path}, line {number}"))
    return Annotations(tuple(shapes), None, path)


def is_table(path: Path) -> bool:
    """Whether a CSV file has a column y and a column x."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return {"y", "x"} <= _columns(file.readline().rstrip("\n")).keys()
    except (OSError, UnicodeDecodeError):
        return False


def draw_points(
    labels: NDArray[np.int32],
    points: Sequence[Shape],
    values: Sequence[int],
    *,
    radius: float,
    ring: float,
    unknown: int,
) -> None:
    """Draw points into labels: disks of their values, and around each a ring of `unknown` on background.

    Parameters
    ----------
    labels : ndarray of int32, (Y, X)
        Changed in place.
    points : sequence of Shape
        All within the image.
    values : sequence of int
        The label of each.
    radius, ring : float
        Of the disk and of what surrounds it, pixels; the pixel of the point itself is always of its disk.
    unknown : int
        The label of the ring.

    Raises
    ------
    ConfigError
        If the ring is narrower than the disk.
    LabelError
        If two points lie in one pixel.
    """
    if not 0 <= radius <= ring:
        raise ConfigError(
            f"a disk of radius {radius:g} and a ring of {ring:g} were given; the ring goes around the disk"
        )
    if not points:
        return
    places = np.concatenate([point.rings[0] for point in points])
    _refuse_twins(points, places)
    outer = np.minimum(ring, _nearest(places) / 2)
    inner = outer * (radius / ring if ring else 0)
    for place, reach in zip(places, outer, strict=True):
        box, near = _disk(place, reach, labels.shape)
        labels[box][near & (labels[box] == 0)] = unknown
    for place, reach, value in zip(places, inner, values, strict=True):
        box, near = _disk(place, reach, labels.shape)
        labels[box][near] = value


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _columns(header: str) -> dict[str, int]:
    """Place of each column."""
    cells = header.split(_delimiter(header))
    return {cell.strip().strip('"').lower(): place for place, cell in reversed(list(enumerate(cells)))}


def _point(cells: Sequence[str], columns: Mapping[str, int], number: int, where: str) -> Shape:
    def cell(*names: str) -> str:
        places = [columns[name] for name in names if name in columns]
        return cells[places[0]].strip() if places and places[0] < len(cells) else ""

    y, x = (_number(cell(name), f"{where}, column {name}") for name in "yx")
    frame = _number(cell(*_FRAME), f"{where}, column frame") if cell(*_FRAME) else None
    if frame is not None and (frame < 0 or frame != int(frame)):
        raise LabelError(f"{where}: frame {frame:g} was given; frames are counted 0, 1, 2, ...")
    corner = np.array([[y + 0.5, x + 0.5]])
    return Shape(
        number,
        (corner,),
        class_name=cell(*_CLASS),
        frame=None if frame is None else int(frame),
        is_point=True,
    )


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise LabelError(f"{where}: {cell!r} was given; a number was expected")
    return value


def _refuse_twins(points: Sequence[Shape], places: Floats) -> None:
    """Raise where two points share a pixel: of one of them no pixel would be left."""
    pixels, first, count = np.unique(np.floor(places), axis=0, return_index=True, return_counts=True)
    if len(pixels) < len(places):
        at = int(np.argmax(count > 1))
        y, x = pixels[at].astype(int).tolist()
        raise LabelError(
            f"{in_words(points[int(first[at])])} and {count[at] - 1} more lie in one pixel, y {y}, x {x}; "
            "remove all but one"
        )


def _nearest(places: Floats) -> Floats:
    """Distance from each place to the nearest other one; infinite where there is none."""
    if len(places) == 1:
        return np.array([math.inf])
    from scipy.spatial import KDTree  # slow to import, and needed for points alone

    return np.asarray(KDTree(places).query(places, k=2)[0][:, 1], np.float64)


def _disk(
    place: Floats, radius: float, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """A box in the image, and which of its pixels have their centre within `radius`, or hold the place."""
    low = np.clip(np.floor(place - radius), 0, np.array(shape) - 1).astype(int)
    high = np.clip(np.ceil(place + radius), low + 1, shape).astype(int)
    rows, columns = (np.arange(a, b) for a, b in zip(low, high, strict=True))
    y, x = place
    near = (rows[:, None] + 0.5 - y) ** 2 + (columns + 0.5 - x) ** 2 <= radius**2
    near |= (rows[:, None] == min(math.floor(y), shape[0] - 1)) & (
        columns == min(math.floor(x), shape[1] - 1)
    )
    return (slice(low[0], high[0]), slice(low[1], high[1])), near
