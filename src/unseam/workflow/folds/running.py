"""`unseam train --folds K`: train each fold, score what it did not see, and choose for all together."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from unseam.errors import ConfigError, OutputExistsError, TrainingError
from unseam.io.atomic import refuse_both, replacing
from unseam.model.ensemble import Ensemble, Fold, read_ensemble, write_ensemble
from unseam.model.finding import ENSEMBLE, MODEL
from unseam.model.weights import file_digest
from unseam.prediction import Model, load_model
from unseam.training.distributed import ALONE, joined
from unseam.workflow.finetuning import configured_for, load_base
from unseam.workflow.folds.division import check_folds, divide, names_of, task_of_fold, with_budget_of_one
from unseam.workflow.folds.record import CrossValidation, OutOfFold, main_scores
from unseam.workflow.folds.scoring import (
    choose_together,
    document_of,
    evaluate_out_of_fold,
    main_measures,
    predict_fold,
    write_labels,
    write_page,
)
from unseam.workflow.listener import Countdown, Listener, printing
from unseam.workflow.loading import DEFAULT_SPLIT, Images, Labels, LoadedSet, load_set
from unseam.workflow.run import FILES, Run
from unseam.workflow.starting import refuse_other
from unseam.workflow.task import Task, planned_task
from unseam.workflow.training import configure, split_of, train_task

SCORES, REPORT, LABELS = "scores.json", "report.html", "out_of_fold"


def cross_validate(
    images: Images,
    labels: Labels = None,
    *,
    out: str | Path,
    folds: int = 5,
    base: str | Path | None = None,
    preset: str = "default",
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    split: str | None = DEFAULT_SPLIT,
    tensorboard: bool = False,
    listener: Listener | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    **options: Any,
) -> CrossValidation:
    """Train a network for each part of a set on the other parts, and score it on that part.

    Parameters
    ----------
    images, labels, base, preset, settings, split, tensorboard, listener, should_stop, **options
        As `unseam.train`. Minutes, or iterations, are those of all trainings together; reading, and
        predicting what is out of fold, come on top.
    out : str or Path
        Folder for fold0, fold1, ... (a run each), out_of_fold/NAME.tif, scores.json, report.html, and
        ensemble.json, by which `unseam predict OUT` and `unseam.load_model` take all models together.
    folds : int
        How many parts; 2 or more.
    resume : bool
        Go on with the folds that are not done.
    overwrite : bool
        Whether a cross-validation in `out` may be replaced.

    Raises
    ------
    ConfigError
        If there are too few folds, several processes, or what is resumed was started otherwise.
    InputError
        If there are fewer images than folds.
    OutputExistsError
        If `out` holds a run, or a cross-validation and neither `resume` nor `overwrite` is given.
    TrainingError
        If it was stopped; what is done is kept.
    UnseamError
        As `unseam.train`.
    """
    listener, out = listener or printing(), Path(out)
    refuse_both(resume=resume, overwrite=overwrite)
    check_folds(folds)
    _refuse_ranks()
    config = with_budget_of_one(configure(preset, settings, options), folds)
    start = load_base(base) if base else None
    if start:
        config = configured_for(start, config, settings or {})
    _refuse_existing(out, resume=resume, overwrite=overwrite)
    loaded = load_set(images, labels, config.data, listener, split=split_of(images, split))
    division = divide(loaded.samples, folds, config.train.seed)
    budget = config.train.iterations or config.train.minutes
    listener.say(
        f"cross-validation: {folds} folds of {', '.join(str(len(fold)) for fold in division)} images, "
        f"{budget:g} {'iterations' if config.train.iterations else 'minutes'} for each of their trainings"
    )
    task = planned_task(listener.say, loaded, config, preset, ALONE, base=start)
    ensemble = _begin(out, task, division, resume=resume)
    models = []
    for number, held in enumerate(division):
        if not _is_done(out, ensemble.folds[number]):
            listener.say(f"fold{number}, {number + 1} of {folds}")
            of_fold = task_of_fold(task, held, number, listener.say)
            run = Run(out / f"fold{number}", listener, time.monotonic())
            train_task(run, of_fold, ALONE, resume=resume, tensorboard=tensorboard, should_stop=should_stop)
            if should_stop():
                raise TrainingError(
                    f"stopped in fold{number}, {number + 1} of {folds}; what is done is kept, and the same "
                    "command with --resume goes on"
                )
            ensemble = _with_digest(out, ensemble, number)
        models.append(_load(out / ensemble.folds[number].model, task))
    return _finish(out, task, loaded, ensemble, models, division, listener)


def _refuse_ranks() -> None:
    with joined() as world:
        if world.size > 1:
            raise ConfigError(
                f"--folds was given to {world.size} ranks, and a cross-validation trains in one process, one "
                "fold after the other; start it without torchrun"
            )


def _refuse_existing(out: Path, *, resume: bool, overwrite: bool) -> None:
    there = [name for name in FILES if (out / name).exists()]
    if there:
        raise OutputExistsError(
            f"{out} holds a run already ({there[0]}), of one model; give --out another folder"
        )
    if (out / ENSEMBLE).exists() and not (resume or overwrite):
        raise OutputExistsError(
            f"{out} holds a cross-validation already; --resume goes on with it, --overwrite replaces it"
        )


def _begin(out: Path, task: Task, division: Sequence[Sequence[int]], *, resume: bool) -> Ensemble:
    """What is in the folder, to be gone on with, or a new one in its place."""
    names = names_of(task.train)
    held = [tuple(names[k] for k in fold) for fold in division]
    identity = {**task.identity(), "folds": {"count": len(division)}}
    new = Ensemble(tuple(Fold(f"fold{k}/{MODEL}", stems) for k, stems in enumerate(held)), identity)
    if (out / ENSEMBLE).exists():
        if resume:
            old = read_ensemble(out)
            refuse_other(old.identity, identity)
            return replace(old, objects=None)
        _remove(out)
    write_ensemble(out, new)
    return new


def _remove(out: Path) -> None:
    """Remove the runs of a cross-validation that is replaced; files of somebody else are left."""
    for folder in out.glob("fold*"):
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()


def _is_done(out: Path, fold: Fold) -> bool:
    path = out / fold.model
    return bool(fold.digest) and path.is_file() and file_digest(path) == fold.digest


def _with_digest(out: Path, ensemble: Ensemble, number: int) -> Ensemble:
    """The record with a fold that is done, written."""
    folds = list(ensemble.folds)
    folds[number] = replace(folds[number], digest=file_digest(out / folds[number].model))
    ensemble = replace(ensemble, folds=tuple(folds))
    write_ensemble(out, ensemble)
    return ensemble


def _load(path: Path, task: Task) -> Model:
    """A model as training has it: PyTorch in float32."""
    return load_model(path, device=task.device.type, engine="torch", precision="float32")


def _finish(
    out: Path,
    task: Task,
    loaded: LoadedSet,
    ensemble: Ensemble,
    models: Sequence[Model],
    division: Sequence[Sequence[int]],
    listener: Listener,
) -> CrossValidation:
    """Predict what is out of fold, score it, choose, and write all of it."""
    names = names_of(task.train)
    countdown = Countdown(listener, "predicting out of fold", len(names))
    predictions: list[OutOfFold] = []
    for number, (model, held) in enumerate(zip(models, division, strict=True)):
        images = [(names[k], task.train[k]) for k in held]
        predictions += predict_fold(model, number, images, countdown, before=len(predictions))
    classes = tuple(map(str, loaded.coding.values)) or tuple(map(str, range(loaded.coding.n_classes)))
    evaluation = evaluate_out_of_fold(predictions, task.kind, classes, listener)
    of_folds = tuple(
        evaluate_out_of_fold([one for one in predictions if one.fold == k], task.kind, classes)
        for k in range(len(models))
    )
    chosen = choose_together(predictions, models[0], task.config.objects, task.free)
    measures = main_measures(models[0])
    scores = main_scores(evaluation, measures)
    write_ensemble(out, replace(ensemble, objects=chosen.objects, scores=scores))
    together = load_model(out, device=task.device.type, engine="torch", precision="float32")
    held_out = tuple(fold.held_out for fold in ensemble.folds)
    done = CrossValidation(together, evaluation, of_folds, held_out, chosen, measures)
    _write(out, done, predictions, semantic=task.kind == "semantic")
    listener.say(f"report: {out / REPORT}")
    listener.say(f"models: unseam predict {out} averages the {len(models)} of them")
    return done


def _write(out: Path, done: CrossValidation, predictions: Sequence[OutOfFold], *, semantic: bool) -> None:
    write_labels(out / LABELS, predictions)
    models = [f"fold{k}" for k in range(len(done.of_folds))]
    document = document_of(done.evaluation, done.of_folds, done.chosen, models)
    with replacing(out / SCORES, overwrite=True) as temporary:
        temporary.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    write_page(out / REPORT, predictions, done.evaluation, headline=done.facts, semantic=semantic)
