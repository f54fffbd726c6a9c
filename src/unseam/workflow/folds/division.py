"""Which images are in which fold, and what each training of a cross-validation is given.

Three folds of six images; each image is out of fold once::

    fold 0   [a b] c d e f      learned from: c d e f, of which some choose the best model
    fold 1    a b [c d] e f
    fold 2    a b c d [e f]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from unseam.config import Config
from unseam.data.sample import Sample, digest
from unseam.errors import ConfigError, InputError
from unseam.plan import DEFAULT_MINUTES
from unseam.workflow.task import Task, with_held_out
from unseam.workflow.validation import series_of


def divide(samples: Sequence[Sample], folds: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Divide images at random into folds of about one size; the frames of a time series stay together.

    Returns
    -------
    tuple of tuple of int
        The numbers of the images in each fold, sorted; each image is in one fold.

    Raises
    ------
    ConfigError
        If there are fewer than 2 folds.
    InputError
        If there are fewer images, or series, than folds.
    """
    check_folds(folds)
    groups = series_of(samples)
    if len(groups) < folds:
        what = "images" if len(groups) == len(samples) else "time series, whose frames stay together,"
        raise InputError(
            f"{len(groups)} {what} cannot be divided into {folds} folds; give --folds {len(groups)} or less, "
            "or annotate more"
        )
    members: list[list[int]] = [[] for _ in range(folds)]
    for group in np.random.default_rng(seed).permutation(len(groups)):
        min(members, key=len).extend(groups[group])
    return tuple(tuple(sorted(fold)) for fold in members)


def check_folds(folds: int) -> None:
    """Raise `ConfigError` if there are too few folds to hold one out."""
    if folds < 2:
        raise ConfigError(f"folds is {folds}; a cross-validation takes 2 or more, as 5")


def with_budget_of_one(config: Config, folds: int) -> Config:
    """The configuration of one training: a K-th of the minutes, or of the iterations, for all."""
    train = config.train
    if train.iterations is not None:
        share = replace(train, iterations=max(1, train.iterations // folds))
    else:
        share = replace(train, minutes=(train.minutes or DEFAULT_MINUTES) / folds)
    return replace(config, train=share)


def task_of_fold(
    whole: Task, held_out: Sequence[int], number: int, say: Callable[[str], None] = lambda _: None
) -> Task:
    """What the training of a fold is given: all images but those, and a seed of its own.

    Parameters
    ----------
    whole : Task
        Of all images, in `train`; what it has planned is the same for all folds, so that their networks have
        tiles of the same sizes and can be averaged.
    held_out : sequence of int
        The images of the fold, by their numbers in `whole.train`.
    number : int
        Of the fold.
    say : callable
        Told how many are learned from.
    """
    out = set(held_out)
    rest = tuple(sample for k, sample in enumerate(whole.train) if k not in out)
    config = replace(whole.config, train=replace(whole.config.train, seed=whole.config.train.seed + number))
    return with_held_out(replace(whole, config=config, train=rest, digest=digest(rest)), say)


def names_of(samples: Sequence[Sample]) -> tuple[str, ...]:
    """A name for each image, of which no two are alike: its stem, or the stem with a number."""
    seen: dict[str, int] = {}
    names = []
    for sample in samples:
        count = seen[sample.stem] = seen.get(sample.stem, 0) + 1
        names.append(sample.stem if count == 1 else f"{sample.stem} ({count})")
    return tuple(names)
