"""Predict: image files through a model, to label images, tables and pictures; one bad file stops no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unseam.axes import parse_axes
from unseam.config import DataConfig
from unseam.errors import InputError, OutputError, OutputExistsError, UnseamError
from unseam.io.images import SUFFIXES, TIFF_SUFFIXES, Image, list_images, read_image, stem
from unseam.io.open import open_sources
from unseam.io.select import parse_selection
from unseam.prediction import Model, Segmentation, plan_image
from unseam.streaming.executors import Executor
from unseam.streaming.job import ImageSpec
from unseam.streaming.wanted import SAVES as STREAMED_SAVES
from unseam.streaming.wanted import Wanted
from unseam.workflow.listener import Countdown, Listener, printing
from unseam.workflow.loading import is_csv, pair_files, refuse_split
from unseam.workflow.results import remarks, write_results
from unseam.workflow.run import refuse_both
from unseam.workflow.streaming import executor_on, is_large, is_zarr, predict_streamed

WORTH_A_LOOK = 2**26
"""Bytes of a TIFF file below which it is not asked how large its image is."""
OnTile = Callable[[int, int], None]
SAVES = {
    "labels": "{}.tif",
    "probabilities": "{}_probabilities.tif",
    "table": "{}.csv",
    "overlay": "{}_overlay.png",
}
"""What can be saved, and under which name beside the stem of the image."""
_TOO_LARGE = "{} is too large for the free memory; close other programs, or cut the image into parts"


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


@dataclass(frozen=True)
class Options:
    """How images are predicted and what is written of them.

    Attributes
    ----------
    save : which of `SAVES`, of streamed images of `STREAMED_SAVES`; None for labels, table and overlay, of
        images in memory probabilities too.
    axes, pixel_size : for files that do not state them.
    select : the part of each image that is meant, as "t=0, c=1, level=0, y=0:4096".
    tile, tta, rescale : as `Model.predict`.
    memory : bytes that streaming may take; images that need more at once are streamed.
    block : pixels per axis of the blocks of a streamed image.
    version : of OME-Zarr, for what is written of streamed images.
    cluster : where blocks are done: "local:N" or the address of a Dask scheduler; None for this process.
    overwrite, resume : replace results that are there, or leave them and do the rest; else they are refused.
    """

    save: tuple[str, ...] | None = None
    axes: str | None = None
    pixel_size: float | None = None
    select: str | None = None
    tile: int | str = "auto"
    tta: str = "none"
    rescale: bool = True
    memory: int | None = None
    block: int | None = None
    version: str = "0.5"
    cluster: str | None = None
    overwrite: bool = False
    resume: bool = False

    @property
    def of_small(self) -> tuple[str, ...]:
        """What is written of an image in memory."""
        return tuple(SAVES) if self.save is None else self.save

    @property
    def of_streamed(self) -> tuple[str, ...]:
        """What is written of an image that is streamed."""
        return (
            ("labels", "table", "overlay")
            if self.save is None
            else tuple(k for k in self.save if k in STREAMED_SAVES)
        )


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
    _check_options(model, out, how)
    if not any(is_csv(given) for given in inputs):
        refuse_split(split)
    todo = _todo(inputs, split, out, how, model)
    _refuse_inputs_as_targets(todo)
    if not (how.overwrite or how.resume):
        _refuse_existing(todo)
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
    one: _Todo,
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


def _check_options(model: Model, out: Path, how: Options) -> None:
    """Raise for options with which no image could be segmented, before the first one is."""
    kinds = [*SAVES, *(kind for kind in STREAMED_SAVES if kind not in SAVES)]
    if how.save is not None and (not how.save or set(how.save) - set(kinds)):
        raise InputError(f"save is {','.join(how.save)!r}; expected some of: {','.join(kinds)}")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; give a folder for the results")
    plan_image(model.network.geometry.grid, model.network, tile=how.tile)
    DataConfig(pixel_size=how.pixel_size)
    if how.axes is not None:
        parse_axes(how.axes)
    parse_selection(how.select)


@dataclass(frozen=True)
class _Todo:
    """One image, how it is done, and where its results go."""

    path: Path
    is_streamed: bool
    targets: dict[str, Path]
    to_be_new: list[Path]


def _todo(
    inputs: Sequence[str | Path], split: str | None, out: Path, how: Options, model: Model
) -> list[_Todo]:
    """All images, each once; no two may share a result, as a.tif and a_probabilities.tif would."""
    paths = list(dict.fromkeys(path for given in inputs for path in _listed(given, split)))
    if out.suffix == ".zarr" and len(paths) != 1:
        raise InputError(
            f"{len(paths)} images were given for one output {out}; give a folder for their results"
        )
    todo = []
    owners: dict[Path, Path] = {}
    for path in paths:
        streamed = (
            out.suffix == ".zarr" or is_zarr(path) or how.cluster is not None or _is_large(path, how, model)
        )
        if streamed:
            wanted = _wanted(path, out, how)
            targets, new = wanted.targets(), wanted.to_be_new()
        else:
            targets = {kind: out / SAVES[kind].format(stem(path)) for kind in how.of_small if kind in SAVES}
            new = list(targets.values())
        todo.append(_Todo(path, streamed, targets, new))
        for target in targets.values():
            other = owners.setdefault(target, path)
            if other != path:
                raise InputError(
                    f"{other} and {path} would both be written to {target.name}; predict them apart"
                )
    return todo


def _listed(given: str | Path, split: str | None) -> list[Path]:
    """The images of a file, a Zarr store, a folder, or the rows of a CSV file of pairs."""
    path = Path(given)
    if (path.suffix.lower() in SUFFIXES and path.is_file()) or is_zarr(path):
        return [path]  # an empty one is told in its turn, like a bad one in a folder
    if is_csv(path):
        return [pair.image for pair in pair_files(given, None, split).pairs]
    stores = sorted(child for child in path.iterdir() if is_zarr(child)) if path.is_dir() else []
    if stores and not any(child.suffix.lower() in SUFFIXES for child in path.iterdir()):
        return stores
    return [*list_images(path), *stores]


def _is_large(path: Path, how: Options, model: Model) -> bool:
    """Whether a file is streamed; one that cannot be opened is told in its turn."""
    if path.suffix.lower() not in TIFF_SUFFIXES or path.stat().st_size < WORTH_A_LOOK:
        return False
    try:
        return is_large(_spec(path, how).open(), model.network.classes, how.memory)
    except UnseamError:
        return False


def _spec(path: Path, how: Options) -> ImageSpec:
    return ImageSpec(str(path), how.axes, how.select, how.pixel_size)


def _wanted(path: Path, out: Path, how: Options) -> Wanted:
    return Wanted(
        out if out.suffix == ".zarr" else out / f"{stem(path)}.zarr",
        save=how.of_streamed,
        tile=how.tile,
        tta=how.tta,
        rescale=how.rescale,
        block=how.block,
        memory=how.memory,
        version=how.version,
        overwrite=how.overwrite,
    )


def _refuse_inputs_as_targets(todo: Sequence[_Todo]) -> None:
    inputs = {one.path.resolve() for one in todo}
    for one in todo:
        for target in one.targets.values():
            if target.resolve() in inputs:
                raise OutputExistsError(
                    f"the result of {one.path} would replace the image {target}; choose another --out"
                )


def _refuse_existing(todo: Sequence[_Todo]) -> None:
    there = [target for one in todo for target in one.to_be_new if target.exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise OutputExistsError(
            f"{there[0]}{more} exist already; --overwrite replaces them, --resume does only what is missing"
        )


def _predict_streamed(
    model: Model, one: _Todo, how: Options, listener: Listener, executor: Executor | None
) -> tuple[int, str]:
    image = _spec(one.path, how)
    for line in remarks(model, image.open()[0].spacing, one.path, rescale=how.rescale):
        listener.say(line)
    wanted = replace(_wanted(one.path, one.targets["labels"], how), overwrite=how.overwrite or how.resume)
    done = predict_streamed(model, image, wanted, listener, executor=executor)
    return done.n_objects, _noun(model)


def _predict_in_memory(
    model: Model, one: _Todo, how: Options, on_tile: OnTile, listener: Listener
) -> tuple[int, str]:
    frames = _read(one.path, how).frames()
    results = [_predict_frame(model, frame, how, on_tile) for frame in frames]
    for line in remarks(model, results[0].spacing, one.path, rescale=how.rescale):
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


def _predict_frame(model: Model, frame: Image, how: Options, on_tile: OnTile) -> Segmentation:
    spacing = frame.spacing or ((how.pixel_size,) * frame.spatial_dims if how.pixel_size else None)
    data = frame.data
    if model.network.in_channels == 1 < len(data) and (data == data[:1]).all():
        data = data[:1]  # a grey picture, saved in colour
    return model.predict(
        data, tile=how.tile, tta=how.tta, spacing=spacing, rescale=how.rescale, on_tile=on_tile
    )


def _count(result: Segmentation) -> int:
    return int(result.labels.max(initial=0)) if result.task == "instances" else len(result.table())
