"""Operations before and after the network, in the words of both versions; what is unknown is named."""

from __future__ import annotations

from typing import Any

import pytest

from unseam.errors import ModelFileError
from unseam.packages.document import Entry
from unseam.packages.operations import (
    LARGEST,
    Activation,
    Binarize,
    in_words,
    postprocessing_of,
    preprocessing_of,
)
from unseam.preprocess import Clip, Fixed, Preprocessing, ScaleRange, ZeroMean


def before(*operations: dict[str, Any], spatial: str = "yx") -> Preprocessing:
    return preprocessing_of(Entry({"preprocessing": list(operations)}, "inputs[0]"), spatial, ("in",))


def after(*operations: dict[str, Any]) -> Any:
    return postprocessing_of(Entry({"postprocessing": list(operations)}, "outputs[0]"), "yx")


def old(name: str, **kwargs: Any) -> dict[str, Any]:
    """An operation of version 0.4."""
    return {"name": name, "kwargs": kwargs}


def new(name: str, **kwargs: Any) -> dict[str, Any]:
    """An operation of version 0.5."""
    return {"id": name, "kwargs": kwargs}


@pytest.mark.parametrize(
    ("operation", "step"),
    [
        (old("scale_range", mode="per_sample", axes="xy"), ScaleRange(0, 100, 1e-6)),
        (
            old(
                "scale_range",
                mode="per_dataset",
                axes="cyx",
                min_percentile=1,
                max_percentile=99.8,
                eps="1e-3",
            ),
            ScaleRange(1, 99.8, 1e-3, joint=True),
        ),
        (old("scale_range", mode="per_sample", axes="xy", reference_tensor="in"), ScaleRange()),
        (new("scale_range", axes=["y", "x"], max_percentile=99), ScaleRange(0, 99)),
        (new("scale_range", axes=["batch", "channel", "y", "x"]), ScaleRange(joint=True)),
        (new("scale_range"), ScaleRange(joint=True)),
        (old("zero_mean_unit_variance", mode="per_sample", axes="yx"), ZeroMean()),
        (
            old("zero_mean_unit_variance", axes="yx", mean=[1, 2], std=[3, 4], eps=0.5),
            Fixed((1, 2), (3.5, 4.5)),
        ),
        (
            old("zero_mean_unit_variance", mode="fixed", axes="cyx", mean=1, std=3, eps=1e-9),
            Fixed((1,), (3 + 1e-9,)),
        ),
        (new("zero_mean_unit_variance", axes=["channel", "y", "x"], eps=1e-4), ZeroMean(1e-4, joint=True)),
        (new("fixed_zero_mean_unit_variance", mean=5, std=2), Fixed((5,), (2,))),
        (
            new("fixed_zero_mean_unit_variance", mean=[5, 6], std=[2, 3], axis="channel"),
            Fixed((5, 6), (2, 3)),
        ),
        (old("scale_linear", gain=2, offset=6, axes="yx"), Fixed((-3,), (0.5,))),
        (new("scale_linear", gain=[2, 4], offset=8, axis="channel"), Fixed((-4, -2), (0.5, 0.25))),
        (old("clip", min=0, max=1), Clip(0, 1)),
        (new("clip", max=1), Clip(-LARGEST, 1)),
    ],
)
def test_steps_before_the_network(operation: dict[str, Any], step: Any) -> None:
    assert before(operation) == Preprocessing((step,))


def test_a_volume_is_scaled_over_all_its_axes() -> None:
    assert before(new("scale_range", axes=["z", "y", "x"]), spatial="zyx").steps == (ScaleRange(),)
    with pytest.raises(
        ModelFileError, match=r"inputs\[0\]\.preprocessing\[0\] is axes y x, which unseam does not"
    ):
        before(new("scale_range", axes=["y", "x"]), spatial="zyx")


def test_number_formats() -> None:
    floats = [new("ensure_dtype", dtype="float32"), new("clip", min=0), new("ensure_dtype", dtype="float64")]
    assert before(*floats) == Preprocessing((Clip(0, LARGEST),))
    whole = new("ensure_dtype", dtype="uint8")
    assert before(whole) == before(whole, whole) == Preprocessing((), "uint8")
    assert before(whole, new("clip", max=9)).dtype == "uint8"
    for operations in ([new("clip", min=0), whole], [whole, new("clip", min=0), whole]):
        with pytest.raises(ModelFileError, match="is ensure_dtype uint8 there, which unseam does not know"):
            before(*operations)
    with pytest.raises(ModelFileError, match="is ensure_dtype bool there"):
        before(new("ensure_dtype", dtype="bool"))


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (
            old("binarize", threshold=1),
            r"inputs\[0\]\.preprocessing\[0\] is binarize, which unseam does not know",
        ),
        (old("sigmoid"), r"is sigmoid, which unseam does not know; what is left out would change the result"),
        (new("stardist", grid=2), r"is stardist, which"),
        (old("scale_range", mode="per_batch", axes="yx"), r"is mode per_batch, which"),
        (old("scale_range", axes="y"), r"is axes y, which"),
        (old("scale_range", axes="yxt"), r"is axes y x t, which"),
        (old("scale_range", axes="yx", reference_tensor="other"), r"is scale_range by other, which"),
        (old("scale_range", axes="yx", gamma=2), r"\.kwargs has gamma, which unseam does not know"),
        (new("clip", min_percentile=2), r"\.kwargs has min_percentile, which unseam does not know"),
        (new("clip", min=2, max=1), r"clips from 2 to 1; the lower comes first"),
        (
            old("scale_range", axes="yx", min_percentile=99, max_percentile=1),
            r"scales percentile 99 to 1; expected",
        ),
        (old("zero_mean_unit_variance", mode="fixed", axes="yx"), r"\.kwargs has no mean"),
        (
            old("zero_mean_unit_variance", axes="yx", mode="per_sample", eps=0),
            r"has eps 0; expected a number above",
        ),
        (new("fixed_zero_mean_unit_variance", mean=5, std=0), r"divides by 0; expected a number above 0"),
        (new("fixed_zero_mean_unit_variance", mean=[5], std=[1], axis="z"), r"unit_variance along z, which"),
        (new("scale_linear", gain=0), r"has gain 0, which leaves nothing of an image"),
        (new("scale_linear", gain=[1, 2], offset=[1, 2, 3], axis="channel"), r"has 2 gains and 3 offsets"),
        (new("scale_linear", gain=[1, 2], axis="x"), r"is scale_linear along x, which"),
        ({"kwargs": {}}, r"has no name, which"),
    ],
)
def test_what_is_not_known_before(operation: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        before(operation)


def test_a_reference_to_the_input_as_it_was_is_another_step() -> None:
    later = old("scale_range", axes="yx", reference_tensor="in")
    with pytest.raises(ModelFileError, match="is scale_range by in, which"):
        before(old("clip", min=0), later)


def test_steps_after_the_network() -> None:
    steps = after(
        new("scale_linear", gain=2),
        new("sigmoid"),
        new("clip", min=0, max=1),
        new("ensure_dtype", dtype="float32"),
        new("binarize", threshold=0.3),
        new("ensure_dtype", dtype="uint8"),
    )
    assert steps == (Fixed((0.0,), (0.5,)), Activation("sigmoid"), Clip(0, 1), Binarize(0.3))
    assert in_words(steps) == "minus 0, over 0.5, then sigmoid, then clipped from 0 to 1, then above 0.3"
    assert after(new("softmax", axis="channel")) == after(old("softmax")) == (Activation("softmax"),)
    assert in_words(after()) == "none"


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (new("softmax", axis="x"), r"outputs\[0\]\.postprocessing\[0\] is softmax along x, which"),
        (new("ensure_dtype", dtype="uint8"), r"is ensure_dtype uint8 there"),
        (new("zero_mean_unit_variance"), r"is zero_mean_unit_variance, which"),
        (old("scale_range", mode="per_sample", axes="yx"), r"is scale_range, which"),
        (old("scale_mean_variance", mode="per_sample"), r"is scale_mean_variance, which"),
        (new("custom", source="a.py"), r"is custom, which unseam does not know"),
        (new("stardist_postprocessing"), r"is stardist_postprocessing, which"),
        (new("binarize", threshold=[1, 2]), r"a number was expected"),
        (new("binarize", threshold=1, axis="channel"), r"\.kwargs has axis, which"),
    ],
)
def test_what_is_not_known_after(operation: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        after(operation)
