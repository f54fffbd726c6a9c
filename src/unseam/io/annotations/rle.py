"""Run lengths of COCO: how many pixels are outside, inside, outside, ... down the columns, one after another.

::

    mask       0 1      columns one after another: 0 1 | 1 1
               1 1      counts: [1, 3]

In a file the counts are a list, or the text of pycocotools, six bits a letter: five bits of a number, lowest
first, and one that says whether more follow; from the fourth count on, of the difference to the count before
the last.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseam.errors import LabelError

Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]

_FIRST = 48  # the letter "0" is the number 0
_BITS, _MORE, _NEGATIVE = 5, 0x20, 0x10


def count_runs(mask: Mask, origin: tuple[int, int], size: tuple[int, int]) -> Counts:
    """Return the counts of a mask that is a window of a larger image, which is empty elsewhere.

    Parameters
    ----------
    mask : ndarray of bool, (y, x)
    origin : where its first pixel lies in the image.
    size : height and width of the image; the window lies within.

    Examples
    --------
    >>> count_runs(np.array([[False, True], [True, True]]), (0, 0), (2, 2)).tolist()
    [1, 3]
    """
    height, width = size
    columns, rows = np.nonzero(mask.T)
    places = (columns + origin[1]) * height + rows + origin[0]
    ends = np.flatnonzero(np.diff(places) > 1)
    starts = places[np.append(0, ends + 1)] if len(places) else places
    stops = places[np.append(ends, -1)] + 1 if len(places) else places
    edges = np.concatenate([[0], np.column_stack([starts, stops]).ravel(), [height * width]])
    counts = np.diff(edges).astype(np.int64)
    return counts if len(counts) == 1 or counts[-1] else counts[:-1]


def fill_runs(counts: Counts, size: tuple[int, int]) -> tuple[Mask, int]:
    """Return the columns of the mask that hold something, (height, n), and the number of the first of them.

    Raises
    ------
    LabelError
        If a count is negative, or they are not as many pixels as the image has.
    """
    height, width = size
    if (counts < 0).any() or counts.sum() != height * width:
        raise LabelError(
            f"run lengths of {int(counts.sum())} pixels were given for an image of {height} x {width}, which "
            f"has {height * width}; the file is damaged, or of another image"
        )
    edges = np.cumsum(counts)
    starts, stops = edges[:-1:2], edges[1::2]
    held = stops > starts
    if not held.any():
        return np.zeros((height, 0), np.bool_), 0
    first, last = int(starts[held][0]) // height, int(stops[held][-1] - 1) // height
    steps = np.zeros((last - first + 1) * height + 1, np.int8)
    np.add.at(steps, starts[held] - first * height, 1)
    np.add.at(steps, stops[held] - first * height, -1)
    inside = np.cumsum(steps[:-1], dtype=np.int8) > 0
    return inside.reshape(-1, height).T, first


def to_text(counts: Counts) -> str:
    """Return counts as pycocotools writes them.

    Examples
    --------
    >>> to_text(np.array([1, 3])), to_text(np.array([6, 1, 40, 4, 13]))
    ('13', '61X13UO')
    """
    rest = counts.copy()
    rest[3:] -= counts[1:-2]
    letters = []
    going = np.ones(len(rest), np.bool_)
    while going.any():
        low = rest & (_MORE - 1)
        rest = rest >> _BITS
        more = going & (rest != np.where(low & _NEGATIVE, -1, 0))
        letters.append(np.where(going, low + _MORE * more + _FIRST, 0))
        going = more
    text = np.array(letters, np.uint8).T.ravel() if letters else np.zeros(0, np.uint8)
    return text[text > 0].tobytes().decode("ascii")


def from_text(text: str) -> Counts:
    """Return the counts that `to_text` wrote.

    Raises
    ------
    LabelError
        If it holds other letters, or ends within a number.
    """
    codes = np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int64) - _FIRST
    if (codes < 0).any() or (codes >= 2 * _MORE).any() or (len(codes) and codes[-1] & _MORE):
        raise LabelError(
            f"run lengths {text[:20]!r} are no compressed run lengths of COCO; the file is damaged"
        )
    ends = np.flatnonzero(codes & _MORE == 0)
    starts = np.append(0, ends[:-1] + 1)[: len(ends)]
    lengths = ends - starts + 1
    if len(lengths) and lengths.max() > 12:
        raise LabelError(f"run lengths {text[:20]!r} hold a number of more than 60 bits; the file is damaged")
    place = np.arange(len(codes)) - np.repeat(starts, lengths)
    counts = np.zeros(len(ends), np.int64)
    np.add.at(counts, np.repeat(np.arange(len(ends)), lengths), (codes & (_MORE - 1)) << (_BITS * place))
    counts[codes[ends] & _NEGATIVE > 0] -= (1 << (_BITS * lengths))[codes[ends] & _NEGATIVE > 0]
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts
