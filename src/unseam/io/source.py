"""An image that is read in parts: what a file, a Zarr store and an array have in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.grid import Region, slices

Array = NDArray[Any]
LARGE = 64 * 1024**2
"""Bytes; to decode so many again for each block takes long."""
WHOLE = 0.5
"""Share of an image from which on what is kept together counts as all of it."""


@dataclass(frozen=True)
class Source:
    """One image, 2-D or 3-D, that need not be in memory.

    Attributes
    ----------
    read : callable
        A region inside the image, ((start, stop), ...) per spatial axis, to its pixels, (C, *region).
        It may be called from several threads at once.
    shape : spatial shape.
    channels : number of channels.
    dtype : of the pixels.
    spacing : pixel size in micrometres along each spatial axis, or None.
    chunk : spatial shape of what the store keeps together; reading in multiples of it is fast.
    name : what messages call it.
    frame : its number in a time series, or None.
    origin : where the centre of its first pixel lies along each spatial axis, in micrometres where
        `spacing` is known, else in pixels; None for zero. It is not zero where the image was cut from
        a larger one or the file states a translation.
    """

    read: Callable[[Region], Array] = field(repr=False)
    shape: tuple[int, ...]
    channels: int
    dtype: np.dtype[Any]
    spacing: tuple[float, ...] | None = None
    chunk: tuple[int, ...] | None = None
    name: str = "the image"
    frame: int | None = None
    origin: tuple[float, ...] | None = None


def array_source(
    array: Array, *, spacing: tuple[float, ...] | None = None, name: str = "the image"
) -> Source:
    """An array (C, *spatial) as a source."""
    return Source(
        lambda region: array[(slice(None), *slices(region))],
        array.shape[1:],
        len(array),
        array.dtype,
        spacing=spacing,
        name=name,
    )


def stored_whole(source: Source) -> bool:
    """Whether a large image is stored in one piece, so that all of it is decoded for any part.

    Notes
    -----
    Such are a TIFF in one compressed strip, a JPEG or a PNG, and a Zarr of one chunk. One piece is what holds
    at least half of the image, and large is more than 64 MB of pixels. Of an image that was cut from a larger
    one the piece counts, not the cut. A TIFF whose pixels lie in the file as they are is never in one piece.

    Example
    -------
    >>> stored_whole(array_source(np.zeros((1, 5, 5))))
    False
    """
    if source.chunk is None:
        return False
    inside = math.prod(min(n, step) for n, step in zip(source.shape, source.chunk, strict=True))
    size = max(math.prod(source.shape), math.prod(source.chunk)) * source.channels * source.dtype.itemsize
    return size > LARGE and inside >= WHOLE * math.prod(source.shape)
