"""One annotated image in memory: the value that passes between reading, checking and training."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IGNORE = -1
"""The label of a pixel whose truth is unknown; it counts nowhere."""

FEWEST_TO_HOLD_OUT = 4
"""With fewer annotated images none is held out to choose the best model by."""


@dataclass(frozen=True)
class Sample:
    """An image with its labels.

    Attributes
    ----------
    stem : str
        Name without folder and suffix.
    image : ndarray, (C, *spatial)
        Intensities, dtype as in the file.
    labels : ndarray of int32, (*spatial)
        Instances or classes; 0 is background, `IGNORE` unknown.
    spacing : tuple of float or None
        Pixel size along each spatial axis, in micrometres.
    """

    stem: str
    image: NDArray[Any]
    labels: NDArray[np.int32]
    spacing: tuple[float, ...] | None = None


def digest(samples: Iterable[Sample]) -> str:
    """Return a number, as text, that changes with any name, pixel or label, and with their order."""
    whole = hashlib.blake2b(digest_size=16)
    for sample in samples:
        whole.update(f"{sample.stem}\n".encode())
        for array in (sample.image, sample.labels):
            whole.update(array_digest(array))
    return whole.hexdigest()


def array_digest(array: NDArray[Any]) -> bytes:
    """Return a number, as bytes, that changes with any value, the shape or the dtype."""
    head = f"{array.shape} {array.dtype}".encode()
    return hashlib.blake2b(head + np.ascontiguousarray(array).tobytes()).digest()
