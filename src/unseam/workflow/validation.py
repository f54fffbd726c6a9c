"""Which images are held out of training, how the model scores on them, and what is chosen by it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from unseam.config import ObjectConfig
from unseam.data.sample import FEWEST_TO_HOLD_OUT, IGNORE, Sample
from unseam.decisions import to_labels
from unseam.metrics.classes import class_counts, dice_classes, iou_classes, pool_classes
from unseam.metrics.overlap import overlaps
from unseam.metrics.scores import pool, score
from unseam.plan import is_tiled
from unseam.prediction import Model

MOST_TO_HOLD_OUT = 16
FEWEST_OBJECTS = 5
"""Objects that each part of an image holds where a part of it is held out."""
THINNEST = 16
"""Pixels of the part that is held out, along the axis that is cut."""
CANDIDATES: dict[str, tuple[float, ...]] = {
    "threshold": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    "low_threshold": (0.0, 0.1, 0.2, 0.3, 0.4),
    "grow": (0, 1, 2, 4),
}
"""What `choose_objects` tries, by field of `ObjectConfig`."""
TILED_CANDIDATES: dict[str, tuple[float, ...]] = {
    "threshold": (*CANDIDATES["threshold"], 0.9, 0.95, 0.98),
    "low_threshold": CANDIDATES["low_threshold"],
    "grow": (*CANDIDATES["grow"], 8),
}
"""The same where objects tile: a hole in a boundary merges two, and between them is no background."""
_FRAME = re.compile(r"_t\d{3,}$")  # as in the stems that `loading` gives to the frames of a file


def hold_out(
    samples: Sequence[Sample], share: float, seed: int
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Divide at random into images to learn from and images to validate on; too few are not divided.

    The frames of a time series are much alike and stay together, so more may be held out than the share
    says; a set that is one series is not divided.
    """
    count = min(MOST_TO_HOLD_OUT, len(samples) - 1, max(1, round(share * len(samples))))
    if share == 0 or len(samples) < FEWEST_TO_HOLD_OUT:
        return tuple(samples), ()
    groups = series_of(samples)
    chosen: set[int] = set()
    for group in np.random.default_rng(seed).permutation(len(groups))[:-1]:  # one is left to learn from
        if len(chosen) < count:
            chosen.update(groups[group])
    return (
        tuple(s for i, s in enumerate(samples) if i not in chosen),
        tuple(s for i, s in enumerate(samples) if i in chosen),
    )


def series_of(samples: Sequence[Sample]) -> list[list[int]]:
    """The numbers of the images by the time series that they are frames of; a single image is its own."""
    series: dict[str, list[int]] = defaultdict(list)
    for i, s in enumerate(samples):
        series[_FRAME.sub("", s.stem)].append(i)
    return list(series.values())


def hold_out_part(
    samples: Sequence[Sample], share: float, task: str
) -> tuple[tuple[Sample, ...], tuple[Sample, ...], str]:
    """Cut the end off the largest image, along its longest axis, to validate on; for too few images.

    Returns
    -------
    learn, held_out : tuple of Sample
        `held_out` is empty where they would be too poor: each must hold `FEWEST_OBJECTS` objects, or every
        class, and what is held out be `THINNEST` pixels thick. So it is where images are frames of one
        series, because the other frames show the same place.
    which : str
        What was cut off, as "x 212 to 249 of cells".

    Notes
    -----
    An object that is cut lies in both parts, and the last pixels learned from are neighbours of the first
    ones held out: the score is good for choosing, and a little too kind as a measure of the model.
    """
    if share == 0 or len({_FRAME.sub("", s.stem) for s in samples}) < max(1, len(samples)):
        return tuple(samples), (), ""
    which = max(range(len(samples)), key=lambda i: samples[i].labels.size)
    whole = samples[which]
    axis = int(np.argmax(whole.labels.shape))
    size = whole.labels.shape[axis]
    cut = size - max(1, round(share * size))
    learn, held = (_part(whole, axis, part) for part in (slice(0, cut), slice(cut, size)))
    wanted = FEWEST_OBJECTS if task == "instances" else _n_values(whole, task)
    if size - cut < THINNEST or min(_n_values(learn, task), _n_values(held, task)) < max(wanted, 1):
        return tuple(samples), (), ""
    kept = tuple(learn if i == which else s for i, s in enumerate(samples))
    letter = "ZYX"[axis - whole.labels.ndim]
    return kept, (held,), f"{letter.lower()} {cut} to {size - 1} of {whole.stem}"


def _part(whole: Sample, axis: int, part: slice) -> Sample:
    """The part of an image that lies in a slice of one spatial axis."""
    index = (*(slice(None),) * axis, part)
    return replace(whole, image=whole.image[:, *index], labels=whole.labels[index])


def _n_values(one: Sample, task: str) -> int:
    """How many objects an image holds, or classes."""
    return int(np.count_nonzero(np.unique(one.labels) > (0 if task == "instances" else IGNORE)))


def validate(model: Model, held_out: Sequence[Sample]) -> dict[str, float]:
    """Scores on whole images by overlap-tile prediction; the first one decides."""
    if not held_out:
        return {}
    truths, found = [s.labels for s in held_out], [model.predict(s.image).labels for s in held_out]
    if model.header.task == "semantic":
        return class_scores(truths, found, classes=model.network.classes)
    scores = pool([score(t, p) for t, p in zip(truths, found, strict=True)])
    counted, of_partition = scores.counted, scores.partition
    if not tiled(model):
        return {"ap": counted.ap, "ap50": counted.ap50, "dice": counted.dice}
    return {"v_info": of_partition.v_info, "v_rand": of_partition.v_rand, "ap50": counted.ap50}


def tiled(model: Model) -> bool:
    """Whether the objects that the model learned tile their images.

    Then it is the partition that is judged, by V info: many objects of such a volume are crumbs at its
    faces, and AP counts a crumb like a neuron.
    """
    fingerprint = model.header.fingerprint
    return fingerprint is not None and is_tiled(fingerprint)


def class_scores(
    truths: Sequence[NDArray[np.int32]], found: Sequence[NDArray[np.int32]], *, classes: int
) -> dict[str, float]:
    """Dice and IoU, each a mean over the classes but background, whose pixels are pooled over the images."""
    pairs = zip(truths, found, strict=True)
    counts = pool_classes([class_counts(overlaps(truth, pred), classes) for truth, pred in pairs])
    return {"dice": dice_classes(counts), "iou": iou_classes(counts)}


def choose_objects(
    model: Model, held_out: Sequence[Sample], *, free: Collection[str] = tuple(CANDIDATES)
) -> ObjectConfig:
    """Thresholds and growth that are best on the held-out images; ties go to the planned ones.

    Best is the highest AP, or V info where objects tile the images.
    `free` names the ones that may be chosen; the others stay as they are, because the user set them.
    """
    objects = model.header.objects
    if model.header.task != "instances" or not held_out or not free:
        return objects
    maps = [model.probabilities(s.image) for s in held_out]
    return choose_on(maps, held_out, objects, free=free, of_partition=tiled(model))


def choose_on(
    maps: Sequence[NDArray[np.float32]],
    held_out: Sequence[Sample],
    objects: ObjectConfig,
    *,
    free: Collection[str],
    of_partition: bool,
) -> ObjectConfig:
    """As `choose_objects`, of probabilities (classes, *spatial) that are known, one for each image.

    `objects` is where the search begins; `of_partition` says whether V info is looked at, and not AP.
    """
    candidates = TILED_CANDIDATES if of_partition else CANDIDATES

    @cache
    def quality(candidate: ObjectConfig) -> float:
        pairs = zip(held_out, maps, strict=True)
        pooled = pool([score(s.labels, to_labels(p, "instances", candidate)) for s, p in pairs])
        value = pooled.partition.v_info if of_partition else pooled.counted.ap
        return value if np.isfinite(value) else 0.0

    for _ in range(2):  # one at a time, twice: near the best of all combinations, and far fewer
        for name in (name for name in candidates if name in free):
            tried: list[ObjectConfig] = [replace(objects, **{name: value}) for value in candidates[name]]  # type: ignore[arg-type]
            objects = max([objects, *tried], key=quality)
    return objects
