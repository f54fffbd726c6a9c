"""Which tiles compute alike, measured: overlapping results of tiles of several shapes, bit for bit.

In bfloat16 an engine takes other kernels for small tiles than for large ones, and probabilities differ by
some 1e-2, far more than what is settled near decisions. So only shapes are used that were seen to agree::

    reference   ├───────────────────────────┤
    another         ├───────────────────┤              begins a step of the grid later: the same pixels
    another             ├───────────┤                  must have the same bits, or the shape is not used

What decides is which kernel is taken, so the numbers in the tile do not matter; they are drawn. Where the
network is sure of what it sees in them, probabilities are 0 and 1 whatever the kernel, so it is made unsure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from unseam.engines.network import EngineNetwork
from unseam.geometry import CONVOLUTIONS_PER_LEVEL, AxisGeometry
from unseam.io.remembered import recall, remember
from unseam.model.folded import Convolution, FoldedNetwork
from unseam.processor import processor
from unseam.tile_rule import TileRule

SHAPES: dict[int, tuple[tuple[int, ...], ...]] = {
    2: ((128, 128), (256, 256), (384, 384), (512, 512)),
    3: ((16, 64, 64), (48, 48, 48), (16, 96, 96), (64, 64, 64), (32, 96, 96), (96, 96, 96)),
}
"""Outputs of tiles that are compared with the last, or an earlier one where that takes long. In the plane
they are square, as averaging over quarter turns takes them both ways round; for few slices some are thin."""
MOST_WORK = 400e9
"""Multiplications that a tile may take here."""
ALIKE = 5e-6
"""What is rounding of float32 still: as `unseam.decisions.ROUNDING`, which is settled."""
KIND = "shapes"
UNSURE, ENOUGH = (0.02, 0.98), 0.2
"""Probabilities in which a difference shows, and the share of pixels that should have one."""
FLATTER, MOST_TIMES = 8.0, 6
"""What the last weights are divided by until then, and how often."""
_UNSURE: WeakKeyDictionary[EngineNetwork, EngineNetwork] = WeakKeyDictionary()
Answer = tuple[tuple[int, ...], NDArray[np.float32]]
"""Where a tile begins, and its probabilities."""


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
    if known is not None:
        return network.with_rule(TileRule(tuple(map(tuple, known["shapes"])), bool(known["exact"])))
    rule = find_rule(network)
    if key:
        remember(KIND, key, {"shapes": rule.shapes, "exact": rule.is_exact})
    return network.with_rule(rule)


def rule_key(network: EngineNetwork) -> str:
    """What decides which kernels are taken; "" where the network has no file."""
    what = f"{network} | {network.threads} threads | {processor()}"
    return f"{network.digest} | {what}" if network.digest else ""


def find_rule(network: EngineNetwork) -> TileRule:
    """Which tiles compute alike: the reference, and all that agree with it wherever they begin."""
    *others, reference = shapes_of(network)
    image, network = noise_for(network, reference), unsure(network)
    expected = answer(network, image, reference, shift=0)
    worst = difference(expected, answer(network, image, reference, shift=1))
    if worst > ALIKE:
        return TileRule((reference,))
    alike = [reference]
    for shape in others:
        apart = difference(expected, answer(network, image, shape, shift=2))
        if apart <= ALIKE:
            worst = max(worst, apart)
            alike.append(shape)
    return TileRule(tuple(sorted(alike)), worst == 0)


def unsure(network: EngineNetwork) -> EngineNetwork:
    """The network with a last layer that leaves it unsure of noise; in int8 itself, whose steps show."""
    if network in _UNSURE or network.precision == "int8":
        return _UNSURE.get(network, network)
    head, (low, high) = network.folded.head, UNSURE
    size = shapes_of(network)[0]
    image, found = noise_for(network, size), network
    for _ in range(MOST_TIMES):
        head = Convolution(head.weight, np.zeros_like(head.bias))
        found = replace(network, folded=replace(network.folded, head=head))
        _, p = answer(found, image, size, shift=0)
        if ((p > low) & (p < high)).mean() >= ENOUGH:
            break
        head = Convolution(head.weight / np.float32(FLATTER), head.bias)
    _UNSURE[network] = found
    return found


def shapes_of(network: EngineNetwork) -> list[tuple[int, ...]]:
    """Outputs of the tiles that are compared, all multiples of the grid, the reference last."""
    grid = network.geometry.grid
    shapes = list(dict.fromkeys(on_grid(shape, grid) for shape in SHAPES[len(grid)]))
    quick = [s for s in shapes if work(network.folded, network.geometry.input_for(s)) <= MOST_WORK]
    return quick or shapes[:1]


def on_grid(size: Sequence[int], grid: Sequence[int]) -> tuple[int, ...]:
    """A size, rounded up to multiples of the grid."""
    return tuple(-(-n // g) * g for n, g in zip(size, grid, strict=True))


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


def noise_for(network: EngineNetwork, output: Sequence[int]) -> NDArray[np.float32]:
    """Numbers for a tile, and some steps of the grid more along each axis; no zeros, nothing denormal."""
    grid = network.geometry.grid
    shape = network.geometry.input_for([n + 3 * g for n, g in zip(output, grid, strict=True)])
    noise = np.random.default_rng(0).normal(0.3, 0.6, (network.in_channels, *shape))
    return noise.astype(np.float32)


def answer(
    network: EngineNetwork, image: NDArray[np.float32], output: Sequence[int], *, shift: int
) -> Answer:
    """What a tile gives that begins so many steps of the grid after the image."""
    start = tuple(shift * g for g in network.geometry.grid)
    size = network.geometry.input_for(output)
    part = image[(slice(None), *(slice(a, a + n) for a, n in zip(start, size, strict=True)))]
    return start, network.probabilities(part)


def difference(one: Answer, other: Answer) -> float:
    """The largest difference over the pixels that two tiles share; infinite where one is no number."""
    starts, answers = (one[0], other[0]), (one[1], other[1])
    low = np.max(starts, axis=0)
    stops = [np.add(start, answer.shape[1:]) for start, answer in zip(starts, answers, strict=True)]
    high = np.min(stops, axis=0)
    a, b = (
        answer[(slice(None), *(slice(p - s, q - s) for p, q, s in zip(low, high, start, strict=True)))]
        for start, answer in zip(starts, answers, strict=True)
    )
    largest = float(np.abs(a - b).max())
    return np.inf if np.isnan(largest) else largest
