"""Blocks: how an image too large for memory is cut, as integers.

One axis; three blocks of an image, the last one smaller, the second with a margin of two pixels each side::

    0        4        8     11
    │ block 0│ block 1│block2│
          ├──┼────────┼──┤       block 1 with its margin, cut off where the image ends

Blocks are counted in raster order; each pixel lies in exactly one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from unseam.errors import ShapeError

Region = tuple[tuple[int, int], ...]
"""Start and stop along each spatial axis, half open."""


@dataclass(frozen=True)
class BlockGrid:
    """An image cut into blocks.

    Attributes
    ----------
    shape : spatial shape of the image.
    block : spatial shape of a block; the last ones along an axis may be smaller.

    Examples
    --------
    >>> grid = BlockGrid((5, 11), (5, 4))
    >>> len(grid), grid.region(2), grid.region(1, margin=2)
    (3, ((0, 5), (8, 11)), ((0, 5), (2, 10)))
    """

    shape: tuple[int, ...]
    block: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.block) != len(self.shape) or min(self.block, default=1) < 1:
            raise ShapeError(
                f"blocks of {self.block} do not fit an image of shape {self.shape}; "
                f"give {len(self.shape)} sizes of 1 or more"
            )

    def __len__(self) -> int:
        return math.prod(self.counts)

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of blocks along each axis."""
        return tuple(math.ceil(n / step) for n, step in zip(self.shape, self.block, strict=True))

    def place(self, number: int) -> tuple[int, ...]:
        """Where block `number` stands in the grid, counted along each axis."""
        place = []
        for count in reversed(self.counts):
            number, at = divmod(number, count)
            place.append(at)
        return tuple(reversed(place))

    def number(self, place: Sequence[int]) -> int:
        """The number of the block at a place in the grid."""
        number = 0
        for at, count in zip(place, self.counts, strict=True):
            number = number * count + at
        return number

    def region(self, number: int, *, margin: int = 0) -> Region:
        """The pixels of a block, with up to `margin` pixels more on each side, as far as the image goes."""
        starts = [at * step for at, step in zip(self.place(number), self.block, strict=True)]
        return tuple(
            (max(0, start - margin), min(n, start + step + margin))
            for start, step, n in zip(starts, self.block, self.shape, strict=True)
        )

    def before(self, number: int, axis: int) -> int | None:
        """The block before this one along `axis`, or None for the first one."""
        place = list(self.place(number))
        place[axis] -= 1
        return self.number(place) if place[axis] >= 0 else None

    def overlapping(self, region: Region) -> Iterator[int]:
        """The blocks that share a pixel with `region`, in raster order."""
        ranges = [
            range(a // step, math.ceil(b / step)) for (a, b), step in zip(region, self.block, strict=True)
        ]
        return map(self.number, product(*ranges))


def slices(region: Region, *, origin: Sequence[int] | None = None) -> tuple[slice, ...]:
    """`region` as an index into an array whose first pixel lies at `origin`."""
    start = origin or (0,) * len(region)
    return tuple(slice(a - o, b - o) for (a, b), o in zip(region, start, strict=True))


def in_words(region: Region) -> str:
    """A region as y 0:256, x 128:384.

    >>> in_words(((0, 256), (128, 384)))
    'y 0:256, x 128:384'
    """
    letters = "zyx"[-len(region) :]
    return ", ".join(f"{letter} {a}:{b}" for letter, (a, b) in zip(letters, region, strict=True))
