"""The fingerprint of a set: by hand, against loops, laws, errors, and on real images."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unseam.errors import ConfigError, InputError, LabelError, ModelFileError, PairingError, ShapeError
from unseam.fingerprint import Fingerprint, describe, equivalent_diameter, fingerprint

LABELS = np.array([[1, 1, 0, 0], [0, 0, 2, 0], [-1, 0, 0, 0], [0, 0, 0, 3]], np.int32)


def of(*labels: Any, task: str = "instances", spacings: Any = None, dtype: Any = np.uint8) -> Fingerprint:
    planes = [np.asarray(plane, np.int32) for plane in labels]
    images = [np.arange(plane.size, dtype=dtype).reshape(1, *plane.shape) for plane in planes]
    return fingerprint(images, planes, spacings=spacings or [None] * len(planes), task=task)


def test_counts_by_hand() -> None:
    found = of(LABELS)
    # 1 (2 px) and 2 meet at a corner, 3 is alone; 16 px, 1 unknown, 4 in objects
    assert (found.n_images, found.spatial_dims, found.channels, found.n_objects) == (1, 2, 1, 3)
    assert found.touching_fraction == 2 / 3
    assert found.class_frequencies == (11 / 15, 4 / 15)
    assert found.ignored_fraction == pytest.approx(1 / 16)
    assert found.diameter_median == pytest.approx(2 * (1 / np.pi) ** 0.5)  # sizes 1, 1, 2
    assert found.area_p01 == 1.0
    assert found.dtypes == ("uint8",)
    assert found.intensity == (pytest.approx((0, 0.15, 7.5, 14.97, 15)),)  # of 0, 1, ..., 15


def test_classes_by_hand() -> None:
    found = of(LABELS, [[1, 2]], task="semantic")
    assert found.class_frequencies == (11 / 17, 3 / 17, 2 / 17, 1 / 17)
    assert (found.n_objects, found.touching_fraction, found.diameter_median, found.area_p01) == (0, 0, 0, 0)


def test_classes_are_two_at_least() -> None:
    assert of([[0, 0]], task="semantic").class_frequencies == (1.0, 0.0)


def test_shapes_spacings_and_dtypes_over_the_set() -> None:
    labels = [np.zeros(shape, np.int32) for shape in ((4, 9), (6, 5), (8, 7))]
    kinds = ("uint8", "float32", "uint16")
    images = [np.zeros((2, *plane.shape), kind) for plane, kind in zip(labels, kinds, strict=True)]
    found = fingerprint(images, labels, spacings=[(0.2, 0.4), None, (0.4, 0.8)], task="instances")
    assert (found.shape_min, found.shape_median, found.shape_max) == ((4, 5), (6, 7), (8, 9))
    assert found.spacing == pytest.approx((0.3, 0.6))
    assert found.dtypes == ("float32", "uint16", "uint8")
    assert found.channels == 2
    assert found.class_frequencies == (1.0, 0.0)


def test_ids_that_are_far_apart_count_as_others_do() -> None:
    assert of(np.where(LABELS > 0, LABELS * 700_000_000, LABELS)) == of(LABELS)


def test_all_unknown_is_no_division_by_zero() -> None:
    found = of([[-1, -1]])
    assert (found.class_frequencies, found.ignored_fraction) == ((0.0, 0.0), 1.0)


def test_ends_of_the_intensities_are_exact_in_large_images() -> None:
    image = np.full((1, 1600, 1600), 10, np.uint16)
    image[0, 801, 3], image[0, 5, 7] = 60000, 1
    found = fingerprint([image], [np.zeros((1600, 1600), np.int32)], spacings=[None], task="instances")
    assert (found.intensity[0][0], found.intensity[0][2], found.intensity[0][4]) == (1.0, 10.0, 60000.0)


def test_percentiles_do_not_see_one_column_alone() -> None:
    image = np.zeros((1, 2048, 1536), np.uint8)
    image[:, :, 1::2] = 200  # every second column; one pixel in 4 is taken, rows are a multiple of 4 long
    found = fingerprint([image], [np.zeros((2048, 1536), np.int32)], spacings=[None], task="instances")
    assert (found.intensity[0][1], found.intensity[0][3]) == (0.0, 200.0)


def test_equivalent_diameter_by_hand() -> None:
    assert equivalent_diameter(np.array([np.pi]), 2) == pytest.approx(2)
    assert equivalent_diameter(np.array([4 / 3 * np.pi]), 3) == pytest.approx(2)


def touching_by_loops(labels: np.ndarray[Any, Any]) -> float:
    ids = {int(label) for label in labels.flat if label > 0}
    touching = set()
    for at in np.ndindex(labels.shape):
        for step in product((-1, 0, 1), repeat=labels.ndim):
            to = tuple(a + s for a, s in zip(at, step, strict=True))
            if all(0 <= t < n for t, n in zip(to, labels.shape, strict=True)):
                a, b = int(labels[at]), int(labels[to])
                if a > 0 and b > 0 and a != b:
                    touching.add(a)
    return len(touching) / max(len(ids), 1)


@given(
    hnp.arrays(
        np.int32,
        st.one_of(
            hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
            hnp.array_shapes(min_dims=3, max_dims=3, max_side=4),
        ),
        elements=st.sampled_from([-1, 0, 0, 0, 1, 2, 3, 9]),
    )
)
@settings(max_examples=80, deadline=None)
def test_touching_and_counts_agree_with_loops(labels: Any) -> None:
    found = of(labels, dtype=np.float32)
    assert found.touching_fraction == touching_by_loops(labels)
    assert found.n_objects == len({int(label) for label in labels.flat if label > 0})
    assert of(np.flip(labels), dtype=np.float32).touching_fraction == found.touching_fraction


def test_json_round_trip_and_newer_keys() -> None:
    for found in (of(LABELS), of(LABELS, spacings=[(0.5, 0.5)]), of(LABELS, task="semantic")):
        text = json.dumps({**found.to_dict(), "of_a_newer_version": [1]})
        assert Fingerprint.from_dict(json.loads(text)) == found


def test_missing_field_is_refused() -> None:
    values = of(LABELS).to_dict()
    del values["channels"]
    with pytest.raises(ModelFileError, match=r"has no channels; expected all fields: .* train again"):
        Fingerprint.from_dict(values)


def test_describe_in_pixels() -> None:
    assert describe(of(LABELS)) == [
        "1 image, 2-D: 4 x 4 pixels, 1 channel, uint8",
        "pixel size: not known",
        "intensities: 0 to 15 (all but the darkest 1% and brightest 0.2%: 0.15 to 14.97)",
        "3 objects, 67% of them touch another",
        "object diameter: 1.1 px (80% lie between 1.1 and 1.5 px)",
        "pixels: background 73.3%, objects 26.7%",
        "unknown, and left out of training: 6.2% of the pixels",
    ]


def test_describe_in_micrometres_and_classes() -> None:
    found = replace(of(LABELS), spacing=(0.5, 2.0), diameter_median=20.0, diameter_p10=10, diameter_p90=30)
    assert "that is 20 µm (10 to 30 µm)" in "\n".join(describe(found))  # 0.5 x 2 µm has the area of 1 x 1
    assert "pixel size: 0.5 x 2 µm" in describe(found)
    lines = describe(of(LABELS, [[0, 0]], task="semantic"))
    assert lines[0] == "2 images, 2-D: 1 x 2 to 4 x 4 (median 2 x 3) pixels, 1 channel, uint8"
    assert lines[3].startswith("pixels: class 0 76.5%, class 1 11.8%")


def call(images: Any, labels: Any, spacings: Any = (None,), task: str = "instances") -> None:
    fingerprint(images, labels, spacings=spacings, task=task)


PLANE = np.zeros((4, 4), np.int32)
IMAGE = np.zeros((1, 4, 4))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (
            ([IMAGE], [PLANE], [None], "cells"),
            ConfigError,
            r"task is 'cells'; expected one of: instances, sem",
        ),
        (([], [], []), InputError, r"no image was given; expected at least one"),
        (([IMAGE], [], [None]), PairingError, r"1 images, 0 labels and 1 pixel sizes .* give None"),
        (
            ([IMAGE], [PLANE[1:]]),
            ShapeError,
            r"image 0 has the shape \(1, 4, 4\) and its labels \(3, 4\); exp",
        ),
        (([np.zeros((1, 0, 4))], [np.zeros((0, 4), np.int32)]), ShapeError, r"no empty axis"),
        (([np.zeros((1, 4))], [np.zeros(4, np.int32)]), ShapeError, r"expected \(channels, rows, columns\)"),
        (
            ([IMAGE, np.zeros((3, 4, 4))], [PLANE, PLANE], [None, None]),
            ShapeError,
            r"image 1 has the shape \(3, 4, 4\) and image 0 \(1, 4, 4\); .* train on each kind",
        ),
        (([IMAGE], [PLANE], [(0.1,)]), ShapeError, r"pixel size \(0.1,\); expected 2 numbers, one an axis"),
        (
            ([IMAGE], [PLANE - 2]),
            LabelError,
            r"labels 0 are int32 with the least value -2; expected integers",
        ),
        (([IMAGE], [PLANE.astype(float)]), LabelError, r"labels 0 are float64 .* -1 for unknown"),
        (
            ([IMAGE], [PLANE + 70_000], [None], "semantic"),
            LabelError,
            r"largest class is 70000; .* instances\?",
        ),
        (([IMAGE * np.nan], [PLANE]), InputError, r"image 0 has pixels that are NaN or infinite; .* replace"),
        (([IMAGE + np.inf], [PLANE]), InputError, r"image 0 has pixels that are NaN or infinite"),
    ],
)
def test_refusals(arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(*arguments)


@pytest.mark.real
def test_real_cells(real_data: Path) -> None:
    folder = real_data / "DIC-C2DH-HeLa"
    names = sorted((folder / "01_GT" / "SEG").glob("man_seg*.tif"))
    labels = [tifffile.imread(name).astype(np.int32) for name in names]
    images = [tifffile.imread(folder / "01" / f"t{name.stem[-3:]}.tif")[None] for name in names]
    found = fingerprint(images, labels, spacings=[(0.19, 0.19)] * len(names), task="instances")
    assert (found.n_images, found.shape_median, found.dtypes) == (9, (512, 512), ("uint8",))
    assert found.n_objects == sum(len(np.unique(plane)) - 1 for plane in labels)
    assert 80 < found.diameter_p10 < found.diameter_median < found.diameter_p90 < 160  # HeLa, 15 to 30 µm
