"""The network as a function of a tile, and how large its tiles are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unseam.errors import InputError
from unseam.geometry import Geometry
from unseam.prediction.memory import free_memory
from unseam.tile_rule import TileRule
from unseam.tiling import TilePlan, fastest, plan_tiles

TTA = ("none", "mirror", "rotate", "turn")
"""Versions that are averaged: mirrored ones, those by quarter turns too, or seven turns of the image."""
LARGEST_TILE = {2: 512, 3: 128}
"""Output pixels per axis that `tile="auto"` does not exceed where no larger tiles were timed."""
SHARE_OF_MEMORY = 0.25
"""Share of the free memory that the activations of one tile may take with `tile="auto"`."""

BYTES = {"float64": 8, "float32": 4, "bfloat16": 2}
"""Of a number of an activation."""
Symmetry = tuple[int, tuple[int, ...]]
"""Quarter turns in the last two axes, then the axes that are mirrored."""


class NetworkSizes(Protocol):
    """What cutting an image takes of a network."""

    @property
    def in_channels(self) -> int:
        """Channels of the image."""

    @property
    def classes(self) -> int:
        """Channels of the probabilities, background included."""

    @property
    def spatial_dims(self) -> int:
        """2 or 3."""

    @property
    def base_width(self) -> int:
        """Channels at full resolution, for the memory that a tile takes."""

    @property
    def geometry(self) -> Geometry:
        """Sizes of its tiles."""

    @property
    def is_local(self) -> bool:
        """Whether it is known that a tile, its halo cut away, gives what the whole image would."""

    @property
    def rule(self) -> TileRule:
        """Which tiles compute alike, and how fast they are."""

    @property
    def precision(self) -> str:
        """What it computes in."""


class Network(NetworkSizes, Protocol):
    """A network as prediction uses it: `unseam.engines.EngineNetwork`, or that of another program."""

    def probabilities(self, tile: NDArray[np.float32]) -> NDArray[np.float32]:
        """A tile, scaled, (C, *input), to probabilities (classes, *output)."""


def symmetries(spatial_dims: int, tta: str) -> list[Symmetry]:
    """The versions of a tile that are averaged: 1, 4 or 8 in 2-D; 1, 8 or 16 in 3-D.

    With "turn" it is one as well: there the whole image is turned, see `unseam.prediction.turning`.
    """
    axes = range(-spatial_dims, 0)
    mirrors = [
        tuple(a for a, m in zip(axes, on, strict=True) if m) for on in product((0, 1), repeat=spatial_dims)
    ]
    if tta in ("none", "turn"):
        return [(0, ())]
    return [(turns, mirror) for turns in ((0,) if tta == "mirror" else (0, 1)) for mirror in mirrors]


def tile_function(net: Network, versions: Sequence[Symmetry]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Tile (C, *input) to probabilities (classes, *output), averaged over `versions`.

    Each version is undone before averaging. All tiles have the same size and start on the same grid, so they
    do when mirrored too: averaging changes nothing about seams.
    """

    def predict_version(tile: NDArray[np.float32], turns: int, mirror: tuple[int, ...]) -> NDArray[Any]:
        p = net.probabilities(np.flip(np.rot90(tile, turns, (-2, -1)), mirror))
        undone: NDArray[Any] = np.rot90(np.flip(p, mirror), -turns, (-2, -1))
        return undone

    def predict_tile(tile: NDArray[np.float32]) -> NDArray[Any]:
        if len(versions) == 1:
            return predict_version(tile, *versions[0])
        total: NDArray[Any] = np.sum([predict_version(tile, *version) for version in versions], axis=0)
        mean: NDArray[Any] = total / total.dtype.type(len(versions))
        return mean

    return predict_tile


def plan_image(
    shape: Sequence[int], net: NetworkSizes, *, tile: int | str | tuple[int, ...], memory: float | None = None
) -> TilePlan:
    """The tiles of an image; "auto": the fastest that `memory` (bytes; else a share of the free) allows."""
    if tile != "auto":
        wanted = tile if isinstance(tile, tuple) else _whole_number(tile)
        return plan_tiles(shape, net.geometry, wanted, net.rule)
    memory = SHARE_OF_MEMORY * free_memory() if memory is None else memory
    plans = [plan_tiles(shape, net.geometry, size, net.rule) for size in _outputs(net)]
    fitting = [plan for plan in plans if tile_bytes(plan.tile_input, net) <= memory]
    return fastest(
        fitting or [min(plans, key=lambda plan: math.prod(plan.tile_input))], net.geometry, net.rule
    )


def _outputs(net: NetworkSizes) -> list[tuple[int, ...]]:
    """Outputs of tiles that "auto" chooses from."""
    if net.rule.shapes:
        return list(net.rule.shapes)
    dims, least = net.spatial_dims, max(net.geometry.grid)
    sizes = [(LARGEST_TILE[dims] >> k, 3 * LARGEST_TILE[dims] >> (k + 2)) for k in range(10)]
    usual = [(size,) * dims for size in (n for pair in sizes for n in pair) if size >= least]
    timed = [shape for shape, seconds in net.rule.seconds if math.isfinite(seconds)]
    return [*dict.fromkeys([*timed, *(usual or [(least,) * dims])])]


def fits_memory(net: NetworkSizes, memory: float | None = None) -> Callable[[Sequence[int]], bool]:
    """Whether `memory` (as of `plan_image`) is enough for a tile with an output."""
    allowed = SHARE_OF_MEMORY * free_memory() if memory is None else memory
    return lambda output: tile_bytes(net.geometry.input_for(output), net) <= allowed


def tile_bytes(tile_input: Sequence[int], net: NetworkSizes) -> int:
    """About the memory that the activations of one tile take at their peak.

    At the first level live the skip, the concatenation (two widths) and a convolution's input and output.
    """
    return math.prod(tile_input) * 6 * net.base_width * BYTES.get(net.precision, 4)


def _whole_number(tile: int | str) -> int:
    try:
        return int(tile)
    except ValueError:
        raise InputError(f"tile is {tile!r}; expected auto or a number of pixels") from None
