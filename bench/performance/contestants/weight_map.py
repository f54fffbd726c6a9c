"""The border weight map: unseam's, or one distance transform of the whole image per cell."""

from __future__ import annotations

from typing import Any

import numpy as np
from bench.performance.contestants.cells import Labels, scattered
from bench.performance.serving import Run, serve
from numpy.typing import NDArray
from scipy import ndimage

from unseam.data.weight_map import border_weight_map


def setup(arguments: dict[str, Any]) -> Run:
    """`local`: whether in windows, as unseam; `size` and `cells` of the image."""
    labels = scattered(arguments["size"], arguments["cells"])
    function = border_weight_map if arguments["local"] else one_transform_per_cell
    cells = len(np.unique(labels[labels > 0]))

    def run() -> dict[str, Any]:
        weights = function(labels)
        return {"work": labels.size, "cells": cells, "mean": round(float(weights.mean()), 4)}

    return run


def one_transform_per_cell(labels: Labels, w0: float = 10.0, sigma: float = 5.0) -> NDArray[np.float64]:
    """The border term straight from its definition."""
    d1 = np.full(labels.shape, np.inf)
    d2 = d1.copy()
    for number in np.unique(labels[labels > 0]):
        d = ndimage.distance_transform_edt(labels != number)
        d2 = np.minimum(d2, np.maximum(d1, d))
        d1 = np.minimum(d1, d)
    return np.where(labels == 0, w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2)), 0)


if __name__ == "__main__":
    serve(setup, packages=("numpy", "scipy"))
