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


def check_numeric(dtype: Any, path: Path) -> np.dtype[Any]:
    """Return the type of the pixels; raise `InputError` unless it is boolean, an integer or a float."""
    if not isinstance(dtype, np.dtype) or dtype.kind not in "biuf":
        raise InputError(f"{path} holds values of type {dtype}; expected integers or floats")
    return dtype


def check_finite(pixels: NDArray[Any], path: Path) -> None:
    """Raise `InputError` if a pixel is NaN or infinite."""
    if pixels.dtype.kind != "f":
        return
    bad = pixels.size - int(np.count_nonzero(np.isfinite(pixels)))
    if bad:
        raise InputError(f"{path} has {bad} pixels that are NaN or infinite; replace them by numbers")


def unclear_axes(shape: tuple[int, ...], path: Path) -> InputError:
    """Return the error for a file that does not say what the axes of its array are."""
    if len(shape) < 2 or len(shape) > 5:
        return InputError(f"{path} holds an array of shape {shape}; expected 2 to 5 axes of T C Z Y X")
    choices = {
        2: "--axes YX",
        3: "--axes ZYX (volume), --axes TYX (series of 2-D images), --axes CYX or --axes YXC (channels)",
        4: "--axes TZYX, --axes CZYX, --axes ZCYX, --axes TCYX or --axes ZYXC",
        5: "--axes TZCYX or --axes TCZYX",
    }
    given = f"{path} holds an array of shape {shape} and does not say what its axes are"
    return InputError(f"{given}; give {choices[len(shape)]}")


def drop_alpha(pixels: NDArray[Any], axis: int, path: Path, *, expected: float | None = None) -> NDArray[Any]:
    """Remove the last sample along `axis`, a transparency; a single sample left drops the axis.

    Parameters
    ----------
    pixels : ndarray
        An image, or a part of one.
    axis : int
        The axis of samples.
    path : Path
        The file, for the message.
    expected : float, optional
        The transparency that every pixel should have; by default that of the first pixel.

    Raises
    ------
    InputError
        If the transparency differs between pixels, so that it may carry information.
    """
    alpha = pixels.take(-1, axis=axis)
    if alpha.size and (alpha != (alpha.flat[0] if expected is None else expected)).any():
        raise InputError(
            f"{path} has a transparency (alpha) that differs between pixels; save it without transparency"
        )
    samples = pixels.shape[axis] - 1
    return pixels.take(0, axis=axis) if samples == 1 else pixels.take(np.arange(samples), axis=axis)
