"""Tiles for networks of others: the halo that is stated, or the larger one that is needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.packages.made import CUT, Net, unet

from unseam.errors import ModelFileError, ShapeError
from unseam.geometry import Geometry, StatedAxis
from unseam.packages.description import AxisSize
from unseam.packages.field import field_of
from unseam.packages.sizes import Sizes, sizes_of
from unseam.tiling import plan_tiles

axes = st.builds(StatedAxis, st.integers(20, 60), st.integers(0, 9), st.integers(0, 9), st.just(1))


def sizes(content: bytes, *stated: AxisSize) -> Sizes:
    field = field_of(onnx.load_model_from_string(content), "bcyx", "yx")
    return sizes_of(stated * (3 - len(stated)), field, "p")


# Sizes of one axis


def test_sizes_by_hand() -> None:
    axis = StatedAxis(16, 4, 3, 4)  # 16, 20, 24, ... in, and 10, 14, 18, ... out
    assert [axis.is_valid(n) for n in (12, 16, 18, 20)] == [False, True, False, True]
    assert [axis.input_for(n) for n in (1, 10, 11, 14, 15)] == [16, 16, 20, 20, 24]
    assert (axis.output(20), axis.at_most(999)) == (14, 999)
    assert (axis.nearest(18), axis.nearest(20), axis.nearest(3)) == ((16, 20), (20,), (16,))
    alone = StatedAxis(64, 0, 8, 2)
    assert [alone.is_valid(n) for n in (62, 64, 66)] == [False, True, False]
    assert (alone.input_for(5), alone.at_most(999), alone.at_most(9)) == (64, 48, 9)
    assert alone.nearest(70) == (64,)
    with pytest.raises(
        ShapeError, match=r"tile 62x62 does not fit this network \(64 pixels\); nearest sizes: 64"
    ):
        Geometry((alone, alone)).check((62, 62))
    with pytest.raises(ShapeError, match=r"\(16 \+ 4 n pixels\); nearest sizes: 16, 20"):
        Geometry((axis, axis)).check((18, 18))


@settings(max_examples=80, deadline=None)
@given(axes, st.integers(1, 80))
def test_input_for_is_the_smallest_that_covers(axis: StatedAxis, wanted: int) -> None:
    output = axis.at_most(wanted)
    size = axis.input_for(output)
    assert axis.is_valid(size) and axis.output(size) >= output
    assert not any(axis.is_valid(s) and axis.output(s) >= output for s in range(size))


@settings(max_examples=80, deadline=None)
@given(axes, st.integers(1, 90))
def test_nearest_has_no_valid_size_between(axis: StatedAxis, size: int) -> None:
    near = axis.nearest(size)
    assert all(axis.is_valid(n) for n in near)
    assert near[0] <= size or len(near) == 1
    assert not any(axis.is_valid(s) for s in range(near[0] + 1, near[-1]))


@settings(max_examples=80, deadline=None)
@given(axes, st.integers(1, 200), st.integers(1, 90))
def test_tiles_of_one_size_cover_an_image_once(axis: StatedAxis, length: int, tile: int) -> None:
    plan = plan_tiles((length,), Geometry((axis,)), tile)
    assert axis.is_valid(plan.tile_input[0])
    written = [pixel for part in plan for pixel in range(*part.write[0])]
    assert written == list(range(length))
    assert max(b for part in plan for _, b in part.crop) <= axis.output(plan.tile_input[0])


# The halo


@pytest.mark.parametrize(("halo", "used"), [(None, 6), (0, 6), (2, 6), (6, 6), (7, 8), (20, 20)])
def test_a_padded_network_has_the_halo_it_needs_or_the_larger_one_stated(halo: int | None, used: int) -> None:
    found = sizes(unet(), AxisSize(16, 2, 0, halo))
    assert found.geometry == Geometry((StatedAxis(16, 2, used, 2),) * 2)
    assert found.is_local
    assert found.remark == f"halo: {used} x {used}; nothing beyond it has a part in what is kept"


def test_an_unpadded_network_needs_none() -> None:
    found = sizes(unet(pad=False), AxisSize(16, 2, CUT, None))
    assert found.geometry == Geometry((StatedAxis(16, 2, CUT, 2),) * 2)
    assert found.is_local


def test_poolings_decide_the_grid_where_steps_are_finer() -> None:
    assert sizes(unet(), AxisSize(16, 1, 0, None)).geometry.grid == (2, 2)
    assert sizes(unet(), AxisSize(16, 3, 0, None)).geometry == Geometry((StatedAxis(16, 3, 6, 6),) * 2)


def test_one_size_alone() -> None:
    assert sizes(unet(), AxisSize(64, 0, 0, 2)).geometry == Geometry((StatedAxis(64, 0, 6, 2),) * 2)
    tight = sizes(unet(), AxisSize(12, 0, 0, 2))  # of which 6 on each side would leave nothing
    assert tight.geometry == Geometry((StatedAxis(12, 0, 2, 2),) * 2)
    assert not tight.is_local
    assert tight.remark == (
        "halo: 2 x 2 as stated; an output pixel sees more, so seams are possible: see `unseam verify`"
    )
    assert sizes(unet(), AxisSize(12, 0, 0, None)).geometry.halo == (3, 3)  # a quarter


def test_a_network_that_takes_in_the_whole_tile() -> None:
    found = sizes(unet(norm=True), AxisSize(16, 2, 0, 5))
    assert found.geometry.halo == (6, 6) and not found.is_local  # 5, and then a multiple of the grid
    assert found.remark == (
        "halo: 6 x 6 as stated; InstanceNormalization takes in the whole tile, so seams are possible: see "
        "`unseam verify`"
    )
    assert sizes(unet(norm=True), AxisSize(16, 2, 0, None)).geometry.halo == (64, 64)
    assert (
        "64 x 64 by default; InstanceNormalization" in sizes(unet(norm=True), AxisSize(16, 2, 0, None)).remark
    )
    small = sizes(unet(norm=True), AxisSize(64, 0, 0, None)).geometry
    assert (small.halo, small.grid) == ((16, 16), (32, 32))
    assert sizes(unet(norm=True), AxisSize(20, 0, 0, 4)).geometry.grid == (8, 8)  # no more is left


def cropped(*, pad: bool) -> bytes:
    """A convolution, and a crop whose width is computed."""
    net = Net()
    x = net.conv("in", (1, 1), pad=pad)
    starts = net.add("Identity", net.number(np.array([1, 1])))
    x = net.add("Slice", x, starts, net.number(np.array([-1, -1])), net.number(np.array([2, 3])))
    return net.model(x, "bcyx", ([1, 1, None, None], [1, 1, None, None]))


def test_a_computed_crop_of_a_network_that_pads_nothing() -> None:
    assert sizes(cropped(pad=False), AxisSize(16, 2, 2, None)).is_local
    padded = sizes(cropped(pad=True), AxisSize(16, 2, 1, None))
    assert not padded.is_local and "a crop is computed" in padded.remark


@pytest.mark.parametrize(
    "size", [AxisSize(16, 0, 0, 8), AxisSize(16, 0, 4, 4), AxisSize(16, 2, 8, None), AxisSize(9, 0, 0, 99)]
)
def test_a_halo_that_leaves_nothing(size: Any) -> None:
    with pytest.raises(
        ModelFileError, match=r"p states a halo of \d+ pixels, which leaves nothing of a tile"
    ):
        sizes(unet(), size)
