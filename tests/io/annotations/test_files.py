"""Which files are labels, and which reader each one takes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from unseam.errors import FileReadError, InputError
from unseam.io.annotations.coco import write_coco
from unseam.io.annotations.files import images_named, is_annotation, list_labels, read_annotations
from unseam.io.annotations.geojson import write_geojson
from unseam.io.annotations.imagej import write_rois
from unseam.io.annotations.outlines import outlines
from unseam.io.annotations.rasterise import rasterise
from unseam.io.annotations.record import Annotations

LABELS = np.array([[1, 1, 0, 2], [0, 0, 0, 2]], np.int32)


def everything(folder: Path) -> Path:
    shapes = outlines(LABELS)
    write_rois(folder / "a.zip", shapes)
    write_rois(folder / "b.roi", shapes[:1])
    write_geojson(folder / "c.geojson", shapes)
    write_geojson(folder / "d.json", shapes)
    write_coco(folder / "e.json", [("image.png", Annotations(shapes, (2, 4)))])
    (folder / "f.csv").write_text("y,x\n0,0\n")
    (folder / "g.csv").write_text("id,area_px\n1,2\n")
    (folder / "h.txt").write_text("notes")
    (folder / ".i.zip").write_text("hidden")
    return folder


def test_labels_of_a_folder_are_images_and_annotations(tmp_path: Path) -> None:
    names = [path.name for path in list_labels(everything(tmp_path))]
    assert names == ["a.zip", "b.roi", "c.geojson", "d.json", "e.json", "f.csv"]
    (tmp_path / "a.tif").write_bytes(b"x")  # a label image goes before annotations of its name
    (tmp_path / "e.ome.tif").write_bytes(b"x")
    names = [path.name for path in list_labels(tmp_path)]
    assert names == ["a.tif", "b.roi", "c.geojson", "d.json", "e.ome.tif", "f.csv"]
    assert list_labels(tmp_path / "g.csv") == [tmp_path / "g.csv"]


@pytest.mark.parametrize("name", ["a.zip", "c.geojson", "d.json", "e.json"])
def test_each_kind_is_told_by_ending_and_content(tmp_path: Path, name: str) -> None:
    read = read_annotations(everything(tmp_path) / name, "image.png")
    assert is_annotation(name)
    np.testing.assert_array_equal(rasterise(read.shapes, (2, 4)), LABELS)


def test_points_and_single_regions(tmp_path: Path) -> None:
    everything(tmp_path)
    assert read_annotations(tmp_path / "f.csv").shapes[0].is_point
    assert len(read_annotations(tmp_path / "b.roi").shapes) == 1


def test_only_coco_files_name_images(tmp_path: Path) -> None:
    everything(tmp_path)
    assert images_named(tmp_path / "e.json") == ("image.png",)
    assert [images_named(tmp_path / name) for name in ("a.zip", "d.json", "f.csv")] == [(), (), ()]


def test_what_was_left_out_is_told(tmp_path: Path) -> None:
    line = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "Feature", "geometry": line, "properties": {}}))
    said: list[str] = []
    assert read_annotations(tmp_path / "a.geojson", say=said.append).shapes == ()
    assert said and "a.geojson" in said[0]


def test_what_is_no_annotation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('[{"image_id": 1, "category_id": 1}]')
    with pytest.raises(
        FileReadError, match=r"is a list of COCO results, which does not name the images; give a"
    ):
        read_annotations(tmp_path / "results.json")
    for text in ("[1, 2]", '["ab"]'):
        (tmp_path / "list.json").write_text(text)
        with pytest.raises(InputError, match=r"list\.json, feature 1 is no GeoJSON object with a 'type'"):
            read_annotations(tmp_path / "list.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(FileReadError, match=r"broken\.json is no JSON"):
        images_named(tmp_path / "broken.json")
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(
        FileReadError, match=r"notes\.txt is of an unknown kind; expected .*\.tif.*\.roi.*\.csv$"
    ):
        list_labels(tmp_path / "notes.txt")
    (tmp_path / "only").mkdir()
    with pytest.raises(
        InputError, match=r"folder .*only holds no image; expected files ending in \.tif.*\.csv$"
    ):
        list_labels(tmp_path / "only")
    with pytest.raises(FileReadError, match=r"none\.json does not exist"):
        read_annotations(tmp_path / "none.json")
