"""Train a peer and score it, or write the tables.

python -m bench.accuracy run smp nuclei 10     trains 10 minutes, predicts, scores: one row, seed 0
python -m bench.accuracy run unseam nuclei 10 2                  ours, seed 2
python -m bench.accuracy table                 writes the tables of docs/accuracy.md from what was measured

The data are looked for in UNSEAM_DATA, or ../shared/data beside the repository. What a row leaves behind
lies in runs/accuracy/PEER-DATASET-MINUTES-SEED; its result in bench/accuracy/results, from which the tables
are made.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from bench.accuracy.peers import PEERS, SETS
from bench.accuracy.record import RESULTS, read, write
from bench.accuracy.table import PAGE, shown, with_tables
from bench.performance.contest import ROOT


def main(arguments: list[str] | None = None) -> int:
    """Run a row, or write the tables; 2 if the data are absent or the peer does not fit them."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.accuracy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="one row")
    run.add_argument("peer", choices=PEERS, metavar="PEER", help=", ".join(PEERS))
    run.add_argument("dataset", choices=SETS, metavar="DATASET", help=", ".join(SETS))
    run.add_argument("minutes", type=float, metavar="MINUTES", help="of the whole training")
    run.add_argument("seed", type=int, nargs="?", default=0, metavar="SEED", help="default 0")
    run.add_argument("--threads", type=int, default=2, help="and processors (default 2)")
    table = commands.add_parser("table", help="the tables of docs/accuracy.md")
    for command in (run, table):
        command.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    table.add_argument("--page", type=Path, default=PAGE, help="the page whose tables are written")
    options = parser.parse_args(arguments)
    return _run(options) if options.command == "run" else _table(options)


def _run(options: argparse.Namespace) -> int:
    from bench.accuracy.running import run_row

    from unseam.workflow.reproduction.protocols import protocol

    name, dataset = options.peer, options.dataset
    data = Path(os.environ.get("UNSEAM_DATA", ROOT.parent / "shared" / "data")) / protocol(dataset).folder
    if not data.is_dir():
        print(
            f"{data} is not there; set UNSEAM_DATA to the folder that holds {data.name}, "
            f"which `unseam reproduce {dataset}` can fetch",
            file=sys.stderr,
        )
        return 2
    if dataset not in PEERS[name].datasets:
        fits = ", ".join(PEERS[name].datasets)
        print(f"{PEERS[name].title} does not fit {dataset}; it is measured on {fits}", file=sys.stderr)
        return 2
    out = ROOT / "runs" / "accuracy" / f"{name}-{dataset}-{options.minutes:g}-{options.seed}"
    record = run_row(
        name, dataset, options.minutes, options.seed, data=data, out=out, threads=options.threads
    )
    print(write(record, options.results))
    print(record.failure or ", ".join(f"{k} {v:.3f}" for k, v in shown(record).items()))
    return 1 if record.failure else 0


def _table(options: argparse.Namespace) -> int:
    records = [read(path) for path in sorted(options.results.glob("*.json"))]
    text = options.page.read_text(encoding="utf-8")
    options.page.write_text(with_tables(text, records), encoding="utf-8")
    print(options.page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
