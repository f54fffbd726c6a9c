"""Intensities: by hand, whatever the number format, and what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseam import normalize
from unseam.errors import ConfigError, InputError
from unseam.io.source import array_source
from unseam.normalize import Normalization

few = settings(max_examples=60, deadline=None)


def fitted(normalization: Normalization, image: Any, **options: Any) -> normalize.Scaling:
    """The scaling of an image, read in parts."""
    read = array_source(image).read
    return normalization.fit(read, image.shape[1:], channels=len(image), dtype=image.dtype, **options)


REAL = [np.uint8, np.uint16, np.int32, np.uint64, np.float16, np.float32, np.float64]


def test_percentiles_by_hand() -> None:
    # 0, 1, ..., 100: the 10th percentile is 10 and the 90th 90, so 50 becomes 0.5 and 100 (100 - 10) / 80.
    scaled = Normalization("percentile", 10, 90)(np.arange(101)[None])
    assert scaled[0, [10, 50, 90]].tolist() == [0.0, 0.5, 1.0]
    assert scaled[0, [0, 100]].tolist() == [-0.125, 1.125]  # nothing is clipped
    assert scaled.dtype == np.float32


def test_the_default_percentiles() -> None:
    # 1 % of 1000 is 10 and 99.8 % is 998.
    scaled = Normalization()(np.arange(1001.0)[None])
    np.testing.assert_allclose(scaled[0, [10, 998]], [0, 1], atol=1e-6)


def test_zscore_by_hand() -> None:
    # Mean 3, variance (4 + 0 + 4) / 3.
    scaled = Normalization("zscore")(np.array([[1, 3, 5]]))
    np.testing.assert_allclose(scaled, [[-(1.5**0.5), 0, 1.5**0.5]], rtol=1e-6)


def test_none_changes_the_dtype_alone() -> None:
    scaled = Normalization("none")(np.array([[7, 300]], np.uint16))
    assert scaled.tolist() == [[7.0, 300.0]] and scaled.dtype == np.float32


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 51, 255], np.uint8), [0, 0.2, 1]),  # 51 / 255
        (np.array([0, 13107, 65535], np.uint16), [0, 0.2, 1]),  # 13107 / 65535
        (np.array([-128, -77, 127], np.int8), [0, 0.2, 1]),  # (-77 + 128) / 255
        (np.array([False, True]), [0, 1]),
        (np.array([-0.5, 0.25, 7], np.float32), [-0.5, 0.25, 7]),
    ],
)
def test_unit_goes_by_the_range_of_the_number_format(values: Any, expected: list[float]) -> None:
    np.testing.assert_allclose(Normalization("unit")(values[None])[0], expected, rtol=1e-7)


def test_unit_looks_at_no_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    in_parts(monkeypatch, 7)
    image = np.random.default_rng(0).integers(90, 120, (2, 30, 41), dtype=np.uint8)
    assert fitted(Normalization("unit"), image) == normalize.Scaling((0.0, 0.0), (255.0, 255.0))


def test_a_few_bright_pixels_on_black_keep_their_range() -> None:
    image = np.zeros((1, 100, 100))
    image[0, 0, 0] = 8  # one in ten thousand: both percentiles are 0
    scaled = Normalization()(image)
    assert (scaled.min(), scaled.max()) == (0, 1)


@pytest.mark.parametrize("method", ["percentile", "zscore"])
@pytest.mark.parametrize("value", [0, 7, 0.1, -1e9 / 3])
def test_a_constant_channel_becomes_zero(method: str, value: float) -> None:
    for size in (1, 3, 1000):  # the mean of three times 0.1 is not 0.1
        assert not Normalization(method)(np.full((1, size), value)).any()


def test_channels_are_scaled_each_by_itself() -> None:
    image = np.stack([np.arange(12.0).reshape(3, 4), np.full((3, 4), 5.0), np.arange(12.0).reshape(3, 4) * 9])
    scaled = Normalization("zscore")(image)
    np.testing.assert_allclose(scaled[0], scaled[2], rtol=1e-6)
    assert not scaled[1].any()


@pytest.mark.parametrize("method", ["percentile", "zscore", "none"])
@pytest.mark.parametrize("dtype", REAL)
def test_every_real_format_gives_the_same(method: str, dtype: Any) -> None:
    image = np.arange(250).reshape(1, 25, 10)
    np.testing.assert_array_equal(Normalization(method)(image.astype(dtype)), Normalization(method)(image))


def test_a_mask_is_zero_and_one() -> None:
    assert Normalization()(np.array([[True, False, False]])).tolist() == [[1 / np.float32(0.996), 0, 0]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_range_of_a_small_format_does_not_overflow(dtype: Any) -> None:
    largest = np.finfo(dtype).max
    scaled = Normalization("percentile", 0, 100)(np.array([[-largest, 0, largest]], dtype))
    assert scaled.tolist() == [[0, 0.5, 1]]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["percentile", "zscore"]), st.integers(1, 20), st.integers(-50, 50))
def test_gain_and_offset_of_the_microscope_do_not_matter(method: str, gain: int, offset: int) -> None:
    image = np.random.default_rng(0).integers(0, 255, (1, 9, 11))
    scaled = Normalization(method)(gain * image + offset)
    np.testing.assert_allclose(scaled, Normalization(method)(image), atol=1e-5)


def test_the_image_is_left_as_it_was() -> None:
    image = np.arange(9.0).reshape(1, 3, 3)
    Normalization("none")(image)[:] = 5
    assert image.max() == 8


# In parts


def in_parts(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(normalize, "PART", {1: size, 2: size, 3: size})


@pytest.mark.parametrize("dtype", [*REAL, np.int8, np.int16, np.int64, np.uint32])
@pytest.mark.parametrize("limits", [(0, 100), (1, 99.8), (33, 33.1), (49.9, 50)])
def test_percentiles_in_parts_are_numpy_s_to_the_last_bit(
    monkeypatch: pytest.MonkeyPatch, dtype: Any, limits: tuple[float, float]
) -> None:
    in_parts(monkeypatch, 7)
    signed = np.dtype(dtype).kind != "u"
    image = (
        np.random.default_rng(0).normal(0 if signed else 60, 20, (2, 30, 41)).clip(-120 if signed else 0, 120)
    )
    image = image.astype(dtype)
    low, high = np.percentile(image.astype(np.float64), limits, axis=(1, 2))
    equal = low == high  # then the range of the channel is taken
    low = np.where(equal, image.min((1, 2)), low)
    high = np.where(equal, image.max((1, 2)), high)
    scaling = fitted(Normalization("percentile", *limits), image)
    assert scaling.offset == tuple(low) and scaling.scale == tuple(high.astype(float) - low.astype(float))


@few
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40), st.integers(1, 5))
def test_percentiles_of_any_numbers_in_parts(values: list[float], size: int) -> None:
    line = np.array([values], np.float32)
    with pytest.MonkeyPatch.context() as monkeypatch:
        whole = fitted(Normalization("percentile", 20, 70), line)
        in_parts(monkeypatch, size)
        assert fitted(Normalization("percentile", 20, 70), line) == whole


def test_mean_and_deviation_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    image = 1e6 + np.random.default_rng(0).normal(size=(2, 33, 20))
    in_parts(monkeypatch, 8)
    scaling = fitted(Normalization("zscore"), image)
    np.testing.assert_allclose(scaling.offset, image.mean((1, 2)), rtol=1e-14)
    np.testing.assert_allclose(scaling.scale, image.std((1, 2)), rtol=1e-9)
    assert fitted(Normalization("zscore"), np.full((1, 33, 20), 0.1)).scale == (0.0,)


def test_parts_may_be_read_by_threads_and_bad_pixels_are_counted_over_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_parts(monkeypatch, 8)
    image = np.random.default_rng(0).normal(size=(1, 33, 20)).astype(np.float32)
    with ThreadPoolExecutor(3) as pool:
        assert fitted(Normalization(), image, map_parts=pool.map) == fitted(Normalization(), image)
    image[0, 0, 0] = image[0, 32, 19] = np.nan
    with pytest.raises(InputError, match="the image has 2 pixels that are NaN or infinite"):
        fitted(Normalization("none"), image)


# Errors


def test_an_unknown_method() -> None:
    with pytest.raises(ConfigError) as caught:
        Normalization("minmax")
    assert str(caught.value) == "normalization is 'minmax'; expected one of: percentile, zscore, unit, none"


@pytest.mark.parametrize("limits", [(-1, 50), (0, 101), (60, 40), (50, 50), (float("nan"), 50)])
def test_percentiles_out_of_range(limits: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match=r"were given; expected 0 <= lower < upper <= 100"):
        Normalization("percentile", *limits)


@pytest.mark.parametrize("method", ["percentile", "zscore", "unit", "none"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_no_number(method: str, bad: float) -> None:
    image = np.zeros((2, 4, 4), np.float32)
    image[1, 2:, 3] = bad
    with pytest.raises(
        InputError, match=r"^the image has 2 pixels that are NaN or infinite; replace them first"
    ):
        Normalization(method)(image)
