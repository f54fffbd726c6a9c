"""How long tiles of several sizes take on this machine, measured once for a model where an image is worth it.

Overhead, caches and the halo decide which size is best, and no rule of thumb knows them. The usual size is
timed first, then larger ones while the rate grows, then smaller ones, as long as there is time: about a
second, or a small share of what the image takes. The choice changes no label: a tile of lower precision that
is larger than those of `unseam.engines.bits` is compared as well, and used only where its bits are the same.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

from unseam.engines.bits import ALIKE, answer, difference, noise_for, on_grid, rule_key, unsure
from unseam.engines.network import EngineNetwork
from unseam.io.remembered import recall, remember
from unseam.tile_rule import Shape, TileRule

USUAL = {2: 512, 3: 96}
"""Output pixels per axis that are timed first."""
LARGER = {2: (640, 768, 1024, 1536), 3: (112, 128, 160, 192)}
SMALLER = {2: (384, 256), 3: (64, 48)}
WORTH = 8
"""Tiles of the usual size in an image, from which on it is worth measuring."""
BUDGET = 1.0
"""Seconds that it takes, or this share of the time for the image, if that is more:"""
SHARE = 0.1
RUNS = 5
"""Runs of a tile that timing it takes: two, and the first, for which it is compiled."""
FALLS = 0.95
"""Of the best rate, a lower one ends the search in its direction."""
KIND = "paces"
clock = time.perf_counter
Fits = Callable[[Shape], bool]
"""Whether memory is enough for a tile with this output."""
_LATEST: WeakKeyDictionary[EngineNetwork, EngineNetwork] = WeakKeyDictionary()
"""What became of a network in this process."""


def paced(network: EngineNetwork, image: Sequence[int], fits: Fits) -> EngineNetwork:
    """The network, of which it is known how fast tiles are: remembered, or measured now if that is worth it.

    `image` is the spatial shape of what will be predicted. On GPUs nothing is measured.
    """
    if network.engine.device != "cpu":
        return network
    known = _latest(network)
    dims, grid = network.spatial_dims, network.geometry.grid
    usual = on_grid((USUAL[dims],) * dims, grid)
    if math.prod(image) < WORTH * math.prod(usual) or any(a > n for a, n in zip(usual, image, strict=True)):
        return known
    if len(known.rule.shapes) == 1:  # there is nothing to choose from
        return known
    rule = measured(known, image, fits)
    if rule == known.rule:
        return known
    key = rule_key(known)
    if key:
        remember(KIND, key, {"shapes": rule.shapes, "seconds": rule.seconds})
    _LATEST[known] = known.with_rule(rule)
    return _LATEST[known]


def measured(network: EngineNetwork, image: Sequence[int], fits: Fits) -> TileRule:
    """What is known of the tiles of a network, and what there is time to measure of them."""
    dims, grid = network.spatial_dims, network.geometry.grid
    rule, started, budget = network.rule, clock(), BUDGET
    usual = on_grid((USUAL[dims],) * dims, grid)
    if rule.shapes and usual not in rule.shapes:  # of a network that takes long
        usual = rule.largest
    for direction in (LARGER, SMALLER):
        for shape in (usual, *(on_grid((size,) * dims, grid) for size in direction[dims])):
            if rule.shapes and direction is SMALLER and shape not in rule.shapes:
                continue
            if not fits(shape) or any(a > n for a, n in zip(shape, image, strict=True)):
                break
            if shape not in dict(rule.seconds):
                if clock() - started + _expected(network, rule, shape) > budget:
                    break
                rule = _with(network, rule, shape)
            rates = {one: math.prod(one) / seconds for one, seconds in rule.seconds}
            if rates[shape] < FALLS * max(rates.values()) or (rule.shapes and shape not in rule.shapes):
                break
            if shape == usual:
                budget = max(BUDGET, SHARE * math.prod(image) / rates[usual])
    return rule


def _expected(network: EngineNetwork, rule: TileRule, shape: Shape) -> float:
    """Seconds that timing a tile will take; of the first one it is not known."""
    if not rule.seconds:
        return 0.0
    return RUNS * rule.seconds_for(network.geometry.input_for(shape), network.geometry)


def _with(network: EngineNetwork, rule: TileRule, shape: Shape) -> TileRule:
    """The rule with the time of a tile, infinite if it cannot be run, and the tile itself if it is alike."""
    shapes, seconds = rule.shapes, math.inf
    try:
        image = noise_for(network, shape)
        answer(network, image, shape, shift=2)  # compiles
        times = []
        for _ in range(2):
            started = clock()
            answer(network, image, shape, shift=2)
            times.append(clock() - started)
        seconds = min(times)
        if shapes and shape not in shapes:
            same = unsure(network)
            expected = answer(same, image, network.rule.largest, shift=0)
            if difference(expected, answer(same, image, shape, shift=2)) <= (0.0 if rule.is_exact else ALIKE):
                shapes = tuple(sorted((*shapes, shape)))
    except Exception:  # of the engine, with classes of its own: as where memory is short
        pass
    return TileRule(shapes, rule.is_exact, (*rule.seconds, (shape, seconds)))


def _latest(network: EngineNetwork) -> EngineNetwork:
    """What became of a network here, or with what is remembered of it."""
    first = network
    while network in _LATEST:
        network = _LATEST[network]
    key = rule_key(network)
    known = recall(KIND, key) if key and network is first and not network.rule.seconds else None
    if known is None:
        return network
    shapes = (*network.rule.shapes, *map(tuple, known["shapes"])) if network.rule.shapes else ()
    seconds = tuple((tuple(shape), float(taken)) for shape, taken in known["seconds"])
    rule = TileRule(tuple(sorted(set(shapes))), network.rule.is_exact, seconds)
    _LATEST[network] = network.with_rule(rule)
    return _LATEST[network]
