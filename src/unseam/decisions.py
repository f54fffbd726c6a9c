"""From probabilities to labels, with the care that no tile decides: what hangs on rounding is settled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseam.config import ObjectConfig
from unseam.geometry import Geometry
from unseam.instances import segment
from unseam.tiling import TileFunction, plan_tiles, settle

ROUNDING = 2.5e-6
"""What tiles of other sizes change at least, in float32; see `settle_decisions`."""
SAFETY = 4.0
SMALLEST_CELL = 8


def to_labels(probabilities: NDArray[np.float32], task: str, objects: ObjectConfig) -> NDArray[np.int32]:
    """Class of the largest probability, or objects numbered in raster order."""
    if task == "semantic":
        classes: NDArray[np.int32] = probabilities.argmax(0).astype(np.int32)
        return classes
    return segment(
        1 - probabilities[0],
        threshold=_threshold(objects),
        min_size=objects.min_size or 0,
        holes=objects.fill_holes,
        grow_pixels=objects.grow or 0,
        low_threshold=objects.low_threshold or 0.0,
    )


def settle_decisions(
    function: TileFunction,
    scaled: NDArray[np.float32],
    geometry: Geometry,
    probabilities: NDArray[np.float32],
    *,
    task: str,
    objects: ObjectConfig,
) -> None:
    """Compute again, in place, the pixels whose label hangs on rounding, so that the tiles decide nothing.

    Notes
    -----
    With d the largest difference that another tiling makes, a pixel further than d from every decision is
    decided alike by all of them, and a nearer one by its value in a small tile of its own. How large d is
    depends on the image: it is measured on the tiles computed again, those of the least decided and of the
    brightest pixel among them, and the band about the decisions is kept `SAFETY` times as wide.
    """
    cells = [-(-halo // grid) * grid for halo, grid in zip(geometry.halo, geometry.grid, strict=True)]
    small = plan_tiles(scaled.shape[1:], geometry, [max(SMALLEST_CELL, cell) for cell in cells])
    margin = decision_margin(probabilities, task, objects)
    if margin is None:
        return
    band, settled = 2 * ROUNDING, np.zeros(margin.shape, bool)
    undecided = margin < band
    undecided.flat[[margin.argmin(), np.abs(scaled).max(0).argmax()]] = True
    while undecided.any():
        largest = settle(function, scaled, small, result=probabilities, undecided=undecided)
        settled |= undecided
        band = max(band, SAFETY * largest)
        undecided = (margin < band) & ~settled


def decision_margin(
    probabilities: NDArray[np.float32], task: str, objects: ObjectConfig
) -> NDArray[np.float32] | None:
    """How far each pixel is from a threshold, or from a tie of its two likeliest classes."""
    if task == "semantic":
        second, first = np.partition(probabilities, -2, axis=0)[-2:]
        return np.asarray((first - second) / 2)
    foreground = 1 - probabilities[0]
    thresholds = {_threshold(objects), objects.low_threshold or 0.0} - {0.0}
    return np.min([np.abs(foreground - t) for t in sorted(thresholds)], axis=0) if thresholds else None


def _threshold(objects: ObjectConfig) -> float:
    return 0.5 if objects.threshold is None else objects.threshold
