"""The learning curve: would more annotated images help? Trained on ever more, scored on the same others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from unseam.config import Config, DataConfig, TrainConfig
from unseam.data.pairs import Pair
from unseam.draw.learning import draw_learning
from unseam.errors import InputError, OutputExistsError, PairingError
from unseam.io.atomic import refuse_both, replacing
from unseam.metrics.scores import CountedScores, PartitionScores
from unseam.report.words import plural
from unseam.workflow.listener import Listener, printing
from unseam.workflow.loading import pair_files
from unseam.workflow.training import FEWEST_STEPS
from unseam.workflow.trial import Row, Trial, run_trial

FEWEST = 2
"""Images that the smallest trial learns from."""
TEST_SHARE = 0.25
HELPS = 0.01
"""Rise of the score with the last doubling from which more images are said to help."""
KNOWN = ("dice_classes", "iou_classes", *(f.name for f in (*fields(CountedScores), *fields(PartitionScores))))
"""Scores that a curve can be of."""
CURVE, PICTURE, NOTE = "curve.json", "curve.png", "learning-curve.txt"


@dataclass(frozen=True)
class Point:
    """A score: how many images were learned from, with which seed, in how many steps, and how it came out."""

    images: int
    seed: int
    score: float
    steps: int = FEWEST_STEPS


@dataclass(frozen=True)
class LearningCurve:
    """Scores against the number of images learned from.

    Attributes
    ----------
    measure : what the score is.
    points : by number of images and seed.
    tested : images that every trial was scored on.
    verdict : what it says, in a sentence.
    """

    measure: str
    points: tuple[Point, ...]
    tested: int
    verdict: str


def learning_curve(
    images: str | Path,
    labels: str | Path | None = None,
    *,
    out: str | Path,
    minutes: float = 5.0,
    sizes: Sequence[int] | None = None,
    seeds: Sequence[int] = (0,),
    measure: str | None = None,
    data: DataConfig | None = None,
    resume: bool = False,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> LearningCurve:
    """Train on ever more of the images, each time for as long, and score on the same others.

    Parameters
    ----------
    images, labels : str or Path
        Two folders, or a CSV file of pairs; rows whose split is "test" are scored on, else a quarter of the
        images, drawn with the first seed.
    out : str or Path
        Folder for curve.png, curve.json, and a folder for each trial with its report.
    minutes : float
        Of each training.
    sizes : sequence of int, optional
        Images to learn from; by default all of them, half, a quarter, ... down to 2. Smaller sets are parts
        of larger ones.
    seeds : sequence of int
        A curve for each: the order of the images and the training depend on it.
    measure : str, optional
        The score; ap50 of objects and dice_classes of classes by default.
    data : DataConfig, optional
        What the labels mean.
    resume, overwrite : bool
        Go on with a curve that was stopped, or replace one that is there.

    Raises
    ------
    PairingError
        If there are too few pairs, or labels of several images in one file.
    InputError
        If a size is less than 2 or more than there are, or the score is not known.
    OutputExistsError
        If `out` holds other files, or a curve and neither `resume` nor `overwrite` is given.
    UnseamError
        As `unseam.workflow.trial.run_trial`.
    """
    listener, out, data = listener or printing(), Path(out), data or DataConfig()
    refuse_both(resume=resume, overwrite=overwrite)
    if not seeds:
        raise InputError("no seed was given; give one at least, as --seeds 0")
    for seed in seeds:
        TrainConfig(minutes=minutes, seed=seed)  # which refuses what is out of range, before anything is done
    if measure is not None and measure not in KNOWN:
        raise InputError(f"measure is {measure!r}; expected one of: {', '.join(KNOWN)}")
    learn, test = _divided(pair_files(images, labels).pairs, seeds[0])
    sizes = _checked(sizes, len(learn))
    _claim(out, resume=resume, overwrite=overwrite)
    listener.say(
        f"learning curve: {', '.join(map(str, sizes))} of {plural(len(learn), 'image')}, {minutes:g} minutes "
        f"each, scored on {len(test)} others; {plural(len(sizes) * len(seeds), 'training')} in all"
    )
    points = []
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(learn))
        for size in sizes:
            rows = [*_rows([learn[i] for i in sorted(order[:size])], "train"), *_rows(test, "test")]
            folder = out / f"{size}-images-seed{seed}"
            listener.say(f"{folder.name}")
            trial = _trial(rows, data, folder.name, minutes=minutes, seed=seed)
            result = run_trial(trial, folder, resume=resume, listener=listener)
            measure = measure or ("dice_classes" if "dice_classes" in result.scores else "ap50")
            points.append(Point(size, seed, _score(result.scores, measure), result.iterations))
    assert measure is not None
    curve = LearningCurve(measure, tuple(points), len(test), verdict(points, measure))
    _write(curve, out)
    listener.say(curve.verdict)
    return curve


def verdict(points: Sequence[Point], measure: str) -> str:
    """What the last doubling of the images brought, in a sentence; scores are means over the seeds."""
    means = {n: fmean(p.score for p in points if p.images == n) for n in sorted({p.images for p in points})}
    *rest, most = means
    halves = [n for n in rest if 2 * n <= most]
    if not halves:
        return f"{measure} is {means[most]:.3f} with {most} images; give smaller --sizes to see how it rises"
    half = max(halves)
    rise = means[most] - means[half]
    told = f"from {half} to {most} images {measure} went from {means[half]:.3f} to {means[most]:.3f}"
    steps = min(p.steps for p in points if p.images in (half, most))
    if steps < FEWEST_STEPS:
        return (
            f"{told}, which tells nothing yet: {steps} steps are too few to learn from, give more --minutes"
        )
    spread = _spread(points, most)
    if rise > max(HELPS, spread):
        return f"{told}: more annotated images should help further"
    if spread > 0:
        return f"{told}, which is within what seeds differ by ({spread:.3f}): more images may hardly help"
    return f"{told}: more images may hardly help; --seeds 0 1 2 tells chance from gain"


def _spread(points: Sequence[Point], images: int) -> float:
    """Standard deviation over the seeds; 0 where there is one."""
    scores = [p.score for p in points if p.images == images]
    return float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0


def default_sizes(count: int) -> list[int]:
    """All, half, a quarter, ... down to `FEWEST`, the fewest first.

    >>> default_sizes(70)
    [2, 4, 8, 17, 35, 70]
    """
    sizes = [count]
    while sizes[-1] // 2 >= FEWEST:
        sizes.append(sizes[-1] // 2)
    return sizes[::-1]


def _checked(sizes: Sequence[int] | None, count: int) -> list[int]:
    if sizes is None:
        return default_sizes(count)
    for size in sizes:
        if not FEWEST <= size <= count:
            raise InputError(
                f"a size of {size} was given; there are {count} images to learn from: "
                f"give {FEWEST} to {count}"
            )
    return sorted(set(sizes))


def _divided(pairs: Sequence[Pair], seed: int) -> tuple[list[Pair], list[Pair]]:
    """Pairs to learn from and pairs to score on."""
    if any(pair.within for pair in pairs):
        raise PairingError(
            "the labels of several images lie in one file; a learning curve takes a label file for each "
            "image: `unseam convert` makes them"
        )
    test = [pair for pair in pairs if pair.split == "test"]
    learn = [pair for pair in pairs if pair.split in ("", "train")]
    if not test:
        count = max(1, round(TEST_SHARE * len(learn)))
        chosen = set(np.random.default_rng(seed).permutation(len(learn))[:count].tolist())
        test = [pair for i, pair in enumerate(learn) if i in chosen]
        learn = [pair for i, pair in enumerate(learn) if i not in chosen]
    if len(learn) < 2 * FEWEST:
        raise PairingError(
            f"{len(learn)} pairs are left to learn from; a learning curve takes {2 * FEWEST} at least, and "
            "others to score on"
        )
    return learn, test


def _rows(pairs: Sequence[Pair], split: str) -> list[Row]:
    return [Row(pair.image, pair.labels, split) for pair in pairs]


def _trial(rows: Sequence[Row], data: DataConfig, name: str, *, minutes: float, seed: int) -> Trial:
    stated, usual = asdict(data), asdict(Config().data)
    given = {key: value for key, value in stated.items() if value != usual[key]}
    return Trial(tuple(rows), {**given, "minutes": minutes, "seed": seed}, data, f"learning curve: {name}")


def _score(scores: Any, measure: str) -> float:
    if scores.get(measure) is None:
        known = ", ".join(name for name, value in scores.items() if isinstance(value, float))
        raise InputError(f"measure is {measure!r}; expected one of: {known}")
    return float(scores[measure])


def _claim(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise where the folder holds anything else, or a curve that nobody wants replaced; mark it."""
    if out.is_dir() and any(out.iterdir()):
        if not (out / NOTE).is_file():
            raise OutputExistsError(f"{out} holds other files; give --out a folder of its own")
        if not (resume or overwrite):
            raise OutputExistsError(
                f"{out} holds a learning curve already; --resume goes on with it, --overwrite replaces it"
            )
    with replacing(out / NOTE, overwrite=True) as temporary:
        temporary.write_text("unseam learning-curve\n", encoding="utf-8")


def _write(curve: LearningCurve, out: Path) -> None:
    with replacing(out / CURVE, overwrite=True) as temporary:
        temporary.write_text(json.dumps(asdict(curve), indent=1) + "\n", encoding="utf-8")
    points = [(p.images, p.score) for p in curve.points]
    draw_learning(points, out / PICTURE, measure=curve.measure, overwrite=True)
