"""How large objects are for a model, and how many times an image is rescaled by that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests.tiny import samples, trained_run, untrained

from unseam.errors import ConfigError, InputError
from unseam.fingerprint import Fingerprint, fingerprint
from unseam.io.source import array_source
from unseam.model.header import ModelHeader
from unseam.prediction import Model, diameter, load_model
from unseam.prediction.diameter import Learned, Look, choose, find_size, zoom_of


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


LEARNED = Learned(20.0, 8.0, 40.0)


def looks(sure: dict[float, float], *, size: float) -> tuple[Callable[[float], Look], list[float]]:
    """A network that sees the size, as sure as that at each zoom and 0.1 elsewhere; and what it looked at."""
    asked: list[float] = []

    def look(zoom: float) -> Look:
        asked.append(zoom)
        return Look(size, sure.get(zoom, 0.1))

    return look, asked


@pytest.mark.parametrize(
    ("size", "sure", "zoom", "asked"),
    [
        (20.0, {1: 0.3}, 1.0, [1]),  # about as large as learned from: nothing else is looked at
        (27.0, {1: 0.3}, 1.0, [1]),
        (39.0, {1: 0.85}, 1.0, [1]),  # learned from, and seen surely
        (8.1, {1: 0.85}, 1.0, [1]),
        (39.0, {1: 0.7, 0.5: 0.75}, 0.5, [1, 0.5, 0.25, 2]),  # not surely
        (50.0, {1: 0.8, 0.5: 0.9}, 0.5, [1, 0.5, 0.25, 2]),  # 25 px at 0.5
        (50.0, {1: 0.8, 0.5: 0.9, 0.25: 0.7, 2: 0.85}, 0.5, [1, 0.5, 0.25, 2]),
        (60.0, {1: 0.8, 0.5: 0.9}, 20 / 60, [1, 0.5, 0.25, 2]),  # 30 px at 0.5
        (60.0, {1: 0.9}, 20 / 60, [1, 0.5, 2]),  # surest at 1, where they are too large
        (5.0, {1: 0.61, 2: 0.7, 4: 0.8}, 4.0, [1, 0.5, 2, 4]),
        (1.9, {1: 0.61, 2: 0.7, 4: 0.8}, 20 / 1.9, [1, 0.5, 2, 4]),  # 7.6 px at 4
    ],
)
def test_the_surest_look_is_believed(
    size: float, sure: dict[float, float], zoom: float, asked: list[float]
) -> None:
    look, done = looks(sure, size=size)
    found = choose(look, LEARNED)
    assert (found.zoom, found.diameter, done) == (zoom, size, asked)


@pytest.mark.parametrize("size", [0.0, 60.0])
def test_what_is_found_nowhere_is_not_rescaled(size: float) -> None:
    look, done = looks({}, size=size)  # at 60 pixels: no look is sure
    found = choose(look, LEARNED)
    assert (found.zoom, found.diameter) == (1.0, None) and done == [1, 0.5, 0.25, 2, 4]


def test_a_size_that_networks_do_not_see_is_not_believed() -> None:
    look, _ = looks({1: 0.9}, size=80.0)  # 4 times those learned from
    assert choose(look, LEARNED).diameter is None


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(trained_run(tmp_path_factory))


def test_half_of_the_area_is_of_smaller_objects() -> None:
    assert (
        diameter._middle_size(np.array([1, 1, 1, 1, 4, 9, 9])) == 9
    )  # 13 of 26 pixels, the half, lie above 4
    assert diameter._middle_size(np.array([0, 0, 5])) == 5


def test_a_first_pass_that_saw_all_is_the_result(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    image = samples(1, size=80, seed=5)[0].image
    found = model.sized(array_source(image), "auto")
    assert found.zoom == 1 and found.probabilities is not None
    expected = model.predict(image)
    result = model.predict(image, diameter="auto", tile=32)
    np.testing.assert_array_equal(result.labels, expected.labels)
    assert result.probabilities is not expected.probabilities and (result.zoom, result.diameter) == (
        1,
        found.diameter,
    )
    monkeypatch.setitem(diameter.SAMPLE, 2, 60)
    assert model.sized(array_source(image), "auto").probabilities is None


def test_only_the_middle_is_read(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(diameter.SAMPLE, 2, 50)
    monkeypatch.setattr(diameter, "UNSURE", 0.0)  # this network has hardly learned
    monkeypatch.setattr(diameter, "BELIEVED", (0.0, 100.0))
    image = samples(1, size=90, seed=5)[0].image
    middle = model.sized(array_source(image[:, 20:70, 20:70].copy()), "auto")
    image[:, :20], image[:, 70:] = 255, 255
    found = model.sized(array_source(image), "auto")
    assert (found.zoom, found.diameter) == (middle.zoom, middle.diameter) and found.diameter


def test_models_for_any_scale_look_by_themselves_unless_pixel_sizes_are_known(model: Model) -> None:
    image = samples(1, size=80, seed=5)[0].image
    assert model.predict(image).zoom is None
    made = replace(model, header=replace(model.header, diameters=(5.0, 50.0)))
    assert made.predict(image).zoom == 1
    assert made.predict(image, spacing=(0.5, 0.5)).zoom is None
    assert made.predict(image, spacing=(0.5, 0.5), diameter="auto").zoom == 1
    assert made.predict(image, rescale=False).zoom is None
    assert made.predict(image, zoom=0.7).zoom == 0.7


@pytest.mark.parametrize(
    ("asked", "rescale", "error", "words"),
    [
        ("much", True, InputError, "diameter is 'much'; expected a number of pixels, or auto"),
        ("auto", False, ConfigError, "diameter auto rescales images and --no-rescale does not"),
        (5.0, False, ConfigError, "diameter 5.0 rescales images and --no-rescale does not"),
        ("auto", True, InputError, "diameter is auto and this model does not say how large the objects"),
    ],
)
def test_what_cannot_be_a_diameter(
    asked: float | str, rescale: bool, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        untrained().predict(np.zeros((9, 9)), diameter=asked, rescale=rescale)


def test_a_model_that_does_not_know_sizes_finds_none() -> None:
    made = untrained()
    with pytest.raises(InputError, match="diameter is auto and this model does not say"):
        find_size(made.network, made.header, made.tile_function("none"), array_source(np.zeros((1, 9, 9))))
