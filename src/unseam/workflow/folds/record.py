"""What a cross-validation is made of, and how it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseam.config import ObjectConfig
from unseam.data.sample import Sample
from unseam.prediction import Model
from unseam.report.words import number, plural
from unseam.workflow.evaluation import Evaluation

Labels = NDArray[np.int32]
HONEST = (
    "The scores per image, per fold and of the whole set are of each model alone, with its own thresholds, "
    "on images that it never saw. Thresholds and growth of the models together were chosen on the "
    "out-of-fold probabilities of these images, so scores with them are a little too kind; and how well the "
    "mean of all models does, no image here can show: all models but one have learned from it."
)


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """The prediction of an image by the model that did not see it.

    Attributes
    ----------
    name : of the image.
    fold : number of that model.
    sample : the image and the truth.
    labels : by the thresholds of that model.
    probabilities : (classes, *spatial), of as many images as thresholds are chosen on; else None.
    """

    name: str
    fold: int
    sample: Sample
    labels: Labels
    probabilities: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Chosen:
    """Thresholds and growth for the mean of all models.

    Attributes
    ----------
    objects : all about objects, what was not free as it was set.
    names : what was chosen, fields of `ObjectConfig`.
    images : on how many images.
    scores : with them on these images, which is a little too kind.
    """

    objects: ObjectConfig
    names: tuple[str, ...] = ()
    images: int = 0
    scores: Mapping[str, float] | None = None


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """What came of a cross-validation.

    Attributes
    ----------
    model : all models, their probabilities averaged.
    evaluation : out-of-fold scores of the whole set, each image by the model that did not see it.
    of_folds : the same of each fold.
    held_out : names of the images of each fold.
    chosen : thresholds and growth of all models together.
    measures : names of the main measures; the first one decides.
    """

    model: Model
    evaluation: Evaluation
    of_folds: tuple[Evaluation, ...]
    held_out: tuple[tuple[str, ...], ...]
    chosen: Chosen
    measures: tuple[str, ...]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What is told: the scores of each fold, of the whole set, and what was chosen."""
        each = [
            (f"fold {k}", f"{plural(len(one.images), 'image')}: {self._told(one)}")
            for k, one in enumerate(self.of_folds)
        ]
        pooled = f"{plural(len(self.evaluation.images), 'image')}: {self._told(self.evaluation)}"
        return [*each, ("out of fold", pooled), ("together", chosen_in_words(self.chosen))]

    @property
    def lines(self) -> list[str]:
        """The same, a line each."""
        return [f"{name:12} {what}" for name, what in self.facts]

    def _told(self, evaluation: Evaluation) -> str:
        return in_words(main_scores(evaluation, self.measures))


def main_scores(evaluation: Evaluation, measures: Sequence[str]) -> dict[str, float | None]:
    """Those measures of a set, by their names."""
    scores = evaluation.of_set()
    return {name: scores[name] for name in measures}


def in_words(scores: Mapping[str, float | None]) -> str:
    """Scores on one line."""
    return ", ".join(f"{name} {number(value)}" for name, value in scores.items())


def chosen_in_words(chosen: Chosen) -> str:
    """What was chosen, and how it does."""
    if not chosen.scores:
        return "thresholds and growth are as they were set or planned; none was chosen"
    values = ", ".join(f"{name} {getattr(chosen.objects, name):g}" for name in chosen.names)
    return (
        f"{values}, chosen on the out-of-fold probabilities of {plural(chosen.images, 'image')}: "
        f"{in_words(chosen.scores)}, a little too kind"
    )
