"""Overlap-tile: any image through an unpadded network, tile by tile, as if it were one.

One axis; the second of three tiles. What is read is the tile with its halo; what is missing at the ends
of the image is mirrored; what is written touches the neighbours and overlaps none::

    mirror │              image               │ mirror
    ·······│──────────────────────────────────│·······
               ┌─halo─┬──────────────┬─halo─┐             read
                      │    write     │                    write
                      └ a multiple of the grid

Tile origins lie on the network's grid (2^depth), because poolings that start elsewhere see other pixels.
Then each pixel of the result is the same whatever the tiles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import ShapeError
from unseam.geometry import Geometry
from unseam.grid import Region, slices
from unseam.io.source import Source
from unseam.tile_rule import ANY_TILE, TileRule

TileFunction = Callable[[NDArray[Any]], NDArray[Any]]


ALIKE = 1.05
"""Times that differ by less are the same; of such tiles the largest are taken, which compute least twice."""


@dataclass(frozen=True)
class Tile:
    """One tile; each field holds (start, stop) per axis.

    Attributes
    ----------
    read : region of the image that the network is given; it may reach outside, where the image is mirrored.
    crop : region of the network's output that is kept.
    write : region of the result that it fills.
    """

    read: tuple[tuple[int, int], ...]
    crop: tuple[tuple[int, int], ...]
    write: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class TilePlan:
    """How an image is cut.

    Attributes
    ----------
    shape : spatial shape of the image.
    tile_input : what the network is given, the same for each tile.
    step : distance of tile origins, a multiple of the grid.
    halo : context on each side.
    """

    shape: tuple[int, ...]
    tile_input: tuple[int, ...]
    step: tuple[int, ...]
    halo: tuple[int, ...]

    def __len__(self) -> int:
        return math.prod(self.counts)

    def __iter__(self) -> Iterator[Tile]:
        """The tiles in raster order."""
        return map(self.tile, product(*map(range, self.counts)))

    def tile(self, index: Sequence[int]) -> Tile:
        """The tile at a place in the grid of tiles, counted along each axis."""
        start = [int(i) * step for i, step in zip(index, self.step, strict=True)]
        stop = [min(a + step, n) for a, step, n in zip(start, self.step, self.shape, strict=True)]
        origin = [a - halo for a, halo in zip(start, self.halo, strict=True)]
        return Tile(
            read=tuple((o, o + size) for o, size in zip(origin, self.tile_input, strict=True)),
            crop=tuple((0, b - a) for a, b in zip(start, stop, strict=True)),
            write=tuple(zip(start, stop, strict=True)),
        )

    @property
    def counts(self) -> list[int]:
        """Tiles along each axis."""
        return [math.ceil(n / step) for n, step in zip(self.shape, self.step, strict=True)]


def plan_tiles(
    shape: Sequence[int], geometry: Geometry, tile: int | Sequence[int], rule: TileRule = ANY_TILE
) -> TilePlan:
    """Cut an image into the fewest tiles of at most `tile` output pixels per axis, all of one size.

    Parameters
    ----------
    shape : sequence of int
        Spatial shape of the image.
    geometry : Geometry
        Of the network.
    tile : int or sequence of int
        Largest output of a tile, pixels per axis; at least the network's grid.
    rule : TileRule
        Which tiles compute alike; where it names shapes one of these is taken, beyond the image if need be.

    Raises
    ------
    ShapeError
        If the image has another number of axes, is empty, or the tile is smaller than the grid.

    Examples
    --------
    >>> plan = plan_tiles((512, 512), Geometry.regular(spatial_dims=2, depth=4), tile=256)
    >>> len(plan), plan.tile_input, plan.step
    (4, (444, 444), (256, 256))
    """
    dims = len(geometry.axes)
    sizes = (tile,) * dims if isinstance(tile, int) else tuple(tile)
    if len(shape) != dims or len(sizes) != dims:
        raise ShapeError(
            f"an image of {len(shape)} and a tile of {len(sizes)} axes were given; the network has {dims}"
        )
    if min(shape) < 1:
        raise ShapeError(f"the image is empty: its shape is {tuple(shape)}")
    steps = []
    for n, wanted, axis in zip(shape, sizes, geometry.axes, strict=True):
        size, grid = axis.at_most(wanted), axis.grid
        if size < grid:
            raise ShapeError(f"tile {size} was given; this network needs tiles of {grid} pixels or more")
        largest = size // grid * grid
        count = 1 if n <= size else math.ceil(n / largest)
        steps.append(math.ceil(n / count / grid) * grid)
    if rule.shapes:
        plans = [
            TilePlan(tuple(shape), geometry.input_for(output), output, geometry.halo)
            for output in rule.allowed(sizes)
        ]
        return fastest(plans, geometry, rule)
    needed = [min(step, n) for step, n in zip(steps, shape, strict=True)]
    return TilePlan(tuple(shape), geometry.input_for(needed), tuple(steps), geometry.halo)


def fastest(plans: Sequence[TilePlan], geometry: Geometry, rule: TileRule) -> TilePlan:
    """The plan that takes least, as far as was measured; of about equal ones that of the largest tiles."""
    times = [len(plan) * rule.seconds_for(plan.tile_input, geometry) for plan in plans]
    good = [plan for plan, seconds in zip(plans, times, strict=True) if seconds <= ALIKE * min(times)]
    return max(good, key=lambda plan: (math.prod(plan.tile_input), plan.tile_input))


def read_mirrored(image: Source, region: Sequence[tuple[int, int]]) -> NDArray[Any]:
    """A region of an image, (C, *region), mirrored where it reaches outside.

    The edge pixel is the mirror and is not repeated; an image smaller than the reach is mirrored again
    and again; an image of one pixel is constant. No more of the image is read than the region shows.
    """
    if all(a >= 0 and b <= n for (a, b), n in zip(region, image.shape, strict=True)):
        return image.read(tuple(region))
    places = [mirrored_indices(a, b, n) for (a, b), n in zip(region, image.shape, strict=True)]
    part = image.read(tuple((int(place.min()), int(place.max()) + 1) for place in places))
    for axis, place in enumerate(places, start=1):
        part = np.take(part, place - place.min(), axis=axis)
    return part


def windowed(image: Source, region: Region, *, margin: Sequence[int]) -> Source:
    """The same image, of which a region with a margin is read now, at once, and kept."""
    kept = tuple(
        (max(0, a - m), min(n, b + m)) for (a, b), m, n in zip(region, margin, image.shape, strict=True)
    )
    window, origin = image.read(kept), [a for a, _ in kept]

    def read(wanted: Region) -> NDArray[Any]:
        inside = all(a >= low and b <= high for (a, b), (low, high) in zip(wanted, kept, strict=True))
        return window[(slice(None), *slices(wanted, origin=origin))] if inside else image.read(wanted)

    return replace(image, read=read)


def mirrored_indices(start: int, stop: int, size: int) -> NDArray[np.intp]:
    """Indices into an axis of `size` pixels for positions start to stop, reflected at both ends.

    >>> mirrored_indices(-3, 6, 3).tolist()
    [1, 2, 1, 0, 1, 2, 1, 0, 1]
    """
    return mirrored(np.arange(start, stop), size)


def mirrored(position: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Positions folded back into an axis of `size` pixels, whose outermost pixels are the mirrors."""
    period = max(1, 2 * (size - 1))
    position = position % period
    return np.minimum(position, period - position) if size > 1 else np.zeros_like(position)


def apply_tiled(
    function: TileFunction,
    image: Source,
    plan: TilePlan,
    *,
    origin: Sequence[int] | None = None,
    on_tile: Callable[[int, int], None] | None = None,
) -> NDArray[Any]:
    """Apply a network to an image, or to a region of it, tile by tile.

    Parameters
    ----------
    function : callable
        Maps an array (C, *plan.tile_input) to (K, *output), the output 2 * halo smaller along each axis.
    image : Source
        The image; `unseam.io.source.array_source` makes one of an array.
    plan : TilePlan
        From `plan_tiles`, for the shape of the image or of the region.
    origin : sequence of int, optional
        Where the region begins, a multiple of the network's grid along each axis; without it the whole
        image is wanted.
    on_tile : callable, optional
        Called with (tiles done, tiles in all) after each tile.

    Returns
    -------
    ndarray, (K, *plan.shape)
        Each pixel written exactly once; the dtype is the function's.

    Raises
    ------
    ShapeError
        If the image is not the plan's, or the function's output is not the tile without its halo.
    """
    if origin is None and image.shape != plan.shape:
        raise ShapeError(f"the image is {image.shape} and the plan was made for {plan.shape}; plan it again")
    expected = tuple(n - 2 * halo for n, halo in zip(plan.tile_input, plan.halo, strict=True))
    result: NDArray[Any] | None = None
    for done, tile in enumerate(plan, start=1):
        output = function(read_mirrored(image, shifted(tile.read, origin)))
        if output.shape[1:] != expected:
            raise ShapeError(
                f"a tile of {plan.tile_input} gave an output of {output.shape[1:]}, and the plan expects "
                f"{expected}; plan with the geometry of the function"
            )
        if result is None:
            result = np.empty((output.shape[0], *plan.shape), output.dtype)
        result[_slices(tile.write)] = output[_slices(tile.crop)]
        if on_tile:
            on_tile(done, len(plan))
    assert result is not None
    return result


def settle(
    function: TileFunction,
    image: Source,
    plan: TilePlan,
    *,
    result: NDArray[Any],
    undecided: NDArray[np.bool_],
    origin: Sequence[int] | None = None,
) -> float:
    """Compute the undecided pixels of `result` again, in place, in tiles that no choice depends on.

    Rounding differs between tiles of different sizes, in the last digits. A pixel that a decision hangs on by
    less is computed in a tile of `plan`, always the same one, so that it is decided alike however the image
    was cut.

    Parameters
    ----------
    function, image
        As in `apply_tiled`.
    plan : TilePlan
        Small tiles of the whole image, of a size that the network alone decides.
    result : ndarray, (K, *region)
        Changed where `undecided`, and nowhere else.
    undecided : ndarray of bool, (*region)
    origin : sequence of int, optional
        Where the region begins; without it `result` is of the whole image.

    Returns
    -------
    float
        The largest difference to what `result` held, over all pixels of the region in the tiles computed: how
        much rounding there is here.
    """
    largest = 0.0
    start = np.asarray(origin or (0,) * undecided.ndim)
    region = tuple((int(a), int(a) + n) for a, n in zip(start, undecided.shape, strict=True))
    for index in np.unique((np.argwhere(undecided) + start) // plan.step, axis=0):
        tile = plan.tile(index)
        common = tuple(
            (max(a, low), min(b, high)) for (a, b), (low, high) in zip(tile.write, region, strict=True)
        )
        output = function(read_mirrored(image, tile.read))
        output = output[(slice(None), *slices(common, origin=[a for a, _ in tile.write]))]
        there = result[(slice(None), *slices(common, origin=start.tolist()))]
        largest = max(largest, float(np.abs(output - there).max()))
        where = undecided[slices(common, origin=start.tolist())]
        there[:, where] = output[:, where]
    return largest


def shifted(region: Region, origin: Sequence[int] | None) -> Region:
    """A region moved by `origin`."""
    return (
        region if origin is None else tuple((a + o, b + o) for (a, b), o in zip(region, origin, strict=True))
    )


def _slices(region: Region) -> tuple[slice, ...]:
    return (slice(None), *slices(region))
