"""Overlap-tile: each pixel once, mirrored as NumPy mirrors, and tiled equals untiled, with any function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from unseam.errors import ShapeError
from unseam.geometry import Geometry
from unseam.io.source import array_source
from unseam.tiling import (
    TileFunction,
    TilePlan,
    apply_tiled,
    mirrored_indices,
    plan_tiles,
    read_mirrored,
    settle,
)

Array = NDArray[Any]
few = settings(max_examples=60, deadline=None)


@st.composite
def cuts(draw: Any) -> tuple[tuple[int, ...], Geometry, tuple[int, ...]]:
    """An image's shape, a network's geometry, and a tile that is not too small; 1 to 3 axes."""
    dims, depth = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    sizes = st.tuples(*[st.sampled_from([1, 3])] * dims)
    steps = st.tuples(*[st.sampled_from([1, 2, 3])] * dims)
    kernels = draw(st.lists(sizes, min_size=depth + 1, max_size=depth + 1))
    strides = draw(st.lists(steps, min_size=depth, max_size=depth))
    geometry = Geometry.from_levels(kernels, strides)
    shape = draw(st.tuples(*[st.integers(1, 25 if dims < 3 else 9)] * dims))
    tile = draw(st.tuples(*[st.integers(grid, grid + 12) for grid in geometry.grid]))
    return shape, geometry, tile


def on_the_grid(geometry: Geometry) -> TileFunction:
    """As local as the network, and as tied to its grid: a box sum, and the first pixel of each cell."""

    def function(tile: Array) -> Array:
        geometry.check(tile.shape[1:])
        window = tuple(2 * halo + 1 for halo in geometry.halo)
        axes = tuple(range(1, tile.ndim))
        boxes = sliding_window_view(tile, window, axes).sum(tuple(range(-len(window), 0)))
        first = tile
        for axis, (halo, grid) in zip(axes, zip(geometry.halo, geometry.grid, strict=True), strict=True):
            size = tile.shape[axis] - 2 * halo
            first = first.take(halo + np.arange(size) // grid * grid, axis)
        return np.concatenate([boxes, first])

    return function


def untiled(function: TileFunction, image: Array, geometry: Geometry) -> Array:
    """The whole image at once, padded by NumPy."""
    sizes = geometry.input_for(image.shape[1:])
    around = [
        (halo, size - halo - n) for halo, size, n in zip(geometry.halo, sizes, image.shape[1:], strict=True)
    ]
    output = function(np.pad(image, [(0, 0), *around], mode="reflect"))
    return output[(slice(None), *map(slice, image.shape[1:]))]


def numbers(shape: Sequence[int], channels: int = 2) -> Array:
    return np.random.default_rng(0).integers(0, 1000, (channels, *shape))


# By hand


def test_the_paper_s_image() -> None:
    # 512 = 2 x 256, a multiple of 16; outputs of the network are 4 modulo 16, so 260, and 260 + 184 = 444.
    plan = plan_tiles((512, 512), Geometry.regular(spatial_dims=2, depth=4), 256)
    assert (plan.tile_input, plan.step, plan.halo, len(plan)) == ((444, 444), (256, 256), (92, 92), 4)
    first, second, *_ = plan
    assert first.read == ((-92, 352), (-92, 352)) and first.write == ((0, 256), (0, 256))
    assert second.read == ((-92, 352), (164, 608)) and second.write == ((0, 256), (256, 512))
    assert second.crop == ((0, 256), (0, 256))


def test_tiles_share_the_image_evenly() -> None:
    # 100 pixels in tiles of at most 45, on a grid of 2: 3 tiles, of 34, 34 and 32.
    plan = plan_tiles((100,), Geometry.regular(spatial_dims=1, depth=1), 45)
    assert [tile.write for tile in plan] == [((0, 34),), ((34, 68),), ((68, 100),)]


def test_an_image_smaller_than_a_tile_is_one_tile_and_no_larger_than_needed() -> None:
    plan = plan_tiles((3, 3), Geometry.regular(spatial_dims=2, depth=4), 512)
    assert (len(plan), plan.tile_input) == (1, (188, 188))


def test_mirrors_by_hand() -> None:
    assert mirrored_indices(-3, 6, 3).tolist() == [1, 2, 1, 0, 1, 2, 1, 0, 1]
    assert mirrored_indices(-2, 3, 1).tolist() == [0] * 5
    assert mirrored_indices(-2, 4, 2).tolist() == [0, 1, 0, 1, 0, 1]


def test_reading_inside_copies_nothing() -> None:
    image = numbers((6, 7))
    assert np.shares_memory(read_mirrored(array_source(image), [(1, 5), (0, 7)]), image)


# Laws


@few
@given(cuts())
def test_each_pixel_is_written_once_and_reads_stay_on_the_grid(cut: Any) -> None:
    shape, geometry, largest = cut
    plan = plan_tiles(shape, geometry, largest)
    written = np.zeros(shape, int)
    for tile in plan:
        written[tuple(slice(a, b) for a, b in tile.write)] += 1
        output = geometry.output([b - a for a, b in tile.read])  # which checks that the network takes it
        for axis, grid in enumerate(geometry.grid):
            (read, end), (low, high), (start, stop) = tile.read[axis], tile.crop[axis], tile.write[axis]
            assert (read + plan.halo[axis]) % grid == 0
            assert end - read == plan.tile_input[axis]
            assert read + plan.halo[axis] + low == start  # what is kept is what belongs there
            assert 0 <= low < high <= output[axis] and high - low == stop - start <= largest[axis]
    assert (written == 1).all()
    assert len(plan) == len(list(plan))


@few
@given(cuts())
def test_no_other_step_on_the_grid_needs_fewer_tiles(cut: Any) -> None:
    shape, geometry, largest = cut
    fewest = math.prod(
        1 if n <= most else min(math.ceil(n / step) for step in range(grid, most + 1, grid))
        for n, most, grid in zip(shape, largest, geometry.grid, strict=True)
    )
    assert len(plan_tiles(shape, geometry, largest)) == fewest


@few
@given(cuts())
def test_tiled_equals_untiled(cut: Any) -> None:
    shape, geometry, largest = cut
    image, function = numbers(shape), on_the_grid(geometry)
    tiled = apply_tiled(function, array_source(image), plan_tiles(shape, geometry, largest))
    np.testing.assert_array_equal(tiled, untiled(function, image, geometry))


@few
@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.data())
def test_mirroring_is_numpy_s(shape: list[int], data: Any) -> None:
    image = numbers(shape, channels=1)
    reach = [(data.draw(st.integers(0, 15)), data.draw(st.integers(0, 15))) for _ in shape]
    region = [(-before, n + after) for n, (before, after) in zip(shape, reach, strict=True)]
    padded = np.pad(image, [(0, 0), *reach], mode="reflect")
    np.testing.assert_array_equal(read_mirrored(array_source(image), region), padded)


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (1, 30), (5, 3)])
def test_an_image_much_smaller_than_the_halo(shape: tuple[int, ...]) -> None:
    geometry = Geometry.regular(spatial_dims=2, depth=2)
    assert min(geometry.halo) > 3 * min(shape)
    image, function = numbers(shape), on_the_grid(geometry)
    tiled = apply_tiled(function, array_source(image), plan_tiles(shape, geometry, 4))
    np.testing.assert_array_equal(tiled, untiled(function, image, geometry))


def test_steps_off_the_grid_would_show() -> None:
    geometry = Geometry.regular(spatial_dims=1, depth=1)
    image, function = numbers((20,)), on_the_grid(geometry)
    good = plan_tiles((20,), geometry, 6)
    astray = TilePlan(good.shape, good.tile_input, (5,), good.halo)
    expected = untiled(function, image, geometry)
    np.testing.assert_array_equal(apply_tiled(function, array_source(image), good), expected)
    assert (apply_tiled(function, array_source(image), astray) != expected).any()


def test_a_halo_too_small_would_show() -> None:
    full, narrow = (Geometry.from_levels([(k,)], []) for k in (5, 3))  # halos 4 and 2

    def function(tile: Array) -> Array:
        """A box of the full halo, zeros beyond the tile: what padded convolutions do."""
        padded = np.pad(tile, [(0, 0), (2, 2)])
        return np.asarray(on_the_grid(full)(padded))

    image = numbers((20,))
    tiled = apply_tiled(function, array_source(image), plan_tiles((20,), narrow, 7))
    assert (tiled != apply_tiled(function, array_source(image), plan_tiles((20,), narrow, 20))).any()


def test_the_dtype_and_the_channels_are_the_function_s_and_progress_is_told() -> None:
    geometry, told = Geometry.regular(spatial_dims=2, depth=0), []

    def function(tile: Array) -> Array:
        return np.repeat(tile[:, 2:-2, 2:-2], 3, axis=0) > 500

    image = numbers((5, 4), channels=1)
    plan = plan_tiles((5, 4), geometry, (3, 2))
    result = apply_tiled(function, array_source(image), plan, on_tile=lambda *counts: told.append(counts))
    assert (result.dtype, result.shape) == (np.bool_, (3, 5, 4))
    np.testing.assert_array_equal(result[2], image[0] > 500)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


# Errors


@pytest.mark.parametrize(
    ("shape", "tile", "message"),
    [
        ((9,), 32, "an image of 1 and a tile of 2 axes were given; the network has 2"),
        ((9, 9), (32,), "an image of 2 and a tile of 1 axes were given; the network has 2"),
        ((9, 0), 32, "the image is empty: its shape is (9, 0)"),
        ((9, 9), 15, "tile 15 was given; this network needs tiles of 16 pixels or more"),
        ((9, 9), 0, "tile 0 was given; this network needs tiles of 16 pixels or more"),
    ],
)
def test_what_cannot_be_planned(shape: Any, tile: Any, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        plan_tiles(shape, Geometry.regular(spatial_dims=2, depth=4), tile)
    assert str(caught.value) == message


def test_an_image_of_another_plan() -> None:
    plan = plan_tiles((9, 9), Geometry.regular(spatial_dims=2, depth=0), 32)
    with pytest.raises(
        ShapeError, match=r"the image is \(9, 8\) and the plan was made for \(9, 9\); plan it"
    ):
        apply_tiled(lambda tile: tile, array_source(np.zeros((1, 9, 8))), plan)


def test_a_function_of_another_geometry() -> None:
    plan = plan_tiles((9, 9), Geometry.regular(spatial_dims=2, depth=0), 32)
    words = r"a tile of \(13, 13\) gave an output of \(13, 13\), and the plan expects \(9, 9\)"
    with pytest.raises(ShapeError, match=words):
        apply_tiled(lambda tile: tile, array_source(np.zeros((1, 9, 9))), plan)


# What hangs on rounding is settled the same way, whatever the tiles


def rounding_by_size(function: TileFunction) -> TileFunction:
    """A function whose last digits depend on the size of the tile, as those of a processor do."""

    def rounded(tile: Array) -> Array:
        return function(tile) + 1e-6 * np.sin(tile.shape[1])

    return rounded


def test_settled_pixels_do_not_depend_on_the_tile() -> None:
    geometry = Geometry.regular(spatial_dims=2, depth=1)
    function = rounding_by_size(on_the_grid(geometry))
    image = np.random.default_rng(0).normal(size=(1, 40, 33))
    undecided = np.random.default_rng(1).random((40, 33)) < 0.02
    smallest = plan_tiles((40, 33), geometry, geometry.grid)
    results = [
        apply_tiled(function, array_source(image), plan_tiles((40, 33), geometry, tile)) for tile in (8, 64)
    ]
    assert (results[0] != results[1]).any(axis=0)[undecided].all()  # else there is nothing to settle
    unsettled = results[0].copy()
    for result in results:
        settle(function, array_source(image), smallest, result=result, undecided=undecided)
    np.testing.assert_array_equal(results[0][:, undecided], results[1][:, undecided])
    np.testing.assert_array_equal(results[0][:, ~undecided], unsettled[:, ~undecided])
