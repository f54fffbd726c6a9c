"""Whether an engine gives what PyTorch gives in float32: compared on a tile, remembered for the next time."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from unseam.engines.known import torch_on
from unseam.engines.network import EngineNetwork
from unseam.grid import slices
from unseam.io.remembered import recall, remember
from unseam.tile_rule import ANY_TILE

LARGEST = {"float32": 1e-3, "bfloat16": 0.5, "int8": 0.9}
"""Of a probability, the largest difference that is not called disagreement."""
MEAN = {"float32": 1e-4, "bfloat16": 0.02, "int8": 0.05}
"""The same of the mean difference."""
OTHERWISE = {"float32": 0.002, "bfloat16": 0.02, "int8": 0.05}
"""The same of the share of pixels whose likeliest class is another."""
KIND = "agreement"
REMEMBERED = ("largest", "mean", "otherwise")
"""Numbers of an `Agreement` that are."""
COMPARED = {2: 96, 3: 24}
"""Pixels per axis, at least, that are compared: what PyTorch computes takes little."""
_SEEN: WeakKeyDictionary[EngineNetwork, Agreement] = WeakKeyDictionary()
"""What was found in this process."""


@dataclass(frozen=True)
class Agreement:
    """How far the probabilities of an engine are from those of PyTorch in float32.

    Attributes
    ----------
    largest, mean : difference of a probability.
    otherwise : share of the pixels whose likeliest class is another.
    precision : what the engine computes in.
    is_blank : whether all that was compared is of one class, which says little.
    is_recalled : whether it was found another day.
    """

    largest: float
    mean: float
    otherwise: float
    precision: str
    is_blank: bool = False
    is_recalled: bool = False

    @property
    def is_good(self) -> bool:
        """Whether it is what the precision explains; false of NaN."""
        return (
            self.largest <= LARGEST[self.precision]
            and self.mean <= MEAN[self.precision]
            and self.otherwise <= OTHERWISE[self.precision]
        )

    @property
    def in_full(self) -> str:
        """All numbers in words."""
        return (
            f"probabilities differ by {self.largest:.2g} at most and {self.mean:.2g} on average, and "
            f"{self.otherwise:.2%} of pixels are of another class"
        )

    def __str__(self) -> str:
        where = "on a blank tile" if self.is_blank else "on the first tile"
        when = "when it was compared" if self.is_recalled else where
        return f"probabilities within {_rounded_up(self.largest)} of float32 {when}"


def _rounded_up(value: float) -> str:
    """A number with one digit, rounded up.

    >>> _rounded_up(0.0213), _rounded_up(3.1e-7), _rounded_up(0.0)
    ('0.03', '4e-07', '0')
    """
    if not value or not math.isfinite(value):
        return f"{value:g}"
    unit = 10.0 ** math.floor(math.log10(value))
    return f"{math.ceil(round(value / unit, 6)) * unit:.1g}"


def is_reference(network: EngineNetwork) -> bool:
    """Whether a network is what others are compared with."""
    return network.engine.name == "torch" and network.precision == "float32"


def known_agreement(network: EngineNetwork) -> Agreement | None:
    """What was found before: of this network here, or on this machine where PyTorch is not loaded.

    Not of blank tiles alone.
    """
    if network in _SEEN:
        return None if _SEEN[network].is_blank else _SEEN[network]
    if not network.key or "torch" in sys.modules:
        return None
    return _read(recall(KIND, network.key), network.precision)


def _read(numbers: Any, precision: str) -> Agreement | None:
    """What was remembered; None where it is damaged, or speaks against an engine, which is seen anew."""
    try:
        largest, mean, otherwise = (float(numbers[name]) for name in REMEMBERED)
    except (KeyError, TypeError, ValueError):
        return None
    found = Agreement(largest, mean, otherwise, precision, is_recalled=True)
    return found if found.is_good and min(largest, mean, otherwise) >= 0 else None


def compared_size(network: EngineNetwork) -> tuple[int, ...]:
    """Output of the tile that is compared, pixels per axis."""
    grid, least = network.geometry.grid, COMPARED[network.spatial_dims]
    return tuple(network.rule.output([-(-least // g) * g for g in grid]))


def compare(network: EngineNetwork, tile: NDArray[np.float32], found: NDArray[np.float32]) -> Agreement:
    """Compare what an engine found of a tile (C, *input), of `compared_size`, with PyTorch in float32.

    Of a large tile its middle is compared, as far as a smaller tile of PyTorch's gives it. The worst of all
    tiles of this process counts; it is remembered, unless all were blank.
    """
    grid, least = network.geometry.grid, COMPARED[network.spatial_dims]
    output = [min(n, -(-least // g) * g) for n, g in zip(found.shape[1:], grid, strict=True)]
    start = [(n - m) // 2 // g * g for n, m, g in zip(found.shape[1:], output, grid, strict=True)]
    seen = tuple((a, a + n) for a, n in zip(start, network.geometry.input_for(output), strict=True))
    expected = reference_of(network).probabilities(tile[(slice(None), *slices(seen))])
    same = tuple((a, a + n) for a, n in zip(start, expected.shape[1:], strict=True))
    agreement = _compared(found[(slice(None), *slices(same))], expected, network.precision)
    agreement = _worst(agreement, _SEEN.get(network, agreement))
    _SEEN[network] = agreement
    if network.key and agreement.is_good and not agreement.is_blank:
        remember(KIND, network.key, {name: getattr(agreement, name) for name in REMEMBERED})
    return agreement


def reference_of(network: EngineNetwork) -> EngineNetwork:
    """The same network run by PyTorch in float32, on the processor."""
    return replace(network, engine=torch_on("cpu"), precision="float32", rule=ANY_TILE)


def _compared(found: NDArray[np.float32], expected: NDArray[np.float32], precision: str) -> Agreement:
    apart = np.where(np.isnan(found) & np.isnan(expected), 0.0, np.abs(found - expected))
    classes = expected.argmax(0)
    otherwise = float((found.argmax(0) != classes).mean())
    is_blank = bool((classes == classes.flat[0]).all())
    return Agreement(float(apart.max()), float(apart.mean()), otherwise, precision, is_blank)


def _worst(one: Agreement, other: Agreement) -> Agreement:
    """The larger of all differences; NaN is larger than any."""
    largest, mean, otherwise = (
        float(np.maximum(getattr(one, name), getattr(other, name))) for name in REMEMBERED
    )
    return Agreement(largest, mean, otherwise, one.precision, one.is_blank and other.is_blank)
