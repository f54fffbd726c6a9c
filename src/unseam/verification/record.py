"""What came of a verification: one record per comparison, and the certificate of all of them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.decisions import ROUNDING, SAFETY
from unseam.grid import Region

TOLERANCE = SAFETY * ROUNDING
"""Largest difference of probabilities, in float32, that passes for rounding without a further look: 2e-05."""
EXACT = 1e-9
"""The same in double precision. There rounding is 2^29 times smaller, and a seam as large as ever."""


@dataclass(frozen=True)
class Seam:
    """An edge of a tile or block at which two results part.

    Attributes
    ----------
    axis : "Z", "Y" or "X"
    position : first pixel after the edge.
    jump : how much the difference of the two changes from one side to the other, in the mean.
    """

    axis: str
    position: int
    jump: float


@dataclass(frozen=True)
class CutCheck:
    """A region in one cut, compared with the same pixels in the reference cut.

    Attributes
    ----------
    kind : what is special about the cut.
    tile : its tiles, pixels of the network.
    region : the pixels that both have.
    before, after : largest difference of probabilities, before and after settling.
    pixels : how many were compared.
    decided : of how many the decision differs after settling.
    double : largest difference in double precision; None where that was not computed.
    allowed : largest difference that passes for rounding; `TOLERANCE`, or more where a larger one of the same
        kind was seen to be rounding.
    seams : the edges at which they part, if they do.
    """

    kind: str
    tile: tuple[int, ...]
    region: Region
    before: float
    after: float
    pixels: int
    decided: int
    double: float | None = None
    allowed: float = TOLERANCE
    seams: tuple[Seam, ...] = ()

    @property
    def is_broken(self) -> bool:
        """Whether more than rounding tells the two apart; NaN does."""
        if self.double is not None:
            return self.decided > 0 or not self.double <= EXACT
        return self.decided > 0 or not self.before <= self.allowed

    @property
    def severity(self) -> tuple[bool, float]:
        """For sorting: decisions that differ are worse than any probability, and NaN than any number."""
        return self.decided > 0, math.inf if math.isnan(self.before) else self.before


@dataclass(frozen=True)
class LabelCheck:
    """Labels of the whole image, cut in one way, compared number for number with those of the first way.

    Attributes
    ----------
    kind : how the image was cut.
    pixels, of_pixels : how many differ, and of how many.
    objects, of_objects : the same for objects, or regions of classes.
    seams : the edges at which they part, if they do.
    """

    kind: str
    pixels: int
    of_pixels: int
    objects: int
    of_objects: int
    seams: tuple[Seam, ...] = ()

    @property
    def is_broken(self) -> bool:
        """Whether a label differs."""
        return self.pixels > 0


@dataclass(frozen=True)
class Certificate:
    """All that was compared.

    Attributes
    ----------
    image, model : what they are called.
    shape : of the image.
    task : "instances" or "semantic".
    regions : how many were looked at.
    cuts : comparisons of regions, one or more.
    whole : comparisons of the whole image; empty where it does not fit into memory.
    """

    image: str
    model: str
    shape: tuple[int, ...]
    task: str
    regions: int
    cuts: tuple[CutCheck, ...]
    whole: tuple[LabelCheck, ...] = ()

    @property
    def is_broken(self) -> bool:
        """Whether the prediction depends on how the image was cut."""
        return self.broken > 0

    @property
    def broken(self) -> int:
        """How many comparisons are broken."""
        return sum(cut.is_broken for cut in self.cuts) + sum(check.is_broken for check in self.whole)

    @property
    def worst(self) -> CutCheck:
        """The cut that differs the most from its reference."""
        return max(self.cuts, key=lambda cut: cut.severity)

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON; a number that is none becomes None."""
        values: dict[str, Any] = _finite(asdict(self))
        return {"same": not self.is_broken, "tolerance": TOLERANCE, "tolerance_double": EXACT, **values}


@dataclass(frozen=True, eq=False)
class Evidence:
    """Two results that differ the most, to be drawn.

    Attributes
    ----------
    image : ndarray, (C, *spatial)
        The pixels that both have.
    difference : ndarray of float32, (*spatial)
        How much their probabilities differ.
    differs : ndarray of bool, (*spatial)
        Where by more than rounding, or in their labels.
    region : where it lies.
    edges : the edges of the tiles of both, pixels along each axis.
    names : what both are called.
    """

    image: NDArray[Any]
    difference: NDArray[np.float32]
    differs: NDArray[np.bool_]
    region: Region
    edges: tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]
    names: tuple[str, str]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
