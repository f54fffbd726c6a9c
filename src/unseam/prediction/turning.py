"""The average over turned versions of an image: each is turned as a whole, so that no tile can matter.

A quarter turn maps pixels onto pixels, and each tile can be turned by itself. Other angles do not: between
pixels is interpolated, and the poolings of a turned tile would begin at another place for each tile. So the
image, mirrored at its border, is turned about its centre into a larger one, which has a grid of its own::

    ┌──────╱╲─────┐
    │    ╱    ╲   │      the image within the turned one; around it are mirrored pixels, at least the halo
    │  ╱        ╲ │
    │  ╲       ╱  │
    │    ╲   ╱    │
    └──────╲╱─────┘

The network sees that one in tiles, and its probabilities are turned back. Both interpolations are linear, and
each pixel is computed from its place in the whole image alone, by the same operations in whatever part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.geometry import Geometry
from unseam.grid import Region
from unseam.io.source import Source
from unseam.tiling import mirrored

TURNS = tuple(2 * math.pi * k / 7 for k in range(7))
"""Angles, radians. The paper averages over 7 rotated versions and does not say by which angles: these are
equal steps, so that no direction is favoured, and the first is the image as it is."""
BAND = 2**20
"""Pixels that are interpolated at a time."""

Floats = NDArray[np.float32]
Places = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Rows and columns, not whole numbers, which fit each other's shape."""
Recompute = Callable[[NDArray[np.bool_]], float]
Compute = Callable[[int, Source, Region], tuple[Floats, Recompute]]
"""A region of the version of this number through the network, and what settles pixels of it in place."""


def turns_of(tta: str) -> tuple[float, ...]:
    """The angles of a way to average; none where images are not turned, or tile by tile."""
    return TURNS if tta == "turn" else ()


@dataclass(frozen=True)
class Turn:
    """How an image is turned in Y and X.

    Attributes
    ----------
    cos, sin : of the angle.
    centre : of the image, pixels.
    middle : of the turned one, onto which the centre falls.
    shape : of the turned image, all spatial axes.
    """

    cos: float
    sin: float
    centre: tuple[float, float]
    middle: tuple[float, float]
    shape: tuple[int, ...]

    def there(self, rows: NDArray[Any], columns: NDArray[Any]) -> Places:
        """Where pixels of the image lie in the turned one."""
        y, x = rows - self.centre[0], columns - self.centre[1]
        return self.middle[0] + (self.cos * y + self.sin * x), self.middle[1] + (self.cos * x - self.sin * y)

    def back(self, rows: NDArray[Any], columns: NDArray[Any]) -> Places:
        """Where pixels of the turned image lie in the image, or beyond its border."""
        y, x = rows - self.middle[0], columns - self.middle[1]
        return self.centre[0] + (self.cos * y - self.sin * x), self.centre[1] + (self.sin * y + self.cos * x)

    def needed(self, region: Region) -> Region:
        """The pixels of the turned image between which those of a region lie."""
        (a, b), (c, d) = region[-2:]
        around = []
        for places in self.there(np.array([[a], [b - 1]]), np.array([[c, d - 1]])):
            around.append((math.floor(places.min()), math.floor(places.max()) + 2))
        return (*region[:-2], *around)


def turn_by(angle: float, shape: Sequence[int], geometry: Geometry) -> Turn:
    """The turn of an image by an angle in radians, with the context that a network needs on each side.

    The context is a multiple of the grid, so that a turn by nothing changes nothing.
    """
    cos, sin = math.cos(angle), math.sin(angle)
    last_y, last_x = (n - 1 for n in shape[-2:])
    extent = (abs(cos) * last_y + abs(sin) * last_x, abs(cos) * last_x + abs(sin) * last_y)
    size = []
    for length, halo, grid in zip(extent, geometry.halo[-2:], geometry.grid[-2:], strict=True):
        size.append(math.ceil(length - 1e-9) + 1 + 2 * grid * math.ceil((halo + 2) / grid))
    middle = (size[0] - 1) / 2, (size[1] - 1) / 2
    return Turn(cos, sin, (last_y / 2, last_x / 2), middle, (*shape[:-2], *size))


def turned(image: Source, turn: Turn) -> Source:
    """The image turned, float32, mirrored beyond its border."""

    def read(region: Region) -> Floats:
        lead = region[:-2]
        found = np.empty((image.channels, *(b - a for a, b in region)), np.float32)
        for rows, (y, x) in _bands(region, turn.back):
            found[..., rows, :] = interpolated(y, x, read=lambda part: image.read((*lead, *part)), of=image)
        return found

    return replace(image, read=read, shape=turn.shape, dtype=np.dtype(np.float32), spacing=None, chunk=None)


def interpolated(
    y: NDArray[np.float64], x: NDArray[np.float64], *, read: Callable[[Region], NDArray[Any]], of: Source
) -> Floats:
    """Values of an image at places, (C, [Z], *places), by linear interpolation; outside it is mirrored."""
    top, left = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
    rows = [mirrored(top + k, of.shape[-2]) for k in (0, 1)]
    columns = [mirrored(left + k, of.shape[-1]) for k in (0, 1)]
    part = tuple((int(np.min(i)), int(np.max(i)) + 1) for i in (rows, columns))
    pixels = read(part).astype(np.float32, copy=False)
    (first_row, _), (first_column, _) = part
    return _weighted(
        (y - top, x - left), lambda i, k: pixels[..., rows[i] - first_row, columns[k] - first_column]
    )


def average_turned(
    image: Source, region: Region, turns: Sequence[Turn], compute: Compute
) -> tuple[Floats, Recompute]:
    """Probabilities of a region averaged over turned versions, (classes, *region), and what settles them.

    Parameters
    ----------
    image : Source
    region : Region
        Of the image.
    turns : sequence of Turn
    compute : callable
        A region of an image through the network; called with the number and the source of each version.
    """
    parts = []
    for number, turn in enumerate(turns):
        around = turn.needed(region)
        parts.append((turn, [a for a, _ in around], *compute(number, turned(image, turn), around)))
    dtype = parts[0][2].dtype  # float32, or float64 where a verification looks beyond rounding
    mean = np.zeros((len(parts[0][2]), *(b - a for a, b in region)), dtype)
    for turn, origin, part, _ in parts:
        for rows, places in _bands(region, turn.there):
            mean[..., rows, :] += _turned_back(part, origin, places, (slice(None),) * (len(region) - 2))
    mean /= len(parts)

    def recompute(undecided: NDArray[np.bool_]) -> float:
        lead, rows, columns = _pixels(undecided, region)
        largest, total = 0.0, np.zeros((len(mean), len(rows)), dtype)
        for turn, origin, part, settled in parts:
            places = turn.there(rows, columns)
            needed_here = np.zeros(part.shape[1:], bool)
            top, left = (np.floor(p).astype(np.intp) - o for p, o in zip(places, origin[-2:], strict=True))
            for i, k in ((0, 0), (0, 1), (1, 0), (1, 1)):
                needed_here[(*lead, top + i, left + k)] = True
            largest = max(largest, settled(needed_here))
            total += _turned_back(part, origin, places, lead)
        mean[:, undecided] = total / len(parts)
        return largest

    return mean, recompute


def turned_bytes(
    block: Sequence[int], margin: Sequence[int], *, channels: int, classes: int, turns: int
) -> int:
    """About the memory that averaging a block over turned versions takes besides its tiles.

    The probabilities of all versions are kept, of one its image too; each lies askew in a larger rectangle.
    """
    diagonal = math.ceil(math.hypot(*block[-2:]))
    lead = [n + 2 * m for n, m in zip(block[:-2], margin[:-2], strict=True)]
    pixels = math.prod([*lead, *(diagonal + 2 * m for m in margin[-2:])])
    at_a_time = min(pixels, BAND) * 4 * (4 * (channels + classes) + 16)
    return pixels * 4 * ((turns + 1) * classes + 2 * channels) + at_a_time


def _turned_back(part: Floats, origin: Sequence[int], places: Places, lead: tuple[Any, ...]) -> Floats:
    """Values at places of the turned image, of whose pixels `part` holds those from `origin` on."""
    top, left = (np.floor(place).astype(np.intp) for place in places)
    row, column = top - origin[-2], left - origin[-1]
    return _weighted(
        (places[0] - top, places[1] - left),
        lambda i, k: part[(slice(None), *lead, row + i, column + k)],
    )


def _weighted(fraction: Places, corner: Callable[[int, int], Floats]) -> Floats:
    """The four pixels around each place, summed in a fixed order."""
    down, right = (share.astype(np.float32) for share in fraction)
    up, left = 1 - down, 1 - right
    total = up * left * corner(0, 0)
    total += up * right * corner(0, 1)
    total += down * left * corner(1, 0)
    total += down * right * corner(1, 1)
    return total


def _bands(region: Region, to: Callable[[Any, Any], Places]) -> Iterator[tuple[slice, Places]]:
    """A region a few rows at a time: which of its rows, and where `to` maps their pixels."""
    (a, b), (c, d) = region[-2:]
    step, columns = max(1, BAND // max(1, d - c)), np.arange(c, d)[None]
    for start in range(a, b, step):
        stop = min(b, start + step)
        yield slice(start - a, stop - a), to(np.arange(start, stop)[:, None], columns)


def _pixels(mask: NDArray[np.bool_], region: Region) -> tuple[tuple[Any, ...], Any, Any]:
    """Pixels of a mask of a region: leading axes within the region, rows and columns within the image."""
    *lead, rows, columns = np.nonzero(mask)
    return tuple(lead), rows + region[-2][0], columns + region[-1][0]
