"""The network as a function of a tile, and how large its tiles are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unseam.errors import InputError
from unseam.geometry import Geometry
from unseam.prediction.memory import free_memory
from unseam.tiling import TilePlan, TileRule, plan_tiles

TTA = ("none", "mirror", "rotate")
LARGEST_TILE = {2: 512, 3: 96}
"""Output pixels per axis that `tile="auto"` does not exceed: on processors larger tiles were not faster."""
SHARE_OF_MEMORY = 0.25
"""Share of the free memory that the activations of one tile may take with `tile="auto"`."""

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
        """Which tiles compute alike."""


class Network(NetworkSizes, Protocol):
    """A network as prediction uses it: `unseam.engines.EngineNetwork`, or that of another program."""

    def probabilities(self, tile: NDArray[np.float32]) -> NDArray[np.float32]:
        """A tile, scaled, (C, *input), to probabilities (classes, *output)."""


def symmetries(spatial_dims: int, tta: str) -> list[Symmetry]:
    """The versions of a tile that are averaged: 1, 4 or 8 in 2-D; 1, 8 or 16 in 3-D."""
    axes = range(-spatial_dims, 0)
    mirrors = [
        tuple(a for a, m in zip(axes, on, strict=True) if m) for on in product((0, 1), repeat=spatial_dims)
    ]
    if tta == "none":
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
    """The tiles of an image; "auto" takes what `memory` (bytes; else a share of the free) allows."""
    if tile != "auto":
        wanted = tile if isinstance(tile, tuple) else _whole_number(tile)
        return plan_tiles(shape, net.geometry, wanted, net.rule)
    memory = SHARE_OF_MEMORY * free_memory() if memory is None else memory
    size = LARGEST_TILE[net.spatial_dims]
    plan = largest = plan_tiles(shape, net.geometry, size, net.rule)
    while tile_bytes(plan.tile_input, net) > memory and size // 2 >= max(net.geometry.grid):
        size //= 2
        plan = plan_tiles(shape, net.geometry, size, net.rule)
    return largest if plan.tile_input == largest.tile_input else plan  # some take tiles of one size alone


def tile_bytes(tile_input: Sequence[int], net: NetworkSizes) -> int:
    """About the memory that the activations of one tile take at their peak, float32.

    At the first level live the skip, the concatenation (two widths) and a convolution's input and output.
    """
    pixels = int(np.prod(tile_input))
    width = net.base_width
    return 4 * pixels * 6 * width


def _whole_number(tile: int | str) -> int:
    try:
        return int(tile)
    except ValueError:
        raise InputError(f"tile is {tile!r}; expected auto or a number of pixels") from None
