"""The sums of a block: by hand, against loops, where it lies, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.measure.cut import label_images
from tests.reference import measure as reference

from unseam.errors import InputError, LabelError, ShapeError
from unseam.measure import block, finish, measure, quantise, sum_block

few = settings(max_examples=40, deadline=None)


# By hand


def test_a_block_of_two_objects() -> None:
    labels = np.array([[0, 7, 7, 2], [7, 0, 7, 0]])
    image = np.array([[0, 1, 2, 9], [3, 0, 4, 0]], np.uint8)
    classes = np.array([[5, 1, 3, 0], [3, 5, 3, 5]])
    sums = sum_block(labels, origin=(10, 20), image=image, probabilities=image / 255, classes=classes)
    assert sums.ids.tolist() == [2, 7]
    assert sums.sizes.tolist() == [1, 4]
    assert sums.boxes.tolist() == [[[10, 11], [23, 24]], [[10, 12], [20, 23]]]
    # From their corners the pixels of 7 are (0, 1), (0, 2), (1, 0), (1, 2).
    assert sums.first.tolist() == [[0, 0], [2, 5]]
    assert sums.second.tolist() == [[0, 0, 0], [2, 2, 9]]  # yy, yx, xx: 1 + 4 + 4
    assert sums.totals.tolist() == [[9], [10]]
    assert sums.squares.tolist() == [[81], [30]]  # 1 + 4 + 9 + 16
    assert sums.probabilities is not None and sums.votes is not None and sums.rows is not None
    assert sums.probabilities.tolist() == [9 * 257, 10 * 257]  # 65535 / 255 = 257
    assert sums.votes.T.tolist() == [[7, 1, 1], [7, 3, 3]]  # class 0 has no vote
    assert sums.rows.T.tolist() == [[2, 10, 23, 23], [7, 10, 21, 22], [7, 11, 20, 22]]


def test_probabilities_may_be_quantised_before() -> None:
    p = np.array([[0.25, 0.5, 1.0]], np.float32)
    labels = np.array([[1, 1, 2]])
    steps = quantise(p)
    assert steps.tolist() == [[16384, 32768, 65535]]  # 16383.75 and 32767.5, ties to even
    for given_as in (p, steps):
        sums = sum_block(labels, origin=(0, 0), probabilities=given_as)
        assert sums.probabilities is not None and sums.probabilities.tolist() == [49152, 65535]
    # 49152 / 2 / 65535 = 0.37500572...
    assert measure(labels, probabilities=p)["mean_probability"].tolist() == [0.375, 1.0]


def test_half_precision_reaches_one() -> None:
    assert quantise(np.array([0, 1], np.float16)).tolist() == [0, 65535]  # float16 ends at 65504


def test_what_rounding_made_of_one_is_one() -> None:
    assert quantise(np.array([1 + 1e-7, -1e-9])).tolist() == [65535, 0]


def test_a_bright_image_keeps_the_digits_of_a_small_spread() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1e-3, (50, 50))
    table = measure(np.ones((50, 50), int), 1e6 + noise)
    assert table["std_ch0"] == pytest.approx([(1e6 + noise).std()], rel=1e-9)
    assert table["std_ch0"] == pytest.approx([noise.std()], rel=1e-6)


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.uint16, np.int32, np.uint32, np.float32])
def test_every_dtype_of_image_is_measured(dtype: Any) -> None:
    image = np.array([[1, 0, 1, 1]]).astype(dtype)
    table = measure(np.array([[1, 1, 1, 2]]), image)
    assert table["mean_ch0"] == pytest.approx([2 / 3, 1], rel=1e-15)
    assert table["std_ch0"] == pytest.approx([np.sqrt(2) / 3, 0], rel=1e-15)
    largest = 1 if dtype is np.bool_ else 2**24 if dtype is np.float32 else np.iinfo(dtype).max
    bright = measure(np.ones((1, 2), int), np.full((1, 2), largest, dtype))
    assert (bright["mean_ch0"].tolist(), bright["std_ch0"].tolist()) == ([float(largest)], [0.0])


def test_a_line_too_long_for_64_bits() -> None:
    n = 2_100_000  # n * n ** 2, a bound for every sum that is formed on the way, is 9.3e18, above 2 ** 63
    labels = np.ones((1, n), np.int32)
    sums = sum_block(labels, origin=(0, 0))
    assert sums.second.tolist() == [[0, 0, (n - 1) * n * (2 * n - 1) // 6]]
    table = finish(sums, shape=labels.shape)
    assert table["centroid_x"].tolist() == [(n - 1) / 2]
    # The variance of 0 ... n - 1 is (n ** 2 - 1) / 12.
    assert table["major_axis_px"] == pytest.approx([4 * np.sqrt((n**2 - 1) / 12)], rel=1e-15)


def test_a_block_too_large_for_64_bits_is_summed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.random.default_rng(1).integers(-1, 4, (5, 6, 7))
    extras = {"image": labels.astype(np.uint16), "probabilities": (labels > 1) / 3, "classes": labels % 3}
    whole = sum_block(labels, origin=(3, 4, 5), **extras)
    sizes = []
    find_runs = block._find_runs
    monkeypatch.setattr(block, "_find_runs", lambda part: (sizes.append(part.size), find_runs(part))[1])
    monkeypatch.setattr(block, "MOST", 30)
    parts = sum_block(labels, origin=(3, 4, 5), **extras)
    assert sum(sizes) == 5 * 6 * 7 and max(sizes) <= 30
    assert {name: array.tolist() for name, array in parts.to_arrays().items()} == {
        name: array.tolist() for name, array in whole.to_arrays().items()
    }


# Oracle


@few
@given(label_images, st.data())
def test_every_sum_is_the_loop_s(labels: Any, data: Any) -> None:
    image = data.draw(hnp.arrays(np.int16, labels.shape))
    classes = data.draw(hnp.arrays(np.int8, labels.shape, elements=st.integers(-1, 3)))
    sums = sum_block(labels, origin=(0,) * labels.ndim, image=image, classes=classes)
    rows, votes = [], []
    for k, number in enumerate(sums.ids.tolist()):
        pixels = reference.pixels_of(labels, number)
        values = [int(image[pixel]) for pixel in pixels]
        first, second = reference.moments(pixels)
        assert (sums.first[k].tolist(), sums.second[k].tolist()) == (first, second)
        assert sums.totals[k].tolist() == [sum(values)]
        assert sums.squares[k].tolist() == [sum(value * value for value in values)]
        chosen = [int(classes[pixel]) for pixel in pixels if classes[pixel] > 0]
        votes += [(number, one, chosen.count(one)) for one in sorted(set(chosen))]
        if labels.ndim == 2:
            rows += [(number, *row) for row in reference.row_extents(pixels)]
    assert sums.votes is not None and list(map(tuple, sums.votes.T.tolist())) == votes
    assert (sums.rows is None) == (labels.ndim == 3)
    assert sums.rows is None or list(map(tuple, sums.rows.T.tolist())) == rows


# Laws


@few
@given(label_images, st.sampled_from([1, 1000, 10**6, 10**9]))
def test_no_digit_of_a_shape_depends_on_where_it_lies(labels: Any, far: int) -> None:
    here = sum_block(labels, origin=(0,) * labels.ndim)
    there = sum_block(labels, origin=(far,) * labels.ndim)
    for name in ("ids", "sizes", "first", "second"):
        assert getattr(there, name).tolist() == getattr(here, name).tolist()
    assert (there.boxes - far).tolist() == here.boxes.tolist()
    shape = tuple(far + n for n in labels.shape)
    moved, at_home = finish(there, shape=shape), finish(here, shape=labels.shape)
    for name in at_home.columns:
        if name.startswith("centroid"):
            np.testing.assert_allclose(moved[name] - far, at_home[name], atol=far * 3e-16)
        elif not name.startswith("bbox") and name != "touches_border":
            assert moved[name].tolist() == at_home[name].tolist(), name


# Errors


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: sum_block(np.ones(4, int), origin=(0,)), ShapeError, "expected 2 or 3 axes"),
        (lambda: sum_block(np.ones((2, 2)), origin=(0, 0)), LabelError, "expected integers"),
        (
            lambda: sum_block(np.ones((2, 2), int), origin=(0, 0, 0)),
            ShapeError,
            r"origin is \(0, 0, 0\); expected 2 coordinates",
        ),
        (lambda: quantise(np.array([-0.25, 0.5])), InputError, "run from -0.25.* to 0.5.*; expected 0 to 1"),
        (lambda: quantise(np.array([0.5, 1.5])), InputError, "to 1.5; expected 0 to 1"),
        (lambda: quantise(np.array([0.5, np.nan])), InputError, "expected 0 to 1 and no NaN"),
    ],
)
def test_what_cannot_be_summed_is_refused(call: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        call()
