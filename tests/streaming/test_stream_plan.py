"""What streaming will take: within the memory given, and said in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tiny import untrained

from unseam.errors import ConfigError
from unseam.io.source import Source
from unseam.streaming import plan as planning
from unseam.streaming.output import chunk_of
from unseam.streaming.plan import (
    StreamPlan,
    base_bytes,
    in_bytes,
    parse_bytes,
    plan_of,
    plan_stream,
    time_tile,
)

GB = 2**30


def image(*shape: int, spacing: tuple[float, ...] | None = None) -> Source:
    return Source(lambda _: np.empty(0), shape, 1, np.dtype(np.uint8), spacing=spacing)


@pytest.fixture(autouse=True)
def small_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the tests before have left in memory."""
    monkeypatch.setattr(planning, "base_bytes", lambda: 300 * 2**20)


def test_large_blocks_where_memory_allows() -> None:
    plan = plan_stream(untrained(), image(10_000, 20_000))
    assert plan.block == (2048, 2048) and plan.tile == (512, 512)
    assert plan.tiles == 16 * len(plan.grid) == 16 * 5 * 10
    assert plan_stream(untrained(dims=3), image(500, 500, 500)).block == (192, 192, 192)


def test_an_image_smaller_than_a_block_is_one() -> None:
    plan = plan_stream(untrained(), image(101, 60))
    assert plan.block == (102, 60) and len(plan.grid) == 1


@pytest.mark.parametrize("memory", [320 * 2**20, 400 * 2**20, GB])
def test_the_plan_keeps_within_memory_whatever_the_image(memory: int) -> None:
    plans = [plan_stream(untrained(), image(side, side), memory=memory) for side in (4000, 16_000, 64_000)]
    assert all(plan.memory <= memory for plan in plans)
    assert len({(plan.block, plan.memory) for plan in plans}) == 1


def test_more_blocks_at_once_are_smaller() -> None:
    one, four = (plan_stream(untrained(), image(9000, 9000), memory=GB, at_once=n) for n in (1, 4))
    assert four.block < one.block


def test_blocks_that_are_asked_for_lie_on_the_grid() -> None:
    assert plan_stream(untrained(), image(999, 999), block=33).block == (34, 34)
    assert plan_stream(untrained(), image(999, 999), block=33, tile=8).tile == (8, 8)


def test_another_pixel_size_changes_the_tiles_not_the_blocks() -> None:
    model = untrained(spacing=(0.5, 0.5))
    same = plan_stream(model, image(4096, 4096, spacing=(0.5, 0.5)))
    finer = plan_stream(model, image(4096, 4096, spacing=(0.25, 0.25)))
    assert finer.block == same.block and finer.tiles * 4 == same.tiles
    assert plan_stream(model, image(4096, 4096, spacing=(0.25, 0.25)), rescale=False).tiles == same.tiles


def test_a_zoom_changes_the_tiles_as_a_pixel_size_does() -> None:
    model = untrained(spacing=(0.5, 0.5))
    finer = plan_stream(model, image(4096, 4096, spacing=(0.25, 0.25)))
    assert plan_stream(model, image(4096, 4096, spacing=(0.5, 0.5)), zoom=0.5) == finer


def test_what_is_read_at_the_image_s_own_resolution_counts() -> None:
    model = untrained(spacing=(1.0, 1.0))
    plans = [plan_stream(model, image(9000, 9000, spacing=(s, s)), block=2048) for s in (1.0, 0.5, 0.1)]
    assert plans[0].memory < plans[2].memory


@pytest.mark.parametrize("depth", [67, 97, 5, 193])
def test_blocks_of_volumes_are_whole_chunks_of_some_size(depth: int) -> None:
    model = untrained(dims=3)
    plan = plan_stream(model, image(depth, 500, 500))
    assert min(chunk_of(plan.block)) >= min(32, depth)
    assert all(size % chunk == 0 for size, chunk in zip(plan.block, chunk_of(plan.block), strict=True))


def test_a_plan_that_was_decided_is_described() -> None:
    plan = plan_stream(untrained(), image(9000, 9000), block=500, tile=100)
    again = plan_of(untrained(), image(9000, 9000), block=plan.block, tile=plan.tile)
    assert again == plan


def test_in_words() -> None:
    plan = StreamPlan((4096, 4096), (2048, 2048), (512, 512), (600, 600), 64, 3 * GB // 2)
    expected = "64 tiles of at most 512 x 512 pixels in 4 blocks of 2048 x 2048, about 1.5 GB of memory"
    assert str(plan) == expected
    one = StreamPlan((99, 99), (100, 100), (100, 100), (188, 188), 1, 90)
    assert str(one) == "one tile of 100 x 100 pixels in one block, about 90 bytes of memory"


def test_memory_that_is_too_little() -> None:
    with pytest.raises(ConfigError) as caught:
        plan_stream(untrained(), image(9000, 9000), memory=10**7)
    words = str(caught.value)
    assert words.startswith(
        "memory of 9.5 MB is too little: the program and the smallest blocks take about 30"
    )
    least = int(words.split("--memory ")[1].split("MB")[0])
    assert plan_stream(untrained(), image(9000, 9000), memory=least * 2**20).memory <= least * 2**20


def test_a_block_of_nothing() -> None:
    with pytest.raises(ConfigError, match="block is 0; give a number of pixels, for example 2048"):
        plan_stream(untrained(), image(99, 99), block=0)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4 * GB),
        ("4 gib", 4 * GB),
        ("0.5G", GB // 2),
        ("800MB", 800 * 2**20),
        ("123", 123),
        (".5K", 512),
    ],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "4 PB", "-1GB", "0", "four"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ConfigError, match=r"memory is .*; give a size as 4GB or 800MB"):
        parse_bytes(text)


@pytest.mark.parametrize(("size", "words"), [(90, "90 bytes"), (2**20, "1 MB"), (1.5 * GB, "1.5 GB")])
def test_sizes_as_people_read_them(size: float, words: str) -> None:
    assert in_bytes(size) == words


def test_a_tile_takes_some_time() -> None:
    model = untrained()
    assert 0 < time_tile(model, plan_stream(model, image(64, 64)), "none", repeats=1) < 10


def test_the_program_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert base_bytes() >= planning.BASE_BYTES

    def unreadable(*_: Any) -> str:
        raise OSError

    monkeypatch.setattr(Path, "read_text", unreadable)
    assert base_bytes() == planning.BASE_BYTES
