"""What brings an image that is unlike the training images into their range, found on a sample of it."""

from __future__ import annotations

from unseam.errors import InputError
from unseam.guard.correction import NONE, Correction, candidates
from unseam.guard.verdict import Verdict
from unseam.io.source import Source
from unseam.normalize import MapParts, Scaling
from unseam.prediction.guarding import judge
from unseam.prediction.model import Model
from unseam.prediction.region import LARGEST_DIFFERENCE, ZOOMS, network_shape, prepare

CLEARLY = 0.8
"""Share of the limit that an image has to come within by a correction."""
LEAST = 32
"""Pixels of a rescaled image along the axes of a plane; fewer do not say what it looks like."""


def find_correction(
    model: Model,
    image: Source,
    *,
    rescale: bool = True,
    diameter: float | str | None = None,
    map_parts: MapParts = map,
) -> Correction:
    """The correction that brings an image into range most clearly; none where it is, or where none does.

    Parameters
    ----------
    model : Model
        With the statistics of its training images.
    image : Source
    rescale, diameter
        As in `Model.predict`. Where nothing is rescaled, or by a diameter, no other size is tried.
    map_parts : callable
        As in `Model.prepare`.

    Raises
    ------
    InputError
        If the model carries no statistics, or a pixel is NaN or infinite.
    ShapeError
        If axes or channels do not fit the model.

    Notes
    -----
    Inversion, other orders of the channels and powers of the square root of 2 as zoom are tried one by one,
    not together.
    """
    require_statistics(model)
    model.check_channels(image)
    by_diameter = model.sized(image, diameter, rescale=rescale).zoom

    def fit(source: Source) -> Scaling:
        return model.header.normalization.fit(
            source.read, source.shape, channels=source.channels, dtype=source.dtype, map_parts=map_parts
        )

    def judged(correction: Correction, scaling: Scaling, zoom: float | None) -> Verdict:
        prepared = prepare(
            model.network,
            model.header,
            model.tile_function("none"),
            correction.apply(image),
            scaling,
            tile="auto",
            rescale=rescale,
            zoom=zoom,
        )
        verdict = judge(model.network, model.header, prepared, correction=correction)
        assert verdict is not None
        return verdict

    plain = fit(image)
    if not judged(NONE, plain, by_diameter).outside:
        return NONE
    best, least = NONE, CLEARLY
    already = _zoom(model, image) if rescale and by_diameter is None else None
    for correction in candidates(image.channels, dims=len(image.shape), zoom=already):
        if correction.zoom is not None and not _may_be_zoomed(image, correction.zoom):
            continue
        corrected, zoom = correction.apply(image), correction.zoom
        scaling = fit(corrected) if correction.inverted else _ordered(plain, correction)
        if by_diameter is not None:
            zoom = model.sized(corrected, diameter, rescale=rescale).zoom
        verdict = judged(correction, scaling, zoom)
        if not verdict.outside and verdict.farthest <= least:
            best, least = correction, verdict.farthest
    return best


def require_statistics(model: Model) -> None:
    """Raise `InputError` if a model does not carry the statistics of its training images."""
    if model.header.guard is None:
        raise InputError(
            "this model carries no statistics of its training images, so nothing can be adapted to them; "
            "leave --adapt out, or train again on three images or more"
        )


def _zoom(model: Model, image: Source) -> float | None:
    """How many times an image is rescaled by its pixel size; None where that differs from axis to axis."""
    shape = network_shape(image, model.header.spacing, rescale=True)
    zooms = [m / n for n, m in zip(image.shape, shape, strict=True)]
    alike = max(zooms) <= (1 + LARGEST_DIFFERENCE) * min(zooms)
    return zooms[-1] if alike else None


def _may_be_zoomed(image: Source, zoom: float) -> bool:
    """Whether a zoom can be asked for, and enough of the image is left."""
    return ZOOMS[0] <= zoom <= ZOOMS[1] and (zoom >= 1 or min(image.shape[-2:]) * zoom >= LEAST)


def _ordered(scaling: Scaling, correction: Correction) -> Scaling:
    """The scaling of an image whose channels are in another order."""
    if correction.channels is None:
        return scaling
    return Scaling(
        tuple(scaling.offset[c] for c in correction.channels),
        tuple(scaling.scale[c] for c in correction.channels),
    )
