"""What `unseam predict` is given: options, the images of files, folders and lists, and where results go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unseam.axes import parse_axes
from unseam.config import DataConfig
from unseam.errors import InputError, OutputError, OutputExistsError, UnseamError
from unseam.guard.correction import NONE, Correction
from unseam.io.annotations.save import OUTLINES
from unseam.io.images import SUFFIXES, TIFF_SUFFIXES, list_images, stem
from unseam.io.select import parse_selection
from unseam.prediction import Model, plan_image
from unseam.prediction.adapting import require_statistics
from unseam.prediction.diameter import check_diameter
from unseam.streaming.job import ImageSpec
from unseam.streaming.plan import base_bytes
from unseam.streaming.wanted import Wanted
from unseam.workflow.loading import is_csv, pair_files
from unseam.workflow.streaming import is_large, is_zarr

WORTH_A_LOOK = 2**20
"""Bytes of a TIFF file below which it is not asked how large its image is."""
SAVES = {
    "labels": "{}.tif",
    "probabilities": "{}_probabilities.tif",
    "table": "{}.csv",
    "parquet": "{}.parquet",
    "overlay": "{}_overlay.png",
    "rois": "{}.zip",
    "geojson": "{}.geojson",
    "coco": "{}.json",
}
"""What can be saved, and under which name beside the stem of the image."""


@dataclass(frozen=True)
class Options:
    """How images are predicted and what is written of them.

    Attributes
    ----------
    save : which of `SAVES`; None for labels, table and overlay, of images in memory probabilities too.
    axes, pixel_size : for files that do not state them.
    select : the part of each image that is meant, as "t=0, c=1, level=0, y=0:4096".
    tile, tta, rescale : as `Model.predict`.
    diameter : of the objects, pixels, or "auto", as `Model.predict`.
    adapt : correct images that are unlike the training images, where that brings them into range.
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
    diameter: float | str | None = None
    adapt: bool = False
    memory: int | None = None
    block: int | None = None
    version: str = "0.5"
    cluster: str | None = None
    overwrite: bool = False
    resume: bool = False

    @property
    def of_small(self) -> tuple[str, ...]:
        """What is written of an image in memory."""
        return ("labels", "probabilities", "table", "overlay") if self.save is None else self.save

    @property
    def of_streamed(self) -> tuple[str, ...]:
        """What is written of an image that is streamed."""
        return ("labels", "table", "overlay") if self.save is None else self.save


def check_options(model: Model, out: Path, how: Options) -> None:
    """Raise for options with which no image could be segmented, before the first one is."""
    if how.save is not None and (not how.save or set(how.save) - set(SAVES)):
        raise InputError(f"save is {','.join(how.save)!r}; expected some of: {','.join(SAVES)}")
    outlined = [kind for kind in how.save or () if kind in OUTLINES]
    if outlined and model.network.spatial_dims == 3:
        raise InputError(
            f"save {','.join(outlined)} was given, outlines in a plane, and the model is for volumes; "
            "save labels"
        )
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file; give a folder for the results")
    plan_image(model.network.geometry.grid, model.network, tile=how.tile)
    DataConfig(pixel_size=how.pixel_size)
    check_diameter(model.header, how.diameter, rescale=how.rescale)
    if how.adapt:
        require_statistics(model)
    if how.axes is not None:
        parse_axes(how.axes)
    parse_selection(how.select)


@dataclass(frozen=True)
class Todo:
    """One image, how it is done, and where its results go."""

    path: Path
    is_streamed: bool
    targets: dict[str, Path]
    to_be_new: list[Path]


def list_todo(
    inputs: Sequence[str | Path], split: str | None, out: Path, how: Options, model: Model
) -> list[Todo]:
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
            wanted = wanted_of(path, out, how)
            targets, new = wanted.targets(), wanted.to_be_new()
        else:
            targets = {kind: out / SAVES[kind].format(stem(path)) for kind in how.of_small}
            new = list(targets.values())
        todo.append(Todo(path, streamed, targets, new))
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
    if not path.is_file() or (path.stat().st_size < WORTH_A_LOOK and how.memory is None):
        return False
    if path.suffix.lower() not in TIFF_SUFFIXES and how.memory is None:
        return False
    try:
        memory = None if how.memory is None else how.memory - base_bytes()
        return is_large(spec_of(path, how).open(), model.network.classes, memory, tta=how.tta)
    except UnseamError:
        return False


def spec_of(path: Path, how: Options) -> ImageSpec:
    """What opens an image."""
    return ImageSpec(str(path), how.axes, how.select, how.pixel_size)


def wanted_of(
    path: Path, out: Path, how: Options, zoom: float | None = None, correction: Correction = NONE
) -> Wanted:
    """What is asked of an image that is streamed; `out` is its output in .zarr, or the folder for it."""
    return Wanted(
        out if out.suffix == ".zarr" else out / f"{stem(path)}.zarr",
        save=how.of_streamed,
        tile=how.tile,
        tta=how.tta,
        rescale=how.rescale,
        zoom=correction.zoom or zoom,
        correction=correction,
        block=how.block,
        memory=how.memory,
        version=how.version,
        overwrite=how.overwrite,
        replace=how.resume,
    )


def refuse_inputs_as_targets(todo: Sequence[Todo]) -> None:
    """Raise where a result would take the place of an image, or of a folder that holds one."""
    inputs = {place for one in todo for place in (one.path.resolve(), *_stores(one.path.resolve()))}
    for one in todo:
        for target in one.targets.values():
            if target.resolve() in inputs:
                raise OutputExistsError(
                    f"the result of {one.path} would replace the image {target}; choose another --out"
                )


def _stores(path: Path) -> list[Path]:
    """The Zarr stores that a path lies in."""
    return [parent for parent in path.parents if is_zarr(parent)]


def refuse_existing(todo: Sequence[Todo]) -> None:
    """Raise where a result is there already."""
    there = [target for one in todo for target in one.to_be_new if target.exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise OutputExistsError(
            f"{there[0]}{more} exist already; --overwrite replaces them, --resume does only what is missing"
        )
