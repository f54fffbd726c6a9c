"""The labels of an image, from a file of any kind, as label image or as outlines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.axes import times
from unseam.config import DataConfig
from unseam.data.drawn import Drawn, Extent, drawn_frames, extent_of, frames_of
from unseam.data.labels import Coding, decode
from unseam.data.sample import IGNORE
from unseam.errors import LabelError, ShapeError
from unseam.instances import label_class_regions
from unseam.io.annotations.files import is_annotation, read_annotations
from unseam.io.annotations.ignored import is_ignored
from unseam.io.annotations.outlines import outlines
from unseam.io.annotations.record import Annotations, Shape
from unseam.io.annotations.save import with_measurements
from unseam.io.images import Image, read_image, read_labels
from unseam.io.open import open_sources
from unseam.measure import measure
from unseam.workflow.truths import Meaning, marked, meaning_of, painted_as

Labels = NDArray[np.int32]

OBJECTS = Coding("instances", (), 2, "")
IGNORE_VALUES = (2**8 - 1, 2**16 - 1)
"""What unknown pixels are written as: the first one that no object has."""


@dataclass(frozen=True)
class Labelled:
    """The labels of an image, as read.

    Attributes
    ----------
    path : the file.
    frames : of a label image, the values of each frame; of those of a set, from `marked_set`, unknown pixels
        are `IGNORE`, and background is 0.
    drawn : of annotations, the shapes.
    extent : how large a frame is, and how many there are; None where nothing says it.
    spacing : pixel size in micrometres, or None.
    image : the image, if it was given.
    """

    path: Path
    frames: tuple[NDArray[Any], ...] = ()
    drawn: Annotations | None = None
    extent: Extent | None = None
    spacing: tuple[float, ...] | None = None
    image: Image | None = None


def read_labelled(
    path: Path, image_path: Path | None, within: str, config: DataConfig, say: Callable[[str], None]
) -> Labelled:
    """Read a label file of any kind, and its image if there is one.

    Raises
    ------
    ShapeError
        If labels and image differ in size, or in their number of frames.
    UnseamError
        As the readers.
    """
    image = read_image(image_path, axes=config.axes) if image_path else None
    if is_annotation(path):
        drawn = read_annotations(path, within or (image_path.name if image_path else None), say=say)
        read = Labelled(path, (), drawn, _extent(drawn, image), None, image)
        if image is not None:
            drawn_frames(drawn, image, path)  # raises for what is not of this image
    else:
        frames, spacing = _read_frames(path, config)
        read = Labelled(path, frames, None, Extent(frames[0].shape, len(frames)), spacing, image)
        if image is not None:
            _refuse_unlike(path, Extent(frames[0].shape, len(frames)), image)
    spacing = read.spacing or (image.spacing if image else None)
    if spacing is None and config.pixel_size is not None and read.extent is not None:
        spacing = (config.pixel_size,) * len(read.extent.size)
    return replace(read, spacing=spacing)


def marked_set(reads: Sequence[Labelled], config: DataConfig) -> list[Labelled]:
    """A set whose label images have unknown pixels as `IGNORE` and background as 0.

    Raises
    ------
    LabelError, ConfigError
        As `mark_unknown`.
    """
    frames = iter(marked([frame for one in reads for frame in one.frames], config))
    return [replace(one, frames=tuple(next(frames) for _ in one.frames)) for one in reads]


def understood(reads: Sequence[Labelled], config: DataConfig, *, painted: bool) -> Meaning:
    """What a set from `marked_set` means.

    Parameters
    ----------
    reads : sequence of Labelled
    config : DataConfig
    painted : bool
        Whether annotations are to become label images.

    Raises
    ------
    PairingError, LabelError
        As `meaning_of`.
    """
    arrays = [frame for one in reads for frame in one.frames]
    painted = painted and all(one.extent is not None for one in reads)
    drawn = [frame for one in reads for frame in _drawn(one)]
    return meaning_of(arrays, drawn, config, painted=painted)


def unknown_value(reads: Sequence[Labelled], meaning: Meaning, config: DataConfig) -> int | None:
    """What unknown pixels of a set are to be written as, or None where it has none.

    Raises
    ------
    LabelError
        If it was chosen by --ignore, and annotations have an object or a class of this number.
    """
    drawn = [shape for one in reads if one.drawn is not None for shape in one.drawn.shapes]
    frames = [frame for one in reads for frame in one.frames]
    if not any(shape.is_point or is_ignored(shape) for shape in drawn) and not any(
        (frame == IGNORE).any() for frame in frames
    ):
        return None
    classes = meaning.shapes is not None and meaning.shapes.kind == "classes"
    used = (
        range(len(meaning.classes or ("object",)) + 1)
        if classes
        else {0, *(shape.id for shape in drawn if not is_ignored(shape))}
    )
    if config.ignore is None:
        highest = max([*used, *(int(frame.max(initial=0)) for frame in frames)])
        return next((value for value in IGNORE_VALUES if value > highest), highest + 1)
    if drawn and config.ignore in used:
        raise LabelError(
            f"unknown pixels were to be {config.ignore} by --ignore, and so is "
            f"{'background' if config.ignore == 0 else 'a class' if classes else 'an object'} of the "
            "annotations; give another value, or leave it out"
        )
    return config.ignore


def to_values(one: Labelled, meaning: Meaning, config: DataConfig, unknown: int | None) -> list[NDArray[Any]]:
    """The label image of each frame: of label images their values, of annotations objects or classes.

    Parameters
    ----------
    one : Labelled
    meaning : Meaning
        Of its set.
    config : DataConfig
    unknown : int or None
        The value of unknown pixels, from `unknown_value`.

    Raises
    ------
    LabelError
        If the size of the image is not known.
    UnseamError
        As `drawn_frames` and `paint`.
    """
    frames: Sequence[NDArray[Any]] = one.frames
    if one.drawn is not None:
        assert meaning.shapes is not None
        frames = _painted(one, meaning.shapes, meaning.classes, config)
    if unknown is None:
        return list(frames)
    return [np.where(frame == IGNORE, unknown, frame) for frame in frames]


def to_objects(one: Labelled, meaning: Meaning, config: DataConfig) -> list[Labels]:
    """The objects of each frame, numbered; of classes their connected regions.

    Raises
    ------
    LabelError
        If the size of the image is not known.
    UnseamError
        As `decode`, `drawn_frames` and `paint`.
    """
    if one.drawn is not None:
        return [np.maximum(frame, 0) for frame in _painted(one, OBJECTS, (), config)]
    return [labels for labels, _ in _decoded(one, meaning)]


def to_shapes(one: Labelled, meaning: Meaning) -> Annotations:
    """The outlines: of annotations as they are, of label images with what is measured of the objects.

    Raises
    ------
    ShapeError
        If the labels are of a volume.
    """
    count = one.extent.count if one.extent is not None and one.extent.count > 1 else None
    if one.drawn is not None:
        return replace(one.drawn, size=None if one.extent is None else _plane(one), frames=count)
    if one.frames[0].ndim != 2:
        raise ShapeError(f"{one.path} is a volume, and outlines are 2-D; convert to labels, ome-tiff or ctc")
    pictures = one.image.frames() if one.image else [None] * len(one.frames)
    shapes: list[Shape] = []
    for number, ((labels, classes), picture) in enumerate(zip(_decoded(one, meaning), pictures, strict=True)):
        table = measure(
            labels, None if picture is None else picture.data, spacing=one.spacing, classes=classes
        )
        names = _names(table["class"].tolist(), meaning.images) if classes is not None else [""] * len(table)
        frame = number if len(one.frames) > 1 else None
        for shape, name in zip(with_measurements(outlines(labels), table.columns), names, strict=True):
            shapes.append(replace(shape, class_name=name, frame=frame))
    return Annotations(tuple(shapes), _plane(one), one.path, frames=count)


def _drawn(one: Labelled) -> Iterator[Drawn]:
    """The shapes of each frame, which overlap with those of their own frame alone; of an image all."""
    if one.drawn is None:
        return
    single, plane = one.extent is not None and one.extent.count == 1, _plane(one)
    frames: dict[int | None, list[Shape]] = {}
    for shape in one.drawn.shapes:
        frames.setdefault(None if single else shape.frame, []).append(shape)
    for shapes in frames.values() or [[]]:
        yield Drawn(tuple(shapes), plane, one.path)


def _extent(drawn: Annotations, image: Image | None) -> Extent | None:
    """How large the image of shapes is, if anything says it."""
    if image is not None:
        return extent_of(image)
    return None if drawn.size is None else Extent(drawn.size, frames_of(drawn))


def _refuse_unlike(path: Path, extent: Extent, image: Image) -> None:
    other = extent_of(image)
    if (other.size, other.count) != (extent.size, extent.count):
        raise ShapeError(
            f"{image.path} has {other.count} frames of {times(other.size)} pixels and its labels {path} "
            f"{extent.count} of {times(extent.size)}; they must be equal"
        )


def _painted(one: Labelled, coding: Coding, classes: Sequence[str], config: DataConfig) -> list[Labels]:
    if one.extent is None:
        raise LabelError(f"{one.path} does not say how large its image is; give the image by --images")
    assert one.drawn is not None
    return [
        painted_as(frame, coding, classes, config) for frame in drawn_frames(one.drawn, one.extent, one.path)
    ]


def _read_frames(path: Path, config: DataConfig) -> tuple[tuple[NDArray[Any], ...], tuple[float, ...] | None]:
    """The frames of a label file or an OME-Zarr label image, and its pixel size."""
    if not path.is_dir():
        image = read_labels(path, axes=config.axes)
        return tuple(frame.data[0] for frame in image.frames()), image.spacing
    sources = open_sources(path, axes=config.axes)
    if sources[0].channels != 1 or sources[0].dtype.kind not in "iu":
        raise LabelError(
            f"{path} holds {sources[0].channels} channels of {sources[0].dtype}, labels are one channel of "
            "integers; give the label image, which may lie within, as image.zarr/labels/cells"
        )
    frames = tuple(source.read(tuple((0, n) for n in source.shape))[0] for source in sources)
    return frames, sources[0].spacing


def _decoded(one: Labelled, meaning: Meaning) -> Iterator[tuple[Labels, Labels | None]]:
    """The objects of each frame of a label image, and where they are regions of classes, the classes."""
    assert meaning.images is not None
    for values in one.frames:
        decoded = decode(values, meaning.images, IGNORE, name=str(one.path))
        if meaning.images.kind == "classes":
            yield label_class_regions(decoded), np.maximum(decoded, 0)
        else:
            yield np.maximum(decoded, 0), None


def _names(kinds: Sequence[int], coding: Coding | None) -> list[str]:
    """What classes are called: their values in the label image."""
    return [f"class {coding.values[kind] if coding else kind}" for kind in kinds]


def _plane(one: Labelled) -> tuple[int, int]:
    """Height and width; of shapes of which nobody says it, as far as they reach."""
    if one.extent is not None:
        return one.extent.size[-2], one.extent.size[-1]
    corners = [ring.max(axis=0) for shape in one.drawn.shapes for ring in shape.rings] if one.drawn else []
    height, width = np.ceil(np.max(corners, axis=0)).astype(int).tolist() if corners else (1, 1)
    return max(height, 1), max(width, 1)
