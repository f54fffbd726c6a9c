"""Start from a trained model instead of drawn weights: what it decides, and how images are made to fit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unseam.axes import times
from unseam.config import Config, NetworkConfig, ObjectConfig
from unseam.data.sample import Sample
from unseam.errors import ConfigError, ModelFileError, ShapeError
from unseam.fingerprint import equivalent_diameter
from unseam.io.source import array_source
from unseam.model.checkpoint import load_network
from unseam.model.finding import find_model
from unseam.model.header import ModelHeader
from unseam.model.unet import UNet
from unseam.packages.files import is_package
from unseam.prediction.diameter import NEAR
from unseam.prediction.region import network_shape, whole_of
from unseam.resample import resampled
from unseam.workflow.loading import LoadedSet

USUAL = Config().data.normalization
LEARNING_RATE = 6e-4
"""Of fine-tuning where none is given: a fifth of the usual one, so that what was learned is not lost."""


@dataclass(frozen=True)
class Base:
    """A trained model that another run starts from.

    Attributes
    ----------
    name : what it is called.
    header : what it says of itself.
    weights : of its network, by name.
    digest : a number, as text, that stands for the whole file.
    """

    name: str
    header: ModelHeader
    weights: dict[str, Tensor]
    digest: str


def load_base(path: str | Path) -> Base:
    """The model to start from; a file, the folder of a run, or a name.

    Raises
    ------
    ModelFileError
        If it is no model, or damaged, or the model of another program.
    """
    if is_package(Path(path)):
        raise ModelFileError(
            f"{path} is a package of bioimage.io, which `unseam predict` takes and training does not; start "
            "from a model.safetensors"
        )
    file = find_model(path)
    net, header = load_network(file)
    digest = hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
    return Base(str(path), header, net.state_dict(), digest)


def configured_for(base: Base, config: Config, settings: Mapping[str, Mapping[str, Any]]) -> Config:
    """The configuration with the model's network and normalisation; unless given, its slope and a lower rate.

    The number of classes stays open: it is that of the labels.

    Raises
    ------
    ConfigError
        If the configuration wants another network or normalisation than the model has.
    """
    network, usual = base.header.network, NetworkConfig()
    asked = settings.get("network", {})
    for spec in fields(NetworkConfig):
        given, there = getattr(config.network, spec.name), getattr(network, spec.name)
        left_open = spec.name not in asked and given == getattr(usual, spec.name)
        if given != there and not left_open and spec.name != "classes":
            raise ConfigError(
                f"network.{spec.name} is {given} and {base.name} has {there}; leave it out: a run that "
                "starts from a model has its network"
            )
    method = base.header.own_normalization.method
    left_open = "normalization" not in settings.get("data", {}) and config.data.normalization == USUAL
    if config.data.normalization != method and not left_open:
        raise ConfigError(
            f"data.normalization is {config.data.normalization} and {base.name} has {method}; leave it out"
        )
    train = config.train
    if "learning_rate" not in settings.get("train", {}):
        train = replace(train, learning_rate=LEARNING_RATE)
    loss = config.loss
    if loss.slope is None:  # targets as the model's, for which its thresholds were chosen
        loss = replace(loss, slope=base.header.training.get("slope", 0.0))
    return replace(
        config,
        network=replace(network, classes=config.network.classes),
        data=replace(config.data, normalization=method),
        loss=loss,
        train=train,
    )


def fitted_to(base: Base, loaded: LoadedSet) -> tuple[LoadedSet, str]:
    """The images and labels at the pixel size of the model, and a sentence of what was done, or "".

    Where a model knows no pixel size, and finds its objects by their diameter, the images are rescaled so
    that theirs is about the one it learned.

    Raises
    ------
    ShapeError
        If the images have other channels or axes than the model.
    """
    network, first = base.header.network, loaded.samples[0]
    if (len(first.image), first.labels.ndim) != (network.in_channels, network.spatial_dims):
        raise ShapeError(
            f"the images have {len(first.image)} channels and {first.labels.ndim} spatial axes, and "
            f"{base.name} takes {network.in_channels} and {network.spatial_dims}; convert them, or start "
            "from another model"
        )
    zoom = _zoom(base, loaded)
    samples = tuple(_at_pixel_size(base, sample, zoom) for sample in loaded.samples)
    changed = [old for old, new in zip(loaded.samples, samples, strict=True) if old is not new]
    if not changed:
        return loaded, ""
    sizes = " x ".join(f"{s:.3g}" for s in base.header.spacing or ())
    said = (
        f"pixel size: {len(changed)} of {len(samples)} images are rescaled to the {sizes} µm of {base.name}"
    )
    if zoom:
        said = f"object size: images are rescaled {zoom:.2f} times, to the diameters that {base.name} knows"
    example = samples[loaded.samples.index(changed[0])]
    shapes = f"{times(changed[0].labels.shape)} becomes {times(example.labels.shape)}"
    return replace(loaded, samples=samples), f"{said}, as {changed[0].stem}: {shapes}"


def _zoom(base: Base, loaded: LoadedSet) -> float | None:
    """How many times images are enlarged for their objects; None where they are as the model knows them."""
    known, learned = base.header, base.header.fingerprint
    if known.diameters is None or known.spacing or learned is None or loaded.task != "instances":
        return None
    sizes = [np.unique(s.labels[s.labels > 0], return_counts=True)[1] for s in loaded.samples]
    found = equivalent_diameter(np.concatenate(sizes), known.network.spatial_dims or 2)
    median = float(np.median(found)) if found.size else learned.diameter_median
    zoom = learned.diameter_median / median
    return None if NEAR[0] <= 1 / zoom <= NEAR[1] else zoom


def _at_pixel_size(base: Base, sample: Sample, zoom: float | None) -> Sample:
    """The sample, unchanged where its pixels are about as large as the model's or a size is unknown."""
    source = array_source(sample.image, spacing=sample.spacing)
    shape = network_shape(source, base.header.spacing)
    if zoom:
        shape = tuple(max(1, round(n * zoom)) for n in source.shape)
    if shape == source.shape:
        return sample
    other = resampled(source, shape)
    labels = sample.labels
    for axis, (old, new) in enumerate(zip(source.shape, shape, strict=True)):
        nearest = ((np.arange(new) + 0.5) * old / new).astype(np.intp)  # the pixel that a new centre lies in
        labels = labels.take(nearest, axis)
    return replace(sample, image=other.read(whole_of(shape)), labels=labels, spacing=other.spacing)


def objects_of(base: Base, planned: ObjectConfig, free: tuple[str, ...]) -> ObjectConfig:
    """The planned way to objects, what is free as in the model."""
    known = asdict(base.header.objects)
    return replace(planned, **{name: known[name] for name in free if known[name] is not None})


def start_from(base: Base, net: UNet) -> str:
    """Put the model's weights into a new network; returns a sentence on what could not be taken over, or "".

    Where the numbers of classes differ, the last layer keeps the classes that both have and what was drawn
    for the others.
    """
    new, kept = net.state_dict(), dict(base.weights)
    before, after = base.header.network.classes, net.classes
    if before == after:
        net.load_state_dict(kept)
        return ""
    common = min(len(kept["head.weight"]), len(new["head.weight"]))
    for name in ("head.weight", "head.bias"):
        resized = new[name].clone()
        with torch.no_grad():
            resized[:common] = kept[name][:common]
        kept[name] = resized
    net.load_state_dict(kept)
    return f"classes: {before} in {base.name} and {after} here; the last layer keeps {common} of them"
