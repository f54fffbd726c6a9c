"""Synthetic cells: repeatable, exactly labelled, touching, and not solved by a threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from skimage.filters import threshold_otsu

from unseam.data.sample import Sample
from unseam.data.synthetic import synthetic_image, synthetic_set
from unseam.errors import ConfigError, ShapeError
from unseam.instances import carve_gaps, label_components, number_in_raster_order, segment


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return synthetic_set(6, seed=1)


def image(**options: Any) -> Sample:
    return synthetic_image(np.random.default_rng(7), **options)


def touching(labels: np.ndarray[Any, Any]) -> set[int]:
    """Return the objects that have a face neighbour of another object."""
    pairs = [(labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])]
    meet = [(a > 0) & (b > 0) & (a != b) for a, b in pairs]
    return {int(n) for (a, b), at in zip(pairs, meet, strict=True) for n in (*a[at], *b[at])}


def ap50(labels_true: np.ndarray[Any, Any], labels_pred: np.ndarray[Any, Any]) -> float:
    """Return TP / (TP + FP + FN) at IoU above 0.5, where a match is one to one by itself."""
    hits = 0
    for number in range(1, labels_true.max() + 1):
        mine = labels_true == number
        for other in np.unique(labels_pred[mine]):
            theirs = labels_pred == other
            hits += other > 0 and np.sum(mine & theirs) > 0.5 * np.sum(mine | theirs)
    return float(hits / (labels_true.max() + labels_pred.max() - hits))


def test_form_of_a_sample(samples: list[Sample]) -> None:
    assert [sample.stem for sample in samples] == [f"synthetic_{k:03d}" for k in range(6)]
    for sample in samples:
        assert sample.image.shape == (1, 256, 256)
        assert sample.image.dtype == np.uint16
        assert sample.labels.shape == (256, 256)
        assert sample.labels.dtype == np.int32
        assert sample.spacing == (0.5, 0.5)


@pytest.mark.parametrize(
    "options",
    [{}, {"shape": (20, 48, 64)}, {"shape": (37, 61), "radius": 4.0, "coverage": 0.5}, {"shape": (1, 1)}],
)
def test_objects_are_whole_and_in_raster_order(options: dict[str, Any]) -> None:
    labels = image(**options).labels
    np.testing.assert_array_equal(labels, number_in_raster_order(labels))
    for number in range(1, labels.max() + 1):
        assert label_components(labels == number).max() == 1


def test_an_eight_bit_image_uses_its_range() -> None:
    counts = image(dtype="uint8").image
    assert counts.dtype == np.uint8
    assert 100 < counts.max() <= 255
    assert np.mean(counts == 255) < 0.001  # hardly a pixel is saturated


def test_a_volume_has_cells_that_go_on_from_plane_to_plane() -> None:
    sample = image(shape=(24, 64, 64))
    assert sample.image.shape == (1, 24, 64, 64)
    assert sample.spacing == (0.5, 0.5, 0.5)
    labels = sample.labels
    both = (labels[1:] > 0) & (labels[:-1] > 0)
    assert labels.max() >= 2
    assert both.any()
    assert np.mean(labels[1:][both] == labels[:-1][both]) > 0.9
    counts = sample.image[0].astype(float)
    assert counts[labels > 0].mean() > 1.5 * counts[labels == 0].mean()


def test_the_same_seed_gives_the_same_image_and_another_seed_another() -> None:
    first, again, other = (synthetic_set(2, seed=seed, shape=(96, 96)) for seed in (5, 5, 6))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.labels, b.labels)
        assert (a.image != c.image).any()
    assert (first[0].image != first[1].image).any()


def test_image_k_does_not_depend_on_how_many_are_made(samples: list[Sample]) -> None:
    np.testing.assert_array_equal(synthetic_set(2, seed=1)[1].image, samples[1].image)
    assert synthetic_set(0, seed=1) == []


def test_about_a_third_of_the_cells_touch(samples: list[Sample]) -> None:
    cells = sum(int(sample.labels.max()) for sample in samples)
    together = sum(len(touching(sample.labels)) for sample in samples)
    assert 15 * len(samples) < cells < 50 * len(samples)
    assert 0.2 < together / cells < 0.55
    # The truth with its gaps carved is what a perfect network gives; components then find every cell.
    carved = [carve_gaps(sample.labels) > 0 for sample in samples]
    found = [segment(mask / 1.0, threshold=0.5, min_size=10) for mask in carved]
    assert np.mean([ap50(s.labels, f) for s, f in zip(samples, found, strict=True)]) > 0.98


def test_a_global_threshold_does_not_solve_it(samples: list[Sample]) -> None:
    scores = []
    for sample in samples:
        counts = sample.image[0].astype(float)
        bright = (counts > threshold_otsu(counts)) / 1.0
        scores.append(ap50(sample.labels, segment(bright, threshold=0.5, min_size=30, grow_pixels=0)))
    assert 0.2 < np.mean(scores) < 0.75


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"shape": (64,)}, ShapeError, r"shape is \(64,\); expected 2 or 3 sizes"),
        ({"shape": (64, 0)}, ShapeError, "expected 2 or 3 sizes of 1 or more"),
        ({"radius": 1.0}, ConfigError, "radius is 1.0; expected 2 pixels or more"),
        ({"coverage": 0.7}, ConfigError, "coverage is 0.7; expected more than 0, up to 0.5"),
        ({"dtype": "float32"}, ConfigError, "dtype is 'float32'; expected 'uint8' or 'uint16'"),
    ],
)
def test_parameters_out_of_range_are_refused(
    options: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        image(**options)


def test_a_negative_number_of_images_is_refused() -> None:
    with pytest.raises(ConfigError, match="n_images is -1"):
        synthetic_set(-1, seed=0)
