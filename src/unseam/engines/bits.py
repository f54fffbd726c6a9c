"""From which size on tiles compute alike, measured: overlapping results of two shapes, bit for bit.

In bfloat16 an engine takes other kernels for small tiles than for large ones, and probabilities differ by
some 1e-2, far more than what is settled near decisions. So only tiles are used that were seen to agree::

    largest   ├───────────────────────────┤
    smaller       ├───────────────────┤              begins a step of the grid later: the same pixels
    smaller           ├───────────┤                  must have the same bits, down to the least size

What decides is which kernel is taken, so the numbers in the tile do not matter; they are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unseam.engines.network import EngineNetwork
from unseam.geometry import CONVOLUTIONS_PER_LEVEL, AxisGeometry
from unseam.io.remembered import recall, remember
from unseam.model.folded import FoldedNetwork
from unseam.processor import processor
from unseam.tiling import TileRule

STEP = {2: 128, 3: 16}
"""Pixels that the sizes differ by which are tried."""
LARGEST = {2: 512, 3: 96}
"""The largest of them; for networks that take long for it a smaller one is."""
MOST_WORK = 400e9
"""Multiplications that a tile may take here."""
ALIKE = 5e-6
"""What is rounding of float32 still: as `unseam.decisions.ROUNDING`, which is settled."""
KIND = "tiles"


def with_rule(network: EngineNetwork) -> EngineNetwork:
    """The network, of which it is known which tiles compute alike: remembered, or found now.

    Raises
    ------
    Exception
        Whatever the engine raises that cannot run it.
    """
    if network.precision in ("float32", "float64"):
        return network
    key = rule_key(network)
    known = recall(KIND, key) if key else None
    if known is None:
        rule = find_rule(network)
        if key:
            remember(KIND, key, {"least": rule.least, "single": rule.is_single, "exact": rule.is_exact})
        return network.with_rule(rule)
    return network.with_rule(TileRule(tuple(known["least"]), bool(known["single"]), bool(known["exact"])))


def rule_key(network: EngineNetwork) -> str:
    """What decides which kernels are taken; "" where the network has no file."""
    return f"{network.digest} | {network} | {processor()}" if network.digest else ""


def find_rule(network: EngineNetwork) -> TileRule:
    """Which tiles compute alike, from the largest size down: first of a plane, then along Z.

    Notes
    -----
    Tiles of a plane are square here, as averaging over quarter turns takes them both ways round. Along Z they
    can be far smaller: what decides is how long the last axis is. In the end the smallest tile is seen to
    agree, and those that are as large as can be along one axis.
    """
    sizes = _sizes(network.folded)
    largest = sizes[-1]
    image = _image(network, largest)
    reference = _answer(network, image, largest, shift=0)

    def apart(shape: Sequence[int], shift: int) -> float:
        return _difference(reference, _answer(network, image, shape, shift=shift))

    again = apart(largest, 1)
    if again > ALIKE:
        return TileRule(largest, is_single=True)
    least, worst = largest, again
    for along_z in (False, True)[: len(largest) - 1]:
        for size in reversed(sizes[:-1]):
            smaller = (*size[:-2], *least[-2:]) if along_z else (*least[:-2], *size[-2:])
            found = apart(smaller, 2)
            if found > ALIKE:
                break
            least, worst = smaller, max(worst, found)
    for axis, length in enumerate(largest):
        worst = max(worst, apart([*least[:axis], length, *least[axis + 1 :]], 1))
    if worst > ALIKE:
        return TileRule(largest, is_exact=again == 0)
    return TileRule(least, is_exact=worst == 0)


def _sizes(folded: FoldedNetwork) -> list[tuple[int, ...]]:
    """Outputs of tiles that are tried, all multiples of the grid, the smallest first."""
    dims, grid = folded.spatial_dims, folded.geometry.grid
    sizes = dict.fromkeys(
        tuple(-(-size // g) * g for g in grid) for size in range(STEP[dims], LARGEST[dims] + 1, STEP[dims])
    )
    small = [size for size in sizes if work(folded, folded.geometry.input_for(size)) <= MOST_WORK]
    return small or [next(iter(sizes))]


def work(folded: FoldedNetwork, tile: Sequence[int]) -> float:
    """About the multiplications that a tile (its input) takes: those of the 3x3 convolutions."""
    axes = [axis for axis in folded.geometry.axes if isinstance(axis, AxisGeometry)]
    total, size = 0.0, list(tile)

    def level(k: int, layers: Sequence[object], weights: Sequence[NDArray[np.float32]]) -> None:
        nonlocal total, size
        for weight in weights:
            size = [n - (axis.kernels[k] - 1) for n, axis in zip(size, axes, strict=True)]
            total += float(np.prod(size)) * weight.size
        assert len(layers) == CONVOLUTIONS_PER_LEVEL

    for k, layers in enumerate(folded.down):
        level(k, layers, [layer.weight for layer in layers])
        size = [n // stride for n, stride in zip(size, folded.strides[k], strict=True)]
    level(len(folded.down), folded.bottom, [layer.weight for layer in folded.bottom])
    for k in reversed(range(len(folded.out))):
        size = [n * stride for n, stride in zip(size, folded.strides[k], strict=True)]
        level(k, folded.out[k], [layer.weight for layer in folded.out[k]])
    return total


def _image(network: EngineNetwork, output: Sequence[int]) -> NDArray[np.float32]:
    """Numbers for a tile of the largest size, and some steps of the grid more along each axis."""
    grid = network.geometry.grid
    shape = network.geometry.input_for([n + 3 * g for n, g in zip(output, grid, strict=True)])
    noise = np.random.default_rng(0).normal(0.3, 0.6, (network.in_channels, *shape))
    return noise.astype(np.float32)


def _answer(
    network: EngineNetwork, image: NDArray[np.float32], output: Sequence[int], *, shift: int
) -> tuple[tuple[int, ...], NDArray[np.float32]]:
    """Where a tile begins, and its probabilities."""
    start = tuple(shift * g for g in network.geometry.grid)
    size = network.geometry.input_for(output)
    part = image[(slice(None), *(slice(a, a + n) for a, n in zip(start, size, strict=True)))]
    return start, network.probabilities(part)


def _difference(
    one: tuple[tuple[int, ...], NDArray[np.float32]],
    other: tuple[tuple[int, ...], NDArray[np.float32]],
) -> float:
    """The largest difference over the pixels that two tiles share."""
    starts, answers = (one[0], other[0]), (one[1], other[1])
    low = np.max(starts, axis=0)
    stops = [np.add(start, answer.shape[1:]) for start, answer in zip(starts, answers, strict=True)]
    high = np.min(stops, axis=0)
    a, b = (
        answer[(slice(None), *(slice(p - s, q - s) for p, q, s in zip(low, high, start, strict=True)))]
        for start, answer in zip(starts, answers, strict=True)
    )
    return float(np.abs(a - b).max())
