"""An image that is read in parts: what a file, a Zarr store and an array have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.grid import Region, slices

Array = NDArray[Any]


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
