"""Pictures and layers as data URIs."""

from __future__ import annotations

import base64
import io
import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from unseam.report.pictures import (
    CODES,
    COLOURS,
    MAX_SIDE,
    difference_layer,
    layer_labels,
    outcome_layer,
    photograph,
)


def decoded(uri: str) -> Image.Image:
    head, data = uri.split(",", 1)
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return Image.open(io.BytesIO(base64.b64decode(data)))


def rgba(uri: str) -> NDArray[np.uint8]:
    return np.array(decoded(uri).convert("RGBA"))


def rgb_of(kind: str) -> list[int]:
    return [*bytes.fromhex(COLOURS[kind][1:])]


def test_a_photograph_is_exact_where_it_is_small() -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    for one in (rgb, np.repeat(rgb[..., :1], 3, axis=-1)):
        picture = photograph(one)
        assert (picture.width, picture.height) == (30, 20)
        assert (np.array(decoded(picture.uri).convert("RGB")) == one).all()


def test_a_large_photograph_is_made_smaller_and_lighter() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (900, 1800, 3)).astype(np.uint8)
    picture = photograph(noise)
    assert (picture.width, picture.height) == (MAX_SIDE, MAX_SIDE // 2)
    assert decoded(picture.uri).format == "JPEG"
    assert len(picture.uri) < 300_000


def test_layer_labels_are_magnified_or_sampled() -> None:
    small, thickness = layer_labels(np.array([[1, 2]]), side=6, line=3)
    assert small.tolist() == [[1, 1, 1, 2, 2, 2]] * 3
    assert thickness == 2  # 6 / 3
    large, _ = layer_labels(np.repeat(np.arange(10), 10)[None], side=10)
    assert large.tolist() == [list(range(10))]


def test_outcomes_have_their_colours_and_the_rest_is_clear() -> None:
    labels = np.zeros((40, 60), np.int32)
    labels[5:20, 5:20], labels[5:20, 30:45], labels[25:35, 5:15], labels[39] = 1, 2, 3, -1
    layer = rgba(outcome_layer(labels, {1: "hit", 2: "merge"}))
    factor = layer.shape[1] // 60
    at = lambda y, x: layer[y * factor, x * factor].tolist()  # noqa: E731
    assert at(5, 5) == [*rgb_of("hit"), 255]
    assert at(5, 30) == [*rgb_of("merged"), 255]
    assert at(25, 5) == [170, 170, 170, 255]  # not scored
    assert at(12, 12)[3] == at(0, 0)[3] == 0
    assert 0 < at(39, 0)[3] < 255  # veiled


def test_with_a_focus_other_objects_are_faint() -> None:
    labels = np.zeros((20, 40), np.int32)
    labels[5:15, 5:15], labels[5:15, 25:35] = 1, 2
    layer = rgba(outcome_layer(labels, {1: "missed", 2: "hit"}, frozenset({1})))
    factor = layer.shape[1] // 40
    assert layer[5 * factor, 5 * factor].tolist() == [*rgb_of("missed"), 255]
    faint = layer[5 * factor, 25 * factor]
    assert faint[:3].tolist() == rgb_of("hit")
    assert 0 < faint[3] < 255
    assert (layer[..., 3] == 255).sum() > 2 * (
        (layer[..., 3] > 0) & (layer[..., 3] < 255)
    ).sum()  # and thinner


def test_the_difference_of_two_foregrounds() -> None:
    true, pred = np.zeros((10, 30), int), np.zeros((10, 30), int)
    true[:, :10], pred[:, 20:] = 1, 1
    layer = rgba(difference_layer(true, pred))
    factor = layer.shape[1] // 30
    assert layer[5 * factor, 5 * factor, :3].tolist() == rgb_of("missed")
    assert layer[5 * factor, 29 * factor, :3].tolist() == rgb_of("false")
    assert layer[5 * factor, 20 * factor].tolist() == [*rgb_of("hit"), 255]
    assert layer[5 * factor, 15 * factor, 3] == 0
    assert not (rgba(difference_layer(None, true))[:, : 9 * factor, 3]).any()


# Machado, Oliveira and Fernandes, 2009, IEEE Trans. Vis. Comput. Graph. 15:1291, severity 1, linear RGB
VISION = {
    "normal": np.eye(3),
    "protan": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "deutan": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "tritan": np.array([[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]),
}


@pytest.mark.parametrize("vision", VISION)
def test_colours_are_told_apart_by_colour_blind_readers(vision: str) -> None:
    colours = np.array([rgb_of(kind) for kind in COLOURS]) / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ VISION[vision].T, 0, 1)
    srgb = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = rgb2lab(srgb[None])[0]
    assert min(deltaE_ciede2000(a, b) for a, b in itertools.combinations(lab, 2)) > 12


def test_each_code_is_that_of_its_colour() -> None:
    assert CODES["merge"] == CODES["merged"]
    assert len({CODES[kind] for kind in COLOURS}) == len(COLOURS)
