"""What a parsed GeoJSON file holds, feature by feature, checked; used by `geojson` alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import InputError
from unseam.io.annotations.record import FARTHEST, Ring
from unseam.io.annotations.rings import distinct

LINES = ("LineString", "MultiLineString")
GEOMETRIES = ("Polygon", "MultiPolygon", "Point", "MultiPoint", *LINES)


@dataclass(frozen=True, eq=False)
class Feature:
    """A feature that has been checked as far as that can be done ring by ring.

    Attributes
    ----------
    where : what messages call it.
    rings, outer : rings as in the file, without repeated corners, and of each whether it is an outer one.
    points : (N, 2).
    lines : how many there were.
    id, name, class_name, frame, properties : as in `Shape`; an id of 0 is none.
    """

    where: str
    rings: tuple[Ring, ...]
    outer: tuple[bool, ...]
    points: NDArray[np.float64]
    lines: int = 0
    id: int = 0
    name: str = ""
    class_name: str = ""
    frame: int | None = None
    properties: Mapping[str, float] = field(default_factory=dict)


def features(data: Any, source: str) -> Iterator[Feature]:
    """Yield the features of a parsed file: a collection, one feature, geometries, or a list of any of them.

    Raises
    ------
    InputError
        If `data` is no GeoJSON, a geometry is of unknown type, coordinates are no numbers, or a ring has
        fewer than three corners; the feature is named.
    """
    for number, one in enumerate(_listed(data, source), start=1):
        where = f"{source}, feature {number}"
        if not isinstance(one, dict) or not isinstance(one.get("type"), str):
            raise InputError(f"{where} is no GeoJSON object with a 'type'; give features or geometries")
        yield _feature(one, where)


def _listed(data: Any, source: str) -> list[Any]:
    if isinstance(data, list):  # as QuPath writes a choice of objects
        return data
    kind = data.get("type") if isinstance(data, dict) else None
    if not isinstance(kind, str):
        raise InputError(
            f"{source} is no GeoJSON: it is neither a list nor an object with a 'type'; "
            "export the objects of QuPath as GeoJSON"
        )
    members = {"FeatureCollection": "features", "GeometryCollection": "geometries"}
    if kind not in members:
        return [data]
    inside = data.get(members[kind])
    if not isinstance(inside, list):
        raise InputError(f"{source} is a {kind} without a list of {members[kind]}; it is not complete")
    return inside


def _feature(one: dict[str, Any], where: str) -> Feature:
    properties: dict[str, Any] = {}
    geometry: Any = one
    if one["type"] == "Feature":
        geometry = one.get("geometry")
        properties = one["properties"] if isinstance(one.get("properties"), dict) else {}
    name = properties["name"] if isinstance(properties.get("name"), str) else ""
    where += f" ({name!r})" if name else ""
    rings: list[Ring] = []
    outer: list[bool] = []
    points: list[NDArray[np.float64]] = []
    lines = 0
    for kind, coordinates in _simple(geometry, where):
        if kind in LINES:
            lines += 1
        elif kind in ("Point", "MultiPoint"):
            points.append(_places([coordinates] if kind == "Point" else coordinates, where))
        else:
            for polygon in [coordinates] if kind == "Polygon" else _list(coordinates, where):
                ringed = [_ring(ring, where) for ring in _list(polygon, where)]
                rings += ringed
                outer += [k == 0 for k in range(len(ringed))]
    return Feature(
        where,
        tuple(rings),
        tuple(outer),
        np.concatenate([np.empty((0, 2)), *points]),
        lines,
        id=_id(one),
        name=name,
        class_name=_class(properties.get("classification")),
        frame=_frame(geometry),
        properties=_measurements(properties.get("measurements")),
    )


def _simple(geometry: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Type and coordinates of a geometry, or of all in a collection; nothing of a feature that has none."""
    geometries = [] if geometry is None else [geometry]
    if isinstance(geometry, dict) and geometry.get("type") == "GeometryCollection":
        geometries = _list(geometry.get("geometries"), where)
    for one in geometries:
        kind = one.get("type") if isinstance(one, dict) else None
        if kind not in GEOMETRIES:
            known = ", ".join(GEOMETRIES)
            raise InputError(f"{where} has a geometry of type {str(kind)[:40]!r}; known are {known}")
        yield str(kind), one.get("coordinates")


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(
            f"{where} has {str(value)[:40]!r} in place of a list; its coordinates are not complete"
        )
    return value


def _places(coordinates: Any, where: str) -> NDArray[np.float64]:
    """Positions as (N, 2), y and x; a third number, the height, is left out."""
    try:
        array = np.array(coordinates)
    except ValueError:  # rows of different lengths
        array = np.empty(0, dtype=object)
    if array.ndim != 2 or array.shape[1] not in (2, 3) or array.dtype.kind not in "iuf":
        raise InputError(
            f"{where} has coordinates that are not pairs of numbers; give [x, y] for each corner"
        )
    if not (np.abs(array) <= FARTHEST).all():  # nor is NaN
        raise InputError(f"{where} has coordinates beyond any image, {FARTHEST} px; give numbers in pixels")
    return np.asarray(array[:, 1::-1], dtype=np.float64)


def _ring(coordinates: Any, where: str) -> Ring:
    ring = distinct(_places(coordinates, where))
    if len(ring) < 3:
        raise InputError(f"{where} has a ring of {len(ring)} corners; a polygon needs 3 or more")
    return ring


def _id(feature: dict[str, Any]) -> int:
    """A whole number from 1, also written as text; QuPath's own are none."""
    value = feature.get("id")
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 11:
        value = int(value)
    largest = np.iinfo(np.int32).max
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= largest else 0


def _class(value: Any) -> str:
    """QuPath's class: text, or an object with a name, or with several for one inside another."""
    if isinstance(value, dict):
        names = value.get("names")
        value = value.get("name") or (": ".join(map(str, names)) if isinstance(names, list) else "")
    return value if isinstance(value, str) else ""


def _frame(geometry: Any) -> int | None:
    plane = geometry.get("plane") if isinstance(geometry, dict) else None
    frame = plane.get("t") if isinstance(plane, dict) else None
    return frame if isinstance(frame, int) and frame >= 0 else None


def _measurements(value: Any) -> dict[str, float]:
    """An object of names and numbers, or, before QuPath 0.4, a list of objects with name and value."""
    if isinstance(value, list):
        value = {one.get("name"): one.get("value") for one in value if isinstance(one, dict)}
    if not isinstance(value, dict):
        return {}
    return {
        str(name): float(number)
        for name, number in value.items()
        if isinstance(number, (int, float))
        and abs(number) <= sys.float_info.max  # NaN is not, nor are very long integers
    }
