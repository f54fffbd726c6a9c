"""The demo: from images and labels to a report, on synthetic microscopy or on one's own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from unseam.config import DataConfig
from unseam.data.sample import IGNORE, Sample
from unseam.data.synthetic import synthetic_set
from unseam.errors import InputError, PairingError
from unseam.io.atomic import refuse_existing
from unseam.io.images import write_tiff
from unseam.prediction import Model
from unseam.workflow.evaluation import evaluate_files
from unseam.workflow.listener import Listener, clock, printing
from unseam.workflow.loading import load_set
from unseam.workflow.predicting import predict_files
from unseam.workflow.training import hold_out, read_history, train

TRAIN_IMAGES, TRAIN_SHAPE = 16, (256, 256)
TEST_IMAGES, TEST_SHAPE = 2, (1200, 1200)
TEST_SHARE = 0.25
FEWEST = 2


def run_demo(
    out: str | Path,
    *,
    images: str | Path | None = None,
    labels: str | Path | None = None,
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
        If there is a report in `out` already.
    """
    listener, out, started = listener or printing(), Path(out), time.monotonic()
    report = out / "report.html"
    refuse_existing(report, overwrite=overwrite)
    if (images is None) != (labels is None):
        raise PairingError(
            "one of --images and --labels was given; give both, or neither for synthetic images"
        )
    learn, test = _synthetic(seed, listener) if images is None else _own(images, labels, seed, listener)
    model = train(
        [s.image for s in learn],
        [s.labels for s in learn],
        out=out / "run",
        minutes=minutes,
        seed=seed,
        ignore=IGNORE if any((s.labels == IGNORE).any() for s in learn) else None,
        pixel_size=min(learn[0].spacing) if learn[0].spacing else None,
        overwrite=overwrite,
        listener=listener,
    )
    _write_test(out / "test", test)
    predicting = time.monotonic()
    predict_files(model, [out / "test/images"], out / "predictions", overwrite=True, listener=listener)
    facts = _facts(model, learn, test, time.monotonic() - predicting)
    evaluate_files(
        out / "test/labels",
        out / "predictions",
        images=out / "test/images",
        json_file=out / "scores.json",
        report=report,
        overwrite=True,
        listener=listener,
        title="unseam on synthetic microscopy" if images is None else f"unseam on {Path(images).name}",
        headline=facts,
        history=tuple(read_history(out / "run/history.csv")),
        command=_command(images, labels, minutes, seed),
        notes=("All images are synthetic: made by unseam.data.synthetic.",) if images is None else (),
    )
    listener.say(f"done in {clock(time.monotonic() - started)}")
    return report


def _synthetic(seed: int, listener: Listener) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    listener.say(
        f"synthetic microscopy: {TRAIN_IMAGES} images of {TRAIN_SHAPE[0]} x {TRAIN_SHAPE[1]} px to train on, "
        f"{TEST_IMAGES} of {TEST_SHAPE[0]} x {TEST_SHAPE[1]} px to test on"
    )
    learn = synthetic_set(TRAIN_IMAGES, shape=TRAIN_SHAPE, seed=seed)
    return tuple(learn), tuple(synthetic_set(TEST_IMAGES, shape=TEST_SHAPE, seed=seed + 1_000_003))


def _own(
    images: str | Path, labels: str | Path | None, seed: int, listener: Listener
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    samples = load_set(images, labels, DataConfig(), listener).samples
    if len(samples) < FEWEST:
        raise InputError(f"{len(samples)} annotated image was given; the demo needs {FEWEST}, one to test on")
    learn, test = hold_out(samples, TEST_SHARE, seed)
    return (learn, test) if test else (samples[1:], samples[:1])


def _write_test(folder: Path, test: Sequence[Sample]) -> None:
    """Write the images kept for testing, as a person would have them."""
    for s in test:
        axes = "YX" if s.labels.ndim == 2 else "ZYX"
        name = f"{s.stem}.tif"
        write_tiff(folder / "images" / name, s.image, axes=f"C{axes}", spacing=s.spacing, overwrite=True)
        write_tiff(folder / "labels" / name, s.labels.clip(0), axes=axes, spacing=s.spacing, overwrite=True)


def _facts(
    model: Model, learn: Sequence[Sample], test: Sequence[Sample], seconds: float
) -> tuple[tuple[str, str], ...]:
    training = model.header.training
    pixels = sum(s.labels.size for s in test) / 1e6
    return (
        ("trained on", f"{len(learn)} images, {sum(int(s.labels.max()) for s in learn)} objects"),
        ("training", f"{training['iterations']} iterations in {clock(training['seconds'])}"),
        ("tested on", f"{len(test)} other images, {pixels:.1f} megapixels"),
        ("prediction", f"{seconds:.1f} s, pictures and tables included"),
    )


def _command(images: str | Path | None, labels: str | Path | None, minutes: float, seed: int) -> str:
    own = "" if images is None else f" --images {images} --labels {labels}"
    return f"unseam demo{own} --minutes {minutes:g} --seed {seed}"
