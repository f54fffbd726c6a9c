"""Tiles of which size are taken: timed on an engine whose times and bits are known, then by law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.engines.fakes import as_is, fake, labels_in_blocks, run_by, soft
from tests.tiny import untrained

from unseam.engines import Engine, EngineNetwork, bits, pace
from unseam.engines.bits import find_rule, with_rule
from unseam.engines.pace import paced
from unseam.geometry import Geometry
from unseam.io.source import Source
from unseam.prediction import Model
from unseam.prediction.tiles import plan_image, tile_bytes
from unseam.streaming.plan import in_short, plan_stream
from unseam.tile_rule import ANY_TILE, TileRule
from unseam.tiling import plan_tiles

Array = NDArray[Any]
PAPER = Geometry.regular(spatial_dims=2, depth=4)
BIG = 10**12


class Clock:
    """A clock that goes on by what engines say they take."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time_of(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "clock", clock)
    monkeypatch.setattr(pace, "WORTH", 8)
    return clock


def timed(clock: Clock, rates: Mapping[int, float], *, first: float = 3.0, **how: Any) -> Engine:
    """A fake engine that computes so many pixels of an output a second, `first` times as long at first; where
    no rate is known it fails."""
    plain = fake(**how)

    def compile_tile(network: Any, tile: Any, **options: Any) -> Any:
        run, output = plain.compile_tile(network, tile, **options), network.geometry.output(tile)
        runs = 0

        def slow(x: Array) -> Array:
            nonlocal runs
            clock.now += np.prod(output) / rates[output[0]] * (1 if runs else first)
            runs += 1
            return run(x)

        return slow

    return replace(plain, compile_tile=compile_tile)


def network_of(engine: Engine, precision: str = "float32") -> EngineNetwork:
    return run_by(untrained(), engine, precision).own


ALL = (256, 384, 512, 640, 768, 1024, 1536)
FAST = dict.fromkeys(ALL, 1e8)


@pytest.mark.parametrize(
    ("rates", "expected", "tried"),
    [
        ({1024: 1.5e8, 768: 1.2e8}, 1024, {512, 640, 768, 1024, 1536}),
        (
            {768: 0.8e8, 384: 1.3e8},
            384,
            {256, 384, 512, 640, 768},
        ),  # larger ones fall, so none beyond is tried
        ({}, 1536, set(ALL)),  # no difference: the largest, which compute least twice
        ({768: 2e8, 1024: 1e8}, 768, {512, 640, 768, 1024}),
    ],
)
def test_the_fastest_size_is_taken(
    rates: dict[int, float], expected: int, tried: set[int], time_of: Clock
) -> None:
    network = paced(network_of(timed(time_of, FAST | rates)), (6144, 6144), lambda _: True)
    assert {shape[0] for shape, _ in network.rule.seconds} == tried and not network.rule.shapes
    assert dict(network.rule.seconds)[512, 512] == pytest.approx(512**2 / (FAST | rates)[512])
    assert plan_image((6144, 6144), network, tile="auto", memory=BIG).step == (expected, expected)
    assert plan_image((40, 40), network, tile="auto", memory=BIG).step == (40, 40)


def test_memory_bounds_what_is_tried_and_what_is_taken(time_of: Clock) -> None:
    network = network_of(timed(time_of, FAST))
    found = paced(network, (6144, 6144), lambda output: output[0] <= 800)
    assert max(shape[0] for shape, _ in found.rule.seconds) == 768
    memory = tile_bytes(network.geometry.input_for((512, 512)), network)
    assert plan_image((6144, 6144), found, tile="auto", memory=memory).step == (512, 512)
    half = replace(network, precision="bfloat16")
    assert 2 * tile_bytes((600, 600), half) == tile_bytes((600, 600), network)
    other = network_of(timed(time_of, FAST))
    assert paced(other, (6144, 6144), lambda _: False) is other


def test_time_bounds_what_is_tried(time_of: Clock) -> None:
    """A tile of 512 takes a second: five runs of larger ones are far beyond the share of the image."""
    network = network_of(timed(time_of, dict.fromkeys(ALL, 512.0**2)))
    found = paced(network, (2048, 2048), lambda _: True)
    assert [shape for shape, _ in found.rule.seconds] == [(512, 512)] and time_of.now == 5.0
    larger = paced(network, (20480, 20480), lambda _: True)  # goes on where it was, the image is worth more
    assert (640, 640) in dict(larger.rule.seconds)
    assert time_of.now < 5 + pace.SHARE * 1600
    assert paced(network, (2048, 2048), lambda _: True) is larger


def test_small_images_are_not_worth_it(time_of: Clock) -> None:
    network = network_of(timed(time_of, FAST))
    for image in ((1024, 1024), (100, 10**6)):
        assert paced(network, image, lambda _: True).rule == ANY_TILE
    assert time_of.now == 0


def test_a_gpu_is_not_measured(time_of: Clock) -> None:
    engine = replace(timed(time_of, FAST), device="cuda")
    assert paced(network_of(engine), (6144, 6144), lambda _: True).rule == ANY_TILE


def test_a_size_that_cannot_be_run_is_not_taken(time_of: Clock) -> None:
    """Without a rate the engine raises; it is not asked again."""
    rates = {size: 1e8 for size in ALL if size != 1024}
    network = paced(network_of(timed(time_of, rates)), (6144, 6144), lambda _: True)
    assert dict(network.rule.seconds)[1024, 1024] == np.inf
    assert plan_image((6144, 6144), network, tile="auto", memory=BIG).step == (768, 768)


def test_only_sizes_with_the_same_bits_are_taken(time_of: Clock) -> None:
    """Beyond 800 pixels the engine takes other kernels: faster, and of no use."""
    rates = FAST | {1024: 5e8, 1536: 9e8, 128: 1e8, 768: 1.1e8}
    network = network_of(timed(time_of, rates, above=800, below=200), "bfloat16")
    network = network.with_rule(find_rule(network))
    assert network.rule.shapes == ((256, 256), (384, 384), (512, 512)) and network.rule.is_exact
    found = paced(network, (6144, 6144), lambda _: True)
    assert found.rule.shapes == (*network.rule.shapes, (640, 640), (768, 768)) and found.rule.is_exact
    assert (1024, 1024) in dict(found.rule.seconds)
    assert plan_image((6144, 6144), found, tile="auto", memory=BIG).step == (768, 768)


def test_what_was_measured_is_remembered(time_of: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = FAST | {128: 1e8}
    network = replace(network_of(timed(time_of, rates), "bfloat16"), digest="a file that is timed")
    network = network.with_rule(find_rule(network))
    found = paced(network, (6144, 6144), lambda _: True)
    monkeypatch.setattr(pace, "measured", lambda *_: pytest.fail("it was measured before"))
    again = paced(replace(network), (100, 100), lambda _: True)  # as it is loaded another day
    assert again.rule == found.rule and len(again.rule.shapes) > len(network.rule.shapes)
    assert paced(replace(network, threads=3), (100, 100), lambda _: True).rule == network.rule


def test_what_was_won_in_words() -> None:
    rule = TileRule(seconds=(((512, 512), 1.0), ((1024, 1024), 2.5)))
    assert in_short(rule, (1024, 1024)) == "; tiles of 1024 pixels are 1.6 times as fast as of 512 here"
    assert in_short(rule, (512, 512)) == in_short(rule, (256, 256)) == in_short(ANY_TILE, (512, 512)) == ""


def test_blocks_are_cut_into_the_fastest_tiles() -> None:
    image = Source(lambda _: np.empty(0), (9000, 9000), 1, np.dtype(np.uint8))
    model = untrained()
    assert plan_stream(model, image).tile == (512, 512)
    rule = TileRule(seconds=(((512, 512), 1.0), ((1024, 1024), 2.5)))
    assert plan_stream(replace(model, network=model.own.with_rule(rule)), image).tile == (1024, 1024)


def test_labels_are_the_same_when_tiles_are_timed(
    time_of: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With tiles of 112 pixels, which are fast, and not with those of 128, which are faster and not alike."""
    monkeypatch.setattr(Model, "agreeing", lambda model, _: model)
    monkeypatch.setattr(bits, "SHAPES", {2: ((64, 64), (96, 96))})
    monkeypatch.setattr(pace, "USUAL", {2: 96})
    monkeypatch.setattr(pace, "LARGER", {2: (112, 128)})
    rates = {64: 1e6, 96: 1e6, 112: 2e6, 128: 9e6}
    plain = as_is(run_by(untrained(), timed(time_of, rates, above=120)))
    model, image = replace(plain, network=with_rule(plain.own)), soft(300, 280)
    first = model.predict(image, tile=64).labels
    assert first.max() > 100
    paced_model = model.paced((300, 280))
    assert paced_model.own.rule.shapes == ((64, 64), (96, 96), (112, 112))
    assert plan_image((300, 280), paced_model.network, tile="auto", memory=BIG).step == (112, 112)
    np.testing.assert_array_equal(model.predict(image).labels, first)
    np.testing.assert_array_equal(labels_in_blocks(model, image, tmp_path, 224), first)


# Laws

SIZES = st.sampled_from([(16, 16), (32, 16), (48, 48), (16, 96), (96, 96)])


@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    shapes=st.lists(SIZES, min_size=1, unique=True),
    seconds=st.lists(st.floats(1e-3, 10), min_size=5, max_size=5),
    wanted=st.integers(16, 200),
)
def test_each_pixel_is_covered_once(
    shape: tuple[int, int], shapes: list[tuple[int, int]], seconds: list[float], wanted: int
) -> None:
    """By tiles of one of the shapes alone, none larger than is wanted unless all are."""
    rule = TileRule(tuple(shapes), seconds=tuple(zip(shapes, seconds, strict=False)))
    plan = plan_tiles(shape, PAPER, wanted, rule)
    assert plan.step in rule.allowed((wanted, wanted)) and plan.tile_input == PAPER.input_for(plan.step)
    assert max(plan.step) <= wanted or plan.step == rule.least
    seen = np.zeros(shape, int)
    for tile in plan:
        seen[tuple(slice(*part) for part in tile.write)] += 1
        assert [b - a for a, b in tile.crop] == [b - a for a, b in tile.write]
    assert (seen == 1).all()


@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)), shapes=st.lists(SIZES, min_size=1, unique=True)
)
def test_a_plan_of_a_plan_takes_the_same_tiles(shape: tuple[int, int], shapes: list[tuple[int, int]]) -> None:
    """So that a part of the work, which is told the size, cuts as was planned."""
    rule = TileRule(tuple(shapes), seconds=tuple((one, float(n + 1)) for n, one in enumerate(shapes)))
    plan = plan_tiles(shape, PAPER, 200, rule)
    assert plan_tiles(shape, PAPER, plan.step, rule) == plan
