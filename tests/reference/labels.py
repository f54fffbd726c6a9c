"""Connected components by flooding, pixel after pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def components(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number the components of `mask` in raster order; neighbours differ by one along one axis."""
    labels = np.zeros(mask.shape, np.int32)
    count = 0
    for start in np.ndindex(mask.shape):
        if not mask[start] or labels[start]:
            continue
        count += 1
        labels[start] = count
        waiting = [start]
        while waiting:
            pixel = waiting.pop()
            for axis in range(mask.ndim):
                for step in (-1, 1):
                    near = list(pixel)
                    near[axis] += step
                    neighbour = tuple(near)
                    inside = 0 <= neighbour[axis] < mask.shape[axis]
                    if inside and mask[neighbour] and not labels[neighbour]:
                        labels[neighbour] = count
                        waiting.append(neighbour)
    return labels
