"""The training set in memory, and the patches drawn from it.

Everything that can be computed once is: normalised image, target classes, weight map. A patch is then one
coordinate map, sampled three times: image and weights linearly, classes by the nearest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseam.augment import change_intensities, coordinates, draw_recipe, in_units, sample_units
from unseam.config import AugmentConfig, LossConfig
from unseam.data.sample import IGNORE, Sample
from unseam.data.soft_targets import foreground_share
from unseam.data.weight_map import class_frequencies, class_weights, paper_weight_map, plugin_weight_map
from unseam.errors import LabelError
from unseam.instances import carve_contacts, carve_gaps
from unseam.normalize import Normalization
from unseam.plan import coarse_axes


@dataclass(frozen=True)
class TrainingImage:
    """One image as the sampler holds it; all tensors of float32 on the training device.

    Attributes
    ----------
    image : Tensor, (C, *spatial)
        Normalised.
    target : Tensor, (1, *spatial)
        Class of each pixel, or with `shares` how much of the foreground it counts as, 0 to 1; `IGNORE` where
        the truth is unknown.
    weights : Tensor, (1, *spatial)
        Weight map; 0 where ignored.
    shares : bool
        Whether `target` holds shares of foreground.
    """

    image: Tensor
    target: Tensor
    weights: Tensor
    shares: bool = False


@dataclass(frozen=True)
class Batch:
    """Patches as the network sees them: (B, C, *input), and (B, *output) twice.

    `target` holds classes as int64, or shares of foreground as float32.
    """

    image: Tensor
    target: Tensor
    weights: Tensor


def target_classes(
    labels: NDArray[np.int32], *, task: str, gap: int, spacing: Sequence[float] | None = None
) -> NDArray[np.int32]:
    """Class of each pixel: for instances 0 and 1, touching ones parted by a gap; `IGNORE` kept.

    A gap of 2 or more is as wide along the finer axes only: along a coarse one it is a single pixel, because
    few pixels there hold an object.
    """
    if task == "semantic":
        return labels
    if gap <= 1:
        parted = carve_gaps(labels) if gap else labels
    else:
        parted = carve_contacts(
            labels, [1 if coarse else gap for coarse in coarse_axes(spacing, labels.ndim)]
        )
    return np.where(parted > 0, 1, parted).astype(np.int32)


def prepare(
    samples: Sequence[Sample],
    config: LossConfig,
    *,
    task: str,
    classes: int,
    normalization: Normalization,
    device: torch.device,
) -> list[TrainingImage]:
    """Normalise the images and compute targets and weight maps, once.

    Raises
    ------
    LabelError
        If no pixel of the whole set has a known class.
    """
    gap = 1 if config.gap is None else config.gap
    targets = [target_classes(s.labels, task=task, gap=gap, spacing=s.spacing) for s in samples]
    frequencies = class_frequencies(targets, classes=classes)
    if not frequencies.any():
        raise LabelError("every pixel of the labels is ignored; annotate some, or leave --ignore out")
    per_class = class_weights(frequencies) if config.balance else np.ones(classes)
    slope = config.slope or 0.0 if task == "instances" else 0.0

    def tensor(array: NDArray[np.float32] | NDArray[np.int32]) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(array, dtype=np.float32), device=device)

    prepared = []
    for s, target in zip(samples, targets, strict=True):
        weights = _weight_map(s, target, config, task=task, per_class=per_class)
        shown = _shares(s, target, slope) if slope else target
        image = tensor(normalization(s.image))
        prepared.append(TrainingImage(image, tensor(shown[None]), tensor(weights[None]), slope > 0))
    return prepared


def _shares(sample: Sample, target: NDArray[np.int32], slope: float) -> NDArray[np.float32]:
    """How much of the foreground each pixel counts as; the gaps between objects count as background."""
    parted = np.where(target == 0, 0, sample.labels)
    return foreground_share(parted, slope, spacing=_relative(sample.spacing))


def _weight_map(
    sample: Sample,
    target: NDArray[np.int32],
    config: LossConfig,
    *,
    task: str,
    per_class: NDArray[np.float64],
) -> NDArray[np.float32]:
    if config.weights == "none" or task == "semantic":
        known = target != IGNORE
        weighted = np.where(known, per_class[np.where(known, target, 0)], 0.0)
        return weighted.astype(np.float32)
    parted = np.where(target == 0, 0, sample.labels)
    spacing = _relative(sample.spacing)
    if config.weights == "plugin":
        return plugin_weight_map(parted, spacing=spacing)
    return paper_weight_map(
        parted, w0=config.w0, sigma=config.sigma, class_weights=per_class, spacing=spacing
    )


def is_anisotropic(spacing: Sequence[float] | None) -> bool:
    """Whether an axis is coarse, as the plan has it."""
    return spacing is not None and any(coarse_axes(spacing, len(spacing)))


def _relative(spacing: Sequence[float] | None) -> tuple[float, ...] | None:
    """Spacing in units of the finest axis, so that sigma is in its pixels."""
    return tuple(s / min(spacing) for s in spacing) if spacing and is_anisotropic(spacing) else None


class PatchSampler:
    """Draws patch k of a run: a pure function of the images, the seed and k.

    Parameters
    ----------
    images : sequence of TrainingImage
    input_shape, output_shape : sequence of int
        Of the network, for one patch.
    augment : AugmentConfig
    density : float
        Chance of a background pixel to be a patch centre, where an object's is 1 and an ignored pixel's 0.
    seed : int
    anisotropic : bool
        Whether the first of three axes is coarser.
    """

    def __init__(
        self,
        images: Sequence[TrainingImage],
        *,
        input_shape: Sequence[int],
        output_shape: Sequence[int],
        augment: AugmentConfig,
        density: float,
        seed: int,
        anisotropic: bool = False,
    ) -> None:
        self.images = list(images)
        self.input_shape, self.output_shape = tuple(input_shape), tuple(output_shape)
        self.augment, self.density, self.seed, self.anisotropic = augment, density, seed, anisotropic
        self._kinds = [np.sign(image.target[0].cpu().numpy()).astype(np.int8) for image in self.images]
        rows = [self._density(kinds).sum(-1).ravel() for kinds in self._kinds]
        self._first_row = np.cumsum([0, *(len(r) for r in rows)])
        self._mass = np.cumsum(np.concatenate(rows), dtype=np.float64)
        if self._mass[-1] == 0:
            raise LabelError(
                "no pixel can be a patch centre: nothing is labelled as object; check the labels"
            )

    def patch(self, k: int) -> Batch:
        """Patch k, as a batch of one without the batch axis."""
        rng = np.random.default_rng([self.seed, k])
        source, centre = self._draw_centre(rng)
        recipe = draw_recipe(self.augment, self.input_shape, rng, anisotropic=self.anisotropic)
        scaled, middle = in_units(recipe, centre, source.image.shape[1:])
        grid = coordinates(scaled, middle, self.input_shape, device=source.image.device)
        inner = grid
        for axis, (size, kept) in enumerate(zip(self.input_shape, self.output_shape, strict=True)):
            inner = inner.narrow(axis, (size - kept) // 2, kept)
        target = sample_units(source.target, inner, mode="nearest")[0]
        return Batch(
            change_intensities(sample_units(source.image, grid, mode="linear"), recipe),
            target if source.shares else target.long(),
            sample_units(source.weights, inner, mode="linear")[0],
        )

    def batch(self, step: int, size: int) -> Batch:
        """The patches of one step, stacked."""
        patches = [self.patch(step * size + i) for i in range(size)]
        return Batch(
            torch.stack([p.image for p in patches]),
            torch.stack([p.target for p in patches]),
            torch.stack([p.weights for p in patches]),
        )

    def _density(self, kinds: NDArray[np.int8]) -> NDArray[np.float64]:
        """Of pixels that are 1 objects, 0 background, -1 ignored."""
        return np.array([self.density, 1.0, 0.0])[kinds]

    def _draw_centre(self, rng: np.random.Generator) -> tuple[TrainingImage, NDArray[np.float64]]:
        """An image and a position in it, in proportion to the density over the whole set."""
        row = int(np.searchsorted(self._mass, rng.random() * self._mass[-1], side="right"))
        row = min(row, len(self._mass) - 1)
        index = int(np.searchsorted(self._first_row, row, side="right")) - 1
        kinds = self._kinds[index]
        leading = np.unravel_index(row - self._first_row[index], kinds.shape[:-1])
        along = self._density(kinds[leading]).cumsum()
        column = int(np.searchsorted(along, rng.random() * along[-1], side="right"))
        centre = np.array([*leading, min(column, kinds.shape[-1] - 1)], dtype=np.float64)
        return self.images[index], centre + rng.uniform(-0.5, 0.5, len(centre))
