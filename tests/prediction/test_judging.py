"""The guard on synthetic cells: what the network is given decides, whatever is cut how."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.tiny import samples, trained_run, untrained

from unseam.errors import InputError, ShapeError
from unseam.guard.correction import NONE, Correction
from unseam.guard.verdict import Verdict
from unseam.io.source import Source, array_source
from unseam.prediction import Model, load_model
from unseam.prediction.adapting import find_correction
from unseam.prediction.guarding import features, judge, observe
from unseam.resample import resampled
from unseam.workflow.guarding import reference_of

Array = NDArray[Any]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A tiny trained model with the statistics of a dozen images of cells."""
    bare = load_model(trained_run(tmp_path_factory), device="cpu")
    reference = reference_of(bare, [s.image for s in samples(12, size=200, seed=1)])
    return replace(bare, header=replace(bare.header, guard=reference))


def cells(seed: int, size: int = 200) -> Array:
    return np.asarray(samples(1, size=size, seed=seed)[0].image)


def judged(model: Model, image: Array, **options: Any) -> Verdict:
    source = array_source(image, spacing=options.pop("spacing", None))
    prepared = model.prepare(source, **options)
    verdict = judge(model.network, model.header, prepared)
    assert verdict is not None
    return verdict


def zoomed(image: Array, zoom: float) -> Array:
    shape = tuple(round(n * zoom) for n in image.shape[1:])
    return resampled(array_source(image), shape).read(tuple((0, n) for n in shape))


def test_images_like_the_training_images_are_in_range(model: Model) -> None:
    verdicts = [judged(model, cells(seed)) for seed in range(50, 60)]
    assert sum(v.status == "in range" for v in verdicts) >= 9


def test_an_inverted_image_is_not_silent(model: Model) -> None:
    for seed in range(50, 55):
        verdict = judged(model, np.invert(cells(seed)))
        assert "intensities" in verdict.outside
        assert any("dark and bright exchanged" in reason for reason in verdict.reasons)


def test_noise_blur_and_nothing_are_outside(model: Model) -> None:
    image, rng = cells(50).astype(np.float32), np.random.default_rng(0)
    assert judged(model, image + rng.normal(0, np.ptp(image), image.shape)).outside
    assert judged(model, zoomed(zoomed(image, 1 / 6), 6)).outside
    assert judged(model, np.full((1, 90, 90), 3)).outside == ("constant",)


def test_a_pixel_size_that_differs_is_told_where_nothing_is_rescaled(model: Model) -> None:
    assert model.header.spacing == (0.5, 0.5)
    verdict = judged(model, cells(50), spacing=(2.0, 2.0), rescale=False)
    assert verdict.outside == ("pixel size",)
    assert verdict.reasons == ("pixels of 2 x 2 µm, the model's are 0.5 x 0.5 µm",)
    assert "pixel size" not in judged(model, cells(50), spacing=(2.0, 2.0)).outside
    assert "pixel size" not in judged(model, cells(50), spacing=(0.52, 0.5), rescale=False).outside


def test_a_wrong_pixel_size_is_seen_in_what_it_makes_of_the_image(model: Model) -> None:
    assert judged(model, cells(50), spacing=(4.0, 4.0)).outside  # enlarged 8 times


@pytest.mark.parametrize("tile", [8, 40, "auto"])
def test_no_tile_changes_the_verdict(model: Model, tile: int | str) -> None:
    image = cells(51)
    assert model.predict(image, tile=tile).verdict == judged(model, image)


def test_little_of_a_large_image_is_read(model: Model) -> None:
    image, asked = cells(3, 200), list[int]()
    whole = np.tile(image, (1, 20, 20))

    def read(region: Any) -> Array:
        asked.append(int(np.prod([b - a for a, b in region])))
        return whole[(slice(None), *(slice(a, b) for a, b in region))]

    source = Source(read, whole.shape[1:], 1, whole.dtype)
    prepared = model.prepare(source)
    asked.clear()
    observe(model.network, prepared)
    assert max(asked) <= 256**2 and sum(asked) <= 10 * 256**2


@pytest.mark.parametrize("size", [1, 2, 7, 30])
def test_images_smaller_than_any_region(model: Model, size: int) -> None:
    rng = np.random.default_rng(0)
    assert isinstance(judged(model, rng.normal(size=(1, size, size))).status, str)


def test_features_by_hand() -> None:
    """A network of 1 x 1 kernels in which channel c of the first level is the image times c + 1."""
    net = untrained().network
    x = torch.linspace(0, 1, 40 * 40).reshape(1, 1, 40, 40)
    image = np.asarray(x[0])
    found = features(net, array_source(np.pad(image, ((0, 0), (40, 40), (40, 40)))))
    assert found.shape == (2 + 4,) and (found >= 0).all()
    flat = features(net, array_source(np.ones((1, 200, 200), np.float32)))
    np.testing.assert_allclose(flat, 0, atol=1e-4)  # nothing varies over a constant image


def test_volumes_and_classes() -> None:
    rng = np.random.default_rng(0)
    model = untrained(dims=3, channels=2)
    images = [rng.gamma(2.0, size=(2, 10, 40, 40)) for _ in range(4)]
    reference = reference_of(model, images)
    assert reference is not None and set(reference.groups) >= {"channels", "features"}
    guarded = replace(model, header=replace(model.header, guard=reference))
    assert "intensities" in judged(guarded, -images[0]).outside
    semantic = untrained(task="semantic", classes=3)
    reference = reference_of(semantic, [image[:1, 0] for image in images])
    semantic = replace(semantic, header=replace(semantic.header, guard=reference))
    found = semantic.predict(images[0][:1, 0])
    assert found.verdict is not None and found.table()["guard"].tolist()[0] == found.verdict.short


def test_a_model_without_statistics_says_nothing() -> None:
    found = untrained().predict(np.random.default_rng(0).normal(size=(40, 40)))
    assert found.verdict is None and "guard" not in found.table().columns


# Corrections


def test_what_is_in_range_is_left_alone(model: Model) -> None:
    assert find_correction(model, array_source(cells(52))) == NONE


def test_an_inverted_image_is_turned_back_and_keeps_its_labels(model: Model) -> None:
    image = cells(53)
    upside_down = np.invert(image)
    found = find_correction(model, array_source(upside_down))
    assert found == Correction(inverted=True)
    corrected = model.predict(upside_down, correction=found)
    assert corrected.verdict is not None
    assert str(corrected.verdict) == "corrected: inverted, now in range"
    np.testing.assert_array_equal(corrected.labels, model.predict(image).labels)
    np.testing.assert_array_equal(corrected.image, upside_down)


def test_an_enlarged_image_is_shrunk(model: Model) -> None:
    image = zoomed(cells(54), 4)
    assert judged(model, image).outside
    found = find_correction(model, array_source(image))
    assert found.zoom is not None and 1 / 6 < found.zoom < 1 / 2 and not found.inverted
    assert model.predict(image, correction=found).labels.shape == image.shape[1:]
    assert find_correction(model, array_source(image), rescale=False) == NONE
    assert find_correction(model, array_source(image), diameter=14.0) == NONE


def test_exchanged_channels_are_put_in_order() -> None:
    rng = np.random.default_rng(0)

    def image() -> Array:
        first = rng.gamma(2.0, size=(60, 60))
        return np.stack([first, -first, 5 * rng.normal(size=(60, 60))])

    bare = untrained(channels=3)
    reference = reference_of(bare, [image() for _ in range(12)])
    model = replace(bare, header=replace(bare.header, guard=reference))
    plain = image()
    assert not judged(model, plain).outside
    found = find_correction(model, array_source(plain[[2, 1, 0]]))
    assert found == Correction(channels=(2, 1, 0))
    verdict = model.predict(plain[[2, 1, 0]], correction=found).verdict
    assert verdict is not None and verdict.short == "corrected: channels in the order 2 1 0"


def test_what_nothing_brings_into_range_is_left_as_it_is(model: Model) -> None:
    noise = np.random.default_rng(0).integers(0, 2, (1, 64, 64)).astype(np.uint8)
    assert find_correction(model, array_source(noise)) == NONE


def test_nothing_is_adapted_to_nothing(model: Model) -> None:
    with pytest.raises(InputError, match="this model carries no statistics of its training images"):
        find_correction(untrained(), array_source(cells(1)))
    with pytest.raises(ShapeError, match="this model takes 1 channel"):
        find_correction(model, array_source(np.zeros((2, 8, 8))))
