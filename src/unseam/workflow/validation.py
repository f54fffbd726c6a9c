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
from unseam.data.sample import FEWEST_TO_HOLD_OUT, Sample
from unseam.decisions import to_labels
from unseam.metrics.classes import class_counts, dice_classes, iou_classes, pool_classes
from unseam.metrics.overlap import overlaps
from unseam.metrics.scores import pool, score
from unseam.prediction import Model

MOST_TO_HOLD_OUT = 16
CANDIDATES: dict[str, tuple[float, ...]] = {
    "threshold": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    "low_threshold": (0.0, 0.1, 0.2, 0.3, 0.4),
    "grow": (0, 1, 2, 4),
}
"""What `choose_objects` tries, by field of `ObjectConfig`."""
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
    series: dict[str, list[int]] = defaultdict(list)
    for i, s in enumerate(samples):
        series[_FRAME.sub("", s.stem)].append(i)
    groups = list(series.values())
    chosen: set[int] = set()
    for group in np.random.default_rng(seed).permutation(len(groups))[:-1]:  # one is left to learn from
        if len(chosen) < count:
            chosen.update(groups[group])
    return (
        tuple(s for i, s in enumerate(samples) if i not in chosen),
        tuple(s for i, s in enumerate(samples) if i in chosen),
    )


def validate(model: Model, held_out: Sequence[Sample]) -> dict[str, float]:
    """Scores on whole images by overlap-tile prediction; the first one decides."""
    if not held_out:
        return {}
    truths, found = [s.labels for s in held_out], [model.predict(s.image).labels for s in held_out]
    if model.header.task == "semantic":
        return class_scores(truths, found, classes=model.network.classes)
    counted = pool([score(t, p) for t, p in zip(truths, found, strict=True)]).counted
    return {"ap": counted.ap, "ap50": counted.ap50, "dice": counted.dice}


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
    """Thresholds and growth with the best AP on the held-out images; ties go to the planned ones.

    `free` names the ones that may be chosen; the others stay as they are, because the user set them.
    """
    objects = model.header.objects
    if model.header.task != "instances" or not held_out or not free:
        return objects
    maps = [model.probabilities(s.image) for s in held_out]

    @cache
    def quality(candidate: ObjectConfig) -> float:
        pairs = zip(held_out, maps, strict=True)
        pooled = pool([score(s.labels, to_labels(p, "instances", candidate)) for s, p in pairs])
        return pooled.counted.ap if np.isfinite(pooled.counted.ap) else 0.0

    for _ in range(2):  # one at a time, twice: near the best of all combinations, and far fewer
        for name in (name for name in CANDIDATES if name in free):
            tried: list[ObjectConfig] = [replace(objects, **{name: value}) for value in CANDIDATES[name]]  # type: ignore[arg-type]
            objects = max([objects, *tried], key=quality)
    return objects
