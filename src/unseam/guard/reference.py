"""What the training images gave: how each group of statistics lies, and how far from it is too far.

Sets are often of several kinds, as of two magnifications, with nothing between. So the distance of an image
is that to the nearest training image: Mahalanobis' distance, along the few directions in which the training
images vary most, over the square root of their number. What few images say about spread is mended by what is
usual: variances are averages with a usual one, the covariance is shrunk, and the limit is that of a t
distribution which knows how widely such distances are spread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from unseam.errors import ModelFileError
from unseam.guard.statistics import PER_CHANNEL, Statistics

VERSION = 1
"""Of the statistics; a reference of another version is not compared with."""
FEWEST = 3
"""Fewer images do not say how images vary."""
FOLDS = 64
"""Images are left out one by one, more than these in as many parts."""
FALSE_ALARM = 0.01
"""Share of images like the training images that are meant to be called outside."""
DIRECTIONS = 8
"""Directions in which images may vary that are kept of a group."""
USUAL = {"noise": 0.2, "frequencies": 0.2, "channels": 0.1}
"""Usual deviation of statistics over images of one kind, all of them logarithms or correlations."""
USUAL_QUANTILE, USUAL_SKEWNESS = 0.1, 0.5
"""The same of the intensities; that of the quantiles as a share of the range."""
WEIGHT = 4
"""Images that the usual deviation counts for."""
SHRINKAGE = 8
"""The covariance of this many images is shrunk to one half."""
USUAL_SPREAD, SPREAD_WEIGHT = 0.5, 16
"""Usual deviation of the logarithm of a distance along a few directions; images that it counts for."""
FARTHEST = 30.0
"""Deviations at which a single statistic is cut off."""

Floats = NDArray[np.float64]
Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Group:
    """How one group of statistics lies over the training images.

    Attributes
    ----------
    centre, spread : tuple of float, (n,)
        Mean and deviation of each statistic.
    directions : tuple of tuple of float, (k, n)
        Deviations, multiplied by these, are the place of an image.
    places : tuple of tuple of float, (images, k)
        Of the training images.
    limit : float
        The distance beyond which an image is outside.
    """

    centre: Numbers
    spread: Numbers
    directions: tuple[Numbers, ...]
    places: tuple[Numbers, ...]
    limit: float

    def deviations(self, statistics: Floats) -> Floats:
        """Deviations of each statistic from the centre, NaN where it is not known."""
        apart = (statistics - np.array(self.centre)) / np.array(self.spread)
        return np.asarray(apart.clip(-FARTHEST, FARTHEST), np.float64)

    def distance(self, statistics: Floats) -> float:
        """Distance of an image to the nearest training image; what is not known of it counts as equal."""
        directions = np.array(self.directions)
        training = np.array(self.places) @ np.linalg.pinv(directions).T  # deviations of the training images
        apart = self.deviations(statistics) - training
        place = np.where(np.isnan(apart), 0.0, apart) @ directions.T
        return float(np.linalg.norm(place, axis=1).min())


@dataclass(frozen=True)
class GuardReference:
    """The statistics of the training images, as a model carries them.

    Attributes
    ----------
    n_images : int
        From how many images.
    left_out : int
        How many of them, each compared with the others alone, lie outside: the rate of false alarm is about
        `left_out` / `n_images`.
    groups : mapping of str to Group
    version : int
    """

    n_images: int
    left_out: int
    groups: Mapping[str, Group]
    version: int = VERSION

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON knows them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GuardReference | None:
        """What `to_dict` gave; None for another version.

        Raises
        ------
        ModelFileError
            If a field is missing or of another kind.
        """
        try:
            if values["version"] != VERSION:
                return None
            groups = {name: _group(**group) for name, group in values["groups"].items()}
            return cls(int(values["n_images"]), int(values["left_out"]), groups)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"the statistics of the training images cannot be understood ({error!r}); the model file may "
                "be damaged, copy it anew or train again"
            ) from error


def _group(centre: Any, spread: Any, directions: Any, places: Any, limit: Any) -> Group:
    def numbers(values: Any) -> Numbers:
        return tuple(map(float, values))

    axes, rows = tuple(map(numbers, directions)), tuple(map(numbers, places))
    group = Group(numbers(centre), numbers(spread), axes, rows, float(limit))
    if {len(group.spread), *map(len, axes)} != {len(group.centre)} or {*map(len, rows)} != {len(axes)}:
        raise ValueError("lengths differ")
    return group


def refer(images: Sequence[Statistics]) -> GuardReference | None:
    """The reference of a set of training images; None of fewer than `FEWEST`.

    Notes
    -----
    Each image is compared with the others alone. The logarithms of these distances have a mean and
    a deviation in each group; the limit lies as many deviations t above the mean in all groups. t is that of
    a t distribution for which `FALSE_ALARM`, shared out among the groups, lies beyond, as for the next value
    of a sample of this size; and at least so large that no more than `FALSE_ALARM` of the left-out images,
    or one, are beyond.
    """
    n = len(images)
    if n < FEWEST:
        return None
    unit = float(np.mean([image.contrast for image in images])) or 1.0
    tables = {name: np.stack([image.groups[name] for image in images]) for name in images[0].groups}
    folds = np.arange(n) % min(n, FOLDS)
    centres, spreads, apart = {}, {}, []
    for name, table in tables.items():
        logs = np.log(_left_out(name, table, folds, unit))
        centres[name] = logs.mean()
        variance = (n - 1) * logs.var(ddof=1) + SPREAD_WEIGHT * USUAL_SPREAD**2
        spreads[name] = np.sqrt(variance / (n - 1 + SPREAD_WEIGHT))
        apart.append((logs - centres[name]) / spreads[name])
    farthest = np.sort(np.max(apart, axis=0))[::-1]
    expected = stdtrit(n - 1 + SPREAD_WEIGHT, 1 - FALSE_ALARM / len(tables)) * np.sqrt(1 + 1 / n)
    t = max(float(expected), float(farthest[max(1, int(FALSE_ALARM * n))]))
    groups = {
        name: _lie(name, table, unit, limit=float(np.exp(centres[name] + t * spreads[name])))
        for name, table in tables.items()
    }
    return GuardReference(n, int((farthest > t).sum()), groups)


def _left_out(name: str, table: Floats, folds: NDArray[np.intp], unit: float) -> Floats:
    """The distance of each image to the others, without those of its part."""
    distances = np.empty(len(table))
    for fold in np.unique(folds):
        others = _lie(name, table[folds != fold], unit)
        distances[folds == fold] = [others.distance(image) for image in table[folds == fold]]
    return np.maximum(distances, 1e-3)


def _lie(name: str, table: Floats, unit: float, *, limit: float = 0.0) -> Group:
    """How a group lies: `table` holds a row per image, NaN where a statistic is not known."""
    known = ~np.isnan(table)
    count = known.sum(0)
    filled = np.where(known, table, 0.0)
    centre = filled.sum(0) / np.maximum(count, 1)
    centred = np.where(known, table - centre, 0.0)
    usual = _usual_variance(name, centred, unit)
    spread = np.sqrt(((centred**2).sum(0) + WEIGHT * usual) / (np.maximum(count, 1) - 1 + WEIGHT))
    directions = _directions(centred / spread, all_of_them=name != "features")
    group = Group(_rounded(centre), _rounded(spread), tuple(map(_rounded, directions)), (), limit)
    places = np.nan_to_num(group.deviations(table)) @ np.array(group.directions).T
    return replace(group, places=tuple(map(_rounded, places)))


def _directions(deviations: Floats, *, all_of_them: bool) -> Floats:
    """Directions along which images vary most, each over its deviation and the root of their number.

    Of few statistics also those are taken along which the training images do not vary at all.
    """
    n, size = deviations.shape
    _, sizes, axes = np.linalg.svd(deviations, full_matrices=all_of_them)
    k = min(DIRECTIONS, size) if all_of_them else max(1, min(DIRECTIONS, n // 2, size))
    variance = np.zeros(k)
    variance[: len(sizes)] = sizes[:k] ** 2 / max(1, n - 1)
    shrink = SHRINKAGE / (SHRINKAGE + n)
    variance = (1 - shrink) * variance + shrink * max(1.0, float(variance.mean()))
    return np.asarray(axes[:k] / np.sqrt(variance * k)[:, None], np.float64)


def _usual_variance(name: str, centred: Floats, unit: float) -> Floats | float:
    """The usual variance of each statistic of a group; of features the mean over all of them."""
    if name == "features":
        return max(float((centred**2).mean()), 1e-6)
    if name != "intensities":
        return USUAL[name] ** 2
    one = [(USUAL_QUANTILE * unit) ** 2] * (PER_CHANNEL - 1) + [USUAL_SKEWNESS**2]
    return np.tile(one, centred.shape[1] // PER_CHANNEL)


def _rounded(values: Floats) -> Numbers:
    """To three digits: the header stays small, and what is written is what is used."""
    return tuple(float(f"{value:.3g}") for value in values)
