"""What came of a row: one JSON file each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
CPU = "cpu"
Scores = Mapping[str, float | None]


@dataclass(frozen=True)
class Record:
    """A peer on a data set, with one seed.

    Attributes
    ----------
    peer, dataset : by name.
    minutes : the budget of each training.
    seed : of the training.
    machine, threads : what it ran on.
    load : processors that others kept busy meanwhile, on average; a busy machine gives a peer fewer steps.
    scores : averaged over the ways to split the set; None where a measure is not defined.
    seconds : that each training took, data preparation included.
    said : what each training tells of itself.
    versions : of Python and of the packages.
    failure : why there are no scores, if so.
    device : "cpu", or the name of the GPU; rows of different devices never stand in one table.
    """

    peer: str
    dataset: str
    minutes: float
    seed: int
    machine: str
    threads: int
    load: float
    scores: Scores = field(default_factory=dict)
    seconds: tuple[float, ...] = ()
    said: tuple[Mapping[str, Any], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""
    device: str = CPU

    def name(self) -> str:
        """Of its file and of its folder in runs/accuracy."""
        gpu = "" if self.device == CPU else "-" + re.sub("[^a-z0-9]+", "-", self.device.lower()).strip("-")
        return f"{self.peer}-{self.dataset}-{self.minutes:g}-{self.seed}{gpu}"


def write(record: Record, folder: Path) -> Path:
    """Write `PEER-DATASET-MINUTES-SEED.json`, or `PEER-DATASET-MINUTES-SEED-GPU.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record.name()}.json"
    path.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> Record:
    """The record of a file that `write` wrote."""
    values = json.loads(path.read_text(encoding="utf-8"))
    return Record(**{**values, "seconds": tuple(values["seconds"]), "said": tuple(values["said"])})
