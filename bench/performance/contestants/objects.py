"""From foreground probabilities to numbered objects, by unseam or with SciPy and scikit-image; see `WAYS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from bench.performance.contestants.cells import probabilities
from bench.performance.serving import Run, serve
from numpy.typing import NDArray

Way = Callable[[NDArray[np.float32]], NDArray[Any]]
THRESHOLD, LOW, SMALLEST, STEPS = 0.5, 0.25, 20, 8


def setup(arguments: dict[str, Any]) -> Run:
    """`way`, one of `WAYS`; `size` and `cells` of the image."""
    foreground = probabilities(arguments["size"], arguments["cells"])
    way = WAYS[arguments["way"]]

    def run() -> dict[str, Any]:
        labels = way(foreground)
        return {"work": labels.size, "objects": len(np.unique(labels)) - 1, "area": int((labels > 0).sum())}

    return run


def unseam_one_threshold(foreground: NDArray[np.float32]) -> NDArray[Any]:
    """Label, grow by one pixel, remove small objects, fill holes, number."""
    from unseam.instances import segment

    return segment(foreground, threshold=THRESHOLD, min_size=SMALLEST, grow_pixels=1)


def unseam_two_thresholds(foreground: NDArray[np.float32]) -> NDArray[Any]:
    """The same, grown into what is above a lower threshold."""
    from unseam.instances import segment

    return segment(foreground, threshold=THRESHOLD, low_threshold=LOW, min_size=SMALLEST, grow_pixels=STEPS)


def skimage_one_threshold(foreground: NDArray[np.float32]) -> NDArray[Any]:
    """Fill the mask, label, expand by one pixel, remove small objects, number."""
    from scipy import ndimage
    from skimage.morphology import remove_small_objects
    from skimage.segmentation import expand_labels, relabel_sequential

    labels, _ = ndimage.label(ndimage.binary_fill_holes(foreground > THRESHOLD))
    labels = remove_small_objects(expand_labels(labels, 1), max_size=SMALLEST - 1)
    return np.asarray(relabel_sequential(labels)[0])


def skimage_two_thresholds(foreground: NDArray[np.float32]) -> NDArray[Any]:
    """The markers flood what is above the lower threshold."""
    from scipy import ndimage
    from skimage.morphology import remove_small_objects
    from skimage.segmentation import relabel_sequential, watershed

    markers, _ = ndimage.label(foreground > THRESHOLD)
    mask = ndimage.binary_fill_holes(foreground > LOW)
    labels = remove_small_objects(watershed(-foreground, markers, mask=mask), max_size=SMALLEST - 1)
    return np.asarray(relabel_sequential(labels)[0])


WAYS: Mapping[str, Way] = {
    "unseam, one threshold": unseam_one_threshold,
    "unseam, two thresholds": unseam_two_thresholds,
    "scikit-image, one threshold": skimage_one_threshold,
    "scikit-image, two thresholds": skimage_two_thresholds,
}

if __name__ == "__main__":
    serve(setup, packages=("numpy", "scipy", "scikit-image"))
