"""Train: images and labels in, a run folder with a model out."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import unseam
from unseam.config import Config, ObjectConfig
from unseam.data.check import check_samples
from unseam.data.dataset import PatchSampler, is_anisotropic, prepare
from unseam.data.sample import IGNORE, Sample
from unseam.draw import curves, patches_figure
from unseam.errors import ConfigError, InputError, OutputExistsError
from unseam.fingerprint import Fingerprint, describe, fingerprint
from unseam.io.atomic import replacing
from unseam.metrics.overlap import overlaps
from unseam.metrics.pixel import PixelCounts, dice, iou, pixel_counts
from unseam.metrics.scores import pool, score
from unseam.model.checkpoint import ModelHeader, build_network, save_model
from unseam.model.unet import UNet, initialise
from unseam.normalize import Normalization
from unseam.plan import plan, preset
from unseam.prediction import Model, choose_device, load_model, ready, to_labels
from unseam.training.loop import Hooks, Progress, fit
from unseam.training.state import State, load_state, save_state, saved_run, start
from unseam.workflow.listener import Listener, Step, printing
from unseam.workflow.loading import Images, Labels, LoadedSet, load_set

MODEL, CHECKPOINT, CONFIG, HISTORY = (
    "model.safetensors",
    "checkpoint.safetensors",
    "config.toml",
    "history.csv",
)
FEWEST_TO_HOLD_OUT = 4
MOST_TO_HOLD_OUT = 16
THRESHOLDS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
LOW_THRESHOLDS = (0.2, 0.3, 0.4, 0.5)
GROWTHS = (0, 1, 2, 4, 6)
SHARE_FOR_CHOOSING = 0.02
"""Share of a budget of minutes that is left for choosing threshold and growth at the end."""


def train(
    images: Images,
    labels: Labels = None,
    *,
    out: str | Path,
    preset: str = "default",
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    split: str | None = "train",
    tensorboard: bool = False,
    listener: Listener | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    **options: Any,
) -> Model:
    """Train a network on annotated images.

    Parameters
    ----------
    images, labels : folder, file, or list of arrays
        Arrays (C, *spatial) or (*spatial), and (*spatial) of integers. `images` may be a CSV file of pairs.
    out : str or Path
        Folder for model.safetensors, config.toml, history.csv, curves.png, patches.png and the checkpoint.
    preset : str
        "default" or "paper".
    settings : mapping of sections, optional
        Any configuration value, as {"network": {"depth": 3}}.
    resume : bool
        Go on from the checkpoint in `out`; the other arguments must be the same.
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
    run = _Run(Path(out), listener or printing(), time.monotonic())
    config = configure(preset, settings, options)
    run.refuse_existing(resume=resume, overwrite=overwrite)
    loaded = load_set(images, labels, config.data, run.listener, split=split)
    task = _prepare(run, loaded, config, preset)
    state = _begin(run, task, resume=resume)
    sampler = task.sampler()
    with _tensorboard(run.folder) if tensorboard else nullcontext() as log:
        run.open(task.config, sampler, resume=resume)
        hooks = Hooks(
            validate=lambda net: validate(task.model(net), task.held_out),
            keep=lambda s: run.keep(task, s),
            checkpoint=lambda s: run.checkpoint(task, s),
            progress=lambda p: run.tell(p, task, log),
            should_stop=should_stop,
        )
        fit(state, sampler, _with_clock(task.config, run), hooks, low_precision=task.low_precision)
    return run.finish(task, state)


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


@dataclass(frozen=True)
class _Task:
    """What is trained on what: all that stays the same during a run."""

    config: Config
    train: tuple[Sample, ...]
    held_out: tuple[Sample, ...]
    kind: str
    fingerprint: Fingerprint
    normalization: Normalization
    device: torch.device
    low_precision: bool
    preset: str

    def identity(self) -> dict[str, dict[str, Any]]:
        """What has to be the same for a run to be continued."""
        return {**self.config.to_dict(), "images": self.fingerprint.to_dict()}

    def header(self, **training: Any) -> ModelHeader:
        return ModelHeader(
            task=self.kind,
            network=self.config.network,
            normalization=self.normalization,
            objects=self.config.objects,
            spacing=self.fingerprint.spacing,
            fingerprint=self.fingerprint,
            training={"preset": self.preset, "seed": self.config.train.seed, **training},
            unseam_version=unseam.__version__,
        )

    def model(self, net: nn.Module) -> Model:
        assert isinstance(net, UNet)
        return ready(net, self.header(), self.device)

    def sampler(self) -> PatchSampler:
        network, train, loss = self.config.network, self.config.train, self.config.loss
        assert train.patch is not None and network.classes is not None
        prepared = prepare(
            self.train,
            loss,
            task=self.kind,
            classes=network.classes,
            normalization=self.normalization,
            device=self.device,
        )
        return PatchSampler(
            prepared,
            input_shape=train.patch,
            output_shape=build_network(network).geometry.output(train.patch),
            augment=self.config.augment,
            density=loss.density,
            seed=train.seed,
            anisotropic=is_anisotropic(self.fingerprint.spacing),
        )


def _prepare(run: _Run, loaded: LoadedSet, config: Config, preset_name: str) -> _Task:
    """Check the set, hold some images out, plan; say what was found and decided."""
    say, samples = run.listener.say, loaded.samples
    findings = check_samples(samples, task=loaded.task)
    for finding in findings:
        if finding.severity == "error":
            raise InputError(f"{finding.stem}: {finding.message}" if finding.stem else finding.message)
    warnings = [f for f in findings if f.severity == "warning"]
    if warnings:
        say(
            f"warnings: {len(warnings)} (see unseam check), the first: "
            f"{warnings[0].stem}: {warnings[0].message}"
        )
    fp = fingerprint(
        [s.image for s in samples],
        [s.labels for s in samples],
        spacings=[s.spacing for s in samples],
        task=loaded.task,
    )
    for line in describe(fp):
        say(line)
    device = choose_device(config.train.device)
    planned = plan(fp, config, classes=loaded.coding.n_classes, device=device.type)
    for line in planned.reasons:
        say(line)
    train_on, held_out = hold_out(samples, config.data.validation, config.train.seed)
    say(f"images: {len(train_on)} to learn from, {len(held_out)} held out to choose the best model")
    return _Task(
        planned.config,
        train_on,
        held_out,
        loaded.task,
        fp,
        Normalization(config.data.normalization),
        device,
        uses_bfloat16(config.train.precision, device),
        preset_name,
    )


def hold_out(
    samples: Sequence[Sample], share: float, seed: int
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Divide at random into images to learn from and images to validate on; too few are not divided."""
    count = min(MOST_TO_HOLD_OUT, len(samples) - 1, max(1, round(share * len(samples))))
    if share == 0 or len(samples) < FEWEST_TO_HOLD_OUT:
        return tuple(samples), ()
    chosen = set(np.random.default_rng(seed).permutation(len(samples))[:count].tolist())
    return (
        tuple(s for i, s in enumerate(samples) if i not in chosen),
        tuple(s for i, s in enumerate(samples) if i in chosen),
    )


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether to train in bfloat16: where asked for, or where the machine multiplies it natively."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def validate(model: Model, held_out: Sequence[Sample]) -> dict[str, float]:
    """Scores on whole images by overlap-tile prediction; the first one decides."""
    if not held_out:
        return {}
    truths, found = [s.labels for s in held_out], [model.predict(s.image).labels for s in held_out]
    if model.header.task == "semantic":
        return class_scores(truths, found, classes=model.network.classes)
    counted = pool([score(t, p) for t, p in zip(truths, found, strict=True)]).counted
    return {"ap": counted.ap, "ap50": counted.ap50, "dice": counted.dice}


def class_scores(
    truths: Sequence[NDArray[np.int32]], found: Sequence[NDArray[np.int32]], *, classes: int
) -> dict[str, float]:
    """Dice and IoU, each a mean over the classes but background, whose pixels are pooled over the images.

    A class that occurs in neither truth nor prediction is left out; if none occurs, both are 1.
    """
    counts = []
    for c in range(1, classes):
        pairs = [
            (np.where(t == IGNORE, t, t == c), (p == c).astype(int))
            for t, p in zip(truths, found, strict=True)
        ]
        one = [pixel_counts(overlaps(t, p)) for t, p in pairs]
        counts.append(PixelCounts(*(sum(getattr(k, f.name) for k in one) for f in fields(PixelCounts))))
    occurring = [k for k in counts if k.tp + k.fp + k.fn] or counts
    return {
        "dice": float(np.mean([dice(k) for k in occurring])),
        "iou": float(np.mean([iou(k) for k in occurring])),
    }


def choose_objects(model: Model, held_out: Sequence[Sample]) -> ObjectConfig:
    """Thresholds and growth with the best AP on the held-out images; ties go to the planned ones."""
    objects = model.header.objects
    if model.header.task != "instances" or not held_out:
        return objects
    maps = [model.probabilities(s.image) for s in held_out]

    @cache
    def quality(candidate: ObjectConfig) -> float:
        pairs = zip(held_out, maps, strict=True)
        pooled = pool([score(s.labels, to_labels(p, "instances", candidate)) for s, p in pairs])
        return pooled.counted.ap if np.isfinite(pooled.counted.ap) else 0.0

    for _ in range(2):  # one at a time, twice: near the best of all combinations, and far fewer
        for name, values in (("threshold", THRESHOLDS), ("low_threshold", LOW_THRESHOLDS), ("grow", GROWTHS)):
            tried: list[ObjectConfig] = [replace(objects, **{name: value}) for value in values]  # type: ignore[arg-type]
            objects = max([objects, *tried], key=quality)
    return objects


class _Run:
    """The folder of a run, and who is told about it."""

    def __init__(self, folder: Path, listener: Listener, started: float) -> None:
        self.folder, self.listener, self.started = folder, listener, started

    def refuse_existing(self, *, resume: bool, overwrite: bool) -> None:
        """Raise if there is a run already which is neither to be continued nor replaced."""
        there = [name for name in (MODEL, CHECKPOINT) if (self.folder / name).exists()]
        if there and not (resume or overwrite):
            raise OutputExistsError(
                f"{self.folder} holds a run already ({there[0]}); "
                "--resume goes on with it, --overwrite replaces it"
            )

    def open(self, config: Config, sampler: PatchSampler, *, resume: bool) -> None:
        """Write the configuration and the first patches; a run that is not continued is removed before."""
        if not resume:
            for name in (MODEL, CHECKPOINT):
                (self.folder / name).unlink(missing_ok=True)
        with replacing(self.folder / CONFIG, overwrite=True) as temporary:
            temporary.write_text(config.to_toml(), encoding="utf-8")
        self.draw_patches(sampler)

    def checkpoint(self, task: _Task, state: State) -> None:
        """Write state, history and curves."""
        save_state(self.folder / CHECKPOINT, state, task.identity())
        write_history(self.folder / HISTORY, state.history)
        if state.history:
            curves(state.history, self.folder / "curves.png", overwrite=True)

    def keep(self, task: _Task, state: State) -> None:
        """Write the averaged network as the model of the run."""
        header = task.header(**self._summary(state))
        save_model(self.folder / MODEL, state.average.state_dict(), header, overwrite=True)

    def tell(self, progress: Progress, task: _Task, log: Any) -> None:
        """Pass progress on to the listener, and to TensorBoard where it is wanted."""
        name = "AP" if task.kind == "instances" else "Dice"
        score_text = "" if progress.score is None else f", held-out {name} {progress.score:.3f}"
        detail = f"iteration {progress.step}, loss {progress.loss:.3f}{score_text}"
        self.listener.step(Step("training", progress.fraction, detail, progress.seconds_left))
        if log is not None:
            log.add_scalar("loss", progress.loss, progress.step)
            if progress.score is not None:
                log.add_scalar("held_out_score", progress.score, progress.step)

    def draw_patches(self, sampler: PatchSampler) -> None:
        """Draw the first patches as the network sees them, with their weight maps."""
        batch = sampler.batch(0, 4)
        patches_figure(
            batch.image.cpu().numpy(),
            batch.target.cpu().numpy(),
            batch.weights.cpu().numpy(),
            self.folder / "patches.png",
            overwrite=True,
        )

    def finish(self, task: _Task, state: State) -> Model:
        """Choose threshold and growth for the best model, and write it for the last time."""
        best = load_model(self.folder / MODEL, device=task.device.type)
        objects = choose_objects(best, task.held_out)
        final = replace(task, config=replace(task.config, objects=objects))
        scores = validate(replace(best, header=replace(best.header, objects=objects)), task.held_out)
        from unseam.model.checkpoint import load_network

        net, _ = load_network(self.folder / MODEL)
        summary = self._summary(state) | {"held_out": scores}
        header = final.header(**summary)
        save_model(self.folder / MODEL, net.state_dict(), header, overwrite=True)
        if scores:
            named = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
            chosen = (
                f" (core above {objects.threshold:g}, grown by {objects.grow} px above "
                f"{objects.low_threshold:g}: chosen on them)"
            )
            self.listener.say(f"held-out images: {named}{chosen if task.kind == 'instances' else ''}")
        self.listener.say(f"model: {self.folder / MODEL}")
        return ready(net, header, task.device)

    def _summary(self, state: State) -> dict[str, Any]:
        return {
            "iterations": state.step,
            "seconds": round(state.seconds, 1),
            "best_score": state.best_score if np.isfinite(state.best_score) else None,
        }


def _begin(run: _Run, task: _Task, *, resume: bool) -> State:
    """The state to start from: new, or the checkpoint's."""
    net = build_network(task.config.network)
    initialise(net, torch.Generator().manual_seed(task.config.train.seed))
    layout = torch.channels_last if net.spatial_dims == 2 else torch.channels_last_3d
    net = net.to(task.device).to(memory_format=layout)  # type: ignore[call-overload]
    state = start(net, task.config.train)
    if not resume:
        return state
    if not (run.folder / CHECKPOINT).exists():
        run.listener.say(f"there is no checkpoint in {run.folder} yet; starting from the beginning")
        return state
    _refuse_other(saved_run(run.folder / CHECKPOINT), task.identity())
    load_state(run.folder / CHECKPOINT, state)
    run.listener.say(f"going on from iteration {state.step}")
    return state


def _refuse_other(then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise unless a run is resumed with the configuration and the images it was started with."""
    for section, values in now.items():
        before = then.get(section, {})
        for key in {**values, **before}:
            old, new = before.get(key), values.get(key)
            if _plain(old) != _plain(new):
                raise ConfigError(
                    f"the run was started with {section}.{key} = {old} and is resumed with {new}; "
                    "give the same images and options, or --overwrite to start anew"
                )


def _plain(value: Any) -> Any:
    """Tuples as the lists that JSON makes of them."""
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _with_clock(config: Config, run: _Run) -> Config:
    """The budget of minutes less what is spent already and what choosing the threshold will take."""
    if config.train.minutes is None:
        return config
    spent = (time.monotonic() - run.started) / 60
    minutes = config.train.minutes * (1 - SHARE_FOR_CHOOSING) - spent
    return replace(config, train=replace(config.train, minutes=max(minutes, 1 / 60)))


def write_history(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """One row per log interval as CSV; scores where there was a validation."""
    names = list(dict.fromkeys(key for row in history for key in row))
    with (
        replacing(path, overwrite=True) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        from unseam.errors import MissingExtraError

        raise MissingExtraError(
            "--tensorboard needs the package tensorboard; install it with: pip install 'unseam[tensorboard]'"
        ) from error
    return SummaryWriter(str(folder / "tensorboard"))


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows of a history.csv; empty cells are left out."""
    with open(path, newline="", encoding="utf-8") as file:
        return [{key: float(cell) for key, cell in row.items() if cell} for row in csv.DictReader(file)]
