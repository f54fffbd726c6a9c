"""COCO instance files: the objects of many images in one JSON file, as polygons or as run lengths.

Objects are written as compressed run lengths, always: they are exact to the pixel, holes and parts included,
whereas pycocotools paints polygons by rules of its own.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from unseam.errors import FileReadError, InputError, LabelError
from unseam.io.annotations.ignored import IGNORED, is_ignored
from unseam.io.annotations.parsed import Version, read_json, version
from unseam.io.annotations.record import Annotations, Ring, Shape, in_words
from unseam.io.annotations.rle import count_runs, to_text
from unseam.io.annotations.segmentation import Entry, rings_of, window
from unseam.io.atomic import replacing

UNNAMED = "object"
"""The category of objects that have no class."""

SCORES = ("score", "mean_probability")
"""Properties that are the score of a result, the first one that is there."""
SERIES = re.compile(r"(.+)_t(\d+)")
"""What the frames of a series are called in a COCO file: its name, and their numbers."""


def read_coco(path: str | Path, image: str | None = None) -> Annotations:
    """Read the objects of one image.

    Parameters
    ----------
    path : str or Path
    image : str, optional
        Its file name; folders and suffix need not be the same. A time series is found by the names of its
        frames, "movie_t000.tif" and so on. It may be left out where the file has one image.

    Returns
    -------
    Annotations
        Numbered by the key `label` that `write_coco` adds, else from 1. Regions of a crowd have the class
        "ignore", and a score is the property `score`.

    Raises
    ------
    FileReadError
        If the file cannot be read, or is no COCO file.
    LabelError
        If it has nothing of the image, or an annotation cannot be used.
    """
    path = Path(path)
    file = _load(path)
    chosen = _images_of(file, image, path)
    shapes: list[Shape] = []
    try:
        for frame, entry in chosen:
            ones = file.of_image.get(entry["id"], ())
            for one, rings in zip(ones, rings_of(ones, _size(entry)), strict=True):
                shapes.append(_shape(one, rings, file.categories, frame=frame))
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from None
    last = chosen[-1][0]
    return Annotations(
        _numbered(shapes), _size(chosen[0][1]), path, frames=None if last is None else last + 1
    )


def image_names(path: str | Path) -> tuple[str, ...]:
    """Return the file names of the images of a COCO file, without folders.

    Raises
    ------
    FileReadError
        As `read_coco`.
    """
    return tuple(_name(entry) for entry in _load(Path(path)).images)


def write_coco(
    path: str | Path, pictures: Sequence[tuple[str, Annotations]], *, overwrite: bool = False
) -> None:
    """Write a COCO file.

    Parameters
    ----------
    path : str or Path
    pictures : sequence of (file name, Annotations)
        Each with its size; the first of `SCORES` among the properties becomes the score of a result.

    Raises
    ------
    InputError
        If the size of an image is not known, or a shape is a point.
    OutputExistsError, OutputError
        As `unseam.io.atomic.replacing`.
    """
    shapes = [one for _, picture in pictures for one in picture.shapes if not is_ignored(one)]
    classes = sorted({one.class_name or UNNAMED for one in shapes}) or [UNNAMED]
    images: list[Entry] = []
    annotations: list[Entry] = []
    for number, (name, picture) in enumerate(pictures, start=1):
        if picture.size is None:
            raise InputError(f"the size of {name} is not known; give the image, for example by --images")
        height, width = picture.size
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for shape in picture.shapes:
            entry = _entry(shape, picture.size, classes)
            annotations.append({"id": len(annotations) + 1, "image_id": number, **entry})
    document = {
        "info": {"description": "written by unseam; label is the value in the label image"},
        "images": images,
        "categories": [{"id": k, "name": name} for k, name in enumerate(classes, start=1)],
        "annotations": annotations,
    }
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_text(json.dumps(document, allow_nan=False) + "\n", encoding="utf-8")


def is_coco(document: Any) -> bool:
    """Whether parsed JSON has the parts of a COCO file."""
    return isinstance(document, dict) and isinstance(document.get("images"), list)


class _File:
    """A parsed file: its images, also by name and by name without suffix, and the annotations of each."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.images: list[Entry] = list(document["images"])
        self.categories = {_id(one, "id"): str(one["name"]) for one in document.get("categories", ())}
        self.of_image = _grouped(document.get("annotations", ()), lambda one: _id(one, "image_id"))
        self.named = _grouped(self.images, _name)
        self.bare = _grouped(self.images, lambda image: _bare(_name(image)))
        self.ids = [_id(image, "id") for image in self.images]


def _id(entry: Entry, key: str) -> int | float | str:
    """A number by which images and categories are named.

    Raises
    ------
    KeyError
        If it is missing, or neither a number nor text.
    """
    value = entry[key]
    if not isinstance(value, (int, float, str)):
        raise KeyError(f"{key} that is a number or text, not {str(value)[:40]}")
    return value


def _grouped(entries: Iterable[Entry], key: Callable[[Entry], Any]) -> dict[Any, list[Entry]]:
    groups: dict[Any, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    return groups


def _load(path: Path) -> _File:
    return _indexed(path, version(path))


@lru_cache(maxsize=1)
def _indexed(path: Path, _version: Version) -> _File:
    """Sort the annotations of a file once for all its images."""
    document = read_json(path)
    if not is_coco(document):
        raise FileReadError(f"{path} is no COCO file: it lists no images")
    try:
        return _File(document)
    except (KeyError, TypeError, AttributeError) as error:
        raise FileReadError(
            f"{path} is no COCO file: an image, a category or an annotation lacks {error}"
        ) from error


def _name(entry: Entry) -> str:
    return PurePosixPath(str(entry["file_name"]).replace("\\", "/")).name


def _bare(name: str) -> str:
    """A file name without its suffix."""
    bare = PurePosixPath(name).stem
    return bare.removesuffix(".ome") or bare


def _images_of(file: _File, image: str | None, path: Path) -> list[tuple[int | None, Entry]]:
    """The entry of an image, or those of the frames of a series, with their numbers."""
    if len(file.images) == 1:
        return [(None, file.images[0])]
    if image is None:
        raise LabelError(
            f"{path} has {len(file.images)} images, and it was not said which one is meant; give the images"
        )
    found = file.named.get(image) or file.bare.get(_bare(image), [])
    if len(found) > 1:
        raise LabelError(f"{path} has {len(found)} images called {image}; give each a name of its own")
    if found:
        return [(None, found[0])]
    frames = [(match, found) for bare, found in file.bare.items() if (match := SERIES.fullmatch(bare))]
    of_image = {int(match[2]): found[0] for match, found in frames if match[1] == _bare(image)}
    if of_image:
        return [(frame, of_image[frame]) for frame in sorted(of_image)]
    raise LabelError(
        f"{path} has nothing of {image}; its images are {', '.join(map(_name, file.images[:3]))}"
        f"{', ...' if len(file.images) > 3 else ''}"
    )


def _size(entry: Entry) -> tuple[int, int] | None:
    height, width = entry.get("height"), entry.get("width")
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _numbered(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """Shapes with the labels they have, if each of a frame has its own, else from 1 in each frame."""
    places = [(shape.frame, shape.id) for shape in shapes]
    if all(shape.id > 0 for shape in shapes) and len(set(places)) == len(places):
        return tuple(shapes)
    count: dict[int | None, int] = {}
    numbered = []
    for shape in shapes:
        count[shape.frame] = count.get(shape.frame, 0) + 1
        numbered.append(replace(shape, id=count[shape.frame]))
    return tuple(numbered)


def _shape(one: Entry, rings: tuple[Ring, ...], categories: Mapping[Any, str], *, frame: int | None) -> Shape:
    """The shape of an annotation; its id is its label, or 0 where it names none."""
    category = one.get("category_id")
    if not isinstance(category, (int, float, str)) or category not in categories:
        raise LabelError(
            f"annotation {one.get('id')} is of category {category}, which the file does not "
            "list; add it to its categories"
        )
    name, label, score = categories[category], one.get("label"), one.get("score")
    return Shape(
        label if isinstance(label, int) else 0,
        rings,
        class_name=IGNORED if one.get("iscrowd") else "" if name == UNNAMED else name,
        frame=frame,
        properties={"score": float(score)} if isinstance(score, (int, float)) else {},
    )


def _entry(shape: Shape, size: tuple[int, int], classes: Sequence[str]) -> dict[str, Any]:
    """An annotation, but for its number and that of its image."""
    if shape.is_point:
        raise InputError(
            f"{in_words(shape)} is a point, and COCO objects have areas; make labels of the points first, "
            "by unseam convert --to labels"
        )
    covered = window(shape, size)
    mask, origin = covered.mask, covered.origin
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = [0, 0, 0, 0]
    if len(rows):
        box = [int(columns[0]) + origin[1], int(rows[0]) + origin[0], int(np.ptp(columns)) + 1]
        box.append(int(np.ptp(rows)) + 1)
    score = next((shape.properties[name] for name in SCORES if name in shape.properties), math.nan)
    crowd = is_ignored(shape)
    return {
        "category_id": 1 if crowd else 1 + classes.index(shape.class_name or UNNAMED),
        "segmentation": {"size": list(size), "counts": to_text(count_runs(mask, origin, size))},
        "area": int(np.count_nonzero(mask)),
        "bbox": box,
        "iscrowd": int(crowd),
        "label": shape.id,
        **({"score": round(score, 6)} if math.isfinite(score) else {}),
    }
