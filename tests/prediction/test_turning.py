"""The average over turned versions of an image: a slow version of it, its laws, and that no cut matters."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from tests.reference import augment as reference
from tests.tiny import samples, saved, untrained

from unseam.geometry import Geometry
from unseam.io.images import write_tiff
from unseam.io.source import array_source
from unseam.prediction import Model
from unseam.prediction.region import compute_region, predict_region
from unseam.prediction.tiles import symmetries
from unseam.prediction.turning import TURNS, Turn, average_turned, turn_by, turned, turned_bytes, turns_of
from unseam.streaming.job import ImageSpec
from unseam.streaming.plan import plan_stream
from unseam.streaming.run import stream
from unseam.streaming.wanted import Wanted

Array = NDArray[Any]
ONE = Geometry.regular(spatial_dims=2, depth=1)


def noise(*shape: int) -> Array:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def whole(shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((0, n) for n in shape)


# By hand


def test_the_angles_are_seven_equal_steps_from_the_image_as_it_is() -> None:
    assert np.rad2deg(TURNS).round(2).tolist() == [0, 51.43, 102.86, 154.29, 205.71, 257.14, 308.57]
    assert turns_of("turn") == TURNS and turns_of("rotate") == turns_of("none") == ()
    assert symmetries(2, "turn") == [(0, ())]  # and no tile is turned beside


def test_a_quarter_turn_by_hand() -> None:
    # 2 x 3 pixels turned by 90 degrees: what was to the right is below, what was above is to the right. Its
    # context of 10 pixels each side is the halo of 8 and 2 more, a multiple of the grid of 2.
    image = np.array([[[1, 2, 3], [4, 5, 6]]], np.float32)
    turn = turn_by(math.pi / 2, (2, 3), ONE)
    assert ONE.halo == (8, 8) and turn.shape == (3 + 20, 2 + 20)
    found = turned(array_source(image), turn).read(((10, 13), (10, 12)))
    np.testing.assert_allclose(found, [[[4, 1], [5, 2], [6, 3]]], atol=1e-6)


def test_places_there_and_back_by_hand() -> None:
    # Two pixels of a row, turned by 30 degrees, lie cos 30 = 0.866 pixels apart in X and sin 30 in Y.
    turn = turn_by(math.pi / 6, (1, 2), ONE)
    y, x = turn.there(np.zeros((1, 2)), np.array([[0.0, 1.0]]))
    np.testing.assert_allclose(np.diff(x), 0.8660254)
    np.testing.assert_allclose(np.diff(y), 0.5)
    np.testing.assert_allclose(turn.back(y, x), [[[0, 0]], [[0, 1]]], atol=1e-12)


# Oracle


@pytest.mark.parametrize("angle", [0.0, TURNS[1], TURNS[4], 3.0])
def test_a_turned_image_pixel_after_pixel(angle: float) -> None:
    image = noise(2, 7, 11)
    turn = turn_by(angle, image.shape[1:], ONE)
    places = np.array([turn.back(np.array(i), np.array(k)) for i, k in np.ndindex(*turn.shape)])
    expected = reference.sample(image, places.reshape(*turn.shape, 2), "linear")
    found = turned(array_source(image), turn).read(whole(turn.shape))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def network_of(image: Array, model: Model, turn: Turn) -> Array:
    """Probabilities of the turned image, all of it at once, turned back pixel after pixel."""
    geometry = model.network.geometry
    scaled = model.header.normalization(image)
    seen = turned(array_source(scaled), turn).read(whole(turn.shape))
    sizes = zip(geometry.halo, geometry.input_for(turn.shape), turn.shape, strict=True)
    pad = [(halo, size - halo - n) for halo, size, n in sizes]
    padded = np.pad(seen, [(0, 0), *pad], mode="reflect")
    given = model.network.probabilities(padded)[(slice(None), *map(slice, turn.shape))]
    pixels = np.ndindex(*image.shape[1:])
    places = np.array([turn.there(np.array(i), np.array(k)) for i, k in pixels])
    return reference.sample(given, places.reshape(*image.shape[1:], 2), "linear")


def test_the_average_of_seven_networks() -> None:
    model, image = untrained(), noise(1, 26, 33)
    turns = [turn_by(angle, image.shape[1:], model.network.geometry) for angle in TURNS]
    expected = np.mean([network_of(image, model, turn) for turn in turns], axis=0)
    found = model.probabilities(image, tta="turn")
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - model.probabilities(image)).max() > 0.05  # something is averaged


# Laws


def test_a_turn_by_nothing_changes_nothing() -> None:
    model, image = untrained(), noise(1, 30, 41)
    source = array_source(image)
    plain = model.prepare(source, rescale=False)
    once = replace(plain, turns=(turn_by(0.0, (30, 41), model.network.geometry),))
    expected, found = (compute_region(p, whole((30, 41))).probabilities for p in (plain, once))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_constant_probabilities_stay_and_a_plane_is_turned_back_to_itself() -> None:
    plane = np.add.outer(np.arange(20.0), 2 * np.arange(30.0))[None].astype(np.float32)
    turns = [turn_by(angle, (20, 30), ONE) for angle in TURNS]
    inside = ((4, 16), (4, 26))  # beyond the border the plane is mirrored

    def read(_: int, source: Any, around: Any) -> Any:
        return source.read(around), lambda _: 0.0

    mean, _ = average_turned(array_source(plane), inside, turns, read)
    np.testing.assert_allclose(mean, plane[:, 4:16, 4:26], atol=1e-4)


def test_double_precision_stays_double() -> None:
    """A verification allows 1e-9 there; one rounding to float32 would part two cuts by 6e-8."""
    image, turns = array_source(noise(1, 20, 30)), [turn_by(angle, (20, 30), ONE) for angle in TURNS]

    def of(value: float) -> Array:
        def read(_: int, __: Any, around: Any) -> Any:
            return np.full((1, *(b - a for a, b in around)), value), lambda _: 0.0

        mean, recompute = average_turned(image, whole((20, 30)), turns, read)
        recompute(np.eye(20, 30, dtype=bool))
        return mean

    np.testing.assert_allclose(of(1 / 3 + 1e-12) - of(1 / 3), 1e-12, rtol=1e-2)


def test_the_same_bits_in_every_part() -> None:
    image = noise(1, 40, 31)
    for angle in TURNS:
        turn = turn_by(angle, (40, 31), ONE)
        source = turned(array_source(image), turn)
        (h, w), all_of_it = turn.shape, source.read(whole(turn.shape))
        part = ((h // 3, h - 5), (7, w // 2))
        np.testing.assert_array_equal(source.read(part), all_of_it[:, h // 3 : h - 5, 7 : w // 2])


@pytest.mark.parametrize("dims", [2, 3])
def test_neither_tiles_nor_regions_change_a_label(dims: int) -> None:
    shape = (50, 61) if dims == 2 else (5, 21, 18)
    image = noise(1, *shape)
    image += np.roll(image, 1, -1) + np.roll(image, 1, -2)
    model = untrained(dims=dims)
    foreground = 1 - model.probabilities(image, tta="turn")[0]
    model = model.with_objects(threshold=float(np.median(foreground)), low_threshold=0.0, grow=0, min_size=0)
    expected = model.predict(image, tta="turn")
    assert expected.labels.max() > 5
    for tile in (8, 14, 64):
        np.testing.assert_array_equal(model.predict(image, tile=tile, tta="turn").labels, expected.labels)
    prepared = model.prepare(array_source(image), tile=10, tta="turn")
    region = tuple((n // 4, n - n // 5) for n in shape)
    found = 1 - predict_region(prepared, region)[0] > model.header.objects.threshold
    core = 1 - expected.probabilities[0] > model.header.objects.threshold
    np.testing.assert_array_equal(found, core[tuple(slice(*r) for r in region)])


def test_what_is_computed_again_is_averaged_again() -> None:
    model, image = untrained(), noise(1, 30, 40)
    computed = compute_region(model.prepare(array_source(image), tta="turn"), whole((30, 40)))
    expected, mask = computed.probabilities.copy(), np.zeros((30, 40), bool)
    mask[[0, 12, 29], [0, 33, 39]] = True
    computed.probabilities[:, mask] = 7.0
    assert computed.recompute(mask) < 1e-5
    np.testing.assert_allclose(computed.probabilities, expected, atol=1e-5)


@pytest.mark.parametrize("zoom", [None, 0.6])
def test_blocks_give_the_labels_of_the_whole_image(zoom: float | None, tmp_path: Path) -> None:
    model = saved(untrained(), tmp_path / "model.safetensors").with_objects(min_size=4)
    image = samples(1, size=90, seed=4)[0].image[0, :, :75]
    write_tiff(tmp_path / "image.tif", image, axes="YX")
    assert model.path is not None
    wanted = Wanted(tmp_path / "out.zarr", save=("labels",), block=32, tta="turn", zoom=zoom)
    stream(model, model.path, ImageSpec(str(tmp_path / "image.tif")), wanted)
    found = np.asarray(zarr.open_array(tmp_path / "out.zarr" / "0", mode="r")[:])
    expected = model.predict(image, tta="turn", zoom=zoom).labels
    np.testing.assert_array_equal(found, expected)
    assert expected.max() > 2 and (expected != model.predict(image, zoom=zoom).labels).any()


def test_progress_is_told_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    untrained().predict(noise(1, 30, 40), tile=16, tta="turn", on_tile=lambda *counts: told.append(counts))
    shares = [done / total for done, total in told]
    assert shares[-1] == 1 and sum(1 / total for _, total in told) == pytest.approx(1)


# What it takes


def test_memory_of_all_versions_is_foreseen() -> None:
    # Blocks of 30 x 40 have a diagonal of 50; with a margin of 5 each side 60 x 60 pixels, of 4 bytes: the
    # probabilities of 7 versions and of one being made, 2 classes; one image read and one turned, 1 channel.
    kept = 3600 * 4 * (8 * 2 + 2)
    # and for each pixel that is interpolated (all of them are at a time) 4 * (1 + 2) + 16 numbers of 4 bytes
    assert turned_bytes((30, 40), (5, 5), channels=1, classes=2, turns=7) == kept + 3600 * 4 * 28
    image = array_source(noise(1, 600, 600))
    plain, turning = (plan_stream(untrained(), image, tta=tta) for tta in ("none", "turn"))
    assert turning.memory > plain.memory
