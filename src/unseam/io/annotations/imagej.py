"""ImageJ's regions of interest: a .roi file, or a .zip of them as the ROI Manager saves it.

A region of one ring is a polygon of whole coordinates, as ImageJ's wand draws it; holes and parts make it a
composite, which is a path of floats. ImageJ fills both by the even-odd rule at the centres of pixels, so that
its mask is the very object.

References
----------
`RoiEncoder`, `RoiDecoder` and `PolygonFiller` of ImageJ 1.53, https://github.com/imagej/ImageJ.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray
from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

from unseam.errors import InputError, LabelError
from unseam.io.annotations.record import Annotations, Ring, Shape, in_words, numbered
from unseam.io.annotations.regions import Told, read_region, unpacked
from unseam.io.atomic import replacing

LARGEST = 60535
"""Of 16 bits; what is above, ImageJ takes for a negative number."""
EXACT = 2**24
"""Whole numbers up to here are exact as floats of 32 bits."""
ID = re.compile(r"(?:t\d+-)?(\d{1,10})")
MOVE, LINE, CLOSE = 0.0, 1.0, 4.0


def write_rois(path: str | Path, shapes: Sequence[Shape], *, overwrite: bool = False) -> None:
    """Write shapes as ImageJ regions, exact to the pixel.

    Parameters
    ----------
    path : str or Path
        Ending in .zip, or for a single shape in .roi. Entries are named by id, 0001.roi; of a time series by
        frame and id, t01-0001.roi, counted from 1 as in ImageJ.
    shapes : sequence of Shape
        Coordinates that are not whole, or beyond 60535, are written as floats of 32 bits.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        If the name ends otherwise, a .roi file is to hold more or fewer than one shape, or a coordinate is
        beyond 16777216, where floats are no longer exact to the pixel.
    LabelError
        If two shapes of a frame have the same id.
    OutputExistsError, OutputError
        If the file is there already, or cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".roi", ".zip"):
        raise InputError(
            f"{path} is no name for ImageJ regions; give one ending in .zip, or .roi for one shape"
        )
    if suffix == ".roi" and len(shapes) != 1:
        raise InputError(f"{path} holds one shape, {len(shapes)} were given; give a name ending in .zip")
    regions = zip(shapes, _names(shapes), strict=True)
    with replacing(path, overwrite=overwrite) as temporary:
        if suffix == ".roi":
            temporary.write_bytes(b"".join(_bytes(one, name) for one, name in regions))
            return
        with ZipFile(temporary, "w") as file:
            for one, name in regions:
                entry = ZipInfo(f"{name}.roi")  # of a fixed date: the same shapes make the same file
                entry.external_attr = 0o644 << 16
                file.writestr(entry, _bytes(one, name), ZIP_DEFLATED)


def read_rois(path: str | Path, *, say: Told = lambda _: None) -> Annotations:
    """Read ImageJ regions: polygons, freehand and traced ones, rectangles, ovals, composites and points.

    Parameters
    ----------
    path : str or Path
        A .roi file, or a .zip of them; other files in it are passed over.
    say : callable
        Told what was left out: lines, angles, text and pictures, which enclose nothing.

    Returns
    -------
    Annotations
        Several points in one region are several shapes. Ids are those that `write_rois` gave as names if all
        have one, else 1, 2, 3, ... A frame is the time point of a region or, where it has none, its place in
        the stack; that may be a slice. An oval is the pixels whose centres it holds; a point of whole
        coordinates lies in the centre of its pixel.

    Raises
    ------
    FileReadError
        If the file is missing, no zip, damaged, or would unpack to more than can be meant; or if an entry is
        damaged, no ImageJ region, or of a kind that has an area and is not known. The entry is named.
    InputError
        If a polygon has fewer than three corners.
    """
    path = Path(path)
    shapes: list[Shape] = []
    left_out: list[str] = []
    for entry in unpacked(path):
        region = read_region(entry, say)
        if region is None:
            left_out.append(entry.name)
            continue
        matched = ID.fullmatch(entry.name)
        label = int(matched[1]) if matched else 0
        name = "" if ID.fullmatch(region.name or entry.name) else region.name or entry.name
        shapes += [
            Shape(
                label if label <= np.iinfo(np.int32).max else 0,
                rings,
                name,
                region.class_name,
                region.frame,
                region.is_point,
            )
            for rings in region.shapes
        ]
    if left_out:
        named = ", ".join(left_out[:3]) + (", ..." if len(left_out) > 3 else "")
        say(f"{path.name}: {len(left_out)} regions that enclose no area were left out ({named})")
    return Annotations(numbered(shapes), source=path)


def _names(shapes: Sequence[Shape]) -> list[str]:
    """A name for each shape, of which `ID` finds the id again; LabelError if two are the same."""
    digits = len(str(max((one.id for one in shapes), default=0)))
    frame_digits = len(str(1 + max((one.frame or 0 for one in shapes), default=0)))
    names = []
    for one in shapes:
        frame = "" if one.frame is None else f"t{one.frame + 1:0{frame_digits}}-"
        names.append(f"{frame}{one.id:0{max(4, digits)}}")
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise LabelError(f"two shapes would be called {twice}.roi; give each an id of its own")
    return names


def _bytes(shape: Shape, name: str) -> bytes:
    """The content of a .roi file."""
    corners = np.concatenate(shape.rings)[:, ::-1]  # x, y
    low, high = corners.min(axis=0), corners.max(axis=0)
    farthest = max(*-low, *high)
    if farthest > EXACT:
        raise InputError(
            f"{in_words(shape)} lies at {farthest:.0f} px; up to {EXACT} ImageJ keeps pixels apart; "
            "write GeoJSON instead"
        )
    region = ImagejRoi(name=_plain(shape.name or name), props=_props(shape))
    if shape.frame is not None:
        region.position = region.t_position = shape.frame + 1
    whole = np.clip(corners, 0, LARGEST).astype(np.int32)
    region.left, region.top = start = whole.min(axis=0).tolist()
    region.right, region.bottom = whole.max(axis=0).tolist()
    if len(shape.rings) > 1 or len(corners) > LARGEST:
        region.roitype = ROI_TYPE.RECT
        region.multi_coordinates = np.concatenate([_path(ring) for ring in shape.rings])
        region.shape_roi_size = len(region.multi_coordinates)
        return bytes(region.tobytes())
    region.n_coordinates = len(corners)
    region.integer_coordinates = whole - start
    region.roitype = ROI_TYPE.TRACED
    if shape.is_point or (whole != corners).any():
        region.roitype = ROI_TYPE.POINT if shape.is_point else ROI_TYPE.POLYGON
        region.options = ROI_OPTIONS.SUB_PIXEL_RESOLUTION
        region.subpixel_coordinates = corners.astype(np.float32)
    return bytes(region.tobytes())


def _path(ring: Ring) -> NDArray[np.float32]:
    """A ring as ImageJ's path: an operation before each corner, x and y, and one that closes it."""
    steps = np.full((len(ring), 3), LINE, dtype=np.float32)
    steps[0, 0] = MOVE
    steps[:, 1:] = ring[:, ::-1]
    return np.append(steps, np.float32(CLOSE))


def _props(shape: Shape) -> str:
    return f"class: {_plain(shape.class_name)}\n" if shape.class_name else ""


def _plain(text: str) -> str:
    """Text of one line, each character of which is one of 16 bits, as roifile counts them."""
    line = " ".join(text.split())
    return "".join(char if ord(char) < 0xD800 or 0xE000 <= ord(char) < 0x10000 else "?" for char in line)
