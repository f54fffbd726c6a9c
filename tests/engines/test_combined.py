"""Several networks as one: an exact mean, and tiles that suit them all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.tiny import untrained

from unseam.engines import EngineNetwork
from unseam.engines.combined import CombinedNetwork, common_rule, members_of, together
from unseam.tile_rule import ANY_TILE, TileRule

Array = NDArray[Any]


def net(factor: float = 1.0) -> EngineNetwork:
    """A network with random weights, those of its last layer times a factor."""
    own = untrained().own
    head = replace(own.folded.head, weight=own.folded.head.weight * np.float32(factor))
    return replace(own, folded=replace(own.folded, head=head))


def tile() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 1, (1, 36, 52)).astype(np.float32)


def test_the_mean_is_that_of_a_slow_sum_in_double_precision() -> None:
    nets = [net(1.0), net(0.3), net(-0.7)]
    each = [one.probabilities(tile()) for one in nets]
    found = together(nets).probabilities(tile())
    assert found.dtype == np.float32 and found.shape == each[0].shape
    for place in [(0, 0, 0), (1, 3, 17), (1, 19, 35)]:
        total = 0.0
        for one in each:
            total += float(one[place])
        assert found[place] == np.float32(total / 3)
    assert np.abs(found - each[0]).max() > 0.05  # they do differ


@pytest.mark.parametrize("count", [2, 3, 7])
def test_a_network_averaged_with_itself_is_itself_bit_for_bit(count: int) -> None:
    """In single precision (3 p) / 3 is not p for every p."""
    one = net()
    np.testing.assert_array_equal(together([one] * count).probabilities(tile()), one.probabilities(tile()))


def test_one_network_is_left_as_it_is_and_sizes_are_those_of_all() -> None:
    one = net()
    assert together([one]) is one and members_of(one) == (one,) and members_of("another program's") == ()
    both = together([one, net(2.0)])
    assert isinstance(both, CombinedNetwork) and len(members_of(both)) == 2
    assert (both.in_channels, both.classes, both.spatial_dims, both.base_width) == (1, 2, 2, 2)
    assert both.geometry == one.geometry and both.is_local and both.precision == "float32"
    low = replace(one, precision="bfloat16")
    kinds = [[low, low], [low, one]]
    assert [CombinedNetwork(tuple(nets)).precision for nets in kinds] == ["bfloat16", "float32"]
    assert str(both).startswith("2 networks, PyTorch") and str(both).count("PyTorch") == 1


SMALL, LARGE = (128, 128), (256, 256)
A, B = TileRule((SMALL, LARGE)), TileRule((LARGE, (512, 512)))


@pytest.mark.parametrize(
    ("rules", "common"),
    [
        ([ANY_TILE, ANY_TILE], ANY_TILE),
        ([ANY_TILE, A], A),
        ([A, B], TileRule((LARGE,))),
        ([A, replace(A, is_exact=True)], A),  # exact only where all are
        ([replace(A, is_exact=True), replace(B, is_exact=True)], TileRule((LARGE,), is_exact=True)),
        ([A, replace(A, seconds=((SMALL, 1.0),))], A),  # what one takes is not what all take
        ([B, TileRule((SMALL,))], None),
    ],
)
def test_tiles_suit_every_network(rules: list[TileRule], common: TileRule | None) -> None:
    assert common_rule(rules) == common
    assert common_rule(rules[::-1]) == common


def test_networks_that_no_tile_suits_compute_in_float32() -> None:
    one = replace(net(), precision="bfloat16", rule=TileRule((SMALL,)))
    other = replace(one, rule=TileRule((LARGE,)))
    assert together([one, one]).rule == one.rule
    both = together([one, other])
    assert both.rule == ANY_TILE
    assert [member.precision for member in members_of(both)] == ["float32", "float32"]
