"""docs/performance.md from the results: ratios first, then medians, their spread, and how to repeat it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from types import ModuleType

from bench.performance.record import Measured, Record, Result

BUSY = 0.5
NO_PEERS = ("limit", "start")
"""Groups that set parts of ours, or what nobody can beat, beside ours."""
HEAD = """\
# Performance

Each table is one contest. Every contestant is a process of its own, bound to as many processors as the
others, that sets itself up and does one run that is not counted (*first*, in which an engine may compile).
Then they run in turn, A B C A B C, one at a time. A **ratio** is the median time of that contestant over the
median time of the first line: 2 means that it takes twice as long. Behind the median stand the quartiles of
the rounds. Peers run in environments of their own, with their defaults and with the settings that we believe
are their best. One whose first run takes long is not run again: then that run is its figure.

`make bench` measures all and writes this page; the figures lie in `bench/performance/results/`.
"""


def page(records: Mapping[str, Record], groups: Mapping[str, ModuleType]) -> str:
    """The page of all groups that were measured, in the order of `groups`."""
    known = [name for name in groups if name in records]
    pages = [group_page(records[name], groups[name]) for name in known]
    return "\n".join([HEAD, losses([records[name] for name in known]), *pages])


def losses(records: Sequence[Record]) -> str:
    """Where somebody else was faster, so that nobody has to look for it."""
    lines = []
    for row in (row for record in records if record.name not in NO_PEERS for row in record.rows):
        ours, *others = row.results
        for other in others:
            if not (ours.seconds and other.seconds):
                continue
            ratio = _per_work(other) / _per_work(ours)
            if ratio < 1 and not other.name.startswith(ours.name):
                lines.append(f"| {row.title} | {other.name} | {figure(ratio)} | {other.note} |")
    if not lines:
        return "## Where others are faster\n\nIn no row below.\n"
    said = "Training is counted by patches here; by labelled pixels see its own table.\n"
    head = "| row | who | ratio | settings |\n|---|---|---|---|"
    return "\n".join(["## Where others are faster\n", said, head, *lines]) + "\n"


def _per_work(one: Result) -> float:
    """Seconds for one piece of work."""
    return statistics.median(one.seconds) / (one.work or 1)


def group_page(record: Record, group: ModuleType) -> str:
    """One group: its introduction, its tables, and how to repeat it."""
    body = group.page(record) if hasattr(group, "page") else "\n".join(map(row_page, record.rows))
    busy = (
        f" In the minute before, the load was {record.load:.1f}: of the group before, or of others; "
        "if of others, only the ratios say something, roughly."
    )
    foot = (
        f"Measured on: {record.machine}; {record.threads} threads each.{busy if record.load > BUSY else ''} "
        f"{versions(record)}\n\nRepeat: `python -m bench.performance {record.name}`\n"
    )
    return "\n".join(
        [f"## {group.TITLE}\n", f"{group.INTRODUCTION}\n" * bool(group.INTRODUCTION), body, foot]
    )


def row_page(row: Measured) -> str:
    """The table of one contest."""
    lines = [
        f"### {row.title}\n",
        f"| | ratio | median (quartiles), s | {row.unit}/s | first, s | memory, GB | settings |",
        "|---|---|---|---|---|---|---|",
        *(table_line(one, row) for one in row.results),
    ]
    return "\n".join(lines) + "\n" + f"\n{row.note}\n" * bool(row.note)


def table_line(one: Result, row: Measured) -> str:
    """The line of one contestant; of one without figures, why."""
    if not one.seconds:
        return f"| {one.name} | | {one.failure} | | | | {one.note} |"
    median = statistics.median(one.seconds)
    ours = row.results[0].seconds
    ratio = figure(median / statistics.median(ours)) if ours else ""
    rate = one.work / row.per_unit / median
    return (
        f"| {one.name} | {ratio} | {spread(one.seconds)} | {figure(rate)} | {figure(one.first or 0)} | "
        f"{one.peak_bytes / 1e9:.1f} | {settings(one)} |"
    )


def settings(one: Result) -> str:
    """Its note, and what its last run told: what it chose by itself."""
    return ", ".join(filter(None, [one.note, *(f"{name} {value}" for name, value in one.said.items())]))


def spread(seconds: Sequence[float]) -> str:
    """Median and quartiles; of one run the seconds, and that it is one."""
    if len(seconds) == 1:
        return f"{figure(seconds[0])} (one run)"
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return f"{figure(median)} ({figure(low)} to {figure(high)})"


def figure(value: float) -> str:
    """Three digits that count."""
    if value >= 100 or value == 0:
        return f"{value:.0f}"
    places = 2
    while value < 10 ** (2 - places) and places < 8:
        places += 1
    return f"{value:.{places - (value >= 10)}f}"


def versions(record: Record) -> str:
    """Of every package that took part; several where environments differ."""
    found: dict[str, set[str]] = {}
    for row in record.rows:
        for one in row.results:
            for package, version in one.versions.items():
                found.setdefault(package, set()).add(version)
    return "; ".join(f"{package} {' and '.join(sorted(found[package]))}" for package in sorted(found)) + "."
