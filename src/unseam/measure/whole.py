"""The measurements of an image in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.measure.block import sum_block
from unseam.measure.columns import check_spacing, finish
from unseam.measure.table import ObjectTable


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
        Foreground probability, 0 to 1.
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
        `mean_probability`, to four decimals.

    Raises
    ------
    ShapeError
        If `labels` are neither 2-D nor 3-D, or another array does not fit them.
    ConfigError
        If `spacing` has another number of axes, or a size that is not above 0.
    LabelError
        If `labels` are not labels.
    InputError
        If `classes` are not integers, or a probability is not from 0 to 1.

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

    The same numbers come from the image cut into blocks: `sum_block` of each, `merge`, `finish`. All columns
    are then equal bit for bit, but for the intensities of images of floats or of more than 16 bits, which
    are equal up to rounding. For this, probabilities are rounded to 16 bits before they are averaged.

    Examples
    --------
    >>> table = measure(np.array([[1, 1, 0], [0, 0, 2]]), spacing=(0.5, 0.5))
    >>> table["area_um2"]
    array([0.5 , 0.25])
    """
    ndim = np.ndim(labels)
    if ndim in (2, 3):  # else `sum_block` says so
        check_spacing(spacing, ndim)
    sums = sum_block(labels, origin=(0,) * ndim, image=image, probabilities=probabilities, classes=classes)
    return finish(sums, shape=np.shape(labels), spacing=spacing)
