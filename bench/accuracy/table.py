"""The tables of docs/accuracy.md: figures to reach, who is ahead, and peers at equal minutes."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from bench.accuracy.figures import figures
from bench.accuracy.measures import ERRORS, MEASURES, better, heading, mean, spread, values_of
from bench.accuracy.peers import PEERS, SETS
from bench.accuracy.record import CPU, Record
from bench.performance.contest import ROOT

PAGE = ROOT / "docs" / "accuracy.md"
WRITTEN = "python -m bench.accuracy table"
FIGURES = (f"<!-- figures: {WRITTEN} -->", "<!-- end of figures -->")
PEER_TABLES = (f"<!-- peers: {WRITTEN} -->", "<!-- end of peers -->")
BUSY = 0.05
"""Processors that others take, from which the page says so."""
OURS = "unseam"
NONE = "Not measured yet.\n"
TITLES = {
    "nuclei": "dsb2018, 70 images to train, 30 to test",
    "isbi2012": "isbi2012, slices 00 to 23 to train, 24 to 29 to test",
    "hela": "DIC-C2DH-HeLa, mean of both directions",
}


def with_tables(text: str, records: Sequence[Record]) -> str:
    """The page with the tables of these records between their marks.

    Raises
    ------
    ValueError
        If the marks are not there.
    """
    for (begin, end), made in ((FIGURES, figures(records)), (PEER_TABLES, tables(records))):
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"the page should have the lines {begin} and {end} once each")
        before, rest = text.split(begin)
        text = f"{before}{begin}\n\n{made}\n{end}{rest.split(end)[1]}"
    return text


def tables(records: Sequence[Record]) -> str:
    """Who is ahead of ours, then a table for each contest, the best first."""
    contests = contests_of(records)
    if not contests:
        return NONE
    return "\n".join([ahead(contests), *(table(one) for one in contests)])


def contests_of(records: Sequence[Record]) -> list[list[Record]]:
    """The records of each data set, device and number of minutes: those that may be compared."""
    keys = {(SETS.index(r.dataset), r.device != CPU, r.device, r.minutes) for r in records}
    return [
        [r for r in records if (r.dataset, r.device, r.minutes) == (SETS[dataset], device, minutes)]
        for dataset, _, device, minutes in sorted(keys)
    ]


def ahead(contests: Sequence[Sequence[Record]]) -> str:
    """Every measure of a contest in which a peer is better than our default preset in the mean."""
    lines, without = [], []
    for records in contests:
        ours, where = _of(records, OURS), f"{records[0].dataset}, {_budget(records[0])}"
        others = [peer for peer in PEERS if PEERS[peer].script and _done(records, peer)]
        if others and not _done(records, OURS):
            without.append(where)
        for measure in MEASURES[records[0].dataset]:
            mine = values_of(ours, measure)
            for peer in others:
                theirs = values_of(_of(records, peer), measure)
                if mine and theirs and better(measure, mean(theirs), mean(mine)):
                    title = PEERS[peer].title
                    lines.append(
                        f"| {where} | {heading(measure)} | {title} | {spread(theirs)} | {spread(mine)} |"
                    )
    parts = ["### Where others are ahead"]
    if lines:
        parts.append("\n".join(["| contest | measure | who | theirs | ours |", "|---" * 5 + "|", *lines]))
    elif any(_done(records, OURS) for records in contests):
        parts.append("In no measure of the contests below in which ours took part.")
    if without:
        parts.append(f"Ours has no result yet, so nothing is said of: {'; '.join(without)}.")
    return "\n\n".join(parts) + "\n"


def _of(records: Iterable[Record], peer: str) -> list[Record]:
    return [record for record in records if record.peer == peer]


def _done(records: Iterable[Record], peer: str) -> list[Record]:
    return [record for record in _of(records, peer) if not record.failure]


def _budget(record: Record) -> str:
    where = "" if record.device == CPU else f" on {record.device}"
    return f"{record.minutes:g} minutes{where}"


def table(records: Sequence[Record]) -> str:
    """One table, of the records of one contest."""
    dataset = records[0].dataset
    measures = MEASURES[dataset]
    rows = sorted(filter(None, (_of(records, peer) for peer in PEERS)), key=lambda r: _rank(r, measures[0]))
    best = {measure: _best(rows, measure) for measure in measures}
    lines = [
        f"### {TITLES[dataset]}, {_budget(records[0])}\n",
        f"| | {' | '.join(heading(name) for name in measures)} | seeds | training, s | how | repeat |",
        "|---" * (len(measures) + 5) + "|",
        *(_line(row, best) for row in rows),
        f"\n{_foot(records)}\n",
    ]
    return "\n".join(lines)


def _rank(row: Sequence[Record], measure: str) -> float:
    values = values_of(row, measure)
    return -mean(values) if values else 1.0


def _best(rows: Iterable[Sequence[Record]], measure: str) -> float | None:
    """The best mean of a column, of two rows or more that have one."""
    means = [mean(values) for row in rows if (values := values_of(row, measure))]
    if len(means) < 2:
        return None
    return min(means) if measure in ERRORS else max(means)


def _cell(row: Sequence[Record], measure: str, best: float | None) -> str:
    values = values_of(row, measure)
    if not values:
        return ""
    return f"**{spread(values)}**" if mean(values) == best else spread(values)


def _line(row: Sequence[Record], best: dict[str, float | None]) -> str:
    first, peer = row[0], PEERS[row[0].peer]
    done = [record for record in row if not record.failure]
    repeat = f"`bench/accuracy/run.sh {first.peer} {first.dataset} {first.minutes:g} {first.seed}"
    repeat += "`" if first.device == CPU else f" --device cuda --threads {first.threads}`"
    if not done:
        return f"| {peer.title} | {first.failure}{' |' * len(best)} | | {peer.recipe} | {repeat} |"
    cells = [_cell(done, measure, value) for measure, value in best.items()]
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
        f" **Other work** kept up to {load:.2f} processors busy meanwhile: fewer steps than without it."
        if load > BUSY
        else ""
    )
    found: dict[str, set[str]] = {}
    for record in records:
        for package, version in record.versions.items():
            found.setdefault(package, set()).add(version)
    named = "; ".join(f"{package} {' and '.join(sorted(found[package]))}" for package in sorted(found))
    return f"Measured on: {' and '.join(machines)}.{busy} {named}."
