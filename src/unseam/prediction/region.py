"""Any region of an image through the network: the same probabilities wherever the image was cut.

What is asked for, at the image's own pixel size, is made of the region of the network's pixels around it::

    image's pixels      │      region      │
    network's pixels  │      its taps       │ ─▶ tiles with their halo ─▶ probabilities ─▶ back

Where both pixel sizes are about the same, there is nothing to resample and the two are one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unseam.config import ObjectConfig
from unseam.decisions import settle_decisions, small_tiles, smallest_tile
from unseam.engines.agreement import compared_size
from unseam.engines.network import EngineNetwork
from unseam.errors import InputError
from unseam.geometry import Geometry
from unseam.grid import Region, slices
from unseam.io.source import Source, array_source
from unseam.model.header import ModelHeader
from unseam.normalize import Scaling
from unseam.prediction.tiles import NetworkSizes, plan_image
from unseam.prediction.turning import Recompute, Turn, average_turned, turn_by
from unseam.resample import needed, resample, resample_at, resampled, shape_at, taps_of_pixels
from unseam.tile_rule import ANY_TILE, TileRule
from unseam.tiling import (
    TileFunction,
    TilePlan,
    apply_tiled,
    plan_tiles,
    read_mirrored,
    settle,
    windowed,
)

LARGEST_DIFFERENCE = 0.1
"""Pixels that differ by no more than this share are not resampled: augmentation changes sizes as much."""

ZOOMS = (0.05, 20.0)
"""The least and the largest zoom; beyond them a diameter or a pixel size is rather a mistake."""

OnTile = Callable[[int, int], None]
Probabilities = NDArray[np.float32]


@dataclass(frozen=True)
class Prepared:
    """A model made ready for one image.

    Attributes
    ----------
    function : a tile of the network's pixels to probabilities.
    geometry : of the network.
    image : intensities scaled, the image's own pixels.
    resized : the same at the network's pixel size; `image` itself where that is the same.
    task, objects : what is decided; sizes in the image's own pixels.
    tile : largest output of a tile along each axis.
    scaling : what made `image` of the intensities.
    is_local : whether tiles can differ by rounding alone, which is then settled.
    rule : which tiles compute alike.
    turns : the turned versions of `resized` that are averaged; none where it is taken as it is.
    """

    function: TileFunction
    geometry: Geometry
    image: Source
    resized: Source
    task: str
    objects: ObjectConfig
    tile: tuple[int, ...]
    scaling: Scaling
    is_local: bool = True
    rule: TileRule = ANY_TILE
    turns: tuple[Turn, ...] = ()

    @property
    def is_resized(self) -> bool:
        """Whether the network sees other pixels than the image has."""
        return self.resized is not self.image


def prepare(
    net: NetworkSizes,
    header: ModelHeader,
    function: TileFunction,
    image: Source,
    scaling: Scaling,
    *,
    tile: int | str | tuple[int, ...],
    rescale: bool,
    zoom: float | None = None,
    memory: float | None = None,
    turns: Sequence[float] = (),
) -> Prepared:
    """A model made ready for an image whose intensities are scaled by `scaling`; see `Model.prepare`.

    `turns` are the angles, in radians, over which probabilities are averaged.
    """
    scaled = replace(image, read=lambda region: scaling(image.read(region)), dtype=np.dtype(np.float32))
    shape = network_shape(image, header.spacing, rescale=rescale, zoom=zoom)
    other = shape != image.shape
    zooms = [m / n for n, m in zip(image.shape, shape, strict=True)]
    return Prepared(
        function,
        net.geometry,
        scaled,
        resampled(scaled, shape) if other else scaled,
        header.task,
        objects_at(header.objects, zooms) if other else header.objects,
        plan_image(shape, net, tile=tile, memory=memory).step,
        scaling,
        net.is_local,
        net.rule,
        tuple(turn_by(angle, shape, net.geometry) for angle in turns),
    )


def network_shape(
    image: Source, wanted: Sequence[float] | None, *, rescale: bool = True, zoom: float | None = None
) -> tuple[int, ...]:
    """Pixels along each axis of what the network is given.

    `zoom` times as many as the image has; without it, where `rescale` is set, as many as make its pixels as
    large as those `wanted`, the model's; else, or where a pixel size is not known, the image's own.

    Raises
    ------
    InputError
        If `zoom` is out of its range.
    """
    if zoom is not None:
        check_zoom(zoom)
        return tuple(max(1, round(n * zoom)) for n in image.shape)
    if not rescale or image.spacing is None or wanted is None or len(wanted) != len(image.shape):
        return image.shape
    apart = max(abs(math.log(s / w)) for s, w in zip(image.spacing, wanted, strict=True))
    return (
        image.shape
        if apart <= math.log(1 + LARGEST_DIFFERENCE)
        else shape_at(image.shape, image.spacing, wanted)
    )


def check_zoom(zoom: float) -> None:
    """Raise `InputError` if an image cannot be rescaled so many times."""
    if not ZOOMS[0] <= zoom <= ZOOMS[1]:
        raise InputError(
            f"zoom is {zoom:g}; expected {ZOOMS[0]:g} to {ZOOMS[1]:g}: 1 leaves an image as it is"
        )


def objects_at(objects: ObjectConfig, zoom: Sequence[float]) -> ObjectConfig:
    """Growth and smallest size for an image with 1 / `zoom` pixels for each pixel that the model knows."""
    grow, size, part = objects.grow, objects.min_size, objects.split_size
    mean = math.prod(zoom) ** (1 / len(zoom))
    return replace(
        objects,
        grow=grow and max(1, round(grow / mean)),
        min_size=size and max(1, round(size / math.prod(zoom))),
        split_size=part and max(1, round(part / math.prod(zoom))),
        split_grow=math.ceil(objects.split_grow / mean),
    )


def whole_of(shape: Sequence[int]) -> Region:
    """The region that is the whole image."""
    return tuple((0, n) for n in shape)


@dataclass(frozen=True)
class Computed:
    """Probabilities of a region as the network gives them, and what settles those that hang on rounding.

    Attributes
    ----------
    probabilities : ndarray of float32, (classes, *region)
    brightness : ndarray of float32, (*region)
        Largest absolute scaled intensity.
    recompute : see `unseam.decisions.settle_decisions`; it changes `probabilities`.
    """

    probabilities: Probabilities
    brightness: NDArray[np.float32]
    recompute: Recompute


def predict_region(prepared: Prepared, region: Region, *, on_tile: OnTile | None = None) -> Probabilities:
    """Probabilities of a region, (classes, *region), those that hang on rounding settled.

    Labels decided on them do not depend on the region, the tiles, or what was computed before.
    """
    return settle_region(prepared, compute_region(prepared, region, on_tile=on_tile))


def settle_region(prepared: Prepared, computed: Computed) -> Probabilities:
    """The probabilities with those that hang on rounding settled, in place.

    Where tiles may differ by more, small tiles would not be nearer the truth, and nothing is settled; nor
    where they are known to agree bit for bit.
    """
    if prepared.is_local and not prepared.rule.is_exact:
        settle_decisions(
            computed.recompute,
            computed.probabilities,
            computed.brightness,
            task=prepared.task,
            objects=prepared.objects,
        )
    return computed.probabilities


def compute_region(
    prepared: Prepared, region: Region, *, before: int = 0, on_tile: OnTile | None = None
) -> Computed:
    """Probabilities of a region, nothing settled yet.

    The tiles begin `before` more steps of the network's grid before the region than they must, which changes
    nothing but the last digits.
    """
    inner = network_region(prepared, region)
    margin = _context(prepared, tiles_of(prepared, inner, before=before)[0])
    image = windowed(prepared.image, region, margin=margin)
    brightness = _brightness(image.read(region))
    if prepared.is_resized:
        image = windowed(prepared.resized, inner, margin=margin)
    fine, settled = _through_network(prepared, image, inner, before, on_tile)
    start = [a for a, _ in inner]
    if not prepared.is_resized:
        return Computed(fine, brightness, settled)
    old, new = prepared.resized.shape, prepared.image.shape
    probabilities = resample(fine, start, region, old=old, new=new)

    def recompute(undecided: NDArray[np.bool_]) -> float:
        pixels = np.argwhere(undecided) + np.array([a for a, _ in region], np.intp)
        needed_here = np.zeros(fine.shape[1:], bool)
        for index, _ in taps_of_pixels(pixels, old=old, new=new):
            needed_here[tuple((index - start).T)] = True
        largest = settled(needed_here)
        probabilities[:, undecided] = resample_at(fine, start, pixels, old=old, new=new)
        return largest

    return Computed(probabilities, brightness, recompute)


def _through_network(
    prepared: Prepared, image: Source, inner: Region, before: int, on_tile: OnTile | None
) -> tuple[Probabilities, Recompute]:
    """Probabilities of a region of the network's pixels, averaged over turned versions if they are wanted."""
    turns = prepared.turns
    if not turns:
        return _as_it_is(prepared, image, inner, before, on_tile)

    def one(number: int, version: Source, around: Region) -> tuple[Probabilities, Recompute]:
        plan, _ = tiles_of(prepared, around, before=before)
        kept = windowed(version, around, margin=_context(prepared, plan))
        told = on_tile and (lambda done, total: on_tile(number * total + done, len(turns) * total))
        return _as_it_is(prepared, kept, around, before, told)

    return average_turned(image, inner, turns, one)


def _as_it_is(
    prepared: Prepared, image: Source, inner: Region, before: int, on_tile: OnTile | None
) -> tuple[Probabilities, Recompute]:
    """Probabilities of a region of an image at the network's pixel size, and what settles them in place."""
    plan, origin = tiles_of(prepared, inner, before=before)
    tiled: Probabilities = apply_tiled(prepared.function, image, plan, origin=origin, on_tile=on_tile)
    fine = tiled[(slice(None), *slices(inner, origin=origin))]
    start, cells = [a for a, _ in inner], small_tiles(image.shape, prepared.geometry, prepared.rule)

    def settled(undecided: NDArray[np.bool_]) -> float:
        return settle(prepared.function, image, cells, result=fine, undecided=undecided, origin=start)

    return fine, settled


def _brightness(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Largest absolute intensity of each pixel over the channels."""
    brightness: NDArray[np.float32] = np.abs(image[0])
    for channel in image[1:]:
        np.maximum(brightness, np.abs(channel), out=brightness)
    return brightness


def network_region(prepared: Prepared, region: Region) -> Region:
    """The network's pixels that a region of the image's own is made of."""
    if not prepared.is_resized:
        return region
    return needed(region, old=prepared.resized.shape, new=prepared.image.shape)


def tiles_of(prepared: Prepared, inner: Region, *, before: int = 0) -> tuple[TilePlan, list[int]]:
    """The tiles of a region of the network's pixels, and where they begin: on the grid, at or before it."""
    grid = prepared.geometry.grid
    origin = [(a // step - before) * step for (a, _), step in zip(inner, grid, strict=True)]
    shape = [b - o for (_, b), o in zip(inner, origin, strict=True)]
    return plan_tiles(shape, prepared.geometry, prepared.tile, prepared.rule), origin


def _context(prepared: Prepared, plan: TilePlan) -> list[int]:
    """What is read around a region: the halo of its tiles, and of those that jut out of it."""
    last = plan.tile([count - 1 for count in plan.counts])
    margin = [max(h, b - n) for h, (_, b), n in zip(plan.halo, last.read, plan.shape, strict=True)]
    if prepared.rule.is_exact:
        return margin
    cells = smallest_tile(prepared.geometry, prepared.rule)
    return [max(m, h + cell) for m, h, cell in zip(margin, prepared.geometry.halo, cells, strict=True)]


def sample_tile(net: EngineNetwork, header: ModelHeader, image: Source) -> NDArray[np.float32]:
    """A tile of the middle of an image, scaled by its own intensities, for `unseam.engines.agreement`."""
    size = net.geometry.input_for(compared_size(net))
    starts = [(n - m) // 2 for n, m in zip(image.shape, size, strict=True)]
    part = read_mirrored(image, tuple((a, a + m) for a, m in zip(starts, size, strict=True)))
    tile = array_source(part)
    scaling = header.normalization.fit(tile.read, tile.shape, channels=tile.channels, dtype=tile.dtype)
    return scaling(part)


def region_bytes(shape: Sequence[int], *, channels: int, classes: int) -> int:
    """About the memory that predicting a region takes besides its tiles."""
    per_pixel = 4 * (2 * channels + 2 * classes) + 24  # intensities, probabilities, decisions
    return math.prod(shape) * per_pixel
