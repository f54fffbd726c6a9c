"""Measure groups of rows, or write the page.

python -m bench.performance prediction limit   measures these two
python -m bench.performance all                measures every group
python -m bench.performance page               writes docs/performance.md from what was measured
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from types import ModuleType

from bench.performance.contest import ROOT, contest
from bench.performance.page import group_page, page
from bench.performance.record import RESULTS, Measured, Options, Record, Row, machine, read, write
from bench.performance.rows import groups

PAGE = ROOT / "docs" / "performance.md"


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for."""
    known = groups()
    parser = argparse.ArgumentParser(
        prog="python -m bench.performance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="+", choices=[*known, "all", "page"], metavar="NAME")
    parser.add_argument("--rounds", type=int, help="runs of each contestant (default: those of each row)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, printed and not kept without --out")
    parser.add_argument("--only", default="", help="rows with this in their title; printed too")
    parser.add_argument("--threads", type=int, default=2, help="of each contestant (default 2)")
    parser.add_argument("--out", type=Path, help="folder of the results (default bench/performance/results)")
    options = parser.parse_args(arguments)
    folder = options.out or RESULTS
    asked = Options(options.rounds, options.quick, options.threads, options.only)
    for name in known if "all" in options.names else [n for n in options.names if n != "page"]:
        record = measure(name, known[name], asked)
        if options.out or not (options.quick or options.only):
            print(write(record, folder))
        print(group_page(record, known[name]))
    if "page" in options.names:
        records = {path.stem: read(path) for path in folder.glob("*.json")}
        target = options.out / PAGE.name if options.out else PAGE
        target.write_text(page(records, known), encoding="utf-8")
        print(target)
    return 0


def measure(name: str, group: ModuleType, options: Options) -> Record:
    """Every row of a group, one after another."""
    load = os.getloadavg()[0]
    rows = tuple(_measured(row, options) for row in group.rows(options) if options.only in row.title)
    facts = group.facts(options) if hasattr(group, "facts") else {}
    return Record(name, machine(), load, options.threads, rows, facts)


def _measured(row: Row, options: Options) -> Measured:
    print(row.title, file=sys.stderr)
    results = contest(row.contestants, options.rounds or row.rounds, limits=row.limits(options.threads))
    return Measured(row.title, row.unit, row.per_unit, row.note, results)


if __name__ == "__main__":
    sys.exit(main())
