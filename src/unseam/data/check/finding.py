"""A finding, and the words of its message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import NDArray

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """Something suspicious.

    Attributes
    ----------
    severity : str
        "error": training cannot use this; "warning": most likely wrong; "note": good to know.
    stem : str or None
        The image it is about; None where it is about several, or all.
    message : str
        One sentence: what was found, and what to do.
    """

    severity: str
    stem: str | None
    message: str


error, warning, note = (partial(Finding, severity) for severity in SEVERITIES)


def listed(names: Sequence[str]) -> str:
    """The first three, and how many more."""
    if len(names) <= 3:
        return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return f"{', '.join(names[:3])} and {len(names) - 3} more"


def counted(number: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def by(numbers: Iterable[float]) -> str:
    """`512 x 640`, or `0.5 x 0.5`."""
    return " x ".join(f"{number:.4g}" if isinstance(number, float) else str(number) for number in numbers)


def placed(place: NDArray[Any]) -> str:
    """`y 12, x 40`, or with z before."""
    return ", ".join(f"{axis} {at}" for axis, at in zip("zyx"[-len(place) :], place, strict=True))
