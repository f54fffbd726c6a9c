"""One image in numbers: by hand, against slow sums, and what must not change them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from tests.reference.guard import octave_power

from unseam.guard.regions import sample_regions
from unseam.guard.statistics import FLOOR, OCTAVES, Statistics, describe

Array = NDArray[Any]


def of(*channels: Any, scale: tuple[float, ...] | None = None) -> Statistics:
    image = np.asarray(channels, np.float32)
    return describe([image], scale=scale or (1.0,) * len(channels))


def test_regions_lie_evenly_and_inside() -> None:
    assert sample_regions((100, 256), (256, 256), most=3) == (((0, 100), (0, 256)),)
    # 600 holds two regions of 256 and a half: three, the first at 0, the last at 600 - 256
    assert sample_regions((10, 660), (256, 256), most=3) == tuple(
        ((0, 10), (a, a + 256)) for a in (0, 202, 404)
    )
    assert len(sample_regions((10**6, 10**6), (256, 256), most=3)) == 9
    assert sample_regions((40, 300, 300), (8, 128, 128), most=2)[-1] == ((32, 40), (172, 300), (172, 300))


def test_quantiles_and_skewness_by_hand() -> None:
    found = of(np.arange(101.0).reshape(1, 101)).groups["intensities"]
    np.testing.assert_allclose(found, [5, 25, 50, 75, 95, 0], atol=1e-5)
    # a quarter ones: (1 - 2 p) / (p (1 - p))^(1/2) with p = 1/4 is 0.5 / 0.4330 = 1.1547
    found = of(np.tile([0, 0, 0, 1], (4, 25))).groups["intensities"]
    assert found[-1] == pytest.approx(np.arcsinh(1.1547), abs=1e-4)


def test_an_inverted_image_has_the_other_skewness() -> None:
    image = np.random.default_rng(0).gamma(1.0, size=(64, 64))
    plain, inverted = of(image).groups["intensities"], of(1 - image).groups["intensities"]
    assert inverted[-1] == pytest.approx(-plain[-1], abs=1e-5) and plain[-1] > 1
    np.testing.assert_allclose(inverted[:5], 1 - plain[4::-1], atol=1e-5)


def test_noise_by_hand() -> None:
    # one pixel of 4 x 4 is 1: the convolution is 4, -2, -2 and 1 at the four inner places
    plane = np.zeros((4, 4))
    plane[1, 1] = 1
    found = of(plane)
    # the range: of 16 values the last one is 1, percentile 99.8 lies at place 14.97, the first one is 0
    assert found.contrast == pytest.approx(0.97, abs=1e-5)
    median, mean = (2 + 2) / 2 / 0.6745 / 6, np.sqrt(np.pi / 2) * (4 + 2 + 2 + 1) / 4 / 6
    expected = np.log10(np.array([median, mean]) / 0.97 + FLOOR)
    np.testing.assert_allclose(found.groups["noise"], expected, atol=1e-5)


def test_noise_is_that_of_white_noise() -> None:
    image = np.random.default_rng(0).normal(0, 3, (200, 200)) + 20 * np.indices((200, 200)).sum(0)
    found = of(image)
    deviations = (10 ** found.groups["noise"] - FLOOR) * found.contrast
    np.testing.assert_allclose(deviations, 3, rtol=0.03)  # a slope is no noise


@pytest.mark.parametrize(("period", "band"), [(3, 0), (6, 1), (12, 2), (24, 3), (48, 4), (96, 5)])
def test_a_wave_lies_in_the_octave_of_its_period(period: int, band: int) -> None:
    wave = np.cos(2 * np.pi * np.indices((192, 192))[1] / period)
    assert int(np.argmax(of(wave).groups["frequencies"])) == band
    assert int(np.argmax(of(wave.T).groups["frequencies"])) == band


@settings(deadline=None, max_examples=20)
@given(arrays(np.int8, st.tuples(st.integers(2, 6), st.integers(2, 33)), elements=st.integers(-9, 9)))
def test_octaves_are_those_of_a_slow_sum(plane: Array) -> None:
    found = of(plane)
    power = octave_power(plane, OCTAVES)
    if found.contrast == 0:
        assert np.isnan(found.groups["frequencies"]).all()
        return
    levels = np.array(
        [np.nan if p is None else np.log10(p / found.contrast**2 + FLOOR**2 / 100) for p in power]
    )
    middle = [level for level in levels[3:5] if not np.isnan(level)]
    expected = levels - (np.mean(middle) if middle else np.nan)
    np.testing.assert_allclose(found.groups["frequencies"], expected, atol=1e-3)


def test_channels_by_hand() -> None:
    ramp = np.arange(12.0).reshape(3, 4)
    found = of(ramp, 11 - ramp, scale=(1.0, 100.0)).groups["channels"]
    # opposite ramps; logarithms 0 and 2 about their mean 1
    np.testing.assert_allclose(found, [-1, -1, 1], atol=1e-6)
    assert "channels" not in of(ramp).groups
    three = of(ramp, ramp, 11 - ramp).groups["channels"]
    np.testing.assert_allclose(three, [1, -1, -1, 0, 0, 0], atol=1e-6)
    constant = of(ramp, np.ones((3, 4)), scale=(10.0, 0.0)).groups["channels"]
    np.testing.assert_allclose(constant, [0, 0, np.nan])
    assert np.isnan(of(ramp * 0, ramp * 0, scale=(0.0, 0.0)).groups["channels"][1:]).all()


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_mirrored_images_are_the_same(axes: tuple[int, ...]) -> None:
    image = np.random.default_rng(1).gamma(2.0, size=(2, 70, 51)).astype(np.float32)
    plain, mirrored = of(*image), of(*(np.flip(c, axes) for c in image))
    for name, values in plain.groups.items():
        np.testing.assert_allclose(mirrored.groups[name], values, atol=1e-4)


def test_all_but_the_quantiles_are_free_of_the_unit() -> None:
    image = np.random.default_rng(1).gamma(2.0, size=(50, 50))
    one, other = of(image), of(1000 * image + 7)
    assert other.contrast == pytest.approx(1000 * one.contrast, rel=1e-4)
    for name in ("noise", "frequencies"):
        np.testing.assert_allclose(other.groups[name], one.groups[name], atol=1e-3)
    assert other.groups["intensities"][-1] == pytest.approx(one.groups["intensities"][-1], abs=1e-3)


def test_images_of_nothing_and_of_next_to_nothing() -> None:
    constant = of(np.full((20, 20), 7.0))
    assert constant.contrast == 0 and constant.groups["intensities"][-1] == 0
    assert (constant.groups["noise"] == np.log10(FLOOR)).all()
    tiny = of([[0.0, 1.0]])
    assert np.isnan(tiny.groups["noise"]).all() and len(tiny.groups["frequencies"]) == OCTAVES
    assert of([[3.0]]).contrast == 0


def test_planes_of_a_volume_are_taken_by_themselves() -> None:
    plane = np.random.default_rng(3).normal(size=(30, 30)).astype(np.float32)
    volume = np.stack([plane] * 4)
    for name, values in of(plane).groups.items():
        np.testing.assert_allclose(of(volume).groups[name], values, atol=0.02)  # percentiles interpolate


@pytest.mark.parametrize(("zoom", "dampened"), [(None, 0), (0.3, 1), (1.0, 1), (1.5, 2), (2.0, 2), (4.0, 3)])
def test_of_a_rescaled_image_less_is_known(zoom: float | None, dampened: int) -> None:
    image = np.random.default_rng(1).normal(size=(2, 200, 200)).astype(np.float32)
    found = describe([image], scale=(1.0, 1.0), zoom=zoom).groups
    assert np.isnan(found["noise"]).all() == (zoom is not None)
    unknown = np.isnan(found["frequencies"]).reshape(2, OCTAVES)
    assert (unknown == (np.arange(OCTAVES) < dampened)).all()
