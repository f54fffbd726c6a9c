"""Which tiles compute alike: found, remembered, and kept by every cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.engines.fakes import as_is, fake, faked, labels_in_blocks, run_by, soft
from tests.tiny import untrained

from unseam.decisions import small_tiles, smallest_tile
from unseam.engines import EngineNetwork, bits
from unseam.engines.bits import difference, find_rule, with_rule, work
from unseam.geometry import Geometry
from unseam.prediction import Model
from unseam.tile_rule import ANY_TILE, TileRule
from unseam.tiling import plan_tiles

Array = NDArray[Any]
PAPER = Geometry.regular(spatial_dims=2, depth=4)


SQUARES = ((128, 128), (256, 256), (384, 384), (512, 512))


@pytest.mark.parametrize(
    ("engine", "rule"),
    [
        ({}, TileRule(SQUARES, is_exact=True)),
        ({"below": 200}, TileRule(SQUARES[1:], is_exact=True)),
        ({"below": 500}, TileRule(SQUARES[3:], is_exact=True)),
        ({"by_place": 1e-6}, TileRule(SQUARES)),  # rounding, which is settled
        ({"by_place": 1e-3}, TileRule(SQUARES[3:])),
        ({"below": 200, "by_place": 1e-6}, TileRule(SQUARES[1:])),
        ({"above": 300}, TileRule(SQUARES[2:], is_exact=True)),
    ],
)
def test_all_that_agree_with_the_reference_are_found(engine: dict[str, Any], rule: TileRule) -> None:
    assert find_rule(faked(**engine).own) == rule


def test_volumes_have_thin_tiles_too() -> None:
    network = run_by(untrained(dims=3), fake(below=60)).own
    thin = ((16, 64, 64), (16, 96, 96), (32, 96, 96))
    rule = find_rule(network)
    assert rule == TileRule((*thin, (64, 64, 64), (96, 96, 96)), is_exact=True)
    assert rule.least == (16, 64, 64)
    assert plan_tiles((12, 90, 180), network.geometry, 96, rule).step == (16, 96, 96)


def test_what_is_no_number_does_not_agree() -> None:
    one = ((0, 0), np.zeros((1, 4, 4), np.float32))
    assert difference(one, ((2, 2), np.full((1, 4, 4), np.nan, np.float32))) == np.inf
    assert difference(one, ((2, 2), np.full((1, 4, 4), 0.5, np.float32))) == 0.5


def test_float32_has_no_least_size() -> None:
    network = faked(below=200).own
    assert with_rule(replace(network, precision="float32")).rule == ANY_TILE


def test_what_was_found_is_remembered_by_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    network = replace(faked(below=200).own, digest="some file")
    found = with_rule(network).rule
    assert found.least == (256, 256)
    monkeypatch.setattr(bits, "find_rule", lambda _: pytest.fail("it was found before"))
    assert with_rule(network).rule == found and found.is_exact


def test_long_tiles_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    network = faked(below=200).own
    size = network.geometry.input_for((384, 384))
    monkeypatch.setattr(bits, "MOST_WORK", work(network.folded, size) + 1)
    assert find_rule(network).shapes == ((256, 256), (384, 384))
    monkeypatch.setattr(bits, "MOST_WORK", 0.0)
    assert find_rule(network).largest == (128, 128)


def test_the_work_by_hand() -> None:
    """Width 2, depth 1, one channel, 20 in: 18, 16 | 8: 6, 4 | 8: 6, 4."""
    down = 18**2 * 1 * 2 * 9 + 16**2 * 2 * 2 * 9
    bottom = 6**2 * 2 * 4 * 9 + 4**2 * 4 * 4 * 9
    up = 6**2 * 4 * 2 * 9 + 4**2 * 2 * 2 * 9
    assert work(untrained().own.folded, (20, 20)) == down + bottom + up


# Plans that keep the rule


def test_tiles_are_those_that_were_compared() -> None:
    rule = TileRule(((256, 256), (384, 384), (128, 512)))
    plan = plan_tiles((520, 100), PAPER, 256, rule)  # there is nothing smaller
    assert plan.step == (256, 256) and plan.tile_input == PAPER.input_for((256, 256))
    assert [tile.write for tile in plan] == [((a, min(a + 256, 520)), (0, 100)) for a in (0, 256, 512)]
    assert plan_tiles((760, 760), PAPER, 512, rule).step == (384, 384)  # four, instead of nine or twelve
    assert plan_tiles((120, 500), PAPER, 512, rule).step == (128, 512)  # one, instead of two
    assert plan_tiles((40, 40), PAPER, 512, rule).step == (256, 256)  # the least that is read
    assert plan_tiles((40, 40), PAPER, 16, rule).step == (256, 256)


def test_a_single_shape_is_the_only_one() -> None:
    plan = plan_tiles((700, 90), PAPER, 1000, TileRule(((128, 128),)))
    assert plan.tile_input == PAPER.input_for((128, 128)) and plan.step == (128, 128)


def test_cells_to_settle_in_keep_the_rule() -> None:
    rule = TileRule(((384, 384), (256, 256)))
    assert smallest_tile(PAPER) == [96, 96]
    assert smallest_tile(PAPER, rule) == [256, 256]
    assert small_tiles((900, 900), PAPER, rule).step == (256, 256)


# The law: no cut shows


@pytest.mark.parametrize(
    "engine", [{"below": 200}, {"below": 100}, {"below": 200, "by_place": 1e-6}, {"by_place": 1e-3}]
)
def test_labels_do_not_depend_on_the_cut(
    engine: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Model, "agreeing", lambda model, _: model)  # it is none of the network's
    model, image = as_is(faked(**engine)), soft(300, 280)
    cut = replace(model, network=with_rule(model.own))
    first = cut.predict(image, tile=512).labels
    assert first.max() > 100
    for tile in (4, 100, 200, "auto"):
        np.testing.assert_array_equal(cut.predict(image, tile=tile).labels, first)
    for block in (64, 200):
        np.testing.assert_array_equal(labels_in_blocks(cut, image, tmp_path, block), first)
    apart = [
        np.ptp([of.probabilities(image, tile=t)[0] for t in (100, 512)], axis=0).max() for of in (model, cut)
    ]
    if engine.get("below") == 200:  # which shows without the rule
        assert apart[0] > 1e-2 and apart[1] < 1e-5


def test_nothing_is_settled_where_bits_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "agreeing", lambda model, _: model)
    tiles: list[tuple[int, ...]] = []
    model = faked(below=200)
    whole = EngineNetwork.probabilities

    def counted(network: EngineNetwork, tile: Array) -> Array:
        tiles.append(tile.shape)
        return whole(network, tile)

    monkeypatch.setattr(EngineNetwork, "probabilities", counted)
    for exact, count in ((True, 1), (False, 2)):  # settling looks at a tile at least
        tiles.clear()
        rule = TileRule(((256, 256),), is_exact=exact)
        replace(model, network=model.own.with_rule(rule)).predict(soft(100, 100))
        assert len(tiles) == count


def test_a_network_that_is_sure_of_noise_is_made_unsure() -> None:
    plain = untrained().own
    sure = np.float32([60.0, *[0.0] * (plain.classes - 1)])
    folded = replace(plain.folded, head=replace(plain.folded.head, bias=sure))
    network = replace(plain, folded=folded, precision="bfloat16")
    image = bits.noise_for(network, (128, 128))
    _, before = bits.answer(network, image, (128, 128), shift=0)
    _, after = bits.answer(bits.unsure(network), image, (128, 128), shift=0)
    assert before[0].min() == 1.0  # no difference of kernels could be seen
    assert ((after > 0.02) & (after < 0.98)).mean() >= 0.2
    assert network.folded.head.bias[0] == 60.0
