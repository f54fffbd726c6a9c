"""Which image is in which fold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseam.config import Config
from unseam.data.sample import Sample
from unseam.errors import ConfigError, InputError
from unseam.workflow.folds.division import divide, names_of, with_budget_of_one

EMPTY = np.zeros((2, 2), np.int32)


def named(*stems: str) -> list[Sample]:
    return [Sample(stem, EMPTY[None], EMPTY) for stem in stems]


@given(count=st.integers(2, 30), folds=st.integers(2, 8), seed=st.integers(0, 99))
def test_every_image_is_out_of_fold_exactly_once(count: int, folds: int, seed: int) -> None:
    some = named(*(f"image{k}" for k in range(count)))
    if count < folds:
        with pytest.raises(InputError, match=f"{count} images cannot be divided into {folds} folds"):
            divide(some, folds, seed)
        return
    division = divide(some, folds, seed)
    assert len(division) == folds
    assert sorted(k for fold in division for k in fold) == list(range(count))
    sizes = [len(fold) for fold in division]
    assert max(sizes) - min(sizes) <= 1
    assert division == divide(some, folds, seed)


def test_the_seed_decides() -> None:
    some = named(*"abcdefghij")
    assert divide(some, 5, 0) != divide(some, 5, 1)


@given(seed=st.integers(0, 99))
def test_frames_of_a_series_stay_together(seed: int) -> None:
    some = named("a_t000", "b", "a_t001", "c", "a_t002", "d_t000", "d_t001")
    for fold in divide(some, 3, seed):
        for series in ({0, 2, 4}, {5, 6}):
            assert series <= set(fold) or not series & set(fold)


def test_too_few_folds_or_series_are_refused() -> None:
    with pytest.raises(ConfigError, match="folds is 1; a cross-validation takes 2 or more"):
        divide(named("a", "b"), 1, 0)
    with pytest.raises(InputError, match=r"1 time series, whose frames stay together, cannot be .* 2 folds"):
        divide(named("a_t000", "a_t001"), 2, 0)


@pytest.mark.parametrize(
    ("given", "minutes", "iterations"),
    [
        ({}, 2.0, None),
        ({"minutes": 30.0}, 6.0, None),
        ({"iterations": 12}, None, 2),
        ({"iterations": 3}, None, 1),
    ],
)
def test_the_budget_is_that_of_all_together(
    given: dict[str, float], minutes: float | None, iterations: int | None
) -> None:
    # of 5 folds; where nothing is said, 10 minutes
    share = with_budget_of_one(Config().updated({"train": given}), 5).train
    assert (share.minutes, share.iterations) == (minutes, iterations)


def test_images_of_one_name_are_told_apart() -> None:
    assert names_of(named("a", "b", "a", "a")) == ("a", "b", "a (2)", "a (3)")
