"""Whether an engine gives what PyTorch gives in float32: compared on a tile, remembered for the next time."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from unseam.engines.known import torch_on
from unseam.engines.network import EngineNetwork
from unseam.io.remembered import recall, remember
from unseam.processor import processor
from unseam.tile_rule import ANY_TILE

LARGEST = {"float32": 1e-3, "bfloat16": 0.5, "int8": 0.9}
"""Of a probability, the largest difference that is not called disagreement."""
MEAN = {"float32": 1e-4, "bfloat16": 0.02, "int8": 0.05}
"""The same of the mean difference."""
OTHERWISE = {"float32": 0.002, "bfloat16": 0.02, "int8": 0.05}
"""The same of the share of pixels whose likeliest class is another."""
KIND = "agreement"
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
    """

    largest: float
    mean: float
    otherwise: float
    precision: str

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
        return f"probabilities within {_rounded_up(self.largest)} of float32 on the first tile"


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
    """What was found before: of this network here, or on this machine where PyTorch is not loaded."""
    if network in _SEEN:
        return _SEEN[network]
    if not network.digest or "torch" in sys.modules:
        return None
    found = recall(KIND, _key(network))
    return None if found is None else Agreement(**found)


def compared_size(network: EngineNetwork) -> tuple[int, ...]:
    """Output of the tile that is compared, pixels per axis."""
    grid, least = network.geometry.grid, COMPARED[network.spatial_dims]
    return tuple(network.rule.output([-(-least // g) * g for g in grid]))


def compare(network: EngineNetwork, tile: NDArray[np.float32]) -> Agreement:
    """Compare an engine with PyTorch in float32 on a tile (C, *input), of `compared_size`.

    Of a large tile its middle is compared, as far as a smaller tile of PyTorch's gives it.

    Raises
    ------
    Exception
        Whatever the engine raises that cannot run the network.
    """
    found = network.probabilities(tile)
    grid, least = network.geometry.grid, COMPARED[network.spatial_dims]
    output = [min(n, -(-least // g) * g) for n, g in zip(found.shape[1:], grid, strict=True)]
    start = [(n - m) // 2 // g * g for n, m, g in zip(found.shape[1:], output, grid, strict=True)]
    part = _cut(tile, start, network.geometry.input_for(output))
    expected = reference_of(network).probabilities(part)
    agreement = _compared(_cut(found, start, expected.shape[1:]), expected, network.precision)
    _SEEN[network] = agreement
    if network.digest:
        remember(KIND, _key(network), asdict(agreement))
    return agreement


def reference_of(network: EngineNetwork) -> EngineNetwork:
    """The same network run by PyTorch in float32, on the processor."""
    return replace(network, engine=torch_on("cpu"), precision="float32", rule=ANY_TILE)


def _compared(found: NDArray[np.float32], expected: NDArray[np.float32], precision: str) -> Agreement:
    apart = np.where(np.isnan(found) & np.isnan(expected), 0.0, np.abs(found - expected))
    otherwise = float((found.argmax(0) != expected.argmax(0)).mean())
    return Agreement(float(apart.max()), float(apart.mean()), otherwise, precision)


def _cut(array: NDArray[np.float32], start: Sequence[int], size: Sequence[int]) -> NDArray[np.float32]:
    return array[(slice(None), *(slice(a, a + n) for a, n in zip(start, size, strict=True)))]


def _key(network: EngineNetwork) -> str:
    return f"{network.digest} | {network} | {processor()}"
