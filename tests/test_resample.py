"""Another pixel size: means by hand, linear images stay linear, and no part changes another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from unseam.errors import ConfigError
from unseam.grid import Region, slices
from unseam.io.source import array_source
from unseam.resample import needed, resample, resample_at, resampled, shape_at, taps, taps_of_pixels

Array = NDArray[Any]
few = settings(max_examples=60, deadline=None)


def whole(image: Array, shape: tuple[int, ...]) -> Array:
    return resampled(array_source(image), shape).read(tuple((0, n) for n in shape))


def slow(line: Array, new: int) -> Array:
    """One axis from the definition: each new pixel the mean of the old ones under its triangle."""
    ratio = len(line) / new
    reach = max(1.0, ratio)
    result = []
    for i in range(new):
        centre = (i + 0.5) * ratio - 0.5
        total = weight = 0.0
        for k in range(-len(line) - 5, 2 * len(line) + 5):
            w = max(0.0, 1 - abs(k - centre) / reach)
            total += w * line[min(max(k, 0), len(line) - 1)]
            weight += w
        result.append(total / weight)
    return np.array(result)


def test_twice_as_many_pixels_by_hand() -> None:
    # Centres lie at -0.25, 0.25, 0.75, 1.25: a quarter of the way from pixel to pixel, the ends held.
    assert whole(np.array([[0.0, 4.0]], np.float32), (4,)).tolist() == [[0.0, 1.0, 3.0, 4.0]]


def test_half_as_many_pixels_by_hand() -> None:
    # Centre of new pixel 1 at 2.5; weights of old pixels 1 to 4: 1/4, 3/4, 3/4, 1/4 over 2.
    image = np.array([[0, 0, 8, 0, 0, 0]], np.float32)
    assert whole(image, (3,)).tolist() == [[1.0, 3.0, 0.0]]


@few
@given(st.integers(1, 9), st.integers(1, 20), st.integers(0, 5))
def test_equals_the_definition(old: int, new: int, seed: int) -> None:
    line = np.random.default_rng(seed).normal(size=old).astype(np.float32)
    np.testing.assert_allclose(whole(line[None], (new,))[0], slow(line, new), atol=1e-5)


@few
@given(st.integers(1, 30), st.integers(1, 30))
def test_a_constant_stays_and_the_same_size_changes_nothing(old: int, new: int) -> None:
    np.testing.assert_allclose(whole(np.full((1, old), 7, np.float32), (new,)), 7, rtol=1e-6)
    line = np.random.default_rng(0).normal(size=(1, old)).astype(np.float32)
    np.testing.assert_array_equal(whole(line, (old,)), line)


@st.composite
def cuts(draw: Any) -> tuple[tuple[int, ...], tuple[int, ...], Region]:
    """Two shapes of one image, and a region of the new one."""
    dims = draw(st.integers(1, 3))
    sizes = st.tuples(*[st.integers(1, 14)] * dims)
    old, new = draw(sizes), draw(sizes)
    region = []
    for size in new:
        start = draw(st.integers(0, size - 1))
        region.append((start, draw(st.integers(start + 1, size))))
    return old, new, tuple(region)


@few
@given(cuts())
def test_a_region_is_that_of_the_whole_bit_for_bit(cut: Any) -> None:
    old, new, region = cut
    image = np.random.default_rng(0).normal(size=(2, *old)).astype(np.float32)
    expected = whole(image, new)[(slice(None), *slices(region))]
    np.testing.assert_array_equal(resampled(array_source(image), new).read(region), expected)
    part = needed(region, old=old, new=new)
    origin = [a for a, _ in part]
    cropped = image[(slice(None), *slices(part))]
    np.testing.assert_array_equal(resample(cropped, origin, region, old=old, new=new), expected)


@few
@given(cuts())
def test_single_pixels_are_those_of_the_whole(cut: Any) -> None:
    old, new, region = cut
    image = np.random.default_rng(0).normal(size=(2, *old)).astype(np.float32)
    pixels = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in region), indexing="ij"), -1)
    pixels = pixels.reshape(-1, len(region))
    values = resample_at(image, (0,) * len(old), pixels, old=old, new=new)
    np.testing.assert_allclose(values, whole(image, new)[(slice(None), *pixels.T)], atol=1e-5)
    alone = resample_at(image, (0,) * len(old), pixels[-1:], old=old, new=new)
    np.testing.assert_array_equal(alone[:, 0], values[:, -1])  # whatever is computed beside it
    total = sum(weight for _, weight in taps_of_pixels(pixels, old=old, new=new))
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_the_pixel_size_follows() -> None:
    source = array_source(np.zeros((1, 10, 20)), spacing=(0.5, 0.5))
    assert resampled(source, (5, 40)).spacing == (1.0, 0.25)
    assert resampled(source, (5, 40)).dtype == np.float32


def test_shapes() -> None:
    assert shape_at((100, 60), (0.5, 0.5), (1.0, 0.25)) == (50, 120)
    assert shape_at((1,), (0.1,), (10.0,)) == (1,)
    with pytest.raises(
        ConfigError, match="pixel sizes of 1 and 2 axes were given for an image of 2; give one"
    ):
        shape_at((9, 9), (1.0,), (1.0, 1.0))


def test_weights_add_up_to_one() -> None:
    for old, new in [(7, 3), (3, 7), (100, 1), (1, 100)]:
        np.testing.assert_allclose(taps(0, new, old=old, new=new).weight.sum(0), 1, atol=1e-6)
