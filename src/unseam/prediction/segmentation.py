"""The result for one image: labels, probabilities, the table of its objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.guard.verdict import Verdict
from unseam.instances import label_class_regions
from unseam.measure import ObjectTable, appended, measure


@dataclass(frozen=True)
class Segmentation:
    """The result for one image.

    Attributes
    ----------
    labels : ndarray of int32, (*spatial)
        Objects numbered in raster order of their first pixel, or classes; 0 is background.
    probabilities : ndarray of float32, (classes, *spatial)
    spacing : tuple of float or None
        Pixel size, micrometres per axis.
    image : ndarray, (C, *spatial)
        What was segmented.
    task : "instances" or "semantic".
    zoom : how many times the image was rescaled by the size of its objects, or None.
    diameter : of its objects, pixels, as given or found for that; None where none was asked for, or found.
    verdict : Verdict or None
        Whether the image is like those the model was trained on; None where the model does not say.
    """

    labels: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    spacing: tuple[float, ...] | None
    image: NDArray[Any]
    task: str
    zoom: float | None = None
    diameter: float | None = None
    verdict: Verdict | None = None

    def table(self) -> ObjectTable:
        """One row per object: place, size, shape, intensities, mean probability; see `unseam.measure`.

        Where there is a verdict, it is the last column, `guard`.
        """
        if self.task == "instances":
            table = measure(
                self.labels, self.image, probabilities=1 - self.probabilities[0], spacing=self.spacing
            )
        else:
            table = measure_classes(self)
        return table if self.verdict is None else next(appended([table], guard=self.verdict.short))


def measure_classes(segmentation: Segmentation) -> ObjectTable:
    """The table of a class map: one row per connected region of each class."""
    classes = segmentation.labels
    chosen = np.take_along_axis(segmentation.probabilities, classes[None].astype(np.intp), 0)[0]
    return measure(
        label_class_regions(classes),
        segmentation.image,
        probabilities=chosen,
        spacing=segmentation.spacing,
        classes=classes,
    )
