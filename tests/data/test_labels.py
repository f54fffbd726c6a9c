"""The coding of labels is recognised and decoded."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from tests.reference import labels as reference

from unseam.data.labels import Coding, Task, decode, recognise_coding
from unseam.data.sample import IGNORE
from unseam.errors import ConfigError, LabelError
from unseam.io.images import list_images, read_labels

INSTANCES = Coding("instances", (), 2, "")


def line(*values: int, dtype: Any = np.uint8) -> NDArray[Any]:
    return np.array([values], dtype)


def speckled(*values: int) -> NDArray[np.uint8]:
    """Each value as three single pixels, far from each other."""
    image = np.zeros((8, 32), np.uint8)
    for row, value in enumerate(values):
        image[row, [0, 10, 20]] = value
    return image


def test_a_mask_of_255() -> None:
    coding = recognise_coding([line(0, 255, 0, 255), line(0, 0, 255, 255)])
    assert (coding.kind, coding.values, coding.n_classes) == ("mask", (255,), 2)
    assert "labels: a mask, 0 and 255" in coding.reason
    assert "--task semantic" in coding.reason
    assert decode(line(0, 255, 0, 255), coding).tolist() == [[0, 1, 0, 2]]


@pytest.mark.parametrize("dtype", [bool, np.uint8])
@pytest.mark.parametrize("task", ["auto", "instances"])
def test_ones_in_several_places_are_a_mask(dtype: Any, task: Any) -> None:
    arrays = [line(0, 1, 1, 0, dtype=dtype), line(1, 0, 0, 1, dtype=dtype)]
    coding = recognise_coding(arrays, task=task)
    assert (coding.kind, coding.values) == ("mask", (1,))
    assert decode(arrays[1], coding).tolist() == [[1, 0, 0, 2]]


def test_booleans_in_one_place_are_a_mask_and_ones_an_instance() -> None:
    assert recognise_coding([line(0, 1, 1, dtype=bool)]).kind == "mask"
    coding = recognise_coding([line(0, 1, 1)])
    assert coding.kind == "instances"
    assert "at most one object an image" in coding.reason
    assert decode(line(0, 1, 1), coding).tolist() == [[0, 1, 1]]


def test_components_touching_at_a_corner_are_two() -> None:
    mask = Coding("mask", (255,), 2, "")
    # 255 .        1 .
    #  .  255      . 2
    assert decode(np.array([[255, 0], [0, 255]]), mask).tolist() == [[1, 0], [0, 2]]
    # In 3-D a common edge does not join either.
    cube = np.zeros((2, 2, 2), np.uint8)
    cube[0, 0, 1] = cube[1, 1, 1] = cube[1, 1, 0] = 255
    assert decode(cube, mask).tolist() == [[[0, 1], [0, 0]], [[0, 0], [2, 2]]]


@given(
    hnp.arrays(
        bool, hnp.array_shapes(min_dims=2, max_dims=3, max_side=7), elements=st.booleans(), fill=st.nothing()
    )
)
@settings(max_examples=60, deadline=None)
def test_components_against_flooding(mask: NDArray[np.bool_]) -> None:
    decoded = decode(mask.astype(np.uint8) * 255, Coding("mask", (255,), 2, ""))
    assert decoded.dtype == np.int32
    assert np.array_equal(decoded, reference.components(mask))


def test_components_are_numbered_by_their_first_pixel() -> None:
    # The left object starts lower, but joins the column on the right that starts first.
    mask = np.array([[0, 0, 1, 0, 1], [1, 0, 1, 0, 1], [1, 1, 1, 0, 1]], np.uint8)
    decoded = decode(mask, Coding("mask", (1,), 2, ""))
    assert decoded.tolist() == [[0, 0, 1, 0, 2], [1, 0, 1, 0, 2], [1, 1, 1, 0, 2]]


def test_many_values_are_instances_and_kept() -> None:
    arrays = [line(*range(12)), line(0, 0, 300, 7, dtype=np.uint16)]
    coding = recognise_coding(arrays)
    assert coding.kind == "instances"
    assert coding.reason == "labels: instances, 12 different numbers from 1 to 300"
    assert decode(arrays[1], coding).tolist() == [[0, 0, 300, 7]]
    assert decode(arrays[1], coding).dtype == np.int32


def test_few_values_in_several_places_are_classes() -> None:
    arrays = [speckled(1, 2), speckled(2, 1), speckled(1)]
    coding = recognise_coding(arrays)
    assert (coding.kind, coding.values, coding.n_classes) == ("classes", (0, 1, 2), 3)
    assert "3 classes" in coding.reason
    assert "--task instances" in coding.reason
    assert np.array_equal(decode(arrays[0], coding), arrays[0])


def test_eight_values_may_be_classes_and_nine_are_instances() -> None:
    eight = speckled(*range(1, 9))
    assert recognise_coding([eight]).kind == "classes"
    assert recognise_coding([eight, line(9, 0, 9)]).kind == "instances"


def test_few_values_in_one_place_each_are_instances_with_a_word_of_doubt() -> None:
    coding = recognise_coding([line(0, 1, 1, 0, 2, 2)])
    assert coding.kind == "instances"
    assert "2 different numbers from 1 to 2" in coding.reason
    assert "--task semantic" in coding.reason


def test_values_that_do_not_recur_are_instances() -> None:
    # Numbers unique in the whole set, each object in pieces: 3 of 3 scattered, each in 1 of 3 images.
    assert recognise_coding([speckled(3), speckled(4), speckled(5)]).kind == "instances"


def test_the_task_decides() -> None:
    few = [speckled(1, 2)]
    coding = recognise_coding(few, task="instances")
    assert coding.kind == "instances"
    assert np.array_equal(decode(few[0], coding), few[0])
    coding = recognise_coding([line(0, 1, 1, 0, 2, 2)], task="semantic")
    assert (coding.kind, coding.values) == ("classes", (0, 1, 2))


@pytest.mark.parametrize(
    ("values", "mapped", "classes", "words"),
    [
        ((0, 255), (0, 1), (0, 255), "2 classes, 0 is class 0, 255 is class 1"),
        ((0, 1), (0, 1), (0, 1), "2 classes (--task semantic)"),
        ((0, 10, 40), (0, 1, 2), (0, 10, 40), "40 is class 2"),
        ((2, 1, 2), (1, 0, 1), (1, 2), "1 is class 0, 2 is class 1"),
        ((0, 0), (0, 0), (0, 1), "2 classes"),
        ((255, 255), (1, 1), (0, 255), "255 is class 1"),
        (tuple(range(0, 24, 2)), tuple(range(12)), tuple(range(0, 24, 2)), "18 is class 9, and so on"),
    ],
)
def test_semantic_classes_are_consecutive(
    values: tuple[int, ...], mapped: tuple[int, ...], classes: tuple[int, ...], words: str
) -> None:
    coding = recognise_coding([line(*values)], task="semantic")
    assert (coding.kind, coding.values, coding.n_classes) == ("classes", classes, len(classes))
    assert words in coding.reason
    assert decode(line(*values), coding).tolist() == [list(mapped)]


def test_empty_images_are_fine() -> None:
    coding = recognise_coding([line(0, 0), line(0, 0)])
    assert coding.kind == "instances"
    assert "no object" in coding.reason
    assert decode(line(0, 0), coding).tolist() == [[0, 0]]
    assert recognise_coding([line(0, 0), line(0, 255)]).kind == "mask"
    assert recognise_coding([line(0, 0), speckled(1, 2)]).kind == "classes"


@pytest.mark.parametrize(
    ("arrays", "task", "expected"),
    [
        ([line(0, 1, 0, 1, 9)], "auto", [1, 2]),  # a mask; 9 is unknown
        ([line(0, 1, 0, 2, 9)], "auto", [1, 2]),  # instances
        ([line(0, 1, 0, 2, 9)], "semantic", [1, 2]),
    ],
)
def test_ignored_pixels(arrays: list[NDArray[Any]], task: Any, expected: list[int]) -> None:
    coding = recognise_coding(arrays, task=task, ignore=9)
    assert decode(arrays[0], coding, 9).tolist() == [[0, expected[0], 0, expected[1], IGNORE]]


def test_zero_may_be_the_ignored_value() -> None:
    coding = recognise_coding([line(0, 1, 2, 0)], task="semantic", ignore=0)
    assert coding.values == (1, 2)
    assert decode(line(0, 1, 2, 0), coding, 0).tolist() == [[IGNORE, 0, 1, IGNORE]]


def test_an_ignored_value_beyond_32_bits() -> None:
    labels = line(0, 2**40, 5, dtype=np.int64)
    coding = recognise_coding([labels], ignore=2**40)
    assert decode(labels, coding, 2**40).tolist() == [[0, IGNORE, 5]]


def test_all_ignored_is_refused_and_one_image_of_several_is_fine() -> None:
    with pytest.raises(LabelError, match=r"every pixel of every label image is ignored; check .*--ignore"):
        recognise_coding([line(9, 9), line(9)], ignore=9)
    assert recognise_coding([line(9, 9), line(0, 255)], ignore=9).kind == "mask"


def test_masks_of_1_and_of_255_together_are_refused() -> None:
    tasks: tuple[Task, ...] = ("auto", "semantic")
    mixed = [line(0, 1, 0, 1), line(0, 255)]
    for task in tasks:
        with pytest.raises(
            LabelError, match="some label images are coded 0 and 1, others 0 and 255; save all alike"
        ):
            recognise_coding(mixed, task=task)
    assert recognise_coding(mixed, task="instances").kind == "instances"
    assert recognise_coding([line(0, 1, 255)]).kind == "instances"


def test_too_many_classes_are_refused() -> None:
    with pytest.raises(
        LabelError, match=r"256 distinct values, at most 255 can be classes; .*--task instances"
    ):
        recognise_coding([line(*range(256))], task="semantic")
    assert recognise_coding([line(*range(255))], task="semantic").n_classes == 255


def test_labels_that_cannot_be_are_refused() -> None:
    with pytest.raises(LabelError, match="no label images; give at least one"):
        recognise_coding([])
    with pytest.raises(LabelError, match="type float64 are no labels; give whole numbers"):
        recognise_coding([np.zeros((2, 2))])
    with pytest.raises(LabelError, match=r"negative value -4; labels start at 0; .*--ignore"):
        recognise_coding([line(0, -4, dtype=np.int16)])
    assert recognise_coding([line(0, -1, 1, dtype=np.int16)], ignore=-1).kind == "instances"
    unknown: Any = "panoptic"
    with pytest.raises(ConfigError, match="task 'panoptic' is unknown; choose auto, instances or semantic"):
        recognise_coding([line(0, 1)], task=unknown)


@pytest.mark.parametrize("number", [2**31, 2**63 + 5])
def test_numbers_beyond_32_bits_are_refused(number: int) -> None:
    labels = line(0, 7, number, dtype=np.uint64)
    coding = recognise_coding([labels])
    assert coding.kind == "instances"
    with pytest.raises(LabelError, match=f"instance number {number} does not fit into 32 bits; renumber"):
        decode(labels, coding)


@pytest.mark.parametrize("kind", ["mask", "classes"])
def test_a_value_outside_the_coding_is_refused(kind: Any) -> None:
    coding = Coding(kind, (255,) if kind == "mask" else (0, 255), 2, "")
    with pytest.raises(LabelError, match="label value 7 is not among the values 0, 255 of the other labels"):
        decode(line(0, 7, 255), coding)
    with pytest.raises(LabelError, match=r"^a\.png: label value 7 is not among"):
        decode(line(0, 7, 255), coding, name="a.png")


def test_decoding_leaves_its_input_alone() -> None:
    for coding in (INSTANCES, Coding("mask", (1,), 2, ""), Coding("classes", (0, 1), 2, "")):
        labels = line(0, 1, 9, dtype=np.int32)
        decode(labels, coding, 9)
        assert labels.tolist() == [[0, 1, 9]]


def test_a_hundred_large_images_are_quick() -> None:
    image = np.zeros((1000, 1000), np.uint16)
    image[::50, ::50] = 1
    image[25::50, 25::50] = 2
    start = time.perf_counter()
    assert recognise_coding([image] * 100).kind == "classes"
    assert time.perf_counter() - start < 10  # about 1 s; a second an image would be a defect


@pytest.mark.real
@pytest.mark.parametrize(
    ("folder", "kind", "objects"),
    [
        ("isbi2012/labels", "mask", None),
        ("dsb2018/labels", "instances", 4676),
        ("DIC-C2DH-HeLa/01_GT/SEG", "instances", None),
        ("fib25_medulla/labels", "instances", 525),
    ],
)
def test_real_labels(real_data: Path, folder: str, kind: str, objects: int | None) -> None:
    arrays = [read_labels(file).data[0] for file in list_images(real_data / folder)]
    coding = recognise_coding(arrays)
    assert coding.kind == kind
    if objects is not None:
        counts = [np.unique(decode(array, coding)) for array in arrays]
        assert sum(int((values > 0).sum()) for values in counts) == objects
