"""Boundaries against the truth: the measures of the ISBI 2012 challenge, from saved probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.data.pairs import Pair
from unseam.errors import InputError, ShapeError
from unseam.io.images import read_image, stem
from unseam.metrics.isbi import ThresholdCounts, isbi_counts, pool_isbi, score_isbi
from unseam.workflow.listener import Countdown, Listener

Array = NDArray[Any]
Counts = tuple[ThresholdCounts, ...]
SUFFIX = "_probabilities.tif"


@dataclass(frozen=True)
class BoundaryEvaluation:
    """Counts of a set of images and of each image, at each threshold of the challenge.

    Attributes
    ----------
    set : tuple of ThresholdCounts
        All of them at one threshold: the set gets one best threshold, each image its own.
    images : mapping of str to tuple of ThresholdCounts
    """

    set: Counts
    images: Mapping[str, Counts]

    def of_set(self) -> dict[str, float | None]:
        """Every measure of the set by its name; undefined measures are None."""
        return score_isbi(self.set).to_dict()

    def of_image(self, name: str) -> dict[str, float | None]:
        """Every measure of an image by its name; undefined measures are None."""
        return score_isbi(self.images[name]).to_dict()


def read_cells(pairs: Sequence[Pair]) -> list[Array]:
    """The probability of being cell, for each image of the pairs, from beside the predicted labels.

    Raises
    ------
    InputError
        If an image has no probabilities there, or a file holds one class alone.
    UnseamError
        As `read_image`.
    """
    return [cells for pair in pairs for cells in _read_pair(pair)]


def evaluate_boundaries(
    names: Sequence[str], truths: Sequence[Array], cells: Sequence[Array], listener: Listener | None = None
) -> BoundaryEvaluation:
    """Score probability maps against true cells, 0 being membrane and -1 not counted; see `isbi_counts`.

    Raises
    ------
    ShapeError
        If there are not as many maps as truths, or a map differs in shape from its truth.
    InputError
        As `isbi_counts`.
    """
    if not len(names) == len(truths) == len(cells):
        raise ShapeError(
            f"there are {len(truths)} true images and the probabilities of {len(cells)}; save the "
            "probabilities of every image, and of every frame of a series"
        )
    images: dict[str, Counts] = {}
    countdown = Countdown(listener, "scoring boundaries", len(names)) if listener else None
    for name, truth, probabilities in zip(names, truths, cells, strict=True):
        if truth.shape != probabilities.shape:
            raise ShapeError(
                f"{name}: the truth has shape {truth.shape} and the probabilities {probabilities.shape}; "
                "they must be equal"
            )
        images[name] = isbi_counts(truth, probabilities)
        if countdown:
            countdown.done(len(images))
    return BoundaryEvaluation(pool_isbi(list(images.values())), images)


def _read_pair(pair: Pair) -> list[Array]:
    path = pair.image.with_name(stem(pair.image) + SUFFIX)
    if not path.exists():
        raise InputError(
            f"there is no {path.name} beside {pair.image}; the boundaries are scored by probabilities: "
            "predict with --save labels,probabilities"
        )
    frames = [frame.data for frame in read_image(path).frames()]  # each (C, *spatial)
    if any(len(data) < 2 for data in frames):
        raise InputError(
            f"{path} has one channel; the probabilities of background and of cells were expected, in this "
            "order, as `unseam predict --save probabilities` writes them"
        )
    return [np.clip(1 - data[0], 0, 1) for data in frames]
