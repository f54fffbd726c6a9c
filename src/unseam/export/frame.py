"""A network that answers for the centre of its input, framed so that input and output have one size.

What software with halos expects is an output as large as the input, of which it crops a margin. One axis,
with h the halo of the network, e what its valid sizes are beyond a multiple of the grid, and H = h + e::

    input    │────────────────────── 2 H + n grid ──────────────────────│
    network  │e│──────────────────── a valid size ──────────────────────│
    answer   │e│─── h ───│─────────── n grid ───────────│e│───── h ─────│
    output   │000 H 00000│─────────── n grid ───────────│00000 H 000000 │

What is kept begins at the same place of the network's grid as `unseam.tiling` begins, and is a multiple of
the grid long: so blocks that lie side by side see the same poolings, and fit without a seam.
"""

from __future__ import annotations

from dataclasses import dataclass

from unseam.geometry import Geometry


@dataclass(frozen=True)
class Frame:
    """Sizes of a framed network, one number an axis.

    Attributes
    ----------
    extra : pixels cut off the beginning of the input and the end of the answer.
    halo : pixels of zeros on each side of the output.
    step : what a valid input may be larger by; n times this is kept of it.
    """

    extra: tuple[int, ...]
    halo: tuple[int, ...]
    step: tuple[int, ...]

    def input_for(self, kept: int) -> tuple[int, ...]:
        """Smallest valid input of which at least `kept` pixels an axis are kept."""
        return tuple(2 * h + -(-kept // step) * step for h, step in zip(self.halo, self.step, strict=True))


def frame_of(geometry: Geometry) -> Frame:
    """The frame of a network.

    >>> frame_of(Geometry.regular(spatial_dims=2, depth=4))
    Frame(extra=(4, 4), halo=(96, 96), step=(16, 16))
    """
    extra = tuple(axis.output(axis.smallest_input) % axis.grid for axis in geometry.axes)
    halo = tuple(h + e for h, e in zip(geometry.halo, extra, strict=True))
    return Frame(extra, halo, geometry.grid)
