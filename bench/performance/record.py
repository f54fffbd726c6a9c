"""What a group of rows measured, and where: one JSON file each."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.performance.contest import Contestant, Limits, Result

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Options:
    """What the command line asks of a group.

    Attributes
    ----------
    rounds : how often each contestant runs; None leaves it to the row.
    quick : tiny sizes, to see that everything runs.
    threads : for each contestant.
    only : rows whose title has this.
    """

    rounds: int | None = None
    quick: bool = False
    threads: int = 2
    only: str = ""


@dataclass(frozen=True)
class Row:
    """One contest.

    Attributes
    ----------
    title : of its table.
    contestants : the first is the one that the others are compared with.
    rounds : how often each runs.
    unit : of the work, as the page names it with "/s" behind: "Mpixel".
    per_unit : work in one such unit, as 1e6.
    note : what is the same for all, a sentence or two under the table.
    patience, limit : as in `contest.Limits`.
    """

    title: str
    contestants: Sequence[Contestant]
    rounds: int
    unit: str
    per_unit: float
    note: str = ""
    patience: float = 60.0
    limit: float = 600.0

    def limits(self, threads: int) -> Limits:
        """Those of its contest."""
        return Limits(threads, self.patience, self.limit)


@dataclass(frozen=True)
class Measured:
    """A row with its results; the first is that of ours."""

    title: str
    unit: str
    per_unit: float
    note: str
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Record:
    """A group of rows as it was measured.

    Attributes
    ----------
    name : of the group, and of its file.
    machine : processor, cores, what its instructions are, memory, system.
    load : average number of busy processes in the minute before; figures of a busy machine are poor.
    threads : of each contestant.
    rows : as measured.
    facts : what is counted, not timed, by the group's `facts(options)`.
    """

    name: str
    machine: str
    load: float
    threads: int
    rows: tuple[Measured, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


def machine() -> str:
    """This machine in a line."""
    words = {}
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        words = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = [
        flag
        for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
        if flag in words.get("flags", "").split()
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = words.get("model name") or platform.processor() or platform.machine()
    return (
        f"{name}, {os.cpu_count()} cores ({', '.join(flags)}), {memory:.0f} GiB, {platform.system()} "
        f"{platform.release().split('-')[0]}"
    )


def write(record: Record, folder: Path) -> Path:
    """Write `NAME.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record.name}.json"
    path.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> Record:
    """The record of a file that `write` wrote."""
    values = json.loads(path.read_text(encoding="utf-8"))
    rows = tuple(
        Measured(**{**row, "results": tuple(Result(**_tuples(one)) for one in row["results"])})
        for row in values["rows"]
    )
    return Record(**{**values, "rows": rows})


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
