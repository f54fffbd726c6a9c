"""GeoJSON of QuPath: written validly, read back exactly, and broken files refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely.geometry import shape as shapely_shape
from tests.reference.outlines import label_images

from unseam.errors import ConfigError, FileReadError, InputError, OutputExistsError
from unseam.io.annotations.geojson import read_geojson, write_geojson
from unseam.io.annotations.outlines import outlines
from unseam.io.annotations.rasterise import rasterise
from unseam.io.annotations.record import Shape, numbered

slow = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SQUARE = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
HOLE = [[1, 1], [1, 2], [2, 2], [2, 1], [1, 1]]


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def feature(geometry: Any, **more: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": {}, **more}


def stored(folder: Path, data: Any) -> Path:
    path = folder / "a.geojson"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def parsed(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_by_hand(tmp_path: Path) -> None:
    shape = Shape(7, outlines(np.array([[0, 7], [7, 7]]))[0].rings, "cell é", "tumour", 2)
    write_geojson(tmp_path / "a.geojson", [shape])
    assert parsed(tmp_path / "a.geojson") == {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": 7,
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [[[1, 0], [2, 0], [2, 2], [0, 2], [0, 1], [1, 1], [1, 0]]],
                    "plane": {"c": -1, "z": 0, "t": 2},
                },
                "properties": {
                    "objectType": "annotation",
                    "name": "cell é",
                    "classification": {"name": "tumour", "color": [86, 180, 233]},
                },
            }
        ],
    }
    (read,) = read_geojson(tmp_path / "a.geojson").shapes
    assert (read.id, read.name, read.class_name, read.frame) == (7, "cell é", "tumour", 2)


def test_coordinates_of_the_whole_slide(tmp_path: Path) -> None:
    # pixel (0, 0) covers 4 pixels of level 0 each way, from y 100.5, x 200
    (shape,) = outlines(np.array([[1]]))
    write_geojson(tmp_path / "a.geojson", [shape], offset=(100.5, 200), scale=4)
    (written,) = parsed(tmp_path / "a.geojson")["features"]
    assert written["geometry"]["coordinates"] == [
        [[200, 100.5], [204, 100.5], [204, 104.5], [200, 104.5], [200, 100.5]]
    ]
    (read,) = read_geojson(tmp_path / "a.geojson", offset=(100.5, 200), scale=4).shapes
    assert np.array_equal(read.rings[0], shape.rings[0])


def test_measurements_and_kind(tmp_path: Path) -> None:
    ring = outlines(np.array([[1]]))[0].rings
    measured = Shape(1, ring, properties={"area_px": 12.0, "solidity": 0.5, "nan": float("nan"), "odd": True})
    write_geojson(tmp_path / "a.geojson", [measured], object_type="detection")
    (written,) = parsed(tmp_path / "a.geojson")["features"]
    assert written["properties"] == {
        "objectType": "detection",
        "measurements": {"area_px": 12, "solidity": 0.5, "odd": 1},
    }
    (read,) = read_geojson(tmp_path / "a.geojson").shapes
    assert read.properties == {"area_px": 12, "solidity": 0.5, "odd": 1}


def test_points(tmp_path: Path) -> None:
    point = Shape(3, (np.array([[1.5, 2.0]]),), is_point=True)
    write_geojson(tmp_path / "a.geojson", [point])
    (written,) = parsed(tmp_path / "a.geojson")["features"]
    assert written["geometry"] == {"type": "Point", "coordinates": [2.0, 1.5]}
    (read,) = read_geojson(tmp_path / "a.geojson").shapes
    assert read.is_point and read.id == 3 and read.rings[0].tolist() == [[1.5, 2.0]]


@slow
@given(label_images, st.sampled_from([((0.0, 0.0), 1.0), ((3.0, 70000.0), 4.0), ((0.3, 1e5), 3.7)]))
def test_valid_and_exact(
    tmp_path: Path, labels: NDArray[np.int32], place: tuple[tuple[float, float], float]
) -> None:
    offset, scale = place
    height, width = labels.shape
    path = tmp_path / "a.geojson"
    write_geojson(path, outlines(labels), offset=offset, scale=scale, overwrite=True)
    for written in parsed(path)["features"]:
        drawn = shapely_shape(written["geometry"])
        assert drawn.is_valid
        assert drawn.area / scale**2 == pytest.approx(np.count_nonzero(labels == written["id"]))
        for part in drawn.geoms if drawn.geom_type == "MultiPolygon" else [drawn]:
            assert part.exterior.is_ccw and not any(hole.is_ccw for hole in part.interiors)
    read = read_geojson(path, offset=offset, scale=scale)
    assert read.source == path
    assert np.array_equal(rasterise(read.shapes, (height, width)), labels)


@pytest.mark.parametrize(
    "data",
    [
        {"type": "FeatureCollection", "features": [feature(polygon(SQUARE, HOLE))]},
        [feature(polygon(SQUARE, HOLE))],
        [polygon(SQUARE, HOLE)],
        feature(polygon(SQUARE, HOLE)),
        polygon(SQUARE, HOLE),
        {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE]]},
        {"type": "GeometryCollection", "geometries": [polygon(SQUARE, HOLE)]},
        feature({"type": "GeometryCollection", "geometries": [polygon(SQUARE, HOLE)]}, id="PathCellObject"),
        feature(polygon(SQUARE[::-1], HOLE[:-1]), properties=None),  # the other way round, and not closed
        feature(polygon([[x, y, 5] for x, y in SQUARE], HOLE)),
        feature(polygon([[x, y] for x, y in SQUARE for _ in "ab"], HOLE)),
    ],
)
def test_everything_that_holds_a_polygon(tmp_path: Path, data: Any) -> None:
    annotations = read_geojson(stored(tmp_path, data))
    assert [shape.id for shape in annotations.shapes] == [1]
    assert rasterise(annotations.shapes, (4, 4)).tolist() == [
        [1, 1, 1, 1],
        [1, 0, 1, 1],
        [1, 1, 1, 1],
        [1, 1, 1, 1],
    ]


def test_points_of_all_kinds_and_lines(tmp_path: Path) -> None:
    told: list[str] = []
    data = [
        feature({"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}, properties={"name": "two"}),
        feature({"type": "LineString", "coordinates": [[0, 0], [1, 1]]}),
        feature({"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]]]}),
        feature(None),
    ]
    shapes = read_geojson(stored(tmp_path, data), say=told.append).shapes
    assert [(one.id, one.name, one.is_point, one.rings[0].tolist()) for one in shapes] == [
        (1, "two", True, [[2, 1]]),
        (2, "two", True, [[4, 3]]),
    ]
    assert told == [
        "a.geojson: 2 lines were left out; only polygons and points are taken",
        "a.geojson: 1 features without a geometry were left out",
    ]


@pytest.mark.parametrize(
    ("classification", "name"),
    [
        ({"name": "Tumor", "color": [200, 0, 0]}, "Tumor"),
        ({"names": ["Tumor", "Positive"], "color": [200, 0, 0]}, "Tumor: Positive"),
        ({"name": "Tumor", "colorRGB": -3670016}, "Tumor"),
        ("Tumor", "Tumor"),
        (None, ""),
        ({}, ""),
        (5, ""),
    ],
)
def test_classes_as_versions_of_qupath_write_them(tmp_path: Path, classification: Any, name: str) -> None:
    data = feature(polygon(SQUARE), properties={"classification": classification})
    assert read_geojson(stored(tmp_path, data)).shapes[0].class_name == name


def test_measurements_as_versions_of_qupath_write_them(tmp_path: Path) -> None:
    older = [
        {"name": "Area", "value": 3},
        {"name": "Long", "value": 10**400},
        {"name": "Text", "value": "a"},
        5,
    ]
    for measurements in (older, {"Area": 3, "Text": "a", "Nothing": None}):
        data = feature(polygon(SQUARE), properties={"measurements": measurements})
        assert read_geojson(stored(tmp_path, data)).shapes[0].properties == {"Area": 3.0}


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([5, 3], [5, 3]),
        (["5", "3"], [5, 3]),
        ([5, 5], [1, 2]),
        ([0, 3], [1, 2]),
        ([True, 3], [1, 2]),
        ([5, "17d7eb4a-4e35-4a54-9a9f-8ef1bb3cf8a1"], [1, 2]),
        ([2**31, 3], [1, 2]),
    ],
)
def test_ids(tmp_path: Path, ids: list[Any], expected: list[int]) -> None:
    data = [feature(polygon(SQUARE), id=one) for one in ids]
    assert [shape.id for shape in read_geojson(stored(tmp_path, data)).shapes] == expected


def test_frames(tmp_path: Path) -> None:
    planes = [{"c": -1, "z": 0, "t": 1}, None]
    data = [feature({**polygon(SQUARE), **({"plane": plane} if plane else {})}, id=4) for plane in planes]
    assert [(one.id, one.frame) for one in read_geojson(stored(tmp_path, data)).shapes] == [(4, 1), (4, 0)]
    assert read_geojson(stored(tmp_path, data[1])).shapes[0].frame is None


def test_numbered() -> None:
    assert [one.id for one in numbered([Shape(2, (), frame=0), Shape(2, (), frame=1)])] == [2, 2]
    assert [one.id for one in numbered([Shape(2, ()), Shape(2, ())])] == [1, 2]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"features": []}, "a.geojson is no GeoJSON: it is neither a list nor an object with a 'type'"),
        (5, "a.geojson is no GeoJSON"),
        ({"type": "FeatureCollection"}, "a.geojson is a FeatureCollection without a list of features"),
        ({"type": "GeometryCollection", "geometries": 3}, "GeometryCollection without a list of geometries"),
        ([3], "a.geojson, feature 1 is no GeoJSON object with a 'type'"),
        ([polygon(SQUARE), {}], "a.geojson, feature 2 is no GeoJSON object with a 'type'"),
        (feature({"type": "Circle"}), "feature 1 has a geometry of type 'Circle'; known are Polygon, Multi"),
        (feature(7), "feature 1 has a geometry of type 'None'"),
        (feature({"type": "GeometryCollection"}), "feature 1 has 'None' in place of a list"),
        (polygon(3), "feature 1 has coordinates that are not pairs of numbers"),
        ({"type": "Polygon", "coordinates": 3}, "feature 1 has '3' in place of a list; its coordinates"),
        ({"type": "Polygon"}, "feature 1 has 'None' in place of a list"),
        ({"type": "MultiPolygon", "coordinates": None}, "feature 1 has 'None' in place of a list"),
        (
            polygon([[0, 0], ["a", 1], [2, 2]]),
            "feature 1 has coordinates that are not pairs of numbers; give",
        ),
        (polygon([[0, 0], [1, None], [2, 2]]), "feature 1 has coordinates that are not pairs of numbers"),
        (polygon([[0, 0], [1], [2, 2]]), "feature 1 has coordinates that are not pairs of numbers"),
        (polygon([0, 0, 1, 1, 2, 2]), "feature 1 has coordinates that are not pairs of numbers"),
        (polygon([]), "feature 1 has coordinates that are not pairs of numbers"),
        (polygon([[0, 0], [1, 1], [2, 1e10]]), "feature 1 has coordinates beyond any image, 2147483648 px"),
        ('{"type": "Point", "coordinates": [NaN, 1]}', "feature 1 has coordinates beyond any image"),
        (polygon([[0, 0], [1, 1], [0, 0]]), "feature 1 has a ring of 2 corners; a polygon needs 3 or more"),
        (
            [polygon(SQUARE), feature(polygon([[0, 0], [4, 4], [4, 0], [0, 4]]), properties={"name": "bow"})],
            r"a.geojson, feature 2 \('bow'\) has an outline that crosses itself near x .*; mend it there",
        ),
        (polygon(HOLE, SQUARE), "feature 1 has a hole outside its polygon, or polygons that lie over"),
        ({"type": "MultiPolygon", "coordinates": [[SQUARE], [HOLE]]}, "polygons that lie over each other"),
    ],
)
def test_what_is_broken_is_refused_by_name(tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_geojson(stored(tmp_path, data))


def test_crossings_can_be_allowed(tmp_path: Path) -> None:
    data = polygon([[0, 0], [4, 4], [4, 0], [0, 4]])
    (shape,) = read_geojson(stored(tmp_path, data), allow_crossing=True).shapes
    # even-odd: what is left of the crossing at (2, 2), and what is right of it
    assert rasterise([shape], (4, 4)).sum() > 0


@pytest.mark.parametrize("text", ["", "{", '{"type": ', "[" * 100_000, "not json", "[1" + "0" * 5000 + "]"])
def test_what_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(FileReadError, match=r"a.geojson is no JSON: .*; export it again"):
        read_geojson(stored(tmp_path, text))


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileReadError, match=r"cannot read .*none.geojson: No such file or directory"):
        read_geojson(tmp_path / "none.geojson")
    (tmp_path / "b.geojson").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(FileReadError, match=r"b.geojson is no JSON"):
        read_geojson(tmp_path / "b.geojson")


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    for scale in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match=r"a scale of .* is none; give the pixels of level 0 per pixel"):
            write_geojson(tmp_path / "a.geojson", [], scale=scale)
        with pytest.raises(ConfigError, match="a scale of"):
            read_geojson(tmp_path / "a.geojson", scale=scale)
    with pytest.raises(
        ConfigError, match="objects of type 'cell' are unknown; give 'annotation' or 'detection'"
    ):
        write_geojson(tmp_path / "a.geojson", [], object_type="cell")  # type: ignore[arg-type]
    assert not (tmp_path / "a.geojson").exists()
    write_geojson(tmp_path / "a.geojson", [])
    assert read_geojson(tmp_path / "a.geojson").shapes == ()
    with pytest.raises(OutputExistsError, match="exists already"):
        write_geojson(tmp_path / "a.geojson", [])
