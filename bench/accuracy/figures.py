"""The first table of docs/accuracy.md: the figures that were to be reached, and what was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.accuracy.measures import ERRORS, heading, mean, places_of, spread, values_of
from bench.accuracy.record import CPU, Record

GPU_MINUTES = 10
OURS = {"unseam": "default", "unseam-paper": "paper"}
NO_GPU = "no GPU was at hand"
NOT_YET = "not measured yet"


@dataclass(frozen=True)
class Figure:
    """What is to be reached on a data set.

    Attributes
    ----------
    dataset, measure : by name.
    cpu : for each number of minutes on two CPU cores the figure, or None where it is to be told alone.
    gpu : the figure in ten minutes of a large GPU.
    """

    dataset: str
    measure: str
    cpu: dict[int, float | None]
    gpu: float


FIGURES = (
    Figure("nuclei", "ap50", {10: 0.84, 60: 0.88}, 0.90),
    Figure("nuclei", "ap", {10: 0.55, 60: 0.62}, 0.65),
    Figure("isbi2012", "isbi_v_rand_thinned", {60: 0.93}, 0.973),
    Figure("isbi2012", "isbi_rand_error", {60: 0.09}, 0.0382),
    Figure("isbi2012", "isbi_split_merge_error", {60: None}, 0.000353),
    Figure("isbi2012", "isbi_pixel_error", {60: None}, 0.0611),
    Figure("hela", "seg", {60: 0.60}, 0.7756),
)
"""Aims; those of a GPU on isbi2012 and hela are what the network of 2015 reached on the hidden test images:
as the paper reports it, and of `isbi_v_rand_thinned` as the challenge scored it later."""


def figures(records: Sequence[Record]) -> str:
    """A line for each data set, measure and budget, and how the GPU's are measured."""
    lines = [
        "| data | measure | CPU minutes | to reach | reached, default preset | "
        f"to reach on a GPU, {GPU_MINUTES} minutes | reached on a GPU | command |",
        "|---" * 8 + "|",
    ]
    for one in FIGURES:
        for number, (minutes, wanted) in enumerate(one.cpu.items()):
            gpu = (_aim(one.gpu), _on_gpu(one, records)) if number == 0 else ("", "")
            ours = [r for r in records if _is(r, one, minutes) and r.peer == "unseam" and r.device == CPU]
            command = f"`unseam reproduce {one.dataset} --minutes {minutes} --seeds 0 1 2`"
            lines.append(
                f"| {one.dataset} | {heading(one.measure)} | {minutes} | {_aim(wanted)} | "
                f"{_reached(ours, one.measure, wanted)} | {gpu[0]} | {gpu[1]} | {command} |"
            )
    return "\n".join([*lines, f"\n{_foot(records)}\n"])


def _is(record: Record, one: Figure, minutes: float) -> bool:
    return record.dataset == one.dataset and record.minutes == minutes


def _aim(wanted: float | None) -> str:
    return "to be told" if wanted is None else f"{wanted:g}"


def _reached(records: Sequence[Record], measure: str, wanted: float | None) -> str:
    """Mean, spread, how many seeds, and whether the mean gets there."""
    values = values_of(records, measure)
    if not values:
        failures = sorted({record.failure for record in records if record.failure})
        return f"failed: {'; '.join(failures)}" if failures else NOT_YET
    seeds = f"{spread(values)} ({len(values)} seed{'s' if len(values) > 1 else ''})"
    if wanted is None:
        return seeds
    middle = round(mean(values), places_of(mean(values)))  # as it is shown
    short = middle > wanted if measure in ERRORS else middle < wanted
    return f"{seeds}, missed" if short else f"**{seeds}**"


def _on_gpu(one: Figure, records: Sequence[Record]) -> str:
    """Of each GPU and preset that was measured."""
    found = []
    mine = [r for r in records if _is(r, one, GPU_MINUTES) and r.device != CPU and r.peer in OURS]
    for device, peer in sorted({(record.device, record.peer) for record in mine}):
        of_one = [record for record in mine if (record.device, record.peer) == (device, peer)]
        found.append(f"{OURS[peer]}: {_reached(of_one, one.measure, one.gpu)}")
    on_one = any(record.device != CPU for record in records)
    return "; ".join(found) or (NOT_YET if on_one else NO_GPU)


def _foot(records: Sequence[Record]) -> str:
    """The commands that measure, and on what."""
    used = [r for r in records for one in FIGURES if r.peer in OURS and r.dataset == one.dataset]
    cpu = {r.machine for one in FIGURES for r in used if r.device == CPU and r.minutes in one.cpu}
    machines = f" CPU: {'; '.join(sorted(cpu))}." if cpu else ""
    gpus = {f"{r.device}, in {r.machine}" for r in used if r.device != CPU and r.minutes == GPU_MINUTES}
    gpu = f"GPU: {'; '.join(sorted(gpus))}" if gpus else f"{NO_GPU[0].upper()}{NO_GPU[1:]}"
    return (
        "Bold: reached, in the mean of the seeds. `unseam reproduce` writes a page of its own; the figures\n"
        "here come from `bench/accuracy/run.sh unseam DATASET MINUTES SEED`, which calls it and scores its\n"
        "predictions as it scores those of peers. `bench/accuracy/gpu.sh` measures the GPU column."
        f"{machines} {gpu}."
    )
