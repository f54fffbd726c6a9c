"""Augmentation: one random coordinate map per patch, sampled once, then one random grey-value curve.

Shift, rotation, mirroring, scale and elastic deformation are composed into a single map from the pixels of
the patch to positions in the image, so that the image is interpolated once. What is random about patch k is
drawn from (seed, k) by NumPy alone, so it is the same on every machine and device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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
    matrix = torch.as_tensor(recipe.matrix, dtype=torch.float32, device=device)
    position = torch.as_tensor(np.asarray(centre), dtype=torch.float32, device=device).expand(*shape, dims)
    for axis, size in enumerate(shape):
        offset = torch.arange(size, dtype=torch.float32, device=device) - (size - 1) / 2
        ray = offset[:, None] * matrix[:, axis]  # (size, N)
        position = position + ray.reshape(*(size if a == axis else 1 for a in range(dims)), dims)
    if recipe.displacements is not None:
        field = interpolate_cubic(torch.as_tensor(recipe.displacements, device=device), shape)
        position = position + field.movedim(0, -1)
    return position


def interpolate_cubic(coarse: Tensor, shape: Sequence[int]) -> Tensor:
    """Cubic interpolation from a coarse grid to every pixel, axis by axis: (N, *grid) to (N, *shape).

    The outermost points of the grid fall on the outermost pixels.
    """
    for axis, size in enumerate(shape, start=1):
        weights = torch.as_tensor(_cubic_weights(coarse.shape[axis], size), device=coarse.device)
        coarse = torch.tensordot(coarse, weights, dims=([axis], [1])).movedim(-1, axis)
    return coarse


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
    last = torch.tensor([max(size - 1, 1) for size in volume.shape[1:]], device=position.device)
    grid = (2.0 * position / last - 1.0).flip(-1)  # grid_sample counts from -1 to 1, and X comes first
    single = [axis for axis, size in enumerate(volume.shape[1:]) if size == 1]
    for axis in single:
        grid[..., position.shape[-1] - 1 - axis] = -1.0
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
