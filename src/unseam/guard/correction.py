"""What can be done to an image so that it is like the training images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.io.source import Source

MOST_CHANNELS = 4
"""Of more channels only exchanges of two are tried."""
HALF_OCTAVES = {2: 6, 3: 4}
"""Zooms are powers of the square root of 2, so many each way: 1/8 to 8, of volumes 1/4 to 4."""


@dataclass(frozen=True)
class Correction:
    """How an image is changed for the network; labels and measurements stay those of the image itself.

    Attributes
    ----------
    inverted : bool
        Whether dark and bright are exchanged.
    channels : tuple of int, optional
        Which channel of the image comes first, second, ...
    zoom : float, optional
        How many times the image is rescaled, as `unseam.prediction.Model.predict` takes it.
    """

    inverted: bool = False
    channels: tuple[int, ...] | None = None
    zoom: float | None = None

    def __bool__(self) -> bool:
        return self != NONE

    def __str__(self) -> str:
        words = []
        if self.inverted:
            words.append("inverted")
        if self.channels is not None:
            words.append(f"channels in the order {' '.join(str(c) for c in self.channels)}")
        if self.zoom is not None:
            words.append(f"rescaled {self.zoom:.3g} times")
        return " and ".join(words) or "nothing"

    def apply(self, image: Source) -> Source:
        """The image, inverted and its channels in their order; rescaling is left to the prediction."""
        if not self.inverted and self.channels is None:
            return image

        def read(region: Any) -> NDArray[Any]:
            part = image.read(region)
            part = part if self.channels is None else part[list(self.channels)]
            return invert(part) if self.inverted else part

        return replace(image, read=read)


NONE = Correction()


def invert(part: NDArray[Any]) -> NDArray[Any]:
    """Dark and bright exchanged, every value exact: of integers all bits are flipped, others are negated.

    Examples
    --------
    >>> invert(np.array([0, 3, 255], np.uint8)).tolist()
    [255, 252, 0]
    """
    inverted: NDArray[Any] = np.invert(part) if part.dtype.kind in "biu" else np.negative(part)
    return inverted


def candidates(channels: int, *, dims: int, zoom: float | None) -> Iterator[Correction]:
    """What is tried, one thing at a time.

    Parameters
    ----------
    channels : int
        Of the image.
    dims : int
        2 or 3.
    zoom : float or None
        How many times the image is rescaled already; None if it may not be rescaled.
    """
    yield Correction(inverted=True)
    for order in _orders(channels):
        yield Correction(channels=order)
    for step in range(-HALF_OCTAVES[dims], HALF_OCTAVES[dims] + 1):
        if step and zoom is not None:
            yield Correction(zoom=zoom * 2 ** (step / 2))


def _orders(channels: int) -> Iterator[tuple[int, ...]]:
    """All other orders of few channels; of more all exchanges of two."""
    same = tuple(range(channels))
    if channels <= MOST_CHANNELS:
        yield from (order for order in permutations(same) if order != same)
        return
    for a in range(channels):
        for b in range(a + 1, channels):
            order = list(same)
            order[a], order[b] = b, a
            yield tuple(order)
