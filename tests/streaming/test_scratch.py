"""Arrays between the passes: any region is what was written, rims and all; damage is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseam.errors import FileReadError
from unseam.grid import BlockGrid, slices
from unseam.streaming import scratch as module
from unseam.streaming.scratch import Scratch


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(1, 3), st.integers(1, 4), st.sampled_from(["int32", "uint16"]))
def test_any_region_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, data: Any, dims: int, rim: int, dtype: str
) -> None:
    sizes = st.tuples(*[st.integers(1, 12 if dims < 3 else 6)] * dims)
    grid = BlockGrid(data.draw(sizes), data.draw(sizes))
    scratch = Scratch(tmp_path_factory.mktemp("scratch"), grid, dtype, rim)
    whole = np.random.default_rng(0).integers(0, 1000, grid.shape).astype(dtype)
    for number in data.draw(st.permutations(range(len(grid)))):
        scratch.write(number, whole[slices(grid.region(number))])
    region = []
    for size in grid.shape:
        start = data.draw(st.integers(0, size - 1))
        region.append((start, data.draw(st.integers(start + 1, size))))
    read = scratch.read(tuple(region))
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, whole[slices(tuple(region))])


def test_of_a_neighbour_the_rim_alone_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = Scratch(tmp_path, BlockGrid((64, 128), (64, 64)), "int32", rim=2)
    for number in range(2):
        scratch.write(number, np.full((64, 64), number, np.int32))
    decoded: list[int] = []
    decode = module.zstd_decode

    def counting(data: bytes) -> bytes:
        pixels = bytes(decode(data))
        decoded.append(len(pixels) // 4)
        return pixels

    monkeypatch.setattr(module, "zstd_decode", counting)
    assert scratch.read(((0, 64), (0, 66)))[0, -1] == 1
    assert sum(decoded) == 64 * 64 + 64 * 2


def test_a_block_that_is_missing_or_damaged(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, BlockGrid((9, 9), (9, 9)), "int32", 1)
    with pytest.raises(FileReadError, match=r"cannot read .*0000000\.zst .*; remove the folder of half-done"):
        scratch.read(((0, 9), (0, 9)))
    scratch.write(0, np.ones((9, 9), np.int32))
    (file,) = tmp_path.glob("*/*.zst")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(FileReadError, match="cannot read"):
        scratch.read(((0, 9), (0, 9)))
