"""Slow, loop-only versions of what `unseam.draw` does with labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def outlines(labels: NDArray[Any], thickness: int) -> NDArray[np.bool_]:
    """Object pixels with a pixel of another label at a city-block distance of at most `thickness`."""
    edge = np.zeros(labels.shape, dtype=bool)
    for y, x in np.ndindex(*labels.shape):
        for v, u in np.ndindex(*labels.shape):
            if abs(y - v) + abs(x - u) <= thickness and labels[y, x] > 0 and labels[v, u] != labels[y, x]:
                edge[y, x] = True
    return edge
