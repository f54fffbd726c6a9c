"""Train: images and labels in, a run folder with a model out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from unseam.config import Config
from unseam.data.sample import FEWEST_TO_HOLD_OUT
from unseam.io.atomic import refuse_both
from unseam.model.checkpoint import load_network
from unseam.model.finding import MODEL
from unseam.plan import is_tiled, preset
from unseam.prediction import Model, load_model, ready
from unseam.report.words import number
from unseam.training.distributed import World, joined, share
from unseam.training.loop import Hooks, fit
from unseam.training.state import State
from unseam.workflow.finetuning import configured_for, load_base
from unseam.workflow.guarding import reference_of
from unseam.workflow.listener import SILENT, Listener, printing
from unseam.workflow.loading import DEFAULT_SPLIT, Images, Labels, is_csv, load_set
from unseam.workflow.run import Run, tensorboard_log
from unseam.workflow.starting import begin
from unseam.workflow.task import Task, prepare_task
from unseam.workflow.validation import choose_objects, validate

FEWEST_STEPS = 100
"""A run of fewer steps says that they were few."""
SHARE_FOR_CHOOSING = 0.02
"""Share of a budget of minutes that is left for choosing threshold and growth at the end."""


def train(
    images: Images,
    labels: Labels = None,
    *,
    out: str | Path,
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
) -> Model:
    """Train a network on annotated images.

    Started by torchrun, all its processes train the one network together: each draws its own patches, and
    the first one validates, writes and tells.

    Parameters
    ----------
    images, labels : folder, file, or list of arrays
        Arrays (C, *spatial) or (*spatial), and (*spatial) of integers. `images` may be a CSV file of pairs.
    out : str or Path
        Folder for model.safetensors, config.toml, history.csv, curves.png, patches.png and the checkpoint.
    base : str or Path, optional
        A trained model to start from; its network, normalisation and pixel size are taken over, and images
        of another pixel size are rescaled to it. The learning rate is lower unless `settings` has one.
    preset : str
        "default" or "paper".
    settings : mapping of sections, optional
        Any configuration value, as {"network": {"depth": 3}}.
    resume : bool
        Go on from the checkpoint in `out`; all but minutes and iterations must be as they were.
    overwrite : bool
        Whether a run in `out` may be replaced.
    split : str, optional
        Of a CSV file with a column split, the rows to train on.
    tensorboard : bool
        Also write TensorBoard events (extra `unseam[tensorboard]`).
    listener : Listener, optional
        Told what happens; by default lines go to standard error.
    should_stop : callable
        Asked after each step; True ends the run cleanly, with the best model saved.
    **options
        The fields of `DataConfig` and `TrainConfig` by name: minutes, iterations, seed, device, task ...

    Returns
    -------
    Model
        The best one on the held-out images, with threshold and growth chosen on them.

    Raises
    ------
    UnseamError
        For input that cannot be used, an output that exists, a loss that is not finite; see `unseam.errors`.
    """
    began = time.monotonic()
    with joined() as world:
        refuse_both(resume=resume, overwrite=overwrite)
        run = Run(Path(out), (listener or printing()) if world.first else SILENT, began)
        config, start = configure(preset, settings, options), load_base(base) if base else None
        if start:
            config = configured_for(start, config, settings or {})
        if world.first:
            run.refuse_existing(resume=resume, overwrite=overwrite)
        loaded = load_set(images, labels, config.data, run.listener, split=split_of(images, split))
        task = prepare_task(run, loaded, config, preset, world, base=start)
        return train_task(run, task, world, resume=resume, tensorboard=tensorboard, should_stop=should_stop)


def split_of(images: Images, split: str | None) -> str | None:
    """The rows to take: of what is no CSV file all, unless others than the usual ones are asked for."""
    return None if split == DEFAULT_SPLIT and not is_csv(images) else split


def train_task(
    run: Run, task: Task, world: World, *, resume: bool, tensorboard: bool, should_stop: Callable[[], bool]
) -> Model:
    """Train what was prepared; parameters and errors as of `train`."""
    state = begin(run, task.config, task.device, task.identity(), world, resume=resume, base=task.base)
    sampler, config = task.sampler(), _with_clock(task.config, run)
    if not world.first:
        fit(state, sampler, config, _following(should_stop), low_precision=task.low_precision, world=world)
        return _shared_model(task.device, world)
    with tensorboard_log(run.folder) if tensorboard else nullcontext() as log:
        run.open(task.stated, sampler, resume=resume)
        hooks = _leading(run, task, log, should_stop)
        if task.base and not state.validations:
            _score_base(task, state, hooks, run)
        fit(state, sampler, config, hooks, low_precision=task.low_precision, world=world)
    model = _finish(run, task, state)
    share((run.folder / MODEL).read_bytes(), world)
    return model


def _leading(run: Run, task: Task, log: Any, should_stop: Callable[[], bool]) -> Hooks:
    """What rank 0 does beside the steps: all that is validated, told and written."""
    measure = "V info" if is_tiled(task.fingerprint) else "AP" if task.kind == "instances" else "Dice"
    return Hooks(
        validate=lambda net: validate(task.model(net), task.held_out),
        keep=lambda s: run.keep(s.average.state_dict(), task.header(**_summary(s))),
        checkpoint=lambda s: run.checkpoint(s, task.identity()),
        progress=lambda p: run.tell(p, measure, log),
        should_stop=should_stop,
    )


def _score_base(task: Task, state: State, hooks: Hooks, run: Run) -> None:
    """Score the model that the run starts from, and keep it until training makes a better one."""
    assert task.base is not None
    if not task.held_out or task.base.header.network.classes != task.config.network.classes:
        return
    scores = hooks.validate(state.average)
    named = ", ".join(f"{name} {number(value)}" for name, value in scores.items())
    run.listener.say(f"held-out images before training: {named}")
    state.best_score = next(iter(scores.values()))
    hooks.keep(state)


def _following(should_stop: Callable[[], bool]) -> Hooks:
    """What the other ranks do beside the steps: nothing."""
    return Hooks(lambda _: {}, lambda _: None, lambda _: None, should_stop=should_stop)


def _shared_model(device: torch.device, world: World) -> Model:
    """The model that rank 0 has written, on a machine that may not see the folder."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / MODEL
        copy.write_bytes(share(b"", world))
        return load_model(copy, device=device.type, engine="torch", precision="float32")


def configure(
    name: str, settings: Mapping[str, Mapping[str, Any]] | None, options: Mapping[str, Any]
) -> Config:
    """A preset with settings, and options by field name, put in; `None` options are left as they are."""
    config = preset(name).updated(settings or {})
    sections: dict[str, dict[str, Any]] = {"data": {}, "train": {}}
    for key, value in options.items():
        section = "data" if hasattr(config.data, key) else "train"
        if value is not None:
            sections[section][key] = value
    return config.updated(sections)


def _finish(run: Run, task: Task, state: State) -> Model:
    """Choose thresholds and growth for the best model, and write it for the last time."""
    best = load_model(run.folder / MODEL, device=task.device.type, engine="torch", precision="float32")
    if task.base and best.header.training["iterations"] == 0:
        run.listener.say("training made it no better: the model that it started from is kept")
    objects = choose_objects(best, task.held_out, free=task.free)
    final = replace(task, config=replace(task.config, objects=objects))
    scores = validate(replace(best, header=replace(best.header, objects=objects)), task.held_out)
    net, _ = load_network(run.folder / MODEL)
    chosen = task.free if task.kind == "instances" and scores else ()
    header = final.header(
        **_summary(state),
        held_out_scores={name: value if np.isfinite(value) else None for name, value in scores.items()},
        chosen_on_them=["model", *chosen] if scores else [],
    )
    learned = [sample.image for sample in (*task.train, *task.held_out)]
    guard = reference_of(ready(net, header, str(task.device)), learned, listener=run.listener)
    header = replace(header, guard=guard)
    run.keep(net.state_dict(), header)
    if scores:
        named = ", ".join(f"{name} {number(value)}" for name, value in scores.items())
        values = "".join(f", {name} {getattr(objects, name):g}" for name in chosen)
        run.listener.say(f"held-out images: {named} (chosen on them: the model{values})")
    if state.step < FEWEST_STEPS:
        run.listener.say(
            f"warning: only {state.step} steps were done, too few to learn from; give more minutes or "
            "iterations, or a machine with nothing else to do"
        )
    if not task.held_out and not task.config.data.validation:
        run.listener.say("nothing was held out, as asked: score the model on other images")
    elif not task.held_out:
        run.listener.say(
            f"warning: fewer than {FEWEST_TO_HOLD_OUT} images or files, and none large enough to hold a part "
            "of it out: nothing says yet how good the model is; score it on other images"
        )
    run.listener.say(f"model: {run.folder / MODEL}")
    return ready(net, header, str(task.device))


def _summary(state: State) -> dict[str, Any]:
    """What the model's header says of the run."""
    return {
        "iterations": state.step,
        "seconds": round(state.seconds, 1),
        "best_score": state.best_score if np.isfinite(state.best_score) else None,
    }


def _with_clock(config: Config, run: Run) -> Config:
    """The budget of minutes less what is spent already and what choosing the threshold will take."""
    if config.train.minutes is None:
        return config
    spent = (time.monotonic() - run.started) / 60
    minutes = config.train.minutes * (1 - SHARE_FOR_CHOOSING) - spent
    return replace(config, train=replace(config.train, minutes=max(minutes, 1 / 60)))
