"""What an augmenter has done is read off patches of coordinates; and unseam's does what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bench.performance.augmenters import Draw, Patch, ours
from bench.performance.augmenters.movement import movement, ramps
from bench.performance.cells import Cell, cells

SIZE, PATCH = 256, 128


def drawing(*, mirror: bool = True, turn: float = 90.0, bend: float = 0.0, late: float = 0.0) -> Draw:
    """Patches of the ramps made by arithmetic: patch k is turned k times, each second one is mirrored."""
    count = iter(range(100))
    cell = ramps(SIZE)[0]

    def draw(_: int) -> Patch:
        k = next(count)
        y, x = np.mgrid[:PATCH, :PATCH] - (PATCH - 1) / 2
        if mirror and k % 2:
            x = -x
        angle, scale = math.radians(turn * k), 1 + 0.05 * (k % 2)
        rows = scale * (math.cos(angle) * y - math.sin(angle) * x) + SIZE / 2
        columns = scale * (math.sin(angle) * y + math.cos(angle) * x) + SIZE / 2
        rows = rows + bend * (k % 3 - 1) * np.sin(y / 2)
        at = tuple(np.rint(one + late).astype(int).clip(0, SIZE - 1) for one in (rows, columns))
        parts = (columns[None] / SIZE, cell[1][at], rows)
        image, classes, weights = (torch.from_numpy(part) for part in parts)
        return image, classes, weights

    return draw


def test_what_was_done_is_read_off_a_patch() -> None:
    seen = movement(drawing(bend=2.0), ramps(SIZE), patches=12)
    assert seen.mirrored == 0.5 and seen.scales == pytest.approx((1.0, 1.05), abs=1e-2)
    assert sorted({round(angle / 90) % 4 for angle in seen.angles}) == [0, 1, 2, 3]
    # two thirds of the patches have a wave of amplitude 2, so of variance 2, in one of two coordinates
    assert seen.elastic == pytest.approx(math.sqrt(2 / 3 * 2 / 2), rel=0.1)
    assert seen.agreement > 0.99 and seen.missing() == []
    assert "size 0.99 to 1.05, mirrored 50%, elastic 0.8 px" in seen.said()


@pytest.mark.parametrize(
    ("how", "missing"),
    [
        ({"bend": 2.0, "turn": 0.0}, "rotation"),
        ({"bend": 2.0, "mirror": False}, "mirroring"),
        ({}, "elastic deformation"),
        ({"bend": 2.0, "late": 5.0}, "the same for the classes"),
    ],
)
def test_what_was_not_done_is_named(how: dict[str, float], missing: str) -> None:
    assert movement(drawing(**how), ramps(SIZE), patches=12).missing() == [missing]  # type: ignore[arg-type]


def test_what_bends_all_patches_alike_is_no_elastic_deformation() -> None:
    """As an interpolation does that misplaces its grid: here each third patch, all with the same wave."""
    draw = drawing(bend=2.0, turn=0.0, mirror=False)
    patches = [draw(0) for _ in range(12)][2::3]
    assert movement(drawing(bend=2.0, turn=0.0, mirror=False), ramps(SIZE), patches=3).elastic > 0.7
    seen = movement(lambda _: patches.pop(), ramps(SIZE), patches=3)
    assert seen.elastic < 0.2 and "elastic deformation" in seen.missing()


def test_ours_moves_image_classes_and_weights_alike_and_leaves_intensities_if_asked_to() -> None:
    probe = ramps(512)
    seen = movement(ours.augmenter(probe, 256, grey=False), probe)
    assert seen.missing() == [] and seen.agreement > 0.99
    flat: list[Cell] = [
        (np.full((64, 64), 0.5, np.float32), np.ones((64, 64), np.uint8), probe[0][2][:64, :64])
    ]
    assert torch.allclose(ours.augmenter(flat, 32, grey=False)(0)[0], torch.tensor(0.5))
    assert not torch.allclose(ours.augmenter(flat, 32)(0)[0], torch.tensor(0.5), atol=1e-4)


def test_everybody_is_given_the_same_cells() -> None:
    (image, classes, weights), *others = cells(2, 128)
    assert len(others) == 1 and image.shape == classes.shape == weights.shape == (128, 128)
    assert (image.dtype, classes.dtype, weights.dtype) == (np.float32, np.uint8, np.float32)
    assert image.min() >= 0 and image.max() <= 1 and set(np.unique(classes)) == {0, 1} and weights.max() > 1
    assert all(np.array_equal(a, b) for a, b in zip(cells(1, 128)[0], (image, classes, weights), strict=True))
