"""Steps before another program's network: by hand, in parts, and one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from unseam import normalize
from unseam.errors import InputError
from unseam.io.source import array_source
from unseam.preprocess import Clip, Fixed, Preprocessing, ScaleRange, Step, ZeroMean

few = settings(max_examples=40, deadline=None)


def test_percentiles_by_hand() -> None:
    # 0, 1, ..., 100: percentile 10 is 10 and 90 is 90; (50 - 10) / (80 + 0.05)
    scaled = Preprocessing((ScaleRange(10, 90, 0.05),))(np.arange(101)[None])
    np.testing.assert_allclose(scaled[0, [10, 50]], [0, 40 / 80.05], rtol=1e-6)


def test_a_constant_channel_is_divided_by_eps() -> None:
    image = np.full((1, 2, 2), 7)
    assert not Preprocessing((ScaleRange(),))(image).any()
    assert not Preprocessing((ZeroMean(),))(image).any()


def test_channels_by_themselves_or_together() -> None:
    image = np.array([[[0, 2]], [[4, 6]]])  # means 1 and 5, together 3; deviations 1 and 1, together sqrt 5
    apart = Preprocessing((ZeroMean(1e-9),))(image)
    np.testing.assert_allclose(apart, [[[-1, 1]], [[-1, 1]]], rtol=1e-6)
    together = Preprocessing((ZeroMean(1e-9, joint=True),))(image)
    np.testing.assert_allclose(together, (image - 3) / 5**0.5, rtol=1e-6)
    ranged = Preprocessing((ScaleRange(0, 100, 1e-9, joint=True),))(image)
    np.testing.assert_allclose(ranged, image / 6, rtol=1e-6)


def test_numbers_for_each_channel_or_for_all() -> None:
    image = np.array([[[5]], [[5]]])
    assert Preprocessing((Fixed((1, 2), (2, 3)),))(image).ravel().tolist() == [2, 1]
    assert Preprocessing((Fixed((1,), (2,)),))(image).ravel().tolist() == [2, 2]
    with pytest.raises(InputError, match=r"scales 2 channels and its network has 1; correct one of them"):
        Preprocessing((Fixed((1, 2), (2, 3)),))(image[:1])


def test_another_number_format_is_refused() -> None:
    only = Preprocessing((), "uint8")
    assert only(np.array([[[3]]], np.uint8)).tolist() == [[[3.0]]]
    with pytest.raises(InputError, match=r"the image is uint16 and this model takes uint8 alone; convert"):
        only(np.array([[[3]]], np.uint16))
    with pytest.raises(InputError, match="NaN"):
        Preprocessing()(np.array([[[np.nan]]]))


STEPS = st.one_of(
    st.builds(ScaleRange, st.floats(0, 30), st.floats(60, 100), st.just(1e-3), st.booleans()),
    st.builds(ZeroMean, st.just(1e-3), st.booleans()),
    st.builds(
        lambda offset, scale: Fixed((offset,), (scale,)), st.floats(-2, 2), st.sampled_from([-3.0, 0.5, 2.0])
    ),
    st.builds(lambda low, size: Clip(low, low + size), st.floats(-1, 0.5), st.floats(0.1, 2)),
)


def plainly(steps: list[Step], image: NDArray[Any]) -> NDArray[np.float64]:
    """Step after step on the whole image, in float64."""
    x = image.astype(np.float64)
    for step in steps:
        if isinstance(step, Clip):
            x = np.clip(x, step.low, step.high)
            continue
        axes = (0, 1, 2) if getattr(step, "joint", False) else (1, 2)
        if isinstance(step, ScaleRange):
            low, high = np.percentile(x, [step.lower, step.upper], axis=axes, keepdims=True)
            x = (x - low) / (high - low + step.eps)
        elif isinstance(step, ZeroMean):
            x = (x - x.mean(axes, keepdims=True)) / (x.std(axes, keepdims=True) + step.eps)
        else:
            x = (x - step.offset[0]) / step.scale[0]
    return x


@few
@given(st.lists(STEPS, max_size=4), st.integers(0, 9))
def test_together_they_are_one_scaling(steps: list[Step], seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 5, (2, 6, 7)).astype(np.uint8)
    expected = plainly(steps, image)
    np.testing.assert_allclose(
        Preprocessing(tuple(steps))(image), expected, atol=1e-4 * max(1.0, float(np.abs(expected).max()))
    )


def test_parts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 4000, (2, 40, 30)).astype(np.uint16)
    steps = Preprocessing((ScaleRange(1, 99, joint=True), Clip(0, 1), ZeroMean()))
    whole = steps(image)
    monkeypatch.setattr(normalize, "PART", {2: 16})
    read = array_source(image).read
    fitted = steps.fit(read, (40, 30), channels=2, dtype=image.dtype)
    np.testing.assert_allclose(fitted(image), whole, atol=1e-6)
    np.testing.assert_array_equal(
        normalize.Scaling(*map(tuple, fitted.to_table().tolist()))(image), fitted(image)
    )


def test_in_words() -> None:
    steps = Preprocessing((ScaleRange(1, 99.8), Clip(0, 1), ZeroMean(joint=True), Fixed((1, 2), (3, 4))))
    assert str(steps) == (
        "percentile 1 to 0 and 99.8 to 1, of each channel, then clipped from 0 to 1, then mean to 0 and "
        "deviation to 1, of all channels together, then minus 1 2, over 3 4"
    )
    assert str(Preprocessing()) == "intensities as they are"
