"""Axis letters and the canonical order."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from unseam.axes import canonical_axes, parse_axes, reorder, spatial_axes, times, to_canonical
from unseam.errors import InputError, ShapeError


@pytest.mark.parametrize(
    ("axes", "canonical", "spatial"),
    [
        ("YX", "CYX", "YX"),
        ("yxc", "CYX", "YX"),
        (" ZYX ", "CZYX", "ZYX"),
        ("TYX", "TCYX", "YX"),
        ("TZCYX", "TCZYX", "ZYX"),
    ],
)
def test_names(axes: str, canonical: str, spatial: str) -> None:
    assert canonical_axes(axes) == canonical
    assert spatial_axes(axes) == spatial


def test_every_order_of_five_axes_comes_to_the_same_array() -> None:
    sizes = {"T": 2, "C": 3, "Z": 4, "Y": 5, "X": 6}
    truth = np.arange(2 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6)
    for order in permutations("TCZYX"):
        shuffled = truth.transpose(["TCZYX".index(letter) for letter in order])
        assert shuffled.shape == tuple(sizes[letter] for letter in order)
        assert np.array_equal(to_canonical(shuffled, "".join(order)), truth)


def test_a_missing_channel_is_added_after_time() -> None:
    series = np.arange(24).reshape(2, 3, 4)
    image = to_canonical(series, "TYX")
    assert image.shape == (2, 1, 3, 4)
    assert np.array_equal(image[:, 0], series)


def test_reorder_adds_no_axis() -> None:
    assert reorder(np.zeros((4, 5, 2)), "YXZ").shape == (2, 4, 5)


def test_no_pixels_are_copied() -> None:
    array = np.zeros((4, 5, 3))
    assert np.shares_memory(to_canonical(array, "YXC"), array)


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ("QYX", "name 'Q', which is unknown; use letters of T C Z Y X"),
        ("YYX", "name Y more than once"),
        ("ZY", "lack Y or X"),
        ("", "lack Y or X"),
    ],
)
def test_bad_letters_are_refused(axes: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_axes(axes)


def test_a_wrong_number_of_letters_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"ZYX name 3 axes, but the array has 2, shape \(4, 5\)"):
        to_canonical(np.zeros((4, 5)), "ZYX")


def test_a_size_is_written_with_crosses() -> None:
    assert [times(shape) for shape in ((512, 640), [7], ())] == ["512 x 640", "7", ""]
