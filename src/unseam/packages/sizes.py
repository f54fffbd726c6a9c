"""Tiles for a network of another program: valid sizes, the halo to cut away, the grid of origins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from unseam.errors import ModelFileError
from unseam.geometry import Geometry, StatedAxis
from unseam.packages.description import AxisSize
from unseam.packages.field import Field

DEFAULT_HALO: Final = {2: 64, 3: 16}
"""Pixels, where neither the description states a halo nor the graph tells one."""
SHARE: Final = 4
"""Of a tile of one size, at most one in so many pixels on each side is halo by default."""
DEFAULT_GRID: Final = 32
"""Pixels; what five poolings by 2 take, and so any number of fewer."""


@dataclass(frozen=True)
class Sizes:
    """How an image is cut for a network.

    Attributes
    ----------
    geometry : of its tiles, the halo cut away.
    is_local : whether it is known that nothing beyond the halo has a part in what is kept.
    remark : where the halo is from.
    """

    geometry: Geometry
    is_local: bool
    remark: str


def sizes_of(stated: Sequence[AxisSize], field: Field, place: str) -> Sizes:
    """Tiles that are as seamless as a description, and what is known of the network, allow.

    Raises
    ------
    ModelFileError
        If the stated halo leaves nothing of a tile.

    Notes
    -----
    The halo is the stated one, or more where an output pixel is known to see more. Of a network that pads it
    is a multiple of the grid, so that poolings fall as they do when the whole image is given at once.
    """
    axes, enough = [], True
    for k, size in enumerate(stated):
        needed = _needed(size, field, k)
        halo = _halo(size, needed, _grid(size, field, k), len(stated), place)
        enough = enough and needed is not None and halo >= needed
        axes.append(_axis(size, halo, field, k))
    geometry = Geometry(tuple(axes))
    return Sizes(geometry, enough, _remark(stated, geometry, field, enough))


def _grid(size: AxisSize, field: Field, axis: int) -> int:
    """What poolings take: stated by the step of the sizes, or read off the graph."""
    if not size.step and field.reason and not field.crops:
        return DEFAULT_GRID
    return math.lcm(size.step or 1, field.stride[axis])


def _axis(size: AxisSize, halo: int, field: Field, axis: int) -> StatedAxis:
    grid = _grid(size, field, axis)
    if not size.step:
        while grid > size.smallest - 2 * (halo + size.cut):
            grid //= 2  # it cannot be told
    return StatedAxis(size.smallest, size.step, halo + size.cut, grid)


def _needed(size: AxisSize, field: Field, axis: int) -> int | None:
    """Pixels on each side of the output that see beyond the tile; None where that is not known, or all do."""
    if field.crops and size.cut and not field.pads:
        return 0  # nothing is padded, so what is there was made of the tile alone
    if field.reason:
        return None
    jump = 1 if size.cut else field.stride[axis]
    for halo in range(0, size.smallest if not size.step else 2**14, jump):
        whole = size.smallest
        if size.step:
            whole += size.step * math.ceil(2 * (halo + size.cut + jump) / size.step)
        last = whole - 2 * size.cut - 1 - halo
        if last < halo:
            return None
        low, high = field.seen(axis, halo, last)
        if low >= 0 and high < whole:
            return halo
    return None


def _halo(size: AxisSize, needed: int | None, grid: int, dims: int, place: str) -> int:
    """Pixels to cut away from each side of the output."""
    left, jump = size.smallest - 2 * size.cut, 1 if size.cut else grid
    if left < 1 or (not size.step and left <= 2 * (size.halo or 0)):
        raise ModelFileError(
            f"{place} states a halo of {size.halo or size.cut} pixels, which leaves nothing of a tile"
        )
    wanted = max(needed or 0, size.halo or 0)
    if needed is None and not wanted and not size.cut:
        wanted = DEFAULT_HALO[dims]
    wanted = -(-wanted // jump) * jump
    if size.step or left - 2 * wanted >= jump:
        return wanted
    return size.halo or min(wanted, left // SHARE)


def _remark(stated: Sequence[AxisSize], geometry: Geometry, field: Field, enough: bool) -> str:
    halo = " x ".join(map(str, geometry.halo))
    if enough:
        return f"halo: {halo}; nothing beyond it has a part in what is kept"
    whose = "as stated" if any(size.halo or size.cut for size in stated) else "by default"
    why = field.reason or "an output pixel sees more"
    return f"halo: {halo} {whose}; {why}, so seams are possible: see `unseam verify`"
