"""Which regions of an image are looked at, and in which ways each is cut.

One axis; the network's grid below, a region, its tiles in the reference cut, and in others::

    grid       ╵   ╵   ╵   ╵   ╵   ╵   ╵   ╵   ╵   ╵
    region               │           │
    reference          ├───────┼───────┤
    shifted        ├───────┼───────┼───────┤             the tiles begin on another step of the grid
    small, odd         ├───┼───┼───┼───┤                 other tiles
    large              ├───────────────┤
    grown            │                    │              the same pixels lie elsewhere in their region
    moved                      │           │
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unseam.grid import Region
from unseam.prediction.region import Prepared, network_region, tiles_of
from unseam.tiling import TilePlan


@dataclass(frozen=True)
class Cut:
    """One way to compute a region.

    Attributes
    ----------
    kind : what is special about it.
    tile : largest output of its tiles.
    region : what is computed, pixels of the image.
    before : steps of the grid that its tiles begin before the region.
    """

    kind: str
    tile: tuple[int, ...]
    region: Region
    before: int = 0

    def prepared(self, prepared: Prepared) -> Prepared:
        """The model with the tiles of this cut."""
        return replace(prepared, tile=self.tile)

    def plan(self, prepared: Prepared) -> tuple[TilePlan, list[int]]:
        """Its tiles, and where they begin, in pixels of the network."""
        cut = self.prepared(prepared)
        return tiles_of(cut, network_region(cut, self.region), before=self.before)

    def cost(self, prepared: Prepared) -> int:
        """Pixels that the network is given."""
        plan, _ = self.plan(prepared)
        return len(plan) * math.prod(plan.tile_input)

    def edges(self, prepared: Prepared) -> tuple[tuple[int, ...], ...]:
        """Where one tile ends and the next begins within the region, pixels of the image along each axis."""
        plan, origin = self.plan(prepared)
        found = []
        for first, n, step, (a, b), old, new in zip(
            origin,
            plan.shape,
            plan.step,
            self.region,
            prepared.resized.shape,
            prepared.image.shape,
            strict=True,
        ):
            edges = (round(edge * new / old) for edge in range(first + step, first + n, step))
            found.append(tuple(edge for edge in edges if a < edge < b))
        return tuple(found)


def reference_tile(prepared: Prepared) -> tuple[int, ...]:
    """Tiles of the reference cut: half of the largest, so that larger ones can be tried."""
    half = [_on_grid(n // 2, grid) for n, grid in zip(prepared.tile, prepared.geometry.grid, strict=True)]
    return tuple(prepared.rule.output(half))


def odd_tile(prepared: Prepared) -> tuple[int, ...]:
    """Tiles of about three quarters of the reference, an odd number of steps of the grid."""
    tile, grid = reference_tile(prepared), prepared.geometry.grid
    odd = [max(1, (3 * n // 4 // g - 1) | 1) * g for n, g in zip(tile, grid, strict=True)]
    return tuple(prepared.rule.output(odd))


def choose_regions(prepared: Prepared, count: int, rng: np.random.Generator) -> tuple[Region, ...]:
    """Regions of about two tiles along each axis: two corners, where context is mirrored, then random ones.

    Where the image is smaller there are fewer: no region comes twice.
    """
    shape, old = prepared.image.shape, prepared.resized.shape
    size = [
        min(n, math.ceil(2 * tile * n / m))
        for n, m, tile in zip(shape, old, reference_tile(prepared), strict=True)
    ]
    last = [n - s for n, s in zip(shape, size, strict=True)]
    starts = [[0] * len(shape), last]
    starts += [[int(rng.integers(0, most + 1)) for most in last] for _ in range(max(0, count - 2))]
    regions = [tuple((a, a + s) for a, s in zip(start, size, strict=True)) for start in starts[:count]]
    return tuple(dict.fromkeys(regions))


def cuts_of(prepared: Prepared, region: Region, rng: np.random.Generator) -> tuple[Cut, ...]:
    """The reference cut of a region, then others; none that comes to the same as an earlier one."""
    grid, tile = prepared.geometry.grid, reference_tile(prepared)
    steps = min(n // g for n, g in zip(tile, grid, strict=True))
    cuts = [
        Cut("reference", tile, region),
        Cut("tiles one step earlier", tile, region, before=1),
        Cut("tiles half a tile earlier", tile, region, before=max(2, steps // 2)),
        Cut("small tiles", tuple(_on_grid(n // 3, g) for n, g in zip(tile, grid, strict=True)), region),
        Cut("odd tiles", odd_tile(prepared), region),
        Cut("one large tile", tuple(2 * n + 3 * g for n, g in zip(tile, grid, strict=True)), region),
        Cut("larger region", tile, _grown(region, prepared, rng)),
        Cut("region elsewhere", tile, _moved(region, prepared.image.shape, rng)),
    ]
    seen: dict[object, Cut] = {}
    for cut in cuts:
        plan, origin = cut.plan(prepared)
        seen.setdefault((cut.region, tuple(origin), plan.step), cut)
    return tuple(seen.values())


def common_pixels(one: Region, other: Region) -> Region:
    """The pixels that two regions share."""
    return tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(one, other, strict=True))


def _on_grid(n: int, step: int) -> int:
    """The largest multiple of `step` that is at most `n`, but one at least."""
    return max(1, n // step) * step


def _grown(region: Region, prepared: Prepared, rng: np.random.Generator) -> Region:
    """The region with some pixels more on each side, as far as the image goes."""
    grown = []
    for (a, b), n, grid in zip(region, prepared.image.shape, prepared.geometry.grid, strict=True):
        more = rng.integers(1, 2 * grid + 2, size=2)
        grown.append((max(0, a - int(more[0])), min(n, b + int(more[1]))))
    return tuple(grown)


def _moved(region: Region, shape: Sequence[int], rng: np.random.Generator) -> Region:
    """The region moved by up to half of itself along each axis, as far as the image goes."""
    moved = []
    for (a, b), n in zip(region, shape, strict=True):
        by = int(rng.integers(1, (b - a) // 2 + 1)) if b - a > 1 else 0
        by *= int(rng.choice((-1, 1))) if a > 0 else 1
        moved.append((max(0, a + by), min(n, b + by)))
    return tuple(moved)
