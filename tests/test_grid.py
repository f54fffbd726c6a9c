"""Blocks: each pixel in exactly one, counted in raster order, found again from any region."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseam.errors import ShapeError
from unseam.grid import BlockGrid, in_words, slices

few = settings(max_examples=60, deadline=None)


@st.composite
def grids(draw: Any) -> BlockGrid:
    dims = draw(st.integers(1, 3))
    sizes = st.tuples(*[st.integers(1, 9)] * dims)
    return BlockGrid(draw(sizes), draw(sizes))


def test_by_hand() -> None:
    # 5 rows in blocks of 2 and 4 columns in blocks of 3: 3 x 2 blocks, the last one 1 x 1.
    grid = BlockGrid((5, 4), (2, 3))
    assert grid.counts == (3, 2) and len(grid) == 6
    assert grid.place(3) == (1, 1) and grid.number((1, 1)) == 3
    assert grid.region(5) == ((4, 5), (3, 4))
    assert grid.region(3, margin=1) == ((1, 5), (2, 4))
    assert (grid.before(3, 0), grid.before(3, 1), grid.before(2, 1), grid.before(1, 0)) == (1, 2, None, None)
    assert list(grid.overlapping(((1, 3), (0, 3)))) == [0, 2]


def test_slices_are_relative_to_the_origin() -> None:
    assert slices(((3, 5), (0, 2))) == (slice(3, 5), slice(0, 2))
    assert slices(((3, 5), (0, 2)), origin=(2, 0)) == (slice(1, 3), slice(0, 2))


def test_a_region_in_words() -> None:
    assert in_words(((1, 5), (2, 6))) == "y 1:5, x 2:6"
    assert in_words(((0, 4), (1, 5), (2, 6))) == "z 0:4, y 1:5, x 2:6"


@few
@given(grids())
def test_each_pixel_lies_in_one_block_and_blocks_come_in_raster_order(grid: BlockGrid) -> None:
    owner = np.full(grid.shape, -1)
    for number in range(len(grid)):
        part = owner[slices(grid.region(number))]
        assert (part == -1).all() and part.size
        part[...] = number
        assert grid.number(grid.place(number)) == number
    assert (owner >= 0).all()
    firsts = [int(np.flatnonzero(owner.ravel() == number)[0]) for number in range(len(grid))]
    assert firsts == sorted(firsts)


@few
@given(grids(), st.data())
def test_blocks_of_a_region_are_those_that_share_a_pixel(grid: BlockGrid, data: Any) -> None:
    region = []
    for size in grid.shape:
        start = data.draw(st.integers(0, size - 1))
        region.append((start, data.draw(st.integers(start + 1, size))))
    owner = np.empty(grid.shape, int)
    for number in range(len(grid)):
        owner[slices(grid.region(number))] = number
    expected = np.unique(owner[slices(tuple(region))]).tolist()
    assert list(grid.overlapping(tuple(region))) == expected


@few
@given(grids(), st.integers(0, 4))
def test_a_margin_is_cut_off_where_the_image_ends(grid: BlockGrid, margin: int) -> None:
    for number in range(len(grid)):
        for (a, b), (low, high), size in zip(
            grid.region(number), grid.region(number, margin=margin), grid.shape, strict=True
        ):
            assert (low, high) == (max(0, a - margin), min(size, b + margin))


@pytest.mark.parametrize("block", [(3,), (3, 0), (3, 3, 3)])
def test_blocks_that_do_not_fit(block: tuple[int, ...]) -> None:
    with pytest.raises(
        ShapeError, match=r"blocks of .* do not fit an image of shape \(5, 4\); give 2 sizes of 1"
    ):
        BlockGrid((5, 4), block)
