"""A trial: train on some pairs of files, predict others, score them; resumable, all in one folder."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from unseam.config import DataConfig
from unseam.errors import InputError
from unseam.io.atomic import replacing
from unseam.io.images import stem
from unseam.workflow.evaluation import evaluate_files
from unseam.workflow.listener import Listener
from unseam.workflow.predicting import predict_files
from unseam.workflow.run import CHECKPOINT
from unseam.workflow.training import train

RESULT, IDENTITY = "result.json", "trial.json"


@dataclass(frozen=True)
class Row:
    """An image file, its labels, and whether it is learned from ("train") or scored ("test")."""

    image: Path
    labels: Path
    split: str


@dataclass(frozen=True)
class Trial:
    """What is trained, and how it is shown.

    Attributes
    ----------
    rows : of both splits.
    options : as `unseam.train` takes them: preset, minutes, seed, ignore, settings ...
    data : what labels mean when they are scored.
    title, notes : of the report.
    isbi : whether boundaries are scored too, from the probabilities.
    tta : over which versions of the test images their probabilities are averaged, as `Model.predict`.
    about : what sets it apart from others, to be kept with its result.
    """

    rows: tuple[Row, ...]
    options: Mapping[str, Any]
    data: DataConfig = field(default_factory=DataConfig)
    title: str = ""
    notes: tuple[str, ...] = ()
    isbi: bool = False
    tta: str = "none"
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialResult:
    """What came of it.

    Attributes
    ----------
    iterations : steps that were done.
    machine : what it ran on, in words.
    scores : of the test images, by name; None where a measure is not defined.
    about : as of the trial.
    seconds : that the training took by the clock, data preparation included; since it was resumed, if it was.
    """

    iterations: int
    machine: str
    scores: Mapping[str, float | None]
    about: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None


def run_trial(trial: Trial, folder: Path, *, resume: bool, listener: Listener) -> TrialResult:
    """Train, predict, score; `folder` then holds the model, the predictions, scores.json and report.html.

    With `resume` a trial that is done is read, and one that was stopped goes on; else it is replaced.

    Raises
    ------
    InputError
        If the trial that is to go on had other images, labels or options.
    UnseamError
        As `train`, `predict_files` and `evaluate_files`.
    """
    identity = _identity(trial)
    if resume:
        _refuse_other(folder, identity)
        if (folder / RESULT).is_file():
            return read_result(folder)
    (folder / RESULT).unlink(missing_ok=True)
    pairs = folder / "pairs.csv"
    write_pairs(pairs, trial.rows)
    _write_json(folder / IDENTITY, identity)
    goes_on = resume and (folder / CHECKPOINT).is_file()
    began = time.monotonic()
    model = train(
        pairs, out=folder, resume=goes_on, overwrite=not goes_on, listener=listener, **trial.options
    )
    seconds = round(time.monotonic() - began, 1)
    save = ("labels", "table", "overlay", *(("probabilities",) if trial.isbi else ()))
    predict_files(
        model,
        [pairs],
        folder / "test",
        split="test",
        save=save,
        tta=trial.tta,
        overwrite=True,
        listener=listener,
    )
    evaluation = evaluate_files(
        _linked(trial.rows, folder / "truth"),
        folder / "test",
        images=_linked(trial.rows, folder / "images", images=True),
        model=folder,
        config=trial.data,
        isbi=trial.isbi,
        json_file=folder / "scores.json",
        report=folder / "report.html",
        overwrite=True,
        listener=listener,
        title=trial.title or folder.name,
        notes=trial.notes,
    )
    scores = {k: v for k, v in evaluation.of_set().items() if isinstance(v, (int, float)) or v is None}
    where = machine(model.device)
    result = TrialResult(
        int(model.header.training["iterations"]), where, scores, trial.about, seconds=seconds
    )
    _write_json(folder / RESULT, asdict(result))
    return result


def _identity(trial: Trial) -> dict[str, Any]:
    """What has to be the same for a trial to go on: options, and what is in the files."""
    digest = hashlib.sha256()
    for row in trial.rows:
        for part in (stem(row.image), row.split):
            digest.update(part.encode())
        for path in (row.image, row.labels):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    averaged = {} if trial.tta == "none" else {"tta": trial.tta}
    return {"images and labels": digest.hexdigest(), **averaged, **trial.options}


def _refuse_other(folder: Path, identity: Mapping[str, Any]) -> None:
    path = folder / IDENTITY
    if not path.is_file():
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    now = json.loads(json.dumps(identity))
    other = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if other:
        raise InputError(
            f"{folder} was made with other {', '.join(other)}; go on with the same, give --out another "
            "folder, or --overwrite to make it anew"
        )


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    with replacing(path, overwrite=True) as temporary:
        temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def read_result(folder: Path) -> TrialResult:
    """The result of a trial that is done."""
    return TrialResult(**json.loads((folder / RESULT).read_text(encoding="utf-8")))


def write_pairs(path: Path, rows: Sequence[Row]) -> None:
    """The rows as a CSV file of pairs."""
    with (
        replacing(path, overwrite=True) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["image", "labels", "split"])
        writer.writerows((row.image.resolve(), row.labels.resolve(), row.split) for row in rows)


def _linked(rows: Sequence[Row], folder: Path, *, images: bool = False) -> Path:
    """A folder of the files to be scored under the names of their images, which the predictions have too."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for row in rows:
        if row.split == "test":
            source = row.image if images else row.labels
            target = folder / f"{stem(row.image)}{''.join(source.suffixes[-1:])}"
            try:
                target.symlink_to(source.resolve())
            except OSError:  # a file system without links
                shutil.copyfile(source, target)
    return folder


def machine(device: str) -> str:
    """The GPU if `device` is one, processor, cores and PyTorch, in words."""
    import torch

    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    if device != "cpu":
        name = f"{torch.cuda.get_device_name(device)}, {name}"
    return f"{name}, {os.cpu_count()} cores, PyTorch {torch.__version__}"
