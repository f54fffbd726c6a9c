"""From a range of output pixels to the input pixels that they are made of, by operation, along one axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

Range = tuple[int, int]
"""First and last pixel."""
Back = Callable[[int, int], Range]
"""From a range of what an operation makes to that of what it is given."""


def same(first: int, last: int) -> Range:
    """Pixel by pixel."""
    return first, last


def shifted(by: int) -> Back:
    """Pixels that change their place: cropped, or padded where `by` is negative."""
    return lambda first, last: (first + by, last + by)


def windowed(stride: int, before: int, extent: int) -> Back:
    """Convolution and pooling: pixel o is made of o stride - before to o stride - before + extent."""
    return lambda first, last: (first * stride - before, last * stride - before + extent)


def spread(stride: int, before: int, extent: int) -> Back:
    """Transposed convolution: pixel i reaches i stride - before to i stride - before + extent."""
    return lambda first, last: (-((extent - first - before) // stride), (last + before) // stride)


def resized(factor: Fraction, half: Fraction, kind: str) -> Back:
    """Where a pixel falls, and which one that is: the nearest, or with "linear" both neighbours."""
    lower, upper = {
        "floor": (math.floor, math.floor),
        "ceil": (math.ceil, math.ceil),
        "round_prefer_floor": (_half_down, _half_down),
        "round_prefer_ceil": (_half_up, _half_up),
        "linear": (math.floor, lambda at: math.floor(at) + 1),
    }[kind]
    return lambda first, last: (
        lower((first + half) / factor - half),
        upper((last + half) / factor - half),
    )


def _half_down(at: Fraction) -> int:
    return math.ceil(at - Fraction(1, 2))


def _half_up(at: Fraction) -> int:
    return math.floor(at + Fraction(1, 2))
