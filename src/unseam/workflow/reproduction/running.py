"""Reproduce: for each way to split a set, preset and seed train, predict, score; then write a page."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unseam.config import DataConfig, TrainConfig
from unseam.errors import InputError, OutputExistsError
from unseam.io.atomic import refuse_both, replacing
from unseam.io.remembered import cache_folder
from unseam.plan import AVERAGED
from unseam.prediction import choose_device
from unseam.report.reproduction import ReproductionRow, write_reproduction
from unseam.workflow.listener import Listener, printing
from unseam.workflow.reproduction.protocols import Protocol, protocol, rows_of
from unseam.workflow.reproduction.sources import check_pixels, find_folder
from unseam.workflow.trial import RESULT, Row, Trial, TrialResult, read_result, run_trial

Scores = dict[str, float]
OTHER = "not the published images"
OPTIONS = ("preset", "seed", "minutes", "device")
"""What of a training goes to `unseam.train`."""
APART = ("images", "tta", "device")
"""What keeps results of the same preset and budget apart."""
NOTE = "protocol.txt"
"""Names what lies in a folder, so that nobody's other files are touched."""


def reproduce(
    name: str,
    out: str | Path,
    *,
    data: str | Path | None = None,
    minutes: float = 10.0,
    presets: Sequence[str] = ("default",),
    seeds: Sequence[int] = (0,),
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> tuple[TrialResult, ...]:
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
    device : str
        "cpu", "cuda", or "auto"; one that is named has folders and rows of its own.
    resume : bool
        Keep what is done already, and go on with a training that was stopped.
    overwrite : bool
        Whether trainings that are there may be replaced.

    Returns
    -------
    tuple of TrialResult
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
    for seed in seeds:  # what is out of range is refused before anything is done, and a device that is absent
        TrainConfig(minutes=minutes, seed=seed, device=device)
    choose_device(device)
    _refuse_others(out, name)
    folder = find_folder(
        chosen.folder, chosen.source, Path(data) if data else None, cache_folder() / "data", listener
    )
    averaged_over = {preset: {"tta": AVERAGED[preset]} for preset in presets if preset in AVERAGED}
    named = {} if device == "auto" else {"device": device}
    plans: list[dict[str, Any]] = [
        {"direction": direction, "preset": preset, "seed": seed, "minutes": minutes, **named}
        | averaged_over.get(preset, {})
        for preset in presets
        for seed in seeds
        for direction in chosen.directions
    ]
    if not (resume or overwrite):
        _refuse_done([out / folder_of(about) for about in plans])
    with replacing(out / NOTE, overwrite=True) as temporary:
        temporary.write_text(f"{name}\n", encoding="utf-8")
    for number, about in enumerate(plans, start=1):
        rows = rows_of(chosen, about["direction"], folder, out)
        if number == 1:
            images = _compared(chosen, rows, listener)
        about["images"] = images
        run = out / folder_of(about)
        listener.say(f"{number} of {len(plans)}: {run.name}")
        run_trial(_trial(chosen, rows, about), run, resume=resume, listener=listener)
    results = read_results(out)
    _write_page(chosen, out, results)
    return results


def folder_of(about: Mapping[str, Any]) -> str:
    """The folder of a training, by direction, preset, minutes, device if one was named, and seed."""
    way = f"{about['direction'].replace(' ', '-')}-" if about["direction"] else ""
    device = f"-{about['device']}" if about.get("device") else ""
    return f"{way}{about['preset']}-{about['minutes']:g}min{device}-seed{about['seed']}"


def _trial(chosen: Protocol, rows: Sequence[Row], about: Mapping[str, Any]) -> Trial:
    return Trial(
        tuple(rows),
        {"ignore": chosen.ignore, **{key: about[key] for key in OPTIONS if key in about}},
        DataConfig(ignore=chosen.ignore),
        f"{chosen.title}: {folder_of(about)}",
        (chosen.remark,),
        chosen.isbi,
        about.get("tta", "none"),
        about,
    )


def read_results(out: Path) -> tuple[TrialResult, ...]:
    """The trainings of a folder that were scored, by preset, minutes, seed and direction."""
    found = [read_result(path.parent) for path in out.glob(f"*/{RESULT}")]
    order = ("preset", "minutes", "seed", "direction")
    return tuple(sorted(found, key=lambda result: [result.about[key] for key in order]))


def averaged(chosen: Protocol, results: Sequence[TrialResult]) -> list[tuple[TrialResult, Scores]]:
    """For each preset, budget and seed the scores averaged over the directions, once all are there."""
    groups: dict[tuple[Any, ...], list[TrialResult]] = {}
    for result in results:
        key = tuple(result.about.get(name) for name in ("preset", "minutes", "seed", *APART))
        groups.setdefault(key, []).append(result)
    return [
        (group[0], {name: _mean([r.scores.get(name) for r in group]) for name in chosen.measures})
        for group in groups.values()
        if len(group) == len(chosen.directions)
    ]


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if len(known) == len(values) else math.nan


def _write_page(chosen: Protocol, out: Path, results: Sequence[TrialResult]) -> None:
    published = [
        ReproductionRow(p.who, p.about, {m: p.scores[m] for m in chosen.measures if m in p.scores})
        for p in chosen.published
    ]
    seeds: dict[tuple[Any, ...], list[tuple[TrialResult, Scores]]] = {}
    for first, scores in averaged(chosen, results):
        key = tuple(first.about.get(name) for name in ("preset", "minutes", *APART))
        seeds.setdefault(key, []).append((first, scores))
    ours = [_row(of_seeds) for of_seeds in seeds.values()]
    runs = [(folder_of(result.about), result) for result in results]
    write_reproduction(
        out / "index.html",
        title=chosen.title,
        remark=chosen.remark,
        measures=chosen.measures,
        rows=[*published, *ours],
        runs=[(name, str(r.iterations), {m: r.scores.get(m) for m in chosen.measures}) for name, r in runs],
        ways=len(chosen.directions),
        pictures=[out / name / "patches.png" for name, _ in runs[:1]],
    )


def _row(of_seeds: Sequence[tuple[TrialResult, Scores]]) -> ReproductionRow:
    """Mean and spread over the seeds of one preset and budget."""
    first = of_seeds[0][0]
    columns = {name: [scores[name] for _, scores in of_seeds] for name in of_seeds[0][1]}
    spread = {name: statistics.stdev(column) for name, column in columns.items() if len(column) > 1}
    count = f"{len(of_seeds)} seed{'s' if len(of_seeds) > 1 else ''}"
    other = f"{OTHER}; " if first.about.get("images") == OTHER else ""
    turned = ", averaged over 7 turns of each image" if first.about.get("tta") == "turn" else ""
    return ReproductionRow(
        f"unseam, preset {first.about['preset']}",
        f"{other}{count}, {first.about['minutes']:g} minutes each{turned}, {first.machine}",
        {name: statistics.fmean(column) for name, column in columns.items()},
        spread,
    )


def _compared(chosen: Protocol, rows: Sequence[Row], listener: Listener) -> str:
    """Whether images and labels are the published ones, said and in words."""
    same = check_pixels(chosen.source, ((row.image, row.labels) for row in rows))
    if same is not None:
        listener.say(
            "data: images and labels are those of the published protocol, pixel for pixel"
            if same
            else "warning: images or labels differ from those of the protocol; do not compare the figures"
        )
    return {True: "as published", False: OTHER, None: "not compared"}[same]


def _refuse_others(out: Path, name: str) -> None:
    """Raise where the folder holds anything but reproductions of this set."""
    note = out / NOTE
    if out.is_dir() and any(out.iterdir()):
        there = note.read_text(encoding="utf-8").strip() if note.is_file() else None
        if there != name:
            what = f"reproductions of {there}" if there else "other files"
            raise OutputExistsError(f"{out} holds {what}; give --out a folder of its own")


def _refuse_done(folders: Sequence[Path]) -> None:
    for folder in folders:
        if folder.exists():
            raise OutputExistsError(
                f"{folder} is there already; --resume keeps what is done and goes on, --overwrite replaces "
                "it, other --seeds are added"
            )
