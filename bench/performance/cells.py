"""The images that augmentation and training are measured on: synthetic cells, the same for everybody."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from unseam.config import Config
from unseam.data.dataset import TrainingImage, prepare
from unseam.data.synthetic import synthetic_set
from unseam.normalize import Normalization

Cell = tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]
"""Image, class of each pixel and weight of each pixel; each (Y, X)."""


def training_images(count: int, size: int) -> list[TrainingImage]:
    """`count` images of `size` x `size` pixels as unseam trains on them: normalised, with weight maps."""
    samples = synthetic_set(count, shape=(size, size), seed=0)
    config = Config()
    normalization = Normalization(config.data.normalization)
    device = torch.device("cpu")
    return prepare(
        samples, config.loss, task="instances", classes=2, normalization=normalization, device=device
    )


def cells(count: int, size: int) -> list[Cell]:
    """The same as arrays, for everybody else; intensities cut to 0..1, which some libraries ask for."""
    return [
        (
            one.image[0].numpy().clip(0, 1),
            one.target[0].numpy().astype(np.uint8),
            one.weights[0].numpy(),
        )
        for one in training_images(count, size)
    ]
