"""The guard at work: what the network is given, its statistics, the verdict, and what would correct it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unseam.engines.combined import members_of
from unseam.engines.network import EngineNetwork
from unseam.geometry import AxisGeometry
from unseam.grid import Region
from unseam.guard.correction import NONE, Correction
from unseam.guard.regions import MOST, SIZE, sample_regions
from unseam.guard.statistics import Statistics, describe
from unseam.guard.verdict import Verdict, compare
from unseam.io.source import Source
from unseam.model.header import ModelHeader
from unseam.prediction.region import LARGEST_DIFFERENCE, Prepared
from unseam.prediction.tiles import Network
from unseam.tiling import read_mirrored

ENCODED = {2: 112, 3: 48}
"""Pixels per axis, at least, of a region that the encoder sees; in 2-D two along an axis, in 3-D one."""
BOTTOM = 2
"""Pixels per axis, at least, that are left of it at the bottom of the network."""


def observe(net: EngineNetwork, prepared: Prepared) -> Statistics:
    """The statistics of what the network is given of an image; they depend on no tile and no block."""
    image, dims = prepared.resized, net.spatial_dims
    regions = sample_regions(image.shape, SIZE[dims], most=MOST[dims])
    zoom = max(m / n for m, n in zip(image.shape, prepared.image.shape, strict=True))
    statistics = describe(
        [image.read(region) for region in regions],
        scale=prepared.scaling.scale,
        zoom=zoom if prepared.is_resized else None,
    )
    statistics.groups["features"] = features(net, image)
    return statistics


def features(net: EngineNetwork, image: Source) -> NDArray[np.float64]:
    """How much each channel of the encoder, at all levels, varies over a sample of an image.

    Returns
    -------
    ndarray, (channels of all levels,)
        Standard deviation over what is before each pooling and at the bottom; the decoder is not run.
    """
    size = _encoded_size(net)
    regions = sample_regions(image.shape, size, most=2 if net.spatial_dims == 2 else 1)
    found = [net.moments(read_mirrored(image, _widened(region, size))) for region in regions]
    mean, squares = np.mean(found, axis=0)
    return np.asarray(np.sqrt(np.maximum(squares - mean**2, 0.0)), np.float64)


def _encoded_size(net: EngineNetwork) -> tuple[int, ...]:
    """Pixels of a region for the encoder, so that `BOTTOM` are left of it at the bottom."""
    sizes = []
    for axis in net.geometry.axes:
        assert isinstance(axis, AxisGeometry)
        size = BOTTOM
        for kernel, stride in zip(reversed(axis.kernels), reversed((*axis.strides, 1)), strict=True):
            size = size * stride + 2 * (kernel - 1)
        sizes.append(max(size, ENCODED[net.spatial_dims]))
    return tuple(sizes)


def _widened(region: Region, size: Sequence[int]) -> Region:
    """A region of the wanted size about the same centre; of a small image it reaches outside."""
    starts = [a - (n - (b - a)) // 2 for (a, b), n in zip(region, size, strict=True)]
    return tuple((start, start + n) for start, n in zip(starts, size, strict=True))


def judge(
    net: Network,
    header: ModelHeader,
    prepared: Prepared,
    *,
    correction: Correction = NONE,
) -> Verdict | None:
    """Compare an image, made ready and corrected before, with the training images, if they are known.

    Where several models are averaged, with those of the first, as its network sees them.
    """
    own = members_of(net)
    if header.guard is None or not own:
        return None
    pixels = None if prepared.is_resized or correction else _pixels(prepared.image, header.spacing)
    return compare(header.guard, observe(own[0], prepared), pixels=pixels, correction=correction)


def _pixels(image: Source, trained: Sequence[float] | None) -> str | None:
    """How the pixel size differs from the model's, where both are known."""
    if image.spacing is None or trained is None or len(trained) != len(image.spacing):
        return None
    if max(abs(math.log(s / t)) for s, t in zip(image.spacing, trained, strict=True)) <= math.log(
        1 + LARGEST_DIFFERENCE
    ):
        return None
    sizes = (" x ".join(f"{s:.3g}" for s in spacing) for spacing in (image.spacing, trained))
    return "pixels of {} µm, the model's are {} µm".format(*sizes)
