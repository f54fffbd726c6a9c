"""What streaming an image will take, said before the first tile: blocks, tiles, memory, time."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unseam.axes import times
from unseam.decisions import smallest_tile
from unseam.engines.pace import USUAL
from unseam.errors import ConfigError
from unseam.grid import BlockGrid
from unseam.io.source import Source
from unseam.prediction import Model, free_memory, tile_bytes
from unseam.prediction.region import network_shape, region_bytes
from unseam.prediction.tiles import plan_image
from unseam.prediction.turning import turned_bytes, turns_of
from unseam.tile_rule import TileRule
from unseam.tiling import plan_tiles

CHUNK = {2: 512, 3: 64}
"""Pixels per axis of a chunk of the output: what a viewer loads at once."""
LARGEST_BLOCK = {2: 2048, 3: 192}
"""Pixels per axis of a block where memory allows: its edges are then a few per cent of its work."""
SMALLEST_BLOCK = {2: 128, 3: 32}
AT_ONCE = 2
"""Blocks in memory at a time: while one is computed, another is read, joined or written."""
LABEL_BYTES = 60
"""About what a pixel takes in the passes after the network: labels, their runs, regions, copies."""
BASE_BYTES = 500 * 2**20
"""About what the program itself takes, PyTorch above all, where the system does not say."""
HEADROOM = 1.15
WORTH_SAYING = 1.1
"""Times as fast as usual, from which on a choice of tiles is told."""
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class StreamPlan:
    """How an image is cut.

    Attributes
    ----------
    shape : of the image.
    block : of its blocks, pixels.
    tile : largest output of a tile, in the network's pixels.
    tile_input : what the network is given.
    tiles : number of tiles in all.
    memory : bytes that will be in use at the peak, the program included.
    """

    shape: tuple[int, ...]
    block: tuple[int, ...]
    tile: tuple[int, ...]
    tile_input: tuple[int, ...]
    tiles: int
    memory: int

    @property
    def grid(self) -> BlockGrid:
        """The blocks."""
        return BlockGrid(self.shape, self.block)

    def __str__(self) -> str:
        blocks = len(self.grid)
        cut = f"{blocks:,} blocks of {times(self.block)}" if blocks > 1 else "one block"
        tiles = f"{self.tiles:,} tiles of at most" if self.tiles > 1 else "one tile of"
        return f"{tiles} {times(self.tile)} pixels in {cut}, about {in_bytes(self.memory)} of memory"


def plan_stream(
    model: Model,
    image: Source,
    *,
    tile: int | str = "auto",
    block: int | None = None,
    memory: int | None = None,
    rescale: bool = True,
    zoom: float | None = None,
    tta: str = "none",
    at_once: int = AT_ONCE,
) -> StreamPlan:
    """Choose blocks and tiles that keep within `memory` bytes, the program included.

    Parameters
    ----------
    model, image
        What is predicted with what.
    tile : int or "auto"
        Largest output of a tile, pixels.
    block : int, optional
        Pixels per axis of a block; it is rounded up to the network's grid. It changes time and memory, never
        the result.
    memory : int, optional
        Without it the largest block that pays is taken, if it fits into the free memory.
    rescale, zoom, tta
        As `Model.predict`.
    at_once : int
        Blocks in memory at a time.

    Raises
    ------
    ConfigError
        If even the smallest blocks take more than `memory`, or `block` is below 1.
    """
    net, dims = model.network, model.network.spatial_dims
    if block is not None and block < 1:
        raise ConfigError(f"block is {block}; give a number of pixels, for example {LARGEST_BLOCK[dims]}")
    size = LARGEST_BLOCK[dims] if block is None else block
    shape = network_shape(image, model.header.spacing, rescale=rescale, zoom=zoom)
    if tile == "auto":  # the fastest for a block, as far as was measured
        largest = max(plan_image([min(size, n) for n in shape], net, tile=tile).step)
    else:
        largest = int(tile)
    limit = base_bytes() + free_memory() if memory is None else memory
    options: dict[str, Any] = {"rescale": rescale, "zoom": zoom, "tta": tta, "at_once": at_once}
    while True:
        plan = _planned(model, image, size, largest, options)
        if plan.memory <= limit:
            return plan
        if block is None and size > SMALLEST_BLOCK[dims] and size >= largest:
            size //= 2
        elif tile == "auto" and largest // 2 >= max(*net.geometry.grid, 32):
            largest //= 2
        elif block is None and size > SMALLEST_BLOCK[dims]:
            size //= 2
        else:
            raise ConfigError(
                f"memory of {in_bytes(limit)} is too little: the program and the smallest blocks take about "
                f"{in_bytes(plan.memory)}; give --memory {math.ceil(plan.memory / 2**20)}MB or more"
            )


def _planned(model: Model, image: Source, size: int, tile: int, options: dict[str, Any]) -> StreamPlan:
    """The plan for blocks of about a size: on the grid, and of whole chunks of the output."""
    largest = CHUNK[len(image.shape)]
    block = []
    for n, grid in zip(image.shape, model.network.geometry.grid, strict=True):
        length = min(_up(size, grid), _up(n, grid))
        parts = math.ceil(length / largest)
        block.append(_up(math.ceil(length / parts), grid) * parts)
    return plan_of(model, image, block=tuple(block), tile=(tile,) * len(block), **options)


def plan_of(
    model: Model,
    image: Source,
    *,
    block: tuple[int, ...],
    tile: tuple[int, ...],
    rescale: bool = True,
    zoom: float | None = None,
    tta: str = "none",
    at_once: int = AT_ONCE,
) -> StreamPlan:
    """What given blocks, and tiles of at most given sizes, take."""
    net, classes = model.network, model.network.classes
    shape = network_shape(image, model.header.spacing, rescale=rescale, zoom=zoom)
    zooms = [m / n for n, m in zip(image.shape, shape, strict=True)]
    of_block = tuple(min(math.ceil(b * z), n) for b, z, n in zip(block, zooms, shape, strict=True))
    fits = tuple(max(min(t, n), g) for t, n, g in zip(tile, of_block, net.geometry.grid, strict=True))
    tiles = plan_tiles(of_block, net.geometry, fits, net.rule)
    cells = smallest_tile(net.geometry, net.rule)
    margin = [halo + cell for halo, cell in zip(net.geometry.halo, cells, strict=True)]
    context = [n + 2 * m for n, m in zip(of_block, margin, strict=True)]
    per_block = region_bytes(context, channels=image.channels, classes=classes)
    turns = len(turns_of(tta))
    if turns:
        per_block += turned_bytes(of_block, margin, channels=image.channels, classes=classes, turns=turns)
    if shape != image.shape:  # what is read for it at the image's own resolution, and the result there
        read = [min(n, math.ceil(c / z) + 2) for c, z, n in zip(context, zooms, image.shape, strict=True)]
        per_block += region_bytes(read, channels=image.channels, classes=0)
        per_block += region_bytes(block, channels=0, classes=classes)
    network = tile_bytes(tiles.tile_input, net) + at_once * per_block
    labels = at_once * math.prod(block) * LABEL_BYTES
    return StreamPlan(
        image.shape,
        block,
        tiles.step,
        tiles.tile_input,
        len(tiles) * len(BlockGrid(image.shape, block)),
        int(base_bytes() + HEADROOM * max(network, labels)),
    )


def _up(n: int, step: int) -> int:
    return -(-n // step) * step


def in_short(rule: TileRule, tile: Sequence[int]) -> str:
    """What was won by timing tiles of several sizes; "" where nothing was."""
    usual = (USUAL[len(tile)],) * len(tile)
    ratio = rule.times_as_fast(tile, usual)
    if ratio is None or ratio < WORTH_SAYING:
        return ""
    return f"; tiles of {tile[0]} pixels are {ratio:.1f} times as fast as of {usual[0]} here"


def time_tile(model: Model, plan: StreamPlan, tta: str, *, repeats: int = 2) -> float:
    """Seconds for one tile of the plan on this machine, measured on noise after a first for warming up.

    Where the image is turned, for all versions of it.
    """
    function = model.tile_function(tta)
    noise = np.random.default_rng(0).normal(0.3, 0.6, (model.network.in_channels, *plan.tile_input))
    tile = noise.astype(np.float32)
    function(tile)
    started = time.perf_counter()
    for _ in range(repeats):
        function(tile)
    return (time.perf_counter() - started) / repeats * max(1, len(turns_of(tta)))


def base_bytes() -> int:
    """Memory that the program holds already, bytes."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return max(BASE_BYTES, int(line.split()[1]) * 1024)
    except OSError:
        pass
    return BASE_BYTES


def parse_bytes(text: str) -> int:
    """A size as people write it, "4GB" or "800 MB", in bytes; K, M, G and T are powers of 1024.

    Raises
    ------
    ConfigError
        If it is not one.

    Examples
    --------
    >>> parse_bytes("4GB") == 4 * 2**30
    True
    """
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([KMGT]?)I?B?\s*", text.upper())
    if not match or float(match[1]) <= 0:
        raise ConfigError(f"memory is {text!r}; give a size as 4GB or 800MB")
    return int(float(match[1]) * UNITS[match[2]])


def in_bytes(size: float) -> str:
    """Bytes as people read them.

    Examples
    --------
    >>> in_bytes(3 * 2**29), in_bytes(2**20)
    ('1.5 GB', '1 MB')
    """
    for unit in ("GB", "MB", "KB"):
        amount = size / UNITS[unit[0]]
        if amount >= 1:
            return f"{amount:.1f} {unit}".replace(".0 ", " ")
    return f"{size:.0f} bytes"
