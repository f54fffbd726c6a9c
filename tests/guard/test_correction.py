"""What can be done to an image: exact, undone by doing it again, and what is tried."""

from __future__ import annotations

import numpy as np
import pytest

from unseam.guard.correction import NONE, Correction, candidates, invert
from unseam.io.source import array_source


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64", "bool"])
def test_inverted_twice_is_the_same_and_once_the_other_way_round(dtype: str) -> None:
    values = np.array([0, 1, 100, 5], dtype)
    once = invert(values)
    assert once.dtype == values.dtype
    np.testing.assert_array_equal(invert(once), values)
    np.testing.assert_array_equal(
        np.argsort(once, stable=True), np.argsort(-values.astype(float), stable=True)
    )


def test_a_source_is_inverted_and_ordered_where_it_is_read() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
    source = Correction(inverted=True, channels=(2, 0, 1)).apply(array_source(image))
    np.testing.assert_array_equal(source.read(((0, 1), (1, 3))), 255 - image[[2, 0, 1], :1, 1:3])
    unchanged = array_source(image)
    assert (
        NONE.apply(unchanged) is unchanged and not NONE and Correction(zoom=2.0).apply(unchanged) is unchanged
    )


def test_what_is_tried() -> None:
    grey = list(candidates(1, dims=2, zoom=1.0))
    assert len(grey) == 1 + 12 and grey[0] == Correction(inverted=True)
    assert [round(c.zoom, 3) for c in grey[1:] if c.zoom][::4] == [0.125, 0.5, 2.828]
    assert len(list(candidates(3, dims=2, zoom=None))) == 1 + 5
    assert len(list(candidates(5, dims=2, zoom=None))) == 1 + 10
    assert len(list(candidates(1, dims=3, zoom=2.0))) == 1 + 8
    assert all(candidates(3, dims=2, zoom=1.0))


def test_words() -> None:
    assert str(NONE) == "nothing" and str(Correction(channels=(2, 1, 0))) == "channels in the order 2 1 0"
