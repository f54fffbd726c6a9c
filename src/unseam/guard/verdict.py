"""Whether an image is like the training images, and if not, in what it differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseam.guard.correction import NONE, Correction
from unseam.guard.reference import Group, GuardReference
from unseam.guard.statistics import OCTAVES, PER_CHANNEL, Statistics

IN_RANGE, CORRECTED, OUTSIDE = "in range", "corrected", "outside"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Verdict:
    """What a comparison with the training images says.

    Attributes
    ----------
    status : "in range", "corrected" or "outside".
    distances : dict of str to float
        Of each group of statistics the distance over its limit; above 1 is outside.
    outside : tuple of str
        Names of the groups that are outside, the farthest first; also "pixel size" and "constant".
    reasons : tuple of str
        The same in words.
    correction : Correction
        What was done to the image before.
    """

    status: str
    distances: dict[str, float]
    outside: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    correction: Correction = NONE

    @property
    def farthest(self) -> float:
        """The largest of the distances."""
        return max(self.distances.values(), default=0.0)

    @property
    def short(self) -> str:
        """A few words, for a column of a table, without a comma."""
        if self.status == CORRECTED:
            return f"{CORRECTED}: {self.correction}"
        return f"{OUTSIDE}: {'; '.join(self.outside)}" if self.outside else IN_RANGE

    def __str__(self) -> str:
        if self.status == CORRECTED:
            return f"{CORRECTED}: {self.correction}, now in range"
        if self.outside:
            return f"outside what the model was trained on: {'; '.join(self.reasons)}"
        return IN_RANGE


def compare(
    reference: GuardReference,
    statistics: Statistics,
    *,
    pixels: str | None = None,
    correction: Correction = NONE,
) -> Verdict:
    """Compare an image with the training images.

    Parameters
    ----------
    reference : GuardReference
    statistics : Statistics
    pixels : str, optional
        How its pixel size differs from the model's, where it does and the image was not rescaled.
    correction : Correction
        What was done to the image before.
    """
    distances, outside, reasons = {}, [], []
    for name, group in reference.groups.items():
        if name in statistics.groups:
            distances[name] = group.distance(statistics.groups[name]) / group.limit
    for name in sorted(distances, key=lambda key: -distances[key]):
        if distances[name] > 1:
            outside.append(name)
            words = _words(name, reference.groups[name], statistics.groups[name])
            reasons.append(f"{words} ({distances[name]:.1f} times the limit)")
    if statistics.contrast == 0:
        outside, reasons = ["constant"], ["all its pixels are alike"]
    if pixels:
        outside, reasons = ["pixel size", *outside], [pixels, *reasons]
    status = OUTSIDE if outside else CORRECTED if correction else IN_RANGE
    return Verdict(status, distances, tuple(outside), tuple(reasons), correction)


def in_one_line(verdicts: Sequence[Verdict]) -> str:
    """What is said of an image, or of the frames of a series."""
    if len(verdicts) == 1:
        return str(verdicts[0])
    bad = [(number, one) for number, one in enumerate(verdicts) if one.outside]
    if not bad:
        return f"all {len(verdicts)} frames {verdicts[0]}"
    return f"{len(bad)} of {len(verdicts)} frames outside, the first is frame {bad[0][0]}: {bad[0][1]}"


def _words(name: str, group: Group, statistics: Floats) -> str:
    """In what way a group of statistics is outside."""
    apart = np.nan_to_num(group.deviations(statistics))
    if name == "intensities":
        return _of_intensities(np.array(group.centre), statistics, apart)
    if name == "noise":
        return "noisier" if apart.mean() > 0 else "less noise, as if smoothed"
    if name == "frequencies":
        per_channel = apart.reshape(-1, OCTAVES).mean(0)
        finer = per_channel[: OCTAVES // 2].mean() > per_channel[OCTAVES // 2 :].mean()
        return (
            "more fine detail, as if shrunk or noisy"
            if finer
            else "less fine detail, as if enlarged or blurred"
        )
    if name == "channels":
        return "channels relate otherwise, as in another order"
    return "the network sees in it what it did not see in training"


def _of_intensities(centre: Floats, statistics: Floats, apart: Floats) -> str:
    """Whether dark and bright are exchanged: the skewness has the other sign, in most of the channels."""
    skewness = np.s_[PER_CHANNEL - 1 :: PER_CHANNEL]
    turned = (np.sign(centre[skewness]) != np.sign(statistics[skewness])) & (np.abs(apart[skewness]) > 2)
    if turned.mean() > 0.5:
        return "dark and bright exchanged, as in an inverted image"
    return "intensities distributed otherwise"
