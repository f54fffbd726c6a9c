"""What is said of an image, in words."""

from __future__ import annotations

import numpy as np
import pytest

from unseam.guard.correction import Correction
from unseam.guard.reference import Group, GuardReference
from unseam.guard.statistics import Statistics
from unseam.guard.verdict import Verdict, compare, in_one_line


def plain(size: int, limit: float = 2.0) -> Group:
    """A group about 1 in which each deviation counts whole, one training image at the centre."""
    eye = tuple(tuple(float(i == k) for k in range(size)) for i in range(size))
    return Group((1.0,) * size, (1.0,) * size, eye, ((0.0,) * size,), limit)


REFERENCE = GuardReference(
    5, 0, {"intensities": plain(6), "noise": plain(2), "frequencies": plain(6), "channels": plain(3)}
)


def seen(contrast: float = 1.0, **moved: list[float]) -> Statistics:
    groups = {name: np.ones(len(group.centre)) for name, group in REFERENCE.groups.items()}
    return Statistics(groups | {name: 1 + np.array(values) for name, values in moved.items()}, contrast)


@pytest.mark.parametrize(
    ("moved", "words"),
    [
        (
            {"intensities": [0, 0, 0, 0, 0, -4]},
            "dark and bright exchanged, as in an inverted image (2.0 times",
        ),
        ({"intensities": [4, 0, 0, 0, 0, 0]}, "intensities distributed otherwise (2.0 times the limit)"),
        ({"noise": [3, 0]}, "noisier (1.5 times the limit)"),
        ({"noise": [-3, 0]}, "less noise, as if smoothed (1.5 times the limit)"),
        ({"frequencies": [6, 0, 0, 0, 0, -1]}, "more fine detail, as if shrunk or noisy (3.0 times"),
        ({"frequencies": [-6, 0, 0, 0, 0, 1]}, "less fine detail, as if enlarged or blurred (3.0 times"),
        ({"channels": [4, 0, 0]}, "channels relate otherwise, as in another order (2.0 times the limit)"),
    ],
)
def test_why_an_image_is_outside(moved: dict[str, list[float]], words: str) -> None:
    verdict = compare(REFERENCE, seen(**moved))
    (name,) = moved
    assert verdict.status == "outside" and verdict.outside == (name,)
    assert verdict.distances[name] == verdict.farthest > 1
    assert str(verdict).startswith(f"outside what the model was trained on: {words}")
    assert verdict.short == f"outside: {name}"


def test_in_range_and_corrected() -> None:
    verdict = compare(REFERENCE, seen())
    assert (verdict.status, str(verdict), verdict.short) == ("in range",) * 3
    corrected = compare(REFERENCE, seen(), correction=Correction(inverted=True, zoom=4.0))
    assert str(corrected) == "corrected: inverted and rescaled 4 times, now in range"
    assert corrected.short == "corrected: inverted and rescaled 4 times"
    still = compare(REFERENCE, seen(noise=[9, 0]), correction=Correction(inverted=True))
    assert still.status == "outside" and still.short == "outside: noise"


def test_the_farthest_comes_first_and_the_pixel_size_before_all() -> None:
    verdict = compare(REFERENCE, seen(noise=[3, 0], channels=[9, 0, 0]), pixels="pixels of 1 µm")
    assert verdict.outside == ("pixel size", "channels", "noise")
    assert verdict.short == "outside: pixel size; channels; noise"
    assert str(verdict).startswith("outside what the model was trained on: pixels of 1 µm; channels relate")
    assert compare(REFERENCE, seen(contrast=0, noise=[9, 0])).reasons == ("all its pixels are alike",)


def test_frames_of_a_series_in_one_line() -> None:
    good, bad = Verdict("in range", {}), Verdict("outside", {}, ("noise",), ("noisier",))
    assert in_one_line([good]) == "in range" and in_one_line([good] * 3) == "all 3 frames in range"
    said = in_one_line([good, bad, bad])
    assert (
        said == "2 of 3 frames outside, the first is frame 1: outside what the model was trained on: noisier"
    )
