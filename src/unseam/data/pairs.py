"""Which label file belongs to which image file."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unseam.errors import FileReadError, PairingError
from unseam.io.annotations.coco import SERIES
from unseam.io.annotations.files import images_named, label_files, list_labels
from unseam.io.images import in_order, list_images, stem

_LABEL_PREFIX = re.compile(r"^(masks?|labels?)[_-](?=.)", re.IGNORECASE)
_LABEL_SUFFIX = re.compile(r"(?<=.)[_-](cp_masks|masks?|labels?|seg|gt|instances)$", re.IGNORECASE)
_IMAGE_PREFIX = re.compile(r"^(image|img)[_-](?=.)", re.IGNORECASE)
_IMAGE_SUFFIX = re.compile(r"(?<=.)[_-](image|img|raw)$", re.IGNORECASE)
# The Cell Tracking Challenge: t002.tif and man_seg002.tif, man_track002.tif or mask002.tif.
_CTC_LABEL = re.compile(r"^(?:man_seg_?|man_track_?|mask)(\d+)$", re.IGNORECASE)

Lister = Callable[[str | Path], list[Path]]


@dataclass(frozen=True)
class Pair:
    """An image file and its label file.

    Attributes
    ----------
    stem : str
        Name of the image without folder and suffix; no two pairs share it.
    image, labels : Path
        The files.
    split : str
        "train", "test" or whatever a CSV file says; empty where nothing is said.
    within : str
        What a file that holds several images, as COCO files do, calls this one; empty for its own name.
    """

    stem: str
    image: Path
    labels: Path
    split: str = ""
    within: str = ""


@dataclass(frozen=True)
class Pairing:
    """The pairs in the order of the images, and the files left over."""

    pairs: tuple[Pair, ...]
    images_without_labels: tuple[Path, ...] = ()
    labels_without_image: tuple[Path, ...] = ()
    images_without_split: tuple[Path, ...] = ()


def find_pairs(
    images: str | Path,
    labels: str | Path,
    *,
    list_first: Lister = list_images,
    list_second: Lister = list_labels,
) -> Pairing:
    """Match label files to image files by name.

    Parameters
    ----------
    images, labels : str or Path
        Folders, or files. Two files are a pair whatever their names. One folder given twice is
        divided: names that mark labels (``a_mask.png``) and annotations are labels, the others images.
        A COCO file is all the images it names.
    list_first, list_second : callable
        What counts as an image, and as a label file.

    Returns
    -------
    Pairing
        Pairs and leftovers.

    Raises
    ------
    PairingError
        If nothing matches, two files could be the match of one, or two images share a stem.
    FileReadError, InputError
        As `unseam.io.images.list_images`.

    Notes
    -----
    Equal stems come first. Then label names are stripped of mask_, label_ in front and _mask,
    _label, _seg, _gt, _instances (also with a hyphen or a plural s) behind, whatever their case;
    then image names of image_, img_, _image, _img, _raw. Cell Tracking Challenge names match by
    their number: t002 and man_seg002, man_track002 or mask002. Last, both names are taken for
    labels, as where predictions stand for images: mask002 and man_seg002, a_cp_masks and a_gt.
    """
    if Path(images).is_dir() and Path(labels).is_dir() and Path(images).samefile(labels):
        first, second = _divided(Path(images))
    else:
        first, second = _members(images, list_first), _members(labels, list_second)
        if Path(images).is_file() and Path(labels).is_file() and len(first) == len(second) == 1:
            (image, image_file), (_, label_file) = *first.items(), *second.items()
            return Pairing((Pair(stem(image), image_file, label_file),))
    second = _with_series(first, second)
    _refuse_equal_stems(list(first))
    _refuse_equal_stems(list(second))
    matches = _match(list(first), list(second))
    if not matches:
        raise PairingError(
            f"no label file in {labels} belongs to an image in {images}: images are named"
            f" {_some(list(first))}; labels {_some(list(second))}; name both alike, like a.png and a.png or"
            " a_mask.png, or list the pairs in a CSV file"
        )
    used = set(matches.values())
    return Pairing(
        tuple(_pair(image, matches[image], first, second) for image in first if image in matches),
        tuple(image for image in first if image not in matches),
        tuple(file for file in second if file not in used),
    )


Members = dict[Path, Path]
"""Names to be matched, and the file of each: another one where a file holds several images."""


def _members(path: str | Path, lister: Lister) -> Members:
    files = lister(path)
    if len(files) == 1 and Path(path).is_file():
        names = images_named(files[0])
        if names:
            _refuse_equal_stems([Path(name) for name in names])
            return {Path(name): files[0] for name in names}
    return {file: file for file in files}


def _divided(folder: Path) -> tuple[Members, Members]:
    """The images of a folder, and the labels among them."""
    images, drawn = list_images(folder), label_files(folder)[1]
    marked = [file for file in images if _label_key(file) != stem(file)]
    names = {stem(file) for file in marked}
    labels = [*marked, *(file for file in in_order(drawn) if stem(file) not in names)]
    return {file: file for file in images if file not in set(marked)}, {file: file for file in labels}


def _with_series(first: Members, second: Members) -> Members:
    """`second`, in which the frames of a series, as a COCO file names them, have become the series itself."""
    stems = {stem(image): image for image in first}
    members = {}
    for name, file in second.items():
        match = SERIES.fullmatch(stem(name))
        of_series = name != file and stem(name) not in stems and match is not None and match[1] in stems
        members[Path(stems[match[1]].name) if match and of_series else name] = file
    return members


def _pair(image: Path, labels: Path, first: Members, second: Members) -> Pair:
    within = labels.name if second[labels] != labels else image.name if first[image] != image else ""
    return Pair(stem(image), first[image], second[labels], within=within)


def read_pairs_csv(path: str | Path) -> Pairing:
    """Read pairs from a CSV file with the columns image, labels and, if wanted, split.

    Parameters
    ----------
    path : str or Path
        The file; separated by commas or semicolons. File names in it are relative to its folder.

    Raises
    ------
    FileReadError
        If the CSV file cannot be read.
    PairingError
        If a column or a file is missing, no pair is listed, or two images of a split share a stem.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileReadError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    header = lines[0] if lines else ""
    rows = csv.DictReader(lines, delimiter=";" if ";" in header and "," not in header else ",")
    if not {"image", "labels"} <= set(rows.fieldnames or ()):
        raise PairingError(
            f"{path} starts with {header!r}; expected the columns image,labels or image,labels,split"
        )
    pairs = tuple(_pair_of_row(row, path.parent) for row in rows)
    if not pairs:
        raise PairingError(f"{path} lists no pair; expected a line image,labels for each image")
    missing = [file for pair in pairs for file in (pair.image, pair.labels) if not file.is_file()]
    if missing:
        raise PairingError(
            f"{path} lists {len(missing)} files that do not exist: {_some(missing, 5)}; correct the names,"
            f" which are relative to {path.parent}"
        )
    for split in {pair.split for pair in pairs}:
        _refuse_equal_stems([pair.image for pair in pairs if pair.split == split])
    return Pairing(pairs)


def _pair_of_row(row: dict[str, str | None], folder: Path) -> Pair:
    image, labels, split = ((row.get(column) or "").strip() for column in ("image", "labels", "split"))
    return Pair(stem(image), folder / image, folder / labels, split)


def _match(images: Sequence[Path], labels: Sequence[Path]) -> dict[Path, Path]:
    """Return the labels of each image that has some; a stricter way of matching goes first."""
    ways: tuple[tuple[Callable[[Path], str], Callable[[Path], str]], ...] = (
        (stem, stem),
        (stem, _label_key),
        (_image_key, stem),
        (_image_key, _label_key),
        (_label_key, _label_key),  # predictions that are named as labels: mask002.tif, a_cp_masks.tif
    )
    matches: dict[Path, Path] = {}
    for image_key, label_key in ways:
        used = set(matches.values())
        open_images = _grouped((file for file in images if file not in matches), image_key)
        open_labels = _grouped((file for file in labels if file not in used), label_key)
        for key in open_images.keys() & open_labels.keys():
            candidates, owners = open_labels[key], open_images[key]
            if len(candidates) > 1:
                raise PairingError(_ambiguous("label files", candidates, "image", owners[0]))
            if len(owners) > 1:
                raise PairingError(_ambiguous("images", owners, "label file", candidates[0]))
            matches[owners[0]] = candidates[0]
    return matches


def _grouped(files: Iterable[Path], key: Callable[[Path], str]) -> dict[str, list[Path]]:
    groups = defaultdict(list)
    for file in files:
        groups[key(file)].append(file)
    return groups


def _ambiguous(kind: str, candidates: Sequence[Path], owner_kind: str, owner: Path) -> str:
    names = " and ".join(file.name for file in candidates)
    return f"{kind} {names} could both belong to {owner_kind} {owner.name}; remove or rename all but one"


def _label_key(path: Path) -> str:
    name = stem(path)
    challenge = _CTC_LABEL.match(name)
    if challenge:
        return f"t{challenge[1]}"
    return _LABEL_SUFFIX.sub("", _LABEL_PREFIX.sub("", name))


def _image_key(path: Path) -> str:
    return _IMAGE_SUFFIX.sub("", _IMAGE_PREFIX.sub("", stem(path)))


def _refuse_equal_stems(files: Sequence[Path]) -> None:
    for name, same in _grouped(files, stem).items():
        if len(same) > 1:
            names = " and ".join(str(file) for file in same[:2])
            raise PairingError(f"{names} share the name {name!r}; remove or rename one")


def _some(files: Sequence[Path], count: int = 3) -> str:
    names = ", ".join(file.name for file in files[:count])
    return f"{names}, ..." if len(files) > count else names or "(none)"
