"""One image in a few numbers, from a sample of its regions, intensities scaled as for the network.

They come in groups, which are compared one by one: a verdict then says in which way an image differs. All but
the quantiles are free of the unit of the intensities, so that they mean the same however a model normalises.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Floats = NDArray[np.float64]
Part = NDArray[np.float32]

QUANTILES = (5.0, 25.0, 50.0, 75.0, 95.0)
ENDS = (0.1, 1.0, 99.8, 99.9)
"""Percentiles that the range (inner two) and the skewness (outer two) are taken between."""
OCTAVES = 6
"""Bands of spatial frequency, the first one 1/4 to 1/2 cycles a pixel, each next one half of it."""
MIDDLE = slice(3, 5)
"""The bands that the others are compared with: rescaling and small images leave them alone."""
FLOOR = 1e-3
"""Share of the range below which noise and structure are nobody's concern."""
PER_CHANNEL = len(QUANTILES) + 1


@dataclass(frozen=True)
class Statistics:
    """An image, in numbers.

    Attributes
    ----------
    groups : dict of str to ndarray, (n,)
        "intensities": of each channel `QUANTILES` and the skewness; "noise": of each channel two estimates;
        "frequencies": of each channel `OCTAVES` levels; "channels": of several channels how they relate;
        "features": what the network's encoder makes of it, where that was asked. NaN is not known.
    contrast : float
        Range of the intensities, scaled, the mean over the channels; 0 for a constant image.
    """

    groups: dict[str, Floats]
    contrast: float


def describe(parts: Sequence[Part], *, scale: Sequence[float], zoom: float | None = None) -> Statistics:
    """The statistics of an image.

    Parameters
    ----------
    parts : sequence of ndarray of float32, (C, *region)
        The sample, intensities scaled.
    scale : sequence of float, (C,)
        What each channel was divided by in scaling: of the channels' brightness nothing else is left.
    zoom : float, optional
        How many times the image was rescaled, if it was. Its noise is then not its own and not known, nor are
        the bands that rescaling dampens: the finest one, and those that an enlarged image cannot hold.

    Notes
    -----
    Skewness is that of the intensities between two percentiles, as its inverse hyperbolic sine. Of several
    channels the correlation of each with the next one and the logarithm of its scale over the geometric mean
    of all are kept: both change when channels are exchanged, and neither with the brightness of the image.
    """
    values = [np.concatenate([part[c].ravel() for part in parts]) for c in range(len(parts[0]))]
    ends = [np.percentile(v, ENDS).astype(np.float64) for v in values]
    ranges = [float(high - low) for _, low, high, _ in ends]
    groups = {
        "intensities": np.concatenate([_intensities(v, e) for v, e in zip(values, ends, strict=True)]),
        "noise": np.concatenate([_noise([p[c] for p in parts], r) for c, r in enumerate(ranges)]),
        "frequencies": np.concatenate([_octaves([p[c] for p in parts], r) for c, r in enumerate(ranges)]),
    }
    if zoom is not None:
        groups["noise"][:] = np.nan
        dampened = 1 + math.ceil(max(0.0, math.log2(zoom)))
        groups["frequencies"].reshape(-1, OCTAVES)[:, :dampened] = np.nan
    if len(values) > 1:
        groups["channels"] = np.concatenate([_correlations(values), _balance(scale)])
    return Statistics(groups, float(np.mean(ranges)))


def _intensities(values: Part, ends: Floats) -> Floats:
    """Quantiles, and the skewness of what lies between the outermost percentiles."""
    inner = values.astype(np.float64).clip(ends[0], ends[-1])
    centred = inner - inner.mean()
    deviation = float(np.sqrt((centred**2).mean()))
    skewness = float((centred**3).mean()) / deviation**3 if deviation > 1e-9 else 0.0
    return np.array([*np.percentile(values, QUANTILES), np.arcsinh(skewness)], np.float64)


def _noise(planes: Sequence[Part], contrast: float) -> Floats:
    """Standard deviation of the noise over the range, decimal logarithm: from the median and from the mean.

    Notes
    -----
    With L the image convolved by [[1, -2, 1], [-2, 4, -2], [1, -2, 1]], which sees no edges and slopes along
    the axes, the deviation of white noise is sqrt(pi / 2) mean |L| / 6; median |L| / 0.6745 / 6 leaves out
    what structure there is. Of volumes each plane is taken by itself.

    References
    ----------
    Immerkaer, "Fast noise variance estimation", Computer Vision and Image Understanding 64 (1996) 300-302,
    equation 6. doi:10.1006/cviu.1996.0060
    """
    if contrast == 0:
        return np.full(2, np.log10(FLOOR))
    seen = [
        np.abs(np.diff(np.diff(p, 2, axis=-1), 2, axis=-2)).ravel() for p in planes if min(p.shape[-2:]) > 2
    ]
    if not seen:
        return np.full(2, np.nan)
    size = np.concatenate(seen)
    deviations = np.array([np.median(size) / 0.6745, np.sqrt(np.pi / 2) * size.mean(dtype=np.float64)]) / 6
    return np.asarray(np.log10(deviations / contrast + FLOOR), np.float64)


def _octaves(planes: Sequence[Part], contrast: float) -> Floats:
    """Mean power in bands of spatial frequency over the `MIDDLE` ones, decimal logarithms; fine ones first.

    Bands that hold no frequency of a small image are NaN. Of volumes each plane is taken by itself.
    """
    power, count = np.zeros(OCTAVES), np.zeros(OCTAVES)
    for plane in planes if contrast else ():
        window, band = _window(plane.shape[-2:])
        spectrum = fft.rfft2((plane - plane.mean()) * window)
        squared = (spectrum.real**2 + spectrum.imag**2).reshape(-1, band.size) / float((window**2).sum())
        power += np.bincount(band, squared.sum(0, dtype=np.float64), OCTAVES + 1)[:OCTAVES]
        count += len(squared) * np.bincount(band, minlength=OCTAVES + 1)[:OCTAVES]
    if not count.any():
        return np.full(OCTAVES, np.nan)
    known = np.where(count, count, np.nan)
    level = np.log10(power / known / (contrast or 1.0) ** 2 + FLOOR**2 / 100)
    middle = level[MIDDLE][~np.isnan(level[MIDDLE])]
    return np.asarray(level - (middle.mean() if middle.size else np.nan), np.float64)


@lru_cache(maxsize=16)
def _window(shape: tuple[int, int]) -> tuple[Part, NDArray[np.intp]]:
    """A Hann window without its zeros, and the band of each frequency of a plane; the last one is unused."""
    y, x = (np.hanning(n + 2)[1:-1] for n in shape)
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    with np.errstate(divide="ignore"):
        octave = np.floor(-np.log2(frequency)) - 1  # 1/4 < f <= 1/2 is the first one
    band = np.where((octave >= 0) & (octave < OCTAVES) & (frequency <= 0.5), octave, OCTAVES)
    return np.outer(y, x).astype(np.float32), band.astype(np.intp).ravel()


def _correlations(values: Sequence[Part]) -> Floats:
    """Pearson's correlation of each channel with the next; of three or more the last one with the first."""
    pairs = len(values) if len(values) > 2 else 1
    found = [_correlation(values[c], values[(c + 1) % len(values)]) for c in range(pairs)]
    return np.array(found, np.float64)


def _correlation(a: Part, b: Part) -> float:
    x, y = (v.astype(np.float64) - v.mean(dtype=np.float64) for v in (a, b))
    norm = float(np.sqrt((x**2).sum() * (y**2).sum()))
    return float((x * y).sum()) / norm if norm > 0 else 0.0


def _balance(scale: Sequence[float]) -> Floats:
    """The scale of each channel over the geometric mean of all, decimal logarithm."""
    levels: Any = np.log10([s if s > 0 else np.nan for s in scale])
    if np.isnan(levels).all():
        return np.full(len(levels), np.nan)
    return np.asarray(levels - np.nanmean(levels), np.float64)
