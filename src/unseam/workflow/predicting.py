"""Predict: image files through a model, to label images, tables and pictures; one bad file stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unseam.axes import parse_axes
from unseam.config import DataConfig
from unseam.draw import overlay
from unseam.errors import InputError, OutputError, OutputExistsError, UnseamError
from unseam.io.images import SUFFIXES, Image, list_images, read_image, stem, write_png, write_tiff
from unseam.measure import ObjectTable
from unseam.prediction import Model, Segmentation, plan_image
from unseam.workflow.listener import Countdown, Listener, printing
from unseam.workflow.loading import is_csv, pair_files, refuse_split
from unseam.workflow.run import refuse_both

OnTile = Callable[[int, int], None]
SAVES = {
    "labels": "{}.tif",
    "probabilities": "{}_probabilities.tif",
    "table": "{}.csv",
    "overlay": "{}_overlay.png",
}
"""What can be saved, and under which name beside the stem of the image."""
_TOO_LARGE = "{} is too large for the free memory; close other programs, or cut the image into parts"
LARGEST_DIFFERENCE = 0.1
"""A pixel size further from the model's than this share is told."""


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
    tile: int | str = "auto",
    tta: str = "none",
    save: Sequence[str] = tuple(SAVES),
    split: str | None = None,
    axes: str | None = None,
    pixel_size: float | None = None,
    overwrite: bool = False,
    resume: bool = False,
    listener: Listener | None = None,
) -> tuple[Outcome, ...]:
    """Segment files, or all images of folders, and write the results to `out`.

    Parameters
    ----------
    model : Model
    inputs : sequence of paths
        Files, folders, or CSV files of pairs.
    out : str or Path
        Folder for STEM.tif (labels), STEM_probabilities.tif, STEM.csv and STEM_overlay.png.
    tile, tta
        See `Model.predict`.
    save : sequence of str
        Which of the four to write.
    split : str, optional
        Of a CSV file with a column split, the rows to take.
    axes, pixel_size
        For files that do not state them.
    overwrite, resume : bool
        Replace results that are there, or leave them and do the rest; else they are refused.

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
    """
    listener, out = listener or printing(), Path(out)
    refuse_both(resume=resume, overwrite=overwrite)
    _check_options(model, out, tile=tile, save=save, axes=axes, pixel_size=pixel_size)
    if not any(is_csv(given) for given in inputs):
        refuse_split(split)
    paths = _inputs(inputs, split, out, save)
    _refuse_inputs_as_targets(paths, out, save)
    if not (overwrite or resume):
        _refuse_existing(paths, out, save)
    outcomes = []
    countdown = Countdown(listener, "predicting", len(paths))
    for number, path in enumerate(paths):
        if resume and all(target.exists() for target in _targets(path, out, save).values()):
            outcomes.append(Outcome(path, -1))
            continue

        def on_tile(done: int, total: int, number: int = number, path: Path = path) -> None:
            countdown.done(number + done / (total + 1), path.name)

        try:
            frames = read_image(path, axes=axes).frames()
            results = [_predict_frame(model, frame, tile, tta, pixel_size, on_tile) for frame in frames]
            for line in _remarks(model, results[0], path):
                listener.say(line)
            _write(results, _targets(path, out, save), overwrite=overwrite or resume)
            count = sum(_count(result) for result in results)
            outcomes.append(Outcome(path, count))
            listener.say(f"{path.name}: {count} {'objects' if results[0].task == 'instances' else 'regions'}")
        except OutputError:
            raise
        except (UnseamError, MemoryError, RuntimeError) as error:
            if not (isinstance(error, UnseamError) or _lacks_memory(error)):
                raise
            failure = error if isinstance(error, UnseamError) else UnseamError(_TOO_LARGE.format(path))
            outcomes.append(Outcome(path, -1, failure))
            listener.say(f"{path.name}: failed: {failure}")
        countdown.done(number + 1, path.name)
    return tuple(outcomes)


def _lacks_memory(error: Exception) -> bool:
    """Whether memory is used up, which PyTorch tells by a RuntimeError that only its words set apart."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "DefaultCPUAllocator" in str(error)


def _check_options(
    model: Model,
    out: Path,
    *,
    tile: int | str,
    save: Sequence[str],
    axes: str | None,
    pixel_size: float | None,
) -> None:
    """Raise for options with which no image could be segmented, before the first one is."""
    if not save or set(save) - set(SAVES):
        raise InputError(f"save is {','.join(save)!r}; expected some of: {','.join(SAVES)}")
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; give a folder for the results")
    plan_image(model.network.geometry.grid, model.network, tile=tile)
    DataConfig(pixel_size=pixel_size)
    if axes is not None:
        parse_axes(axes)


def _predict_frame(
    model: Model, frame: Image, tile: int | str, tta: str, pixel_size: float | None, on_tile: OnTile
) -> Segmentation:
    spacing = frame.spacing or ((pixel_size,) * frame.spatial_dims if pixel_size else None)
    data = frame.data
    if model.network.in_channels == 1 < len(data) and (data == data[:1]).all():
        data = data[:1]  # a grey picture, saved in colour
    return model.predict(data, tile=tile, tta=tta, spacing=spacing, on_tile=on_tile)


def _count(result: Segmentation) -> int:
    return int(result.labels.max(initial=0)) if result.task == "instances" else len(result.table())


def _inputs(inputs: Sequence[str | Path], split: str | None, out: Path, save: Sequence[str]) -> list[Path]:
    """All image files, each once; no two may share a result, as a.tif and a_probabilities.tif would."""
    paths = list(dict.fromkeys(path for given in inputs for path in _listed(given, split)))
    owners: dict[Path, Path] = {}
    for path in paths:
        for target in _targets(path, out, save).values():
            other = owners.setdefault(target, path)
            if other != path:
                raise InputError(
                    f"{other} and {path} would both be written to {target.name}; predict them apart"
                )
    return paths


def _listed(given: str | Path, split: str | None) -> list[Path]:
    """The images of a file, a folder, or the rows of a CSV file of pairs."""
    path = Path(given)
    if path.suffix.lower() in SUFFIXES and path.is_file():
        return [path]  # an empty one is told in its turn, like a bad one in a folder
    if not is_csv(path):
        return list_images(path)
    return [pair.image for pair in pair_files(given, None, split).pairs]


def _targets(path: Path, out: Path, save: Sequence[str]) -> dict[str, Path]:
    return {kind: out / SAVES[kind].format(stem(path)) for kind in save}


def _refuse_inputs_as_targets(paths: Sequence[Path], out: Path, save: Sequence[str]) -> None:
    inputs = {path.resolve() for path in paths}
    for path in paths:
        for target in _targets(path, out, save).values():
            if target.resolve() in inputs:
                raise OutputExistsError(
                    f"the result of {path} would replace the image {target}; choose another --out"
                )


def _refuse_existing(paths: Sequence[Path], out: Path, save: Sequence[str]) -> None:
    there = [t for path in paths for t in _targets(path, out, save).values() if t.exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise OutputExistsError(
            f"{there[0]}{more} exist already; --overwrite replaces them, --resume does only what is missing"
        )


def _remarks(model: Model, result: Segmentation, path: Path) -> Iterator[str]:
    """What a person should know about this image and this model."""
    trained, given = model.header.spacing, result.spacing
    if trained and given and len(trained) == len(given):
        apart = max(abs(g / t - 1) for g, t in zip(given, trained, strict=True))
        if apart > LARGEST_DIFFERENCE:
            yield (
                f"{path.name}: its pixels are {_sizes(given)} µm and the model learned on {_sizes(trained)}; "
                "objects of another size may be missed: rescale the image"
            )


def _sizes(spacing: Sequence[float]) -> str:
    return " x ".join(f"{s:.3g}" for s in spacing)


def _write(results: Sequence[Segmentation], targets: dict[str, Path], *, overwrite: bool) -> None:
    """Write what is wanted; the labels last, so that they stand for a finished image."""
    first = results[0]
    spatial, series = ("YX" if first.labels.ndim == 2 else "ZYX"), len(results) > 1
    time = "T" if series else ""

    def frames(arrays: list[NDArray[Any]]) -> NDArray[Any]:
        return np.stack(arrays) if series else arrays[0]

    for kind in ("overlay", "table", "probabilities", "labels"):
        if kind not in targets:
            continue
        path = targets[kind]
        if kind == "overlay":
            write_png(path, overlay(first.image, first.labels), overwrite=overwrite)
        elif kind == "table":
            _table([result.table() for result in results]).to_csv(path, overwrite=overwrite)
        elif kind == "probabilities":
            stack = frames([r.probabilities for r in results])
            write_tiff(path, stack, axes=f"{time}C{spatial}", spacing=first.spacing, overwrite=overwrite)
        else:
            stack = frames([r.labels for r in results])
            write_tiff(path, stack, axes=f"{time}{spatial}", spacing=first.spacing, overwrite=overwrite)


def _table(tables: Sequence[ObjectTable]) -> ObjectTable:
    """The tables of a time series as one, with a column frame; the table itself of a single image."""
    columns: dict[str, NDArray[Any]] = {}
    if len(tables) > 1:
        columns["frame"] = np.repeat(np.arange(len(tables)), [len(t) for t in tables])
    for name in tables[0].columns:
        columns[name] = np.concatenate([t[name] for t in tables])
    return ObjectTable(columns)
