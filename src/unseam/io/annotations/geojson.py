"""GeoJSON as QuPath reads it: a feature an object, x before y, outer rings counterclockwise if y points up.

RFC 7946 gives the geometry; what `properties` holds is QuPath's, version 0.4 and later.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unseam.errors import ConfigError, FileReadError, InputError
from unseam.io.annotations.features import Feature, features
from unseam.io.annotations.record import Annotations, Ring, Shape, numbered
from unseam.io.annotations.rings import Polygon, area, crossing, enclosing, polygons
from unseam.io.atomic import replacing

ObjectType = Literal["annotation", "detection"]
COLOURS = ((86, 180, 233), (255, 130, 40), (0, 190, 140), (240, 228, 66), (225, 125, 185), (70, 130, 255))
"""Of classes, in the order of their names, again and again."""


def write_geojson(
    path: str | Path,
    shapes: Sequence[Shape],
    *,
    offset: tuple[float, float] = (0.0, 0.0),
    scale: float = 1.0,
    object_type: ObjectType = "annotation",
    overwrite: bool = False,
) -> None:
    """Write shapes as a GeoJSON FeatureCollection, one feature a line.

    Parameters
    ----------
    path : str or Path
    shapes : sequence of Shape
        `properties` become QuPath's measurements; values that are not finite are left out. A shape of several
        parts is a MultiPolygon. A frame is written as QuPath's plane.
    offset : tuple of float
        Where the corner of pixel (0, 0) lies in the whole slide, y and x in pixels of its level 0.
    scale : float
        Pixels of level 0 per pixel, 4 for an image that is 4 times smaller.
    object_type : {"annotation", "detection"}
        What QuPath takes them for; of detections it can hold many more.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    ConfigError
        If `scale` is not above 0, or `object_type` is unknown.
    OutputExistsError, OutputError
        If the file is there already, or cannot be written.
    """
    check_scale(scale)
    if object_type not in ("annotation", "detection"):
        raise ConfigError(f"objects of type {object_type!r} are unknown; give 'annotation' or 'detection'")
    classes = sorted({one.class_name for one in shapes} - {""})
    colours = {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(classes)}
    with replacing(path, overwrite=overwrite) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for number, one in enumerate(shapes):
            feature = {
                "type": "Feature",
                "id": one.id,
                "geometry": _geometry(one, np.array(offset), scale),
                "properties": _properties(one, object_type, colours),
            }
            file.write((",\n" if number else "\n") + json.dumps(feature, ensure_ascii=False, allow_nan=False))
        file.write("\n]}\n")


def read_geojson(
    path: str | Path,
    *,
    offset: tuple[float, float] = (0.0, 0.0),
    scale: float = 1.0,
    allow_crossing: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Annotations:
    """Read polygons and points from GeoJSON, of QuPath or of others.

    Parameters
    ----------
    path : str or Path
        A FeatureCollection, a Feature, a GeometryCollection, one geometry, or a list of them.
    offset, scale : as for `write_geojson`; coordinates become those of the image again.
    allow_crossing : bool
        Take outlines that cross themselves as well, by the even-odd rule.
    say : callable
        Told what was left out: lines, and features without a geometry.

    Returns
    -------
    Annotations
        A MultiPolygon is one shape, a MultiPoint one shape for each point. Ids are those of the file if every
        shape has one of its own, a whole number from 1 that no other of its frame has, else 1, 2, 3, ... If
        one shape has a frame, those without are of frame 0, as QuPath leaves it out.

    Raises
    ------
    FileReadError
        If the file is missing, or not JSON.
    InputError
        If it is no GeoJSON, coordinates are no numbers, a ring has fewer than three corners, an outline
        crosses itself, or a hole is outside its polygon. The feature is named.
    ConfigError
        If `scale` is not above 0.
    """
    check_scale(scale)
    path = Path(path)
    found = list(features(_parsed(path), str(path)))
    if not allow_crossing:
        _check_rings([one for one in found if one.rings])
    lines = sum(one.lines for one in found)
    empty = sum(not (one.rings or len(one.points) or one.lines) for one in found)
    if lines:
        say(f"{path.name}: {lines} lines were left out; only polygons and points are taken")
    if empty:
        say(f"{path.name}: {empty} features without a geometry were left out")
    shapes = [shape for one in found for shape in _shapes(one, np.array(offset), scale)]
    if any(one.frame is not None for one in shapes):
        shapes = [replace(one, frame=one.frame or 0) for one in shapes]
    return Annotations(numbered(shapes), source=path)


def _parsed(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise FileReadError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise FileReadError(f"{path} is no JSON: {error}; export it again") from error


def _check_rings(areas: Sequence[Feature]) -> None:
    """Raise `InputError` for a feature whose rings cross, or are nested in another way than it says."""
    rings = [ring for one in areas for ring in one.rings]
    crossed = crossing(rings, np.repeat(np.arange(len(areas)), [len(one.rings) for one in areas]))
    if crossed:
        number, y, x = crossed
        raise InputError(
            f"{areas[number].where} has an outline that crosses itself near x {x:g}, y {y:g}; mend it there"
        )
    for one in areas:
        if one.outer == (True,):
            continue
        around = enclosing(one.rings, np.array([area(ring) for ring in one.rings]))
        if any(outer == len(others) % 2 for outer, others in zip(one.outer, around, strict=True)):
            raise InputError(
                f"{one.where} has a hole outside its polygon, or polygons that lie over each other; mend it"
            )


def _shapes(feature: Feature, offset: Ring, scale: float) -> Iterator[Shape]:
    whole = Shape(
        feature.id,
        tuple((ring - offset) / scale for ring in feature.rings),
        feature.name,
        feature.class_name,
        feature.frame,
        properties=feature.properties,
    )
    if feature.rings:
        yield whole
    for point in feature.points:
        yield replace(whole, rings=((point[None] - offset) / scale,), is_point=True)


def check_scale(scale: float) -> None:
    """Raise `ConfigError` unless `scale` is a number above 0."""
    if not (math.isfinite(scale) and scale > 0):
        raise ConfigError(f"a scale of {scale} is none; give the pixels of level 0 per pixel, for example 4")


def _geometry(shape: Shape, offset: Ring, scale: float) -> dict[str, Any]:
    geometry: dict[str, Any]
    if shape.is_point:
        geometry = {"type": "Point", "coordinates": _numbers(shape.rings[0], offset, scale)[0]}
    else:
        parts = [
            [_closed(_numbers(ring, offset, scale)) for ring in (part.outer, *part.holes)]
            for part in _parts(shape.rings)
        ]
        if len(parts) == 1:
            geometry = {"type": "Polygon", "coordinates": parts[0]}
        else:
            geometry = {"type": "MultiPolygon", "coordinates": parts}
    if shape.frame is not None:
        geometry["plane"] = {"c": -1, "z": 0, "t": shape.frame}
    return geometry


def _parts(rings: Sequence[Ring]) -> tuple[Polygon, ...]:
    if len(rings) == 1 and area(rings[0]) > 0:
        return (Polygon(rings[0]),)
    return polygons(rings)


def _numbers(ring: Ring, offset: Ring, scale: float) -> list[list[float]]:
    """Corners as x and y in the whole slide; whole numbers without a decimal point."""
    places = (ring * scale + offset)[:, ::-1]
    whole = places.astype(np.int64)
    numbers: list[list[float]] = whole.tolist() if (whole == places).all() else places.tolist()
    return numbers


def _closed(corners: list[list[float]]) -> list[list[float]]:
    return [*corners, corners[0]]


def _properties(
    shape: Shape, object_type: ObjectType, colours: Mapping[str, tuple[int, int, int]]
) -> dict[str, Any]:
    properties: dict[str, Any] = {"objectType": object_type}
    if shape.name:
        properties["name"] = shape.name
    if shape.class_name:
        properties["classification"] = {"name": shape.class_name, "color": colours[shape.class_name]}
    measurements = dict(_finite(shape.properties))
    if measurements:
        properties["measurements"] = measurements
    return properties


def _finite(values: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        number = float(value)
        if math.isfinite(number):
            yield name, int(number) if number.is_integer() else number
