"""Labels and annotations into each other: nothing is lost, and what cannot be kept is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from tests.reference.ctc import broken_rules
from tests.tiny import samples, write_set

from unseam.config import DataConfig
from unseam.errors import InputError, LabelError, OutputExistsError, ShapeError
from unseam.io.annotations.files import read_annotations
from unseam.io.annotations.geojson import write_geojson
from unseam.io.annotations.record import Shape
from unseam.io.images import read_labels, write_png, write_tiff
from unseam.io.ome_zarr.layout import Layout
from unseam.io.ome_zarr.write import create, write
from unseam.workflow.converting import ENDINGS, convert_files
from unseam.workflow.listener import SILENT, Listener
from unseam.workflow.measuring import measure_files

LABELS = np.array([[1, 1, 0, 2], [0, 3, 0, 2], [3, 3, 0, 0]], np.int32)
OBJECTS = DataConfig(task="instances")
# One value in several places would be taken for a mask.
images_of_labels = (
    arrays(np.int32, (6, 7), elements=st.integers(0, 4))
    .map(lambda a: a * np.int32(70))
    .filter(lambda a: len(np.unique(a[a > 0])) != 1)
)


def convert(source: Path, to: str, out: Path, **options: object) -> list[Path]:
    options = {"listener": SILENT, "config": OBJECTS, **options}
    return convert_files(source, to, out, **options)  # type: ignore[arg-type]


def labels(folder: Path, name: str = "a", array: NDArray[np.int32] = LABELS) -> Path:
    write_tiff(folder / f"{name}.tif", array, axes="YX", spacing=(0.5, 0.5), overwrite=True)
    return folder / f"{name}.tif"


@given(images_of_labels)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12, deadline=None)
@pytest.mark.parametrize("kind", ["labels", "ome-tiff", "rois", "geojson", "coco"])
def test_labels_survive_the_way_there_and_back(tmp_path: Path, kind: str, array: NDArray[np.int32]) -> None:
    source, there = labels(tmp_path, array=array), tmp_path / f"there{ENDINGS[kind]}"
    convert(source, kind, there, overwrite=True)
    convert(there, "labels", tmp_path / "back.tif", images=source, overwrite=True)
    np.testing.assert_array_equal(read_labels(tmp_path / "back.tif").data[0], array)


def test_label_images_keep_their_values_and_pixel_size(tmp_path: Path) -> None:
    convert(labels(tmp_path), "ome-tiff", tmp_path / "a.ome.tif")
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        assert 'PhysicalSizeX="0.5"' in file.ome_metadata
        np.testing.assert_array_equal(file.asarray(), LABELS)
    write_png(tmp_path / "b.png", LABELS.astype(np.uint8))
    convert(tmp_path / "b.png", "labels", tmp_path / "b.tif", config=DataConfig(pixel_size=2.0))
    assert read_labels(tmp_path / "b.tif").spacing == pytest.approx((2.0, 2.0))


def test_geojson_carries_the_table(tmp_path: Path) -> None:
    images, truths = write_set(tmp_path, samples(1))
    convert(truths, "geojson", tmp_path / "out", images=images)
    measure_files(truths, images, tmp_path / "t.csv", config=OBJECTS, listener=SILENT)
    with open(tmp_path / "t.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    shapes = read_annotations(tmp_path / "out/synthetic_000.geojson").shapes
    assert len(rows) == len(shapes) > 2
    for row, shape in zip(rows, shapes, strict=True):
        for name in ("area_px", "area_um2", "mean_ch0", "solidity"):
            assert shape.properties[name] == pytest.approx(float(row[name]), rel=1e-7)


def test_a_folder_goes_to_a_folder_and_to_one_coco_file(tmp_path: Path) -> None:
    for name in ("a2", "a10"):
        labels(tmp_path / "in", name)
    write_png(tmp_path / "in" / "a2_overlay.png", np.zeros((3, 4, 3), np.uint8))  # of a prediction
    assert [path.name for path in convert(tmp_path / "in", "rois", tmp_path / "rois")] == [
        "a2.zip",
        "a10.zip",
    ]
    convert(tmp_path / "in", "coco", tmp_path / "set.json")
    names = [one["file_name"] for one in json.loads((tmp_path / "set.json").read_text())["images"]]
    assert names == ["a2.tif", "a10.tif"]
    convert(tmp_path / "set.json", "labels", tmp_path / "back")
    np.testing.assert_array_equal(read_labels(tmp_path / "back/a10.tif").data[0], LABELS)


def test_a_series_becomes_frames_and_a_result_of_the_challenge(tmp_path: Path) -> None:
    film = np.stack([LABELS, np.zeros_like(LABELS), LABELS[::-1]])
    write_tiff(tmp_path / "film.tif", film, axes="TYX")
    for kind in ("coco", "geojson", "rois"):
        convert(tmp_path / "film.tif", kind, tmp_path / f"film{ENDINGS[kind]}")
        convert(
            tmp_path / f"film{ENDINGS[kind]}",
            "labels",
            tmp_path / f"{kind}.tif",
            images=tmp_path / "film.tif",
        )
        np.testing.assert_array_equal(read_labels(tmp_path / f"{kind}.tif").data[:, 0], film)
    convert(tmp_path / "film.tif", "ctc", tmp_path / "01_RES")
    assert broken_rules(tmp_path / "01_RES") == []
    assert len((tmp_path / "01_RES/res_track.txt").read_text().splitlines()) == 6


def test_a_mask_and_classes_become_objects(tmp_path: Path) -> None:
    mask = np.array([[255, 0, 255, 255]], np.uint8)
    write_png(tmp_path / "mask.png", mask)
    convert(tmp_path / "mask.png", "ctc", tmp_path / "r", config=DataConfig())
    assert tifffile.imread(tmp_path / "r/mask000.tif").tolist() == [[1, 0, 2, 2]]
    write_png(tmp_path / "classes.png", np.array([[3, 0, 3, 5]], np.uint8))
    convert(tmp_path / "classes.png", "geojson", tmp_path / "c.geojson", config=DataConfig(task="semantic"))
    shapes = read_annotations(tmp_path / "c.geojson").shapes
    assert [shape.class_name for shape in shapes] == ["class 3", "class 3", "class 5"]


def test_an_ome_zarr_label_image(tmp_path: Path) -> None:
    layout = Layout("YX", (3, 4), np.dtype(np.int32), chunk=(3, 4), spacing=(0.5, 0.5), labels=True)
    create(tmp_path / "cells.zarr", layout)
    write(tmp_path / "cells.zarr", ((0, 3), (0, 4)), LABELS)
    convert(tmp_path / "cells.zarr", "rois", tmp_path / "a.zip")
    convert(tmp_path / "cells.zarr", "labels", tmp_path / "out")
    assert read_labels(tmp_path / "out/cells.tif").spacing == pytest.approx((0.5, 0.5))
    assert len(read_annotations(tmp_path / "a.zip").shapes) == 3
    create(tmp_path / "float.zarr", Layout("YX", (3, 4), np.dtype(np.float32), chunk=(3, 4)))
    with pytest.raises(
        LabelError, match=r"float\.zarr holds 1 channels of float32, labels are one channel of in"
    ):
        convert(tmp_path / "float.zarr", "rois", tmp_path / "b.zip")


def test_unknown_pixels_get_a_value_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("y,x\n1,1\n")
    said: list[str] = []
    options = {"images": labels(tmp_path), "listener": Listener(say=said.append)}
    convert(
        tmp_path / "p.csv", "labels", tmp_path / "out.tif", config=DataConfig(point_radius=0.5), **options
    )
    assert "unknown pixels are 255; train with --ignore 255" in said
    assert set(np.unique(read_labels(tmp_path / "out.tif").data)) == {1, 255}
    nine = DataConfig(ignore=9, point_radius=0.5)
    convert(tmp_path / "p.csv", "labels", tmp_path / "out9.tif", config=nine, **options)
    assert set(np.unique(read_labels(tmp_path / "out9.tif").data)) == {1, 9}
    convert(tmp_path / "p.csv", "ctc", tmp_path / "r", config=nine, **options)
    assert set(np.unique(tifffile.imread(tmp_path / "r/mask000.tif"))) == {0, 1}


def test_named_classes_become_their_numbers(tmp_path: Path) -> None:
    corners = np.array([[0.0, 0], [0, 1], [1, 1], [1, 0]])
    some = [Shape(1, (corners,), class_name="b"), Shape(2, (corners + np.array([0, 2]),), class_name="a")]
    write_geojson(tmp_path / "a.geojson", some)
    convert(
        tmp_path / "a.geojson",
        "labels",
        tmp_path / "out.tif",
        images=labels(tmp_path),
        config=DataConfig(task="semantic"),
    )
    assert read_labels(tmp_path / "out.tif").data[0, 0].tolist() == [2, 0, 1, 0]


def test_outputs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    one, folder = labels(tmp_path), labels(tmp_path / "in", "a").parent
    labels(folder, "b")
    with pytest.raises(
        InputError, match="'svg' cannot be written; expected one of labels, ome-tiff, rois, geojson"
    ):
        convert(one, "svg", tmp_path / "a.svg")
    with pytest.raises(
        InputError, match=r"a\.txt does not end in \.zip, as a file of rois does; give a name that"
    ):
        convert(one, "rois", tmp_path / "a.txt")
    with pytest.raises(InputError, match=r"set does not end in \.json"):
        convert(folder, "coco", tmp_path / "set")
    with pytest.raises(
        InputError, match=r"2 label files were given for one output .*all\.zip; give a folder"
    ):
        convert(folder, "rois", tmp_path / "all.zip")
    write_png(folder / "a.png", LABELS.astype(np.uint8))
    with pytest.raises(InputError, match=r"a\.png and .*a\.tif would both be written to a\.zip; rename one"):
        convert(folder, "rois", tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.zip").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"a\.zip exists already; give --overwrite"):
        convert(one, "rois", tmp_path / "out")
    assert (tmp_path / "out/a.zip").read_text() == "mine"
    convert(one, "rois", tmp_path / "out", overwrite=True)
    assert len(read_annotations(tmp_path / "out/a.zip").shapes) == 3


def test_inputs_that_cannot_be_converted_are_refused(tmp_path: Path) -> None:
    write_tiff(tmp_path / "v.tif", np.ones((2, 3, 4), np.uint16), axes="ZYX")
    with pytest.raises(
        ShapeError, match=r"v\.tif is a volume, and outlines are 2-D; convert to labels, ome-tiff o"
    ):
        convert(tmp_path / "v.tif", "rois", tmp_path / "v.zip")
    convert(labels(tmp_path), "geojson", tmp_path / "a.geojson")
    for kind, out in (("labels", "b.tif"), ("ctc", "r")):
        with pytest.raises(
            LabelError, match=r"a\.geojson does not say how large its image is; give .* --images"
        ):
            convert(tmp_path / "a.geojson", kind, tmp_path / out)
    with pytest.raises(
        InputError, match=r"the size of a\.tif is not known; give the image, for example by --im"
    ):
        convert(tmp_path / "a.geojson", "coco", tmp_path / "c.json")
    write_png(tmp_path / "small.png", np.zeros((2, 4), np.uint8))
    with pytest.raises(
        ShapeError, match=r"small\.png has 1 frames of 2 x 4 pixels and its labels .* 1 of 3 x 4;"
    ):
        convert(tmp_path / "a.tif", "rois", tmp_path / "d.zip", images=tmp_path / "small.png")
    write_png(tmp_path / "tiny.png", np.zeros((1, 1), np.uint8))
    with pytest.raises(LabelError, match="shape 2 lies outside the image of 1 x 1 pixels"):
        convert(tmp_path / "a.geojson", "labels", tmp_path / "e.tif", images=tmp_path / "tiny.png")


def test_scribbles_have_a_background_of_their_own(tmp_path: Path) -> None:
    scribbles = labels(tmp_path, "s", np.array([[1, 1, 0, 2], [0, 0, 0, 2], [3, 3, 0, 0]], np.int32))
    config = DataConfig(task="instances", background=1)
    said: list[str] = []
    convert(scribbles, "labels", tmp_path / "o.tif", config=config, listener=Listener(say=said.append))
    values = [[0, 0, 255, 2], [255, 255, 255, 2], [3, 3, 255, 255]]
    assert read_labels(tmp_path / "o.tif").data[0].tolist() == values
    assert "unknown pixels are 255; train with --ignore 255" in said
    convert(scribbles, "geojson", tmp_path / "o.geojson", config=config)
    assert [shape.id for shape in read_annotations(tmp_path / "o.geojson").shapes] == [2, 3]
    convert(scribbles, "ctc", tmp_path / "r", config=config)
    assert tifffile.imread(tmp_path / "r/mask000.tif").tolist() == [[0, 0, 0, 1], [0, 0, 0, 1], [2, 2, 0, 0]]


def test_the_value_of_unknown_pixels_is_no_object_of_the_set(tmp_path: Path) -> None:
    many = np.arange(1, 301, dtype=np.int32).reshape(20, 15).repeat(3, axis=0)
    labels(tmp_path / "in", "many", many)
    corners = np.array([[0.0, 0], [0, 1], [1, 1], [1, 0]])
    some = [Shape(1, (corners,)), Shape(2, (corners + 1,), class_name="Ignore*")]
    write_geojson(tmp_path / "in/some.geojson", some)
    for name, array in (("many", many), ("some", LABELS)):
        labels(tmp_path / "images", name, array)
    said: list[str] = []
    options = {"images": tmp_path / "images", "listener": Listener(say=said.append)}
    convert(tmp_path / "in", "labels", tmp_path / "out", **options)
    assert "unknown pixels are 65535; train with --ignore 65535" in said
    np.testing.assert_array_equal(read_labels(tmp_path / "out/many.tif").data[0], many)
    assert read_labels(tmp_path / "out/some.tif").data[0, 1, 1] == 65535
    for ignore, what in ((1, "an object"), (0, "background")):
        config = DataConfig(task="instances", ignore=ignore)
        with pytest.raises(LabelError, match=rf"to be {ignore} by --ignore, and so is {what} of the annot"):
            convert(tmp_path / "in", "labels", tmp_path / "out2", **options, config=config)
    with pytest.raises(LabelError, match="to be 1 by --ignore, and so is a class of the annotations"):
        convert(
            tmp_path / "in/some.geojson",
            "labels",
            tmp_path / "o.tif",
            images=tmp_path / "images/some.tif",
            config=DataConfig(task="semantic", ignore=1),
        )


def test_outlines_on_a_slide_are_converted_without_painting_it(tmp_path: Path) -> None:
    corners = np.array([[0.0, 0], [0, 10**7], [10**7, 10**7], [10**7, 0]])
    write_geojson(tmp_path / "slide.geojson", [Shape(1, (corners,)), Shape(2, (corners + 5,))])
    convert(tmp_path / "slide.geojson", "rois", tmp_path / "slide.zip")
    assert len(read_annotations(tmp_path / "slide.zip").shapes) == 2


def test_objects_of_different_frames_do_not_overlap(tmp_path: Path) -> None:
    film = np.stack([LABELS, LABELS])
    write_tiff(tmp_path / "film.tif", film, axes="TYX")
    convert(tmp_path / "film.tif", "geojson", tmp_path / "film.geojson")
    said: list[str] = []
    convert(
        tmp_path / "film.geojson",
        "labels",
        tmp_path / "o.tif",
        images=tmp_path / "film.tif",
        listener=Listener(say=said.append),
    )
    assert "annotations: 6 outlines in 1 file" in said


def test_a_series_keeps_its_empty_frames(tmp_path: Path) -> None:
    film = np.stack([LABELS, np.zeros_like(LABELS)])
    write_tiff(tmp_path / "film.tif", film, axes="TYX")
    convert(tmp_path / "film.tif", "coco", tmp_path / "film.json")
    images = json.loads((tmp_path / "film.json").read_text())["images"]
    assert [one["file_name"] for one in images] == ["film_t000.tif", "film_t001.tif"]


def test_what_is_no_single_sequence_is_refused(tmp_path: Path) -> None:
    labels(tmp_path / "in", "a")
    labels(tmp_path / "in", "b", LABELS[:2])
    with pytest.raises(ShapeError, match="frames of 3 x 4 and of 2 x 4 pixels were given for"):
        convert(tmp_path / "in", "ctc", tmp_path / "r")
    write_tiff(tmp_path / "in/b.tif", np.stack([LABELS, LABELS]), axes="TYX", overwrite=True)
    with pytest.raises(InputError, match=r"b\.tif is a series of 2 frames and one of 2 inputs, which become"):
        convert(tmp_path / "in", "ctc", tmp_path / "r")
