"""Measurements: by hand, against a loop over objects, and the laws of shifts, scales and numbers."""

from __future__ import annotations

import csv
from math import pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import regionprops_table
from tests.reference import measure as reference

from unseam.errors import ConfigError, InputError, LabelError, OutputExistsError, ShapeError
from unseam.instances import label_components
from unseam.measure import ObjectTable, measure

few = settings(max_examples=40, deadline=None)
shapes = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=6)
label_images = shapes.flatmap(lambda shape: hnp.arrays(np.int32, shape, elements=st.integers(-1, 3)))

SQUARE_AND_BAR = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [0, 3, 3, 0, 0, 0],
        [0, 3, 3, 0, -1, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 8, 8, 8, 8, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]
)


# By hand


def test_size_and_place() -> None:
    table = measure(SQUARE_AND_BAR, spacing=(2.0, 0.5))
    assert len(table) == 2
    assert table["id"].tolist() == [3, 8]
    assert table["class"].tolist() == [1, 1]
    assert table["area_px"].tolist() == [4, 4]
    assert table["area_um2"].tolist() == [4.0, 4.0]  # 4 pixels of 2 um x 0.5 um
    assert table["centroid_y"].tolist() == [1.5, 4.0]
    assert table["centroid_x"].tolist() == [1.5, 2.5]
    assert table["centroid_y_um"].tolist() == [3.0, 8.0]
    assert table["centroid_x_um"].tolist() == [0.75, 1.25]
    boxes = [table[f"bbox_{name}"].tolist() for name in ("y_min", "y_max", "x_min", "x_max")]
    assert boxes == [[1, 4], [3, 5], [1, 1], [3, 5]]
    assert table["equivalent_diameter_px"] == pytest.approx(2 * sqrt(4 / pi))


def test_axes_in_pixels_and_in_anisotropic_micrometres() -> None:
    table = measure(SQUARE_AND_BAR, spacing=(2.0, 0.5))
    # Square: offsets -1/2, 1/2, variance 1/4 along both axes: 4 sqrt(1/4) = 2.
    # Bar: offsets -3/2, -1/2, 1/2, 3/2, variance (9 + 1 + 1 + 9) / 16 = 5/4 along x, 0 along y.
    assert table["major_axis_px"] == pytest.approx([2, 4 * sqrt(5 / 4)])
    assert table["minor_axis_px"] == pytest.approx([2, 0])
    # In micrometres the square is 4 times as high as wide: variances 1 and 1/16.
    assert table["major_axis_um"] == pytest.approx([4, 2 * sqrt(5 / 4)])
    assert table["minor_axis_um"] == pytest.approx([1, 0])
    assert table["eccentricity"] == pytest.approx([sqrt(1 - 1 / 16), 1])
    assert measure(SQUARE_AND_BAR)["eccentricity"] == pytest.approx([0, 1])


def test_solidity() -> None:
    labels = np.array(
        [
            [1, 0, 0, 0, 2],  # the L of 5 pixels: of its 3 x 3 box the edge midpoints' hull also holds
            [1, 0, 0, 0, 0],  # (1, 1), but not (0, 1), (0, 2), (1, 2): 5 of 6
            [1, 1, 1, 0, 3],
            [0, 0, 0, 3, 0],  # one pixel and a diagonal are convex
        ]
    )
    assert measure(labels)["solidity"] == pytest.approx([5 / 6, 1, 1])


def test_intensity_class_and_probability() -> None:
    labels = np.array([[1, 1, 1, 0, 2]])
    image = np.array([[[1, 2, 6, 99, 5]], [[0, 0, 3, 99, 7]]], np.uint16)
    classes = np.array([[2, 2, 1, 9, 0]])
    table = measure(labels, image, classes=classes, probabilities=np.array([[0.5, 1, 0.6, 0, 0.75]]))
    assert table["mean_ch0"].tolist() == [3, 5]
    assert table["std_ch0"] == pytest.approx([sqrt((4 + 1 + 9) / 3), 0])
    assert table["mean_ch1"].tolist() == [1, 7]
    assert table["std_ch1"] == pytest.approx([sqrt(2), 0])  # (1 + 1 + 4) / 3
    assert table["class"].tolist() == [2, 0]  # two votes to one; nobody votes
    assert table["mean_probability"] == pytest.approx([0.7, 0.75])
    np.testing.assert_array_equal(measure(labels, image[0])["mean_ch0"], table["mean_ch0"])


def test_touching_the_border() -> None:
    labels = np.zeros((5, 7), int)
    labels[2, 0], labels[0, 2], labels[4, 4], labels[2, 6], labels[2, 3] = 1, 2, 3, 4, 5
    assert measure(labels)["touches_border"].tolist() == [True, True, True, True, False]


def test_a_volume_has_volume_words_and_three_axes() -> None:
    labels = np.zeros((4, 4, 6), int)
    labels[1:3, 1:3, 1:5] = 1
    table = measure(labels, spacing=(2.0, 1.0, 0.5))
    names = """id class volume_px volume_um3 centroid_z centroid_y centroid_x
        centroid_z_um centroid_y_um centroid_x_um
        bbox_z_min bbox_z_max bbox_y_min bbox_y_max bbox_x_min bbox_x_max
        equivalent_diameter_px major_axis_px middle_axis_px minor_axis_px
        equivalent_diameter_um major_axis_um middle_axis_um minor_axis_um touches_border"""
    assert list(table.columns) == names.split()
    assert table["volume_px"].tolist() == [16]
    assert table["volume_um3"].tolist() == [16.0]
    # Variances in pixels 1/4, 1/4, 5/4; in micrometres 1, 1/4, 5/16; lengths 2 sqrt(5 l).
    assert table["major_axis_px"] == pytest.approx([5])
    assert table["major_axis_um"] == pytest.approx([2 * sqrt(5)])
    assert table["middle_axis_um"] == pytest.approx([2 * sqrt(25 / 16)])
    assert table["minor_axis_um"] == pytest.approx([2 * sqrt(5 / 4)])
    assert table["equivalent_diameter_px"] ** 3 * pi / 6 == pytest.approx(16)


# Oracles


@few
@given(label_images, st.data())
def test_every_object_is_the_loop_s(labels: Any, data: Any) -> None:
    image = data.draw(hnp.arrays(np.uint8, labels.shape))
    classes = data.draw(hnp.arrays(np.int32, labels.shape, elements=st.integers(-1, 3)))
    spacing = tuple(data.draw(st.sampled_from([0.5, 1.0, 3.0])) for _ in labels.shape)
    table = measure(labels, image, spacing=spacing, classes=classes)
    assert table["id"].tolist() == sorted({int(value) for value in labels.ravel() if value > 0})
    for row in table.rows():
        pixels = reference.pixels_of(labels, row["id"])
        size = "area_px" if labels.ndim == 2 else "volume_px"
        values = [float(image[pixel]) for pixel in pixels]
        assert row[size] == len(pixels)
        assert row["class"] == reference.majority([int(classes[pixel]) for pixel in pixels])
        assert row["centroid_x"] == pytest.approx(reference.mean([pixel[-1] for pixel in pixels]))
        assert (row["bbox_y_min"], row["bbox_y_max"]) == (
            min(pixel[-2] for pixel in pixels),
            max(pixel[-2] for pixel in pixels) + 1,
        )
        assert row["mean_ch0"] == pytest.approx(reference.mean(values))
        assert row["std_ch0"] ** 2 == pytest.approx(
            reference.mean([(value - row["mean_ch0"]) ** 2 for value in values])
        )
        for unit, step in (("px", (1.0,) * labels.ndim), ("um", spacing)):
            names = ["major", "minor"] if labels.ndim == 2 else ["major", "middle", "minor"]
            lengths = [row[f"{name}_axis_{unit}"] for name in names]
            assert lengths == pytest.approx(reference.axis_lengths(pixels, step), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.int32, (6, 6), elements=st.sampled_from([0, 0, 1, 2])))
def test_solidity_is_the_loop_s(labels: Any) -> None:
    for row in measure(labels).rows():
        pixels = reference.pixels_of(labels, row["id"])
        assert row["solidity"] == pytest.approx(len(pixels) / reference.convex_area(pixels))


def test_shapes_agree_with_regionprops() -> None:
    noise = np.random.default_rng(3).random((90, 110))
    labels = label_components(noise < 0.55)
    table = measure(labels)
    names = {
        "axis_major_length": "major_axis_px",
        "axis_minor_length": "minor_axis_px",
        "eccentricity": "eccentricity",
        "equivalent_diameter_area": "equivalent_diameter_px",
    }
    theirs = regionprops_table(labels, properties=list(names))
    assert len(table) > 200
    for name, ours in names.items():
        np.testing.assert_allclose(table[ours], theirs[name], atol=1e-6)


# Laws


@few
@given(hnp.arrays(np.int32, (5, 6), elements=st.integers(0, 3)), st.integers(1, 9000))
def test_moving_an_object_moves_its_centroid_and_nothing_else(labels: Any, far: int) -> None:
    here, there = measure(np.pad(labels, 1)), measure(np.pad(labels, ((1, 1), (far, 1))))
    np.testing.assert_allclose(there["centroid_x"], here["centroid_x"] + far - 1)
    for name in ("area_px", "centroid_y", "major_axis_px", "minor_axis_px", "solidity"):
        np.testing.assert_allclose(there[name], here[name], atol=1e-6)


@few
@given(hnp.arrays(np.int32, (6, 5), elements=st.integers(-1, 3)))
def test_rows_do_not_depend_on_the_numbers(labels: Any) -> None:
    table = measure(labels)
    renamed = measure(np.where(labels > 0, 10 - 2 * labels, labels))  # 1, 2, 3 become 8, 6, 4
    for name, column in table.columns.items():
        if name != "id":
            np.testing.assert_array_equal(renamed[name][::-1], column)


def test_huge_numbers_cost_nothing() -> None:
    assert measure(np.array([[2**31 - 2, 0, 5]]))["id"].tolist() == [5, 2**31 - 2]


@pytest.mark.real
def test_real_nuclei_are_counted_and_their_pixels_add_up(real_data: Path) -> None:
    with (real_data / "dsb2018" / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:10]
    for row in rows:
        labels = tifffile.imread(real_data / "dsb2018" / "labels" / f"{row['id']}.tif")
        table = measure(labels)
        assert len(table) == int(row["nuclei"])
        assert table["area_px"].sum() == np.count_nonzero(labels)
        assert (table["solidity"] <= 1).all()
        assert np.median(table["solidity"]) > 0.85  # nuclei are nearly convex
        assert (table["major_axis_px"] >= table["minor_axis_px"]).all()


# The table


def test_no_objects_make_an_empty_table_with_all_columns(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "spacing": (0.5, 0.5),
        "probabilities": np.zeros((4, 4)),
        "classes": np.zeros((4, 4), int),
    }
    image = np.zeros((2, 4, 4))
    empty = measure(np.zeros((4, 4), int), image, **options)
    full = measure(np.ones((4, 4), int), image, **options)
    assert len(empty) == 0
    assert list(empty.rows()) == []
    assert {name: column.dtype for name, column in empty.columns.items()} == {
        name: column.dtype for name, column in full.columns.items()
    }
    empty.to_csv(tmp_path / "empty.csv")
    assert (tmp_path / "empty.csv").read_text() == ",".join(full.columns) + "\n"


def test_csv_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    measure(SQUARE_AND_BAR, spacing=(2.0, 0.5)).to_csv(path)
    with path.open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["id"], first["area_px"], first["area_um2"]) == ("3", "4", "4")
    assert second["major_axis_px"] == "4.472136"  # 4 sqrt(5/4) = 4.4721360
    assert second["touches_border"] == "false"


def test_table_shows_itself_in_one_line() -> None:
    table = ObjectTable({"id": np.array([1, 2]), "area_px": np.array([7, 9])})
    assert repr(table) == "ObjectTable(2 objects: id, area_px)"
    assert list(table.rows()) == [{"id": 1, "area_px": 7}, {"id": 2, "area_px": 9}]


# Errors


def test_csv_is_not_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    path.write_text("precious")
    with pytest.raises(OutputExistsError, match="exists already"):
        measure(SQUARE_AND_BAR).to_csv(path)
    assert path.read_text() == "precious"
    measure(SQUARE_AND_BAR).to_csv(path, overwrite=True)
    assert path.read_text().startswith("id,class,area_px,")


ONES = np.ones((4, 5), int)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: measure(np.ones(4, int)), ShapeError, r"labels have shape \(4,\); expected 2 or 3 axes"),
        (lambda: measure(np.ones((4, 5))), LabelError, "dtype float64; expected integers"),
        (lambda: measure(ONES, np.ones((5, 4))), ShapeError, r"image has shape \(5, 4\), labels \(4, 5\)"),
        (
            lambda: measure(ONES, probabilities=np.ones((2, 4, 5))),
            ShapeError,
            r"probabilities have shape \(2, 4, 5\), labels \(4, 5\)",
        ),
        (lambda: measure(ONES, classes=np.ones((4, 4), int)), ShapeError, "classes have shape"),
        (lambda: measure(ONES, classes=np.ones((4, 5))), InputError, "classes have dtype float64"),
        (lambda: measure(ONES, spacing=(1.0,)), ConfigError, "expected 2 pixel sizes above 0"),
        (lambda: measure(ONES, spacing=(1.0, 0.0)), ConfigError, "expected 2 pixel sizes above 0"),
        (lambda: measure(ONES, spacing=(1.0, float("nan"))), ConfigError, "expected 2 pixel sizes"),
    ],
)
def test_what_cannot_be_measured_is_refused(call: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        call()
