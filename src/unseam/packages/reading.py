"""What the channels of an output mean, and how they become probabilities, background first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from unseam.config import ObjectConfig
from unseam.errors import InputError, ModelFileError
from unseam.packages.operations import Activation, Binarize, Post
from unseam.preprocess import Clip, Fixed

OUTSIDE: Final = 1e-3
"""How far beyond 0 and 1 rounding may carry a probability."""
BACKGROUND: Final = ("background", "bg")
BOUNDARY: Final = ("boundary", "boundaries", "border", "borders", "edge", "edges", "membrane", "membranes")

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """How an output is read.

    Attributes
    ----------
    kind : "foreground", "boundary" or "classes".
    steps : what is done to the output first.
    classes : how many probabilities come of it, background included.
    threshold : of the probability of foreground.
    """

    kind: str
    steps: tuple[Post, ...]
    classes: int
    threshold: float = 0.5

    @property
    def task(self) -> str:
        """Objects, or with more than two classes a class for each pixel."""
        return "semantic" if self.classes > 2 else "instances"

    @property
    def objects(self) -> ObjectConfig:
        """How objects are made of the probabilities unless `--set` says otherwise: nothing is left out."""
        return ObjectConfig(threshold=self.threshold, low_threshold=0.0, min_size=0, fill_holes=True, grow=0)

    def __call__(self, output: Array) -> Array:
        """Probabilities (classes, *spatial) of an output (channels, *spatial).

        Raises
        ------
        InputError
            If the output holds no probabilities.
        """
        for step in self.steps:
            output = _applied(step, output)
        low, high = float(output.min()), float(output.max())
        if low < -OUTSIDE or high > 1 + OUTSIDE:  # NaN is told where labels are made
            raise InputError(
                f"the network gives values from {low:.3g} to {high:.3g} and probabilities from 0 to 1 were "
                "expected; its description lacks a sigmoid or softmax after the network: add it there"
            )
        output = np.clip(output, 0, 1)
        if self.kind == "classes":
            return output
        foreground = output[0] if self.kind == "foreground" else output[0] * (1 - output[1])
        return np.stack([1 - foreground, foreground])


def reading_in_words(reading: Reading, objects: ObjectConfig) -> str:
    """How labels are made of an output, in one line."""
    if reading.task == "semantic":
        return f"the likeliest of {reading.classes} classes, the first of which is background"
    what = {
        "foreground": "its one channel is the probability of foreground",
        "boundary": "probability = foreground (channel 0) x (1 - boundary (channel 1))",
        "classes": "channel 1 is the probability of foreground, channel 0 of background",
    }[reading.kind]
    limit = 0.5 if objects.threshold is None else objects.threshold
    return f"{what}; connected pixels above {limit:g} are an object, unless --set objects.threshold=..."


def reading_of(steps: Sequence[Post], channels: int, names: Sequence[str], last: str, place: str) -> Reading:
    """How an output is read, by what the description does to it and by what the network does last.

    Parameters
    ----------
    steps : of the description, after the network.
    channels : of the output.
    names : of the channels, if they are stated.
    last : the last operation of the network, as "Softmax".
    place : what messages call the package.

    Raises
    ------
    ModelFileError
        If it is not clear what the channels mean.
    """
    steps = tuple(steps)
    sums_to_one = last == "Softmax" or Activation("softmax") in steps
    first, second = (name.strip().lower() for name in (*names, "", "")[:2])
    if first in BOUNDARY:
        raise ModelFileError(
            f"{place} gives {' and '.join(names)}; expected foreground first, then boundary if there is one"
        )
    if channels == 1 and not sums_to_one:
        if steps and isinstance(steps[-1], Binarize) and 0 <= steps[-1].threshold <= 1:
            return Reading("foreground", steps[:-1], 2, steps[-1].threshold)
        kind = "foreground"
    elif channels == 2 and not sums_to_one and first not in BACKGROUND and second in ("", *BOUNDARY):
        kind = "boundary"
    elif channels > 1 and (sums_to_one or first in BACKGROUND):
        kind = "classes"
    else:
        what = f" ({', '.join(names)})" if names else ""
        raise ModelFileError(
            f"{place} gives {channels} channels{what} {'with' if sums_to_one else 'without'} softmax; "
            "unseam reads one (foreground), two (foreground and boundary), or classes with softmax"
        )
    if any(isinstance(step, Binarize) for step in steps):
        raise ModelFileError(
            f"{place} binarizes {channels} channel{'s' if channels > 1 else ''}; unseam needs probabilities: "
            "take binarize out of its description"
        )
    return Reading(kind, steps, max(2, channels))


def _applied(step: Post, output: Array) -> Array:
    """One step, in float32 as the network computes."""
    if isinstance(step, Clip):
        return np.clip(output, step.low, step.high)
    if isinstance(step, Activation):
        if step.name == "sigmoid":
            with np.errstate(over="ignore"):  # exp of much is infinite, and 1 over it 0
                return np.asarray(1 / (1 + np.exp(-output)))
        powers = np.exp(output - output.max(0))
        return np.asarray(powers / powers.sum(0))
    assert isinstance(step, Fixed)  # binarize is the threshold of objects
    pairs = step.pairs(len(output))
    return np.stack([(x - np.float32(o)) / np.float32(s) for x, (o, s) in zip(output, pairs, strict=True)])
