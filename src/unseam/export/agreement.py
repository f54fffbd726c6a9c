"""Whether an exported model gives what PyTorch gives: measured on the file, before it gets its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import OutputError
from unseam.prediction import Model

TOLERANCE = 1e-4
"""Largest difference of a probability; rounding of float32 makes some 1e-6."""

Run = Callable[[NDArray[np.float32]], NDArray[Any]]
"""Tiles (B, C, *input) to probabilities (B, classes, *output)."""
OnStep = Callable[[int, int], None]
"""Takes (steps done, steps in all)."""


def nobody(_done: int, _total: int) -> None:
    """Who is told of steps where nobody listens."""


@dataclass(frozen=True)
class Written:
    """What was exported.

    Attributes
    ----------
    files : what was written.
    difference : the largest of a probability to that of PyTorch.
    notes : what a user should know, a line each.
    """

    files: tuple[Path, ...]
    difference: float
    notes: tuple[str, ...] = ()


def largest_difference(
    model: Model, run: Run, *, tolerance: float = TOLERANCE, on_step: OnStep = nobody
) -> float:
    """Compare an exported network with its model, on random tiles of several valid sizes.

    Returns
    -------
    float
        Largest difference of a probability.

    Raises
    ------
    OutputError
        If it is more than `tolerance`, or not a number.
    """
    expected_of, rng = model.tile_function("none"), np.random.default_rng(0)
    shapes, largest = _shapes(model), 0.0
    for number, shape in enumerate(shapes, start=1):
        tiles = rng.standard_normal(shape, dtype=np.float32)
        expected = np.stack([expected_of(tile) for tile in tiles])
        difference = float(np.abs(run(tiles) - expected).max())
        refuse_difference(difference, tolerance)
        largest = max(largest, difference)
        on_step(number, len(shapes))
    return largest


def refuse_difference(difference: float, tolerance: float = TOLERANCE) -> None:
    """Raise `OutputError` if a probability differs by more than `tolerance`, or by NaN."""
    if not difference <= tolerance:
        raise OutputError(
            f"the exported model differs from PyTorch by {difference:.1e} in a probability, where at most "
            f"{tolerance:.0e} was expected; nothing was written: please report it"
        )


def _shapes(model: Model) -> Sequence[tuple[int, ...]]:
    """Two smallest tiles together, one larger along the last axis, one larger along all."""
    geometry, channels = model.network.geometry, model.network.in_channels
    small, grid = geometry.smallest_input, geometry.grid
    wide = (*small[:-1], small[-1] + 2 * grid[-1])
    large = tuple(size + step for size, step in zip(small, grid, strict=True))
    return [(2, channels, *small), (1, channels, *wide), (1, channels, *large)]
