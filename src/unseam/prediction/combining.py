"""Several models as one: which may be averaged, and what the one says of itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from statistics import fmean

from unseam.config import ObjectConfig
from unseam.engines.combined import members_of, together
from unseam.errors import InputError
from unseam.geometry import Geometry
from unseam.model.ensemble import in_order
from unseam.model.header import ModelHeader, read_header
from unseam.prediction.model import Model
from unseam.prediction.region import LARGEST_DIFFERENCE


def combine(models: Sequence[Model], *, objects: ObjectConfig | None = None) -> Model:
    """A model whose probabilities are the mean of those of several; a single one is returned as it is.

    Parameters
    ----------
    models : sequence of Model
        U-Nets of unseam. The order is that of the sum, and the first one's statistics of training images and
        object sizes are those of all.
    objects : ObjectConfig, optional
        How the mean probabilities become objects; without it the mean of the models' own thresholds.

    Raises
    ------
    InputError
        If there is none, one is another program's, or they differ in what they take or give.
    """
    if not models:
        raise InputError("no model was given; give one at least")
    if len(models) == 1:
        return models[0]
    networks = [net for model in models for net in model.own_members]
    header = combined_header([model.header for model in models], [_name(m, k) for k, m in enumerate(models)])
    _refuse_other_sizes(models)
    network = together(networks)
    notes = [note for model in models for note in model.notes]
    if len({net.precision for net in networks} - {net.precision for net in members_of(network)}):
        notes.append("models: no tile suits them all in lower precision; they compute in float32")
    return Model(
        network,
        header if objects is None else replace(header, objects=objects),
        models[0].device,
        models[0].path,
        tuple(dict.fromkeys(notes)),
        members=tuple(path for model in models for path in model.files),
    )


def combined_header(headers: Sequence[ModelHeader], names: Sequence[str]) -> ModelHeader:
    """What several models averaged say: what they share, the mean of their thresholds, the rest of the first.

    Raises
    ------
    InputError
        If they do not share what they must.
    """
    first = headers[0]
    for header, name in zip(headers[1:], names[1:], strict=True):
        for what, ours, theirs in (
            ("task", first.task, header.task),
            ("channels", first.network.in_channels, header.network.in_channels),
            ("classes", first.network.classes, header.network.classes),
            ("spatial axes", first.network.spatial_dims, header.network.spatial_dims),
            ("normalization", first.normalization, header.normalization),
            ("diameters", first.diameters, header.diameters),
        ):
            if ours != theirs:
                raise _differ(what, names[0], ours, name, theirs)
        if not _same_pixels(first, header):
            raise _differ("pixel size", names[0], first.spacing, name, header.spacing)
    objects = _mean_objects([header.objects for header in headers], names)
    return replace(first, objects=objects, training={"models_averaged": len(headers)})


def _refuse_other_sizes(models: Sequence[Model]) -> None:
    first = models[0].network.geometry
    for number, model in enumerate(models[1:], start=1):
        if model.network.geometry != first:
            ours, theirs = _sizes(first), _sizes(model.network.geometry)
            raise _differ("sizes of tiles", _name(models[0], 0), ours, _name(model, number), theirs)


def _sizes(geometry: Geometry) -> str:
    return f"grid {geometry.grid}, halo {geometry.halo}"


def _differ(what: str, one: str, ours: object, other: str, theirs: object) -> InputError:
    return InputError(
        f"{one} and {other} cannot be averaged: {what} is {ours} in the one and {theirs} in the other; give "
        "models that were trained alike, as `unseam train --folds` makes them"
    )


def _name(model: Model, number: int) -> str:
    return str(model.path or f"model {number}")


def _same_pixels(one: ModelHeader, other: ModelHeader) -> bool:
    """Whether pixels are about as large: as much as an image's may differ without being rescaled."""
    if one.spacing is None or other.spacing is None:
        return one.spacing == other.spacing
    apart = [abs(math.log(a / b)) for a, b in zip(one.spacing, other.spacing, strict=True)]
    return max(apart) <= math.log(1 + LARGEST_DIFFERENCE)


def _mean_objects(objects: Sequence[ObjectConfig], names: Sequence[str]) -> ObjectConfig:
    """The mean of each threshold, of whole numbers rounded; what is no threshold has to be the same.

    Notes
    -----
    A split of 0 is none, so it is no number that could be averaged with others.
    """
    changes = {}
    for spec in fields(ObjectConfig):
        values = [getattr(one, spec.name) for one in objects]
        if len(set(values)) == 1:
            continue
        never = spec.name == "split" and not all(values)
        if never or any(value is None or isinstance(value, bool) for value in values):
            other = next(k for k, value in enumerate(values) if value != values[0])
            raise _differ(f"objects.{spec.name}", names[0], values[0], names[other], values[other])
        mean = fmean(values)
        changes[spec.name] = round(mean) if all(isinstance(value, int) for value in values) else mean
    return replace(objects[0], **changes)  # type: ignore[arg-type]


def header_of(paths: Sequence[Path], objects: ObjectConfig | None = None) -> ModelHeader:
    """The header of a model file, or of several averaged, without their weights.

    Raises
    ------
    ModelFileError, InputError
        As `unseam.model.header.read_header` and `combined_header`.
    """
    ordered = in_order(paths)
    headers = [read_header(path) for path in ordered]
    header = headers[0] if len(headers) == 1 else combined_header(headers, list(map(str, ordered)))
    return header if objects is None else replace(header, objects=objects)
