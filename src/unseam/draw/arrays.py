"""Images and labels as RGB arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import InputError, ShapeError

Image = NDArray[Any]
Labels = NDArray[np.integer[Any]]
Rgb = NDArray[np.uint8]
Colour = tuple[int, int, int]

PERCENTILES = (0.5, 99.5)
"""Grey values below the first and above the second are shown as black and as full intensity."""

_MAX_SAMPLES = 1_000_000  # pixels that percentiles are taken from: as good as all, and fast on large images

# Okabe and Ito's colours, told apart by colour-blind readers, brightened for dark images and ordered so
# that one differs most from the next
HUES = np.array(
    [(86, 180, 233), (255, 130, 40), (0, 190, 140), (240, 228, 66), (225, 125, 185), (70, 130, 255),
     (235, 90, 40)]
)  # fmt: skip
_SHADES = (1.0, 0.72, 0.86)
_TWO_CHANNELS = ((255, 0, 255), (0, 255, 0))
_MANY_CHANNELS = ((0, 255, 255), (255, 0, 255), (255, 255, 0), (255, 80, 0), (60, 100, 255), (120, 255, 120))


def middle_slice(volume: Image) -> Image:
    """Return the middle Z slice, (..., Y, X), of an array (..., Z, Y, X)."""
    if volume.ndim < 3:
        raise ShapeError(f"a slice of an array of shape {volume.shape} was asked for; give (..., Z, Y, X)")
    return volume[..., volume.shape[-3] // 2, :, :]


def display(image: Image) -> Rgb:
    """Return an image as RGB, for looking at.

    Parameters
    ----------
    image : ndarray, (C, Y, X) or (C, Z, Y, X)
        Any dtype; of a volume the middle slice is shown. Values that are not finite are black.

    Returns
    -------
    ndarray of uint8, (Y, X, 3)
        One channel in grey; three channels of uint8 as they are, as red, green and blue; three others as
        red, green and blue too, two as magenta and green, more as a sum of colours. All but uint8 RGB is
        stretched, per channel, between `PERCENTILES`.

    Raises
    ------
    ShapeError
        If the image is neither (C, Y, X) nor (C, Z, Y, X), or is empty.
    """
    if image.ndim not in (3, 4) or not image.size:
        raise ShapeError(f"an image of shape {image.shape} cannot be shown; give (C, Y, X) or (C, Z, Y, X)")
    if image.ndim == 4:
        image = middle_slice(image)
    n_channels = len(image)
    if n_channels == 3 and image.dtype == np.uint8:
        return np.ascontiguousarray(np.moveaxis(image, 0, -1))
    stretched = np.stack([_stretch(channel) for channel in image], axis=-1)  # (Y, X, C), 0 to 1
    if n_channels == 1:
        stretched = np.repeat(stretched, 3, axis=-1)
    elif n_channels != 3:
        colours = _TWO_CHANNELS if n_channels == 2 else _MANY_CHANNELS
        picked = np.array([colours[k % len(colours)] for k in range(n_channels)]) / 255
        stretched = np.minimum(stretched @ picked, 1)
    return np.round(stretched * 255).astype(np.uint8)


def _stretch(channel: Image) -> NDArray[np.float32]:
    """Map the percentiles of a channel to 0 and 1; a constant channel to 0."""
    values = channel.astype(np.float32)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros_like(values)
    seen = values[finite]
    low, high = np.percentile(seen[:: max(1, seen.size // _MAX_SAMPLES)], PERCENTILES)
    if high <= low:  # a few bright specks on a constant ground: their whole range
        low, high = values[finite].min(), values[finite].max()
    scale = 1 / (high - low) if high > low else 0.0
    return np.asarray(np.clip((np.where(finite, values, low) - low) * scale, 0, 1), dtype=np.float32)


def outlines(labels: Labels, thickness: int = 1) -> NDArray[np.bool_]:
    """Return the inner boundaries of the objects.

    Parameters
    ----------
    labels : ndarray of int, (Y, X)
        Objects are the values above 0.
    thickness : int
        Width in pixels, counted inwards.

    Returns
    -------
    ndarray of bool, (Y, X)
        Object pixels that, in at most `thickness` steps between 4-neighbours, reach another label. The
        image border is no boundary: an object that it cuts stays open there.
    """
    _check_labels(labels)
    if thickness < 1:
        raise InputError(f"an outline of thickness {thickness} cannot be drawn; give 1 or more")
    same_down, same_right = labels[1:] == labels[:-1], labels[:, 1:] == labels[:, :-1]
    edge = np.zeros(labels.shape, dtype=bool)
    _spread(edge, ~same_down, ~same_right)
    for _ in range(thickness - 1):
        before = edge.copy()
        edge[1:] |= before[:-1] & same_down
        edge[:-1] |= before[1:] & same_down
        edge[:, 1:] |= before[:, :-1] & same_right
        edge[:, :-1] |= before[:, 1:] & same_right
    return edge & (labels > 0)


def _spread(edge: NDArray[np.bool_], down: NDArray[np.bool_], right: NDArray[np.bool_]) -> None:
    """Mark both pixels of each vertical and of each horizontal pair."""
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right


def overlay(image: Image, labels: Labels, colours: Mapping[int, Colour] | None = None) -> Rgb:
    """Return an image with the outline of each object in its colour.

    Parameters
    ----------
    image : ndarray, (C, Y, X) or (C, Z, Y, X)
        As for `display`.
    labels : ndarray of int, (Y, X) or (Z, Y, X)
        Objects, 0 is background.
    colours : mapping of int to (red, green, blue), optional
        Colour of each id, 0 to 255; objects it lacks are not drawn. By default colours that depend on the
        id alone, so an object keeps its colour from picture to picture; following ids differ.

    Returns
    -------
    ndarray of uint8, (Y, X, 3)

    Raises
    ------
    ShapeError
        If image and labels differ in size.
    """
    picture = display(image).copy()
    if labels.ndim == 3:
        labels = middle_slice(labels)
    _check_labels(labels)
    if labels.shape != picture.shape[:2]:
        raise ShapeError(
            f"labels of shape {labels.shape} do not fit an image of {picture.shape[:2]}; give the same size"
        )
    edge = outlines(labels)
    ids, which = np.unique(labels[edge], return_inverse=True)
    if colours is None:
        picture[edge] = colours_of(ids, shaded=False)[which]
        return picture
    drawn = np.array([int(one) in colours for one in ids], dtype=bool)
    table = np.array([colours.get(int(one), (0, 0, 0)) for one in ids], dtype=np.uint8).reshape(-1, 3)
    picture[edge] = np.where(drawn[which][:, None], table[which], picture[edge])
    return picture


def colours_of(ids: NDArray[np.integer[Any]], *, shaded: bool = True) -> Rgb:
    """Return the colour, uint8 (N, 3), of each object id: of the id alone; 0 and below are black.

    The colours repeat after 21 ids with `shaded`, which uses darker ones too, after 7 without.
    """
    positions = np.maximum(np.asarray(ids, dtype=np.int64) - 1, 0)
    colours = HUES[positions % len(HUES)].astype(np.float64)
    if shaded:
        colours *= np.array(_SHADES)[positions // len(HUES) % len(_SHADES)][:, None]
    colours[np.asarray(ids) <= 0] = 0
    return np.asarray(np.round(colours), dtype=np.uint8)


def _check_labels(labels: Labels) -> None:
    if labels.ndim != 2:
        raise ShapeError(f"labels of shape {labels.shape} cannot be drawn; give one slice, (Y, X)")
