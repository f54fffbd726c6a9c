"""Weight maps: how much each pixel counts in the loss.

The paper's map is w(x) = w_c(x) + w0 exp(-(d1(x) + d2(x))^2 / (2 sigma^2)): the first term balances
the classes, the second makes the network learn the narrow gaps between cells.

The second term vanishes within a few sigma. So each cell's distances are computed in a window around it
only, and not at all for a cell that has no other near it: over a hundred times faster than one distance
transform of the whole image per cell. ``python -m bench.performance stages`` measures it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unseam.data.sample import IGNORE
from unseam.errors import ConfigError, LabelError, ShapeError

Floats = NDArray[np.float32]
Labels = NDArray[np.integer[Any]]

_TOLERANCE = 5e-6  # border terms below this may be left out


def border_weight_map(
    labels: Labels, w0: float = 10.0, sigma: float = 5.0, *, spacing: Sequence[float] | None = None
) -> Floats:
    """Return the border term of the paper's weight map: high in narrow gaps between two cells.

    Parameters
    ----------
    labels : ndarray of int, (*spatial)
        Instances, not classes; 0 is background, -1 unknown. Touching instances should have been separated
        by `unseam.instances.carve_gaps` first: where there is no gap, there is nothing to weight.
    w0 : float, >= 0
        The weight that a gap of no width would have.
    sigma : float, > 0
        Fall-off, in pixels, or in the unit of `spacing` where that is given.
    spacing : sequence of float, optional
        Pixel size along each axis. Default 1 everywhere.

    Returns
    -------
    ndarray of float32, (*spatial)
        0 to `w0`. 0 on instances, on unknown pixels, and everywhere if there are fewer than two instances.

    Raises
    ------
    LabelError
        If the labels are not integers, or below -1.
    ShapeError
        If `labels` has no axis, or `spacing` not one number per axis.
    ConfigError
        If `w0`, `sigma` or `spacing` is out of range.

    Notes
    -----
    w0 exp(-(d1 + d2)^2 / (2 sigma^2)), where d1 and d2 are the Euclidean distances to the nearest and to the
    second nearest instance; the distance to an instance is that between pixel centres, to its nearest pixel.
    The map equals this formula within 1e-5 (w0 = 10). A term is below t = 5e-6 where d1 + d2 is above
    R = sigma sqrt(2 ln(w0 / t)), 26.9 pixels by default; elsewhere d2 < R, so a window that reaches R
    beyond a cell holds every pixel to which that cell matters.

    References
    ----------
    Ronneberger, Fischer, Brox, 2015, equation 2, doi:10.1007/978-3-319-24574-4_28.

    Examples
    --------
    >>> border_weight_map(np.array([[1, 0, 0, 2]])).round(3)  # d1 + d2 = 3: 10 exp(-9 / 50)
    array([[0.   , 8.353, 8.353, 0.   ]], dtype=float32)
    """
    steps = _checked(labels, spacing)
    _require(0 <= w0 < math.inf, "w0", w0, "a number of at least 0")
    _require(0 < sigma < math.inf, "sigma", sigma, "a number above 0")
    if w0 <= _TOLERANCE or labels.size == 0:
        return np.zeros(labels.shape, np.float32)
    reach = sigma * math.sqrt(2 * math.log(w0 / _TOLERANCE))
    total = _sum_of_two_distances(_cells(labels), steps, reach)
    total[labels != 0] = np.inf
    weights: Floats = np.exp(-((total / np.float32(sigma)) ** 2) / 2) * np.float32(w0)
    return weights


def class_frequencies(targets: Iterable[Labels], *, classes: int) -> NDArray[np.float64]:
    """Return the fraction of labelled pixels in each class, over a whole set of class maps.

    Parameters
    ----------
    targets : iterable of ndarray of int
        Class maps, 0 to ``classes - 1``; -1 is unknown and not counted.
    classes : int, >= 1
        Number of classes, background included.

    Returns
    -------
    ndarray of float64, (classes,)
        Sum 1; all 0 if no pixel is labelled.

    Raises
    ------
    LabelError
        If a target is not of integers, or holds a class out of range.
    ConfigError
        If `classes` is below 1.
    """
    _require(classes >= 1, "classes", classes, "a number of at least 1")
    counts = np.zeros(classes, np.int64)
    for target in targets:
        _check_classes(target, classes)
        counts += np.bincount(target[target != IGNORE].astype(np.int64), minlength=classes)
    return counts / max(int(counts.sum()), 1)


def class_weights(frequencies: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of each class, inversely proportional to its frequency.

    Parameters
    ----------
    frequencies : sequence of float, (classes,)
        Fractions or counts of labelled pixels, for instance from `class_frequencies`.

    Returns
    -------
    ndarray of float64, (classes,)
        0 for a class that never occurs.

    Raises
    ------
    ConfigError
        If a frequency is negative or not finite.

    Notes
    -----
    w_c = 1 / (K f_c), with f_c the frequency scaled to sum 1 and K the number of classes that occur. Then
    each of them has the same total weight, and the mean weight over labelled pixels, sum f_c w_c, is 1.

    Examples
    --------
    >>> class_weights([0.8, 0.2])
    array([0.625, 2.5  ])
    """
    counts = np.asarray(frequencies, np.float64)
    _require_weights("frequencies", counts)
    present = counts > 0
    weights = np.zeros_like(counts)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights


def paper_weight_map(
    labels: Labels,
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    class_weights: Sequence[float] | NDArray[np.float64],
    spacing: Sequence[float] | None = None,
) -> Floats:
    """Return the weight map of the 2015 paper, class term and border term together.

    Parameters
    ----------
    labels, w0, sigma, spacing
        As in `border_weight_map`.
    class_weights : sequence of float, (2,)
        Weights of background and of instances, for instance from the function `class_weights`.

    Returns
    -------
    ndarray of float32, (*spatial)
        0 on unknown pixels.

    Raises
    ------
    LabelError, ShapeError, ConfigError
        As `border_weight_map`; ShapeError also if `class_weights` is not two numbers, ConfigError if one is
        negative or not finite.
    """
    if len(class_weights) != 2:
        raise ShapeError(f"got {len(class_weights)} class weights; give two, of background and of instances")
    _require_weights("class_weights", np.asarray(class_weights, np.float64))
    border = border_weight_map(labels, w0, sigma, spacing=spacing)
    return border + _per_class(np.sign(labels), class_weights)


def plugin_weight_map(
    labels: Labels,
    *,
    v_bal: float = 0.1,
    sigma_balance: float = 10.0,
    w_border: float = 50.0,
    sigma_border: float = 6.0,
    spacing: Sequence[float] | None = None,
) -> Floats:
    """Return the weight map of the authors' later Fiji plugin, for instances of one class.

    Parameters
    ----------
    labels, spacing
        As in `border_weight_map`.
    v_bal : float, 0 to 1
        Weight of background far from every instance.
    sigma_balance : float, > 0
        How far the weight 1 of instances reaches into the background, in pixels or the unit of `spacing`.
    w_border, sigma_border : float
        As `w0` and `sigma` in `border_weight_map`.

    Returns
    -------
    ndarray of float32, (*spatial)
        1 on instances, 0 on unknown pixels.

    Raises
    ------
    LabelError, ShapeError, ConfigError
        As `border_weight_map`; ConfigError also if `v_bal` or `sigma_balance` is out of range.

    Notes
    -----
    On background: v_bal + (1 - v_bal) exp(-d1^2 / (2 sigma_balance^2)) + the border term. Without any
    instance, `v_bal`.

    References
    ----------
    Falk et al., 2019, Nature Methods 16:67-70, doi:10.1038/s41592-018-0261-2.
    """
    _require(0 <= v_bal <= 1, "v_bal", v_bal, "a number from 0 to 1")
    _require(0 < sigma_balance < math.inf, "sigma_balance", sigma_balance, "a number above 0")
    weights = border_weight_map(labels, w_border, sigma_border, spacing=spacing)
    objects = labels > 0
    near = np.zeros(labels.shape)
    if objects.any():
        d1 = ndimage.distance_transform_edt(~objects, sampling=spacing)
        near = np.exp(-(d1**2) / (2 * sigma_balance**2))
    weights += (v_bal + (1 - v_bal) * near).astype(np.float32)
    weights[labels == IGNORE] = 0
    return weights


def _sum_of_two_distances(cells: NDArray[np.int32], steps: Sequence[float], reach: float) -> Floats:
    """Return d1 + d2, exact where it is at most `reach`; elsewhere it may be too large, or infinite."""
    d1 = np.full(cells.shape, np.inf, np.float32)
    d2 = d1.copy()
    margins = [int(reach / step) for step in steps]
    for number, box in enumerate(ndimage.find_objects(cells), start=1):
        if box is None:  # a number that no cell has
            continue
        window = tuple(
            slice(max(part.start - margin, 0), part.stop + margin)
            for part, margin in zip(box, margins, strict=True)
        )
        outside = cells[window] != number
        # By the triangle inequality, two cells that share a pixel with d1 + d2 <= reach are that close.
        if not (outside & (cells[window] > 0)).any():
            continue
        d = ndimage.distance_transform_edt(outside, sampling=steps).astype(np.float32)
        nearest, second = d1[window], d2[window]
        np.minimum(second, np.maximum(nearest, d), out=second)
        np.minimum(nearest, d, out=nearest)
    return d1 + d2


def _cells(labels: Labels) -> NDArray[np.int32]:
    """Return the labels with 0 outside cells, renumbered where they are too large to be counted up to."""
    cells = np.maximum(labels, 0)
    if cells.max() > cells.size:
        # The smallest becomes 0: that is the background, or there is none and no pixel to weight.
        cells = np.unique(cells, return_inverse=True)[1].reshape(cells.shape)
    return cells.astype(np.int32)


def _per_class(target: Labels, weights: Sequence[float] | NDArray[np.float64]) -> Floats:
    return np.append(np.asarray(weights, np.float32), np.float32(0))[target]  # IGNORE, -1, is the last


def _checked(labels: Labels, spacing: Sequence[float] | None) -> tuple[float, ...]:
    """Refuse what is no instance labelling; return the spacing as one number per axis."""
    _check_integers(labels)
    if labels.ndim == 0:
        raise ShapeError("labels are a single number; give an array with at least one axis")
    if labels.min(initial=0) < IGNORE:
        raise LabelError(f"labels go down to {labels.min()}; use 0 for background and {IGNORE} for unknown")
    steps = tuple(spacing) if spacing is not None else (1.0,) * labels.ndim
    if len(steps) != labels.ndim:
        raise ShapeError(f"spacing has {len(steps)} numbers for {labels.ndim} axes; give one for each axis")
    for step in steps:
        _require(0 < step < math.inf, "spacing", steps, "numbers above 0")
    return steps


def _check_classes(target: Labels, classes: int) -> None:
    _check_integers(target)
    low, high = target.min(initial=0), target.max(initial=0)
    if low < IGNORE or high >= classes:
        raise LabelError(
            f"classes go from {low} to {high}; expected 0 to {classes - 1}, and {IGNORE} for unknown"
        )


def _check_integers(labels: Labels) -> None:
    if not np.issubdtype(labels.dtype, np.integer):
        raise LabelError(f"labels are {labels.dtype}; give whole numbers, one for each instance or class")


def _require_weights(name: str, values: NDArray[np.float64]) -> None:
    fits = bool((np.isfinite(values) & (values >= 0)).all())
    _require(fits, name, values.tolist(), "finite numbers of at least 0")


def _require(fits: bool, name: str, value: object, expected: str) -> None:
    if not fits:
        raise ConfigError(f"{name} is {value}; give {expected}")
