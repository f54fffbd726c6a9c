"""How many times an image is rescaled so that its objects are as large as those a model learned from.

Where nobody says how large they are, a part of the image is looked at first, at one zoom after the other::

    0.25 ◄── 0.5 ◄── 1 ──► 2 ──► 4        as long as the network becomes surer of what it finds

Nothing of it depends on tiles or blocks: the part lies in the middle, and is cut into tiles of one size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseam.config import ObjectConfig
from unseam.decisions import to_labels
from unseam.errors import ConfigError, InputError
from unseam.fingerprint import equivalent_diameter
from unseam.grid import Region
from unseam.io.source import Source, array_source
from unseam.model.header import ModelHeader
from unseam.prediction.region import (
    LARGEST_DIFFERENCE,
    ZOOMS,
    Probabilities,
    predict_region,
    prepare,
    whole_of,
)
from unseam.prediction.tiles import NetworkSizes
from unseam.tiling import TileFunction

AUTO = "auto"
NEAR = (0.65, 1.4)
"""Objects between these shares of the median diameter learned from are left as they are; so are those of all
sizes learned from, where the network is sure of them at once. See `bench/diameter.py`."""
BEYOND = 1.3
"""The largest sizes learned from end here, times the 90th percentile: what is found is weighted by area."""
BELIEVED = (0.35, 3.5)
"""Shares of the median between which what is found is believed: beyond, networks see parts, or nothing."""
SURE, UNSURE = 0.85, 0.6
"""Mean probability in what is found: from which on the network is sure of it, below which it is nothing. It
grows with the size of objects, whose edges are the unsure part: it finds the size, not the best zoom."""
STEPS = (0.5, 2.0)
FARTHEST = 4.0
"""Image and network differ by no more than this when objects are looked for."""
SAMPLE = {2: 1024, 3: 128}
"""Pixels per axis that are looked at, at most: of the image, and of what the network is given."""
TILE = {2: 256, 3: 64}

OnTile = Callable[[int, int], None]


@dataclass(frozen=True)
class Learned:
    """Diameters of the objects that a network learned from: the median, of small and of large ones."""

    median: float
    low: float
    high: float

    def has(self, diameter: float, shares: tuple[float, float]) -> bool:
        """Whether a diameter lies between two shares of the median."""
        return shares[0] * self.median <= diameter <= shares[1] * self.median


@dataclass(frozen=True, eq=False)
class Look:
    """What is found at a zoom.

    Attributes
    ----------
    diameter : of the objects, the image's own pixels: half of the area that they cover is of smaller ones; 0
        where there is none.
    confidence : mean probability in them.
    probabilities : of the image, (classes, *spatial), if all of it was looked at.
    """

    diameter: float
    confidence: float
    probabilities: Probabilities | None = None


@dataclass(frozen=True, eq=False)
class Sized:
    """How an image is rescaled by the size of its objects.

    Attributes
    ----------
    zoom : None where that is left to the pixel size.
    diameter : of the objects, the image's own pixels, as given or found; None where it is not known.
    probabilities : of the image at this zoom, if they are known already.
    """

    zoom: float | None = None
    diameter: float | None = None
    probabilities: Probabilities | None = None


def zoom_of(header: ModelHeader, diameter: float) -> float:
    """How many times an image with objects of a diameter is rescaled for the network of a model.

    Parameters
    ----------
    header : ModelHeader
    diameter : float
        Of the disc (ball) as large as an object, in the image's own pixels.

    Returns
    -------
    float
        1 where it is within a tenth of what the model learned from.

    Raises
    ------
    InputError
        If the model did not learn from objects, or its objects and `diameter` are too far apart.
    """
    learned = _learned(header, f"{diameter:g}").median
    low, high = learned / ZOOMS[1], learned / ZOOMS[0]
    if not low <= diameter <= high:
        raise InputError(
            f"diameter is {diameter:g}; expected {low:.2g} to {high:.3g} pixels: the objects that this model "
            f"learned from were about {learned:.3g}"
        )
    zoom = learned / diameter
    return 1.0 if abs(math.log(zoom)) <= math.log(1 + LARGEST_DIFFERENCE) else zoom


def check_diameter(header: ModelHeader, diameter: float | str | None, *, rescale: bool) -> None:
    """Raise for a diameter with which no image could be rescaled.

    Raises
    ------
    ConfigError
        If nothing is to be rescaled and a diameter is given.
    InputError
        If it is neither a number nor "auto", or as `zoom_of`.
    """
    if diameter is None:
        return
    if not rescale:
        raise ConfigError(f"diameter {diameter} rescales images and --no-rescale does not; give one of them")
    if not isinstance(diameter, str):
        zoom_of(header, diameter)
    elif diameter != AUTO:
        raise InputError(f"diameter is {diameter!r}; expected a number of pixels, or auto")
    else:
        _learned(header, AUTO)


def is_found(header: ModelHeader, image: Source, *, rescale: bool) -> bool:
    """Whether the diameter is found where none is given: by models that are made for images of any scale,
    unless both pixel sizes are known."""
    by_pixels = header.spacing is not None and image.spacing is not None
    return rescale and header.diameters is not None and not by_pixels


def find_size(
    net: NetworkSizes,
    header: ModelHeader,
    function: TileFunction,
    image: Source,
    *,
    on_tile: OnTile | None = None,
) -> Sized:
    """How large the objects of an image are, found by looking at its middle, and the zoom for them.

    Parameters
    ----------
    net, header
        Of the model.
    function : callable
        A tile to probabilities.
    image : Source
    on_tile : callable, optional
        Called with (tiles done, tiles in all) of each look.

    Raises
    ------
    InputError
        As `zoom_of`, and if a pixel is NaN or infinite.
    """
    learned = _learned(header, AUTO)
    dims = len(image.shape)
    middle = _middle(image.shape, SAMPLE[dims])
    sample = array_source(image.read(middle), spacing=image.spacing)
    scaling = header.normalization.fit(
        sample.read, sample.shape, channels=sample.channels, dtype=sample.dtype
    )

    def look(zoom: float) -> Look:
        tile = tuple(max(TILE[dims], step) for step in net.geometry.grid)
        prepared = prepare(net, header, function, sample, scaling, tile=tile, rescale=False, zoom=zoom)
        region = _middle(sample.shape, round(SAMPLE[dims] / max(1.0, zoom)))
        probabilities = predict_region(prepared, region, on_tile=on_tile)
        found = _seen(probabilities, prepared.task, prepared.objects)
        return Look(*found, probabilities if region == whole_of(image.shape) else None)

    return choose(look, learned)


def choose(look: Callable[[float], Look], learned: Learned) -> Sized:
    """The size of objects and the zoom for it, from looks at some zooms.

    Parameters
    ----------
    look : callable
        What is found at a zoom.
    learned : Learned
    """
    first = look(1.0)
    looks = {1.0: first}
    sure = first.confidence >= SURE and learned.low <= first.diameter <= learned.high
    if sure or learned.has(first.diameter, NEAR):
        return Sized(1.0, first.diameter, first.probabilities)
    for step in STEPS:
        zoom = step
        while 1 / FARTHEST <= zoom <= FARTHEST:
            looks[zoom] = look(zoom)
            if looks[zoom].confidence < max(seen.confidence for seen in looks.values()):
                break
            zoom *= step
    believed = [
        zoom
        for zoom, seen in looks.items()
        if seen.confidence >= UNSURE and learned.has(seen.diameter * zoom, BELIEVED)
    ]
    if not believed:
        return Sized(1.0, None, first.probabilities)
    best = max(believed, key=lambda zoom: looks[zoom].confidence)
    diameter = looks[best].diameter
    if learned.has(diameter * best, NEAR):
        return Sized(best, diameter, looks[best].probabilities)
    return Sized(learned.median / diameter, diameter)


def _seen(probabilities: Probabilities, task: str, objects: ObjectConfig) -> tuple[float, float]:
    """Diameter of the objects, and the mean probability in them."""
    labels = to_labels(probabilities, task, objects)
    sizes = np.bincount(labels.ravel())[1:]
    if not sizes.sum():
        return 0.0, 0.0
    confidence = 1.0 - float(probabilities[0][labels > 0].mean(dtype=np.float64))
    return float(equivalent_diameter(_middle_size(sizes), labels.ndim)), confidence


def _middle_size(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The size up to which objects cover half of the area of all: debris, however much, hardly counts."""
    ordered = np.sort(sizes)
    covered = ordered.cumsum()
    middle: NDArray[np.int64] = ordered[np.searchsorted(covered, covered[-1] / 2)]
    return middle


def _middle(shape: Sequence[int], largest: int) -> Region:
    """The middle of an image, no larger along any axis."""
    starts = [max(0, (n - largest) // 2) for n in shape]
    return tuple((start, min(n, start + largest)) for start, n in zip(starts, shape, strict=True))


def _learned(header: ModelHeader, diameter: float | str) -> Learned:
    """Diameters of the objects that a model learned from."""
    fp = header.fingerprint
    if fp is None or not fp.diameter_median:
        raise InputError(
            f"diameter is {diameter} and this model does not say how large the objects were that it learned "
            "from; leave the diameter out, or give the pixel size"
        )
    return Learned(fp.diameter_median, fp.diameter_p10, BEYOND * fp.diameter_p90)
