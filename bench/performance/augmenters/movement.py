"""Whether an augmenter does what it says: patches of an image whose intensities are its coordinates.

The image holds X, the weights hold Y, and the classes are a chessboard. So each patch says where its pixels
come from: a straight map through them gives rotation, mirroring and scale; what is left over, and differs
from patch to patch, is the elastic field; and the classes must be those of the places that are named.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from bench.performance.augmenters import Draw, Patch
from bench.performance.cells import Cell
from numpy.typing import NDArray

BLOCK = 16
Floats = NDArray[np.float64]
LEAST_ELASTIC = 0.5
LEAST_AGREEMENT = 0.9


@dataclass(frozen=True)
class Movement:
    """What a number of patches have undergone.

    Attributes
    ----------
    angles : of each patch, degrees, after mirroring is undone.
    mirrored : share of patches that are mirror images.
    scales : smallest and largest change of size; 2 shows objects half as large.
    elastic : deviation of the pixels from a straight map, pixels, root mean square over the patches; without
        what all patches share, since an interpolation may bend each patch in the same way.
    agreement : share of pixels whose class is that of the place where image and weights come from.
    """

    angles: tuple[float, ...]
    mirrored: float
    scales: tuple[float, float]
    elastic: float
    agreement: float

    def missing(self) -> list[str]:
        """What was expected and is not there."""
        wrong = {
            "rotation": np.ptp(self.angles) < 90,
            "mirroring": not 0 < self.mirrored < 1,
            "change of size": self.scales[1] / self.scales[0] < 1.03,
            "elastic deformation": self.elastic < LEAST_ELASTIC,
            "the same for the classes": self.agreement < LEAST_AGREEMENT,
        }
        return [what for what, is_wrong in wrong.items() if is_wrong]

    def said(self) -> str:
        """In words for the page."""
        return (
            f"rotation {min(self.angles):.0f} to {max(self.angles):.0f} degrees, "
            f"size {self.scales[0]:.2f} to {self.scales[1]:.2f}, mirrored {self.mirrored:.0%}, "
            f"elastic {self.elastic:.1f} px, classes agree {self.agreement:.1%}"
        )


def ramps(size: int) -> list[Cell]:
    """One image of `size` x `size` whose values are its coordinates; the middle alone has classes but 0."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    blocks = 1 + (y // BLOCK + x // BLOCK) % 2
    quarter = size // 4
    middle = (np.minimum(y, x) >= quarter) & (np.maximum(y, x) < size - quarter)
    return [(x / size, np.where(middle, blocks, 0).astype(np.uint8), y)]


def movement(draw: Draw, cells: Sequence[Cell], patches: int = 24) -> Movement:
    """Of `patches` patches drawn from `ramps`; their middle is looked at, where nothing is mirrored."""
    found = [_moved(draw(0), cells[0]) for _ in range(patches)]
    matrices = np.array([matrix for matrix, _, _ in found])
    signs = np.sign(np.linalg.det(matrices))
    scales = np.sqrt(np.abs(np.linalg.det(matrices)))
    left = np.array([one for _, one, _ in found])  # (patches, pixels, 2)
    return Movement(
        tuple(_angle(matrix, sign) for matrix, sign in zip(matrices, signs, strict=True)),
        float((signs < 0).mean()),
        (float(scales.min()), float(scales.max())),
        float(np.sqrt(((left - left.mean(axis=0)) ** 2).mean())),
        float(np.mean([agreement for _, _, agreement in found])),
    )


def _moved(patch: Patch, cell: Cell) -> tuple[Floats, Floats, float]:
    """Matrix from the patch to the image, deviations from it in pixels of the patch, agreement of classes."""
    image, classes, weights = (np.asarray(part) for part in patch)
    size = cell[0].shape[0]
    side = image.shape[-1]
    inner = slice(side // 2 - side // 5, side // 2 + side // 5)
    place = np.stack([weights[inner, inner], image[0, inner, inner] * size], axis=-1).astype(np.float64)
    y, x = np.mgrid[inner, inner]
    straight = np.stack([y.ravel(), x.ravel(), np.ones(y.size)], axis=1)
    fitted, *_ = np.linalg.lstsq(straight, place.reshape(-1, 2), rcond=None)
    matrix = fitted[:2].T
    left = (place.reshape(-1, 2) - straight @ fitted) @ np.linalg.inv(matrix).T
    nearest = np.rint(place).astype(int).clip(0, size - 1)
    there = cell[1][nearest[..., 0], nearest[..., 1]]
    return matrix, left, float((there == classes[inner, inner]).mean())


def _angle(matrix: Floats, sign: float) -> float:
    """Of the rotation of a matrix in front of which the second axis is mirrored if `sign` is negative."""
    turned = matrix * np.array([1.0, sign])
    return math.degrees(math.atan2(turned[1, 0] - turned[0, 1], turned[0, 0] + turned[1, 1]))
