"""One row: environment, training, prediction, scores."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.accuracy.job import collect_labels, draw, write_job, write_truth
from bench.accuracy.others import Others, first_processors
from bench.accuracy.peers import PEERS, Peer
from bench.accuracy.record import CPU, Record
from bench.performance.contest import ROOT, THREAD_COUNTS, keep_to, peer
from bench.performance.record import machine
from bench.performance.serving import versions

from unseam.config import DataConfig
from unseam.plan import AVERAGED
from unseam.workflow.evaluation import evaluate_files
from unseam.workflow.reproduction.protocols import Protocol, protocol, rows_of
from unseam.workflow.reproduction.running import folder_of
from unseam.workflow.trial import Row

MAKE = ROOT / "bench" / "performance" / "peers" / "make.sh"


@dataclass(frozen=True)
class Way:
    """One way to split a set, done by a peer.

    Attributes
    ----------
    scores : of the test images.
    seconds : of the training.
    said : what it tells of itself.
    versions : of packages.
    """

    scores: Mapping[str, float | None]
    seconds: float
    said: Mapping[str, Any]
    versions: Mapping[str, str]


class Failed(Exception):
    """A peer that could not be installed, or that ended without a result; the message says why."""


def run_row(about: Mapping[str, Any], *, data: Path, out: Path, device: str = CPU) -> Record:
    """Train on the training images of a set, predict the test images, score; `out` keeps it all.

    Parameters
    ----------
    about : peer, dataset, minutes, seed and threads, as of `Record`.
    data : folder of the set.
    device : "cpu" or "cuda".
    """
    others = Others(first_processors(about["threads"]))
    record = _measured(about, data=data, out=out, device=device)
    return replace(record, load=others.busy())


def _measured(about: Mapping[str, Any], *, data: Path, out: Path, device: str) -> Record:
    chosen, one = protocol(about["dataset"]), PEERS[about["peer"]]
    about = {**about, "machine": machine(), "load": 0.0, "device": name_of(device)}
    run = _ours if not one.script else _theirs
    out.mkdir(parents=True, exist_ok=True)
    where, ways = {"data": data, "device": device}, []
    try:
        if one.environment:
            make(one.environment, out / "install.log")
        for direction in chosen.directions:
            folder = out / direction.replace(" ", "-") if direction else out
            folder.mkdir(parents=True, exist_ok=True)
            rows = rows_of(chosen, direction, data, folder / "known")
            ways.append(run(one, chosen, rows, folder, {**about, **where, "direction": direction}))
    except Failed as error:
        return Record(**about, failure=str(error))
    return Record(
        **about,
        scores=averaged([way.scores for way in ways]),
        seconds=tuple(round(way.seconds, 1) for way in ways),
        said=tuple(way.said for way in ways),
        versions=ways[0].versions,
    )


def averaged(scores: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Over the ways to split the set; None where one of them is."""
    found: dict[str, float | None] = {}
    for name in scores[0]:
        known = [value for one in scores if (value := one[name]) is not None]
        found[name] = statistics.fmean(known) if len(known) == len(scores) else None
    return found


def _theirs(one: Peer, chosen: Protocol, rows: Sequence[Row], folder: Path, about: dict[str, Any]) -> Way:
    """The objects of a set whose boundaries are scored do not touch."""
    job = folder / "job"
    write_job(
        job,
        rows,
        ignore=chosen.ignore,
        touching=not chosen.isbi,
        variant=one.variant,
        **{key: about[key] for key in ("minutes", "seed", "threads")},
    )
    command = [peer(one.environment), "-m", f"bench.accuracy.contestants.{one.script}", str(job)]
    _call(command, folder / "log.txt", about["threads"], device=about["device"])
    done = json.loads((job / "done.json").read_text(encoding="utf-8"))
    collect_labels(job, folder / "labels", cells=chosen.isbi)
    said = {**done["said"], "predict_seconds": round(done["predict_seconds"], 1)}
    return Way(_score(chosen, rows, folder), done["seconds"], said, done["versions"])


def _ours(one: Peer, chosen: Protocol, rows: Sequence[Row], folder: Path, about: dict[str, Any]) -> Way:
    """`unseam reproduce` does both ways at once; the second finds the first one's result."""
    runs = folder.parent / "reproduce" if about["direction"] else folder / "reproduce"
    unseam = [sys.executable, "-m", "unseam"]
    command = [*unseam, "reproduce", chosen.name, "--data", str(about["data"]), "--out", str(runs)]
    command += ["--minutes", f"{about['minutes']:g}", "--seeds", str(about["seed"]), "--preset", one.variant]
    device = about["device"]
    call = partial(_call, threads=about["threads"], device=device)
    call([*command, "--device", device, "--resume"], folder / "log.txt")
    trial = runs / folder_of({**about, "preset": one.variant})
    result = json.loads((trial / "result.json").read_text(encoding="utf-8"))
    save = "labels,probabilities" if chosen.isbi else "labels"
    command = [*unseam, "predict", str(trial), str(trial / "pairs.csv"), "--split", "test", "--save", save]
    command += ["--tta", AVERAGED.get(one.variant, "none")]
    command += ["--device", device, "--out", str(folder / "labels"), "--overwrite"]
    call(command, folder / "predict.txt")
    said = {"steps": result["iterations"], "machine": result["machine"]}
    return Way(_score(chosen, rows, folder), result["seconds"], said, versions(("unseam", "torch")))


def _score(chosen: Protocol, rows: Sequence[Row], folder: Path) -> dict[str, float | None]:
    write_truth(folder / "truth", rows)
    evaluation = evaluate_files(
        folder / "truth",
        folder / "labels",
        isbi=chosen.isbi,
        config=DataConfig(ignore=chosen.ignore),
        json_file=folder / "scores.json",
        overwrite=True,
    )
    draw(rows, folder / "labels", folder / "picture.png")
    return {k: v for k, v in evaluation.of_set().items() if isinstance(v, int | float) or v is None}


def make(environment: str, log: Path) -> None:
    """Install a peer; where it cannot be, say why."""
    done = subprocess.run([str(MAKE), environment], capture_output=True, text=True, check=False)
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    if not Path(peer(environment)).exists() or "could not be installed" in done.stderr:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise Failed(f"could not be installed: {(errors or ['no reason given'])[0].removeprefix('ERROR: ')}")


def name_of(device: str) -> str:
    """What a record calls it: "cpu", or the name of the GPU."""
    if device == CPU:
        return CPU
    import torch

    return str(torch.cuda.get_device_name())


def _call(command: Sequence[str], log: Path, threads: int, *, device: str = CPU) -> None:
    """Run a command on so many processors, its output in a file; without a GPU unless it is to have one."""
    counts = dict.fromkeys([*THREAD_COUNTS, "TF_NUM_INTRAOP_THREADS", "NUMBA_NUM_THREADS"], str(threads))
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == CPU else {}
    environment = {**os.environ, **counts, "PYTHONPATH": paths, **hidden}
    with open(log, "w", encoding="utf-8") as file:
        done = subprocess.run(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=ROOT,
            preexec_fn=partial(keep_to, threads),
            check=False,
        )
    if done.returncode:
        last = log.read_text(encoding="utf-8").strip().splitlines()[-1:]
        raise Failed(f"ended with code {done.returncode}: {''.join(last)[:200]}")
