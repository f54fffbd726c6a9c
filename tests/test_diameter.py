"""How large objects are for a model, and how many times an image is rescaled by that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.tiny import untrained

from unseam.errors import InputError
from unseam.fingerprint import Fingerprint, fingerprint
from unseam.model.checkpoint import ModelHeader
from unseam.prediction.diameter import zoom_of


def learned(diameter: float) -> Fingerprint:
    """Of a training set whose objects had a diameter."""
    labels = np.array([[0, 1, 1], [0, 1, 1]], np.int32)
    found = fingerprint([labels[None]], [labels], spacings=[None], task="instances")
    return replace(found, diameter_median=diameter)


def header(diameter: float) -> ModelHeader:
    return replace(untrained().header, fingerprint=learned(diameter))


def test_objects_become_as_large_as_those_learned_from() -> None:
    assert zoom_of(header(20.0), 40.0) == 0.5
    assert zoom_of(header(20.0), 8.0) == 2.5


def test_what_is_about_as_large_is_left_as_it_is() -> None:
    # 22 / 20 and 20 / 18.2 are no more than a tenth apart, 20 / 18 is
    assert [zoom_of(header(20.0), d) for d in (18.2, 20.0, 22.0)] == [1.0, 1.0, 1.0]
    assert zoom_of(header(20.0), 18.0) == 20 / 18


@pytest.mark.parametrize("diameter", [0.0, -3.0, 0.9, 401.0, np.nan, np.inf])
def test_a_diameter_far_from_those_learned_from_is_refused(diameter: float) -> None:
    with pytest.raises(InputError, match=r"expected 1 to 400 pixels: the objects that this model learned"):
        zoom_of(header(20.0), diameter)


@pytest.mark.parametrize("made", [untrained().header, header(0.0)])
def test_a_model_that_does_not_know_sizes_takes_none(made: ModelHeader) -> None:
    with pytest.raises(InputError, match="diameter is 9 and this model does not say how large the objects"):
        zoom_of(made, 9.0)


@pytest.mark.parametrize("zoom", [0.0, 0.04, 21.0, -1.0, np.nan])
def test_a_zoom_out_of_range_is_refused(zoom: float) -> None:
    with pytest.raises(InputError, match=r"zoom is .*; expected 0.05 to 20: 1 leaves an image as it is"):
        untrained().predict(np.zeros((9, 9)), zoom=zoom)
