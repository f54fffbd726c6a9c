"""Shapes with the measurements of a table."""

from __future__ import annotations

import numpy as np

from unseam.io.annotations.record import Annotations, Shape
from unseam.io.annotations.save import pictures, with_measurements


def test_each_shape_has_its_row_and_text_is_left_out() -> None:
    columns = {
        "id": np.array([2, 5, 7]),
        "area_px": np.array([20, 50, 70]),
        "mean": np.array([0.2, 0.5, np.nan]),
        "touches_border": np.array([True, False, True]),
        "guard": np.array(["in range", "outside", "outside"]),
    }
    first, second = with_measurements([Shape(7, ()), Shape(2, ())], columns)
    assert dict(second.properties) == {"area_px": 20.0, "mean": 0.2, "touches_border": 1.0}
    assert len(first.properties) == 3 and np.isnan(first.properties["mean"])


def test_frames_are_pictures_of_their_own() -> None:
    shapes = tuple(Shape(k, (), frame=frame) for k, frame in enumerate((0, 2, 2), start=1))
    named = pictures(Annotations(shapes, (3, 4)), "some/film.ome.tif")
    assert [name for name, _ in named] == ["film_t000.ome.tif", "film_t001.ome.tif", "film_t002.ome.tif"]
    assert [[shape.id for shape in one.shapes] for _, one in named] == [[1], [], [2, 3]]
    assert pictures(Annotations((), (3, 4)), "a.tif")[0][0] == "a.tif"
