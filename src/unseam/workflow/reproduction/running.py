"""Reproduce: for each way to split a set, preset and seed train, predict, score; then write a page."""

from __future__ import annotations

import csv
import json
import math
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from unseam.config import DataConfig
from unseam.errors import InputError, OutputExistsError
from unseam.io.atomic import refuse_both, replacing
from unseam.report.reproduction import ReproductionRow, write_reproduction
from unseam.workflow.evaluation import evaluate_files
from unseam.workflow.listener import Listener, printing
from unseam.workflow.predicting import predict_files
from unseam.workflow.reproduction.protocols import Protocol, Row, protocol, rows_of
from unseam.workflow.reproduction.sources import check_pixels, find_folder
from unseam.workflow.run import CHECKPOINT
from unseam.workflow.training import train

NOTE = "protocol.txt"
"""Names what lies in a folder, so that nobody's other files are touched."""
RESULT = "result.json"


@dataclass(frozen=True)
class Result:
    """One training, scored.

    Attributes
    ----------
    preset, seed, direction : what was trained.
    minutes, iterations : the budget, and the steps that were done in it.
    machine : what it ran on, in words.
    scores : of the held-out images, by name; None where a measure is not defined.
    """

    preset: str
    seed: int
    direction: str
    minutes: float
    iterations: int
    machine: str
    scores: Mapping[str, float | None]


def reproduce(
    name: str,
    out: str | Path,
    *,
    data: str | Path | None = None,
    minutes: float = 10.0,
    presets: Sequence[str] = ("default",),
    seeds: Sequence[int] = (0,),
    resume: bool = False,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> tuple[Result, ...]:
    """Train by the protocol of a data set, score what it holds out, and write OUT/index.html.

    Parameters
    ----------
    name : str
        "isbi2012", "hela", "u373" or "nuclei".
    out : str or Path
        Folder for the page, and a folder for each training with model, predictions, scores and report.
    data : str or Path, optional
        The folder of the set, or one that holds it; else the one of UNSEAM_DATA, else it is fetched.
    minutes : float
        Of each training; a set that is split in two ways is trained as often for each seed.
    presets : sequence of str
        "default", "paper", or both.
    seeds : sequence of int
    resume : bool
        Keep what is done already, and go on with a training that was stopped.
    overwrite : bool
        Whether trainings that are there may be replaced.

    Returns
    -------
    tuple of Result
        All that lie in `out`, those of earlier calls with other seeds, presets and minutes among them.

    Raises
    ------
    UnseamError
        For a name that is none, data that are missing or cannot be fetched, a folder that holds other files,
        and as `train`, `predict_files` and `evaluate_files`.
    """
    listener, out, chosen = listener or printing(), Path(out), protocol(name)
    refuse_both(resume=resume, overwrite=overwrite)
    if not (seeds and presets):
        raise InputError("no seed or no preset was given; give one of each at least, as --seeds 0")
    _claim(out, name)
    folder = find_folder(chosen.folder, chosen.source, Path(data) if data else None, cache_folder(), listener)
    plans = [(d, p, s) for p in presets for s in seeds for d in chosen.directions]
    if not (resume or overwrite):
        _refuse_done(out, plans)
    for number, (direction, preset, seed) in enumerate(plans, start=1):
        rows = rows_of(chosen, direction, folder, out)
        if number == 1:
            _say_pixels(chosen, rows, listener)
        run = out / run_name(direction, preset, seed)
        listener.say(f"{number} of {len(plans)}: {run.name}, {minutes:g} minutes")
        if not (resume and (run / RESULT).is_file()):
            _run(chosen, rows, run, (direction, preset, seed), minutes, resume=resume, listener=listener)
    results = read_results(out)
    _write_page(chosen, out, results)
    listener.say(f"page: {out / 'index.html'}")
    return results


def run_name(direction: str, preset: str, seed: int) -> str:
    """The folder of a training."""
    way = f"{direction.replace(' ', '-')}-" if direction else ""
    return f"{way}{preset}-seed{seed}"


def cache_folder() -> Path:
    """Where fetched sets are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "unseam" / "data"


def _run(
    chosen: Protocol,
    rows: Sequence[Row],
    run: Path,
    what: tuple[str, str, int],
    minutes: float,
    *,
    resume: bool,
    listener: Listener,
) -> None:
    """Train, predict, score; what became of it stands in `RESULT` once all is done."""
    direction, preset, seed = what
    (run / RESULT).unlink(missing_ok=True)
    pairs = run / "pairs.csv"
    _write_pairs(pairs, rows)
    goes_on = resume and (run / CHECKPOINT).is_file()
    model = train(
        pairs,
        out=run,
        preset=preset,
        minutes=minutes,
        seed=seed,
        ignore=chosen.ignore,
        resume=goes_on,
        overwrite=not goes_on,
        listener=listener,
    )
    predict_files(model, [pairs], run / "test", split="test", overwrite=True, listener=listener)
    evaluation = evaluate_files(
        _linked(rows, run / "truth"),
        run / "test",
        images=_linked(rows, run / "images", images=True),
        model=run,
        config=DataConfig(ignore=chosen.ignore),
        json_file=run / "scores.json",
        report=run / "report.html",
        overwrite=True,
        listener=listener,
        title=f"{chosen.title}: {run.name}",
        notes=(chosen.remark,),
    )
    scores = {k: v for k, v in evaluation.of_set().items() if isinstance(v, (int, float)) or v is None}
    steps = int(model.header.training["iterations"])
    result = Result(preset, seed, direction, minutes, steps, machine(), scores)
    with replacing(run / RESULT, overwrite=True) as temporary:
        temporary.write_text(json.dumps(asdict(result), indent=1) + "\n", encoding="utf-8")


def _linked(rows: Sequence[Row], folder: Path, *, images: bool = False) -> Path:
    """A folder of the files to be scored under the names of their images, which the predictions have too."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for row in rows:
        if row.split == "test":
            source = row.image if images else row.labels
            target = folder / f"{row.image.stem}{source.suffix}"
            try:
                target.symlink_to(source.resolve())
            except OSError:  # a file system without links
                shutil.copyfile(source, target)
    return folder


def _write_pairs(path: Path, rows: Sequence[Row]) -> None:
    with (
        replacing(path, overwrite=True) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["image", "labels", "split"])
        writer.writerows((row.image.resolve(), row.labels.resolve(), row.split) for row in rows)


def read_results(out: Path) -> tuple[Result, ...]:
    """The trainings of a folder that were scored, by preset, minutes, seed and direction."""
    found = [
        Result(**json.loads(path.read_text(encoding="utf-8"))) for path in sorted(out.glob(f"*/{RESULT}"))
    ]
    return tuple(sorted(found, key=lambda r: (r.preset, r.minutes, r.seed, r.direction)))


def averaged(results: Sequence[Result], measures: Sequence[str]) -> list[tuple[Result, dict[str, float]]]:
    """For each preset, budget and seed the scores averaged over the directions."""
    groups: dict[tuple[str, float, int], list[Result]] = {}
    for result in results:
        groups.setdefault((result.preset, result.minutes, result.seed), []).append(result)
    return [
        (group[0], {name: _mean([r.scores.get(name) for r in group]) for name in measures})
        for group in groups.values()
    ]


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if len(known) == len(values) else math.nan


def _write_page(chosen: Protocol, out: Path, results: Sequence[Result]) -> None:
    rows = [
        ReproductionRow(p.who, p.about, {m: p.scores[m] for m in chosen.measures if m in p.scores})
        for p in chosen.published
    ]
    seeds: dict[tuple[str, float], list[dict[str, float]]] = {}
    firsts: dict[tuple[str, float], Result] = {}
    for first, scores in averaged(results, chosen.measures):
        seeds.setdefault((first.preset, first.minutes), []).append(scores)
        firsts.setdefault((first.preset, first.minutes), first)
    for key, of_seeds in seeds.items():
        first = firsts[key]
        mean = {m: statistics.fmean(s[m] for s in of_seeds) for m in chosen.measures}
        spread = {m: statistics.stdev(s[m] for s in of_seeds) for m in chosen.measures if len(of_seeds) > 1}
        count = f"{len(of_seeds)} seed{'s' if len(of_seeds) > 1 else ''}"
        about = f"{count}, {first.minutes:g} minutes each, {first.machine}"
        rows.append(ReproductionRow(f"unseam, preset {first.preset}", about, mean, spread))
    runs = [(run_name(r.direction, r.preset, r.seed), r.minutes, r.iterations, r.scores) for r in results]
    write_reproduction(
        out / "index.html",
        title=chosen.title,
        remark=chosen.remark,
        measures=chosen.measures,
        rows=rows,
        runs=[
            (name, f"{spent:g}", str(steps), {m: scores.get(m) for m in chosen.measures})
            for name, spent, steps, scores in runs
        ],
        pictures=[out / name / "patches.png" for name, *_ in runs[:1]],
    )


def machine() -> str:
    """Processor, cores and libraries, in words."""
    import torch

    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    if torch.cuda.is_available():
        name = f"{torch.cuda.get_device_name()}, {name}"
    return f"{name}, {os.cpu_count()} cores, PyTorch {torch.__version__}"


def _say_pixels(chosen: Protocol, rows: Sequence[Row], listener: Listener) -> None:
    same = check_pixels(chosen.source, ((row.image, row.labels) for row in rows))
    if same is not None:
        listener.say(
            "data: images and labels are those of the published protocol, pixel for pixel"
            if same
            else "warning: images or labels differ from those of the protocol; do not compare the figures"
        )


def _claim(out: Path, name: str) -> None:
    """Raise where the folder holds anything but reproductions of this set; mark it."""
    note = out / NOTE
    if out.is_dir() and any(out.iterdir()):
        there = note.read_text(encoding="utf-8").strip() if note.is_file() else None
        if there != name:
            what = f"reproductions of {there}" if there else "other files"
            raise OutputExistsError(f"{out} holds {what}; give --out a folder of its own")
    with replacing(note, overwrite=True) as temporary:
        temporary.write_text(f"{name}\n", encoding="utf-8")


def _refuse_done(out: Path, plans: Sequence[tuple[str, str, int]]) -> None:
    for direction, preset, seed in plans:
        run = out / run_name(direction, preset, seed)
        if run.exists():
            raise OutputExistsError(
                f"{run} is there already; --resume keeps what is done and goes on, --overwrite replaces it, "
                "other --seeds are added"
            )
