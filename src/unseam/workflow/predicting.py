"""Predict: image files through a model, to label images, tables and pictures; one bad file stops no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import OutputError, UnseamError
from unseam.guard.correction import NONE, Correction
from unseam.guard.verdict import Verdict, in_one_line
from unseam.io.atomic import refuse_both
from unseam.io.images import Image, read_image
from unseam.io.open import open_sources
from unseam.io.source import Source, array_source, stored_whole
from unseam.prediction import Model, Segmentation
from unseam.prediction.adapting import find_correction
from unseam.prediction.diameter import Sized
from unseam.streaming.executors import Executor
from unseam.workflow.agreeing import Agreed
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
    verdicts : of each time point, whether it is like the training images; empty where the model does not say.
    """

    path: Path
    n_objects: int
    error: UnseamError | None = None
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True)
class _Found:
    """How many objects or regions were found, and the verdicts."""

    count: int
    verdicts: tuple[Verdict, ...]


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
    outcomes, agreed = [], Agreed(model, listener)
    with executor_on(how.cluster if todo else None, listener) as executor:
        for number, one in enumerate(todo):
            on_tile = _on_tile(countdown, number, one.path)
            outcomes.append(_predict_one(agreed, one, how, listener, on_tile, executor))
            countdown.done(number + 1, one.path.name)
    return tuple(outcomes)


def _predict_one(
    agreed: Agreed,
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
            found = _predict_streamed(agreed, one, how, listener, executor)
        else:
            found = _predict_in_memory(agreed, one, how, on_tile, listener)
    except OutputError:
        raise
    except (UnseamError, MemoryError) as error:
        failure = error if isinstance(error, UnseamError) else UnseamError(_TOO_LARGE.format(one.path))
        listener.say(f"{one.path.name}: failed: {failure}")
        return Outcome(one.path, -1, failure)
    noun = "object" if agreed.model.header.task == "instances" else "region"
    said = f"; {in_one_line(found.verdicts)}" if found.verdicts else ""
    listener.say(f"{one.path.name}: {found.count} {noun}{'' if found.count == 1 else 's'}{said}")
    return Outcome(one.path, found.count, verdicts=found.verdicts)


def _predict_streamed(
    agreed: Agreed, one: Todo, how: Options, listener: Listener, executor: Executor | None
) -> _Found:
    image, sources = open_for(agreed.model, spec_of(one.path, how))
    model = agreed.on(sources[0])
    correction = _correction(model, sources[0], how)
    sized = Sized(correction.zoom)
    if sized.zoom is None:
        corrected = correction.apply(sources[0])
        sized = model.sized(corrected, how.diameter, rescale=how.rescale, tta=how.tta)
    if correction.zoom is None:
        for line in remarks(model, sources[0].spacing, one.path, rescale=how.rescale, sized=sized):
            listener.say(line)
    if stored_whole(sources[0]):
        listener.say(
            f"{one.path.name}: is stored in one piece, and decoded whole for its blocks; save it tiled"
        )
    wanted = wanted_of(one.path, one.targets["labels"], how, sized.zoom, correction)
    done = predict_streamed(model, image, wanted, listener, executor=executor)
    return _Found(done.n_objects, done.verdicts)


def _predict_in_memory(
    agreed: Agreed, one: Todo, how: Options, on_tile: OnTile, listener: Listener
) -> _Found:
    frames = _read(one.path, how).frames()
    model = agreed.on(_source_of(agreed.model, frames[0], how))
    correction = _correction(model, _source_of(model, frames[0], how), how)
    first = _predict_frame(model, frames[0], how, None, correction, on_tile)
    rest = [_predict_frame(model, frame, how, first.zoom, correction, on_tile) for frame in frames[1:]]
    results = [first, *rest]
    if correction.zoom is None:
        sized = Sized(first.zoom, first.diameter)
        for line in remarks(model, first.spacing, one.path, rescale=how.rescale, sized=sized):
            listener.say(line)
    write_results(results, one.targets, image=one.path.name, overwrite=how.overwrite or how.resume)
    verdicts = tuple(result.verdict for result in results if result.verdict is not None)
    return _Found(sum(_count(result) for result in results), verdicts)


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


def _on_tile(countdown: Countdown, number: int, path: Path) -> OnTile:
    return lambda done, total: countdown.done(number + done / (total + 1), path.name)


def _correction(model: Model, image: Source, how: Options) -> Correction:
    """What is done to an image, or to all frames of a series for the sake of the first one."""
    return find_correction(model, image, rescale=how.rescale, diameter=how.diameter) if how.adapt else NONE


def _source_of(model: Model, frame: Image, how: Options) -> Source:
    return array_source(_channels_of(model, frame), spacing=_spacing_of(frame, how))


def _spacing_of(frame: Image, how: Options) -> tuple[float, ...] | None:
    return frame.spacing or ((how.pixel_size,) * frame.spatial_dims if how.pixel_size else None)


def _channels_of(model: Model, frame: Image) -> NDArray[Any]:
    """The pixels of a frame; of a grey picture that was saved in colour, one channel."""
    data = frame.data
    return data[:1] if model.network.in_channels == 1 < len(data) and (data == data[:1]).all() else data


def _predict_frame(
    model: Model, frame: Image, how: Options, zoom: float | None, correction: Correction, on_tile: OnTile
) -> Segmentation:
    return model.predict(
        _channels_of(model, frame),
        tile=how.tile,
        tta=how.tta,
        spacing=_spacing_of(frame, how),
        rescale=how.rescale,
        diameter=how.diameter,
        zoom=zoom,
        correction=correction,
        on_tile=on_tile,
    )


def _count(result: Segmentation) -> int:
    return int(result.labels.max(initial=0)) if result.task == "instances" else len(result.table())
