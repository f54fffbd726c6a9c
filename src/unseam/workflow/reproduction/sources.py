"""Where the data come from: a local folder, or a public address, fetched once and checked.

Archives of the Cell Tracking Challenge are checked byte for byte. The others come as files that a server may
pack anew, so their pixels are checked: one digest stands for all images and labels of the protocol.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import FileReadError, InputError, MissingExtraError
from unseam.io.atomic import put_over
from unseam.io.images import read_image, read_labels
from unseam.workflow.listener import Listener, Step

DATA = "UNSEAM_DATA"
"""Environment variable: a folder that holds the sets, each in a folder of its own."""


@dataclass(frozen=True)
class Source:
    """A public address.

    Attributes
    ----------
    address : of an archive, or what the addresses of `files` begin with.
    sha256 : of the archive, or None where a server may pack it anew.
    files : name in the folder of the set, and its address after `address`, where there is no archive.
    unpack : makes the folder of the set (second) of the archive (first).
    pixels : digest of all images and labels, as `digest_of`, or None where the archive's is enough.
    """

    address: str
    sha256: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    unpack: Callable[[Path, Path], None] | None = None
    pixels: str | None = None


def find_folder(name: str, source: Source, given: Path | None, cache: Path, listener: Listener) -> Path:
    """The folder of a set: in the one given, in `UNSEAM_DATA`, in the cache, or fetched into it.

    Parameters
    ----------
    name : str
        Of the folder of the set.
    given : Path, optional
        The folder of the set, or one that holds it.

    Raises
    ------
    InputError
        If `given` does not hold the set.
    FileReadError
        If it cannot be fetched, or is not what was published.
    MissingExtraError
        If it has to be fetched, and pooch is not installed.
    """
    if given is not None:
        for folder in (given / name, given):
            if folder.name == name and folder.is_dir():
                return folder
        raise InputError(f"{given} does not hold {name}; give the folder {name}, or one that holds it")
    stated = os.environ.get(DATA)
    for parent in (*([Path(stated)] if stated else []), cache):
        if (parent / name).is_dir():
            return parent / name
    listener.say(f"data: {name} is fetched from {source.address}, once, into {cache}")
    return _fetch(source, cache / name, listener)


def _fetch(source: Source, folder: Path, listener: Listener) -> Path:
    try:
        import pooch
    except ImportError as error:
        raise MissingExtraError(
            f"{folder.name} is fetched with the package pooch; install it with: pip install 'unseam[data]', "
            f"or give --data a folder that holds {folder.name}"
        ) from error
    pooch.get_logger().setLevel("ERROR")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        made = Path(temporary) / folder.name
        made.mkdir()
        wanted = {made / name: source.address + rest for name, rest in source.files.items()}
        archive = Path(temporary) / "archive"
        for done, (path, address) in enumerate((wanted or {archive: source.address}).items()):
            path.parent.mkdir(parents=True, exist_ok=True)
            bar = _Bar(listener, done, max(1, len(wanted)))
            try:
                pooch.retrieve(address, source.sha256, fname=path.name, path=path.parent, progressbar=bar)
            except (OSError, ValueError) as error:
                raise FileReadError(
                    f"cannot fetch {address} ({_reason(error)}); try again, or fetch it by other means and "
                    f"give --data a folder that holds {folder.name}"
                ) from error
        if source.unpack:
            try:
                source.unpack(archive, made)
            except (OSError, KeyError, zipfile.BadZipFile) as error:
                raise FileReadError(
                    f"{source.address} is not what was expected ({error}); give --data a folder that holds "
                    f"{folder.name}"
                ) from error
        put_over(made, folder)
    return folder


def _reason(error: Exception) -> str:
    """Why something could not be fetched, in a few words: of a missing connection the library says a page."""
    from requests.exceptions import ConnectionError, Timeout  # pooch has it

    if isinstance(error, Timeout):
        return "there was no answer in time"
    if isinstance(error, ConnectionError):
        return "no connection: is this machine online?"
    return " ".join(str(error).split())


class _Bar:
    """What pooch tells of a download, for a listener."""

    def __init__(self, listener: Listener, done: int, files: int) -> None:
        self._listener, self._done, self._files = listener, done, files
        self.total, self._bytes = 0, 0

    def update(self, count: int) -> None:
        self._bytes += count
        share = min(1.0, self._bytes / self.total) if self.total else 0.0
        detail = f"{self._bytes / 1e6:.1f} MB" if self._files == 1 else f"file {self._done + 1}"
        self._listener.step(Step("fetching", (self._done + share) / self._files, detail))

    def reset(self) -> None:
        self._bytes = 0

    def close(self) -> None: ...


def digest_of(pairs: Iterable[tuple[Path, Path]]) -> str:
    """One SHA-256 of the pixels of all images and labels, however files are packed and objects numbered."""
    digest = hashlib.sha256()
    for image, labels in pairs:
        for data in (read_image(image).data, in_raster_order(read_labels(labels).data)):
            digest.update(f"{data.shape}".encode())
            digest.update(np.ascontiguousarray(data, dtype="<i4").tobytes())
    return digest.hexdigest()


def in_raster_order(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels numbered anew in the order of their first pixels; background stays 0."""
    ids, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(np.where(ids == 0, -1, first)))
    numbers = order if ids[0] == 0 else order + 1
    return numbers[inverse].reshape(labels.shape)


def check_pixels(source: Source, pairs: Iterable[tuple[Path, Path]]) -> bool | None:
    """Whether images and labels are those that were published; None where there is nothing to compare."""
    return None if source.pixels is None else digest_of(pairs) == source.pixels


def challenge_archive(name: str, sha256: str) -> Source:
    """A training set of the Cell Tracking Challenge."""

    def unpack(archive: Path, folder: Path) -> None:
        with zipfile.ZipFile(archive) as file:
            _extract(file, folder, within=f"{name}/")

    return Source(
        f"http://data.celltrackingchallenge.net/training-datasets/{name}.zip", sha256, unpack=unpack
    )


def membrane_slices(name: str) -> Source:
    """The public stack of the ISBI challenge, slice by slice, from a repository that holds it."""
    there = "https://raw.githubusercontent.com/zhixuhao/unet/b45af4d458437d8281cc218a07fd4380818ece4a"
    kinds = (("images", "image"), ("labels", "label"))
    slices = {f"{ours}/{n:02}.png": f"{theirs}/{n}.png" for ours, theirs in kinds for n in range(30)}
    return Source(f"{there}/data/membrane/train/", files=slices, pixels=PIXELS[name])


def nuclei_archive(name: str) -> Source:
    """The corrected training set of the Data Science Bowl, of which 100 images are taken."""
    commit = "30354551efef351c1241da7c6d48cf938d76f02a"
    repository = "kaggle-dsbowl-2018-dataset-fixes"

    def unpack(archive: Path, folder: Path) -> None:
        from unseam.workflow.reproduction.protocols import nuclei_index

        with zipfile.ZipFile(archive) as file:
            names = file.namelist()
            for row in nuclei_index():
                inside = f"{repository}-{commit}/stage1_train/{row['full_id']}"
                masks = [n for n in names if n.startswith(f"{inside}/masks/") and n.endswith(".png")]
                _write_nuclei(file, f"{inside}/images/{row['full_id']}.png", masks, folder, row["id"])

    return Source(
        f"https://github.com/lopuhin/{repository}/archive/{commit}.zip", unpack=unpack, pixels=PIXELS[name]
    )


def _write_nuclei(file: zipfile.ZipFile, image: str, masks: list[str], folder: Path, name: str) -> None:
    """One channel of an image, and its masks as one label image."""
    from PIL import Image

    from unseam.io.tiff.write import write_tiff

    def pixels(member: str) -> NDArray[Any]:
        with file.open(member) as opened, Image.open(opened) as picture:
            return np.asarray(picture.convert("RGBA"))[..., 0]

    (folder / "images").mkdir(exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    Image.fromarray(pixels(image)).save(folder / f"images/{name}.png")
    labels = as_labels([pixels(member) > 0 for member in sorted(masks)])
    write_tiff(folder / f"labels/{name}.tif", labels, axes="YX")


def as_labels(masks: list[NDArray[np.bool_]]) -> NDArray[np.uint16]:
    """Masks of single objects as one label image, numbered as given; of two that overlap the smaller wins."""
    labels = np.zeros(masks[0].shape, np.uint16)
    numbered = list(enumerate(masks, start=1))
    for number, mask in sorted(numbered, key=lambda one: (-int(one[1].sum()), one[0])):
        labels[mask] = number
    return labels


def _extract(file: zipfile.ZipFile, folder: Path, *, within: str) -> None:
    """The files of an archive below `within`, which must not lead out of the folder."""
    members = [name for name in file.namelist() if name.startswith(within) and not name.endswith("/")]
    if not members:
        raise KeyError(f"no {within} in the archive")
    for name in members:
        target = folder / name.removeprefix(within)
        if not target.resolve().is_relative_to(folder.resolve()):
            raise KeyError(f"{name} leads out of the archive")
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open(name) as opened, open(target, "wb") as written:
            shutil.copyfileobj(opened, written)


PIXELS = {
    "isbi2012": "4c3c000ccd9ff21f5e6227b8e59d439af3bc6745af28fecc53a38c520b17ca96",
    "dsb2018": "0c7309e7e8f2552144005739cada6267368aac14c53ec2307886dd9c56e9f073",
}
"""As `digest_of`, of the images and labels that every figure here is from."""
