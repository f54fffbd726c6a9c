"""The fixed sample of an image that its statistics come from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from unseam.grid import Region

SIZE = {2: (256, 256), 3: (8, 128, 128)}
"""Pixels of a region of the sample along each axis."""
MOST = {2: 3, 3: 2}
"""Regions along an axis at most."""


def sample_regions(shape: Sequence[int], size: Sequence[int], *, most: int) -> tuple[Region, ...]:
    """Regions spread evenly over an image; they depend on its size alone.

    Parameters
    ----------
    shape : sequence of int
        Of the image.
    size : sequence of int
        Of a region; along a shorter axis it is as long as the image.
    most : int
        Regions along an axis, where the image holds as many side by side.

    Examples
    --------
    >>> sample_regions((300, 512), (256, 256), most=3)
    (((22, 278), (0, 256)), ((22, 278), (256, 512)))
    """
    per_axis = []
    for n, step in zip(shape, size, strict=True):
        length = min(n, step)
        count = min(most, max(1, (n + step // 2) // step))
        starts = (
            [(n - length) // 2] if count == 1 else [k * (n - length) // (count - 1) for k in range(count)]
        )
        per_axis.append([(start, start + length) for start in starts])
    return tuple(product(*per_axis))
