"""What a process must know to do its share of a prediction: a plain value that travels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from unseam.config import ObjectConfig
from unseam.grid import BlockGrid
from unseam.guard.correction import NONE, Correction
from unseam.io.open import open_sources
from unseam.io.source import Source
from unseam.normalize import Scaling
from unseam.prediction import Model, Prepared, Runner, load_models_for
from unseam.prediction.region import prepare
from unseam.prediction.turning import turns_of

_MODELS: dict[str, Model] = {}
_NETWORK = Lock()
"""The network takes all cores: while one thread is in it, others read, join and write."""


@dataclass(frozen=True)
class ImageSpec:
    """An image, by what opens it.

    Attributes
    ----------
    path : of the file or the store.
    axes, select : as for `unseam.io.open.open_sources`.
    pixel_size : micrometres, where the file states none.
    """

    path: str
    axes: str | None = None
    select: str | None = None
    pixel_size: float | None = None

    def open(self) -> tuple[Source, ...]:
        """One source per time point."""
        sources = open_sources(self.path, axes=self.axes, select=self.select)
        size = self.pixel_size
        return sources if size is None else tuple(_with_pixels(source, size) for source in sources)


def _with_pixels(source: Source, size: float) -> Source:
    """The source, its pixels of this size unless it states one."""
    if source.spacing:
        return source
    origin = source.origin and tuple(start * size for start in source.origin)
    return replace(source, spacing=(size,) * len(source.shape), origin=origin)


@dataclass(frozen=True)
class Job:
    """One image of a series, its model, its plan, and where everything goes.

    Attributes
    ----------
    image : how to open it.
    frame : its number in the series.
    model : key of the model, under which `hold_model` keeps it in each process.
    objects : how probabilities become objects, in the model's pixels.
    scaling : of the intensities of this image.
    tile, tta, rescale, zoom : as `Model.predict`.
    shape, block : of the image and of its blocks.
    scratch : folder for what is between the passes.
    labels : the array that the labels are written to.
    probabilities : the array for probabilities, or None.
    series : whether the arrays have a time axis.
    table : whether objects are measured.
    picture : whether a small picture is drawn.
    correction : what is done to the image for the network.
    """

    image: ImageSpec
    frame: int
    model: str
    objects: ObjectConfig
    scaling: Scaling
    tile: tuple[int, ...]
    tta: str
    rescale: bool
    zoom: float | None
    shape: tuple[int, ...]
    block: tuple[int, ...]
    scratch: str
    labels: str
    probabilities: str | None
    series: bool
    table: bool
    picture: bool
    correction: Correction = NONE

    @property
    def grid(self) -> BlockGrid:
        """The blocks."""
        return BlockGrid(self.shape, self.block)

    @property
    def folder(self) -> Path:
        """`scratch` as a path."""
        return Path(self.scratch)


def hold_model(key: str, model: Model) -> None:
    """Keep a model for the jobs of this process that name it, as a run does when it begins.

    What was opened for earlier runs is forgotten: its file, or the device, may be another one by now.
    """
    _close()
    _MODELS[key] = model


def forget_model(key: str) -> None:
    """Give back what a model takes."""
    _close()
    _MODELS.pop(key, None)


def _close() -> None:
    for cached in (_opened, source_of, prepared_of):
        cached.cache_clear()


def hold_model_files(
    key: str, contents: Sequence[bytes], folder: Path, runners: Sequence[Runner], *, threads: int
) -> None:
    """Keep the model whose files have these contents, as a process does that works for another one."""
    paths = [folder / f"{key}-{number}.safetensors" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    hold_model(key, load_models_for(paths, runners, threads=threads))


@lru_cache(maxsize=4)
def source_of(job: Job) -> Source:
    """The image of a job, opened once in a process."""
    return _opened(job.image)[job.frame]


@lru_cache(maxsize=2)
def _opened(image: ImageSpec) -> tuple[Source, ...]:
    return image.open()


@lru_cache(maxsize=4)
def prepared_of(job: Job) -> Prepared:
    """The model of a job, ready for its image."""
    model = _MODELS[job.model].with_objects(**vars(job.objects))
    function = model.tile_function(job.tta)

    def one_at_a_time(tile: NDArray[np.float32]) -> NDArray[np.float32]:
        with _NETWORK:
            return np.asarray(function(tile))

    return prepare(
        model.network,
        model.header,
        one_at_a_time,
        job.correction.apply(source_of(job)),
        job.scaling,
        tile=job.tile,
        rescale=job.rescale,
        zoom=job.zoom,
        turns=turns_of(job.tta),
    )
