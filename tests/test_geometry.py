"""Sizes of the U: the paper's numbers, a walk through the network, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.unet import walk

from unseam.errors import ConfigError, ShapeError
from unseam.geometry import AxisGeometry, Geometry, check_levels

PAPER = Geometry.regular(spatial_dims=2, depth=4)


@st.composite
def axes(draw: Any) -> AxisGeometry:
    depth = draw(st.integers(0, 3))
    kernels = draw(st.lists(st.sampled_from([1, 3, 5]), min_size=depth + 1, max_size=depth + 1))
    strides = draw(st.lists(st.sampled_from([1, 2, 3]), min_size=depth, max_size=depth))
    return AxisGeometry(tuple(kernels), tuple(strides))


# Golden


def test_the_paper_s_sizes() -> None:
    assert PAPER.output((572, 572)) == (388, 388)
    assert (PAPER.halo, PAPER.grid, PAPER.smallest_input) == ((92, 92), (16, 16), (188, 188))
    assert PAPER.output((188, 188)) == (4, 4)


def test_the_paper_s_valid_sizes_are_12_modulo_16() -> None:
    axis = PAPER.axes[0]
    assert [size for size in range(700) if axis.is_valid(size)] == list(range(188, 700, 16))


# By hand


def test_a_depth_of_zero_is_two_convolutions() -> None:
    flat = Geometry.regular(spatial_dims=1, depth=0)
    assert (flat.halo, flat.grid, flat.smallest_input, flat.output((9,))) == ((2,), (1,), (5,), (5,))


def test_an_anisotropic_volume() -> None:
    # Z at level 0: kernel 1 and stride 1, so nothing is lost there; the bottom takes 4, 2 on each side.
    # Y and X: 4 down, halved, 4, doubled, 4: (4 + 4 * 2 + 4) / 2 = 8 on each side.
    stack = Geometry.from_levels(kernels=[(1, 3, 3), (3, 3, 3)], strides=[(1, 2, 2)])
    assert (stack.halo, stack.grid) == ((2, 8, 8), (1, 2, 2))
    assert stack.smallest_input == (5, 18, 18)
    assert stack.output((6, 20, 18)) == (2, 4, 2)


def test_input_for_an_output() -> None:
    # Outputs of the paper's network are 4, 20, ..., 388: a size between them takes the next.
    assert PAPER.input_for((388, 4)) == (572, 188)
    assert PAPER.input_for((389, 5)) == (588, 204)
    assert PAPER.input_for((1, 0)) == (188, 188)


@pytest.mark.parametrize(
    ("size", "near"), [(500, (492, 508)), (572, (572,)), (10, (188,)), (189, (188, 204))]
)
def test_nearest(size: int, near: tuple[int, ...]) -> None:
    assert PAPER.axes[0].nearest(size) == near


# Oracle: a walk through the network


@settings(max_examples=80, deadline=None)
@given(axes())
def test_sizes_are_those_of_a_walk(axis: AxisGeometry) -> None:
    reached = {size: walk(size, axis.kernels, axis.strides) for size in range(1, axis.smallest_input + 60)}
    valid = {size: output for size, output in reached.items() if output is not None}
    assert [size for size in reached if axis.is_valid(size)] == list(valid)
    assert axis.smallest_input == min(valid)
    assert {size: axis.output(size) for size in valid} == valid
    assert {(size - output) / 2 for size, output in valid.items()} == {axis.halo}


@settings(max_examples=80, deadline=None)
@given(axes(), st.integers(1, 40))
def test_input_for_is_the_smallest_that_covers(axis: AxisGeometry, output: int) -> None:
    size = axis.input_for(output)
    assert axis.is_valid(size) and axis.output(size) >= output
    assert not any(axis.is_valid(s) and axis.output(s) >= output for s in range(size))


@settings(max_examples=80, deadline=None)
@given(axes(), st.integers(1, 300))
def test_nearest_has_no_valid_size_between(axis: AxisGeometry, size: int) -> None:
    near = axis.nearest(size)
    assert all(axis.is_valid(n) for n in near)
    assert near[0] <= size or len(near) == 1
    assert not any(axis.is_valid(s) for s in range(near[0] + 1, near[-1]))


# Errors


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (500, 500),
            "tile 500x500 does not fit this network (depth 4, unpadded); nearest sizes: 492, 508",
        ),
        (
            (572, 500),
            "tile 572x500 does not fit this network (depth 4, unpadded); nearest sizes: 572 by 492, 508",
        ),
        ((12, 12), "tile 12x12 does not fit this network (depth 4, unpadded); nearest sizes: 188"),
        ((572,), "tile 572 has 1 spatial axes and the network 2; give a 2-D tile"),
    ],
)
def test_a_tile_that_does_not_fit(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        PAPER.output(shape)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("strides", "kernels", "message"),
    [
        (
            [(2, 2)],
            [(3, 3)],
            "1 strides and 1 kernels were given for depth 1; it takes 1 strides and 2 kernels",
        ),
        ([(2, 2, 2)], [(3, 3)] * 2, "(2, 2, 2) was given; strides and kernels take 2 sizes of 1 or more"),
        ([(2, 0)], [(3, 3)] * 2, "(2, 0) was given; strides and kernels take 2 sizes of 1 or more"),
        ([(2, 2)], [(3, 3), (3, 4)], "kernel (3, 4) is even; a centred crop needs odd kernels"),
    ],
)
def test_levels_that_are_no_network(strides: Any, kernels: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_levels(strides, kernels, spatial_dims=2, depth=1)
    assert str(caught.value) == message
