"""One row of measurements per object, in pixels and, where the pixel size is known, in micrometres.

Every sum over pixels is one pass over the image for all objects together (`numpy.bincount`), so that ten
thousand objects take as long as ten.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from math import gamma, inf, pi
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unseam.errors import ConfigError, InputError, ShapeError
from unseam.instances import consecutive
from unseam.io.atomic import replacing

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False, repr=False)
class ObjectTable:
    """Measurements, one row per object in rising order of `id`.

    Attributes
    ----------
    columns : dict of str to ndarray, (n,)
        Column name to values; all of one length.
    """

    columns: Columns

    def __len__(self) -> int:
        return len(self.columns["id"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def __repr__(self) -> str:
        return f"ObjectTable({len(self)} objects: {', '.join(self.columns)})"

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield each object as column name to plain Python value."""
        values = [column.tolist() for column in self.columns.values()]
        for row in zip(*values, strict=True):
            yield dict(zip(self.columns, row, strict=True))

    def to_csv(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the table, with a header, as comma-separated UTF-8; floats have 8 significant digits.

        Raises
        ------
        OutputExistsError
            If `path` exists and `overwrite` is false.
        """
        with (
            replacing(path, overwrite=overwrite) as temporary,
            open(temporary, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.columns)
            writer.writerows([_cell(value) for value in row.values()] for row in self.rows())


def measure(
    labels: NDArray[np.integer[Any]],
    image: NDArray[Any] | None = None,
    *,
    probabilities: NDArray[Any] | None = None,
    spacing: tuple[float, ...] | None = None,
    classes: NDArray[np.integer[Any]] | None = None,
) -> ObjectTable:
    """Return size, place, shape and intensity of every object.

    Parameters
    ----------
    labels : ndarray of int, (Y, X) or (Z, Y, X)
        1 and up are objects, 0 background, -1 ignored. An object need not be connected.
    image : ndarray, (C, *spatial) or (*spatial), optional
        Intensities, measured per channel.
    probabilities : ndarray of float, (*spatial), optional
        Foreground probability.
    spacing : tuple of float, optional
        Pixel size along each axis, in micrometres; adds the `_um` columns.
    classes : ndarray of int, (*spatial), optional
        Class of each pixel; 1 everywhere if not given.

    Returns
    -------
    ObjectTable
        `id`; `class`; `area_px`, `area_um2` (`volume_px`, `volume_um3` in 3-D); `centroid_y`, ... in pixels,
        0 being the centre of the first pixel, and `centroid_y_um`, ...; `bbox_y_min`, `bbox_y_max`, ...
        half-open; `equivalent_diameter_px`; `major_axis_px`, (`middle_axis_px` in 3-D,) `minor_axis_px`, all
        four with `_um`; in 2-D `eccentricity` and `solidity`; `touches_border`; `mean_ch0`, `std_ch0`, ...;
        `mean_probability`.

    Raises
    ------
    ShapeError
        If `labels` are neither 2-D nor 3-D, or another array does not fit them.
    ConfigError
        If `spacing` has another number of axes, or a size that is not above 0.
    LabelError
        If `labels` are not labels.

    Notes
    -----
    The axes are those of the ellipse (ellipsoid) with the second central moments of the object, its pixels
    taken as points: with l the eigenvalues of the covariance of the N coordinates, ``2 sqrt((N + 2) l)``; a
    single pixel has length 0. Eccentricity is ``sqrt(1 - l_min / l_max)``, 0 for a single pixel. Where the
    spacing is known, eccentricity and `_um` lengths come from coordinates in micrometres, right for
    anisotropic pixels too. The equivalent diameter is that of the disc (ball) of the same size. The standard
    deviation is that of the population. The class is the one that most pixels have; pixels of class 0 or
    below do not vote, ties go to the smallest, no vote gives 0. An object touches the border when one of its
    pixels lies on a face of the image.

    Solidity is area over convex area, the number of pixels whose centres lie in or on the convex hull of the
    midpoints of the object's pixel edges: 1 for a pixel and for a straight row. These are the conventions
    of scikit-image's ``regionprops``. There is no solidity in 3-D, where it would be slow.

    Examples
    --------
    >>> table = measure(np.array([[1, 1, 0], [0, 0, 2]]), spacing=(0.5, 0.5))
    >>> table["area_um2"]
    array([0.5 , 0.25])
    """
    ids, dense = consecutive(labels)
    _check(dense, probabilities=probabilities, classes=classes, spacing=spacing)
    channels = _channels(image, dense.shape)
    axes = "yx" if dense.ndim == 2 else "zyx"
    owner = dense[dense > 0].astype(np.intp) - 1
    pixels = _Pixels(np.nonzero(dense > 0), owner, np.bincount(owner, minlength=len(ids)))
    columns: Columns = {"id": ids, "class": _majority(pixels, classes)}
    columns |= _size(pixels, spacing)
    centroids = [pixels.mean(coordinate) for coordinate in pixels.where]
    columns |= {f"centroid_{axis}": values for axis, values in zip(axes, centroids, strict=True)}
    if spacing is not None:
        for axis, values, step in zip(axes, centroids, spacing, strict=True):
            columns[f"centroid_{axis}_um"] = values * step
    boxes = np.array([[(s.start, s.stop) for s in box] for box in ndimage.find_objects(np.maximum(dense, 0))])
    boxes = boxes.reshape(len(ids), dense.ndim, 2).astype(np.intp)
    for k, axis in enumerate(axes):
        columns |= {f"bbox_{axis}_min": boxes[:, k, 0], f"bbox_{axis}_max": boxes[:, k, 1]}
    columns |= _shape(pixels, centroids, spacing)
    if dense.ndim == 2:
        columns["solidity"] = pixels.sizes / _convex_areas(pixels)
    columns["touches_border"] = ((boxes[..., 0] == 0) | (boxes[..., 1] == dense.shape)).any(axis=1)
    for k, channel in enumerate(channels):
        values = channel[pixels.where].astype(np.float64)
        columns[f"mean_ch{k}"] = mean = pixels.mean(values)
        columns[f"std_ch{k}"] = np.sqrt(pixels.mean((values - mean[pixels.owner]) ** 2))
    if probabilities is not None:
        columns["mean_probability"] = pixels.mean(probabilities[pixels.where])
    return ObjectTable(columns)


@dataclass(frozen=True)
class _Pixels:
    """The object pixels of an image in raster order: coordinates, and the row of the object of each."""

    where: tuple[Ints, ...]
    owner: Ints
    sizes: Ints  # pixels of each object

    @property
    def count(self) -> int:
        return len(self.sizes)

    def mean(self, values: NDArray[Any]) -> Floats:
        """Return the mean of one value per pixel over each object."""
        return np.asarray(np.bincount(self.owner, values, self.count) / self.sizes, np.float64)


def _size(pixels: _Pixels, spacing: tuple[float, ...] | None) -> Columns:
    name, power = ("area", 2) if len(pixels.where) == 2 else ("volume", 3)
    columns: Columns = {f"{name}_px": pixels.sizes}
    if spacing is not None:
        columns[f"{name}_um{power}"] = pixels.sizes * np.prod(spacing)
    return columns


def _shape(pixels: _Pixels, centroids: list[Floats], spacing: tuple[float, ...] | None) -> Columns:
    """Return diameter, axes and (in 2-D) eccentricity, from moments about the centroids."""
    ndim = len(centroids)
    # Moments about the centroid, in a second pass: sums of raw squares would cancel far from the origin.
    offsets = [
        where - centroid[pixels.owner] for where, centroid in zip(pixels.where, centroids, strict=True)
    ]
    covariance = np.empty((pixels.count, ndim, ndim))
    for i in range(ndim):
        for j in range(i + 1):
            covariance[:, i, j] = covariance[:, j, i] = pixels.mean(offsets[i] * offsets[j])
    units = {"px": np.ones(ndim)} if spacing is None else {"px": np.ones(ndim), "um": np.array(spacing)}
    columns: Columns = {}
    for unit, step in units.items():
        spread = np.linalg.eigvalsh(covariance * np.outer(step, step)).clip(min=0)  # rising
        ball = pi ** (ndim / 2) / gamma(ndim / 2 + 1)  # volume of the unit ball
        columns[f"equivalent_diameter_{unit}"] = 2 * (pixels.sizes * np.prod(step) / ball) ** (1 / ndim)
        names = ("minor", "major") if ndim == 2 else ("minor", "middle", "major")
        for k in reversed(range(ndim)):
            columns[f"{names[k]}_axis_{unit}"] = 2 * np.sqrt((ndim + 2) * spread[:, k])
    if ndim == 2:
        ratio = np.divide(spread[:, 0], spread[:, 1], out=np.ones(pixels.count), where=spread[:, 1] > 0)
        columns["eccentricity"] = np.sqrt(1 - ratio)
    return columns


def _convex_areas(pixels: _Pixels) -> Ints:
    """Return the number of pixel centres in the convex hull of each object's edge midpoints.

    All in integers: coordinates are doubled, so that edge midpoints are whole. A row of an object matters
    through its first and last pixel only. The hull is cut into its left and its right chain, and each row
    between them holds the centres from the left chain, rounded up, to the right one, rounded down.
    """
    y, x = pixels.where
    # Within an object pixels are in raster order, so a stable sort by object gives its rows in order.
    order = np.argsort(pixels.owner, kind="stable")
    owner, y, x = pixels.owner[order], y[order], x[order]
    change = (owner[1:] != owner[:-1]) | (y[1:] != y[:-1])
    first, last = np.r_[True, change], np.r_[change, True]
    if not len(owner):
        return np.zeros(0, np.intp)
    left = _chain(owner[first], 2 * y[first], 2 * x[first])
    right = _chain(owner[last], 2 * y[last], -2 * x[last])  # mirrored: a left chain again
    return np.bincount(left.owner, -right.x - left.x + 1, pixels.count).astype(np.intp)


@dataclass(frozen=True)
class _Rows:
    """For every row of every hull: the object, and the first pixel inside."""

    owner: Ints
    x: Ints


def _chain(owner: Ints, y: Ints, x: Ints) -> _Rows:
    """Return the first pixel of each row that is inside the left side of the hulls.

    `owner`, `y`, `x` are the first pixels of the rows in doubled coordinates, sorted by object and row.
    """
    owner, y, x = np.repeat(owner, 3), np.repeat(y, 3), np.repeat(x, 3)
    y += np.tile([-1, 0, 1], len(y) // 3)  # the midpoints of the upper, left and lower edge
    x += np.tile([0, -1, 0], len(x) // 3)
    order = np.lexsort((x, y, owner))
    owner, y, x = owner[order], y[order], x[order]
    keep = np.r_[True, (owner[1:] != owner[:-1]) | (y[1:] != y[:-1])]  # the leftmost of each level
    owner, y, x, keep = owner[keep], y[keep], x[keep], np.zeros(1, bool)
    while not keep.all():
        # A point on or right of the line between its two neighbours is no corner of the hull. All such
        # points may go at once: what remains still spans the same hull.
        turn = (x[1:-1] - x[:-2]) * (y[2:] - y[:-2]) - (x[2:] - x[:-2]) * (y[1:-1] - y[:-2])
        keep = np.r_[True, (turn < 0) | (owner[:-2] != owner[2:]), True]
        owner, y, x = owner[keep], y[keep], x[keep]
    corner = np.flatnonzero(owner[1:] == owner[:-1])  # one segment from each corner to the next
    return _rows_of_segments(owner, y, x, corner)


def _rows_of_segments(owner: Ints, y: Ints, x: Ints, start: Ints) -> _Rows:
    """Return, for each row from corner to next corner, the first pixel on or right of the segment."""
    dy, dx = y[start + 1] - y[start], x[start + 1] - x[start]
    top = (y[start] + 1) // 2  # in pixels: the first row at or below the corner
    rows = (y[start + 1] + 1) // 2 - top
    segment = np.repeat(np.arange(len(start)), rows)
    row = np.arange(len(segment)) - np.repeat(np.cumsum(rows) - rows, rows) + top[segment]
    across = x[start][segment] * dy[segment] + (2 * row - y[start][segment]) * dx[segment]
    return _Rows(owner[start][segment], -(-across // (2 * dy[segment])))


def _majority(pixels: _Pixels, classes: NDArray[np.integer[Any]] | None) -> NDArray[np.int32]:
    if classes is None or not pixels.count:
        return np.ones(pixels.count, np.int32)
    ids, votes = np.unique(classes[pixels.where], return_inverse=True)
    counts = np.bincount(pixels.owner * len(ids) + votes, minlength=pixels.count * len(ids))
    counts = counts.reshape(pixels.count, len(ids)) * (ids > 0)
    return np.where(counts.any(axis=1), ids[counts.argmax(axis=1)], 0).astype(np.int32)


def _channels(image: NDArray[Any] | None, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the image as (C, *spatial); C is 0 without an image."""
    if image is None:
        return np.empty((0, *shape))
    if image.shape == shape:
        return image[np.newaxis]
    if image.shape[1:] != shape:
        raise ShapeError(
            f"image has shape {image.shape}, labels {shape}; expected {shape} or (channels, *{shape})"
        )
    return image


def _check(
    labels: NDArray[np.int32],
    *,
    probabilities: NDArray[Any] | None,
    classes: NDArray[Any] | None,
    spacing: tuple[float, ...] | None,
) -> None:
    if labels.ndim not in (2, 3):
        raise ShapeError(f"labels have shape {labels.shape}; expected 2 or 3 axes: (Y, X) or (Z, Y, X)")
    for name, array in (("probabilities", probabilities), ("classes", classes)):
        if array is not None and array.shape != labels.shape:
            raise ShapeError(f"{name} have shape {array.shape}, labels {labels.shape}; expected equal shapes")
    if classes is not None and not np.issubdtype(classes.dtype, np.integer):
        raise InputError(f"classes have dtype {classes.dtype}; expected integers, one class per pixel")
    if spacing is not None and (len(spacing) != labels.ndim or not all(0 < step < inf for step in spacing)):
        raise ConfigError(f"spacing is {spacing}; expected {labels.ndim} pixel sizes above 0, in micrometres")


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.8g}" if isinstance(value, float) else str(value)
