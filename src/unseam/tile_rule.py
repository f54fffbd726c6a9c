"""Which tiles of a network compute alike, and how long those take that were timed: a plain value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from unseam.geometry import Geometry

Shape = tuple[int, ...]


@dataclass(frozen=True)
class TileRule:
    """Which tiles of a network compute alike, so that no cut shows in the result, and how fast they are.

    In float32 tiles of all sizes do, up to the last digits, which `unseam.tiling.settle` looks after. In
    lower precision an engine takes other kernels for other sizes, so only tiles are used that were compared.

    Attributes
    ----------
    shapes : outputs of the tiles that were seen to agree, pixels per axis, multiples of the grid; () where
        any will do.
    is_exact : whether such tiles agree bit for bit, so that there is nothing to settle.
    seconds : outputs of the tiles that were timed, and what each takes; infinite where it failed.
    """

    shapes: tuple[Shape, ...] = ()
    is_exact: bool = False
    seconds: tuple[tuple[Shape, float], ...] = ()

    @property
    def least(self) -> Shape:
        """The smallest of the shapes; () where there is none."""
        return min(self.shapes, key=_by_pixels, default=())

    @property
    def largest(self) -> Shape:
        """The largest of the shapes; () where there is none."""
        return max(self.shapes, key=_by_pixels, default=())

    def allowed(self, wanted: Sequence[int]) -> tuple[Shape, ...]:
        """The shapes that are no larger than what is wanted, else the smallest alone."""
        fitting = (shape for shape in self.shapes if all(s <= n for s, n in zip(shape, wanted, strict=True)))
        return tuple(fitting) or (self.least,)

    def output(self, wanted: Sequence[int]) -> list[int]:
        """The output of a tile that should be so large."""
        if not self.shapes:
            return list(wanted)
        shape: Shape = max(self.allowed(wanted), key=_by_pixels)
        return list(shape)

    def seconds_for(self, tile_input: Sequence[int], geometry: Geometry) -> float:
        """About what a tile takes that is given so much: as each pixel of the timed tile nearest in size.

        Where none was timed all pixels are alike, and the unit is a pixel.
        """
        pixels = math.prod(tile_input)
        timed = [
            (math.prod(geometry.input_for(shape)), seconds)
            for shape, seconds in self.seconds
            if math.isfinite(seconds)
        ]
        nearest, seconds = min(timed, key=lambda one: abs(math.log(one[0] / pixels)), default=(1, 1.0))
        return pixels * seconds / nearest

    def times_as_fast(self, one: Sequence[int], other: Sequence[int]) -> float | None:
        """Of a pixel of the result, with this output and the other; None where one was not timed."""
        known = dict(self.seconds)
        if tuple(one) not in known or tuple(other) not in known:
            return None
        return math.prod(one) * known[tuple(other)] / known[tuple(one)] / math.prod(other)


ANY_TILE = TileRule()


def _by_pixels(shape: Shape) -> tuple[int, int, Shape]:
    return math.prod(shape), max(shape), shape
