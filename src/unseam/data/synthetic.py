"""Synthetic fluorescence microscopy of touching cells, with exact labels: for tests, demos and figures.

The images hold what makes real ones hard: cells that touch without a gap, some six times brighter than
others, uneven light, haze, defocus, photon and camera noise, and bright things that are no cells (debris,
cells far out of focus). So a global threshold does not solve them, and a small U-Net does.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gamma, pi
from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebval
from numpy.typing import NDArray
from scipy import ndimage

from unseam.data.sample import Sample
from unseam.errors import ConfigError, ShapeError
from unseam.instances import number_in_raster_order

SPACING = 0.5  # micrometres, along every axis
_MIN_SIZE = 0.15  # of the mean size: less of a cell is not drawn, because nobody could see it
_BUMPS = (0.07, 0.035, 0.025)  # of the outline, of orders 2 to 4, as parts of the radius
_OFFSET = {"uint8": 6, "uint16": 100}  # camera counts in the dark
_GAIN = {"uint8": 0.8, "uint16": 24.0}  # camera counts per photon

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Cells:
    centres: Floats  # (n, ndim), pixels
    radii: Floats  # (n,), pixels


def synthetic_set(
    n_images: int,
    *,
    shape: tuple[int, ...] = (256, 256),
    seed: int,
    radius: float = 11.0,
    coverage: float = 0.17,
    dtype: str = "uint16",
) -> list[Sample]:
    """Return `n_images` synthetic images; image k depends on `seed` and k alone, not on `n_images`.

    Parameters
    ----------
    n_images : int
    shape, radius, coverage, dtype
        As in `synthetic_image`.
    seed : int
        The same seed gives the same images, as far as numpy guarantees its random streams.

    Examples
    --------
    >>> train = synthetic_set(8, seed=1)
    >>> train[0].image.shape, train[0].labels.dtype, train[0].spacing
    ((1, 256, 256), dtype('int32'), (0.5, 0.5))
    """
    if n_images < 0:
        raise ConfigError(f"n_images is {n_images}; expected 0 or more")
    return [
        synthetic_image(
            np.random.default_rng([seed, k]),
            shape=shape,
            radius=radius,
            coverage=coverage,
            dtype=dtype,
            stem=f"synthetic_{k:03d}",
        )
        for k in range(n_images)
    ]


def synthetic_image(
    rng: np.random.Generator,
    *,
    shape: tuple[int, ...] = (256, 256),
    radius: float = 11.0,
    coverage: float = 0.17,
    dtype: str = "uint16",
    stem: str = "synthetic",
) -> Sample:
    """Return one synthetic image of touching cells, with its exact labels.

    Parameters
    ----------
    rng : numpy Generator
    shape : tuple of int
        (Y, X) or (Z, Y, X), in pixels.
    radius : float
        Mean radius of a cell, in pixels.
    coverage : float
        Part of the image that cells would cover without overlap, up to 0.5; one image has 0.6 to 1.4
        times as many.
    dtype : "uint16" or "uint8"
        Of the image: a scientific camera, or a dim 8-bit one.
    stem : str
        Name of the sample.

    Returns
    -------
    Sample
        `image` (1, *shape) of `dtype`; `labels` int32, each object one face-connected piece, numbered in
        raster order; about a third of them touch another, without gap. Spacing 0.5 um along each axis.

    Raises
    ------
    ShapeError
        If `shape` does not have 2 or 3 axes.
    ConfigError
        If a parameter is out of its range.

    Notes
    -----
    Where two cells meet, a pixel belongs to the one whose outline it lies deeper inside. The camera counts
    ``gain * (Poisson(light * (signal + haze + background)) + read noise) + offset``.
    """
    _check(shape, radius, coverage, dtype)
    cells = _place(rng, shape, radius, coverage)
    labels, level = _draw(rng, shape, cells)
    signal = _stain(rng, labels, level) + _distractors(rng, shape, radius)
    image = _camera(rng, _optics(rng, signal, radius), dtype)
    return Sample(stem, image[np.newaxis], labels, (SPACING,) * len(shape))


def _place(rng: np.random.Generator, shape: tuple[int, ...], radius: float, coverage: float) -> _Cells:
    """Return cells of which some are set against an earlier one, the others clear of all."""
    ndim = len(shape)
    ball = pi ** (ndim / 2) / gamma(ndim / 2 + 1) * radius**ndim
    wanted = max(1, round(rng.uniform(0.6, 1.4) * coverage * float(np.prod(shape)) / ball))
    centres, radii = np.empty((wanted, ndim)), np.empty(wanted)
    n = 0
    for _ in range(12 * wanted):  # places that are taken are given up, so a full image ends with fewer
        if n == wanted:
            break
        size = radius * rng.uniform(0.7, 1.3)
        reach = radii[:n] + size
        daughter = n > 0 and rng.random() < 0.16
        if daughter:
            mother = int(rng.integers(n))
            centre = centres[mother] + _direction(rng, ndim) * reach[mother] * rng.uniform(0.72, 0.9)
        else:
            centre = rng.uniform(0, shape)
        distance = np.sqrt(((centres[:n] - centre) ** 2).sum(axis=1))
        clear = (distance > reach * (0.7 if daughter else 1.3)).all()
        if clear and (centre >= 0).all() and (centre < shape).all():
            centres[n], radii[n] = centre, size
            n += 1
    return _Cells(centres[:n], radii[:n])


def _draw(
    rng: np.random.Generator, shape: tuple[int, ...], cells: _Cells
) -> tuple[NDArray[np.int32], Floats]:
    """Return the labels, and how far out each pixel lies in its cell: 0 at the centre, 1 at the outline."""
    labels, level = np.zeros(shape, np.int32), np.ones(shape)
    for number, (centre, size) in enumerate(zip(cells.centres, cells.radii, strict=True), start=1):
        low = np.maximum(np.floor(centre - 1.8 * size), 0).astype(int)
        high = np.minimum(np.ceil(centre + 1.8 * size) + 1, shape).astype(int)
        crop = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        grid = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1) - centre
        outline = _outline(rng, grid / size)
        inside = outline < level[crop]
        level[crop][inside] = outline[inside]
        labels[crop][inside] = number
    labels = _whole_cells(labels, _MIN_SIZE * float(np.mean(cells.radii)) ** len(shape) * pi)
    return number_in_raster_order(labels), np.where(labels > 0, level, 1.0)


def _outline(rng: np.random.Generator, points: Floats) -> Floats:
    """Return the distance of `points`, (..., ndim), to the centre over that of the outline there.

    The outline is an ellipsoid with bumps: Chebyshev polynomials of the cosine to a few random directions.
    """
    ndim = points.shape[-1]
    long = _direction(rng, ndim)
    stretch = rng.uniform(1.0, 1.45)
    along = points @ long
    across = points - along[..., np.newaxis] * long
    points = across * stretch ** (1 / ndim) + (along * stretch ** (1 / ndim - 1))[..., np.newaxis] * long
    distance = np.sqrt((points**2).sum(axis=-1))
    bumps = np.ones(distance.shape)
    for _ in range(2):
        cosine = points @ _direction(rng, ndim) / np.maximum(distance, 1e-9)
        bumps += chebval(cosine, [0, 0, *rng.normal(0, _BUMPS)])
    return np.asarray(distance / np.maximum(bumps, 0.5), np.float64)


def _whole_cells(labels: NDArray[np.int32], min_size: float) -> NDArray[np.int32]:
    """Keep the largest piece of each cell, and drop cells of which too little is left."""
    labels = labels.copy()
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        mine = labels[box] == number
        pieces, _ = ndimage.label(mine)
        sizes = np.bincount(pieces.ravel())[1:]
        lost = mine & (pieces != 1 + sizes.argmax()) if sizes.max() >= min_size else mine
        labels[box][lost] = 0
    return labels


def _stain(rng: np.random.Generator, labels: NDArray[np.int32], level: Floats) -> Floats:
    """Return the stain of the cells: each of its own brightness, mottled, thinner at the rim."""
    count = int(labels.max())
    brightness = np.r_[0.0, np.exp(rng.normal(-0.3, 0.45, count)).clip(0.3, 2.0)]
    mottle = 1 + 0.16 * _smooth_noise(rng, labels.shape, 1.6) + 0.1 * _smooth_noise(rng, labels.shape, 4.0)
    return np.asarray(brightness[labels] * (1 - 0.45 * level**3) * mottle.clip(0.3), np.float64)


def _distractors(rng: np.random.Generator, shape: tuple[int, ...], radius: float) -> Floats:
    """Return bright specks, and cells so far out of focus that nobody would outline them."""
    area = float(np.prod(shape)) / radius ** len(shape)
    field = np.zeros(shape)
    for width, per_cell, low, high in ((0.12, 0.012, 0.6, 2.2), (1.1, 0.006, 0.15, 0.4)):
        spots = np.zeros(shape)
        for _ in range(int(rng.poisson(per_cell * area))):
            at = tuple(int(rng.integers(size)) for size in shape)
            spots[at] += rng.uniform(low, high)
        sigma = width * radius
        field += ndimage.gaussian_filter(spots, sigma) * (sigma * (2 * pi) ** 0.5) ** len(shape)
    return field


def _optics(rng: np.random.Generator, signal: Floats, radius: float) -> Floats:
    """Return what reaches the camera: blurred, hazy, on a background, unevenly lit."""
    sharp = ndimage.gaussian_filter(signal, rng.uniform(0.8, 1.8))
    haze = ndimage.gaussian_filter(signal, 1.5 * radius)
    light = np.ones(signal.shape)
    for axis, size in enumerate(signal.shape[-2:], start=signal.ndim - 2):
        place = (np.arange(size) + 0.5) / size - rng.uniform(0.1, 0.9)
        fall = 1 - rng.uniform(0.3, 0.7) * place**2
        light *= np.expand_dims(fall, tuple(k for k in range(signal.ndim) if k != axis))
    return np.asarray(light * (0.9 * sharp + 0.35 * haze + rng.uniform(0.08, 0.2)), np.float64)


def _camera(rng: np.random.Generator, light: Floats, dtype: str) -> NDArray[Any]:
    """Return camera counts: photons are few, and reading them adds noise."""
    photons = rng.poisson(light * rng.uniform(50, 140)) + rng.normal(0, 2.0, light.shape)
    counts = np.rint(_GAIN[dtype] * photons + _OFFSET[dtype])
    return counts.clip(0, np.iinfo(dtype).max).astype(dtype)


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Floats:
    """Return smooth noise of mean near 0 and variance near 1."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), sigma)
    return np.asarray(noise * (2 * sigma * pi**0.5) ** (len(shape) / 2), np.float64)


def _direction(rng: np.random.Generator, ndim: int) -> Floats:
    vector = rng.standard_normal(ndim)
    return np.asarray(vector / np.sqrt((vector**2).sum()), np.float64)


def _check(shape: tuple[int, ...], radius: float, coverage: float, dtype: str) -> None:
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ShapeError(f"shape is {shape}; expected 2 or 3 sizes of 1 or more: (Y, X) or (Z, Y, X)")
    if not radius >= 2:
        raise ConfigError(f"radius is {radius}; expected 2 pixels or more")
    if not 0 < coverage <= 0.5:
        raise ConfigError(f"coverage is {coverage}; expected more than 0, up to 0.5")
    if dtype not in _GAIN:
        raise ConfigError(f"dtype is {dtype!r}; expected 'uint8' or 'uint16'")
