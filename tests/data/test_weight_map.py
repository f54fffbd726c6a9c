"""The weight maps: by hand, against the definition, and by their laws."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from tests.reference import weight_map as reference

from unseam.data.weight_map import (
    border_weight_map,
    class_frequencies,
    class_weights,
    paper_weight_map,
    plugin_weight_map,
)
from unseam.errors import ConfigError, LabelError, ShapeError

PAIR = np.array([[1, 0, 0, 0, 2, 0, -1]], np.int32)


def blobs(seed: int, shape: tuple[int, ...], cells: int, radius: float) -> NDArray[np.int32]:
    """Balls at random places; a later one covers earlier ones."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    places = np.indices(shape)
    for number in range(1, cells + 1):
        centre = rng.uniform(0, shape).reshape((-1,) + (1,) * len(shape))
        labels[((places - centre) ** 2).sum(axis=0) <= rng.uniform(1, radius) ** 2] = number
    return labels


# By hand


def test_border_term_between_two_cells() -> None:
    # d1 + d2 is 1 + 3 = 2 + 2 = 3 + 1 = 4 between the cells, 1 + 5 = 6 to the right of cell 2:
    # 10 exp(-16 / 50) = 7.26149, 10 exp(-36 / 50) = 4.86752; 0 on cells and on the unknown pixel.
    weights = border_weight_map(PAIR)
    np.testing.assert_allclose(weights, [[0, 7.26149, 7.26149, 7.26149, 0, 4.86752, 0]], atol=1e-5)
    assert weights.dtype == np.float32


def test_w0_and_sigma_enter_as_written() -> None:
    # 3 exp(-16 / (2 * 2^2)) = 3 exp(-2) = 0.406006
    assert border_weight_map(PAIR, 3.0, 2.0)[0, 2] == pytest.approx(0.406006, abs=1e-6)


def test_distance_is_to_the_nearest_pixel_centre_in_units_of_spacing() -> None:
    labels = np.zeros((3, 3), np.int32)
    labels[0, 0], labels[2, 2] = 1, 2
    # Centre: rows are 3 apart, columns 4, so 5 to each cell: 10 exp(-100 / (2 * 100)) = 6.06531.
    assert border_weight_map(labels, sigma=10, spacing=(3, 4))[1, 1] == pytest.approx(6.06531, abs=1e-5)


def test_second_nearest_is_another_cell_not_another_pixel_of_the_same() -> None:
    labels = np.array([[1, 0, 1, 0, 0, 2]])
    # At index 1: cell 1 at 1 (twice), cell 2 at 4: 10 exp(-25 / 50) = 6.06531.
    assert border_weight_map(labels)[0, 1] == pytest.approx(6.06531, abs=1e-5)


def test_one_axis() -> None:
    np.testing.assert_array_equal(border_weight_map(PAIR[0]), border_weight_map(PAIR)[0])


@pytest.mark.parametrize("labels", [np.zeros((4, 5), int), np.eye(4, dtype=int), np.zeros((0, 5), int)])
def test_fewer_than_two_cells_weigh_nothing(labels: NDArray[np.int64]) -> None:
    weights = border_weight_map(labels)
    assert weights.shape == labels.shape
    assert not weights.any()


def test_w0_of_zero_weighs_nothing() -> None:
    assert not border_weight_map(PAIR, 0.0).any()


def test_class_frequencies_count_labelled_pixels_of_all_targets() -> None:
    # Labelled: 5 + 3 = 8; class 0: 4 + 2 = 6, class 1: 1 + 1 = 2, class 2: none.
    targets = [np.array([0, 0, 0, 0, 1, -1]), np.array([[0, 0, 1]], np.uint8)]
    np.testing.assert_array_equal(class_frequencies(targets, classes=3), [0.75, 0.25, 0])


def test_class_frequencies_without_labelled_pixels_are_zero() -> None:
    np.testing.assert_array_equal(class_frequencies([np.array([-1])], classes=2), [0, 0])


def test_class_weights_are_inverse_frequencies_with_mean_one() -> None:
    # Two classes occur: 1 / (2 * 0.8) = 0.625, 1 / (2 * 0.2) = 2.5; mean 0.8 * 0.625 + 0.2 * 2.5 = 1.
    np.testing.assert_allclose(class_weights([0.8, 0.0, 0.2]), [0.625, 0, 2.5])
    np.testing.assert_allclose(class_weights([8, 0, 2]), [0.625, 0, 2.5])
    np.testing.assert_array_equal(class_weights([0, 0]), [0, 0])


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_paper_map_is_class_term_plus_border_term(dtype: type) -> None:
    # 7.26149 and 4.86752 as above, plus 0.5 on background; 2 on cells; 0 on the unknown pixel.
    weights = paper_weight_map(PAIR.astype(dtype), class_weights=(0.5, 2))
    np.testing.assert_allclose(weights, [[2, 7.76149, 7.76149, 7.76149, 2, 5.36752, 0]], atol=1e-5)
    assert weights.dtype == np.float32


def test_paper_map_of_unsigned_labels() -> None:
    labels = np.array([[300, 0, 0, 0, 2]], np.uint16)
    np.testing.assert_array_equal(
        paper_weight_map(labels, class_weights=(0.5, 2)),
        paper_weight_map(labels.astype(np.int32), class_weights=(0.5, 2)),
    )


def test_plugin_map() -> None:
    # At index 1, d1 = 1, d2 = 3: 0.1 + 0.9 exp(-1 / 200) + 50 exp(-16 / 72) = 0.1 + 0.895511 + 40.036871.
    # At index 5, d1 = 1, d2 = 5: 0.1 + 0.895511 + 50 exp(-36 / 72) = 0.995511 + 30.326533.
    weights = plugin_weight_map(PAIR)
    np.testing.assert_allclose(weights[0, [0, 1, 4, 5, 6]], [1, 41.032382, 1, 31.322044, 0], rtol=1e-6)
    assert weights.dtype == np.float32


def test_plugin_map_far_from_everything_is_v_bal() -> None:
    np.testing.assert_allclose(plugin_weight_map(np.zeros((3, 3), int), v_bal=0.2), 0.2)
    lone = np.zeros((1, 100), int)
    lone[0, 0] = 1  # d1 = 99: 0.9 exp(-9801 / 200) is below 1e-20
    assert plugin_weight_map(lone)[0, 99] == pytest.approx(0.1)
    # d1 = 10 with pixels of 5: 0.1 + 0.9 exp(-100 / 200) = 0.645878
    assert plugin_weight_map(lone, spacing=(1, 5))[0, 2] == pytest.approx(0.645878, abs=1e-6)


# Against the definition

small = st.integers(1, 3).flatmap(
    lambda ndim: hnp.arrays(
        np.int32,
        hnp.array_shapes(min_dims=ndim, max_dims=ndim, min_side=1, max_side=(40, 9, 5)[ndim - 1]),
        elements=st.sampled_from([0, 0, 0, 0, 0, 0, -1, 1, 2, 3, 7]),
        fill=st.just(0),
    )
)


@given(
    labels=small,
    steps=st.lists(st.floats(0.3, 4), min_size=3, max_size=3),
    w0=st.sampled_from([0.5, 10.0]),
    sigma=st.sampled_from([0.6, 1.3, 5.0]),
)
@settings(max_examples=150, deadline=None)
def test_equals_the_definition(
    labels: NDArray[np.int32], steps: list[float], w0: float, sigma: float
) -> None:
    spacing = steps[: labels.ndim]
    weights = border_weight_map(labels, w0, sigma, spacing=spacing)
    expected = reference.border_weight_map(labels, w0, sigma, spacing)
    np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("gap", range(18, 32))
def test_equals_the_definition_on_both_sides_of_the_cut_off(gap: int) -> None:
    labels = np.zeros((3, gap + 3), np.int32)  # the cells see each other across 26.9 pixels, or not at all
    labels[0, 1], labels[2, gap + 1] = 1, 2
    np.testing.assert_allclose(
        border_weight_map(labels), reference.border_weight_map(labels, 10, 5, (1, 1)), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(("shape", "spacing"), [((48, 40), (1, 1)), ((6, 12, 14), (4.0, 1.0, 1.5))])
def test_equals_the_definition_on_blobs(shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    labels = blobs(3, shape, cells=9, radius=4)
    weights = border_weight_map(labels, 10, 2.5, spacing=spacing)
    expected = reference.border_weight_map(labels, 10, 2.5, spacing)
    assert expected.max() > 1
    np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-5)


@pytest.mark.real
def test_equals_the_definition_on_real_nuclei(real_data: Path) -> None:
    path = max((real_data / "dsb2018" / "labels").glob("*.tif"), key=lambda file: tifffile.imread(file).max())
    labels = tifffile.imread(path)[200:256, 300:360].astype(np.int32)
    expected = reference.border_weight_map(labels, 10, 5, (1, 1))
    assert len(np.unique(labels)) > 5
    assert expected.max() > 5
    np.testing.assert_allclose(border_weight_map(labels), expected, rtol=0, atol=1e-5)


# Laws


def test_not_depending_on_the_numbers_of_the_cells() -> None:
    labels = blobs(0, (60, 70), cells=12, radius=6)
    weights = border_weight_map(labels)
    permuted = np.append(0, np.random.default_rng(1).permutation(12) + 1)[labels]
    np.testing.assert_array_equal(border_weight_map(permuted), weights)
    huge = np.where(labels > 0, labels.astype(np.int64) * 10**15, 0)
    np.testing.assert_array_equal(border_weight_map(huge), weights)
    np.testing.assert_array_equal(border_weight_map(labels.astype(np.uint8)), weights)


def test_huge_numbers_without_background() -> None:
    assert not border_weight_map(np.array([[10**15, 10**16]])).any()


@pytest.mark.parametrize("move", [np.transpose, np.flipud, np.fliplr, np.rot90])
def test_moves_with_the_image(move: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> None:
    labels = blobs(1, (50, 64), cells=10, radius=6)
    np.testing.assert_array_equal(border_weight_map(move(labels)), move(border_weight_map(labels)))


def test_shifts_with_the_cells() -> None:
    labels = blobs(2, (40, 40), cells=8, radius=5)
    wide = np.pad(labels, ((30, 7), (11, 40)))
    np.testing.assert_array_equal(border_weight_map(wide)[30:70, 11:51], border_weight_map(labels))


def test_unit_of_length_does_not_matter() -> None:
    labels = blobs(4, (40, 40), cells=8, radius=5)
    metres = border_weight_map(labels, sigma=5e-6, spacing=(1e-6, 1e-6))
    np.testing.assert_allclose(metres, border_weight_map(labels), atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_bounds(seed: int) -> None:
    labels = blobs(seed, (60, 60), cells=15, radius=6)
    labels[:5] = -1
    weights = border_weight_map(labels, 10, 5)
    assert not weights[labels != 0].any()
    # d1 and d2 are at least 1, so w0 itself is never reached.
    assert 0 < weights.max() <= 10 * math.exp(-4 / 50) * (1 + 1e-6)
    assert weights.min() >= 0


def test_a_wider_sigma_never_weighs_less() -> None:
    labels = blobs(5, (50, 50), cells=10, radius=6)
    assert (border_weight_map(labels, sigma=6) >= border_weight_map(labels, sigma=5) - 1e-5).all()


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_class_weights_have_mean_one_and_equal_shares(counts: list[int]) -> None:
    shares = class_weights(counts) * counts
    present = np.array(counts) > 0
    if present.any():
        np.testing.assert_allclose(shares.sum() / sum(counts), 1)
        np.testing.assert_allclose(shares[present], sum(counts) / present.sum())


# Errors


@pytest.mark.parametrize("w0", [-1.0, math.nan, math.inf])
def test_w0_out_of_range(w0: float) -> None:
    with pytest.raises(ConfigError, match=r"w0 is .*; give a number of at least 0"):
        border_weight_map(PAIR, w0)


@pytest.mark.parametrize("sigma", [0.0, -2.0, math.nan, math.inf])
def test_sigma_out_of_range(sigma: float) -> None:
    with pytest.raises(ConfigError, match=r"sigma is .*; give a number above 0"):
        border_weight_map(PAIR, sigma=sigma)


def test_spacing_of_a_wrong_length() -> None:
    with pytest.raises(ShapeError, match="spacing has 3 numbers for 2 axes; give one for each axis"):
        border_weight_map(PAIR, spacing=(1, 1, 1))


@pytest.mark.parametrize("step", [0.0, -1.0, math.inf])
def test_spacing_out_of_range(step: float) -> None:
    with pytest.raises(ConfigError, match=r"spacing is \(1, .*\); give numbers above 0"):
        border_weight_map(PAIR, spacing=(1, step))


@pytest.mark.parametrize("dtype", [np.float32, bool])
def test_labels_that_are_no_integers(dtype: type) -> None:
    with pytest.raises(LabelError, match=r"labels are (float32|bool); give whole numbers"):
        border_weight_map(PAIR.astype(dtype))


def test_labels_below_the_unknown() -> None:
    with pytest.raises(LabelError, match="labels go down to -2; use 0 for background and -1 for unknown"):
        border_weight_map(np.array([[-2, 0, 1]]))


def test_labels_without_an_axis() -> None:
    with pytest.raises(ShapeError, match="labels are a single number; give an array with at least one axis"):
        border_weight_map(np.array(3))


@pytest.mark.parametrize("target", [np.array([0, 2]), np.array([-2, 0])])
def test_classes_out_of_range(target: NDArray[np.int64]) -> None:
    with pytest.raises(LabelError, match=r"classes go from .*; expected 0 to 1, and -1 for unknown"):
        class_frequencies([target], classes=2)


def test_classes_that_are_no_integers() -> None:
    with pytest.raises(LabelError, match="labels are float64; give whole numbers"):
        class_frequencies([np.array([0.0, 1.0])], classes=2)


def test_no_classes() -> None:
    with pytest.raises(ConfigError, match="classes is 0; give a number of at least 1"):
        class_frequencies([], classes=0)


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf])
def test_frequencies_out_of_range(bad: float) -> None:
    with pytest.raises(ConfigError, match=r"frequencies is \[1.0, .*\]; give finite numbers of at least 0"):
        class_weights([1, bad])


def test_class_weights_of_a_wrong_length() -> None:
    with pytest.raises(ShapeError, match="got 3 class weights; give two, of background and of instances"):
        paper_weight_map(PAIR, class_weights=(1, 1, 1))


def test_class_weights_out_of_range() -> None:
    with pytest.raises(
        ConfigError, match=r"class_weights is \[1.0, -1.0\]; give finite numbers of at least 0"
    ):
        paper_weight_map(PAIR, class_weights=(1, -1))


@pytest.mark.parametrize("v_bal", [-0.1, 1.1, math.nan])
def test_v_bal_out_of_range(v_bal: float) -> None:
    with pytest.raises(ConfigError, match=r"v_bal is .*; give a number from 0 to 1"):
        plugin_weight_map(PAIR, v_bal=v_bal)


def test_sigma_balance_out_of_range() -> None:
    with pytest.raises(ConfigError, match=r"sigma_balance is 0; give a number above 0"):
        plugin_weight_map(PAIR, sigma_balance=0)
