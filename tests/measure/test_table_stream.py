"""The table of an image in blocks: the whole image's, with few objects held."""

from __future__ import annotations

import errno
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.measure.cut import assert_identical, blocks_of, cut_images

from unseam.errors import ConfigError, InputError, LabelError, OutputError, ShapeError
from unseam.grid import BlockGrid
from unseam.instances import label_components, number_in_raster_order
from unseam.measure import ObjectTable, TableStream, measure, prepended, sum_block, write_csv

few = settings(max_examples=60, deadline=None)


def joined(batches: Any) -> ObjectTable:
    tables = list(batches)
    return ObjectTable({name: np.concatenate([t[name] for t in tables]) for name in tables[0].columns})


def streamed(
    labels: Any, grid: BlockGrid, path: Path, *, size: int = 7, reach: int = 1, **extras: Any
) -> Any:
    """The table by way of a stream, and the most objects that it held."""
    spacing, most = (0.5, 0.25, 0.75)[: labels.ndim], 0
    with TableStream(grid, int(labels.max(initial=0)), path, spacing=spacing, reach=reach) as stream:
        for number, sums in enumerate(blocks_of(labels, grid, **extras)):
            stream.add(number, sums)
            most = max(most, stream.held)
        assert stream.held == 0
        tables = list(stream.batches(size))
    assert not path.exists()
    assert all(len(table) == size for table in tables[:-1])
    assert_identical(joined(tables), measure(labels, spacing=spacing, **extras))
    return joined(tables), most


# By hand


def test_an_object_is_finished_when_no_later_block_can_hold_more_of_it(tmp_path: Path) -> None:
    labels = np.array(
        [
            [1, 0, 2, 2, 0, 3],
            [1, 0, 0, 0, 0, 3],
            [0, 4, 4, 0, 0, 3],
            [5, 0, 0, 0, 0, 0],
        ]
    )
    grid = BlockGrid((4, 6), (2, 3))
    held = []
    with TableStream(grid, 5, tmp_path / "rows") as stream:
        for number, sums in enumerate(blocks_of(labels, grid)):
            stream.add(number, sums)
            held.append(stream.held)
        (table,) = stream.batches()
    # 1 and 2 touch the lower and the right face of block 0. In block 1 object 2 ends, and 3 touches the lower
    # face. In block 2 object 4 touches the right face, and 1 waits for the row to end; 5 is complete at once.
    assert held == [2, 2, 3, 0]
    assert table["area_px"].tolist() == [2, 2, 3, 2, 1]


def test_a_diagonal_neighbour_is_waited_for(tmp_path: Path) -> None:
    labels = np.array([[1, 0, 2, 0], [0, 1, 0, 2], [3, 0, 1, 0], [0, 0, 0, 1]])
    table, _ = streamed(labels, BlockGrid((4, 4), (2, 2)), tmp_path / "rows")
    assert table["area_px"].tolist() == [4, 2, 1]


def test_two_arms_that_meet_below_are_one(tmp_path: Path) -> None:
    labels = np.zeros((9, 12), int)
    labels[:, 1] = labels[:, 10] = labels[8, 1:11] = 1
    table, most = streamed(labels, BlockGrid((9, 12), (3, 3)), tmp_path / "rows")
    assert (table["area_px"].tolist(), most) == ([26], 1)


# Laws


@few
@given(cut_images(), st.integers(1, 9))
def test_the_stream_is_the_whole_image(tmp_path_factory: Any, cut: Any, size: int) -> None:
    labels, grid, extras = cut
    connected = number_in_raster_order(label_components(labels > 0))
    path = tmp_path_factory.mktemp("stream") / "rows"
    streamed(connected, grid, path, size=size, **extras)
    # Objects in pieces, anywhere: as far apart as the image is wide.
    present = np.unique(labels[labels > 0])
    anywhere = np.where(labels > 0, np.searchsorted(present, labels) + 1, labels)
    streamed(anywhere, grid, path, size=size, reach=max(labels.shape), **extras)


def test_few_objects_are_held(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    labels = label_components(rng.random((400, 300)) < 0.3)
    table, most = streamed(labels, BlockGrid(labels.shape, (40, 50)), tmp_path / "rows", size=1000)
    # Held are those that touch the upper or the lower face of the row of blocks, 300 pixels long, or the
    # right face of the block, 40 long; each has a pixel of its own there.
    assert len(table) > 10_000
    assert 100 < most <= 300 + 300 + 40


def test_a_volume_holds_the_objects_of_one_plane_of_blocks(tmp_path: Path) -> None:
    labels = label_components(np.random.default_rng(5).random((30, 24, 20)) < 0.2)
    table, most = streamed(labels, BlockGrid(labels.shape, (5, 8, 10)), tmp_path / "rows")
    assert len(table) > 1000
    assert 100 < most <= 2 * 24 * 20 + 5 * 20 + 5 * 8


def test_a_giant_is_not_kept_once_for_every_block(tmp_path: Path) -> None:
    labels = np.ones((60, 60), int)
    grid = BlockGrid(labels.shape, (3, 3))
    most = 0
    with TableStream(grid, 1, tmp_path / "rows") as stream:
        for number, sums in enumerate(blocks_of(labels, grid)):
            stream.add(number, sums)
            parts = chain.from_iterable(stream._waiting.values())
            most = max(most, sum(part.rows.shape[1] for part in parts if part.rows is not None))
        assert joined(stream.batches())["area_px"].tolist() == [3600]
    # Its 60 rows, and the 3 rows of each of the 20 blocks of this row of blocks and of the last one.
    assert 60 <= most <= 60 + 2 * 20 * 3


def test_frames_follow_each_other_in_one_table(tmp_path: Path) -> None:
    frames = [np.array([[1, 1, 0], [0, 0, 2]]), np.zeros((2, 3), int), np.array([[1, 0, 0], [1, 0, 0]])]
    grid = BlockGrid((2, 3), (1, 2))

    def batches(frame: int, labels: Any) -> Any:
        with TableStream(grid, int(labels.max()), tmp_path / f"rows{frame}") as stream:
            for number, sums in enumerate(blocks_of(labels, grid)):
                stream.add(number, sums)
            yield from prepended(stream.batches(1), frame=frame)

    path = tmp_path / "cells.csv"
    assert write_csv(chain.from_iterable(batches(k, one) for k, one in enumerate(frames)), path) == 3
    lines = [line.split(",")[:4] for line in path.read_text().splitlines()]
    assert lines == [
        ["frame", "id", "class", "area_px"],
        ["0", "1", "1", "2"],
        ["0", "2", "1", "1"],
        ["2", "1", "1", "2"],
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["cells.csv"]


def test_an_image_without_objects_has_one_table_with_all_columns(tmp_path: Path) -> None:
    table, most = streamed(np.zeros((5, 4), int), BlockGrid((5, 4), (2, 2)), tmp_path / "rows")
    assert (len(table), most) == (0, 0)


# Errors

GRID = BlockGrid((2, 4), (2, 2))
LEFT, RIGHT = (sum_block(np.array([[k, 0], [k, 0]]), origin=(0, 2 * (k - 1))) for k in (1, 2))
GREY = sum_block(np.array([[0, 2], [0, 2]]), origin=(0, 2), image=np.ones((2, 2)))


def test_blocks_come_in_raster_order(tmp_path: Path) -> None:
    with TableStream(GRID, 2, tmp_path / "rows") as stream:
        with pytest.raises(InputError, match="block 1 was given; expected block 0 of 2"):
            stream.add(1, RIGHT)
        stream.add(0, LEFT)
        with pytest.raises(InputError, match="block 0 was given; expected block 1 of 2"):
            stream.add(0, LEFT)
        with pytest.raises(InputError, match="1 of 2 blocks were added"):
            next(stream.batches())
        stream.add(1, RIGHT)
        with pytest.raises(InputError, match="block 2 was given"):
            stream.add(2, RIGHT)
        assert joined(stream.batches())["centroid_x"].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("count", "block", "kind", "words"),
    [
        (2, LEFT, InputError, r"block 1 is \(\(0, 2\), \(2, 4\)\) and its sums are of other pixels"),
        (1, RIGHT, LabelError, "block 1 has an object 2; expected ids from 1 to 1"),
        (2, GREY, ShapeError, "block 1 has sums of 2 axes, 1 float channels, block 0 of 2 axes, 0 integer"),
    ],
)
def test_a_block_that_does_not_belong_is_refused(
    tmp_path: Path, count: int, block: Any, kind: type[Exception], words: str
) -> None:
    with TableStream(GRID, count, tmp_path / "rows") as stream:
        stream.add(0, LEFT)
        with pytest.raises(kind, match=words):
            stream.add(1, block)


def test_a_number_without_pixels_is_named(tmp_path: Path) -> None:
    with TableStream(GRID, 3, tmp_path / "rows") as stream:
        stream.add(0, LEFT)
        stream.add(1, RIGHT)
        batches = stream.batches(2)
        assert next(batches)["id"].tolist() == [1, 2]
        with pytest.raises(LabelError, match="object 3 of 3 has no pixel; number the labels"):
            next(batches)


def test_an_object_torn_further_than_its_reach_is_told(tmp_path: Path) -> None:
    right = sum_block(np.array([[0, 1], [0, 0]]), origin=(0, 2))
    with TableStream(GRID, 1, tmp_path / "rows") as stream:
        stream.add(0, LEFT)
        with pytest.raises(
            LabelError, match=r"object 1 was complete and goes on in block 1: .* more than 1 px apart"
        ):
            stream.add(1, right)
    with TableStream(GRID, 1, tmp_path / "rows", reach=3) as stream:
        stream.add(0, LEFT)
        stream.add(1, right)
        assert joined(stream.batches())["area_px"].tolist() == [3]


def test_a_spacing_that_does_not_fit_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected 2 pixel sizes"):
        TableStream(GRID, 1, tmp_path / "rows", spacing=(1.0,))
    assert not (tmp_path / "rows").exists()


def test_a_scratch_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot keep rows of the table in .*; free some space"):
        TableStream(GRID, 1, tmp_path)


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def truncate(self, _: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    with TableStream(GRID, 1, tmp_path / "rows") as stream:
        stream._file.close()
        monkeypatch.setattr(stream, "_file", Full())
        with pytest.raises(OutputError, match="No space left on device"):
            stream.add(0, LEFT)
    assert not (tmp_path / "rows").exists()
