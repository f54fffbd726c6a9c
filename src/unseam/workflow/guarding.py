"""Statistics of the training images into a model: at the end of training, or for a model that has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import InputError
from unseam.guard.reference import FEWEST, GuardReference, refer
from unseam.io.source import array_source
from unseam.model.checkpoint import save_model
from unseam.prediction import Model, load_model
from unseam.prediction.guarding import observe
from unseam.workflow.listener import SILENT, Countdown, Listener

MOST = 100
"""Images that the statistics are taken of; of more, as many evenly chosen ones."""


def reference_of(
    model: Model, images: Sequence[NDArray[Any]], *, listener: Listener = SILENT
) -> GuardReference | None:
    """What images give as training images of a model; None of too few.

    Parameters
    ----------
    model : Model
    images : sequence of ndarray, (C, *spatial)
        At the size they were learned from.
    listener : Listener
        Told how far it is.
    """
    if len(images) < FEWEST:
        return None
    chosen = [images[i] for i in np.linspace(0, len(images) - 1, min(len(images), MOST)).round().astype(int)]
    countdown = Countdown(listener, "statistics of the images", len(chosen))
    found = []
    for done, image in enumerate(chosen, start=1):
        prepared = model.prepare(array_source(image), rescale=False)
        found.append(observe(model.own, prepared))
        countdown.done(done)
    return refer(found)


def attach(
    model: str | Path, images: Sequence[NDArray[Any]], out: str | Path, *, overwrite: bool = False
) -> GuardReference:
    """Write a model with the statistics of its training images, for one that was trained without.

    Parameters
    ----------
    model : path
        The .safetensors file, or the folder of the run that made it.
    images : sequence of ndarray, (C, *spatial)
        Those it was trained on.
    out : path
        The new file.
    overwrite : bool
        Whether it may replace one.

    Raises
    ------
    InputError
        If there are fewer than three images.
    ShapeError
        If axes or channels do not fit the model.
    ModelFileError
        If the model cannot be read.
    OutputExistsError
        If `out` is there and `overwrite` is false.
    """
    from safetensors.torch import load_file

    loaded = load_model(model)
    reference = reference_of(loaded, images)
    if reference is None:
        raise InputError(
            f"{len(images)} images were given; statistics of what a model knows take {FEWEST} or more"
        )
    assert loaded.path is not None
    weights = load_file(loaded.path)  # as they are stored, in half precision too
    save_model(Path(out), weights, replace(loaded.header, guard=reference), overwrite=overwrite)
    return reference
