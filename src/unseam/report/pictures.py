"""The pictures of the report, as data URIs: an image once, and thin layers of outlines to lay over it.

A layer has few colours and is mostly transparent, so it is small; the page shows one image under several
layers and holds it only once.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.draw import outlines
from unseam.draw.history import History, curves_figure

MAX_SIDE = 700
"""Longer side of a picture, in pixels; larger images are made smaller, labels before they are outlined."""

Codes = NDArray[np.uint8]

COLOURS = {
    "hit": "#00b7a8",
    "merged": "#b37bff",
    "split": "#c8f7c5",
    "missed": "#e8590c",
    "false": "#ffd43b",
}
"""Colour of each outcome. Any two differ by a CIEDE2000 of 12 or more, to colour-blind readers too."""

CODES = {name: code for code, name in enumerate(COLOURS, start=1)} | {"merge": 2}
UNCOUNTED, IGNORED = 6, 7
"""Codes of the outline of an object that is not scored, and of ground whose truth is unknown."""
FAINT = 8
"""Added to the code of an outline that is not the subject of the picture."""

# side of a layer, and how many of its pixels make one pixel of thickness of its lines: 1.5 px on the screen
_LAYER_SIDE, _LAYER_LINE = 1000, 280
_CROP_SIDE, _CROP_LINE = 300, 75
_MAX_PNG = 150_000  # bytes; what is larger becomes a JPEG


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI, with its size in the pixels of the page's drawing."""

    uri: str
    width: int
    height: int


def photograph(rgb: NDArray[np.uint8], max_side: int = MAX_SIDE) -> Picture:
    """Return an RGB image (Y, X, 3): as PNG, or as JPEG where that saves much."""
    from PIL import Image

    height, width = rgb.shape[:2]
    grey = bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 0] == rgb[..., 2]).all())
    picture = Image.fromarray(np.ascontiguousarray(rgb[..., 0] if grey else rgb))
    shrink = max_side / max(height, width)
    if shrink < 1:
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    if file.tell() <= _MAX_PNG:
        return Picture(_uri(file, "png"), *picture.size)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88, optimize=True)
    return Picture(_uri(file, "jpeg"), *picture.size)


def layer_labels(
    labels: NDArray[Any], side: int = _LAYER_SIDE, line: int = _LAYER_LINE
) -> tuple[NDArray[Any], int]:
    """Return labels (Y, X) at the resolution of a layer, and the thickness of lines that shows there.

    Small labels are magnified by a whole number, so that a line is thinner than a pixel of the image; large
    ones are sampled.
    """
    longest = max(labels.shape)
    if longest > side:
        rows, columns = (
            ((np.arange(max(1, round(n * side / longest))) + 0.5) * longest / side).astype(int).clip(0, n - 1)
            for n in labels.shape
        )
        labels = labels[np.ix_(rows, columns)]
    else:
        factor = min(16, max(1, round(side / longest)))
        labels = labels.repeat(factor, axis=0).repeat(factor, axis=1)
    return labels, max(1, round(max(labels.shape) / line))


def outcome_layer(
    labels: NDArray[Any],
    outcomes: Mapping[int, str],
    focus: frozenset[int] | None = None,
) -> str:
    """Return the outlines of labels (Y, X), each in the colour of its outcome, as a data URI.

    Objects that have no outcome are grey, ground below 0 is veiled. With `focus` it is the layer of a crop,
    and other objects are faint.
    """
    if focus is None:
        labels, thickness = layer_labels(labels)
    else:
        labels, thickness = layer_labels(labels, _CROP_SIDE, _CROP_LINE)
    codes = np.zeros(labels.shape, np.uint8)
    codes[labels < 0] = IGNORED
    if focus is None:
        _draw(codes, labels, outlines(labels, thickness), outcomes, 0)
    else:
        subject = np.isin(labels, list(focus))
        _draw(codes, labels, outlines(labels, max(1, thickness // 3)) & ~subject, outcomes, FAINT)
        _draw(codes, labels, outlines(labels, thickness) & subject, outcomes, 0)
    return encode(codes)


def _draw(
    codes: Codes, labels: NDArray[Any], edge: NDArray[np.bool_], outcomes: Mapping[int, str], plus: int
) -> None:
    """Set the codes of the edge pixels by the outcome of their object."""
    ids, which = np.unique(labels[edge], return_inverse=True)
    code_of = [CODES.get(outcomes.get(int(one), ""), UNCOUNTED) + plus for one in ids]
    codes[edge] = np.array(code_of, dtype=np.uint8)[which]


def difference_layer(labels_true: NDArray[Any] | None, labels_pred: NDArray[Any]) -> str:
    """Return the outlines of a prediction and, filled, the ground where it misses or exceeds the truth."""
    pred, thickness = layer_labels(labels_pred)
    codes = np.zeros(pred.shape, np.uint8)
    if labels_true is not None:
        true, _ = layer_labels(labels_true)
        codes[(true > 0) & (pred <= 0)] = CODES["missed"] + FAINT
        codes[(true == 0) & (pred > 0)] = CODES["false"] + FAINT
        codes[true < 0] = IGNORED
    codes[outlines(pred, thickness)] = CODES["hit"]
    return encode(codes)


def encode(codes: Codes) -> str:
    """Return codes (Y, X) as a PNG with a palette; 0 is transparent."""
    from PIL import Image

    colours = np.zeros((16, 4), np.uint8)
    for name, colour in COLOURS.items():
        colours[CODES[name]] = [*bytes.fromhex(colour[1:]), 255]
    colours[UNCOUNTED] = 170, 170, 170, 255
    colours[FAINT:] = colours[:FAINT]
    colours[FAINT + 1 :, 3] = 150
    colours[IGNORED] = 128, 128, 128, 110
    picture = Image.fromarray(codes).convert("P")
    picture.putpalette(colours[:, :3].tobytes())
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True, bits=4, transparency=colours[:, 3].tobytes())
    return _uri(file, "png")


def curves_pictures(history: History) -> tuple[str, str]:
    """Return the training curves for a light and for a dark page, as data URIs."""
    return _figure(history, dark=False), _figure(history, dark=True)


def _figure(history: History, *, dark: bool) -> str:
    file = io.BytesIO()
    curves_figure(history, dark=dark).savefig(file, format="png", dpi=160)
    return _uri(file, "png")


def _uri(file: io.BytesIO, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
