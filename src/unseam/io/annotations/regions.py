"""The bytes of ImageJ's regions, unpacked and understood; used by `imagej` alone."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import numpy as np
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi

from unseam.errors import FileReadError, InputError
from unseam.io.annotations.record import FARTHEST, Ring
from unseam.io.annotations.rings import distinct
from unseam.io.unzipping import UNZIPPING

ENTRIES = 2_000_000
BYTES = 2**31
"""What a file of ROIs may unpack to: ten times what ten thousand large cells on a slide take."""

TYPE = 6
"""Where in a .roi file its type is said."""
OUTLINED = (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED)
WITHOUT_AREA = (ROI_TYPE.LINE, ROI_TYPE.FREELINE, ROI_TYPE.POLYLINE, ROI_TYPE.ANGLE, ROI_TYPE.NOROI)
DAMAGE = (ValueError, TypeError, IndexError, OverflowError, MemoryError, RuntimeError, struct.error)
"""What roifile raises for bytes that it cannot follow."""

Told = Callable[[str], None]


@dataclass(frozen=True)
class Entry:
    """A .roi file.

    Attributes
    ----------
    name : without folders and ending.
    where : what messages call it.
    data : its bytes.
    """

    name: str
    where: str
    data: bytes


@dataclass(frozen=True, eq=False)
class Region:
    """A region as ImageJ has it.

    Attributes
    ----------
    shapes : rings of one shape, or of each of several points.
    name, class_name, frame, is_point : as in `Shape`.
    """

    shapes: tuple[tuple[Ring, ...], ...]
    name: str
    class_name: str
    frame: int | None
    is_point: bool


def unpacked(path: Path) -> Iterator[Entry]:
    """Yield the regions of a .roi or .zip file; nothing is written, so that names cannot lead astray.

    Raises
    ------
    FileReadError
        If the file cannot be read, or an entry; or if there would be too much.
    """
    try:
        if path.suffix.lower() != ".zip":
            yield Entry(path.stem, str(path), path.read_bytes())
            return
        with ZipFile(path) as file:
            entries = [one for one in file.infolist() if _is_region(one.filename)]
            total = sum(one.file_size for one in entries)
            if len(entries) > ENTRIES or total > BYTES:
                raise FileReadError(
                    f"{path} would unpack to {len(entries)} regions of {total / 2**30:.1f} GB in all, more "
                    f"than {ENTRIES} or {BYTES / 2**30:.0f} GB; save it in parts"
                )
            for one in entries:
                where = f"{path}, entry {one.filename}"
                try:
                    data = file.read(one)
                except UNZIPPING as error:
                    raise FileReadError(f"{where} cannot be unpacked: {error}; save it again") from error
                yield Entry(PurePosixPath(one.filename).stem, where, data)
    except FileReadError:
        raise
    except OSError as error:
        raise FileReadError(f"cannot read {path}: {error.strerror or error}") from error
    except UNZIPPING as error:
        raise FileReadError(f"{path} is no zip file: {error}; save the regions again") from error


def _is_region(name: str) -> bool:
    file = PurePosixPath(name).name
    return file.lower().endswith(".roi") and not file.startswith("._")  # which macOS adds


def read_region(entry: Entry, say: Told) -> Region | None:
    """The region of a .roi file, or None for one that encloses nothing.

    Raises
    ------
    FileReadError
        If it is damaged, or of a kind that is not known.
    InputError
        If it has fewer than three corners.
    """
    if entry.data[:4] == b"Iout" and max(entry.data[TYPE : TYPE + 1], default=0) > ROI_TYPE.POINT:
        raise FileReadError(f"{entry.where} is a region of type {entry.data[TYPE]}; known are 0 to 10")
    try:
        roi = ImagejRoi.frombytes(entry.data)
    except DAMAGE as error:
        raise FileReadError(f"{entry.where} is no ImageJ region, or damaged: {error}") from error
    if roi.roitype in WITHOUT_AREA or roi.subtype in (ROI_SUBTYPE.TEXT, ROI_SUBTYPE.IMAGE):
        return None
    if roi.options & ROI_OPTIONS.SPLINE_FIT:
        say(f"{entry.where} is fitted with a spline; its corners were joined by straight lines")
    frame = roi.t_position or roi.position
    return Region(
        _shapes(roi, entry.where),
        roi.name,
        dict(line.split(": ", 1) for line in roi.props.splitlines() if ": " in line).get("class", ""),
        frame - 1 if frame > 0 else None,
        roi.roitype == ROI_TYPE.POINT,
    )


def _shapes(roi: ImagejRoi, where: str) -> tuple[tuple[Ring, ...], ...]:
    if roi.roitype == ROI_TYPE.POINT:
        places = _corners(roi) + (0 if roi.subpixelresolution else 0.5)
        return tuple((_checked(place[None], where),) for place in places)
    if roi.roitype in OUTLINED:
        return ((_ring(_corners(roi), where),),)
    if roi.roitype == ROI_TYPE.RECT and roi.composite:
        return (_parts(roi, where),)
    if roi.roitype == ROI_TYPE.RECT and roi.rounded_rect_arc_size:
        raise FileReadError(f"{where} has round corners, which are not read; make a polygon of it in ImageJ")
    top, left, bottom, right = float(roi.top), float(roi.left), float(roi.bottom), float(roi.right)
    if roi.subpixelrect:
        top, left, bottom, right = roi.yd, roi.xd, roi.yd + roi.heightd, roi.xd + roi.widthd
    box = _ring(np.array([(top, left), (top, right), (bottom, right), (bottom, left)]), where)
    return ((box if roi.roitype == ROI_TYPE.RECT else _oval(box),),)


def _corners(roi: ImagejRoi) -> Ring:
    return np.asarray(roi.coordinates(), dtype=np.float64)[:, ::-1]


def _parts(roi: ImagejRoi, where: str) -> tuple[Ring, ...]:
    """The rings of a composite; a part of fewer than three corners encloses nothing."""
    try:
        paths = roi.coordinates(multi=True)
    except NotImplementedError as error:
        raise FileReadError(
            f"{where} has curves, which are not read; make polygons of them in ImageJ"
        ) from error
    except DAMAGE as error:
        raise FileReadError(f"{where} has a path that cannot be followed: {error}") from error
    rings = [distinct(_checked(np.asarray(path, dtype=np.float64)[:, ::-1], where)) for path in paths]
    rings = [ring for ring in rings if len(ring) >= 3]
    if not rings:
        raise InputError(f"{where} encloses nothing; draw it again")
    return tuple(rings)


def _ring(corners: Ring, where: str) -> Ring:
    ring = distinct(_checked(corners, where))
    if len(ring) < 3:
        raise InputError(f"{where} has {len(ring)} corners; a polygon needs 3 or more")
    return ring


def _checked(corners: Ring, where: str) -> Ring:
    if not (np.abs(corners) <= FARTHEST).all():  # nor is NaN
        raise FileReadError(f"{where} has coordinates beyond any image, {FARTHEST} px; it is damaged")
    return corners


def _oval(box: Ring) -> Ring:
    """The outline of the pixels whose centres an oval holds, from the corners of its box.

    It is made of rows, of which the first and the last pixel are known, down on the right and up on the left.
    """
    (top, left), (bottom, right) = box.min(axis=0), box.max(axis=0)
    height, width, y, x = (bottom - top) / 2, (right - left) / 2, (bottom + top) / 2, (right + left) / 2
    row = np.arange(np.ceil(top - 0.5), np.ceil(bottom - 0.5))
    half = width * np.sqrt(np.maximum(0, 1 - ((row + 0.5 - y) / height) ** 2))
    first, behind = np.ceil(x - half - 0.5), np.floor(x + half - 0.5) + 1
    row, first, behind = (a[behind > first] for a in (row, first, behind))
    if not len(row):  # it holds no centre, nor does what lies within it
        return np.array([(top, x), (y, right), (bottom, x), (y, left)])
    ys = np.stack([row, row + 1], axis=1).ravel()
    down, up = np.repeat(behind, 2), np.repeat(first, 2)
    return np.stack([np.append(ys, ys[::-1]), np.append(down, up[::-1])], axis=1)
