"""Predict images larger than memory: a Zarr store, a huge TIFF, or any image into an output in .zarr."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from unseam.errors import InputError
from unseam.io.open import missing_chunks
from unseam.io.select import parse_selection
from unseam.io.source import Source
from unseam.prediction import Model, free_memory
from unseam.prediction.turning import turns_of
from unseam.streaming.executors import Executor
from unseam.streaming.job import ImageSpec
from unseam.streaming.wanted import Reporter, Streamed, Wanted
from unseam.workflow.listener import Countdown, Listener

SHARE_OF_MEMORY = 0.5
"""An image that takes more than this share of the free memory is streamed."""


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr store, or lies in one."""
    return path.is_dir() and any(
        (path / name).exists() for name in ("zarr.json", ".zattrs", ".zgroup", ".zarray")
    )


def is_large(sources: Sequence[Source], classes: int, memory: int | None, *, tta: str = "none") -> bool:
    """Whether images would take too much memory if they were read, and their probabilities held, at once.

    Turned versions are kept until they are averaged, each in a rectangle of up to twice the size.
    """
    pixel = sources[0].channels * (sources[0].dtype.itemsize + 4) + 8 * classes + 40
    if turns := len(turns_of(tta)):
        pixel += 2 * 4 * ((turns + 1) * classes + 2 * sources[0].channels)
    needed = pixel * sum(math.prod(source.shape) for source in sources)
    return needed > (SHARE_OF_MEMORY * free_memory() if memory is None else memory)


def open_for(model: Model, image: ImageSpec) -> tuple[ImageSpec, tuple[Source, ...]]:
    """The image as the model takes it, and its sources: of a grey picture saved in colour one channel."""
    sources = image.open()
    chosen = parse_selection(image.select).pick("C") is not None
    if model.network.in_channels == 1 < sources[0].channels and not chosen and all(map(_is_grey, sources)):
        image = replace(image, select=",".join(filter(None, (image.select, "c=0"))))
        sources = image.open()
    return image, sources


def _is_grey(source: Source) -> bool:
    """Whether all channels are equal; of an image that does not fit into memory that is not asked."""
    if is_large([source], 2, None):
        return False
    data = source.read(tuple((0, n) for n in source.shape))
    return bool((data == data[:1]).all())


def predict_streamed(
    model: Model,
    image: ImageSpec,
    wanted: Wanted,
    listener: Listener,
    *,
    executor: Executor | None = None,
) -> Streamed:
    """Predict one image block by block; see `unseam.streaming.run.stream`.

    Parameters
    ----------
    model : Model
        Loaded from a file.
    image : ImageSpec
    wanted : Wanted
    listener : Listener
    executor : Executor, optional
        Who does the blocks; without it threads of this process.

    Raises
    ------
    UnseamError
        As `stream`.
    """
    from unseam.streaming.run import stream  # which takes Zarr, and images in memory do not

    if model.path is None:
        raise InputError("an image is predicted in blocks by a model that has a file; save it and load it")
    if wanted.out.suffix != ".zarr":
        raise InputError(f"{wanted.out} does not end in .zarr; images of this size are written as OME-Zarr")
    lost = missing_chunks(image.path, axes=image.axes, select=image.select)
    if lost.count:
        listener.say(
            f"{image.path}: {lost.count:,} of {lost.total:,} chunks are missing and read as the fill value"
        )
    countdowns: dict[str, Countdown] = {}

    def step(name: str, done: float, total: int) -> None:
        if name not in countdowns:
            countdowns[name] = Countdown(listener, name, total, done=done - 1)
        countdowns[name].done(done, f"{done:g} of {total}")

    return stream(model, model.path, image, wanted, executor=executor, reporter=Reporter(listener.say, step))


@contextmanager
def executor_on(cluster: str | None, listener: Listener) -> Iterator[Executor | None]:
    """Who does the blocks of all images: "local:N", the address of a scheduler, or None for threads here.

    Raises
    ------
    UnseamError
        As `unseam.streaming.cluster.connected`.
    """
    if cluster is None:
        yield None
        return
    from unseam.streaming.cluster import connected

    with connected(cluster, say=listener.say) as executor:
        yield executor
