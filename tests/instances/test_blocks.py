"""Objects block by block: the numbers of the whole image, whatever the blocks and their order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.instances.pictures import array

from unseam import instances
from unseam.errors import ConfigError, InputError, ShapeError
from unseam.grid import BlockGrid, slices
from unseam.instances.blocks import apply_numbers, find_class_regions, join_cores, segment_in_blocks

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=9)
# Few levels, so that ties and rings are common: core, growable, above neither; noise, or holes in one object.
LEVELS = [0.1, 0.4, 0.7, 0.9]
FOREGROUNDS = st.one_of(
    SHAPES.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=st.sampled_from(LEVELS))),
    SHAPES.flatmap(
        lambda shape: hnp.arrays(np.float32, shape, elements=st.sampled_from(LEVELS), fill=st.just(0.9))
    ),
)


def blocks_for(shape: tuple[int, ...]) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(1, size + 1) for size in shape])


def equal_in_blocks(foreground: Any, *blocks: tuple[int, ...], **how: Any) -> np.ndarray[Any, Any]:
    """Check blocks against the whole image, forwards and backwards, and return the labels."""
    whole = instances.segment(foreground, **how)
    for block in blocks:
        count = len(BlockGrid(foreground.shape, block))
        for order in (range(count), range(count)[::-1]):
            labels = segment_in_blocks(foreground, block, order=order, **how)
            np.testing.assert_array_equal(labels, whole)
            assert labels.dtype == np.int32
    return whole


# Laws


@settings(max_examples=250, deadline=None)
@given(FOREGROUNDS, st.data())
def test_blocks_and_their_order_change_nothing(foreground: Any, data: Any) -> None:
    block = data.draw(blocks_for(foreground.shape))
    how = {
        "threshold": 0.5,
        "min_size": data.draw(st.integers(0, 5)),
        "holes": data.draw(st.booleans()),
        "grow_pixels": data.draw(st.integers(0, 3)),
        "low_threshold": data.draw(st.sampled_from([0.0, 0.3])),
        "split": data.draw(st.sampled_from([0.0, 0.8])),
        "split_size": data.draw(st.integers(1, 3)),
    }
    order = data.draw(st.permutations(range(len(BlockGrid(foreground.shape, block)))))
    labels = segment_in_blocks(foreground, block, order=order, **how)
    np.testing.assert_array_equal(labels, instances.segment(foreground, **how))


def test_blocks_change_nothing_in_many_random_images() -> None:
    rng, filled, dropped, divided = np.random.default_rng(0), 0, 0, 0
    for _ in range(300):
        axes = int(rng.integers(1, 4))
        shape = tuple(rng.integers(1, [60, 12, 7][axes - 1], axes))
        foreground = rng.choice(LEVELS, shape, p=rng.dirichlet([0.3, 0.5, 1, 4]))
        block = tuple(int(rng.integers(1, size + 2)) for size in shape)
        how = {"threshold": 0.5, "min_size": int(rng.integers(0, 5)), "low_threshold": 0.3}
        how |= {"grow_pixels": int(rng.integers(0, 3)), "split": 0.8, "split_size": int(rng.integers(1, 4))}
        order = rng.permutation(len(BlockGrid(shape, block))).tolist()
        labels = segment_in_blocks(foreground, block, order=order, **how)
        np.testing.assert_array_equal(labels, instances.segment(foreground, **how))
        unfilled = instances.segment(foreground, holes=False, **how)
        filled += np.count_nonzero(labels) > np.count_nonzero(unfilled)
        divided += unfilled.max() > instances.segment(foreground, holes=False, **how | {"split": 0}).max()
        dropped += unfilled.max() < instances.segment(foreground, **how | {"min_size": 0}).max()
    assert filled > 20 and dropped > 30 and divided > 50  # the images are not too easy


@settings(max_examples=100, deadline=None)
@given(SHAPES.flatmap(lambda s: hnp.arrays(np.int32, s, elements=st.integers(-1, 2))), st.data())
def test_class_regions_do_not_depend_on_the_blocks(classes: Any, data: Any) -> None:
    grid = BlockGrid(classes.shape, data.draw(blocks_for(classes.shape)))
    found = [
        find_class_regions(classes[slices(r)], r, grid.shape) for r in map(grid.region, range(len(grid)))
    ]
    table = join_cores(grid, lambda block: found[block][1])
    labels = np.zeros(classes.shape, np.int32)
    for number, (block, _) in enumerate(found):
        labels[slices(grid.region(number))] = apply_numbers(block, table.part(number))
    np.testing.assert_array_equal(labels, instances.label_class_regions(classes))


def many_cells(rows: int, columns: int, pitch: int, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return probabilities of a round cell in each square of a lattice; some are rings, some hold a speck."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((rows * pitch, columns * pitch))
    cell = (y // pitch, x // pitch)
    middle = rng.uniform(0.3, 0.7, (2, rows, columns)) * pitch
    distance = np.hypot(y % pitch - middle[0][cell], x % pitch - middle[1][cell])
    radius = rng.uniform(0.3, 0.55, (rows, columns))[cell] * pitch
    hollow = rng.uniform(-0.5, 0.3, (rows, columns))[cell] * pitch
    level = np.clip(np.minimum(radius - distance, distance - hollow) / 5 + 0.5, 0, 1)
    level[(distance < 1) & (hollow > 0.2 * pitch)] = 1
    return level


def test_five_thousand_cells() -> None:
    foreground = many_cells(50, 100, 16, seed=3)  # (800, 1600)
    how = {"threshold": 0.7, "min_size": 12, "grow_pixels": 2, "low_threshold": 0.4}
    labels = equal_in_blocks(foreground, (256, 256), (97, 1600), (800, 33), **how)
    assert 2000 < labels.max() < 5000  # many touch, so the lattice counts some as one
    unfilled = instances.segment(foreground, holes=False, **how)
    assert np.count_nonzero(labels) > 1.01 * np.count_nonzero(unfilled)


# By hand


def test_a_ring_across_four_blocks_with_a_speck_in_its_hole() -> None:
    ring = array("1111111 1.....1 1.....1 1..1..1 1.....1 1.....1 1111111") / 1.0
    # The corner of the four blocks is next to the speck; (1, 1) has a block for every pixel.
    blocks = [(4, 4), (3, 3), (1, 1), (7, 2), (9, 9)]
    labels = equal_in_blocks(ring, *blocks, threshold=0.5, min_size=2, grow_pixels=0)
    np.testing.assert_array_equal(labels, np.ones((7, 7)))
    kept = equal_in_blocks(ring, *blocks, threshold=0.5, min_size=1, grow_pixels=0)
    assert kept.max() == 2 and kept[2, 2] == 0  # the speck, kept, leaves the hole open


def test_a_hole_that_leaks_through_the_corner_of_four_blocks() -> None:
    # The background goes from the upper left block to the lower right one through the corner alone, and
    # from there to the border: no hole. With the leak closed it is one.
    leaking = array("111111 1..111 1..111 11111. 111.11 111111")
    leaking[3, 3] = 0
    leaking[4, 4] = 0
    blocks = [(3, 3), (1, 1), (2, 3), (6, 1), (4, 4)]
    how: dict[str, Any] = {"threshold": 0.5, "min_size": 0, "grow_pixels": 0}
    labels = equal_in_blocks(leaking / 1.0, *blocks, **how)
    np.testing.assert_array_equal(labels, leaking)
    closed = leaking.copy()
    closed[3, 5] = 1
    np.testing.assert_array_equal(equal_in_blocks(closed / 1.0, *blocks, **how), np.ones((6, 6)))


def test_two_objects_round_one_hole_each_seen_by_another_block() -> None:
    # The hole touches object 2 in the last block only; the first would else give it to object 1.
    wall = array("1111111111 1........2 1111111111")
    foreground = (wall > 0) / 1.0
    foreground[[0, 2], -1] = 0.0  # parts the two
    foreground = np.pad(foreground, 1)
    foreground[1, -2] = foreground[3, -2] = 0.0
    how: dict[str, Any] = {"threshold": 0.5, "min_size": 0, "grow_pixels": 0}
    labels = equal_in_blocks(foreground, (5, 3), (2, 4), (5, 12), **how)
    assert labels.max() == 2 and not labels[2, 2:-2].any()


def test_ties_of_growth_go_by_the_numbers_of_the_whole_image() -> None:
    # Left and right meet in column 2 of the last rows. In a block of these rows the left object comes first,
    # but the right one begins in row 0 of the image, so its number is smaller and it takes the middle. In the
    # end the left one is 1: it has grown up to the corner of the image.
    cores = array(".....1. .....1. 1...1.. 1...1.. 1...1..") > 0
    cores[2, 5] = True
    foreground = np.where(cores, 0.9, 0.4)
    labels = equal_in_blocks(
        foreground, (2, 7), (1, 1), (3, 3), threshold=0.5, min_size=0, grow_pixels=2, low_threshold=0.3
    )
    assert labels[4].tolist() == [1, 1, 2, 2, 2, 2, 2] and labels[0, 0] == 1


def test_a_snake_that_crosses_a_face_many_times_is_one_object() -> None:
    snake = np.zeros((40, 8))
    snake[::2] = 1.0  # rows, joined at the right and the left in turn
    snake[1::4, -1] = snake[3::4, 0] = 1.0
    labels = equal_in_blocks(snake, (40, 4), (7, 3), (1, 8), threshold=0.5, min_size=0, grow_pixels=0)
    assert labels.max() == 1 and np.count_nonzero(labels) == 20 * 8 + 20


def test_a_spiral_is_one_object_in_any_blocks() -> None:
    spiral = array("1111111 ......1 11111.1 1...1.1 1.111.1 1.....1 1111111") / 1.0
    how: dict[str, Any] = {"threshold": 0.5, "min_size": 0, "grow_pixels": 0}
    assert equal_in_blocks(spiral, (1, 1), (2, 3), (7, 1), (4, 4), **how).max() == 1


def test_a_hollow_ball_in_one_pixel_blocks() -> None:
    z, y, x = np.indices((9, 9, 9)) - 4
    distance = np.sqrt(z**2 + y**2 + x**2)
    ball = ((distance > 1.5) & (distance < 4)) / 1.0
    how: dict[str, Any] = {"threshold": 0.5, "min_size": 0, "grow_pixels": 0}
    labels = equal_in_blocks(ball, (1, 1, 1), (4, 5, 3), (9, 2, 9), **how)
    np.testing.assert_array_equal(labels, distance < 4)


def test_nothing_in_blocks_is_nothing() -> None:
    assert not segment_in_blocks(np.zeros((4, 5)), (2, 2), threshold=0.5, min_size=0).any()
    assert segment_in_blocks(np.ones((4, 5)), (2, 2), threshold=0.5, min_size=21).shape == (4, 5)
    assert segment_in_blocks(np.zeros((0, 5)), (2, 2), threshold=0.5, min_size=0).shape == (0, 5)
    assert math.prod(BlockGrid((0, 5), (2, 2)).counts) == 0


# Errors


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"block": (2,)}, ShapeError, "give 2 sizes of 1 or more"),
        ({"block": (2, 0)}, ShapeError, "give 2 sizes of 1 or more"),
        ({"threshold": 1.5}, ConfigError, "threshold is 1.5; expected a probability"),
        ({"min_size": -1}, ConfigError, "min_size is -1; expected 0 or more pixels"),
        ({"grow_pixels": -1}, ConfigError, "pixels is -1; expected 0 or more steps"),
        ({"foreground": np.full((2, 2), np.nan)}, InputError, "foreground holds NaN"),
    ],
)
def test_what_cannot_be_used_is_refused(change: Any, kind: type[Exception], words: str) -> None:
    given = {"foreground": np.zeros((4, 4)), "block": (2, 2), "threshold": 0.5, "min_size": 0} | change
    with pytest.raises(kind, match=words):
        segment_in_blocks(**given)
