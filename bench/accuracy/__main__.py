"""Train a peer and score it, or write the tables.

python -m bench.accuracy run smp nuclei 10     trains 10 minutes, predicts, scores: one row, seed 0
python -m bench.accuracy run unseam nuclei 10 2                  ours, seed 2
python -m bench.accuracy run unseam nuclei 10 2 --device cuda    on a GPU, which ours alone can do here
python -m bench.accuracy table                 writes the tables of docs/accuracy.md from what was measured

The data are looked for in UNSEAM_DATA, or ../shared/data beside the repository, else they are fetched as by
`unseam reproduce`. What a row leaves behind lies in runs/accuracy/PEER-DATASET-MINUTES-SEED, or in the folder
UNSEAM_RUNS instead of runs/accuracy; its result in bench/accuracy/results, from which the tables are made.
That of a GPU has its name behind the seed.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from bench.accuracy.measures import shown
from bench.accuracy.peers import PEERS, SETS
from bench.accuracy.record import CPU, RESULTS, Record, read, write
from bench.accuracy.table import PAGE, with_tables
from bench.performance.contest import ROOT


def main(arguments: list[str] | None = None) -> int:
    """Run a row, or write the tables; 2 if data or device are absent or the peer does not fit them."""
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
    run.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default cpu; cuda for ours")
    run.add_argument("--missing", action="store_true", help="do nothing if it is measured and no failure")
    table = commands.add_parser("table", help="the tables of docs/accuracy.md")
    for command in (run, table):
        command.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    table.add_argument("--page", type=Path, default=PAGE, help="the page whose tables are written")
    options = parser.parse_args(arguments)
    return _run(options) if options.command == "run" else _table(options)


def _run(options: argparse.Namespace) -> int:
    from bench.accuracy.running import name_of, run_row

    from unseam.errors import UnseamError
    from unseam.prediction import choose_device

    about = {name: getattr(options, name) for name in ("peer", "dataset", "minutes", "seed", "threads")}
    try:
        _refuse_misfit(options)
        choose_device(options.device)
        planned = Record(**about, machine="", load=0.0, device=name_of(options.device))
        result = options.results / f"{planned.name()}.json"
        if options.missing and result.is_file() and not read(result).failure:
            print(f"{planned.name()} is measured already")
            return 0
        data = _data(options.dataset)
    except UnseamError as error:
        print(error, file=sys.stderr)
        return 2
    out = Path(os.environ.get("UNSEAM_RUNS", ROOT / "runs" / "accuracy")) / planned.name()
    record = run_row(about, data=data, out=out, device=options.device)
    print(write(record, options.results))
    print(record.failure or ", ".join(f"{k} {v:.3f}" for k, v in shown(record).items()))
    return 1 if record.failure else 0


def _refuse_misfit(options: argparse.Namespace) -> None:
    """Raise where the peer does not fit the set or the device."""
    from unseam.errors import InputError

    one = PEERS[options.peer]
    if options.dataset not in one.datasets:
        fits = ", ".join(one.datasets)
        raise InputError(f"{one.title} does not fit {options.dataset}; it is measured on {fits}")
    if one.script and options.device != CPU:
        raise InputError(f"{one.title} is measured on the CPU alone; leave out --device")


def _data(dataset: str) -> Path:
    """The folder of a set: that of UNSEAM_DATA, or beside the repository, or fetched."""
    from unseam.errors import InputError
    from unseam.io.remembered import cache_folder
    from unseam.workflow.listener import printing
    from unseam.workflow.reproduction.protocols import protocol
    from unseam.workflow.reproduction.sources import find_folder

    chosen, stated = protocol(dataset), os.environ.get("UNSEAM_DATA")
    folder = Path(stated or ROOT.parent / "shared" / "data") / chosen.folder
    if folder.is_dir():
        return folder
    if stated:
        raise InputError(
            f"{folder} is not there; set UNSEAM_DATA to the folder that holds {folder.name}, or to none, and "
            "it is fetched"
        )
    return find_folder(chosen.folder, chosen.source, None, cache_folder() / "data", printing())


def _table(options: argparse.Namespace) -> int:
    records = [read(path) for path in sorted(options.results.glob("*.json"))]
    text = options.page.read_text(encoding="utf-8")
    options.page.write_text(with_tables(text, records), encoding="utf-8")
    print(options.page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
