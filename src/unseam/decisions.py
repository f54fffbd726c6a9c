"""From probabilities to labels, with the care that no tile decides: what hangs on rounding is settled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseam.config import ObjectConfig
from unseam.errors import InputError
from unseam.geometry import Geometry
from unseam.instances import segment
from unseam.tile_rule import ANY_TILE, TileRule
from unseam.tiling import TilePlan, plan_tiles

ROUNDING = 5e-6
"""What tiles of other sizes change at least, in float32; see `settle_decisions`."""
SAFETY = 4.0
SMALLEST_CELL = 8


def to_labels(probabilities: NDArray[np.float32], task: str, objects: ObjectConfig) -> NDArray[np.int32]:
    """Class of the largest probability, or objects numbered in raster order."""
    if task == "semantic":
        return to_classes(probabilities)
    foreground = 1 - probabilities[0]
    _refuse_nan(foreground)
    return segment(
        foreground,
        threshold=_threshold(objects),
        min_size=objects.min_size or 0,
        holes=objects.fill_holes,
        grow_pixels=objects.grow or 0,
        low_threshold=objects.low_threshold or 0.0,
        split=split_of(objects),
        split_size=objects.split_size or 1,
        split_grow=objects.split_grow,
    )


def to_classes(probabilities: NDArray[np.float32]) -> NDArray[np.int32]:
    """Class of the largest probability.

    Raises
    ------
    InputError
        If a probability is NaN.
    """
    _refuse_nan(probabilities[0])
    classes: NDArray[np.int32] = probabilities.argmax(0).astype(np.int32)
    return classes


@dataclass(frozen=True)
class Masks:
    """What objects are made of.

    Attributes
    ----------
    core : ndarray of bool, (*spatial), where the cores of objects are.
    growable : the same, where they may grow; None for everywhere.
    part : the same, where the parts of cores are that are told apart; None where none are.
    """

    core: NDArray[np.bool_]
    growable: NDArray[np.bool_] | None
    part: NDArray[np.bool_] | None


def to_masks(probabilities: NDArray[np.float32], objects: ObjectConfig) -> Masks:
    """The pixels above each of the thresholds.

    Raises
    ------
    InputError
        If a probability is NaN.
    """
    foreground = 1 - probabilities[0]
    _refuse_nan(foreground)
    low, split = objects.low_threshold or 0.0, split_of(objects)
    return Masks(
        foreground > _threshold(objects),
        foreground > low if low > 0 else None,
        foreground > split if split > 0 else None,
    )


def split_of(objects: ObjectConfig) -> float:
    """The probability above which parts of objects are told apart, or 0 where they are not."""
    split = objects.split or 0.0
    return split if split > _threshold(objects) else 0.0


def _refuse_nan(probabilities: NDArray[np.float32]) -> None:
    if np.isnan(probabilities).any():
        raise InputError("the network gives NaN; train the model again, at a lower learning rate")


def settle_decisions(
    recompute: Callable[[NDArray[np.bool_]], float],
    probabilities: NDArray[np.float32],
    brightness: NDArray[np.float32],
    *,
    task: str,
    objects: ObjectConfig,
) -> None:
    """Compute again, in place, the pixels whose label hangs on rounding, so that the tiles decide nothing.

    Parameters
    ----------
    recompute : callable
        Given a mask of pixels, (*region), puts into `probabilities` the values that no choice of tiles
        changes, and returns the largest difference to what was there; see `unseam.tiling.settle`.
    probabilities : ndarray of float32, (classes, *region)
        Of the whole image or of a part of it.
    brightness : ndarray of float32, (*region)
        Largest absolute scaled intensity of each pixel.
    task, objects
        What the decisions are.

    Notes
    -----
    With d the largest difference that another tiling makes, a pixel further than d from every decision is
    decided alike by all of them, and a nearer one by its value in a small tile of its own. How large d is
    depends on the image: it is measured on the tiles computed again, those of the least decided and of the
    brightest pixel among them, and the band about the decisions is kept `SAFETY` times as wide. The band need
    not be the same in each part of an image: it only has to be wide enough.
    """
    margin = decision_margin(probabilities, task, objects)
    if margin is None:
        return
    band, settled = 2 * ROUNDING, np.zeros(margin.shape, bool)
    undecided = margin < band
    undecided.flat[[margin.argmin(), brightness.argmax()]] = True
    while undecided.any():
        largest = recompute(undecided)
        settled |= undecided
        band = max(band, SAFETY * largest)
        undecided = (margin < band) & ~settled


def small_tiles(shape: Sequence[int], geometry: Geometry, rule: TileRule = ANY_TILE) -> TilePlan:
    """The tiles in which undecided pixels are computed again: a matter of image and network alone."""
    return plan_tiles(shape, geometry, smallest_tile(geometry, rule), rule)


def smallest_tile(geometry: Geometry, rule: TileRule = ANY_TILE) -> list[int]:
    """Output of such a tile: about the halo, so that neither one pixel nor many of them cost much."""
    if rule.shapes:
        return list(rule.least)
    cells = [-(-max(halo, 1) // grid) * grid for halo, grid in zip(geometry.halo, geometry.grid, strict=True)]
    return [max(SMALLEST_CELL, cell) for cell in cells]


def decision_margin(
    probabilities: NDArray[np.float32], task: str, objects: ObjectConfig
) -> NDArray[np.float32] | None:
    """How far each pixel is from a threshold, or from a tie of its two likeliest classes."""
    if task == "semantic":
        second, first = np.partition(probabilities, -2, axis=0)[-2:]
        return np.asarray((first - second) / 2)
    foreground, margin = 1 - probabilities[0], None
    for threshold in sorted({_threshold(objects), objects.low_threshold or 0.0, split_of(objects)} - {0.0}):
        apart = np.subtract(foreground, np.float32(threshold))
        np.abs(apart, out=apart)
        margin = apart if margin is None else np.minimum(margin, apart, out=margin)
    return margin


def _threshold(objects: ObjectConfig) -> float:
    return 0.5 if objects.threshold is None else objects.threshold
