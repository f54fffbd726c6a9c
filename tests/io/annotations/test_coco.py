"""COCO files, against pycocotools, by hand, and back again."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools.coco import COCO

from unseam.errors import FileReadError, InputError, LabelError, OutputExistsError
from unseam.io.annotations.coco import image_names, read_coco, write_coco
from unseam.io.annotations.outlines import outlines
from unseam.io.annotations.rasterise import rasterise
from unseam.io.annotations.record import Annotations, Shape
from unseam.io.annotations.save import write_outlines

Labels = NDArray[np.int32]
label_images = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 4))
SQUARE = np.array([[1.0, 1], [1, 3], [3, 3], [3, 1]])


def annotations(labels: Labels, **properties: float) -> Annotations:
    shapes = tuple(Shape(s.id, s.rings, properties=properties) for s in outlines(labels))
    return Annotations(shapes, (labels.shape[0], labels.shape[1]))


def document(*entries: dict[str, Any], images: int = 1) -> dict[str, Any]:
    """Images a0.png, a1.png, ... of 4 x 5 pixels; annotations of the first one."""
    numbers = range(images)
    return {
        "images": [{"id": n, "file_name": f"some/folder/a{n}.png", "height": 4, "width": 5} for n in numbers],
        "categories": [{"id": 7, "name": "nucleus"}],
        "annotations": [
            {"id": 30 + k, "image_id": 0, "category_id": 7, "iscrowd": 0, **one}
            for k, one in enumerate(entries)
        ],
    }


def saved(folder: Path, content: Any) -> Path:
    (folder / "coco.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / "coco.json"


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
@given(st.lists(label_images, min_size=1, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
def test_labels_survive_here_and_in_pycocotools(tmp_path: Path, images: list[Labels]) -> None:
    path = tmp_path / "set.json"
    named = [(f"image {n}.tif", annotations(labels)) for n, labels in enumerate(images)]
    write_coco(path, named, overwrite=True)
    with redirect_stdout(StringIO()):  # it prints
        theirs = COCO(path)
    for (name, _), labels, entry in zip(named, images, theirs.dataset["images"], strict=True):
        ours = read_coco(path, name)
        assert ours.size == labels.shape
        np.testing.assert_array_equal(rasterise(ours.shapes, ours.size), labels)
        again = np.zeros_like(labels)
        for one in theirs.loadAnns(theirs.getAnnIds(entry["id"])):
            mask = theirs.annToMask(one) > 0
            again[mask] = one["label"]
            rows, columns = np.nonzero(mask)
            box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            assert one["area"] == mask.sum() and one["bbox"] == box
        np.testing.assert_array_equal(again, labels)


def test_scores_are_those_of_results(tmp_path: Path) -> None:
    labels = np.array([[1, 1, 0, 2]], np.int32)
    write_coco(tmp_path / "a.json", [("a.tif", annotations(labels, mean_probability=0.25))])
    (first, second) = json.loads((tmp_path / "a.json").read_text())["annotations"]
    assert (first["score"], second["score"], first["bbox"]) == (0.25, 0.25, [0, 0, 2, 1])
    assert read_coco(tmp_path / "a.json").shapes[0].properties == {"score": 0.25}


def test_classes_are_categories_and_ignored_regions_crowds(tmp_path: Path) -> None:
    shapes = [Shape(k, (SQUARE,), class_name=name) for k, name in enumerate(["b", "", "Ignore*", "a"], 1)]
    write_coco(tmp_path / "a.json", [("a.tif", Annotations(tuple(shapes), (4, 4)))])
    written = json.loads((tmp_path / "a.json").read_text())
    assert [one["name"] for one in written["categories"]] == ["a", "b", "object"]
    assert [(one["category_id"], one["iscrowd"]) for one in written["annotations"]] == [
        (2, 0),
        (3, 0),
        (1, 1),
        (1, 0),
    ]
    assert [one.class_name for one in read_coco(tmp_path / "a.json").shapes] == ["b", "", "ignore", "a"]


def test_polygons_are_x_before_y_from_the_corner_of_the_first_pixel(tmp_path: Path) -> None:
    # x 1 to 4, y 1 to 3: the pixels of columns 1, 2, 3 in rows 1 and 2.
    path = saved(tmp_path, document({"segmentation": [[1, 1, 4, 1, 4, 3, 1, 3]]}))
    shapes = read_coco(path).shapes
    assert (shapes[0].id, shapes[0].class_name) == (1, "nucleus")
    expected = np.zeros((4, 5), int)
    expected[1:3, 1:4] = 1
    np.testing.assert_array_equal(rasterise(shapes, (4, 5)), expected)


def test_polygons_of_one_object_add_up(tmp_path: Path) -> None:
    # Columns 0 to 2 and 1 to 4 of row 0: even and odd would leave out 1 and 2, where both lie.
    parts = [[0, 0, 3, 0, 3, 1, 0, 1], [1, 0, 5, 0, 5, 1, 1, 1]]
    shapes = read_coco(saved(tmp_path, document({"segmentation": parts}))).shapes
    assert rasterise(shapes, (4, 5))[0].tolist() == [1, 1, 1, 1, 1]


def test_run_lengths_may_be_a_list(tmp_path: Path) -> None:
    # Down the columns of 4: five out, two in: rows 1 and 2 of column 1.
    runs = {"size": [4, 5], "counts": [5, 2, 13]}
    shapes = read_coco(saved(tmp_path, document({"segmentation": runs, "iscrowd": 1}))).shapes
    assert np.argwhere(rasterise(shapes, (4, 5))).tolist() == [[1, 1], [2, 1]]
    assert shapes[0].class_name == "ignore"


def test_an_image_is_found_by_its_name_whatever_folder_and_suffix(tmp_path: Path) -> None:
    path = saved(tmp_path, document({"segmentation": [[0, 0, 1, 0, 1, 1]]}, images=3))
    assert image_names(path) == ("a0.png", "a1.png", "a2.png")
    assert [len(read_coco(path, name).shapes) for name in ("a0.png", "a0.tif", "a1.png")] == [1, 1, 0]


def test_a_series_is_found_by_its_frames(tmp_path: Path) -> None:
    labels = [np.array([[1, 0, 2]], np.int32), np.array([[0, 3, 3]], np.int32)]
    write_coco(
        tmp_path / "a.json", [(f"film_t{t:03}.tif", annotations(each)) for t, each in enumerate(labels)]
    )
    shapes = read_coco(tmp_path / "a.json", "film.tif").shapes
    assert [(shape.frame, shape.id) for shape in shapes] == [(0, 1), (0, 2), (1, 3)]


def test_a_file_written_anew_is_read_anew(tmp_path: Path) -> None:
    for value in (1, 2):
        write_coco(
            tmp_path / "a.json",
            [("a.tif", annotations(np.full((1, value), value, np.int32)))],
            overwrite=True,
        )
        assert [shape.id for shape in read_coco(tmp_path / "a.json").shapes] == [value]


RUNS = {"size": [4, 5], "counts": [20]}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (
            {"category_id": 8, "segmentation": RUNS},
            "annotation 30 is of category 8, which the file does not list",
        ),
        ({"category_id": [1], "segmentation": RUNS}, r"annotation 30 is of category \[1\], which the file"),
        (
            {"segmentation": [[0, 0, 1, 0, 1, 1e12]]},
            "annotation 30 has a polygon with corners beyond any image, 2147483648 px; give numbers in pi",
        ),
        (
            {"segmentation": [[0, 0, 1e9, 0, 1e9, 1e9], [0, 0, 1e9, 0, 1e9, 1e9]]},
            "annotation 30 has polygons that overlap: labels of 1000000000 x 1000000000 pixels take 3,7",
        ),
        ({}, "annotation 30 has no segmentation; a box alone does not say which pixels"),
        ({"segmentation": []}, "has no segmentation"),
        ({"segmentation": [[1, 2, 3, 4]]}, "polygon that is not x, y, x, y, ... of three corners or more"),
        ({"segmentation": [[0, 0, 1, 0, 1, float("nan")]]}, "polygon that is not"),
        ({"segmentation": [["a"] * 6]}, "polygon that is not"),
        (
            {"segmentation": RUNS | {"counts": [19]}},
            "annotation 30: run lengths of 19 pixels .* 4 x 5, which has 20",
        ),
        ({"segmentation": RUNS | {"counts": "one"}}, "annotation 30: run lengths 'one' are no compressed"),
        ({"segmentation": RUNS | {"counts": [[20]]}}, "neither a list of numbers nor a text"),
        ({"segmentation": RUNS | {"counts": None}}, "neither a list of numbers nor a text"),
        ({"segmentation": RUNS | {"size": [4]}}, r"run lengths of size \[4\]; height and width"),
        (
            {"segmentation": RUNS | {"size": [5, 4]}},
            "for 5 x 4 pixels, its image is 4 x 5; they must be equal",
        ),
    ],
)
def test_annotations_that_cannot_be_used_are_refused(
    tmp_path: Path, entry: dict[str, Any], words: str
) -> None:
    path = saved(tmp_path, document(entry))
    with pytest.raises(LabelError, match=words) as raised:
        read_coco(path)
    assert str(path) in str(raised.value)


def test_an_image_that_is_not_there_or_not_named_or_there_twice(tmp_path: Path) -> None:
    twice = document(images=5)
    twice["images"][1]["file_name"] = "other/a0.png"
    path = saved(tmp_path, twice)
    with pytest.raises(LabelError, match=r"nothing of b.png; its images are a0.png, a0.png, a2.png, \.\.\.$"):
        read_coco(path, "b.png")
    with pytest.raises(LabelError, match=r"has 2 images called a0\.tif; give each a name of its own"):
        read_coco(path, "a0.tif")
    with pytest.raises(LabelError, match="has 5 images, and it was not said which one is meant; give the im"):
        read_coco(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is no JSON"),
        ({"annotations": []}, "is no COCO file: it lists no images"),
        ([], "is no COCO file"),
        ({"images": [{"id": 1}]}, "an image, a category or an annotation lacks 'file_name'"),
        ({"images": [], "annotations": [{"id": 1}]}, "lacks 'image_id'"),
        ({"images": [3]}, "lacks"),
        ({"images": [{"id": [1], "file_name": "a"}]}, "lacks 'id that is a number or text, not"),
        ({"images": [], "annotations": [{"image_id": [1]}]}, "lacks 'image_id that is a number or text"),
        ({"images": [], "categories": [{"id": {}, "name": "a"}]}, "lacks 'id that is a number or text"),
    ],
)
def test_a_file_that_is_no_coco_file_is_refused(tmp_path: Path, content: Any, words: str) -> None:
    with pytest.raises(FileReadError, match=words):
        read_coco(saved(tmp_path, content))
    with pytest.raises(FileReadError, match=r"cannot read .*none.json: No such file"):
        read_coco(tmp_path / "none.json")


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(
        InputError, match=r"the size of a.tif is not known; give the image, for example by --im"
    ):
        write_coco(path, [("a.tif", Annotations(()))])
    point = Shape(3, (np.array([[1.0, 2.0]]),), is_point=True)
    with pytest.raises(InputError, match=r"shape 3 is a point, .*unseam convert --to labels"):
        write_coco(path, [("a.tif", Annotations((point,), (4, 4)))])
    path.write_text("mine")
    with pytest.raises(OutputExistsError, match="exists already"):
        write_coco(path, [])
    assert path.read_text() == "mine"


def test_run_lengths_larger_than_memory_are_refused(tmp_path: Path) -> None:
    side = 10**8
    large = document({"segmentation": {"size": [side, side], "counts": [0, side * side]}})
    for image in large["images"]:
        image |= {"height": side, "width": side}
    with pytest.raises(
        LabelError, match=r"annotation 30 has run lengths over 100000000 x .* fit into memory"
    ):
        read_coco(saved(tmp_path, large))


def test_frames_without_objects_at_the_end_are_kept(tmp_path: Path) -> None:
    for shapes in (annotations(np.ones((1, 1), np.int32)).shapes, ()):
        film = Annotations(tuple(replace(one, frame=0) for one in shapes), (1, 1), frames=3)
        write_outlines("coco", tmp_path / "a.json", film, image="film.tif", overwrite=True)
        assert image_names(tmp_path / "a.json") == ("film_t000.tif", "film_t001.tif", "film_t002.tif")
        assert read_coco(tmp_path / "a.json", "film.tif").frames == 3
