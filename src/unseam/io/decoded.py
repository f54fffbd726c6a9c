"""What the readers of the single formats hand over: pixels, and what the file says about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import FileReadError, InputError


@dataclass(frozen=True)
class Decoded:
    """A decoded file.

    Attributes
    ----------
    data : ndarray
        Pixels in the axis order of the file.
    axes : str
        What each axis is; "?" where the file does not say.
    spacing : mapping of str to float
        Pixel size in micrometres of each axis for which the file states one.
    """

    data: NDArray[Any]
    axes: str
    spacing: Mapping[str, float] = field(default_factory=dict)


def damaged(path: Path, error: BaseException) -> FileReadError:
    """Return the error for a file whose decoder failed with `error`."""
    reason = str(error) or type(error).__name__
    return FileReadError(f"cannot read {path}: it is cut short, damaged or not what its name says ({reason})")


def drop_alpha(pixels: NDArray[Any], axis: int, path: Path) -> NDArray[Any]:
    """Remove the last sample along `axis`, a transparency; a single sample left drops the axis.

    Raises
    ------
    InputError
        If the transparency differs between pixels, so that it may carry information.
    """
    alpha = pixels.take(-1, axis=axis)
    if alpha.size and (alpha != alpha.flat[0]).any():
        raise InputError(
            f"{path} has a transparency (alpha) that differs between pixels; save it without transparency"
        )
    samples = pixels.shape[axis] - 1
    return pixels.take(0, axis=axis) if samples == 1 else pixels.take(np.arange(samples), axis=axis)
