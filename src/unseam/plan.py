"""From the images, the time and the machine to a configuration in which everything is decided.

Each rule is one short function; `plan` applies them and says in four lines why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from unseam.axes import times
from unseam.config import AugmentConfig, Config, LossConfig, NetworkConfig, TrainConfig
from unseam.errors import ConfigError
from unseam.fingerprint import Fingerprint
from unseam.geometry import Geometry, check_levels

PRESETS = ("default", "paper")
AVERAGED = {"paper": "turn"}
"""`tta` of `unseam.Model.predict` that belongs to a preset, where it is not "none"."""
DEFAULT_MINUTES = 10.0
PAPER_PATCH = (572, 572)
PIXELS_PER_STEP = {"cpu": 270_000, "cuda": 2_000_000}
VOLUME_OUTPUT = 60
"""Voxels along each axis that a patch of a volume labels."""
OBJECTS = {"threshold": 0.5, "low_threshold": 0.2, "grow": 1, "split": 0.0}
"""From probabilities to objects where no held-out image can choose it; see `instances.segment`."""
SLOPED_OBJECTS = {"threshold": 0.5, "low_threshold": 0.3, "grow": 2, "split": 0.0}
"""As `OBJECTS`, where targets rise from the outline inwards: half way up is where an object begins."""
SLOPE = 0.2
"""Depth of that slope in diameters; see `data.soft_targets`, and docs/experiments.md for what it gains."""
SLOPED_BACKGROUND = 0.5
"""Targets have a slope where at least this share of the images is background."""
TILED_TOUCH = 0.9
TILED_BACKGROUND = 0.05
"""Objects tile the images where at least this share of them touch, and at most this share is background."""
TILED_OBJECTS = {"threshold": 0.7, "low_threshold": 0.0, "grow": 8, "split": 0.0}
"""As `OBJECTS`, where objects tile the images: hardly a pixel is background, so they grow until they meet."""
COARSE = 1.5
"""An axis is coarse where its pixels are this many times longer than the shortest."""


@dataclass(frozen=True)
class Plan:
    """A configuration in which nothing is open, and the reasons, one line each."""

    config: Config
    reasons: tuple[str, ...]


def preset(name: str) -> Config:
    """The configuration of a preset, before planning.

    "paper" is the system of 2015: its network, weights, loss and augmentation, momentum 0.99, one patch of
    572 pixels per step, placed anywhere; for volumes the patch is planned. What differs is listed in
    docs/paper-preset.md. "default" learns most in a few minutes from a few
    images.

    Raises
    ------
    ConfigError
        If there is no such preset.
    """
    if name == "default":
        return Config()
    if name != "paper":
        raise ConfigError(f"preset is {name!r}; expected one of: {', '.join(PRESETS)}")
    return Config(
        network=NetworkConfig(base_width=64, depth=4, batch_norm=False, dropout=0.5),
        augment=AugmentConfig(
            rotation=180.0,
            flip=False,
            scale=0.0,
            elastic_sigma=10.0,
            elastic_spacing=0.0,
            gain=0.25,
            offset=0.1,
            gamma=0.25,
            noise=0.0,
            blur=0.0,
        ),
        loss=LossConfig(w0=10.0, sigma=5.0, balance=True, dice=0.0, gap=1, slope=0.0, density=1.0),
        train=TrainConfig(
            patch=PAPER_PATCH,
            batch=1,
            optimizer="sgd",
            learning_rate=1e-3,
            schedule="constant",
            warmup=0.02,
            average=0.0,
        ),
    )


def plan(
    fingerprint: Fingerprint,
    config: Config,
    *,
    classes: int,
    device: str,
    ranks: int = 1,
) -> Plan:
    """Decide what the configuration leaves open.

    Parameters
    ----------
    fingerprint : Fingerprint
        Of the training images.
    config : Config
        A preset with the user's choices.
    classes : int
        Classes of the labels, background included.
    device : str
        "cpu" or "cuda".
    ranks : int
        How many processes train together, each with its own patches.

    Raises
    ------
    ConfigError
        If the choices contradict the images or each other.
    ShapeError
        If the patch does not fit the network.
    """
    if config.train.minutes is not None and config.train.iterations is not None:
        raise ConfigError("both minutes and iterations were given; choose one of them")
    network = _network(fingerprint, config, classes, device)
    train = config.train
    if train.minutes is None and train.iterations is None:
        train = replace(train, minutes=DEFAULT_MINUTES)
    patch = _patch(train, network, fingerprint)
    batch = train.batch or _batch(patch, device)
    train = replace(train, patch=patch, batch=batch)
    gap = _gap(fingerprint) if config.loss.gap is None else config.loss.gap
    slope = _slope(fingerprint) if config.loss.slope is None else config.loss.slope
    usual = TILED_OBJECTS if is_tiled(fingerprint) else SLOPED_OBJECTS if slope else OBJECTS
    grow = max(usual["grow"], gap // 2)
    sizes = {"min_size": _min_size(fingerprint), "split_size": _split_size(fingerprint)}
    wanted: dict[str, Any] = {**usual, "grow": grow, **sizes}
    objects = replace(
        config.objects,
        **{key: value for key, value in wanted.items() if getattr(config.objects, key) is None},
    )
    loss = replace(config.loss, gap=gap, slope=slope)
    decided = replace(config, network=network, loss=loss, train=train, objects=objects)
    return Plan(decided, _reasons(fingerprint, decided, device, ranks))


def _network(fp: Fingerprint, config: Config, classes: int, device: str) -> NetworkConfig:
    network, dims = config.network, fp.spatial_dims
    if network.spatial_dims not in (None, dims):
        raise ConfigError(f"spatial_dims is {network.spatial_dims} and the images are {dims}-D; leave it out")
    if network.in_channels not in (None, fp.channels):
        raise ConfigError(
            f"in_channels is {network.in_channels} and the images have {fp.channels}; leave it out"
        )
    if network.classes is not None and network.classes < classes:
        raise ConfigError(f"classes is {network.classes} and the labels have {classes}; leave it out")
    depth = _depth(fp) if network.depth is None else network.depth
    strides, kernels = network.strides, network.kernels
    if dims == 3 and strides is None and kernels is None:
        strides, kernels = _anisotropic_levels(fp.spacing, depth)
    return replace(
        network,
        in_channels=fp.channels,
        classes=network.classes or classes,
        spatial_dims=dims,
        depth=depth,
        base_width=network.base_width or _width(config.train, dims, device),
        strides=strides,
        kernels=kernels,
    )


def _depth(fp: Fingerprint) -> int:
    """The least depth whose halo sees a large object whole: 1.25 times the middle of median and p90.

    Where there are no objects to measure it is the deepest.
    """
    deepest = 4 if fp.spatial_dims == 2 else 2
    reach = 1.25 * (fp.diameter_median + fp.diameter_p90) / 2 if fp.n_objects else math.inf
    halos = {depth: Geometry.regular(spatial_dims=2, depth=depth).halo[0] for depth in range(2, deepest)}
    return next((depth for depth, halo in halos.items() if halo >= reach), deepest)


def _width(train: TrainConfig, dims: int, device: str) -> int:
    """Wide where there is time to train it."""
    if device == "cuda":
        return 32 if dims == 3 else 64
    if dims == 3:
        return 8 if (train.minutes or 0) < 30 else 16
    return 16 if (train.minutes or 0) < 40 else 32


def _anisotropic_levels(
    spacing: Sequence[float] | None, depth: int
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    """Strides and kernels of 1 along an axis for as long as its pixels are the coarser ones."""
    pixel = list(spacing or (1.0, 1.0, 1.0))
    strides, kernels = [], []
    for _ in range(depth):
        coarse = coarse_axes(pixel, len(pixel))
        kernels.append(tuple(1 if c else 3 for c in coarse))
        strides.append(tuple(1 if c else 2 for c in coarse))
        pixel = [p * s for p, s in zip(pixel, strides[-1], strict=True)]
    return tuple(strides), (*kernels, (3, 3, 3))


def coarse_axes(spacing: Sequence[float] | None, dims: int) -> list[bool]:
    """Whether the pixels of each axis are much longer than the shortest; none is where no size is known."""
    pixel = spacing or (1.0,) * dims
    return [p >= COARSE * min(pixel) for p in pixel]


def _patch(train: TrainConfig, network: NetworkConfig, fp: Fingerprint) -> tuple[int, ...]:
    """The patch that was chosen, if it fits; the paper's is of images, and for volumes another is planned."""
    geometry, given = network_geometry(network), train.patch
    if given is None or (given == PAPER_PATCH and fp.spatial_dims == 3):
        return geometry.input_for(_output_target(network, fp))
    geometry.check(given, what="patch")
    return given


def _output_target(network: NetworkConfig, fp: Fingerprint) -> list[int]:
    """Output of a patch per axis: about twice the halo, so that half the work is not context.

    Of a volume a smaller part can be labelled, because the context grows with the cube: `VOLUME_OUTPUT` is
    where a processor labels most voxels a second without taking seconds for a step (docs/experiments.md).
    """
    halos = network_geometry(network).halo
    wanted = [max(160, 2 * halo) if fp.spatial_dims == 2 else VOLUME_OUTPUT for halo in halos]
    return [min(size, largest) for size, largest in zip(wanted, fp.shape_max, strict=True)]


def _batch(patch: Sequence[int], device: str) -> int:
    """Patches per step: what a processor or a GPU takes well."""
    pixels = PIXELS_PER_STEP[device]
    return max(1, min(32, round(pixels / math.prod(patch))))


def is_tiled(fp: Fingerprint) -> bool:
    """Whether objects fill the images and touch everywhere, as the neurons of a block of brain do."""
    background = fp.class_frequencies[0]
    return fp.task == "instances" and fp.touching_fraction >= TILED_TOUCH and background <= TILED_BACKGROUND


def _gap(fp: Fingerprint) -> int:
    """One pixel between objects that lie in background; where they tile, a boundary on both sides.

    With hardly any background the gap is all that the network learns of it. Growing gives a gap with two
    sides back, but for the thinnest objects, and not one with a single side: how much that is worth, and
    that short runs do not show it, is in docs/experiments.md.
    """
    return 2 if is_tiled(fp) else 1


def _slope(fp: Fingerprint) -> float:
    """Where objects lie in background; between crowded cells it harms, in volumes it was not tried."""
    lies_apart = fp.task == "instances" and fp.class_frequencies[0] >= SLOPED_BACKGROUND
    return SLOPE if lies_apart and fp.spatial_dims == 2 else 0.0


def _min_size(fp: Fingerprint) -> int:
    """Half of the smallest objects but for one in a hundred."""
    return max(1, int(fp.area_p01 / 2)) if fp.task == "instances" else 0


def _split_size(fp: Fingerprint) -> int:
    """A quarter of the small objects, those that nine in ten are larger than."""
    dims, radius = fp.spatial_dims, fp.diameter_p10 / 2
    return max(1, round(math.pi * radius**2 / 4 if dims == 2 else math.pi * radius**3 / 3))


def network_geometry(network: NetworkConfig) -> Geometry:
    """The sizes of a network in which depth and dimensions are decided, without building it."""
    assert network.depth is not None and network.spatial_dims is not None
    dims, depth = network.spatial_dims, network.depth
    strides = network.strides or ((2,) * dims,) * depth
    kernels = network.kernels or ((3,) * dims,) * (depth + 1)
    check_levels(strides, kernels, spatial_dims=dims, depth=depth)
    return Geometry.from_levels(kernels, strides)


def _reasons(fp: Fingerprint, config: Config, device: str, ranks: int) -> tuple[str, ...]:
    """Network, patch, time and objects: a line each."""
    network, train = config.network, config.train
    assert train.patch is not None and train.batch is not None
    geometry = network_geometry(network)
    output = geometry.output(train.patch)
    share = math.prod(output) / math.prod(train.patch)
    budget = f"{train.iterations} iterations" if train.iterations else f"{train.minutes:g} minutes"
    together = f" on each of {ranks} ranks, {ranks * train.batch} in all" if ranks > 1 else ""
    parted = _parting(fp, config.loss.gap or 0) + _rise(config.loss.slope or 0.0)
    surrounded = f"objects of {fp.diameter_median:.0f} px (nine in ten below {fp.diameter_p90:.0f})"
    return (
        f"network: {network.spatial_dims}-D U-Net, depth {network.depth}, base width {network.base_width}; "
        f"its halo of {geometry.halo[-1]} px surrounds {surrounded if fp.n_objects else 'each pixel'}",
        f"patches: {train.batch} of {times(train.patch)} px a step{together}, of which the network labels "
        f"{times(output)} ({share:.0%})",
        f"time: {budget} on {device}, {train.optimizer} at {train.learning_rate:g}, seed {train.seed}",
        f"objects: smaller than {config.objects.min_size} px are dropped, "
        f"{fp.touching_fraction:.0%} touch{parted}"
        if fp.task == "instances"
        else f"classes: {network.classes}, each pixel takes the likeliest",
    )


def _rise(slope: float) -> str:
    """Whether the targets of objects rise inwards."""
    return f"; their targets rise from the outline over {slope:g} diameters" if slope else ""


def _parting(fp: Fingerprint, gap: int) -> str:
    """How touching objects are told apart."""
    if gap <= 1:
        return " and are parted by a gap that is grown back" if gap else " and are not parted"
    why = f" and {fp.class_frequencies[0]:.0%} is background" if is_tiled(fp) else ""
    single = " (1 px along coarse axes)" if any(coarse_axes(fp.spacing, fp.spatial_dims)) else ""
    return f"{why}: a boundary of {gap} px, half of it in each{single}, parts them and is grown back"
