"""Annotation files of every kind: which they are, and what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from unseam.errors import FileReadError, InputError
from unseam.io.annotations.coco import image_names, is_coco, read_coco
from unseam.io.annotations.geojson import read_geojson
from unseam.io.annotations.parsed import read_json
from unseam.io.annotations.points import is_table, read_points
from unseam.io.annotations.record import Annotations
from unseam.io.images import SUFFIXES, check_file, in_order, stem

if TYPE_CHECKING:
    from unseam.io.annotations.regions import Told

ANNOTATIONS = (".roi", ".zip", ".geojson", ".json", ".csv")
"""File name endings of annotations: ImageJ ROIs and sets of them, GeoJSON, COCO, tables of points."""
LABELS = SUFFIXES + ANNOTATIONS


def is_annotation(path: str | Path) -> bool:
    """Whether a file is one of annotations, by its ending."""
    return Path(path).suffix.lower() in ANNOTATIONS


def list_labels(path: str | Path) -> list[Path]:
    """Return the label files at `path`, images and annotations: the file itself, or those in the folder.

    Of a folder annotations count where no label image has their name, as the outlines of a prediction lie
    beside its labels, and of CSV files those with columns y and x.

    Raises
    ------
    FileReadError
        If `path` does not exist, is empty, or is a file of an unknown kind.
    InputError
        If the folder holds neither.
    """
    path = Path(path)
    if not path.is_dir():
        check_file(path, LABELS)
        return [path]
    images, drawn = label_files(path)
    names = {stem(file) for file in images}
    files = [*images, *(file for file in drawn if stem(file) not in names)]
    if not files:
        raise InputError(f"folder {path} holds no image; expected files ending in {', '.join(LABELS)}")
    return in_order(files)


def label_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The images of a folder, and its files of annotations."""
    files = [file for file in folder.iterdir() if not file.name.startswith(".") and file.is_file()]
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    drawn = [file for file in files if is_annotation(file)]
    return images, [file for file in drawn if file.suffix.lower() != ".csv" or is_table(file)]


def images_named(path: Path) -> tuple[str, ...]:
    """The images that an annotation file names: those of a COCO file; others name none."""
    return image_names(path) if path.suffix.lower() == ".json" and is_coco(read_json(path)) else ()


def read_annotations(
    path: str | Path, image: str | None = None, *, say: Told = lambda _: None
) -> Annotations:
    """Read a file of annotations.

    Parameters
    ----------
    path : str or Path
        ImageJ .roi or .zip, GeoJSON, COCO, or CSV with columns y and x; JSON is told apart by what it holds.
    image : str, optional
        File name of the image that is meant, which a COCO file of several needs.
    say : callable
        Told what was left out, as lines, which enclose nothing.

    Raises
    ------
    FileReadError
        If the file is missing, empty, damaged or of an unknown kind.
    UnseamError
        As the readers of the single kinds.
    """
    path = Path(path)
    check_file(path, ANNOTATIONS)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return read_points(path)
    if suffix in (".roi", ".zip"):
        from unseam.io.annotations.imagej import read_rois  # roifile is needed for these alone

        return read_rois(path, say=say)
    if suffix == ".json":
        document = read_json(path)
        if is_coco(document):
            return read_coco(path, image)
        first = document[0] if isinstance(document, list) and document else None
        if isinstance(first, dict) and "image_id" in first:
            raise FileReadError(
                f"{path} is a list of COCO results, which does not name the images; give a file that has them"
            )
    return read_geojson(path, say=say)
