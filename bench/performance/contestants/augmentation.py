"""Draws a number of patches with the augmenter that is named, once it has shown that it really moves them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from bench.performance.augmenters.movement import movement, ramps
from bench.performance.cells import cells
from bench.performance.serving import Run, serve

OTHERS = ("elasticdeform", "albumentations", "opencv-python-headless", "monai", "batchgeneratorsv2")
PROBED = 256
"""Pixels of the patches that show what is done to them."""


def setup(arguments: dict[str, Any]) -> Run:
    """Check, and make the images."""
    torch.set_num_threads(1)
    make = import_module(f"bench.performance.augmenters.{arguments['augmenter']}").augmenter
    images, size, patch, best = (arguments[key] for key in ("images", "size", "patch", "best"))
    probe = ramps(2 * PROBED)
    moved = movement(make(probe, PROBED, best=best, grey=False), probe)
    if missing := moved.missing():
        raise RuntimeError(f"it does not show {' nor '.join(missing)}: {moved.said()}")
    draw = make(cells(images, size), patch, best=best)
    count = arguments["patches"]

    def run() -> dict[str, Any]:
        for number in range(count):
            image, classes, weights = draw(number % images)
            if image.shape[-1] != patch or classes.shape != weights.shape:
                raise RuntimeError(f"a patch of {tuple(image.shape)} was drawn; {patch} pixels were expected")
        return {"work": count, "movement": moved.said()}

    return run


if __name__ == "__main__":
    serve(setup, packages=("numpy", "torch", *OTHERS))
