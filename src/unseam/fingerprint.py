"""What a set of annotated images looks like, in numbers that plan the network and stay in the model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import ConfigError, InputError, LabelError, ModelFileError, PairingError, ShapeError

TASKS = ("instances", "semantic")
PERCENTILES = (0.0, 1.0, 50.0, 99.8, 100.0)
"""Which percentiles of the intensities are kept; 1 and 99.8 are those of the normalisation."""

_IGNORE = -1  # as unseam.data.sample.IGNORE, which lies above this room
_POOLED = 1 << 20  # pixels a channel from which percentiles are taken: a per mille of them is still 1000

Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Fingerprint:
    """A set of annotated images, in numbers.

    Attributes
    ----------
    n_images : int
        How many images.
    spatial_dims : int
        2 or 3.
    channels : int
        Channels of each image.
    dtypes : tuple of str
        Number formats of the images, sorted.
    shape_min, shape_median, shape_max : tuple of int, (spatial_dims,)
        Size over the images, each axis by itself, pixels.
    spacing : tuple of float or None
        Pixel size of each axis, micrometres: the median over the images that state one.
    intensity : tuple of tuple of float, (channels, 5)
        `PERCENTILES` of the intensities of each channel, over all images; the first and the last are
        exact, those between come from about a million pixels.
    task : str
        "instances" or "semantic".
    n_objects : int
        Objects over all images; 0 where the task is "semantic", as are the four fields of size below.
    diameter_p10, diameter_median, diameter_p90 : float
        Percentiles of the diameter of the disc (ball) of equal area (volume), pixels.
    area_p01 : float
        1st percentile of object size, pixels (2-D) or voxels (3-D).
    touching_fraction : float
        Share of the objects of which a pixel is a face or diagonal neighbour of another object's.
    class_frequencies : tuple of float
        Share of each class among the labelled pixels; background and object where the task is "instances".
    ignored_fraction : float
        Share of the pixels whose truth is unknown.
    """

    n_images: int
    spatial_dims: int
    channels: int
    dtypes: tuple[str, ...]
    shape_min: tuple[int, ...]
    shape_median: tuple[int, ...]
    shape_max: tuple[int, ...]
    spacing: tuple[float, ...] | None
    intensity: tuple[tuple[float, ...], ...]
    task: str
    n_objects: int
    diameter_p10: float
    diameter_median: float
    diameter_p90: float
    area_p01: float
    touching_fraction: float
    class_frequencies: tuple[float, ...]
    ignored_fraction: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON knows them: numbers, strings, None, lists of these."""
        return {name: _as_lists(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Fingerprint:
        """Return the fingerprint that `to_dict` gave; unknown keys, of newer versions, are ignored.

        Raises
        ------
        ModelFileError
            If a field is missing.
        """
        missing = [field.name for field in fields(cls) if field.name not in values]
        if missing:
            raise ModelFileError(
                f"the fingerprint has no {', '.join(missing)}; expected all fields: the model file may be "
                "damaged, copy it anew or train again"
            )
        return cls(**{field.name: _as_tuples(values[field.name]) for field in fields(cls)})


def fingerprint(
    images: Sequence[NDArray[Any]],
    labels: Sequence[Labels],
    *,
    spacings: Sequence[tuple[float, ...] | None],
    task: str,
) -> Fingerprint:
    """Return the fingerprint of a set of annotated images.

    Parameters
    ----------
    images : sequence of ndarray, (C, *spatial)
        Intensities, of any real dtype.
    labels : sequence of ndarray of int32, (*spatial)
        Instances or classes; 0 is background, -1 unknown.
    spacings : sequence of tuple of float or None
        Pixel size of each image, micrometres.
    task : str
        "instances" or "semantic".

    Raises
    ------
    ConfigError
        If `task` is neither.
    InputError
        If there is no image, or a pixel is NaN or infinite.
    PairingError
        If there are not as many labels and spacings as images.
    ShapeError
        If an image and its labels differ in size, images differ in channels or dimensions, or a pixel
        size has not one number an axis.
    LabelError
        If labels are not integers, or below -1.

    Notes
    -----
    The equivalent diameter is 2 (A / pi)^(1/2) for an area A, and (6 V / pi)^(1/3) for a volume V.

    Examples
    --------
    >>> image, labels = np.arange(16).reshape(1, 4, 4), np.zeros((4, 4), np.int32)
    >>> labels[:2, :2], labels[2:, 2:] = 1, 2
    >>> found = fingerprint([image], [labels], spacings=[None], task="instances")
    >>> found.n_objects, found.touching_fraction, found.class_frequencies
    (2, 1.0, (0.5, 0.5))
    """
    _refuse(images, labels, spacings, task)
    shapes = np.array([plane.shape for plane in labels])
    known = [spacing for spacing in spacings if spacing is not None]
    dims = labels[0].ndim
    sizes, touching = _objects(labels) if task == "instances" else (np.zeros(0, np.int64), 0)
    diameters = equivalent_diameter(sizes, dims)
    counts = _class_counts(labels, task)
    labelled = sum(counts)
    return Fingerprint(
        n_images=len(images),
        spatial_dims=dims,
        channels=images[0].shape[0],
        dtypes=tuple(sorted({str(image.dtype) for image in images})),
        shape_min=tuple(shapes.min(axis=0).tolist()),
        shape_median=tuple(int(size) for size in np.median(shapes, axis=0)),
        shape_max=tuple(shapes.max(axis=0).tolist()),
        spacing=tuple(np.median(known, axis=0).tolist()) if known else None,
        intensity=tuple(_percentiles(images, channel) for channel in range(images[0].shape[0])),
        task=task,
        n_objects=sizes.size,
        diameter_p10=_percentile(diameters, 10),
        diameter_median=_percentile(diameters, 50),
        diameter_p90=_percentile(diameters, 90),
        area_p01=_percentile(sizes, 1),
        touching_fraction=touching / max(sizes.size, 1),
        class_frequencies=tuple(count / max(labelled, 1) for count in counts),
        ignored_fraction=1 - labelled / int(shapes.prod(axis=1).sum()),
    )


def equivalent_diameter(sizes: NDArray[Any], dims: int) -> NDArray[np.float64]:
    """Return the diameters of the discs (`dims` 2) or balls (3) of as many pixels, in pixels."""
    if dims == 2:
        return np.asarray(2 * np.sqrt(sizes / np.pi), np.float64)
    return np.asarray(np.cbrt(6 * sizes / np.pi), np.float64)


def describe(fp: Fingerprint) -> list[str]:
    """Return the fingerprint in a few plain lines for people."""
    size = _size(fp.shape_min)
    if fp.shape_max != fp.shape_min:
        size += f" to {_size(fp.shape_max)} (median {_size(fp.shape_median)})"
    lines = [
        f"{_count(fp.n_images, 'image')}, {fp.spatial_dims}-D: {size} pixels, "
        f"{_count(fp.channels, 'channel')}, {', '.join(fp.dtypes)}",
        "pixel size: " + (f"{_size(fp.spacing, '.4g')} µm" if fp.spacing else "not known"),
        "intensities: " + "; ".join(_intensity(values) for values in fp.intensity),
    ]
    if fp.task == "instances":
        touching = f", {fp.touching_fraction:.0%} of them touch another" if fp.n_objects > 1 else ""
        lines.append(f"{_count(fp.n_objects, 'object')}{touching}")
    if fp.n_objects:
        lines.append("object diameter: " + _diameters(fp))
    names = ["background", "objects"] if fp.task == "instances" else None
    shares = [
        f"{names[k] if names else f'class {k}'} {share:.1%}" for k, share in enumerate(fp.class_frequencies)
    ]
    lines.append("pixels: " + ", ".join(shares))
    if fp.ignored_fraction:
        lines.append(f"unknown, and left out of training: {fp.ignored_fraction:.1%} of the pixels")
    return lines


def _refuse(
    images: Sequence[NDArray[Any]], labels: Sequence[Labels], spacings: Sequence[Any], task: str
) -> None:
    if task not in TASKS:
        raise ConfigError(f"task is {task!r}; expected one of: {', '.join(TASKS)}")
    if not len(images) == len(labels) == len(spacings):
        raise PairingError(
            f"{len(images)} images, {len(labels)} labels and {len(spacings)} pixel sizes were given; "
            "expected as many of each: give None for an unknown pixel size"
        )
    if not images:
        raise InputError("no image was given; expected at least one annotated image")
    for number, (image, plane, spacing) in enumerate(zip(images, labels, spacings, strict=True)):
        _refuse_shapes(number, image, plane, images[0])
        if spacing is not None and len(spacing) != plane.ndim:
            raise ShapeError(
                f"image {number} has the pixel size {spacing}; expected {plane.ndim} numbers, one an axis"
            )
        if not np.issubdtype(plane.dtype, np.integer) or (plane.size and plane.min() < _IGNORE):
            raise LabelError(
                f"labels {number} are {plane.dtype} with the least value {plane.min()}; expected integers: "
                "0 for background, 1 and up for objects or classes, -1 for unknown"
            )


def _refuse_shapes(number: int, image: NDArray[Any], plane: Labels, first: NDArray[Any]) -> None:
    if image.shape[1:] != plane.shape or plane.ndim not in (2, 3) or not image.size:
        raise ShapeError(
            f"image {number} has the shape {image.shape} and its labels {plane.shape}; expected "
            "(channels, rows, columns) and (rows, columns), or both with planes before rows; no empty axis"
        )
    if image.ndim != first.ndim or len(image) != len(first):
        raise ShapeError(
            f"image {number} has the shape {image.shape} and image 0 {first.shape}; expected as many "
            "channels and dimensions in all: train on each kind by itself"
        )


def _percentiles(images: Sequence[NDArray[Any]], channel: int) -> tuple[float, ...]:
    """`PERCENTILES` of one channel: the ends over all pixels, those between over every step-th."""
    step = 1 + sum(image[channel].size for image in images) // _POOLED
    parts: list[NDArray[Any]] = []
    ends: list[float] = []
    for number, image in enumerate(images):
        plane = image[channel]
        ends += [float(plane.min()), float(plane.max())]
        if not np.isfinite(ends[-2:]).all():
            raise InputError(
                f"image {number} has pixels that are NaN or infinite; expected numbers: replace them first"
            )
        stride = step
        while math.gcd(stride, plane.shape[-1]) > 1:  # else the same few columns in every row
            stride += 1
        parts.append(plane.reshape(-1)[::stride].astype(np.float64))
    inner = np.percentile(np.concatenate(parts), PERCENTILES[1:-1])
    return (min(ends), *(float(value) for value in inner), max(ends))


def _objects(labels: Sequence[Labels]) -> tuple[NDArray[np.int64], int]:
    """Sizes of all objects, and how many of them touch another."""
    sizes: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    touching = 0
    for plane in labels:
        if plane.max() > max(plane.size, 1 << 16):  # ids that are far apart: number them densely
            ids, dense = np.unique(np.maximum(plane, 0), return_inverse=True)
            plane = dense.reshape(plane.shape).astype(np.int32) + (0 if ids[0] == 0 else 1)
        counts = np.bincount(plane[plane > 0])
        sizes.append(counts[counts > 0])
        touching += _count_touching(plane, len(counts))
    return np.concatenate(sizes), touching


def _count_touching(plane: Labels, n_ids: int) -> int:
    touches = np.zeros(n_ids + 1, np.bool_)
    for offset in product((-1, 0, 1), repeat=plane.ndim):
        if offset <= (0,) * plane.ndim:  # each pair of neighbours is seen from one side only
            continue
        here, there = _part(plane, [-step for step in offset]), _part(plane, offset)
        differ = here != there
        pairs = np.stack([here[differ], there[differ]])
        touches[pairs[:, (pairs > 0).all(axis=0)]] = True
    return int(touches.sum())


def _part(plane: Labels, offset: Sequence[int]) -> Labels:
    """The pixels that remain of `plane` where it lies over itself, moved by minus `offset`."""
    return plane[tuple(slice(max(0, o), n + min(0, o)) for o, n in zip(offset, plane.shape, strict=True))]


def _class_counts(labels: Sequence[Labels], task: str) -> list[int]:
    """Labelled pixels of each class: background and object, or 0 to the largest class."""
    if task == "instances":
        return [sum(int((p == 0).sum()) for p in labels), sum(int((p > 0).sum()) for p in labels)]
    highest = max(int(plane.max()) for plane in labels)
    if highest > np.iinfo(np.uint16).max:
        raise LabelError(
            f"the largest class is {highest}; expected classes numbered 0, 1, 2, ...: is the task instances?"
        )
    counts = [np.bincount(plane[plane >= 0], minlength=max(highest, 1) + 1) for plane in labels]
    return [int(count) for count in np.sum(counts, axis=0)]


def _percentile(values: NDArray[Any], percent: float) -> float:
    return float(np.percentile(values, percent)) if values.size else 0.0


def _as_lists(value: Any) -> Any:
    return [_as_lists(item) for item in value] if isinstance(value, tuple) else value


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(item) for item in value) if isinstance(value, list | tuple) else value


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(numbers: Sequence[float], form: str = "d") -> str:
    return " x ".join(format(number, form) for number in numbers)


def _intensity(values: tuple[float, ...]) -> str:
    low, p1, _, p99, high = values
    return f"{low:.4g} to {high:.4g} (all but the darkest 1% and brightest 0.2%: {p1:.4g} to {p99:.4g})"


def _diameters(fp: Fingerprint) -> str:
    low, middle, high = fp.diameter_p10, fp.diameter_median, fp.diameter_p90
    text = f"{middle:.1f} px (80% lie between {low:.1f} and {high:.1f} px)"
    if fp.spacing is None:
        return text
    scale = math.prod(fp.spacing) ** (1 / fp.spatial_dims)  # keeps areas and volumes where axes differ
    return f"{text}, that is {middle * scale:.3g} µm ({low * scale:.3g} to {high * scale:.3g} µm)"
