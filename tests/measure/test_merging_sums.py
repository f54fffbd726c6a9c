"""Blocks add up to the image: any grid, any order, any size, stored or not."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.measure.cut import assert_identical, blocks_of, cut_images

from unseam.errors import ShapeError
from unseam.grid import BlockGrid
from unseam.measure import Sums, finish, from_arrays, measure, merge, sum_block

few = settings(max_examples=60, deadline=None)


def assert_same(sums: Sums, expected: Sums) -> None:
    for field in fields(Sums):
        ours, theirs = getattr(sums, field.name), getattr(expected, field.name)
        assert (ours is None) == (theirs is None), field.name
        assert ours is None or (ours.shape == theirs.shape and ours.tolist() == theirs.tolist()), field.name


def shifted(sums: Sums, shift: tuple[int, ...]) -> Sums:
    """The same objects elsewhere."""
    rows = None if sums.rows is None else sums.rows + np.array([0, shift[0], shift[1], shift[1]])[:, None]
    return replace(sums, boxes=sums.boxes + np.array(shift)[:, None], rows=rows)


# By hand


def test_two_halves_of_an_l() -> None:
    labels = np.array([[1, 0, 0], [1, 1, 1]])
    top = sum_block(labels[:1], origin=(5, 8))
    bottom = sum_block(labels[1:], origin=(6, 8))
    both = merge(bottom, top)
    assert (both.sizes.tolist(), both.boxes.tolist()) == ([4], [[[5, 7], [8, 11]]])
    assert both.first.tolist() == [[3, 3]]  # y: 0 + 1 + 1 + 1, x: 0 + 0 + 1 + 2
    assert both.second.tolist() == [[3, 3, 5]]  # yx: 0 + 0 + 1 + 2, xx: 1 + 4
    assert both.rows is not None and both.rows.T.tolist() == [[1, 5, 8, 8], [1, 6, 8, 10]]


# Laws


@few
@given(cut_images(), st.randoms(use_true_random=False))
def test_blocks_in_any_order_are_the_whole_image(cut: Any, random: Any) -> None:
    labels, grid, extras = cut
    whole = sum_block(labels, origin=(0,) * labels.ndim, **extras)
    parts = blocks_of(labels, grid, **extras)
    random.shuffle(parts)
    at_once, in_turn = merge(*parts), reduce(merge, parts)
    assert_same(at_once, whole)
    assert_same(in_turn, whole)
    spacing = (0.3, 0.7, 1.1)[: labels.ndim]
    table = finish(at_once, shape=labels.shape, spacing=spacing)
    assert_identical(table, measure(labels, spacing=spacing, **extras))


@few
@given(cut_images(), st.integers(0, 2**32 - 1))
def test_float_intensities_are_the_whole_image_s_up_to_rounding(cut: Any, seed: int) -> None:
    labels, grid, _ = cut
    image = np.random.default_rng(seed).normal(1000, 1, labels.shape)
    table = finish(merge(*blocks_of(labels, grid, image=image)), shape=labels.shape)
    whole = measure(labels, image)
    assert_identical(table, whole, besides=("mean_ch0", "std_ch0"))
    np.testing.assert_allclose(table["mean_ch0"], whole["mean_ch0"], rtol=1e-14)
    np.testing.assert_allclose(table["std_ch0"], whole["std_ch0"], rtol=1e-9, atol=1e-12)


def test_many_objects_across_many_blocks() -> None:
    rng = np.random.default_rng(4)
    labels = np.kron(rng.integers(0, 40, (30, 31)), np.ones((5, 4), int))
    extras = {"image": rng.integers(59000, 59003, labels.shape, dtype=np.uint16)}
    blocks = blocks_of(labels, BlockGrid(labels.shape, (37, 23)), **extras)
    rng.shuffle(blocks)  # type: ignore[arg-type]
    table = finish(merge(*blocks), shape=labels.shape, spacing=(0.11, 0.13))
    assert_identical(table, measure(labels, spacing=(0.11, 0.13), **extras))


@pytest.mark.parametrize("reverse", [False, True])
def test_a_giant_of_four_thousand_million_pixels(reverse: bool) -> None:
    # 2 ** 12 rows of 2 ** 20 pixels, from one block of 64 x 64 by doubling; half are 100 and half 102.
    image = np.tile(np.array([100, 102], np.uint8), (64, 32))
    sums = sum_block(np.ones((64, 64), int), origin=(0, 0), image=image)
    for axis, (start, stop) in enumerate(((6, 12), (6, 20))):
        for k in range(start, stop):
            beside = shifted(sums, (2**k, 0) if axis == 0 else (0, 2**k))
            sums = merge(beside, sums) if reverse else merge(sums, beside)
    small = sum_block(np.array([[2, 2]]), origin=(5000, 7), image=np.array([[1, 3]], np.uint8))
    height, width = 2**12, 2**20
    n = height * width
    assert sums.second.tolist() == [
        [
            width * (height - 1) * height * (2 * height - 1) // 6,
            (height - 1) * height // 2 * ((width - 1) * width // 2),
            height * (width - 1) * width * (2 * width - 1) // 6,  # 1.6e21, beyond 64 bits
        ]
    ]
    sums = merge(small, sums)
    table = finish(sums, shape=(6000, width))
    assert table["area_px"].tolist() == [n, 2]
    assert table["centroid_x"].tolist() == [(width - 1) / 2, 7.5]
    assert table["major_axis_px"] == pytest.approx([4 * np.sqrt((width**2 - 1) / 12), 2], rel=1e-15)
    assert table["minor_axis_px"] == pytest.approx([4 * np.sqrt((height**2 - 1) / 12), 0], rel=1e-9)
    assert table["solidity"].tolist() == [1, 1]
    assert (table["mean_ch0"].tolist(), table["std_ch0"].tolist()) == ([101, 2], [1, 1])
    # The small one's row has the digits that it has without the giant beside it.
    alone = finish(small, shape=(6000, width))
    assert [column[1] for column in table.columns.values()] == [
        column[0] for column in alone.columns.values()
    ]
    stored = from_arrays(sums.to_arrays())
    assert stored.second.tolist() == sums.second.tolist()
    assert_identical(finish(stored, shape=(6000, width)), table)


# Stored


@few
@given(cut_images())
def test_sums_come_back_from_a_file(tmp_path_factory: Any, cut: Any) -> None:
    labels, _, extras = cut
    path: Path = tmp_path_factory.mktemp("sums") / "block.npz"
    for given_extras in (extras, {}, {"image": extras["image"].astype(np.float32) / 7}):
        sums = sum_block(labels, origin=(10**6,) * labels.ndim, **given_extras)
        np.savez(path, **sums.to_arrays())
        with np.load(path, allow_pickle=False) as file:
            back = from_arrays(file)
        assert_same(back, sums)
        for field in fields(Sums):
            if getattr(sums, field.name) is not None:
                assert getattr(back, field.name).dtype == getattr(sums, field.name).dtype, field.name


def test_stored_integers_are_as_narrow_as_they_can_be() -> None:
    arrays = sum_block(np.ones((3, 100), int), origin=(0, 40000)).to_arrays()
    assert arrays["ids"].dtype == np.int8
    assert arrays["boxes"].dtype == np.int32  # 40100 is above 32767
    assert arrays["second"].dtype == np.int32  # 3 * 328350
    assert "votes" not in arrays


def test_integers_beyond_64_bits_are_added_and_stored_exactly(tmp_path: Path) -> None:
    block = sum_block(np.ones((1, 1), int), origin=(0, 0), image=np.ones((1, 1), np.uint16))
    left, right = (replace(shifted(block, (0, x)), squares=np.array([[2**62 + x]])) for x in (0, 1))
    both = merge(left, right)
    assert both.squares.tolist() == [[2**63 + 1]]
    np.savez(tmp_path / "sums.npz", **both.to_arrays())
    with np.load(tmp_path / "sums.npz", allow_pickle=False) as file:
        back = from_arrays(file)
    assert back.squares.tolist() == [[2**63 + 1]] and isinstance(back.squares[0, 0], int)


# Empty, and errors


def test_blocks_without_objects_add_nothing() -> None:
    nothing = sum_block(np.zeros((3, 3), int), origin=(0, 0))
    something = sum_block(np.ones((3, 3), int), origin=(3, 0))
    assert len(merge(nothing, nothing)) == 0
    assert_same(merge(nothing, something, nothing), something)
    assert len(finish(nothing, shape=(3, 3))) == 0
    assert_same(from_arrays(nothing.to_arrays()), nothing)


def test_sums_of_different_kinds_do_not_add_up() -> None:
    labels = np.ones((2, 2), int)
    plain = sum_block(labels, origin=(0, 0))
    grey = sum_block(labels, origin=(0, 0), image=np.ones((2, 2)), probabilities=np.ones((2, 2)))
    with pytest.raises(ShapeError, match="2 axes, 0 integer channels and of 2 axes, 1 float channels, prob"):
        merge(plain, grey)
