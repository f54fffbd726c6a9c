"""Outlines of labels: exact to the pixel, each ring simple, and the same whatever the blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.reference import outlines as reference

from unseam.errors import LabelError, ShapeError
from unseam.grid import Region
from unseam.io.annotations import outlines as room
from unseam.io.annotations.outlines import outlines, outlines_of
from unseam.io.annotations.rasterise import rasterise
from unseam.io.annotations.record import Shape
from unseam.io.annotations.rings import area
from unseam.io.ome_zarr.layout import Layout
from unseam.io.ome_zarr.write import create, write
from unseam.io.open import open_sources
from unseam.io.source import Source, array_source

Labels = NDArray[np.int32]


def rings(labels: list[list[int]]) -> list[list[list[float]]]:
    (shape,) = outlines(np.array(labels))
    return [ring.tolist() for ring in shape.rings]


def same(one: tuple[Shape, ...], other: tuple[Shape, ...]) -> bool:
    return [(s.id, [r.tolist() for r in s.rings]) for s in one] == [
        (s.id, [r.tolist() for r in s.rings]) for s in other
    ]


def test_a_pixel_by_hand() -> None:
    # row 0, column 1: its corners are (0, 1), (0, 2), (1, 2), (1, 1), clockwise on the screen
    assert rings([[0, 7]]) == [[[0, 1], [0, 2], [1, 2], [1, 1]]]


def test_corners_only_where_it_turns() -> None:
    assert rings([[1, 1, 1], [1, 1, 1]]) == [[[0, 0], [0, 3], [2, 3], [2, 0]]]


def test_a_hole_runs_the_other_way() -> None:
    outer, hole = rings([[1, 1, 1], [1, 0, 1], [1, 1, 1]])
    assert outer == [[0, 0], [0, 3], [3, 3], [3, 0]]
    assert hole == [[1, 1], [2, 1], [2, 2], [1, 2]]
    assert area(np.array(outer)) == 9 and area(np.array(hole)) == -1


def test_parts_that_touch_diagonally_are_two_rings() -> None:
    assert rings([[1, 0], [0, 1]]) == [
        [[0, 0], [0, 1], [1, 1], [1, 0]],
        [[1, 1], [1, 2], [2, 2], [2, 1]],
    ]


def test_a_hole_that_touches_the_outside_diagonally_is_a_ring_of_its_own() -> None:
    # at (2, 2) the outer ring passes by; a single ring would pass there twice
    outer, hole = rings([[1, 1, 1], [1, 0, 1], [1, 1, 0]])
    assert sorted(map(tuple, outer)) == [(0, 0), (0, 3), (2, 2), (2, 3), (3, 0), (3, 2)]
    assert sorted(map(tuple, hole)) == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_no_object_no_outline() -> None:
    assert outlines(np.zeros((3, 3), np.uint16)) == ()
    assert outlines(np.full((2, 2), -1)) == ()  # pixels whose truth is unknown


def test_a_mask_is_one_object() -> None:
    assert [shape.id for shape in outlines(np.array([[True, False, True]]))] == [1]


@settings(deadline=None)
@given(reference.label_images)
def test_as_the_cracks_say(labels: Labels) -> None:
    shapes = outlines(labels)
    assert [shape.id for shape in shapes] == sorted(set(labels[labels > 0].tolist()))
    for shape in shapes:
        walked = [step for ring in shape.rings for step in reference.steps(ring)]
        assert len(walked) == len(set(walked))
        assert set(walked) == reference.cracks(labels == shape.id)
        for ring in shape.rings:
            assert len(np.unique(ring, axis=0)) == len(ring), "a ring passes a place twice"
            along = np.roll(ring, -1, axis=0) - ring
            assert (along.astype(bool)[:, 0] != np.roll(along, 1, axis=0).astype(bool)[:, 0]).all()
        signs = [area(ring) > 0 for ring in shape.rings]
        assert (sum(signs), len(signs) - sum(signs)) == reference.parts_and_holes(labels == shape.id)
        assert sum(map(area, shape.rings)) == np.count_nonzero(labels == shape.id)


@settings(deadline=None)
@given(reference.label_images)
def test_painting_gives_the_labels_again(labels: Labels) -> None:
    height, width = labels.shape
    assert np.array_equal(rasterise(outlines(labels), (height, width)), labels)


@settings(deadline=None)
@given(reference.label_images, st.integers(1, 8), st.integers(1, 8))
def test_blocks_of_any_size_give_the_same(labels: Labels, height: int, width: int) -> None:
    source = array_source(labels[None])
    assert same(outlines_of(source, block=(height, width)), outlines(labels))


@settings(deadline=None)
@given(reference.label_images)
def test_objects_are_chained_in_groups(labels: Labels) -> None:
    whole = outlines(labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "CORNERS", 5)
        assert same(outlines(labels), whole)


def test_blocks_read_each_pixel_once_and_tell_how_far_they_are() -> None:
    read = np.zeros((5, 7), dtype=int)

    def part(region: Region) -> NDArray[np.uint8]:
        (top, bottom), (left, right) = region
        read[top:bottom, left:right] += 1
        return np.ones((1, bottom - top, right - left), np.uint8)

    told: list[float] = []
    source = Source(part, (5, 7), 1, np.dtype(np.uint8))
    (shape,) = outlines_of(source, block=(2, 3), progress=told.append)
    assert shape.rings[0].tolist() == [[0, 0], [0, 7], [5, 7], [5, 0]]
    assert (read == 1).all()
    assert told == [pytest.approx(k / 9) for k in range(1, 10)]


def test_labels_of_a_zarr(tmp_path: Path) -> None:
    labels = np.kron(np.arange(12).reshape(3, 4) % 5, np.ones((9, 9), np.int32)).astype(np.int32)
    create(tmp_path / "a.zarr", Layout("YX", labels.shape, labels.dtype, (27, 36), labels=True))
    write(tmp_path / "a.zarr", ((0, 27), (0, 36)), labels)
    (source,) = open_sources(tmp_path / "a.zarr")
    assert same(outlines_of(source, block=(10, 10)), outlines(labels))


def test_labels_that_have_no_outlines_are_refused() -> None:
    with pytest.raises(
        ShapeError, match=r"labels of shape \(2, 2, 2\) have no outlines .* one slice, \(Y, X\)"
    ):
        outlines(np.zeros((2, 2, 2), int))
    with pytest.raises(ShapeError, match=r"the image has 2 channels of shape \(3, 3\); .* select one"):
        outlines_of(array_source(np.zeros((2, 3, 3), int)))
    with pytest.raises(
        LabelError, match="the label image holds float64 values, which are no labels; give integers"
    ):
        outlines(np.zeros((2, 2)))
    with pytest.raises(LabelError, match="a label of 18446744073709551615 is too large; number the objects"):
        outlines(np.full((2, 2), 2**64 - 1, np.uint64))
