"""albumentations: a Compose of its transforms; OpenCV interpolates, twice: affine, then elastic."""

from __future__ import annotations

from collections.abc import Sequence

import albumentations
import cv2
import torch
from bench.performance.augmenters import WANTED, Draw, Patch
from bench.performance.cells import Cell

SIGMA = 32.0
"""Deviation of the blur of the displacements, pixels: half the spacing of our grid."""
ALPHA = {False: 990.0, True: 150.0}
"""What makes the displacements deviate by about 2 pixels, exactly blurred and approximately."""


def augmenter(cells: Sequence[Cell], size: int, *, best: bool = False, grey: bool = True) -> Draw:
    """`best` blurs the displacements approximately, with a window of 17 pixels.

    Weights are a second mask, and so interpolated to the nearest pixel.
    """
    cv2.setNumThreads(torch.get_num_threads())
    up, down = 1 + WANTED.scale, 1 / (1 + WANTED.scale)
    border = cv2.BORDER_REFLECT_101
    moves = [
        albumentations.RandomCrop(size, size),
        albumentations.HorizontalFlip(p=0.5),
        albumentations.VerticalFlip(p=0.5),
        albumentations.Affine(
            rotate=(-WANTED.rotation, WANTED.rotation), scale=(down, up), border_mode=border, p=1
        ),
        albumentations.ElasticTransform(
            alpha=ALPHA[best], sigma=SIGMA, approximate=best, border_mode=border, p=1
        ),
    ]
    gammas = (100 / (1 + WANTED.gamma), 100 * (1 + WANTED.gamma))
    greys = [
        albumentations.RandomBrightnessContrast(
            brightness_limit=WANTED.offset, contrast_limit=WANTED.gain, p=1
        ),
        albumentations.RandomGamma(gamma_limit=gammas, p=1),
    ]
    # without a seed: with one, version 2.0.8 mirrors both axes or none, and so never makes a mirror image
    compose = albumentations.Compose(moves + greys * grey, additional_targets={"weights": "mask"})

    def draw(number: int) -> Patch:
        image, classes, weights = cells[number]
        made = compose(image=image, mask=classes, weights=weights)
        image, classes, weights = (torch.from_numpy(made[key]) for key in ("image", "mask", "weights"))
        return image[None], classes, weights

    return draw
