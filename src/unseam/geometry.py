"""Sizes of a network, as integers: valid inputs, outputs, the context each side.

One axis of the network of the paper (unpadded, depth 4, kernel 3, stride 2), 572 in and 388 out::

    572 ─conv─ 568 ────────────────── crop ──────────────── 392 ─conv─ 388
                 └ 284 ─ 280 ──────── crop ─────── 200 ─ 196 ┘
                           └ 140 ─ 136 ─ crop ─ 104 ─ 100 ┘
                                     └ 68 ─ 64 ─ 56 ─ 52 ┘
                                             └ 32 ─ 28 ┘

Everything follows from three sums over the levels, because each step is linear in the size. Of the network
of another program only the sizes are known that its description states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul

from unseam.axes import times
from unseam.errors import ConfigError, ShapeError

CONVOLUTIONS_PER_LEVEL = 2


@dataclass(frozen=True)
class AxisGeometry:
    """Sizes along one axis.

    Attributes
    ----------
    kernels : tuple of int
        Kernel size at each of the depth + 1 levels; odd.
    strides : tuple of int
        Pooling stride between the levels, depth of them; 1 leaves the axis as it is.
    """

    kernels: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def grid(self) -> int:
        """Pixels between two tile origins at which the network computes the same: the product of strides."""
        return self._reach[-1]

    @property
    def halo(self) -> int:
        """Pixels of context the network consumes on each side."""
        losses = [
            loss * reach for loss, reach in zip(self._losses, self._reach, strict=True)
        ]  # both arms of the U cross each level, but the bottom level is crossed once
        return sum(losses[:-1]) + losses[-1] // 2

    @property
    def smallest_input(self) -> int:
        """Smallest valid input with an output of at least one pixel."""
        return self.input_for(1)

    @property
    def _losses(self) -> list[int]:
        """Pixels that the convolutions of one visit to each level remove."""
        return [CONVOLUTIONS_PER_LEVEL * (kernel - 1) for kernel in self.kernels]

    @property
    def _reach(self) -> list[int]:
        """Input pixels per pixel at each level: 1, 2, 4, ..."""
        return list(accumulate(self.strides, mul, initial=1))

    @property
    def _offset(self) -> int:
        """A valid input is this plus a multiple of the grid."""
        return sum(loss * reach for loss, reach in zip(self._losses[:-1], self._reach[:-1], strict=True))

    def is_valid(self, size: int) -> bool:
        """Whether every pooling meets a size it divides, and something is left at the end."""
        return size >= self.smallest_input and (size - self._offset) % self.grid == 0

    def output(self, size: int) -> int:
        """Output size for a valid input size."""
        return size - 2 * self.halo

    def input_for(self, output: int) -> int:
        """Smallest valid input whose output has at least `output` pixels."""
        least = max(1, output) + 2 * self.halo
        return least + (self._offset - least) % self.grid

    def nearest(self, size: int) -> tuple[int, ...]:
        """The valid input sizes just below and just above `size`, or `size` itself where it is valid."""
        if self.is_valid(size):
            return (size,)
        above = self.input_for(size - 2 * self.halo)
        below = above - self.grid
        return (below, above) if self.is_valid(below) else (above,)

    def at_most(self, tile: int) -> int:
        """The output of a tile that is wanted so large; there is no largest."""
        return tile

    def __str__(self) -> str:
        return f"depth {len(self.strides)}, unpadded"


@dataclass(frozen=True)
class StatedAxis:
    """Sizes along one axis, as the description of a network states them.

    Attributes
    ----------
    smallest_input : smallest valid input.
    step : what a valid input may be larger by, any number of times; 0 where there is one size alone.
    halo : pixels on each side of a tile that are read and not answered for.
    grid : tile origins that agree modulo this give the same result.
    """

    smallest_input: int
    step: int
    halo: int
    grid: int

    def is_valid(self, size: int) -> bool:
        """Whether the network takes an input of this size."""
        more = size - self.smallest_input
        return more == 0 if not self.step else more >= 0 and more % self.step == 0

    def output(self, size: int) -> int:
        """Output size for a valid input size, without the halo."""
        return size - 2 * self.halo

    def input_for(self, output: int) -> int:
        """Smallest valid input whose output has at least `output` pixels; see `at_most`."""
        least = max(1, output) + 2 * self.halo
        if not self.step or least <= self.smallest_input:
            return self.smallest_input
        return least + (self.smallest_input - least) % self.step

    def nearest(self, size: int) -> tuple[int, ...]:
        """The valid input sizes just below and just above `size`, or `size` itself where it is valid."""
        above = self.input_for(size - 2 * self.halo)
        if above <= size or above == self.smallest_input:
            return (above,)
        return (above - self.step, above)

    def at_most(self, tile: int) -> int:
        """The output of a tile that is wanted so large: no more than the only size gives, if there is one."""
        return tile if self.step else min(tile, self.output(self.smallest_input))

    def __str__(self) -> str:
        return (
            f"{self.smallest_input} + {self.step} n pixels" if self.step else f"{self.smallest_input} pixels"
        )


@dataclass(frozen=True)
class Geometry:
    """Sizes of a network over N axes; `axes` holds the geometry of each, in array order.

    Examples
    --------
    >>> paper = Geometry.regular(spatial_dims=2, depth=4)
    >>> paper.output((572, 572)), paper.halo, paper.grid
    ((388, 388), (92, 92), (16, 16))
    """

    axes: tuple[AxisGeometry | StatedAxis, ...]

    @classmethod
    def regular(cls, *, spatial_dims: int, depth: int) -> Geometry:
        """Kernel 3 and stride 2 at every level and axis, as in the paper."""
        return cls.from_levels([(3,) * spatial_dims] * (depth + 1), [(2,) * spatial_dims] * depth)

    @classmethod
    def from_levels(cls, kernels: Sequence[Sequence[int]], strides: Sequence[Sequence[int]]) -> Geometry:
        """Geometry from the kernel of each level and the stride between levels, each given per axis."""
        dims = len(kernels[0])
        return cls(
            tuple(
                AxisGeometry(tuple(k[axis] for k in kernels), tuple(s[axis] for s in strides))
                for axis in range(dims)
            )
        )

    @property
    def grid(self) -> tuple[int, ...]:
        """Tile origins that agree modulo this give the same result."""
        return tuple(axis.grid for axis in self.axes)

    @property
    def halo(self) -> tuple[int, ...]:
        """Context on each side, in pixels."""
        return tuple(axis.halo for axis in self.axes)

    @property
    def smallest_input(self) -> tuple[int, ...]:
        """Smallest valid input."""
        return tuple(axis.smallest_input for axis in self.axes)

    def output(self, shape: Sequence[int], *, what: str = "tile") -> tuple[int, ...]:
        """Output shape for an input shape; `what` it is called in the message if it does not fit.

        Raises
        ------
        ShapeError
            If the input does not fit the network; the message names the nearest sizes that do.
        """
        self.check(shape, what=what)
        return tuple(axis.output(size) for axis, size in zip(self.axes, shape, strict=True))

    def input_for(self, output: Sequence[int]) -> tuple[int, ...]:
        """Smallest valid input shape whose output covers `output`."""
        return tuple(axis.input_for(size) for axis, size in zip(self.axes, output, strict=True))

    def check(self, shape: Sequence[int], *, what: str = "tile") -> None:
        """Raise `ShapeError` unless `shape` is a valid input."""
        if len(shape) != len(self.axes):
            raise ShapeError(
                f"{what} {times(shape)} has {len(shape)} spatial axes and the network {len(self.axes)}; "
                f"give a {len(self.axes)}-D {what}"
            )
        if all(axis.is_valid(size) for axis, size in zip(self.axes, shape, strict=True)):
            return
        per_axis = [
            ", ".join(map(str, axis.nearest(size))) for axis, size in zip(self.axes, shape, strict=True)
        ]
        nearest = per_axis[0] if len(set(per_axis)) == 1 else " by ".join(per_axis)
        size = "x".join(map(str, shape))
        raise ShapeError(
            f"{what} {size} does not fit this network ({self.axes[0]}); nearest sizes: {nearest}"
        )


def check_levels(
    strides: Sequence[Sequence[int]], kernels: Sequence[Sequence[int]], *, spatial_dims: int, depth: int
) -> None:
    """Raise `ConfigError` unless there are `depth` strides and `depth` + 1 odd kernels, a size per axis."""
    if len(strides) != depth or len(kernels) != depth + 1:
        raise ConfigError(
            f"{len(strides)} strides and {len(kernels)} kernels were given for depth {depth}; "
            f"it takes {depth} strides and {depth + 1} kernels"
        )
    for sizes in [*strides, *kernels]:
        if len(sizes) != spatial_dims or min(sizes) < 1:
            raise ConfigError(
                f"{tuple(sizes)} was given; strides and kernels take {spatial_dims} sizes of 1 or more"
            )
    for sizes in kernels:
        if any(size % 2 == 0 for size in sizes):
            raise ConfigError(f"kernel {tuple(sizes)} is even; a centred crop needs odd kernels")
