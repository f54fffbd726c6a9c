"""elasticdeform: one call deforms, rotates and zooms image, classes and weights; NumPy does the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import elasticdeform
import numpy as np
import torch
from bench.performance.augmenters import WANTED, Draw, Patch
from bench.performance.cells import Cell


def augmenter(cells: Sequence[Cell], size: int, *, best: bool = False, grey: bool = True) -> Draw:
    """Its default is cubic interpolation; `best` is linear, for which nothing is filtered before."""
    orders = {"order": [1, 0, 1], "prefilter": False} if best else {"order": [3, 0, 3], "prefilter": True}
    points = round(size / WANTED.elastic_spacing) + 1
    rng = np.random.default_rng(0)

    def draw(number: int) -> Patch:
        top, left = (int(rng.integers(length - size + 1)) for length in cells[number][0].shape)
        parts = [part[top : top + size, left : left + size] for part in cells[number]]
        image, classes, weights = elasticdeform.deform_random_grid(
            parts,
            sigma=WANTED.elastic_sigma,
            points=points,
            mode="mirror",
            rotate=float(rng.uniform(-WANTED.rotation, WANTED.rotation)),
            zoom=_factor(WANTED.scale, rng),
            **orders,
        )
        for axis in (0, 1):
            if rng.random() < 0.5:
                image, classes, weights = (np.flip(part, axis) for part in (image, classes, weights))
        if grey:
            image = _grey(image, rng)
        return torch.from_numpy(image.copy())[None], _tensor(classes), _tensor(weights)

    return draw


def _grey(image: Any, rng: np.random.Generator) -> Any:
    bent = np.sign(image) * np.abs(image) ** np.float32(_factor(WANTED.gamma, rng))
    offset = np.float32(rng.uniform(-WANTED.offset, WANTED.offset))
    return np.float32(_factor(WANTED.gain, rng)) * bent + offset


def _factor(largest: float, rng: np.random.Generator) -> float:
    return math.exp(rng.uniform(-1, 1) * math.log1p(largest))


def _tensor(part: Any) -> torch.Tensor:
    return torch.from_numpy(part.copy())
