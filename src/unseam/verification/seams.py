"""Where two results part: the edges of tiles at which their difference jumps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unseam.grid import Region
from unseam.verification.record import Seam

STANDS_OUT = 1.5
"""An edge is a seam where the difference jumps by so many times what it does between other pixels, and by
more than it does at all but a few of the others."""
ALL_BUT_A_FEW = 0.95
NEAR = 1
"""Pixels that an edge may be off, as it is where the image was resampled for the network."""


def find_seams(
    difference: NDArray[np.float32], region: Region, edges: Sequence[Sequence[int]]
) -> tuple[Seam, ...]:
    """The edges at which two results part, the worst first.

    Parameters
    ----------
    difference : ndarray of float, (*region)
        Of the two results, with its sign.
    region : Region
    edges : sequence of sequence of int
        Along each axis, pixels of the image.

    Notes
    -----
    What belongs to a tile, as zeros around it or a mean over it, changes where the next one begins. So it is
    not how large the difference is that tells an edge, but how much it changes from one pixel to the next:
    the mean of that along the edge, against that of rows or columns that are no edge.

    Examples
    --------
    >>> find_seams(np.float32([[0, 0, 0, 1, 1, 1]]), ((0, 1), (10, 16)), [[], [13]])
    (Seam(axis='X', position=13, jump=1.0),)
    """
    seams = []
    for axis, (letter, (start, stop)) in enumerate(zip("ZYX"[-len(region) :], region, strict=True)):
        if stop - start < 2 or not edges[axis]:
            continue
        across = tuple(k for k in range(difference.ndim) if k != axis)
        jumps = np.abs(np.diff(difference.astype(np.float64), axis=axis)).mean(across)
        places = [edge - start - 1 for edge in sorted(set(edges[axis]))]
        near = {at + off for at in places for off in range(-NEAR, NEAR + 1)}
        others = np.delete(jumps, [at for at in near if 0 <= at < len(jumps)])
        usual = 0.0
        if len(others):
            usual = max(STANDS_OUT * float(np.median(others)), float(np.quantile(others, ALL_BUT_A_FEW)))
        for at in places:
            jump = float(jumps[max(0, at - NEAR) : at + NEAR + 1].max(initial=0.0))
            if jump > usual:
                seams.append(Seam(letter, at + start + 1, jump))
    return tuple(sorted(seams, key=lambda seam: -seam.jump))
