"""Results of the Cell Tracking Challenge: a folder of 16-bit label images and a table of tracks.

::

    mask000.tif  mask001.tif ...   one a frame; a number stands for one track throughout
    res_track.txt                  a line a track: L B E P, its number, first and last frame, parent or 0

unseam segments and does not track: each object of each frame is a track of that frame alone, with a number of
its own and without parent. What the folder says of segmentation is complete; links are for a tracker to add.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from unseam.axes import times
from unseam.errors import InputError, LabelError, OutputError, OutputExistsError, ShapeError
from unseam.io.atomic import put_over, refuse_existing

TRACKS = "res_track.txt"
MOST = 2**16 - 1


def write_ctc(folder: str | Path, frames: Sequence[NDArray[Any]], *, overwrite: bool = False) -> None:
    """Write the labels of a sequence as a result folder, whole or not at all.

    Parameters
    ----------
    folder : str or Path
        The challenge calls it 01_RES for sequence 01.
    frames : sequence of ndarray of int, (Y, X) or (Z, Y, X)
        In order; values above 0 are objects.
    overwrite : bool
        Whether a result folder that is there may be replaced.

    Raises
    ------
    InputError
        If there is no frame.
    LabelError
        If there are more than 65535 objects, which 16 bits cannot number.
    ShapeError
        If frames differ in shape.
    OutputExistsError
        If the folder exists and `overwrite` is false, or it holds anything but results.
    OutputError
        If it cannot be written.
    """
    folder = Path(folder)
    refuse_existing(folder, overwrite=overwrite)
    _refuse_others(folder)
    if not frames:
        raise InputError(f"no frame was given for {folder}; give one label image or more")
    other = next((frame.shape for frame in frames if frame.shape != frames[0].shape), None)
    if other is not None:
        raise ShapeError(
            f"frames of {times(frames[0].shape)} and of {times(other)} pixels were given for {folder}, which "
            "is one sequence; convert each on its own"
        )
    ids = [np.unique(frame[frame > 0]) for frame in frames]
    count = sum(map(len, ids))
    if count > MOST:
        raise LabelError(
            f"{count} objects in {len(frames)} frames need a number each, and 16 bits have {MOST}; "
            "convert fewer frames at a time"
        )
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        temporary.mkdir(parents=True)
        _write(temporary, frames, ids)
        put_over(temporary, folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _refuse_others(folder: Path) -> None:
    """Raise where what is there is no result folder, or holds what is no result."""
    if not folder.exists():
        return
    if not (folder / TRACKS).is_file():
        raise OutputExistsError(
            f"{folder} holds no {TRACKS}, so it is no result folder and not replaced; choose another output"
        )
    for path in sorted(folder.iterdir()):
        if not path.is_file() or not (path.name == TRACKS or fnmatchcase(path.name, "mask*.tif")):
            raise OutputExistsError(
                f"{folder} holds {path.name}, which is no result, so it is not replaced; move that "
                "elsewhere, or choose another output"
            )


def _write(folder: Path, frames: Sequence[NDArray[Any]], ids: Sequence[NDArray[Any]]) -> None:
    digits = max(3, len(str(len(frames) - 1)))
    tracks, last = [], 0
    for number, (frame, own) in enumerate(zip(frames, ids, strict=True)):
        numbered = np.where(frame > 0, np.searchsorted(own, frame) + 1 + last, 0).astype(np.uint16)
        path = folder / f"mask{number:0{digits}}.tif"
        tifffile.imwrite(path, numbered, photometric="minisblack", compression="zlib", metadata=None)
        tracks += [f"{last + k} {number} {number} 0\n" for k in range(1, len(own) + 1)]
        last += len(own)
    (folder / TRACKS).write_text("".join(tracks), encoding="ascii")
