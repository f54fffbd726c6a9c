"""Augmentation: maps by hand and against loops, grey-value curves by hand, what is random as configured."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.reference import augment as reference

from unseam import augment
from unseam.augment import Recipe, identity_recipe
from unseam.config import AugmentConfig

CPU = torch.device("cpu")
STILL = AugmentConfig(
    rotation=0, flip=False, scale=0, elastic_sigma=0, gain=0, offset=0, gamma=0, noise=0, blur=0
)
NINE = torch.arange(1.0, 10.0).reshape(1, 3, 3)
few = settings(max_examples=40, deadline=None)


def middle(shape: tuple[int, ...]) -> list[float]:
    return [(size - 1) / 2 for size in shape]


def patch_of(image: torch.Tensor, recipe: Recipe, *, mode: str = "linear") -> np.ndarray[Any, Any]:
    """The patch as large as the image, around its middle."""
    shape = tuple(image.shape[1:])
    return augment.sample(
        image, augment.coordinates(recipe, middle(shape), shape, device=CPU), mode=mode
    ).numpy()


def turn(degrees: float) -> np.ndarray[Any, Any]:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s], [s, c]])


# Coordinates and sampling by hand


@pytest.mark.parametrize("shape", [(7, 5), (1, 6), (4, 1), (4, 3, 5), (1, 1, 3)])
@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_the_identity_gives_the_image_itself(shape: tuple[int, ...], mode: str) -> None:
    image = torch.as_tensor(np.random.default_rng(0).normal(size=(2, *shape)), dtype=torch.float32)
    np.testing.assert_allclose(patch_of(image, identity_recipe(len(shape)), mode=mode), image, atol=1e-5)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ([[0, -1], [1, 0]], [[7, 4, 1], [8, 5, 2], [9, 6, 3]]),  # (dy, dx) comes from (-dx, dy)
        ([[0, 1], [-1, 0]], [[3, 6, 9], [2, 5, 8], [1, 4, 7]]),
        ([[-1, 0], [0, -1]], [[9, 8, 7], [6, 5, 4], [3, 2, 1]]),
        ([[-1, 0], [0, 1]], [[7, 8, 9], [4, 5, 6], [1, 2, 3]]),
        ([[1, 0], [0, -1]], [[3, 2, 1], [6, 5, 4], [9, 8, 7]]),
    ],
)
@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_quarter_turns_and_mirrors_move_whole_pixels(
    matrix: list[list[int]], expected: list[list[int]], mode: str
) -> None:
    patch = patch_of(NINE, Recipe(np.array(matrix, float), None), mode=mode)
    np.testing.assert_array_equal(patch[0], expected)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_drawn_quarter_turn_is_numpy_s(times: int) -> None:
    image = torch.as_tensor(np.random.default_rng(1).normal(size=(1, 12, 12)), dtype=torch.float32)
    patch = patch_of(image, Recipe(turn(90 * times), None))
    np.testing.assert_allclose(patch[0], np.rot90(image[0].numpy(), -times), atol=1e-5)


def test_a_volume_is_mirrored_along_z_alone() -> None:
    image = torch.arange(24.0).reshape(1, 2, 3, 4)
    patch = patch_of(image, Recipe(np.diag([-1.0, 1.0, 1.0]), None))
    np.testing.assert_allclose(patch, image.flip(1), atol=1e-5)


def test_a_scale_of_two_steps_over_every_second_pixel() -> None:
    # The middle pixel of three falls on 10, its neighbours two pixels away.
    position = augment.coordinates(Recipe(2 * np.eye(2), None), (10, 20), (3, 3), device=CPU)
    assert position[:, 1, 0].tolist() == [8, 10, 12]
    assert position[1, :, 1].tolist() == [18, 20, 22]


@few
@given(st.integers(0, 99), st.sampled_from([(3, 4), (2, 3, 4)]))
def test_coordinates_are_the_loop_s(seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    recipe = augment.draw_recipe(AugmentConfig(elastic_sigma=3, elastic_spacing=0), shape, rng)
    centre = rng.uniform(-5, 5, len(shape))
    assert recipe.displacements is not None
    field = [reference.cubic(grid, shape) for grid in recipe.displacements]
    found = augment.coordinates(recipe, centre, shape, device=CPU)
    expected = reference.coordinates(recipe.matrix, centre.tolist(), shape, lambda p: [f[p] for f in field])
    np.testing.assert_allclose(found, expected, atol=1e-4)


# A quarter of a pixel, moved by a tenth, is never half-way between two pixels.
PLACES = st.integers(-120, 120).map(lambda quarters: quarters / 4 + 0.1)
VOLUMES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=5).flatmap(
    lambda shape: hnp.arrays(np.float32, (2, *shape), elements=st.integers(-9, 9))
)


@few
@given(VOLUMES, st.sampled_from(["linear", "nearest"]), st.data())
def test_sampling_is_the_loop_s_far_outside_too(volume: Any, mode: str, data: Any) -> None:
    dims = volume.ndim - 1
    positions = data.draw(hnp.arrays(np.float32, (*(2,) * dims, dims), elements=PLACES.map(np.float32)))
    found = augment.sample(torch.as_tensor(volume), torch.as_tensor(positions), mode=mode)
    np.testing.assert_allclose(found, reference.sample(volume, positions, mode), atol=2e-3)


@pytest.mark.parametrize("spatial", [(40, 30), (1, 30), (14, 12, 13)])
@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_a_recipe_in_units_samples_the_same_places(spatial: tuple[int, ...], mode: str) -> None:
    rng = np.random.default_rng(3)
    image = torch.as_tensor(rng.normal(size=(2, *spatial)), dtype=torch.float32)
    shape, centre = (9,) * len(spatial), np.array(spatial) * 0.7
    recipe = augment.draw_recipe(AugmentConfig(elastic_sigma=2.0), shape, rng)
    expected = augment.sample(image, augment.coordinates(recipe, centre, shape, device=CPU), mode=mode)
    scaled, middle = augment.in_units(recipe, centre, spatial)
    grid = augment.coordinates(scaled, middle, shape, device=CPU)
    found = augment.sample_units(image, grid, mode=mode)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert found.std() > 0.1


def test_the_border_pixel_is_the_mirror_and_not_repeated() -> None:
    row = torch.tensor([[[10.0, 20.0, 40.0]]])
    positions = torch.tensor([[[0, -1], [0, -2], [0, -3], [0, 3], [0, 4], [0, 6]]], dtype=torch.float32)
    assert augment.sample(row, positions, mode="linear").flatten().tolist() == [20, 40, 20, 20, 10, 40]


# Cubic interpolation


def test_half_way_between_two_points_the_weights_are_those_of_keys() -> None:
    # Five points on nine pixels: pixel 3 is half-way between points 1 and 2.
    for point, weight in enumerate([-1 / 16, 9 / 16, 9 / 16, -1 / 16, 0]):
        grid = torch.eye(5)[point][None]
        assert augment.interpolate_cubic(grid, (9,))[0, 3] == pytest.approx(weight, abs=1e-7)


def test_points_of_the_grid_keep_their_values() -> None:
    grid = torch.as_tensor(np.random.default_rng(2).normal(size=(2, 4, 3)), dtype=torch.float32)
    fine = augment.interpolate_cubic(grid, (10, 13))  # steps of 3 and of 6 pixels
    np.testing.assert_allclose(fine[:, ::3, ::6], grid, atol=1e-6)


def test_a_constant_stays_one_everywhere() -> None:
    fine = augment.interpolate_cubic(torch.full((1, 3, 4, 5), 7.0), (8, 9, 11))
    np.testing.assert_allclose(fine, 7.0, atol=1e-5)


def test_a_linear_field_stays_linear_inside() -> None:
    grid = torch.arange(6.0)[None] * 10
    fine = augment.interpolate_cubic(grid, (51,))[0]
    np.testing.assert_allclose(fine[10:41], np.arange(10, 41), atol=1e-4)  # between points 1 and 4


@few
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=1, max_dims=2, min_side=3, max_side=5),
        elements=st.integers(-9, 9),
    ),
    st.integers(2, 7),
)
def test_cubic_interpolation_is_the_loop_s(coarse: Any, size: int) -> None:
    shape = tuple(range(size, size + coarse.ndim))
    found = augment.interpolate_cubic(torch.as_tensor(coarse)[None], shape)[0]
    np.testing.assert_allclose(found, reference.cubic(coarse, shape), atol=1e-4)


# What is drawn


def test_nothing_configured_is_nothing_changed() -> None:
    recipe = augment.draw_recipe(STILL, (8, 8), np.random.default_rng(0))
    np.testing.assert_array_equal(recipe.matrix, np.eye(2))
    assert recipe.displacements is None
    numbers = (recipe.gain, recipe.offset, recipe.gamma, recipe.noise, recipe.blur)
    assert numbers == (1.0, 0.0, 1.0, 0.0, 0.0)
    assert torch.equal(augment.change_intensities(NINE, recipe), NINE)


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 64)])
def test_the_displacements_deviate_as_configured_around_nothing(shape: tuple[int, ...]) -> None:
    config = replace(STILL, elastic_sigma=10.0, elastic_spacing=0.0)
    rng = np.random.default_rng(3)
    drawn = np.stack([augment.draw_recipe(config, shape, rng).displacements for _ in range(1000)])
    assert drawn.shape == (1000, len(shape), *(3,) * len(shape))  # the paper's coarse grid
    np.testing.assert_allclose(drawn.std(), 10.0, rtol=0.02)
    np.testing.assert_allclose(drawn.mean(), 0.0, atol=0.3)


def test_a_displacement_is_in_pixels_of_the_image() -> None:
    displacements = np.zeros((2, 3, 3), np.float32)
    displacements[:, 0, 0] = 5, -7
    still = augment.coordinates(identity_recipe(2), (0, 0), (9, 9), device=CPU)
    moved = augment.coordinates(Recipe(np.eye(2), displacements), (0, 0), (9, 9), device=CPU)
    assert (moved - still)[0, 0].tolist() == [5, -7]
    assert (moved - still)[8, 8].tolist() == [0, 0]


def test_the_elastic_grid_has_the_distance_configured() -> None:
    config = replace(STILL, elastic_sigma=1.0, elastic_spacing=64.0)
    recipe = augment.draw_recipe(config, (320, 65), np.random.default_rng(0))
    assert recipe.displacements is not None
    assert recipe.displacements.shape == (2, 6, 3)  # 320 / 64 + 1 points; never fewer than 3


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 8)])
def test_turns_and_mirrors_keep_lengths_and_scale_stays_in_range(shape: tuple[int, ...]) -> None:
    config = replace(STILL, rotation=180.0, flip=True, scale=0.25)
    rng = np.random.default_rng(4)
    factors, signs = [], set()
    for _ in range(300):
        matrix = augment.draw_recipe(config, shape, rng).matrix
        square = matrix @ matrix.T
        factors.append(math.sqrt(square[0, 0]))
        signs.add(float(np.sign(np.linalg.det(matrix))))
        np.testing.assert_allclose(square, square[0, 0] * np.eye(len(shape)), atol=1e-12)
    assert 1 / 1.25 <= min(factors) < 0.85 and 1.2 < max(factors) <= 1.25
    np.testing.assert_allclose(np.median(factors), 1.0, atol=0.04)  # as often smaller as larger
    assert signs == {-1.0, 1.0}


def test_the_rotation_stays_in_its_range() -> None:
    config = replace(STILL, rotation=30.0)
    rng = np.random.default_rng(5)
    matrices = [augment.draw_recipe(config, (8, 8), rng).matrix for _ in range(300)]
    angles = np.degrees([math.atan2(m[1, 0], m[0, 0]) for m in matrices])
    assert -30 <= angles.min() < -28 and 28 < angles.max() <= 30


def test_in_an_anisotropic_volume_z_is_mirrored_at_most() -> None:
    config = AugmentConfig(elastic_sigma=5.0, elastic_spacing=0.0)
    rng = np.random.default_rng(6)
    for _ in range(20):
        recipe = augment.draw_recipe(config, (9, 9, 9), rng, anisotropic=True)
        position = augment.coordinates(recipe, (4, 4, 4), (9, 9, 9), device=CPU)
        planes = position[..., 0].reshape(9, -1)
        assert torch.equal(planes.min(1).values, planes.max(1).values)
        assert planes[:, 0].tolist() in ([*range(9)], [*range(8, -1, -1)])
        assert position[..., 1:].std() > 1


def test_a_2d_image_with_oblong_pixels_is_deformed_along_both_axes() -> None:
    config = replace(STILL, elastic_sigma=5.0, scale=0.5)
    recipe = augment.draw_recipe(config, (9, 9), np.random.default_rng(7), anisotropic=True)
    assert recipe.displacements is not None and (recipe.displacements[0] != 0).any()
    assert recipe.matrix[0, 0] == recipe.matrix[1, 1] != 1


def test_the_same_generator_gives_the_same_recipe() -> None:
    one, two, other = (
        augment.draw_recipe(AugmentConfig(), (32, 32), np.random.default_rng(s)) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.matrix, two.matrix)
    np.testing.assert_array_equal(one.displacements, two.displacements)
    assert (one.gain, one.noise_seed) == (two.gain, two.noise_seed) != (other.gain, other.noise_seed)


# Grey values


def test_gain_offset_and_gamma_by_hand() -> None:
    # 2 sign(x) |x|^2 + 0.5: -3 becomes -17.5, 0 becomes 0.5, 0.5 becomes 1
    recipe = Recipe(np.eye(2), None, gain=2.0, offset=0.5, gamma=2.0)
    patch = torch.tensor([[[-3.0, 0.0, 0.5]]])
    assert augment.change_intensities(patch, recipe).flatten().tolist() == [-17.5, 0.5, 1.0]


def test_grey_values_are_drawn_in_their_ranges() -> None:
    config = AugmentConfig(gain=0.25, offset=0.1, gamma=0.5, noise=0.2, blur=1.5)
    rng = np.random.default_rng(8)
    recipes = [augment.draw_recipe(config, (8, 8), rng) for _ in range(400)]
    for name, low, high in [
        ("gain", 0.8, 1.25),
        ("offset", -0.1, 0.1),
        ("gamma", 2 / 3, 1.5),
        ("noise", 0, 0.2),
    ]:
        values = np.array([getattr(recipe, name) for recipe in recipes])
        margin = 0.05 * (high - low)
        assert low <= values.min() < low + margin and high - margin < values.max() <= high
    blurred = np.array([recipe.blur for recipe in recipes])
    assert blurred.max() <= 1.5 and 0.4 < (blurred > 0).mean() < 0.6  # half the patches


def test_noise_deviates_as_drawn_and_repeats_with_its_seed() -> None:
    recipe = Recipe(np.eye(2), None, noise=0.3, noise_seed=5)
    zero = torch.zeros(1, 100, 100)
    noisy = augment.change_intensities(zero, recipe)
    np.testing.assert_allclose(noisy.std(), 0.3, rtol=0.03)
    assert torch.equal(noisy, augment.change_intensities(zero, recipe))
    assert not torch.equal(noisy, augment.change_intensities(zero, replace(recipe, noise_seed=6)))


@pytest.mark.parametrize("shape", [(1, 31, 31), (1, 3, 31, 31)])
def test_blur_spreads_a_point_by_its_deviation_within_its_plane(shape: tuple[int, ...]) -> None:
    point = torch.zeros(shape)
    place = (0, *(1,) * (len(shape) - 3), 15, 15)
    point[place] = 1.0
    blurred = augment.change_intensities(point, Recipe(np.eye(2), None, blur=1.5))
    plane = blurred[place[:-2]].numpy()
    assert blurred.sum() == pytest.approx(1.0, abs=1e-5) == plane.sum()
    offset = np.arange(31) - 15
    assert (plane.sum(0) * offset**2).sum() == pytest.approx(1.5**2, rel=0.05)  # the variance
    np.testing.assert_allclose(plane, plane.T, atol=1e-7)


def test_blur_leaves_a_constant_image_as_it_is_up_to_the_border() -> None:
    constant = torch.full((2, 4, 3), 5.0)
    blurred = augment.change_intensities(constant, Recipe(np.eye(2), None, blur=2.0))
    np.testing.assert_allclose(blurred, 5.0, atol=1e-5)
