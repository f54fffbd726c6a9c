"""Seams by hand: edges at which a difference jumps, and edges at which it does not."""

from __future__ import annotations

import numpy as np

from unseam.verification.seams import find_seams


def test_a_step_at_an_edge_is_a_seam_and_at_another_is_none() -> None:
    difference = np.zeros((4, 12), np.float32)
    difference[:, 5:] = 0.5  # the tile that begins at column 5 of the region
    seams = find_seams(difference, ((10, 14), (100, 112)), [[12], [105, 109]])
    assert [(seam.axis, seam.position, seam.jump) for seam in seams] == [("X", 105, 0.5)]


def test_the_worst_comes_first_along_any_axis() -> None:
    difference = np.zeros((6, 8, 8), np.float32)
    difference[3:] += 0.25
    difference[:, 4:] += 1.0
    seams = find_seams(difference, ((0, 6), (0, 8), (0, 8)), [[3], [4], []])
    assert [(seam.axis, seam.position, seam.jump) for seam in seams] == [("Y", 4, 1.0), ("Z", 3, 0.25)]


def test_noise_that_is_everywhere_has_no_seam() -> None:
    """The sign alternates from pixel to pixel: every place jumps by 2, the edge too."""
    difference = np.where(np.add.outer(np.arange(8), np.arange(20)) % 2, 1.0, -1.0).astype(np.float32)
    assert find_seams(difference, ((0, 8), (0, 20)), [[4], [10]]) == ()


def test_a_step_in_noise_is_found_where_it_stands_out() -> None:
    rng = np.random.default_rng(0)
    difference = rng.normal(0, 0.1, (64, 64)).astype(np.float32)
    difference[:, 32:] += 1.0
    seams = find_seams(difference, ((0, 64), (0, 64)), [[16, 48], [32, 48]])
    assert [(seam.axis, seam.position) for seam in seams] == [("X", 32)]


def test_one_pixel_has_no_edge() -> None:
    assert find_seams(np.ones((1, 1), np.float32), ((5, 6), (7, 8)), [[], []]) == ()
