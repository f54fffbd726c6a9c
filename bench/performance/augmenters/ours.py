"""unseam: one coordinate map, made of all changes of place, samples image, classes and weights once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import torch
from bench.performance.augmenters import WANTED, Draw, Patch
from bench.performance.cells import Cell

from unseam.data.dataset import PatchSampler, TrainingImage


def augmenter(cells: Sequence[Cell], size: int, *, best: bool = False, grey: bool = True) -> Draw:
    """As `unseam train` draws them: patch k of the whole set; there is one way alone."""
    del best
    images = [TrainingImage(*(torch.as_tensor(part)[None].float() for part in one)) for one in cells]
    config = WANTED if grey else replace(WANTED, gain=0.0, offset=0.0, gamma=0.0)
    patches = count()
    sampler = PatchSampler(
        images, input_shape=(size, size), output_shape=(size, size), augment=config, density=0.1, seed=0
    )

    def draw(number: int) -> Patch:
        del number  # the patches are spread over the set in proportion to its objects
        patch = sampler.patch(next(patches))
        return patch.image, patch.target, patch.weights

    return draw
