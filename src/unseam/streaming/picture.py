"""A small picture of a large result: every nth pixel, kept while its block is at hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.draw import overlay
from unseam.grid import Region
from unseam.instances.labels import Labels
from unseam.streaming.job import Job
from unseam.streaming.work import load_record, save_record

LARGEST_PICTURE = 1600
"""Pixels along the longer side."""
KIND = "picture"


def step_of(job: Job) -> int:
    """Pixels of the image between two of the picture."""
    return math.ceil(max(job.shape[-2:]) / LARGEST_PICTURE)


def keep_part(job: Job, number: int, image: NDArray[Any], labels: Labels) -> None:
    """Keep the part of the picture that a block shows; of a volume it shows the middle slice."""
    region, step = job.grid.region(number), step_of(job)
    place = _place(region, job.shape, step)
    if place is None:
        return
    chosen = (..., *place)
    save_record(job.folder, KIND, number, {"image": image[chosen], "labels": labels[place]})


def draw(job: Job) -> NDArray[np.uint8]:
    """The picture, (Y, X, 3): the image with its objects outlined."""
    step = step_of(job)
    size = [math.ceil(n / step) for n in job.shape[-2:]]
    labels = np.zeros(size, np.int32)
    image: NDArray[Any] | None = None
    for number in range(len(job.grid)):
        region = job.grid.region(number)
        if _place(region, job.shape, step) is None:
            continue
        part = load_record(job.folder, KIND, number)
        image = np.zeros((len(part["image"]), *size), part["image"].dtype) if image is None else image
        where = tuple(slice(math.ceil(a / step), math.ceil(b / step)) for a, b in region[-2:])
        labels[where] = part["labels"]
        image[(slice(None), *where)] = part["image"]
    assert image is not None
    return overlay(image, labels)


def _place(region: Region, shape: tuple[int, ...], step: int) -> tuple[Any, ...] | None:
    """What of a block is in the picture: an index of the slice for volumes, then slices of Y and X."""
    steps = tuple(slice(-a % step, None, step) for a, _ in region[-2:])
    if len(shape) == 2:
        return steps
    (start, stop), middle = region[0], shape[0] // 2
    return (middle - start, *steps) if start <= middle < stop else None
