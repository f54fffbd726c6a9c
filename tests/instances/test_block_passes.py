"""Each pass and each join by hand, on arrays that can be read off, and the way of a record to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.instances.pictures import array

from unseam.errors import ConfigError, InputError, LabelError, ShapeError
from unseam.grid import BlockGrid
from unseam.instances import blocks

NONE = np.iinfo(np.int32).max
# Columns 3 to 5 of an image of 2 rows and 9 columns, a block with a neighbour on each side.
REGION, SHAPE = ((0, 2), (3, 6)), (2, 9)


def test_cores_of_a_block() -> None:
    growable = array("111 .11") > 0
    block, summary = blocks.find_cores(array("1.1 ..1") > 0, growable, REGION, SHAPE)
    np.testing.assert_array_equal(block, array("1?2 .?2"))
    assert block.dtype == np.int32
    assert summary.first.tolist() == [3, 5]  # columns 3 and 5 of row 0
    assert summary.classes.tolist() == [1, 1]
    assert summary.low[1].tolist() == [[1], [0]] and summary.high[1].tolist() == [[2], [2]]
    assert summary.low[0].size == summary.high[0].size == 0  # the image ends there


def test_the_first_pixel_is_counted_in_the_whole_image() -> None:
    mask = np.zeros((2, 2, 2), bool)
    mask[1, 0, 1] = True
    _, summary = blocks.find_cores(mask, None, ((2, 4), (4, 6), (6, 8)), (5, 7, 9))
    assert summary.first.tolist() == [3 * 63 + 4 * 9 + 7]


def test_class_regions_of_a_block_keep_ignored_pixels() -> None:
    block, summary = blocks.find_class_regions(array("2?1 2.2"), REGION, SHAPE)
    np.testing.assert_array_equal(block, array("2?1 2.3"))  # class by class
    assert summary.classes.tolist() == [1, 2, 2]
    assert summary.first.tolist() == [5, 3, 14]


def cores_of(mask: Any, grid: BlockGrid) -> list[blocks.CoreSummary]:
    regions = [grid.region(number) for number in range(len(grid))]
    parts = [mask[tuple(slice(a, b) for a, b in region)] for region in regions]
    return [blocks.find_cores(p, None, r, grid.shape)[1] for p, r in zip(parts, regions, strict=True)]


def test_joined_cores_are_numbered_by_their_first_pixel() -> None:
    # Blocks of 2 by 3. The arch begins in the upper right block, at column 3 of row 0, after the one pixel at
    # column 1; in the lower left block its foot is the only component.
    grid = BlockGrid((4, 6), (2, 3))
    records = cores_of(array(".1.11. ...1.. ..11.1 ..1...") > 0, grid)
    table = blocks.join_cores(grid, records.__getitem__)
    assert table.offsets.tolist() == [0, 1, 2, 3, 5]
    assert table.numbers.tolist() == [1, 2, 2, 2, 3]
    assert table.part(3).tolist() == [2, 3] and table.largest == 3
    assert table.numbers.dtype == np.int32


def test_a_later_block_can_hold_an_earlier_pixel() -> None:
    grid = BlockGrid((2, 6), (2, 3))
    records = cores_of(array("....1. .1....") > 0, grid)
    assert blocks.join_cores(grid, records.__getitem__).numbers.tolist() == [2, 1]


def test_a_join_asks_for_few_records_at_a_time() -> None:
    grid = BlockGrid((4, 6), (2, 3))
    records, asked = cores_of(np.ones((4, 6), bool), grid), []
    blocks.join_cores(grid, lambda number: (asked.append(number), records[number])[1])
    assert asked == [0, 1, 0, 2, 0, 3, 1, 2]  # each block, and those before it along each axis


def test_no_cores_at_all() -> None:
    grid = BlockGrid((4, 6), (2, 3))
    table = blocks.join_cores(grid, cores_of(np.zeros((4, 6), bool), grid).__getitem__)
    assert table.offsets.tolist() == [0] * 5 and table.largest == 0 and table.part(2).size == 0


def test_grown_objects_of_a_block() -> None:
    # A margin of 1 to the left and the right, none above and below, where the image ends.
    cores = array("7??3? ?.?.5")
    block, summary = blocks.grow_block(cores, 1, REGION, SHAPE)
    np.testing.assert_array_equal(block, array("733 ..."))
    assert summary.numbers.tolist() == [3, 7]
    assert summary.sizes.tolist() == [2, 1]
    assert summary.first.tolist() == [4, 3]
    block, _ = blocks.grow_block(cores[:, 1:-1], 0, REGION, SHAPE)
    np.testing.assert_array_equal(block, array("..3 ..."))


def test_joined_objects_sum_their_sizes() -> None:
    def record(numbers: list[int], sizes: list[int], first: list[int]) -> blocks.ObjectSummary:
        return blocks.ObjectSummary(np.array(numbers, np.int32), np.array(sizes), np.array(first))

    records = [record([1, 4], [2, 3], [5, 2]), record([1, 2, 3], [2, 3, 9], [9, 0, 4])]
    grid = BlockGrid((8,), (4,))
    # Sizes: 1 has 4, 2 has 3, 3 has 9, 4 has 3. First pixels: 5, 0, 4, 2.
    everything = blocks.join_objects(grid, records.__getitem__, 4, 3)
    assert everything.tolist() == [0, 4, 1, 3, 2] and everything.dtype == np.int32
    assert blocks.join_objects(grid, records.__getitem__, 4, 4).tolist() == [0, 2, 0, 1, 0]
    assert blocks.join_objects(grid, records.__getitem__, 4, 0).tolist() == everything.tolist()


def test_holes_of_a_block() -> None:
    # The middle 3 rows and columns are the block, the outer ones its margin.
    region, shape = ((2, 5), (3, 6)), (9, 9)
    labels = array("44444 4.4.. 44444 4.5.4 44444")
    summary = blocks.find_holes(labels, region, shape)
    # Regions in raster order: left of row 1, right of row 1, left and right of row 3.
    assert summary.lowest.tolist() == [4, 4, 4, 4]
    assert summary.highest.tolist() == [4, 4, 5, 5]
    assert not summary.border.any()
    assert summary.low[1].tolist() == [[0, 0], [0, 1], [0, 0], [0, 3], [0, 0]]
    assert summary.high[0].tolist() == [[0, 3, 0, 4, 0], [0, 0, 0, 0, 0]]


def test_a_region_of_the_margin_alone_is_left_to_its_own_block() -> None:
    labels = array("..... .111. .1.1. .111. .....")
    summary = blocks.find_holes(labels, ((2, 5), (3, 6)), (9, 9))
    assert summary.lowest.tolist() == [NONE, 1] and summary.highest.tolist() == [-NONE, 1]
    assert blocks.find_holes(labels, ((0, 5), (0, 5)), (5, 5)).border.tolist() == [True, False]


def test_joined_holes_need_one_owner_and_no_border() -> None:
    # Two blocks of one row. Regions 1 of both are one; 2 of the first touches the border in the second.
    def record(
        lowest: list[int], highest: list[int], border: list[bool], **layers: Any
    ) -> blocks.HoleSummary:
        nothing = np.empty(0, np.int32)
        low, high = layers.get("low", nothing), layers.get("high", nothing)
        return blocks.HoleSummary(
            np.array(lowest, np.int32),
            np.array(highest, np.int32),
            np.array(border),
            (np.asarray(low, np.int32),),
            (np.asarray(high, np.int32),),
        )

    first = record([5, 5, 5, 5], [5, 5, 5, 6], [False] * 4, high=[[1, 0, 2, 2, 3]])
    second = record([5, 5, 4], [5, 5, 4], [False, True, False], low=[[1, 0, 2, 2, 3]])
    table = blocks.join_holes(BlockGrid((8,), (4,)), [first, second].__getitem__)
    # Region 3 has 5 on one side and 4 on the other, region 4 has 5 and 6.
    assert table.part(0).tolist() == [5, 0, 0, 0] and table.part(1).tolist() == [5, 0, 0]


def test_filled_block() -> None:
    labels = array("44444 4.4.. 44444 4.4.4 44444")
    region, shape = ((2, 5), (3, 6)), (9, 9)
    filled = blocks.fill_block(labels, np.array([4, 0, 7, 0], np.int32), region, shape)
    np.testing.assert_array_equal(filled, array("44. 444 74."))
    unfilled = blocks.fill_block(labels, np.zeros(4, np.int32), region, shape)
    np.testing.assert_array_equal(unfilled, labels[1:-1, 1:-1])
    assert filled.dtype == unfilled.dtype == np.int32


def test_numbers_are_applied_to_objects_alone() -> None:
    block = array("2?. .12")
    np.testing.assert_array_equal(blocks.apply_numbers(block, np.array([9, 0], np.int32)), array(".?. .9."))
    nothing = blocks.apply_numbers(array("?."), np.empty(0, np.int32))
    np.testing.assert_array_equal(nothing, array("?."))


def test_records_come_back_from_a_file(tmp_path: Path) -> None:
    core = blocks.find_cores(np.ones((2, 3), bool), None, REGION, SHAPE)[1]
    _, grown = blocks.grow_block(array("73?"), 0, ((0, 1), (0, 3)), (1, 3))
    hole = blocks.find_holes(array("44444 4...4 44444"), ((1, 2), (1, 4)), (9, 9))
    table = blocks.BlockTable(np.array([0, 2]), np.array([3, 4], np.int32))
    for record in (core, grown, hole, table):
        np.savez(tmp_path / "record.npz", **blocks.to_arrays(record))
        with np.load(tmp_path / "record.npz") as file:
            back = blocks.from_arrays(type(record), file)
        before, after = blocks.to_arrays(record), blocks.to_arrays(back)
        assert list(before) == list(after)
        for name, values in before.items():
            np.testing.assert_array_equal(after[name], values)
            assert after[name].dtype == values.dtype


def many_components(_: int) -> blocks.CoreSummary:
    """A record of 2^30 components in no memory."""
    face = (np.zeros(1, np.int32),)
    return blocks.CoreSummary(np.broadcast_to(np.int64(0), 2**30), np.empty(0, np.int32), face, face)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: blocks.find_cores(np.zeros((2, 3)), None, REGION, SHAPE), LabelError, "expected bool"),
        (
            lambda: blocks.find_cores(np.zeros((2, 4), bool), None, REGION, SHAPE),
            ShapeError,
            r"block has shape \(2, 4\); expected \(2, 3\)",
        ),
        (
            lambda: blocks.find_cores(np.zeros((2, 3), bool), np.ones((3, 2), bool), REGION, SHAPE),
            ShapeError,
            r"block has shape \(3, 2\)",
        ),
        (
            lambda: blocks.find_class_regions(np.zeros((2, 5), int), REGION, SHAPE),
            ShapeError,
            r"expected \(2, 3\): pixels \(\(0, 2\), \(3, 6\)\) and 0 more",
        ),
        (
            lambda: blocks.grow_block(np.zeros((2, 3), np.int32), 2, REGION, SHAPE),
            ShapeError,
            r"expected \(2, 7\): .* 2 more on each side, as far as the image of \(2, 9\) goes",
        ),
        (
            lambda: blocks.grow_block(np.zeros((2, 3), np.int32), -1, REGION, SHAPE),
            ConfigError,
            "pixels is -1; expected 0 or more",
        ),
        (
            lambda: blocks.join_objects(BlockGrid((4,), (4,)), many_components, 0, -2),
            ConfigError,
            "min_size is -2; expected 0 or more",
        ),
        (lambda: blocks.find_holes(np.zeros((2, 3), np.int32), REGION, SHAPE), ShapeError, r"\(2, 5\)"),
        (
            lambda: blocks.fill_block(np.zeros((2, 5), np.int32), np.array([1, 2]), REGION, SHAPE),
            ShapeError,
            "1 background regions, and owners are given for 2; give the labels that find_holes saw",
        ),
        (
            lambda: blocks.join_cores(BlockGrid((8,), (4,)), many_components),
            LabelError,
            "blocks 0 to 1 hold 2147483648 components; expected fewer than 2147483647",
        ),
        (
            lambda: blocks.from_arrays(blocks.BlockTable, {"offsets": np.zeros(1)}),
            InputError,
            "a BlockTable needs an array 'numbers'; got offsets; run the pass of this block again",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(call: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        call()
