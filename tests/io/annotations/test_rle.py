"""Run lengths, against pycocotools and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as pycoco

from unseam.errors import LabelError
from unseam.io.annotations.rle import Mask, count_runs, fill_runs, from_text, to_text

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40))


def whole(counts: np.ndarray, size: tuple[int, int]) -> Mask:
    columns, first = fill_runs(counts, size)
    mask = np.zeros(size, np.bool_)
    mask[:, first : first + columns.shape[1]] = columns
    return mask


@settings(max_examples=50, deadline=None)
@given(masks)
def test_counts_and_text_are_those_of_pycocotools(mask: Mask) -> None:
    size = (mask.shape[0], mask.shape[1])
    theirs = pycoco.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = count_runs(mask, (0, 0), size)
    assert to_text(counts) == theirs["counts"].decode()
    assert counts.sum() == mask.size
    np.testing.assert_array_equal(from_text(theirs["counts"].decode()), counts)
    np.testing.assert_array_equal(whole(counts, size), mask)


@settings(max_examples=50, deadline=None)
@given(masks, st.tuples(*[st.integers(0, 9)] * 4))
def test_a_window_is_counted_where_it_lies(mask: Mask, margins: tuple[int, int, int, int]) -> None:
    top, bottom, left, right = margins
    image = np.pad(mask, ((top, bottom), (left, right)))
    size = (image.shape[0], image.shape[1])
    np.testing.assert_array_equal(count_runs(mask, (top, left), size), count_runs(image, (0, 0), size))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=30))
def test_any_counts_survive_as_text(counts: list[int]) -> None:
    assert from_text(to_text(np.array(counts, np.int64))).tolist() == counts


def test_by_hand() -> None:
    # Columns one after another: 0 1 | 1 1 | 0 0
    mask = np.array([[False, True, False], [True, True, False]])
    assert count_runs(mask, (0, 0), (2, 3)).tolist() == [1, 3, 2]
    assert to_text(np.array([1, 3, 2])) == "132"
    # 33 is 1 in five bits, with more (32) to follow, and 1: the letters 48 + 1 + 32 and 48 + 1.
    assert to_text(np.array([33])) == "Q1"
    # The fourth count is written as its difference to the second: 5 - 7 = -2, 30 in five bits.
    assert to_text(np.array([0, 7, 9, 5])) == "079N"


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([4, 3], "run lengths of 7 pixels were given for an image of 2 x 3, which has 6"),
        ([7, -1], "of 6 pix"),
    ],
)
def test_counts_that_are_no_mask_are_refused(counts: list[int], words: str) -> None:
    with pytest.raises(LabelError, match=words):
        fill_runs(np.array(counts), (2, 3))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 3", "'1 3' are no compressed run"),
        ("1é", "no compressed"),
        ("1Q", "no compressed"),
        ("P" * 13 + "0", "60 bits"),
    ],
)
def test_text_that_is_no_counts_is_refused(text: str, words: str) -> None:
    with pytest.raises(LabelError, match=words):
        from_text(text)
