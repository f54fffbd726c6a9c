"""Objects as classes of pixels and back, for peers whose networks know classes alone.

The recommended way to get instances out of nnU-Net, and so out of any such network: learn background,
interior and border; take the connected components of interior; give border pixels to the nearest of them.
Source: MIC-DKFZ/nnUNet, nnunet/dataset_conversion/Task076_Fluo_N3DH_SIM.py (border "as suggested by
T. Wollmann", `convert_to_instance_seg2`). The border lies within the object, so no pixel of it is lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BACKGROUND, INTERIOR, BORDER = 0, 1, 2
UNKNOWN = -1
ALONE = 15
"""Pixels of border without an interior that are an object nevertheless, as in the source."""

Labels = NDArray[np.int32]


def border_width(diameter: float) -> int:
    """Width of the border in pixels: a tenth of the diameter, from 1 to 5."""
    return int(np.clip(round(diameter / 10), 1, 5))


def to_classes(labels: NDArray[Any], border: int) -> Labels:
    """The class of each pixel: with `border` 0 cell or not, else background, interior or border.

    A pixel is border if its distance to another object or to background is at most `border`; the edge of the
    image is none. An object too thin for an interior keeps its innermost pixels as interior.
    """
    classes = np.where(labels > 0, INTERIOR, labels).astype(np.int32)
    for label, place in enumerate(ndimage.find_objects(np.maximum(labels, 0)), start=1):
        if border and place is not None:
            inside = labels[place] == label
            around = _padded(inside, labels.shape, place)
            depth = ndimage.distance_transform_edt(around)[1:-1, 1:-1]
            limit = min(float(border), float(depth.max()) - 0.5)
            classes[place][inside & (depth <= limit)] = BORDER
    return classes


def to_instances(classes: NDArray[Any], border: int) -> Labels:
    """Objects of classes: components of interior, with the border pixels that are nearest to each.

    Border farther than twice its width from any interior belongs to none, unless it is a component without
    interior of 15 pixels or more: that is an object too small for an interior.
    """
    labels, count = ndimage.label(classes == INTERIOR)
    if not border:
        return labels.astype(np.int32)
    if count:
        distance, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
        grown = labels[tuple(nearest)]
        near = (classes == BORDER) & (distance <= 2 * border + 1)
        labels = np.where(near, grown, labels)
    parts, _ = ndimage.label(classes > 0)
    sizes = np.bincount(parts.ravel())
    without = np.ones(len(sizes), bool)
    without[np.unique(parts[classes == INTERIOR])] = False
    for part in np.flatnonzero(without & (sizes >= ALONE)):
        if part:
            count += 1
            labels[parts == part] = count
    return labels.astype(np.int32)


def objects_of(
    probabilities: NDArray[Any], border: int, smallest: int
) -> tuple[Labels, NDArray[np.float32] | None]:
    """Labels of the most probable classes (C, Y, X); with two classes also the probability of being cell.

    Objects of fewer than `smallest` pixels are dropped, as the source drops small interiors.
    """
    labels = to_instances(probabilities.argmax(axis=0), border)
    labels[np.bincount(labels.ravel())[labels] < smallest] = 0
    return labels, None if border else probabilities[INTERIOR].astype(np.float32)


def _padded(inside: NDArray[np.bool_], shape: tuple[int, ...], place: tuple[slice, ...]) -> NDArray[np.bool_]:
    """One pixel more on each side: other there, but where the image ends more of the same."""
    around = np.pad(inside, 1, mode="edge")
    for axis, (part, length) in enumerate(zip(place, shape, strict=True)):
        for end, within in ((0, part.start > 0), (-1, part.stop < length)):
            if within:
                around[(slice(None),) * axis + (end,)] = False
    return around
