"""The chain from a foreground probability map to numbered objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import ConfigError, InputError
from unseam.instances.components import label_components
from unseam.instances.holes import fill_holes
from unseam.instances.labels import Labels
from unseam.instances.numbering import numbered
from unseam.instances.parts import REST, divide
from unseam.instances.shapes import check_steps, grow_into, remove_small


def segment(
    foreground: NDArray[Any],
    *,
    threshold: float,
    min_size: int,
    holes: bool = True,
    grow_pixels: int = 1,
    low_threshold: float = 0.0,
    split: float = 0.0,
    split_size: int = 1,
    split_grow: int = 16,
) -> Labels:
    """Return the objects of a foreground probability map, numbered in raster order.

    Parameters
    ----------
    foreground : ndarray of float, (*spatial)
        Probability of foreground, 0 to 1.
    threshold : float
        A pixel above it (not at it) is foreground; 0 to 1.
    min_size : int
        Objects of fewer pixels are removed.
    holes : bool
        Whether holes are filled.
    grow_pixels : int
        How far each object grows, in pixels; 1 gives back the gap that `carve_gaps` took in training.
    low_threshold : float
        Objects grow only where the probability is above it; 0 lets them grow anywhere. With a high
        `threshold` that tells touching objects apart, a low one gives them their full outline.
    split : float
        An object in which two or more parts lie above this probability is divided into them; nothing is
        where it is not above `threshold`.
    split_size : int
        Pixels that each of these parts must have; one below 0.3 of the largest does not count either.
    split_grow : int
        Pixels that they grow over the rest of their object; between two thresholds lie few.

    Returns
    -------
    ndarray of int32, (*spatial)
        0 is background, objects are 1 to n.

    Raises
    ------
    ConfigError
        If a threshold is outside 0 to 1, or a size or distance is negative.
    InputError
        If `foreground` holds NaN.

    Notes
    -----
    The order is threshold, components, parts, grow, remove small, fill holes, number:

    * parts grow over the rest of their object first, by `split_grow` steps at most, so that each keeps what
      lay next to it;
    * components before growing: grown pixels carry the number of their object, so growing never merges;
    * sizes are counted after growing, because these are the objects that the user sees and measures;
    * small objects go before holes are filled: a speck inside a hole would else keep it open, since a
      hole is filled only where one object alone surrounds it;
    * holes after growing: growing may close a ring that was open by a pixel;
    * numbers last: growing can change which object comes first.

    Examples
    --------
    >>> segment(np.array([[0.9, 0.1, 0.2, 0.8]]), threshold=0.5, min_size=1, grow_pixels=1)
    array([[1, 1, 2, 2]], dtype=int32)
    """
    check_foreground(foreground, threshold, low_threshold, split)
    cores = np.asarray(foreground > threshold)
    if split > threshold:
        labels = divide(cores, np.asarray(foreground > split), split_size)
        labels = grow_into(labels, labels == REST, check_steps(split_grow))
    else:
        labels = label_components(cores)
    free = labels == 0
    if low_threshold > 0:
        free &= np.asarray(foreground > low_threshold)
    free |= labels == REST
    labels = grow_into(labels, free, check_steps(grow_pixels))
    labels = remove_small(np.maximum(labels, 0, out=labels), min_size)
    if holes:
        labels = fill_holes(labels)
    return numbered(labels)


def check_foreground(
    foreground: NDArray[Any], threshold: float, low_threshold: float, split: float = 0.0
) -> None:
    """Say what is wrong if the thresholds are no probabilities, or `foreground` holds NaN."""
    for name, value in (("threshold", threshold), ("low_threshold", low_threshold), ("split", split)):
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} is {value}; expected a probability from 0 to 1")
    if np.isnan(foreground).any():
        raise InputError("foreground holds NaN; expected probabilities from 0 to 1; check the model's output")
