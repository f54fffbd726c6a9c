"""Cuts: regions inside the image, tiles on the grid, no two alike, edges where tiles end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.test_prediction import drawn

from unseam.io.source import array_source
from unseam.prediction import Prepared
from unseam.verification.cuts import (
    Cut,
    choose_regions,
    common_pixels,
    cuts_of,
    odd_tile,
    reference_tile,
)

MODEL = drawn(depth=2, base_width=1)  # a grid of 4


def prepared(*shape: int, tile: int | str = 32) -> Prepared:
    return MODEL.prepare(array_source(np.zeros((1, *shape), np.uint8)), tile=tile)


def test_tiles_by_hand() -> None:
    # 96 pixels in tiles of at most 32: three of 32. Half is 16, four steps of the grid; three quarters of
    # these are three steps, which is odd.
    ready = prepared(96, 96)
    assert ready.tile == (32, 32)
    assert reference_tile(ready) == (16, 16) and odd_tile(ready) == (12, 12)
    assert reference_tile(prepared(3, 3)) == odd_tile(prepared(3, 3)) == (4, 4)


def test_edges_by_hand() -> None:
    # Tiles of 8 begin at 4, the last step of the grid before 6, then at 12 and 20; the region ends at 20.
    cut = Cut("by hand", (8, 8), ((6, 20), (8, 16)))
    assert cut.edges(prepared(96, 96)) == ((12,), ())
    # One step earlier they begin at 0, 8 and 16, and along the other axis at 4 and 12.
    earlier = Cut("earlier", (8, 8), ((6, 20), (8, 16)), before=1)
    assert earlier.edges(prepared(96, 96)) == ((8, 16), (12,))


def test_corners_come_first() -> None:
    regions = choose_regions(prepared(100, 90), 4, np.random.default_rng(0))
    assert len(regions) == 4
    assert [a for a, _ in regions[0]] == [0, 0]
    assert [b for _, b in regions[1]] == [100, 90]
    assert len(choose_regions(prepared(100, 90), 1, np.random.default_rng(0))) == 1


def test_a_small_image_is_one_region() -> None:
    assert choose_regions(prepared(7, 5), 8, np.random.default_rng(0)) == (((0, 7), (0, 5)),)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.sampled_from([4, 12, 32, 64]),
    st.integers(0, 2**31),
)
def test_every_cut_can_be_compared(shape: tuple[int, int], tile: int, seed: int) -> None:
    ready, rng = prepared(*shape, tile=tile), np.random.default_rng(seed)
    for region in choose_regions(ready, 3, rng):
        assert all(0 <= a < b <= n for (a, b), n in zip(region, shape, strict=True))
        cuts = cuts_of(ready, region, rng)
        assert cuts[0].kind == "reference" and cuts[0].region == region and len(cuts) >= 2
        seen = set()
        for cut in cuts:
            plan, origin = cut.plan(ready)
            seen.add((cut.region, tuple(origin), plan.step))
            assert all(a % 4 == 0 for a in (*origin, *plan.step))
            common = common_pixels(region, cut.region)
            assert all(a < b for a, b in common)
            assert all(0 <= a < b <= n for (a, b), n in zip(cut.region, shape, strict=True))
            for (a, b), edges in zip(cut.region, cut.edges(ready), strict=True):
                assert all(a < edge < b and edge % 4 == 0 for edge in edges)
        assert len(seen) == len(cuts)


def test_edges_of_an_image_that_is_resampled() -> None:
    """Tiles of 8 of the network's pixels are tiles of 4 of the image's, which are twice as large."""
    model = replace(MODEL, header=replace(MODEL.header, spacing=(0.5, 0.5)))
    ready = model.prepare(array_source(np.zeros((1, 40, 40), np.uint8), spacing=(1.0, 1.0)), tile=16)
    assert ready.resized.shape == (80, 80)
    rows, _ = Cut("by hand", (8, 8), ((10, 30), (10, 30))).edges(ready)
    assert np.diff(rows).tolist() == pytest.approx([4] * (len(rows) - 1), abs=1) and len(rows) >= 4
