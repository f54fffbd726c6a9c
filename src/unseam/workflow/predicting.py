"""Predict: image files through a model, to label images, tables and pictures; one bad file stops no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unseam.errors import OutputError, UnseamError
from unseam.io.atomic import refuse_both
from unseam.io.images import Image, read_image
from unseam.io.open import open_sources
from unseam.io.source import stored_whole
from unseam.prediction import Model, Segmentation
from unseam.prediction.diameter import Sized
from unseam.streaming.executors import Executor
from unseam.workflow.inputs import (
    SAVES,
    Options,
    Todo,
    check_options,
    list_todo,
    refuse_existing,
    refuse_inputs_as_targets,
    spec_of,
    wanted_of,
)
from unseam.workflow.listener import Countdown, Listener, printing
from unseam.workflow.loading import is_csv, refuse_split
from unseam.workflow.results import remarks, write_results
from unseam.workflow.streaming import executor_on, open_for, predict_streamed

__all__ = ["SAVES", "Options", "Outcome", "predict_files"]

OnTile = Callable[[int, int], None]
_TOO_LARGE = (
    "{} is too large for the free memory; close other programs, or give --memory to predict it in blocks"
)


@dataclass(frozen=True)
class Outcome:
    """What became of one input file.

    Attributes
    ----------
    path : the input.
    n_objects : objects found, or -1 where it failed or was done before.
    error : what went wrong, or None.
    """

    path: Path
    n_objects: int
    error: UnseamError | None = None


def predict_files(
    model: Model,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    split: str | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> tuple[Outcome, ...]:
    """Segment files, Zarr stores, or all images of folders, and write the results to `out`.

    Parameters
    ----------
    model : Model
    inputs : sequence of paths
        Files, OME-Zarr folders, folders of them, or CSV files of pairs.
    out : str or Path
        Folder for STEM.tif (labels), STEM_probabilities.tif, STEM.csv and STEM_overlay.png; of images that
        are streamed STEM.zarr and STEM_probabilities.zarr. Or, for one image, a name in .zarr.
    split : str, optional
        Of a CSV file with a column split, the rows to take.
    listener : Listener, optional
    **options
        The fields of `Options`.

    Returns
    -------
    tuple of Outcome
        One per file, failures among them.

    Raises
    ------
    OutputExistsError
        Before anything is computed, if a result is there already.
    InputError
        If there is no image, or two images would have the same result.
    OutputError
        If the results cannot be written.
    UnseamError
        If the cluster cannot be used, as `unseam.streaming.cluster.connected`.
    """
    listener, out, how = listener or printing(), Path(out), Options(**options)
    refuse_both(resume=how.resume, overwrite=how.overwrite)
    check_options(model, out, how)
    if not any(is_csv(given) for given in inputs):
        refuse_split(split)
    todo = list_todo(inputs, split, out, how, model)
    refuse_inputs_as_targets(todo)
    if not (how.overwrite or how.resume):
        refuse_existing(todo)
    for line in model.notes:
        listener.say(line)
    countdown = Countdown(listener, "predicting", len(todo))
    outcomes = []
    with executor_on(how.cluster if todo else None, listener) as executor:
        for number, one in enumerate(todo):
            on_tile = _on_tile(countdown, number, one.path)
            outcomes.append(_predict_one(model, one, how, listener, on_tile, executor))
            countdown.done(number + 1, one.path.name)
    return tuple(outcomes)


def _predict_one(
    model: Model,
    one: Todo,
    how: Options,
    listener: Listener,
    on_tile: OnTile,
    executor: Executor | None,
) -> Outcome:
    """Segment one image; what is wrong with it alone is part of the outcome."""
    if how.resume and all(target.exists() for target in one.targets.values()):
        return Outcome(one.path, -1)
    try:
        if one.is_streamed:
            count, noun = _predict_streamed(model, one, how, listener, executor)
        else:
            count, noun = _predict_in_memory(model, one, how, on_tile, listener)
    except OutputError:
        raise
    except (UnseamError, MemoryError, RuntimeError) as error:
        if not (isinstance(error, UnseamError) or _lacks_memory(error)):
            raise
        failure = error if isinstance(error, UnseamError) else UnseamError(_TOO_LARGE.format(one.path))
        listener.say(f"{one.path.name}: failed: {failure}")
        return Outcome(one.path, -1, failure)
    listener.say(f"{one.path.name}: {count} {noun if count != 1 else noun[:-1]}")
    return Outcome(one.path, count)


def _lacks_memory(error: Exception) -> bool:
    """Whether memory is used up, which PyTorch tells by a RuntimeError that only its words set apart."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "DefaultCPUAllocator" in str(error)


def _predict_streamed(
    model: Model, one: Todo, how: Options, listener: Listener, executor: Executor | None
) -> tuple[int, str]:
    image, sources = open_for(model, spec_of(one.path, how))
    sized = model.sized(sources[0], how.diameter, rescale=how.rescale, tta=how.tta)
    for line in remarks(model, sources[0].spacing, one.path, rescale=how.rescale, sized=sized):
        listener.say(line)
    if stored_whole(sources[0]):
        listener.say(
            f"{one.path.name}: is stored in one piece, and decoded whole for its blocks; save it tiled"
        )
    wanted = wanted_of(one.path, one.targets["labels"], how, sized.zoom)
    done = predict_streamed(model, image, wanted, listener, executor=executor)
    return done.n_objects, _noun(model)


def _predict_in_memory(
    model: Model, one: Todo, how: Options, on_tile: OnTile, listener: Listener
) -> tuple[int, str]:
    frames = _read(one.path, how).frames()
    first = _predict_frame(model, frames[0], how, None, on_tile)
    results = [first, *(_predict_frame(model, frame, how, first.zoom, on_tile) for frame in frames[1:])]
    sized = Sized(first.zoom, first.diameter)
    for line in remarks(model, first.spacing, one.path, rescale=how.rescale, sized=sized):
        listener.say(line)
    write_results(results, one.targets, overwrite=how.overwrite or how.resume)
    return sum(_count(result) for result in results), _noun(model)


def _read(path: Path, how: Options) -> Image:
    """An image file, or the part of it that is selected."""
    if how.select is None:
        return read_image(path, axes=how.axes)
    sources = open_sources(path, axes=how.axes, select=how.select)
    data = np.stack([source.read(tuple((0, n) for n in source.shape)) for source in sources])
    axes = "TCZYX" if len(sources[0].shape) == 3 else "TCYX"
    if sources[0].frame is None:
        data, axes = data[0], axes[1:]
    return Image(data, axes, sources[0].spacing, path)


def _noun(model: Model) -> str:
    return "objects" if model.header.task == "instances" else "regions"


def _on_tile(countdown: Countdown, number: int, path: Path) -> OnTile:
    return lambda done, total: countdown.done(number + done / (total + 1), path.name)


def _predict_frame(
    model: Model, frame: Image, how: Options, zoom: float | None, on_tile: OnTile
) -> Segmentation:
    spacing = frame.spacing or ((how.pixel_size,) * frame.spatial_dims if how.pixel_size else None)
    data = frame.data
    if model.network.in_channels == 1 < len(data) and (data == data[:1]).all():
        data = data[:1]  # a grey picture, saved in colour
    return model.predict(
        data,
        tile=how.tile,
        tta=how.tta,
        spacing=spacing,
        rescale=how.rescale,
        diameter=how.diameter,
        zoom=zoom,
        on_tile=on_tile,
    )


def _count(result: Segmentation) -> int:
    return int(result.labels.max(initial=0)) if result.task == "instances" else len(result.table())
