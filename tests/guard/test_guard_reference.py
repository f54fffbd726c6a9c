"""What training images gave: distances by hand, false alarms as often as stated, JSON there and back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from unseam.errors import ModelFileError
from unseam.guard.reference import FALSE_ALARM, FEWEST, Group, GuardReference, refer
from unseam.guard.statistics import OCTAVES, Statistics
from unseam.guard.verdict import compare


def drawn(rng: np.random.Generator, count: int, **shift: float) -> list[Statistics]:
    """Statistics of images of one kind, correlated; `shift` moves a group by so many deviations."""
    mixing = np.random.default_rng(99).normal(size=(40, 40)) / 6
    some = []
    for _ in range(count):
        groups = {
            "intensities": 0.5 + 0.1 * rng.normal(size=6),
            "noise": -1 + 0.2 * rng.normal(size=2),
            "frequencies": 0.3 * rng.normal(size=OCTAVES) + 0.2 * rng.normal(),
            "features": 5 + mixing @ rng.normal(size=40),
        }
        for name, deviations in shift.items():
            groups[name] = groups[name] + deviations * (0.1 if name == "intensities" else 0.3)
        some.append(Statistics(groups, 1.0))
    return some


def test_a_distance_by_hand() -> None:
    group = Group((1.0, 2.0), (1.0, 2.0), ((0.5, 0.0), (0.0, 0.5)), ((0.0, 0.0), (3.0, 0.0)), 1.0)
    # deviations 2 and 0, place (1, 0): 1 from the first image, 2 from the second
    assert group.distance(np.array([3.0, 2.0])) == 1.0
    # deviations 0 and 3, place (0, 1.5)
    assert group.distance(np.array([1.0, 8.0])) == 1.5
    assert group.distance(np.array([3.0, np.nan])) == 1.0  # what is not known is not held against it
    assert group.distance(np.array([np.nan, 8.0])) == 1.5 and group.distance(np.full(2, np.nan)) == 0
    assert group.deviations(np.array([1e9, 2.0])).tolist() == [30.0, 0.0]


@pytest.mark.parametrize("count", [3, 5, 10, 20, 50])
def test_new_images_are_outside_about_as_often_as_meant(count: int) -> None:
    rng = np.random.default_rng(count)
    alarms, found = [], []
    for _ in range(200 // count):
        reference = refer(drawn(rng, count))
        assert reference is not None and reference.n_images == count
        assert reference.left_out <= max(1, FALSE_ALARM * count)
        alarms += [bool(compare(reference, one).outside) for one in drawn(rng, 3 * count)]
        found += [bool(compare(reference, one).outside) for one in drawn(rng, 5, intensities=20.0)]
    assert np.mean(alarms) <= 4 * FALSE_ALARM
    assert np.mean(found) >= (0.9 if count > 3 else 0.5)


def test_images_of_two_kinds_with_nothing_between() -> None:
    rng = np.random.default_rng(0)
    reference = refer([*drawn(rng, 20), *drawn(rng, 20, noise=30.0)])
    assert reference is not None
    for shift, outside in ((0.0, False), (30.0, False), (15.0, True)):
        some = [compare(reference, one) for one in drawn(rng, 10, noise=shift)]
        assert np.mean([bool(one.outside) for one in some]) == pytest.approx(float(outside), abs=0.15)


def test_fewer_than_three_images_say_nothing() -> None:
    rng = np.random.default_rng(0)
    assert refer([]) is None and refer(drawn(rng, FEWEST - 1)) is None
    assert refer(drawn(rng, FEWEST)) is not None


def test_equal_images_and_unknown_statistics() -> None:
    one = drawn(np.random.default_rng(0), 1)[0]
    one.groups["frequencies"][:] = np.nan
    reference = refer([one] * 8)
    assert reference is not None and reference.left_out == 0
    assert not compare(reference, one).outside
    constant = Statistics({name: values * 0 for name, values in one.groups.items()}, 0.0)
    assert refer([constant] * 3) is not None


def test_more_images_than_folds() -> None:
    reference = refer(drawn(np.random.default_rng(0), 150))
    assert reference is not None and reference.left_out <= 1


def test_json_there_and_back() -> None:
    reference = refer(drawn(np.random.default_rng(0), 12))
    assert reference is not None
    text = json.dumps(reference.to_dict(), allow_nan=False)
    assert GuardReference.from_dict(json.loads(text)) == reference
    assert GuardReference.from_dict({**json.loads(text), "version": 2}) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("groups"),
        lambda d: d.pop("version"),
        lambda d: d["groups"]["noise"].pop("limit"),
        lambda d: d["groups"]["noise"]["spread"].append(1.0),
        lambda d: d["groups"]["noise"]["places"][0].append(1.0),
        lambda d: d.update(groups=[1]),
    ],
)
def test_damaged_statistics_are_refused(damage: Any) -> None:
    reference = refer(drawn(np.random.default_rng(0), 5))
    assert reference is not None
    document = json.loads(json.dumps(reference.to_dict()))
    damage(document)
    with pytest.raises(ModelFileError, match="statistics of the training images cannot be understood"):
        GuardReference.from_dict(document)
