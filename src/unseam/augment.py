"""Augmentation: one random coordinate map per patch, sampled once, then one random grey-value curve.

Shift, rotation, mirroring, scale and elastic deformation are composed into a single map from the pixels of
the patch to positions in the image, so that the image is interpolated once. What is random about patch k is
drawn from (seed, k) by NumPy alone, so it is the same on every machine and device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseam.config import AugmentConfig

PAPER_GRID = 3


@dataclass(frozen=True)
class Recipe:
    """All that is random about one patch.

    Attributes
    ----------
    matrix : ndarray, (N, N)
        Patch offsets to image offsets: rotation, mirroring and scale.
    displacements : ndarray, (N, *grid), or None
        Elastic displacements at the points of a coarse grid over the patch, pixels.
    gain, offset, gamma : float
        The grey-value curve: gain * sign(x) |x|^gamma + offset.
    noise, blur : float
        Deviation of the noise added, and of the Gaussian blur in pixels.
    noise_seed : int
        Seed of the noise.
    """

    matrix: NDArray[np.float64]
    displacements: NDArray[np.float32] | None
    gain: float = 1.0
    offset: float = 0.0
    gamma: float = 1.0
    noise: float = 0.0
    blur: float = 0.0
    noise_seed: int = 0


def draw_recipe(
    config: AugmentConfig,
    shape: Sequence[int],
    rng: np.random.Generator,
    *,
    anisotropic: bool = False,
) -> Recipe:
    """Draw the recipe of a patch of input `shape`; in an `anisotropic` volume Y and X alone are rotated.

    References
    ----------
    Ronneberger, Fischer, Brox 2015, section 3.1: displacements on a coarse 3x3 grid, Gaussian with
    10 pixels standard deviation, bicubic interpolation to every pixel.
    """
    anisotropic = anisotropic and len(shape) == 3
    matrix = _draw_matrix(config, len(shape), rng, anisotropic)
    displacements = None
    if config.elastic_sigma > 0:
        grid = [_grid_points(size, config.elastic_spacing) for size in shape]
        displacements = rng.normal(0.0, config.elastic_sigma, (len(shape), *grid)).astype(np.float32)
        if anisotropic:
            displacements[0] = 0.0  # a shift between coarse planes is no smooth deformation
    return Recipe(
        matrix,
        displacements,
        gain=_factor(config.gain, rng),
        offset=float(rng.uniform(-config.offset, config.offset)),
        gamma=_factor(config.gamma, rng),
        noise=float(rng.uniform(0, config.noise)),
        blur=float(max(0.0, rng.uniform(-config.blur, config.blur))),
        noise_seed=int(rng.integers(2**31)),
    )


def coordinates(
    recipe: Recipe,
    centre: Sequence[float] | NDArray[np.float64],
    shape: Sequence[int],
    *,
    device: torch.device,
) -> Tensor:
    """Positions in the image of each pixel of the patch.

    Parameters
    ----------
    recipe : Recipe
    centre : sequence of float
        Position in the image, pixels, onto which the middle of the patch falls before deformation.
    shape : sequence of int
        Shape of the patch.

    Returns
    -------
    Tensor of float32, (*shape, N)
        Pixel coordinates in array order; they may lie outside the image, which is mirrored there.
    """
    dims = len(shape)
    matrix = torch.as_tensor(recipe.matrix, dtype=torch.float32).to(device, non_blocking=True)
    position = torch.as_tensor(np.asarray(centre), dtype=torch.float32).to(device, non_blocking=True)
    for axis, size in enumerate(shape):  # it grows by an axis each time
        offset = torch.arange(size, dtype=torch.float32, device=device) - (size - 1) / 2
        ray = offset[:, None] * matrix[:, axis]  # (size, N)
        position = position + ray.reshape(*(size if a == axis else 1 for a in range(dims)), dims)
    if recipe.displacements is not None:
        coarse = torch.as_tensor(recipe.displacements).to(device, non_blocking=True)
        position += interpolate_cubic(coarse, shape).movedim(0, -1)
    return position


def interpolate_cubic(coarse: Tensor, shape: Sequence[int]) -> Tensor:
    """Cubic interpolation from a coarse grid to every pixel, axis by axis: (N, *grid) to (N, *shape).

    The outermost points of the grid fall on the outermost pixels. In memory the N values of a pixel lie
    together, as in a map of coordinates.
    """
    field = coarse.movedim(0, -1)  # (*grid, N)
    for axis in reversed(range(len(shape))):
        weights = torch.as_tensor(_cubic_weights(field.shape[axis], shape[axis])).to(
            coarse.device, non_blocking=True
        )
        field = torch.tensordot(weights, field, dims=([1], [axis])).movedim(0, axis)
    return field.movedim(-1, 0)


def sample(volume: Tensor, position: Tensor, *, mode: str) -> Tensor:
    """Values of `volume` at `position`, mirrored outside.

    Parameters
    ----------
    volume : Tensor of float32, (C, *spatial)
    position : Tensor of float32, (*shape, N)
        Pixel coordinates in array order.
    mode : str
        "linear" or "nearest".

    Returns
    -------
    Tensor, (C, *shape)
    """
    units = [_unit_scale(size) for size in volume.shape[1:]]
    scale = torch.tensor(units, dtype=torch.float32).to(position.device, non_blocking=True)
    return sample_units(volume, (scale * position - 1.0).flip(-1), mode=mode)


def in_units(
    recipe: Recipe, centre: Sequence[float] | NDArray[np.float64], spatial: Sequence[int]
) -> tuple[Recipe, NDArray[np.float64]]:
    """The recipe and the centre in the units of `sample_units`, for an image of the `spatial` shape.

    Their `coordinates` need no further pass over all pixels before the image is sampled.
    """
    scale = np.array([_unit_scale(size) for size in spatial])
    displacements = recipe.displacements
    if displacements is not None:
        per_axis = scale.reshape(-1, *(1,) * len(spatial))
        displacements = np.ascontiguousarray((displacements * per_axis)[::-1], dtype=np.float32)
    matrix = (recipe.matrix * scale[:, None])[::-1].copy()
    return replace(recipe, matrix=matrix, displacements=displacements), (scale * centre - 1.0)[::-1].copy()


def sample_units(volume: Tensor, grid: Tensor, *, mode: str) -> Tensor:
    """As `sample`, at positions from -1, the first pixel, to 1, the last; X comes first: (*shape, N)."""
    sampled: Tensor = torch.nn.functional.grid_sample(
        volume[None],
        grid[None],
        mode="bilinear" if mode == "linear" else "nearest",
        padding_mode="reflection",
        align_corners=True,
    )
    return sampled[0]


def change_intensities(patch: Tensor, recipe: Recipe) -> Tensor:
    """Blur, bend the grey-value curve and add noise: (C, *spatial) to the same shape."""
    if recipe.blur > 0.1:
        patch = _blur(patch, recipe.blur)
    if recipe.gamma != 1.0:
        patch = patch.sign() * patch.abs().pow(recipe.gamma)
    patch = recipe.gain * patch + recipe.offset
    if recipe.noise > 0:
        noise = np.random.default_rng(recipe.noise_seed).standard_normal(patch.shape, np.float32)
        patch = patch + recipe.noise * torch.as_tensor(noise, device=patch.device)
    return patch


def _draw_matrix(
    config: AugmentConfig, dims: int, rng: np.random.Generator, anisotropic: bool
) -> NDArray[np.float64]:
    """Rotation in each plane of axes, then mirroring, then one change of scale."""
    matrix = np.eye(dims)
    planes = [(dims - 2, dims - 1)] if dims == 2 or anisotropic else [(0, 1), (0, 2), (1, 2)]
    for a, b in planes:
        angle = math.radians(rng.uniform(-config.rotation, config.rotation))
        turn = np.eye(dims)
        turn[a, a] = turn[b, b] = math.cos(angle)
        turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
        matrix = matrix @ turn
    mirrors = rng.integers(0, 2, dims) * 2 - 1 if config.flip else np.ones(dims)
    scale = np.full(dims, _factor(config.scale, rng))
    if anisotropic:
        scale[0] = 1.0
    composed: NDArray[np.float64] = matrix * mirrors * scale
    return composed


def _factor(largest: float, rng: np.random.Generator) -> float:
    """A factor between 1 / (1 + largest) and 1 + largest, as likely below 1 as above."""
    return float(math.exp(rng.uniform(-1, 1) * math.log1p(largest)))


def _grid_points(size: int, spacing: float) -> int:
    return max(PAPER_GRID, round(size / spacing) + 1) if spacing > 0 else PAPER_GRID


@lru_cache(maxsize=64)
def _cubic_weights(points: int, size: int) -> NDArray[np.float32]:
    """Matrix (size, points) of Keys' cubic convolution (a = -1/2); the grid's ends are continued flat."""
    position = np.linspace(0, points - 1, size)
    weights = np.zeros((size, points))
    for shift in range(-1, 3):
        index = np.floor(position).astype(int) + shift
        t = np.abs(position - index)
        near = (1.5 * t - 2.5) * t * t + 1
        far = ((-0.5 * t + 2.5) * t - 4) * t + 2
        kernel = np.where(t <= 1, near, np.where(t < 2, far, 0.0))
        np.add.at(weights, (np.arange(size), index.clip(0, points - 1)), kernel)
    return weights.astype(np.float32)


def _unit_scale(size: int) -> float:
    """Units per pixel along an axis; one that is a single pixel has no extent: all of it is at -1."""
    return 2.0 / (size - 1) if size > 1 else 0.0


def _blur(patch: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of the last two axes, the edge repeated."""
    radius = math.ceil(3 * sigma)
    x = torch.arange(-radius, radius + 1, dtype=torch.float32, device=patch.device)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = kernel / kernel.sum()
    planes = patch.reshape(-1, 1, *patch.shape[-2:])
    padded = torch.nn.functional.pad(planes, (radius,) * 4, mode="replicate")
    rows = torch.nn.functional.conv2d(padded, kernel.reshape(1, 1, -1, 1))
    blurred: Tensor = torch.nn.functional.conv2d(rows, kernel.reshape(1, 1, 1, -1))
    return blurred.reshape(patch.shape)


def identity_recipe(dims: int) -> Recipe:
    """The recipe that changes nothing."""
    return Recipe(np.eye(dims), None)
