"""Which part of an image is meant: "t=0, c=1, z=5, level=0, y=0:4096, x=1000:3000"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from unseam.axes import LETTERS
from unseam.errors import InputError

_PART = re.compile(r"\s*([A-Za-z]+)\s*=\s*([0-9:+\s]+?)\s*")
_RANGE = re.compile(r"\s*([0-9]*)\s*(:?)\s*([0-9]*)\s*")
_EXAMPLE = '"t=0, c=1, z=5, level=0, y=0:4096, x=1000:3000"'


@dataclass(frozen=True)
class Pick:
    """What is wanted along one axis.

    Attributes
    ----------
    letter : one of T C Z Y X.
    ranges : (start, stop) each, half open; a stop of None is the end of the axis.
    single : whether it was one index, such as t=0; T and Z are then gone from the image.
    """

    letter: str
    ranges: tuple[tuple[int, int | None], ...]
    single: bool = False

    def within(self, size: int, name: str) -> tuple[tuple[int, int], ...]:
        """The ranges in numbers, for an axis of `size` pixels.

        Raises
        ------
        InputError
            If a range reaches beyond the axis or holds nothing; `name` is what the message calls the image.
        """
        ranges = tuple((start, size if stop is None else stop) for start, stop in self.ranges)
        for start, stop in ranges:
            if not 0 <= start < stop <= size:
                what = f"{start}" if self.single else f"{start}:{stop}"
                raise InputError(
                    f"{self.letter.lower()}={what} was asked for, but {self.letter} of {name} goes from 0 to "
                    f"{size - 1}; give {self.letter.lower()}=0:{size} or a part of it"
                )
        return ranges


@dataclass(frozen=True)
class Selection:
    """A part of an image.

    Attributes
    ----------
    picks : one for each axis of which a part is wanted.
    level : of a pyramid; 0 is the finest.
    """

    picks: tuple[Pick, ...] = ()
    level: int = 0

    def pick(self, letter: str) -> Pick | None:
        """What is wanted along an axis, or None for all of it."""
        return next((pick for pick in self.picks if pick.letter == letter), None)


def parse_selection(text: str | Selection | None) -> Selection:
    """Return the selection that `text` means; nothing given means the whole image at its finest level.

    Parameters
    ----------
    text : str
        Parts with commas between them: an index ("t=0"), a half open range ("y=0:4096", "x=1000:"),
        for channels also several of them ("c=0:2+4"), and "level=1".

    Raises
    ------
    InputError
        If a part is not understood, a letter is unknown or comes twice, or Y or X is one index.

    Example
    -------
    >>> parse_selection("z=5, y=0:64").pick("Z")
    Pick(letter='Z', ranges=((5, 6),), single=True)
    """
    if isinstance(text, Selection):
        return text
    picks: dict[str, Pick] = {}
    level: int | None = None
    for part in (text or "").split(","):
        if not part.strip():
            continue
        match = _PART.fullmatch(part)
        if match is None:
            raise InputError(f"{part.strip()!r} is not understood; select by {_EXAMPLE}")
        name, value = match[1].upper(), match[2]
        if name in picks or (name == "LEVEL" and level is not None):
            raise InputError(f"{name.lower()} is given twice in {text!r}; give it once")
        if name == "LEVEL":
            level = _level(value)
        elif name in LETTERS and len(name) == 1:
            picks[name] = _pick(name, value)
        else:
            raise InputError(f"{name.lower()!r} is unknown; select by t, c, z, y, x and level")
    return Selection(tuple(picks.values()), level or 0)


def _level(value: str) -> int:
    if not value.strip().isdigit():
        raise InputError(f"level={value} was given; give one number, 0 for the finest level")
    return int(value)


def _pick(letter: str, value: str) -> Pick:
    parts = value.split("+")
    if len(parts) > 1 and letter != "C":
        raise InputError(f"{letter.lower()}={value} was given; only c takes several ranges, give one")
    ranges, single = [], False
    for part in parts:
        match = _RANGE.fullmatch(part)
        if match is None or not (match[1] or match[2]):
            raise InputError(f"{letter.lower()}={value} is not understood; select by {_EXAMPLE}")
        start, colon, stop = match.groups()
        if colon:
            ranges.append((int(start or 0), int(stop) if stop else None))
        else:
            ranges.append((int(start), int(start) + 1))
            single = len(parts) == 1
    if single and letter in "YX":
        low = letter.lower()
        raise InputError(f"{low}={value} is one line of pixels; give a range such as {low}=0:4096")
    return Pick(letter, tuple(ranges), single)
