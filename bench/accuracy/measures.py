"""The measures that the tables of docs/accuracy.md show, and how figures are written."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from bench.accuracy.record import Record

MEASURES = {
    "nuclei": ("ap50", "ap", "v_rand", "seg", "dice"),
    "isbi2012": (
        "isbi_v_rand_thinned",
        "isbi_rand_error",
        "isbi_split_merge_error",
        "isbi_pixel_error",
        "ap50",
    ),
    "hela": ("seg", "ap50", "ap", "v_rand", "dice"),
}
PLACES = 3
"""Digits that are shown; of what is below 0.01 twice as many."""
ERRORS = ("isbi_rand_error", "isbi_warping_error", "isbi_split_merge_error", "isbi_pixel_error")
"""Measures of which less is better."""
NAMES = {"isbi_split_merge_error": "warping error", "isbi_warping_error": "warping error, all of it"}
"""That of the table of 2012 is the part that merges or splits cells; see `unseam.metrics.isbi`."""


def heading(name: str) -> str:
    """What a measure is called, and whether less of it is better.

    Examples
    --------
    >>> heading("isbi_rand_error")
    'rand error (less is better)'
    """
    plain = NAMES.get(name, name.removeprefix("isbi_").replace("_", " "))
    return plain + (" (less is better)" if name in ERRORS else "")


def shown(record: Record) -> dict[str, float]:
    """The measures of a record that its table shows."""
    return {name: v for name in MEASURES[record.dataset] if (v := record.scores.get(name)) is not None}


def values_of(records: Iterable[Record], measure: str) -> list[float]:
    """A measure in those of the records that have it."""
    return [value for record in records if (value := record.scores.get(measure)) is not None]


def mean(values: Sequence[float]) -> float:
    """Of one value or more."""
    return statistics.fmean(values)


def places_of(value: float) -> int:
    """How many decimal places of a figure are shown."""
    return PLACES if value >= 0.01 or value == 0 else 2 * PLACES


def better(measure: str, a: float, b: float) -> bool:
    """Whether `a` is better than `b`."""
    return a < b if measure in ERRORS else a > b


def spread(values: Sequence[float]) -> str:
    """Mean and, of several, sample standard deviation.

    Examples
    --------
    >>> spread([0.7, 0.8, 0.9])
    '0.800 ± 0.100'
    >>> spread([0.00035])
    '0.00035'
    """
    middle = mean(values)
    places = places_of(middle)
    deviation = f" ± {statistics.stdev(values):.{places}f}" if len(values) > 1 else ""
    return f"{middle:.{places}f}{deviation}"
