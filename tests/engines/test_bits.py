"""From which size on tiles compute alike: found, remembered, and kept by every cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from tests.engines.fakes import faked
from tests.tiny import untrained

from unseam.decisions import smallest_tile
from unseam.engines import EngineNetwork, bits
from unseam.engines.bits import find_rule, with_rule, work
from unseam.geometry import Geometry
from unseam.io.images import write_tiff
from unseam.prediction import Model
from unseam.streaming.job import ImageSpec
from unseam.streaming.run import stream
from unseam.streaming.wanted import Wanted
from unseam.tiling import ANY_TILE, TileRule, plan_tiles

Array = NDArray[Any]
PAPER = Geometry.regular(spatial_dims=2, depth=4)


@pytest.mark.parametrize(
    ("engine", "rule"),
    [
        ({}, TileRule((128, 128), is_exact=True)),  # the smallest that is tried
        ({"below": 200}, TileRule((256, 256), is_exact=True)),
        ({"below": 500}, TileRule((512, 512), is_exact=True)),
        ({"by_place": 1e-6}, TileRule((128, 128))),  # rounding, which is settled
        ({"by_place": 1e-3}, TileRule((512, 512), is_single=True)),
        ({"below": 200, "by_place": 1e-6}, TileRule((256, 256))),
    ],
)
def test_the_least_size_is_found(engine: dict[str, Any], rule: TileRule) -> None:
    assert find_rule(faked(**engine).own) == rule


def test_float32_has_no_least_size() -> None:
    network = faked(below=200).own
    assert with_rule(replace(network, precision="float32")).rule == ANY_TILE


def test_what_was_found_is_remembered_by_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    network = replace(faked(below=200).own, digest="some file")
    assert with_rule(network).rule.least == (256, 256)
    monkeypatch.setattr(bits, "find_rule", lambda _: pytest.fail("it was found before"))
    assert with_rule(network).rule == TileRule((256, 256), is_exact=True)


def test_long_tiles_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    network = faked(below=200).own
    size = network.geometry.input_for((384, 384))
    monkeypatch.setattr(bits, "MOST_WORK", work(network.folded, size) + 1)
    assert find_rule(network).least == (256, 256)
    monkeypatch.setattr(bits, "MOST_WORK", 0.0)
    assert find_rule(network).least == (128, 128)


def test_the_work_by_hand() -> None:
    """Width 2, depth 1, one channel, 20 in: 18, 16 | 8: 6, 4 | 8: 6, 4."""
    down = 18**2 * 1 * 2 * 9 + 16**2 * 2 * 2 * 9
    bottom = 6**2 * 2 * 4 * 9 + 4**2 * 4 * 4 * 9
    up = 6**2 * 4 * 2 * 9 + 4**2 * 2 * 2 * 9
    assert work(untrained().own.folded, (20, 20)) == down + bottom + up


# Plans that keep the rule


def test_tiles_are_no_smaller_than_the_rule_says() -> None:
    rule = TileRule((384, 384))
    plan = plan_tiles((520, 100), PAPER, 256, rule)  # two along the first axis, one along the other
    assert plan.step == (384, 384) and plan.tile_input == PAPER.input_for((384, 384))
    assert [tile.write for tile in plan] == [((0, 384), (0, 100)), ((384, 520), (0, 100))]
    assert plan_tiles((2000, 2000), PAPER, 512, rule) == plan_tiles((2000, 2000), PAPER, 512)


def test_a_single_shape_is_the_only_one() -> None:
    plan = plan_tiles((700, 90), PAPER, 1000, TileRule((128, 128), is_single=True))
    assert plan.tile_input == PAPER.input_for((128, 128)) and plan.step == (128, 128)


def test_cells_to_settle_in_keep_the_rule() -> None:
    assert smallest_tile(PAPER) == [96, 96]
    assert smallest_tile(PAPER, TileRule((384, 384))) == [384, 384]


# The law: no cut shows


def soft(*shape: int) -> Array:
    """An image whose intensities are all between 0 and 1, many of them near any threshold."""
    return np.random.default_rng(0).random((1, *shape)).astype(np.float32)


def as_is(model: Model) -> Model:
    """The model, for intensities as they are."""
    scaling = replace(model.header.own_normalization, method="none")
    return replace(model, header=replace(model.header, normalization=scaling))


def labels_in_blocks(model: Model, image: Array, folder: Path, block: int) -> Array:
    write_tiff(folder / "image.tif", image[0], axes="YX", overwrite=True)
    (folder / "model").write_text("some model")
    wanted = Wanted(folder / f"{block}.zarr", save=("labels",), block=block)
    stream(model, folder / "model", ImageSpec(str(folder / "image.tif")), wanted)
    return np.asarray(zarr.open_array(wanted.out / "0", mode="r")[:])


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
        rule = TileRule((256, 256), is_exact=exact)
        replace(model, network=model.own.with_rule(rule)).predict(soft(100, 100))
        assert len(tiles) == count
