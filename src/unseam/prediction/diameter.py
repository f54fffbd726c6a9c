"""How many times an image is rescaled so that its objects are as large as those a model learned from."""

from __future__ import annotations

import math

from unseam.errors import InputError
from unseam.model.checkpoint import ModelHeader
from unseam.prediction.region import LARGEST_DIFFERENCE, ZOOMS


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
    learned = header.fingerprint.diameter_median if header.fingerprint else 0.0
    if not learned:
        raise InputError(
            f"diameter is {diameter:g} and this model does not say how large the objects were that it "
            "learned from; leave the diameter out, or give the pixel size"
        )
    low, high = learned / ZOOMS[1], learned / ZOOMS[0]
    if not low <= diameter <= high:
        raise InputError(
            f"diameter is {diameter:g}; expected {low:.2g} to {high:.3g} pixels: the objects that this model "
            f"learned from were about {learned:.3g}"
        )
    zoom = learned / diameter
    return 1.0 if abs(math.log(zoom)) <= math.log(1 + LARGEST_DIFFERENCE) else zoom
