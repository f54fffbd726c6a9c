"""Partly annotated frames of the Cell Tracking Challenge: a cell with a marker and no outline is unknown.

A sequence SS holds SS/tNNN.tif, outlines of some frames in SS_GT/SEG/man_segNNN.tif, and a marker for each
cell of each frame in SS_GT/TRA/man_trackNNN.tif.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unseam.errors import FileReadError
from unseam.fingerprint import equivalent_diameter
from unseam.io.images import read_labels

FEWEST = 0.5
"""Share of the cells of a frame that must be outlined."""


def annotated_frames(data: Path, sequence: str) -> list[str]:
    """The frames of a sequence in which at least half of the cells are outlined, as "002".

    Raises
    ------
    FileReadError
        If the sequence is not there.
    """
    outlined = sorted((data / f"{sequence}_GT/SEG").glob("man_seg*.tif"))
    if not outlined:
        raise FileReadError(
            f"{data} has no {sequence}_GT/SEG/man_seg*.tif; give the folder of a Cell Tracking Challenge "
            "training set"
        )
    frames = []
    for path in outlined:
        frame = path.stem.removeprefix("man_seg").removeprefix("_")
        labels, markers = _read(data, sequence, frame)
        unknown = len(without_outline(labels, markers)) if markers is not None else 0
        known = len(np.unique(labels[labels > 0]))
        if known and known >= FEWEST * (known + unknown):
            frames.append(frame)
    return frames


def known_labels(data: Path, sequence: str, frame: str, out: Path, *, unknown: int) -> Path:
    """A label file in which cells without an outline are `unknown`; the frame's own where there is none."""
    labels, markers = _read(data, sequence, frame)
    if markers is None or not len(without_outline(labels, markers)):
        return _outlines(data, sequence, frame)
    from unseam.io.tiff.write import write_tiff

    path = out / f"{sequence}_GT/SEG" / f"man_seg{frame}.tif"
    marked = mark_unknown(labels, markers, unknown=unknown)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tiff(path, marked.astype(np.uint16), axes="YX", overwrite=True)
    return path


def without_outline(labels: NDArray[Any], markers: NDArray[Any]) -> NDArray[Any]:
    """The markers that lie for the most part on no outlined cell."""
    ids, sizes = np.unique(markers[markers > 0], return_counts=True)
    covered, pixels = np.unique(markers[(markers > 0) & (labels > 0)], return_counts=True)
    on_cells = dict(zip(covered.tolist(), pixels.tolist(), strict=True))
    bare = [i for i, size in zip(ids.tolist(), sizes.tolist(), strict=True) if 2 * on_cells.get(i, 0) < size]
    return np.array(bare, dtype=markers.dtype)


def mark_unknown(labels: NDArray[Any], markers: NDArray[Any], *, unknown: int) -> NDArray[Any]:
    """Labels in which the surroundings of every marker without an outline are `unknown`.

    How far its cell reaches is not known: as far as the cells that are outlined do, so background within half
    of their median diameter of the middle of the marker is unknown, and so is the marker itself.
    """
    sizes = np.bincount(labels[labels > 0].ravel().astype(np.intp))[1:]
    radius = float(np.median(equivalent_diameter(sizes[sizes > 0], labels.ndim))) / 2 if sizes.any() else 0.0
    bare = without_outline(labels, markers)
    marked = np.isin(markers, bare)
    middles = ndimage.center_of_mass(marked, markers, bare)
    seeds = np.ones(labels.shape, bool)
    for middle in middles:
        seeds[tuple(round(float(x)) for x in middle)] = False
    near = ndimage.distance_transform_edt(seeds) <= radius
    result = labels.copy()
    result[(labels == 0) & (near | marked)] = unknown
    return result


def _read(data: Path, sequence: str, frame: str) -> tuple[NDArray[Any], NDArray[Any] | None]:
    labels = read_labels(_outlines(data, sequence, frame)).data[0]
    path = data / f"{sequence}_GT/TRA/man_track{frame}.tif"
    return labels, read_labels(path).data[0] if path.is_file() else None


def _outlines(data: Path, sequence: str, frame: str) -> Path:
    return data / f"{sequence}_GT/SEG/man_seg{frame}.tif"
