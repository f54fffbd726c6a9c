"""From the sums of objects to their row in the table: one fixed formula each, for whole images and blocks.

Differences are taken between integers, so that nothing cancels and no digit of a shape depends on where it
lies; and each row depends on its own object alone, so that rows may be made in any company.
"""

from __future__ import annotations

from math import cbrt, inf, pi

import numpy as np
from numpy.typing import NDArray

from unseam.errors import ConfigError
from unseam.measure.convex import convex_areas
from unseam.measure.sums import LARGEST, QUANTA, Exact, Ints, Sums, pairs
from unseam.measure.table import Columns, ObjectTable

Floats = NDArray[np.float64]

DECIMALS = 4
"""Of the mean probability. Convolutions over tiles of another size sum in another order, and so differ in the
eighth digit of a probability: four decimals do not show it."""


def finish(sums: Sums, *, shape: tuple[int, ...], spacing: tuple[float, ...] | None = None) -> ObjectTable:
    """Return the table of objects whose sums are complete.

    Parameters
    ----------
    sums : Sums
    shape : tuple of int
        Of the whole image.
    spacing : tuple of float, optional
        Pixel size along each axis, in micrometres.

    Returns
    -------
    ObjectTable
        The columns of `unseam.measure.measure`.

    Raises
    ------
    ConfigError
        If `spacing` has another number of axes, or a size that is not above 0.

    Examples
    --------
    >>> from unseam.measure import merge, sum_block
    >>> left, right = (sum_block(np.array([[1, 1]]), origin=(0, x)) for x in (0, 2))
    >>> finish(merge(left, right), shape=(1, 4))["centroid_x"]
    array([1.5])
    """
    check_spacing(spacing, len(shape))
    boxes = sums.boxes
    axes = "yx" if len(shape) == 2 else "zyx"
    columns: Columns = {"id": sums.ids, "class": _majority(sums)}
    columns |= _size(sums.sizes, len(shape), spacing)
    centroids = _centroids(sums)
    columns |= {f"centroid_{axis}": centroids[:, k] for k, axis in enumerate(axes)}
    if spacing is not None:
        columns |= {f"centroid_{axis}_um": centroids[:, k] * spacing[k] for k, axis in enumerate(axes)}
    for k, axis in enumerate(axes):
        columns |= {f"bbox_{axis}_min": boxes[:, k, 0], f"bbox_{axis}_max": boxes[:, k, 1]}
    columns |= _shape(sums, spacing)
    if sums.rows is not None:
        owner = np.searchsorted(sums.ids, sums.rows[0])
        # From the object's own corner, so that products of coordinates stay small.
        y, first, last = (sums.rows[k] - boxes[owner, axis, 0] for k, axis in ((1, 0), (2, 1), (3, 1)))
        columns["solidity"] = sums.sizes / convex_areas(owner, y, first, last, len(sums))
    columns["touches_border"] = ((boxes[..., 0] == 0) | (boxes[..., 1] == shape)).any(axis=1)
    means, deviations = _intensities(sums)
    for k in range(means.shape[1]):
        columns |= {f"mean_ch{k}": means[:, k], f"std_ch{k}": deviations[:, k]}
    if sums.probabilities is not None:
        columns["mean_probability"] = (sums.probabilities / (QUANTA * sums.sizes)).round(DECIMALS)
    return ObjectTable({name: np.ascontiguousarray(column) for name, column in columns.items()})


def check_spacing(spacing: tuple[float, ...] | None, ndim: int) -> None:
    """Raise `ConfigError` unless `spacing` is None or `ndim` sizes above 0."""
    if spacing is not None and (len(spacing) != ndim or not all(0 < step < inf for step in spacing)):
        raise ConfigError(f"spacing is {spacing}; expected {ndim} pixel sizes above 0, in micrometres")


def _quotient(numerator: Exact, denominator: Exact) -> Floats:
    """Integers divided; int64 and Python's integers round to the same floats."""
    return np.asarray(numerator.astype(np.float64) / denominator.astype(np.float64), np.float64)


def _variances(sizes: Ints, second: Exact, first_i: Exact, first_j: Exact, bound: Floats) -> Floats:
    """Second central moments n S_ij - S_i S_j over n squared; `bound` is one for n S_ij."""
    dtype = object if bool((bound >= LARGEST).any()) else second.dtype
    n, second, first_i, first_j = (a.astype(dtype) for a in (sizes[:, None], second, first_i, first_j))
    return _quotient(n * second - first_i * first_j, n * n)


def _centroids(sums: Sums) -> Floats:
    sizes = sums.sizes[:, None]
    return _quotient(sizes * sums.boxes[..., 0] + sums.first, sizes)


def _size(sizes: Ints, ndim: int, spacing: tuple[float, ...] | None) -> Columns:
    name, power = ("area", 2) if ndim == 2 else ("volume", 3)
    columns: Columns = {f"{name}_px": sizes}
    if spacing is not None:
        columns[f"{name}_um{power}"] = sizes * np.prod(spacing)
    return columns


def _shape(sums: Sums, spacing: tuple[float, ...] | None) -> Columns:
    """Return diameter, axes and (in 2-D) eccentricity, from moments about the centroids."""
    ndim = sums.first.shape[1]
    i, j = map(list, zip(*pairs(ndim), strict=True))
    extent = (sums.boxes[..., 1] - sums.boxes[..., 0]).max(axis=1, initial=0).astype(np.float64)
    bound = (sums.sizes * extent) ** 2
    covariance = np.empty((len(sums), ndim, ndim))
    covariance[:, i, j] = _variances(sums.sizes, sums.second, sums.first[:, i], sums.first[:, j], bound)
    covariance[:, j, i] = covariance[:, i, j]
    units = {"px": (1.0,) * ndim} if spacing is None else {"px": (1.0,) * ndim, "um": spacing}
    columns: Columns = {}
    for unit, step in units.items():
        spread = _eigenvalues(covariance * np.outer(step, step)).clip(min=0)
        columns[f"equivalent_diameter_{unit}"] = _diameters(sums.sizes * np.prod(step), ndim)
        names = ("minor", "major") if ndim == 2 else ("minor", "middle", "major")
        for k in reversed(range(ndim)):
            columns[f"{names[k]}_axis_{unit}"] = 2 * np.sqrt((ndim + 2) * spread[:, k])
    if ndim == 2:
        ratio = np.divide(spread[:, 0], spread[:, 1], out=np.ones(len(sums)), where=spread[:, 1] > 0)
        columns["eccentricity"] = np.sqrt(1 - ratio)
    return columns


def _eigenvalues(symmetric: Floats) -> Floats:
    """Of 2 x 2 or 3 x 3 matrices, rising, (n, ndim)."""
    if symmetric.shape[1] == 3:
        return np.asarray(np.linalg.eigvalsh(symmetric))
    # By the formula, which rounds in the same way on every machine, as a library of linear algebra need not.
    a, b, c = symmetric[:, 0, 0], symmetric[:, 0, 1], symmetric[:, 1, 1]
    middle, half = (a + c) / 2, np.sqrt(((a - c) / 2) ** 2 + b**2)
    return np.stack([middle - half, middle + half], axis=1)


def _diameters(size: Floats, ndim: int) -> Floats:
    """Diameters of discs, pi d^2 / 4, or balls, pi d^3 / 6, of this size."""
    if ndim == 2:
        return np.asarray(np.sqrt(4 / pi * size))
    # One by one: how a vectorised root rounds may depend on its neighbours.
    return np.array([cbrt(6 / pi * volume) for volume in size.tolist()])


def _intensities(sums: Sums) -> tuple[Floats, Floats]:
    """Means and standard deviations, (n, C) each."""
    sizes = sums.sizes[:, None]
    if sums.totals.dtype.kind == "f":
        return sums.totals / sizes, np.sqrt(sums.squares / sizes)
    bound = np.max(sums.squares.astype(np.float64), axis=1, initial=0) * sums.sizes
    variances = _variances(sums.sizes, sums.squares, sums.totals, sums.totals, bound)
    return _quotient(sums.totals, sizes), np.sqrt(variances)


def _majority(sums: Sums) -> NDArray[np.int32]:
    """The class with most votes, the smallest of equals, 0 without votes; 1 where there are no classes."""
    if sums.votes is None:
        return np.ones(len(sums), np.int32)
    ids, classes, counts = sums.votes
    best = np.lexsort((-classes, counts, ids))  # the last of each object
    winner = best[np.r_[ids[best][1:] != ids[best][:-1], np.ones(min(len(ids), 1), bool)]]
    majority = np.zeros(len(sums), np.int32)
    majority[np.searchsorted(sums.ids, ids[winner])] = classes[winner]
    return majority
