"""What the channels of an output mean: by hand, and what is not clear is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from unseam.errors import InputError, ModelFileError
from unseam.packages.operations import Activation, Binarize, Post
from unseam.packages.reading import Reading, reading_in_words, reading_of
from unseam.preprocess import Clip, Fixed

SIGMOID, SOFTMAX = Activation("sigmoid"), Activation("softmax")


def read(steps: list[Post], channels: int, *, names: tuple[str, ...] = (), last: str = "Conv") -> Reading:
    return reading_of(steps, channels, names, last, "p")


def pixel(*values: float) -> Any:
    """An output of one pixel."""
    return np.array(values, np.float32).reshape(-1, 1, 1)


def test_one_channel_is_foreground() -> None:
    reading = read([SIGMOID], 1)
    assert (reading.kind, reading.classes, reading.task, reading.objects.threshold) == (
        "foreground",
        2,
        "instances",
        0.5,
    )
    # 1 / (1 + exp(-ln 3)) = 3 / 4
    np.testing.assert_allclose(reading(pixel(np.log(3))).ravel(), [0.25, 0.75], rtol=1e-6)
    np.testing.assert_array_equal(reading(pixel(-1e9)).ravel(), [1, 0])
    np.testing.assert_array_equal(read([], 1, last="Sigmoid")(pixel(0.25)).ravel(), [0.75, 0.25])


def test_where_it_is_binarized_is_the_threshold_of_objects() -> None:
    reading = read([SIGMOID, Binarize(0.3)], 1)
    assert reading.steps == (SIGMOID,) and reading.objects.threshold == 0.3
    np.testing.assert_allclose(reading(pixel(0)).ravel(), [0.5, 0.5])


def test_two_channels_are_foreground_and_boundary() -> None:
    reading = read([], 2, names=("foreground", "boundary"))
    assert (reading.kind, reading.classes) == ("boundary", 2)
    np.testing.assert_allclose(reading(pixel(0.8, 0.25)).ravel(), [0.4, 0.6], rtol=1e-6)  # 0.8 * 0.75
    assert read([SIGMOID], 2).kind == "boundary"
    assert read([SIGMOID], 2, names=("nuclei", " Edges")).kind == "boundary"


@pytest.mark.parametrize(
    "reading", [read([SOFTMAX], 2), read([], 2, last="Softmax"), read([], 2, names=("Background", "cell"))]
)
def test_two_channels_that_sum_to_one_are_background_and_foreground(reading: Reading) -> None:
    assert (reading.kind, reading.classes, reading.task) == ("classes", 2, "instances")


def test_classes() -> None:
    reading = read([SOFTMAX], 3)
    assert (reading.kind, reading.classes, reading.task) == ("classes", 3, "semantic")
    # exp 0, ln 2, ln 5: 1, 2, 5 of 8; and no number is too large
    np.testing.assert_allclose(
        reading(pixel(0, np.log(2), np.log(5))).ravel(), [1 / 8, 2 / 8, 5 / 8], rtol=1e-6
    )
    np.testing.assert_allclose(reading(pixel(1000, 1000, 0)).ravel(), [0.5, 0.5, 0])


def test_other_steps() -> None:
    reading = read([Fixed((1.0,), (4.0,)), Clip(0, 1)], 1)
    np.testing.assert_allclose(reading(pixel(2)).ravel(), [0.75, 0.25])
    np.testing.assert_allclose(reading(pixel(99)).ravel(), [0, 1])


def test_rounding_beyond_a_probability_is_taken_back_and_more_is_told() -> None:
    reading = read([], 1)
    np.testing.assert_array_equal(reading(pixel(1.0005)).ravel(), [0, 1])
    words = r"gives values from -3\.2 to -3\.2 and probabilities from 0 to 1 were expected; its desc"
    with pytest.raises(InputError, match=words):
        reading(pixel(-3.2))
    with pytest.raises(InputError, match="lacks a sigmoid or softmax"):
        reading(pixel(1.1))
    assert np.isnan(reading(pixel(np.nan))).all()  # told where labels are made


@pytest.mark.parametrize(
    ("steps", "channels", "names", "words"),
    [
        ([SOFTMAX], 1, (), r"p gives 1 channels with softmax; unseam reads one \(foreground\), two"),
        (
            [SIGMOID],
            2,
            ("cell", "nucleus"),
            r"p gives 2 channels \(cell, nucleus\) without softmax; unseam reads one \(foreground\), two",
        ),
        ([SIGMOID], 3, (), r"p gives 3 channels without softmax; unseam reads one"),
        (
            [SIGMOID, Binarize(0.5)],
            2,
            (),
            r"p binarizes 2 channels; unseam needs probabilities: take binarize out",
        ),
        ([Binarize(0.5), SIGMOID], 1, (), r"p binarizes 1 channel; unseam needs"),
        ([Binarize(3)], 1, (), r"p binarizes 1 channel; unseam needs"),
        ([SOFTMAX, Binarize(0.5)], 3, (), r"p binarizes 3 channels; unseam needs"),
        (
            [SIGMOID],
            2,
            ("Boundary", "inside"),
            r"p gives Boundary and inside; expected foreground first, then",
        ),
        (
            [SIGMOID],
            1,
            ("membrane",),
            r"p gives membrane; expected foreground first, then boundary if there is one",
        ),
    ],
)
def test_what_is_not_clear(steps: list[Post], channels: int, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        read(steps, channels, names=names)


def test_in_one_line() -> None:
    line = reading_in_words(read([SIGMOID], 2), read([], 2).objects)
    assert line == (
        "probability = foreground (channel 0) x (1 - boundary (channel 1)); connected pixels above 0.5 are "
        "an object, unless --set objects.threshold=..."
    )
    semantic = read([SOFTMAX], 3)
    assert (
        reading_in_words(semantic, semantic.objects)
        == "the likeliest of 3 classes, the first of which is background"
    )
