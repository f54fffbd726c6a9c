"""MONAI: its dictionary transforms, one for each change of place, or one for all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from bench.performance.augmenters import WANTED, Draw, Patch
from bench.performance.cells import Cell
from monai import transforms
from monai.data import set_track_meta

KEYS = ("image", "classes", "weights")
MODES = ("bilinear", "nearest", "bilinear")


def augmenter(cells: Sequence[Cell], size: int, *, best: bool = False, grey: bool = True) -> Draw:
    """`best` rotates, scales and deforms in one Rand2DElastic, and keeps no record of it; see `moves`."""
    set_track_meta(not best)
    crop = transforms.RandSpatialCropd(KEYS, roi_size=(size, size), random_size=False)
    compose = transforms.Compose([crop, *moves(KEYS, MODES, best=best), *(greys("image") if grey else [])])
    compose.set_random_state(0)
    kept = [
        {key: torch.as_tensor(part)[None].float() for key, part in zip(KEYS, one, strict=True)}
        for one in cells
    ]

    def draw(number: int) -> Patch:
        made: dict[str, Any] = compose(kept[number])  # type: ignore[assignment]
        return made["image"], made["classes"][0].byte(), made["weights"][0]

    return draw


def moves(keys: Sequence[str], modes: Sequence[str], *, best: bool) -> list[Any]:
    """Mirroring, rotation, change of size and elastic deformation."""
    flips = [transforms.RandFlipd(keys, prob=0.5, spatial_axis=axis) for axis in (0, 1)]
    angle, scale, spacing = math.radians(WANTED.rotation), WANTED.scale, WANTED.elastic_spacing
    elastic = {"spacing": (spacing, spacing), "magnitude_range": (2.0, 2.0), "prob": 1.0, "mode": modes}
    if best:
        return [*flips, transforms.Rand2DElasticd(keys, rotate_range=angle, scale_range=scale, **elastic)]
    low, high = 1 - scale, 1 + scale
    return [
        *flips,
        transforms.RandRotated(keys, range_x=angle, prob=1.0, mode=modes, padding_mode="reflection"),
        transforms.RandZoomd(keys, min_zoom=low, max_zoom=high, prob=1.0, mode=modes),
        transforms.Rand2DElasticd(keys, **elastic),
    ]


def greys(key: str) -> list[Any]:
    """Contrast, brightness and gamma."""
    gammas = (1 / (1 + WANTED.gamma), 1 + WANTED.gamma)
    return [
        transforms.RandScaleIntensityd(key, factors=WANTED.gain, prob=1.0),
        transforms.RandShiftIntensityd(key, offsets=WANTED.offset, prob=1.0),
        transforms.RandAdjustContrastd(key, gamma=gammas, prob=1.0),
    ]
