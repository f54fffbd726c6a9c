"""The demo: from images and labels to a report, on synthetic microscopy or on one's own."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from unseam.config import DataConfig
from unseam.data.labels import Task
from unseam.data.sample import Sample
from unseam.data.synthetic import synthetic_set
from unseam.errors import InputError, OutputExistsError, PairingError
from unseam.io.atomic import replacing
from unseam.io.images import write_tiff
from unseam.workflow.evaluation import evaluate_files
from unseam.workflow.listener import Listener, clock, printing
from unseam.workflow.loading import load_set
from unseam.workflow.predicting import predict_files
from unseam.workflow.run import about_run
from unseam.workflow.training import train
from unseam.workflow.validation import hold_out

TRAIN_IMAGES, TRAIN_SHAPE = 16, (256, 256)
TEST_IMAGES, TEST_SHAPE = 2, (1200, 1200)
TEST_SHARE = 0.25
FEWEST = 2
NOTE = "command.txt"
"""The command of a demo; where it lies, what a demo writes may be replaced by another."""


def run_demo(
    out: str | Path,
    *,
    images: str | Path | None = None,
    labels: str | Path | None = None,
    axes: str | None = None,
    minutes: float = 2.0,
    seed: int = 0,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> Path:
    """Train, predict, score, and write OUT/report.html; returns its path.

    Without `images` a synthetic set is made: small images to train on, and larger ones to test on. With
    them, a quarter is kept for testing, and nothing of it is used in training.

    Raises
    ------
    PairingError
        If only one of `images` and `labels` is given.
    InputError
        If there are too few images to test on one.
    OutputExistsError
        If `out` holds an earlier demo and `overwrite` is false, or holds anything else.
    """
    listener, out, started = listener or printing(), Path(out), time.monotonic()
    report, command = out / "report.html", _command(images, labels, axes, minutes, seed)
    _refuse_folder(out, overwrite=overwrite)
    if (images is None) != (labels is None):
        raise PairingError(
            "one of --images and --labels was given; give both, or neither for synthetic images"
        )
    made = _synthetic(seed, listener) if images is None else _own(images, labels, axes, seed, listener)
    with replacing(out / NOTE, overwrite=True) as temporary:
        temporary.write_text(f"{command}\n", encoding="utf-8")
    for name, samples in (("train", made.train), ("test", made.test)):
        _write_samples(out / name, samples)
    _remove_others(out / "predictions", made.test)
    model = train(
        out / "train/images",
        out / "train/labels",
        out=out / "run",
        minutes=minutes,
        seed=seed,
        task=made.task,
        overwrite=overwrite,
        listener=listener,
    )
    predicting = time.monotonic()
    predict_files(model, [out / "test/images"], out / "predictions", overwrite=True, listener=listener)
    facts = _facts(out / "run", made, time.monotonic() - predicting)
    evaluate_files(
        out / "test/labels",
        out / "predictions",
        images=out / "test/images",
        model=out / "run",
        config=DataConfig(task=made.task),
        json_file=out / "scores.json",
        report=report,
        overwrite=True,
        listener=listener,
        title="unseam on synthetic microscopy" if images is None else f"unseam on {Path(images).name}",
        headline=facts,
        command=command,
        notes=("All images are synthetic: made by unseam.data.synthetic.",) if images is None else (),
    )
    listener.say(f"done in {clock(time.monotonic() - started)}")
    return report


def _refuse_folder(out: Path, *, overwrite: bool) -> None:
    """Raise where files of somebody else could be replaced."""
    if not out.is_dir() or not any(out.iterdir()):
        return
    note = out / NOTE
    if not (note.is_file() and note.read_text(encoding="utf-8", errors="replace").startswith("unseam demo")):
        raise OutputExistsError(f"{out} holds files that are no demo; give --out a new folder")
    if not overwrite:
        raise OutputExistsError(
            f"{out} holds a demo already; give --overwrite to replace it, or --out another folder"
        )


@dataclass(frozen=True)
class _Made:
    """What to train and to test on."""

    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    task: Task


def _synthetic(seed: int, listener: Listener) -> _Made:
    listener.say(
        f"synthetic microscopy: {TRAIN_IMAGES} images of {TRAIN_SHAPE[0]} x {TRAIN_SHAPE[1]} px to train on, "
        f"{TEST_IMAGES} of {TEST_SHAPE[0]} x {TEST_SHAPE[1]} px to test on"
    )
    learn = synthetic_set(TRAIN_IMAGES, shape=TRAIN_SHAPE, seed=seed)
    test = synthetic_set(TEST_IMAGES, shape=TEST_SHAPE, seed=seed + 1_000_003)
    return _Made(tuple(learn), tuple(test), "instances")


def _own(
    images: str | Path, labels: str | Path | None, axes: str | None, seed: int, listener: Listener
) -> _Made:
    loaded = load_set(images, labels, DataConfig(axes=axes), listener)
    samples, task = loaded.samples, cast(Task, loaded.task)
    if len(samples) < FEWEST:
        raise InputError(f"{len(samples)} annotated image was given; the demo needs {FEWEST}, one to test on")
    learn, test = hold_out(samples, TEST_SHARE, seed)
    return _Made(learn, test, task) if test else _Made(samples[1:], samples[:1], task)


def _write_samples(folder: Path, samples: Sequence[Sample]) -> None:
    """Write images and labels as a person would have them."""
    for kind in ("images", "labels"):
        _remove_others(folder / kind, samples)
    for s in samples:
        axes = "YX" if s.labels.ndim == 2 else "ZYX"
        name = f"{s.stem}.tif"
        write_tiff(folder / "images" / name, s.image, axes=f"C{axes}", spacing=s.spacing, overwrite=True)
        write_tiff(folder / "labels" / name, s.labels, axes=axes, spacing=s.spacing, overwrite=True)


def _remove_others(folder: Path, samples: Sequence[Sample]) -> None:
    """Remove the TIFF files that an earlier demo left here for other images."""
    names = {f"{s.stem}.tif" for s in samples}
    for path in folder.glob("*.tif"):
        if path.name not in names:
            path.unlink()


def _facts(run: Path, made: _Made, seconds: float) -> tuple[tuple[str, str], ...]:
    pixels = sum(s.labels.size for s in made.test) / 1e6
    return (
        *about_run(run)["headline"],
        ("tested on", f"{len(made.test)} other images, {pixels:.1f} megapixels"),
        ("prediction", f"{seconds:.1f} s, pictures and tables included"),
    )


def _command(
    images: str | Path | None, labels: str | Path | None, axes: str | None, minutes: float, seed: int
) -> str:
    own = [] if images is None else ["--images", str(images), "--labels", str(labels)]
    own += [] if axes is None else ["--axes", axes]
    return shlex.join(["unseam", "demo", *own, "--minutes", f"{minutes:g}", "--seed", str(seed)])
