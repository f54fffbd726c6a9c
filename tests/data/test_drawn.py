"""Shapes become objects, classes and unknown pixels; what does not fit the image is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unseam.data.drawn import (
    Disk,
    Drawn,
    Extent,
    class_names,
    coding_of,
    describe_drawn,
    drawn_frames,
    extent_of,
    frames_of,
    paint,
)
from unseam.errors import LabelError, ShapeError
from unseam.io.annotations.record import Annotations, Shape
from unseam.io.images import Image

FILE = Path("a.zip")


def row(first: float, last: float, number: int = 1, **more: object) -> Shape:
    """The pixels of columns `first` to `last` of row 0."""
    ring = np.array([[0, first], [0, last], [1, last], [1, first]], np.float64)
    return Shape(number, (ring,), **more)  # type: ignore[arg-type]


def point(x: float, number: int = 1, **more: object) -> Shape:
    return Shape(number, (np.array([[0.5, x]]),), is_point=True, **more)  # type: ignore[arg-type]


def drawn(*shapes: Shape, width: int = 8) -> Drawn:
    return Drawn(shapes, (1, width), FILE)


def test_objects_and_points_and_what_is_ignored() -> None:
    some = drawn(row(0, 2, 5), row(3, 6, 9), row(5, 7, class_name="Ignore*"))
    assert paint(some).tolist() == [[5, 5, 0, 9, 9, -1, -1, 0]]
    assert paint(drawn(row(0, 3, name="IGNORE")), disk=Disk()).tolist() == [[-1] * 3 + [0] * 5]
    assert paint(drawn(point(3.5, 4)), disk=Disk(1, 2)).tolist() == [[0, -1, 4, 4, 4, -1, 0, 0]]


def test_classes_are_numbered_by_name() -> None:
    some = drawn(row(0, 2, class_name="b"), row(3, 4, class_name="a"), row(5, 6), point(7.5, class_name="b"))
    names = class_names([some])
    assert names == ("a", "b")
    assert paint(some, names, Disk(0, 0)).tolist() == [[2, 2, 0, 1, 0, 1, 0, 2]]
    with pytest.raises(
        LabelError, match=r"a\.zip: shape 1 is of class 'b', which is not among a; add it to --cl"
    ):
        paint(some, ["a"])


def test_what_the_labels_mean() -> None:
    some = [drawn(row(0, 2, class_name="b"), row(3, 4, class_name="a"), row(5, 6, class_name="ignore"))]
    objects = coding_of(some, "auto", ("a", "b"))
    assert (objects.kind, objects.n_classes) == ("instances", 2)
    assert (
        objects.reason
        == "labels: instances, 2 annotated objects; their classes a, b count with --task semantic"
    )
    classes = coding_of(some, "semantic", ("a", "b"))
    assert (classes.kind, classes.values, classes.n_classes) == ("classes", (0, 1, 2), 3)
    assert "0 background, 1 a, 2 b" in classes.reason
    assert coding_of(some, "semantic", ()).values == (0, 1)
    with pytest.raises(LabelError, match="the annotations have 300 classes, at most 254 can be told apart"):
        coding_of(some, "semantic", [str(n) for n in range(300)])


def test_all_is_said_in_one_line() -> None:
    some = drawn(row(0, 2, class_name="a"), row(6, 11), point(1), row(2, 3, class_name="ignore"))
    assert describe_drawn([some, replace(some, source=Path("b.zip"))]) == (
        "annotations: 4 outlines, 2 points, 2 ignored regions in 2 files; classes a 2; "
        "2 reach beyond their image and are cut off there"
    )
    assert describe_drawn([drawn()]) == "annotations: no shape in 1 file"
    # The second lies on part of the first, the third between two centres, the fifth on all of the fourth.
    crowded = drawn(row(0, 3), row(2, 4, 2), row(5.6, 6.4, 3), row(6, 7, 4), row(6, 7, 5))
    assert describe_drawn([crowded]).endswith(
        "in 1 file; 4 overlap, and the later one of the file counts; 2 have no pixel left"
    )


def test_frames_have_their_own_shapes() -> None:
    annotations = Annotations((row(0, 1, 1, frame=0), row(0, 1, 2, frame=2)))
    frames = drawn_frames(annotations, Extent((1, 8), 3), FILE)
    assert [[shape.id for shape in frame.shapes] for frame in frames] == [[1], [], [2]]
    assert frames_of(annotations) == 3 and frames_of(Annotations(())) == 1


def test_a_place_in_the_stack_may_be_a_channel() -> None:
    image = Image(np.zeros((2, 1, 8), np.uint8), "CYX")
    assert extent_of(image) == Extent((1, 8), 1, 2)
    assert len(drawn_frames(Annotations((row(0, 1, frame=1),)), image, FILE)[0].shapes) == 1


@pytest.mark.parametrize(
    ("shape", "extent", "words"),
    [
        (row(0, 1), Extent((1, 8), 3), "a.zip: shape 1 does not say to which of the 3 frames of the image"),
        (row(0, 1, frame=3), Extent((1, 8), 3), "shape 1 is of frame 3, the image has 3, counted from 0"),
        (row(0, 1, frame=1), Extent((1, 8), 1), "shape 1 is of frame 1, the image has 1"),
        (
            row(9, 12, name="far"),
            Extent((1, 8)),
            r"shape 1 \('far'\) lies outside the image of 1 x 8 .* x 10;",
        ),
        (row(-4, -1), Extent((1, 8)), r"lies outside .*, around y 0, x -2; give the image it was drawn on"),
        (point(8.5), Extent((1, 8)), "lies outside"),
    ],
)
def test_shapes_that_are_not_of_this_image_are_refused(shape: Shape, extent: Extent, words: str) -> None:
    with pytest.raises(LabelError, match=words):
        drawn_frames(Annotations((shape,)), extent, FILE)


def test_images_of_another_size_and_volumes_are_refused() -> None:
    with pytest.raises(
        ShapeError, match=r"a\.zip was drawn on an image of 2 x 8 pixels and its image is 1 x 8;"
    ):
        drawn_frames(Annotations((), (2, 8)), Extent((1, 8)), FILE)
    with pytest.raises(
        ShapeError, match=r"outlines, which are 2-D, and its image is a volume 2 x 3 x 4; give l"
    ):
        drawn_frames(Annotations(()), Extent((2, 3, 4)), FILE)


def test_errors_of_painting_name_the_file() -> None:
    with pytest.raises(LabelError, match=r"a\.zip: shape 1 and 1 more lie in one pixel"):
        paint(drawn(point(1.5), point(1.6, 2)))


def test_nothing_is_painted_where_that_was_not_asked_for() -> None:
    slide = Drawn((row(0, 3), row(2, 4, 2)), (10**7, 10**7), FILE)
    assert describe_drawn([slide], painted=False) == "annotations: 2 outlines in 1 file"
    for paints in (lambda: describe_drawn([slide]), lambda: paint(slide)):
        with pytest.raises(LabelError, match=r"a\.zip: labels of 10000000 x 10000000 pixels take 372,529"):
            paints()


def test_a_series_may_have_frames_without_shapes() -> None:
    assert frames_of(Annotations((row(0, 1, frame=2),))) == 3
    assert frames_of(Annotations((row(0, 1, frame=2),), frames=5)) == 5
