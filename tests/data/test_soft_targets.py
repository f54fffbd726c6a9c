"""Soft targets: by hand, against distances over the whole image, and what no outline is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from unseam.data.soft_targets import DEEPEST, OUTLINE, foreground_share
from unseam.data.synthetic import synthetic_image
from unseam.errors import ConfigError
from unseam.fingerprint import equivalent_diameter


def slowly(labels: NDArray[np.int32], depth: float, steps: tuple[float, ...]) -> NDArray[np.float64]:
    """Each object against the whole image, with a distance transform of its own."""
    shares = np.sign(labels).astype(float)
    for number in np.unique(labels[labels > 0]):
        own = labels == number
        diameter = float(equivalent_diameter(np.array(own.sum()), labels.ndim))
        diameter *= float(np.prod(steps)) ** (1 / labels.ndim)
        width = min(max(depth * diameter, 1.0), DEEPEST)
        other = ~own & (labels != -1)
        if not other.any():
            continue
        distance = ndimage.distance_transform_edt(~other, sampling=steps)
        width = min(width, distance[own].max())
        shares[own] = OUTLINE + (1 - OUTLINE) * np.minimum(1, distance[own] / width)
    return shares


def test_a_bar_by_hand() -> None:
    # A bar of 3 x 7 = 21 pixels, 5.17 in diameter: 0.5 of it is 2.585, but it is nowhere deeper than 2.
    labels = np.zeros((5, 9), np.int32)
    labels[1:4, 1:8] = 4
    expected = np.zeros((5, 9), np.float32)
    expected[1:4, 1:8] = 0.75
    expected[2, 2:7] = 1.0
    np.testing.assert_array_equal(foreground_share(labels, 0.5), expected)


@pytest.mark.parametrize("depth", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("steps", [(1.0, 1.0), (2.5, 1.0)])
def test_windows_give_what_the_whole_image_gives(depth: float, steps: tuple[float, float]) -> None:
    labels = synthetic_image(np.random.default_rng(3), shape=(90, 110), coverage=0.4).labels.astype(np.int32)
    labels[:12, 40:70] = -1
    found = foreground_share(labels, depth, spacing=steps)
    expected = slowly(labels, depth, steps) if depth else np.sign(labels)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_volumes_too() -> None:
    labels = np.zeros((6, 14, 14), np.int32)
    labels[1:5, 2:8, 2:12], labels[2:6, 8:13, 3:9] = 1, 7
    found = foreground_share(labels, 0.4, spacing=(3.0, 1.0, 1.0))
    np.testing.assert_allclose(found, slowly(labels, 0.4, (3.0, 1.0, 1.0)), atol=1e-6)


def test_unknown_pixels_and_the_edge_of_the_image_are_no_outline() -> None:
    labels = np.zeros((9, 12), np.int32)
    labels[:, :6] = 1
    labels[:, 4:6] = -1  # the object may go on here
    assert (foreground_share(labels, 0.3)[:, :4] == 1).all()  # 5 pixels from what is known to be background
    assert (foreground_share(np.full((4, 4), 2, np.int32), 0.3) == 1).all()


def test_every_object_keeps_a_pixel_that_counts_fully() -> None:
    labels = np.zeros((3, 8), np.int32)
    labels[1, 1], labels[1, 3:6] = 1, 2
    assert foreground_share(labels, 1.0)[labels > 0].tolist() == [1.0] * 4


@pytest.mark.parametrize("depth", [-0.1, 1.5])
def test_a_depth_out_of_range_is_refused(depth: float) -> None:
    with pytest.raises(ConfigError, match=f"{depth}; give a share of the diameter, from 0 to 1"):
        foreground_share(np.zeros((2, 2), np.int32), depth)
