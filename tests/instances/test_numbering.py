"""Distinct numbers by a table or by sorting, and numbers that are right already."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unseam import instances
from unseam.instances.labels import NO_LABEL
from unseam.instances.numbering import distinct

NEAR = st.integers(-2, 5)
FAR = st.one_of(NEAR, st.integers(NO_LABEL - 3, NO_LABEL - 1))  # too far apart for a table


@pytest.mark.parametrize("numbers", [NEAR, FAR], ids=["near", "far"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_distinct_numbers_are_those_of_numpy(numbers: Any, data: st.DataObject) -> None:
    values = data.draw(hnp.arrays(np.int32, st.integers(0, 12), elements=numbers))
    ids, position = distinct(values)
    np.testing.assert_array_equal(ids, sorted(set(values.tolist())))
    np.testing.assert_array_equal(ids[position], values)
    assert ids.dtype == np.int32


def test_large_numbers_are_numbered_and_counted_as_small_ones() -> None:
    large = NO_LABEL - 1
    labels = np.array([[large, 0, -1, 9], [large, 0, 5, 9]], np.int32)
    np.testing.assert_array_equal(instances.number_in_raster_order(labels), [[1, 0, -1, 2], [1, 0, 3, 2]])
    np.testing.assert_array_equal(instances.remove_small(labels, 2), [[large, 0, -1, 9], [large, 0, 0, 9]])


def test_what_changes_nothing_returns_an_array_of_its_own() -> None:
    labels = np.array([[1, 0, 2]], np.int32)
    for same in (
        instances.number_in_raster_order(labels),
        instances.remove_small(labels, 1),
        instances.fill_holes(labels),
    ):
        np.testing.assert_array_equal(same, labels)
        assert not np.shares_memory(same, labels)
