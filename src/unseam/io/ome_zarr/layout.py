"""How an OME-Zarr image is laid out: its axes, chunks and levels, and the metadata that say so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unseam.axes import LETTERS, times
from unseam.errors import InputError, ShapeError
from unseam.io.ome_zarr.metadata import TYPES

_SMALLEST_SIDE = 1024  # pixels; a pyramid goes on until Y and X are no longer than this
_COARSE_Z = 1.5  # Z is halved too unless its pixels are longer than those of Y and X by this factor


@dataclass(frozen=True)
class Layout:
    """An image that is to be written as OME-Zarr.

    Attributes
    ----------
    axes : letters of T C Z Y X in this order; Y and X are always there.
    shape : of all axes.
    dtype : of the pixels.
    chunk : spatial shape of a chunk; along T and C a chunk is one image.
    shard : spatial shape of a shard, one file of many chunks: a multiple of `chunk`. Version 0.5 only.
    spacing : pixel size in micrometres along each spatial axis, or None.
    origin : where the centre of pixel 0 lies along each spatial axis, in micrometres or, where `spacing` is
        None, in pixels; None for zero.
    version : "0.4" (Zarr format 2) or "0.5" (Zarr format 3).
    labels : whether it is a label image, whose coarser levels are every second pixel, not means.
    name : of the image.
    """

    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk: tuple[int, ...]
    shard: tuple[int, ...] | None = None
    spacing: tuple[float, ...] | None = None
    origin: tuple[float, ...] | None = None
    version: str = "0.5"
    labels: bool = False
    name: str = "image"

    def __post_init__(self) -> None:
        if self.version not in ("0.4", "0.5"):
            raise InputError(f"OME-Zarr version {self.version!r} was given; choose 0.4 or 0.5")
        if self.axes != "".join(letter for letter in LETTERS if letter in self.axes) or "YX" not in self.axes:
            raise InputError(f"axes {self.axes!r} were given; expected T? C? Z? Y X in this order")
        if len(self.shape) != len(self.axes) or min(self.shape) < 1:
            raise ShapeError(f"an image {times(self.shape)} with axes {self.axes} cannot be written")
        if self.shard is not None and self.version == "0.4":
            raise InputError("shards were given for OME-Zarr 0.4, which has none; choose version 0.5")
        for what, sizes in (("chunk", self.chunk), ("shard", self.shard)):
            if sizes is not None and (len(sizes) != self.spatial_dims or min(sizes) < 1):
                raise ShapeError(f"{what} {sizes} was given; it takes {self.spatial_dims} sizes of 1 or more")
        if self.shard and any(s % c for s, c in zip(self.shard, self.chunk, strict=True)):
            raise ShapeError(f"shard {self.shard} is no multiple of chunk {self.chunk}; give one that is")
        for what, lengths in (("spacing", self.spacing), ("origin", self.origin)):
            if lengths is not None and len(lengths) != self.spatial_dims:
                raise ShapeError(f"{what} {lengths} was given; it takes {self.spatial_dims} lengths")

    @property
    def spatial_dims(self) -> int:
        """Number of spatial axes, 2 or 3."""
        return 3 if "Z" in self.axes else 2

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of a chunk over all axes, no larger than the image."""
        return self._over_all(tuple(map(min, self.chunk, self._spatial)))

    @property
    def shards(self) -> tuple[int, ...] | None:
        """Shape of a shard over all axes, no larger than the image needs; None where there are none."""
        if self.shard is None:
            return None
        chunk = map(min, self.chunk, self._spatial)
        whole = [-(-n // c) * c for n, c in zip(self._spatial, chunk, strict=True)]
        return self._over_all(tuple(map(min, self.shard, whole)))

    @property
    def block(self) -> tuple[int, ...]:
        """What one writer writes at once, over all axes: a shard, or a chunk where there are none."""
        return self.shards or self.chunks

    @property
    def _spatial(self) -> tuple[int, ...]:
        return self.shape[-self.spatial_dims :]

    def _over_all(self, spatial: tuple[int, ...]) -> tuple[int, ...]:
        return (1,) * (len(self.axes) - self.spatial_dims) + spatial

    def transformations(self) -> list[dict[str, Any]]:
        """Where its pixels lie, in the words of OME-Zarr."""
        scale = self._lengths(self.spacing, 1.0)
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if self.origin is not None and any(self.origin):
            steps.append({"type": "translation", "translation": self._lengths(self.origin, 0.0)})
        return steps

    def _lengths(self, spatial: tuple[float, ...] | None, other: float) -> list[float]:
        lead = len(self.axes) - self.spatial_dims
        return [other] * lead + list(map(float, spatial or (other,) * self.spatial_dims))

    def attributes(self) -> dict[str, Any]:
        """The attributes of the group, with its finest level alone."""
        axes = [
            {"name": letter.lower(), "type": TYPES[letter]}
            | ({"unit": "micrometer"} if self.spacing and TYPES[letter] == "space" else {})
            for letter in self.axes
        ]
        image = {"name": self.name, "axes": axes, "datasets": [dataset(0, self.transformations())]}
        label = {"image-label": {"version": self.version}} if self.labels else {}
        if self.version == "0.4":
            return {"multiscales": [{"version": "0.4", **image}], **label}
        return {"ome": {"version": "0.5", "multiscales": [image], **label}}


def dataset(level: int, transformations: list[dict[str, Any]]) -> dict[str, Any]:
    """The entry of one level in the metadata."""
    return {"path": str(level), "coordinateTransformations": transformations}


def halvings(shape: Sequence[int], spacing: Sequence[float] | None) -> list[tuple[int, ...]]:
    """By how much each level of a pyramid is coarser than the one before, along each spatial axis: 1 or 2.

    Parameters
    ----------
    shape : sequence of int
        Spatial shape of the finest level.
    spacing : sequence of float or None
        Its pixel size.

    Notes
    -----
    Y and X are halved until neither is longer than 1024 pixels; Z is halved with them unless its pixels are
    longer than 1.5 times the shorter of the others. Sizes are rounded up; an axis of length one stays.

    Example
    -------
    >>> halvings((40, 4000, 3000), (2.0, 0.5, 0.5))
    [(1, 2, 2), (1, 2, 2)]
    """
    size, length = list(shape), list(spacing or (1.0,) * len(shape))
    steps = []
    while max(size[-2:]) > _SMALLEST_SIDE:
        fine = length[0] <= _COARSE_Z * min(length[-2:])
        wanted = [2 if axis >= len(size) - 2 or fine else 1 for axis in range(len(size))]
        step = tuple(2 if n > 1 and by == 2 else 1 for n, by in zip(size, wanted, strict=True))
        size = [-(-n // by) for n, by in zip(size, step, strict=True)]
        length = [one * by for one, by in zip(length, step, strict=True)]
        steps.append(step)
    return steps


def levels(finest: Layout) -> tuple[Layout, ...]:
    """Return the layouts of all levels of a pyramid, the finest first.

    Notes
    -----
    Scale grows with the step. For labels pixel 0 is the same pixel at each level, so the translation stays; a
    mean lies between its pixels, so the translation grows by (step - 1) / 2 of the finer pixel.
    """
    dims = finest.spatial_dims
    chain = [finest]
    for step in halvings(finest.shape[-dims:], finest.spacing):
        last = chain[-1]
        size = last.spacing or (1.0,) * dims
        start = last.origin or (0.0,) * dims
        if not finest.labels:
            start = tuple(o + (by - 1) / 2 * s for o, by, s in zip(start, step, size, strict=True))
        shape = tuple(math.ceil(n / by) for n, by in zip(last.shape[-dims:], step, strict=True))
        size = tuple(s * by for s, by in zip(size, step, strict=True))
        chain.append(replace(last, shape=(*finest.shape[:-dims], *shape), spacing=size, origin=start))
    return tuple(chain)


def step_between(finer: Layout, coarser: Layout) -> tuple[int, ...]:
    """By how much one level is coarser than the one before it, along all axes."""
    return tuple(1 if n == m else 2 for n, m in zip(finer.shape, coarser.shape, strict=True))
