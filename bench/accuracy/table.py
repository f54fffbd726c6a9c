"""The tables of docs/accuracy.md: peers at equal minutes, from the results."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from bench.accuracy.peers import PEERS, SETS
from bench.accuracy.record import Record
from bench.performance.contest import ROOT

PAGE = ROOT / "docs" / "accuracy.md"
BEGIN, END = "<!-- peers: python -m bench.accuracy table -->", "<!-- end of peers -->"
BUSY = 0.5
TITLES = {
    "nuclei": "dsb2018, 70 images to train, 30 to test",
    "isbi2012": "isbi2012, slices 00 to 23 to train, 24 to 29 to test",
    "hela": "DIC-C2DH-HeLa, mean of both directions",
}
MEASURES = {
    "nuclei": ("ap50", "ap", "seg", "dice"),
    "isbi2012": ("isbi_v_rand_thinned", "isbi_rand_error", "isbi_warping_error", "isbi_pixel_error", "ap50"),
    "hela": ("seg", "ap50", "ap", "dice"),
}
ERRORS = ("isbi_rand_error", "isbi_warping_error", "isbi_pixel_error")
"""Measures of which less is better."""


def with_tables(text: str, records: Sequence[Record]) -> str:
    """The page with the tables of these records between its two marks.

    Raises
    ------
    ValueError
        If the marks are not there.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"the page should have the lines {BEGIN} and {END} once each")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{tables(records)}\n{END}{rest.split(END)[1]}"


def tables(records: Sequence[Record]) -> str:
    """A table for each data set and number of minutes, the best first."""
    parts = []
    for dataset in SETS:
        for minutes in sorted({r.minutes for r in records if r.dataset == dataset}):
            parts.append(table([r for r in records if (r.dataset, r.minutes) == (dataset, minutes)]))
    return "\n".join(parts)


def table(records: Sequence[Record]) -> str:
    """One table, of records of one data set and one number of minutes."""
    dataset, minutes = records[0].dataset, records[0].minutes
    measures = MEASURES[dataset]
    rows = [[r for r in records if r.peer == peer] for peer in PEERS]
    rows = sorted(filter(None, rows), key=lambda row: _rank(row, measures[0]))
    lines = [
        f"### {TITLES[dataset]}, {minutes:g} minutes\n",
        f"| | {' | '.join(heading(name) for name in measures)} | seeds | training, s | how | repeat |",
        "|---" * (len(measures) + 5) + "|",
        *(_line(row, measures) for row in rows),
        f"\n{_foot(records)}\n",
    ]
    return "\n".join(lines)


def heading(name: str) -> str:
    """Of a measure's column."""
    return name.removeprefix("isbi_").replace("_", " ") + (" (less is better)" if name in ERRORS else "")


def shown(record: Record) -> dict[str, float]:
    """The measures of a record that its table shows."""
    return {name: v for name in MEASURES[record.dataset] if (v := record.scores.get(name)) is not None}


def spread(values: Sequence[float]) -> str:
    """Mean and, of several, sample standard deviation.

    Examples
    --------
    >>> spread([0.7, 0.8, 0.9])
    '0.800 ± 0.100'
    >>> spread([0.00035])
    '0.00035'
    """
    mean = statistics.fmean(values)
    places = 3 if mean >= 0.01 or mean == 0 else 5
    deviation = f" ± {statistics.stdev(values):.{places}f}" if len(values) > 1 else ""
    return f"{mean:.{places}f}{deviation}"


def _rank(row: Sequence[Record], measure: str) -> float:
    values = _values(row, measure)
    return -statistics.fmean(values) if values else 1.0


def _values(row: Sequence[Record], measure: str) -> list[float]:
    return [value for record in row if (value := record.scores.get(measure)) is not None]


def _line(row: Sequence[Record], measures: Sequence[str]) -> str:
    first, peer = row[0], PEERS[row[0].peer]
    done = [record for record in row if not record.failure]
    repeat = f"`bench/accuracy/run.sh {first.peer} {first.dataset} {first.minutes:g} {first.seed}`"
    if not done:
        return f"| {peer.title} | {first.failure}{' |' * len(measures)} | | {peer.recipe} | {repeat} |"
    cells = [spread(values) if (values := _values(done, name)) else "" for name in measures]
    seconds = statistics.fmean(s for record in done for s in record.seconds)
    seeds = ", ".join(str(record.seed) for record in sorted(done, key=lambda r: r.seed))
    failed = [f"seed {record.seed}: {record.failure}" for record in row if record.failure]
    how = "; ".join([peer.recipe, *_said(done), *failed])
    return f"| {peer.title} | {' | '.join(cells)} | {seeds} | {seconds:.0f} | {how} | {repeat} |"


def _said(records: Iterable[Record]) -> list[str]:
    """How many steps were done, the most telling figure of a training, from fewest to most."""
    steps = sorted(one["steps"] for record in records for one in record.said if "steps" in one)
    if not steps:
        return []
    return [f"{steps[0]} steps" if steps[0] == steps[-1] else f"{steps[0]} to {steps[-1]} steps"]


def _foot(records: Sequence[Record]) -> str:
    """Machine, how busy it was, and versions."""
    machines = sorted({f"{record.machine}; {record.threads} threads each" for record in records})
    load = max(record.load for record in records)
    busy = (
        f" **The machine was busy** (load up to {load:.1f}): fewer steps than by itself."
        if load > BUSY
        else ""
    )
    found: dict[str, set[str]] = {}
    for record in records:
        for package, version in record.versions.items():
            found.setdefault(package, set()).add(version)
    named = "; ".join(f"{package} {' and '.join(sorted(found[package]))}" for package in sorted(found))
    return f"Measured on: {' and '.join(machines)}.{busy} {named}."
