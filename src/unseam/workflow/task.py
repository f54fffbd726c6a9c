"""What a run trains on what: the set is checked, a part of it held out, the configuration planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

import unseam
from unseam.config import Config
from unseam.data.check import check_samples
from unseam.data.dataset import PatchSampler, is_anisotropic, prepare
from unseam.data.sample import FEWEST_TO_HOLD_OUT, Sample, digest
from unseam.errors import InputError
from unseam.fingerprint import Fingerprint, describe, fingerprint
from unseam.model.header import ModelHeader
from unseam.model.unet import UNet
from unseam.normalize import Normalization
from unseam.plan import network_geometry, plan
from unseam.prediction import Model, choose_device, ready
from unseam.processor import multiplies_bfloat16
from unseam.training.distributed import World, own_device
from unseam.workflow.finetuning import Base, fitted_to, objects_of
from unseam.workflow.loading import LoadedSet
from unseam.workflow.run import Run, trained_on
from unseam.workflow.validation import CANDIDATES, hold_out, hold_out_part


@dataclass(frozen=True)
class Task:
    """What is trained on what: all that stays the same during a run.

    `free` names what is left open from probabilities to objects, to be chosen on the held-out images;
    `digest` stands for all images and labels; `part` says what was held out of an image, if no whole one was;
    `ranks` is how many processes train together; `base` is the model that the run starts from.
    """

    config: Config
    free: tuple[str, ...]
    train: tuple[Sample, ...]
    held_out: tuple[Sample, ...]
    kind: str
    fingerprint: Fingerprint
    digest: str
    normalization: Normalization
    device: torch.device
    low_precision: bool
    preset: str
    ranks: int
    part: str
    base: Base | None = None

    @property
    def stated(self) -> Config:
        """The configuration that is written: with it another run also chooses what this one chooses."""
        return self.config.updated({"objects": dict.fromkeys(self.free)})

    def identity(self) -> dict[str, dict[str, Any]]:
        """What has to be the same for a run to be continued."""
        stated = self.stated.to_dict()
        stated["train"]["precision"] = "bfloat16" if self.low_precision else "float32"
        images = {**self.fingerprint.to_dict(), "digest": self.digest}
        started = {"start": {"model": self.base.digest}} if self.base else {}
        return {"images": images, **stated, "world": {"ranks": self.ranks}, **started}

    def header(self, **training: Any) -> ModelHeader:
        return ModelHeader(
            task=self.kind,
            network=self.config.network,
            normalization=self.normalization,
            objects=self.config.objects,
            spacing=(self.base and self.base.header.spacing) or self.fingerprint.spacing,
            fingerprint=self.fingerprint,
            training={
                "preset": self.preset,
                "seed": self.config.train.seed,
                "images_learned_from": len(self.train),
                "images_held_out": len(self.held_out) if not self.part else 0,
                **({"part_held_out": self.part} if self.part else {}),
                **({"slope": self.config.loss.slope} if self.config.loss.slope else {}),
                **({"ranks": self.ranks} if self.ranks > 1 else {}),
                **({"started_from": self.base.name} if self.base else {}),
                **training,
            },
            unseam_version=unseam.__version__,
            **self._of_base(),
        )

    def _of_base(self) -> dict[str, Any]:
        """What a model keeps of the one that it was started from."""
        if self.base is None:
            return {}
        there = self.base.header
        kept: dict[str, Any] = {
            "license": f"as the training images allow, and as {self.base.name} does: {there.license}",
            "citation": there.citation,
        }
        if there.task == self.kind:
            kept |= {"segments": there.segments, "diameters": there.diameters}
        return kept

    def model(self, net: nn.Module) -> Model:
        assert isinstance(net, UNet)
        return ready(net, self.header(), str(self.device))

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
            output_shape=network_geometry(network).output(train.patch),
            augment=self.config.augment,
            density=loss.density,
            seed=train.seed,
            anisotropic=is_anisotropic(self.fingerprint.spacing),
        )


def prepare_task(
    run: Run,
    loaded: LoadedSet,
    config: Config,
    preset_name: str,
    world: World,
    *,
    base: Base | None = None,
) -> Task:
    """Check the set, plan, hold some images out; say what was found and decided."""
    say = run.listener.say
    return with_held_out(planned_task(say, loaded, config, preset_name, world, base=base), say)


def planned_task(
    say: Callable[[str], None],
    loaded: LoadedSet,
    config: Config,
    preset_name: str,
    world: World,
    *,
    base: Base | None = None,
) -> Task:
    """Check the set and plan; all images are to be learned from, and none is held out yet.

    Raises
    ------
    UnseamError
        For images and labels that cannot be used, or a configuration that does not fit them.
    """
    if base:
        loaded, said = fitted_to(base, loaded)
        say(f"start: {base.name}, {trained_on(base.header)}")
        if said:
            say(said)
    samples = loaded.samples
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
    device = own_device(torch.device(choose_device(config.train.device)), world)
    planned = plan(fp, config, classes=loaded.coding.n_classes, device=device.type, ranks=world.size)
    free = tuple(name for name in CANDIDATES if getattr(config.objects, name) is None)
    decided = planned.config
    if base and base.header.task == loaded.task == "instances":
        decided = replace(decided, objects=objects_of(base, decided.objects, free))
    for line in planned.reasons:
        say(line)
    return Task(
        decided,
        free,
        samples,
        (),
        loaded.task,
        fp,
        digest(samples),
        base.header.own_normalization if base else Normalization(config.data.normalization),
        device,
        uses_bfloat16(config.train.precision, device),
        preset_name,
        world.size,
        "",
        base,
    )


def with_held_out(task: Task, say: Callable[[str], None]) -> Task:
    """The task with some of its images, or a part of the largest, held out to choose the best model."""
    samples, share = task.train, task.config.data.validation
    train_on, held_out = hold_out(samples, share, task.config.train.seed)
    part = ""
    if not held_out and len(samples) < FEWEST_TO_HOLD_OUT:
        train_on, held_out, part = hold_out_part(samples, share, task.kind)
    held = part or len(held_out)
    say(f"images: {len(train_on)} to learn from, {held} held out to choose the best model")
    return replace(task, train=train_on, held_out=held_out, part=part)


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether to train in bfloat16: where asked for, or where the machine multiplies it natively."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(multiplies_bfloat16())
