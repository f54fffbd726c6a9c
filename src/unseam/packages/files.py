"""The files of a package: a .zip, an unpacked folder, or its description alone, read and never executed.

Nothing is unpacked to disk and nothing is downloaded. An archive whose names lead out of it, that holds
links, or that would unpack to more than a model can be, is refused before any of it is read.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, NoReturn

from unseam.errors import ModelFileError
from unseam.io.unzipping import UNZIPPING

DESCRIPTIONS: Final = ("rdf.yaml", "bioimageio.yaml", "rdf.yml", "bioimageio.yml")
YAML_SUFFIXES: Final = (".yaml", ".yml")
ONNX_SUFFIX: Final = ".onnx"
ZIP_MAGIC: Final = b"PK\x03\x04"
MOST_ENTRIES: Final = 1000
MOST_BYTES: Final = 8 * 2**30
"""Of all files of an archive together, unpacked."""
MOST_RATIO: Final = 200
"""How many times larger an archive may be unpacked; weights hardly shrink, and a page of text ten times."""
SMALL: Final = 16 * 2**20
"""Bytes up to which nobody asks for the ratio: an empty test image shrinks a thousand times."""
DESCRIPTION_BYTES: Final = 2**20


@dataclass(frozen=True)
class Files:
    """The files of a package.

    Attributes
    ----------
    path : of the archive, or of the description in its folder.
    description : name of the description; within an archive with its folder.
    """

    path: Path
    description: str

    @property
    def is_archive(self) -> bool:
        """Whether they are in an archive."""
        return self.path.suffix.lower() not in YAML_SUFFIXES

    def read(self, name: str, *, most: int = MOST_BYTES) -> bytes:
        """The content of a file, by its name as seen from the description.

        Raises
        ------
        ModelFileError
            If it is not there, leads out of the package, is damaged, or has more than `most` bytes.
        """
        plain = plain_name(name, self.path)
        content = self._unpacked(plain, most) if self.is_archive else self._beside(plain, most)
        if len(content) > most:
            raise ModelFileError(
                f"{name} in {self.path} has more than {most:,} bytes, and no such file has; do not use this "
                "package"
            )
        return content

    def read_description(self) -> bytes:
        """The content of the description."""
        return self.read(PurePosixPath(self.description).name, most=DESCRIPTION_BYTES)

    def _unpacked(self, name: str, most: int) -> bytes:
        full = str(PurePosixPath(self.description).parent / name)
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(full) as file:
                return file.read(most + 1)  # whatever size the archive states
        except KeyError:
            raise ModelFileError(
                f"{self.path} names {name}, which is not in it; download the package again"
            ) from None
        except UNZIPPING as error:
            raise ModelFileError(
                f"{name} in {self.path} cannot be unpacked ({error}); download the package again"
            ) from error

    def _beside(self, name: str, most: int) -> bytes:
        folder = self.path.parent.resolve()
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            raise ModelFileError(
                f"{self.path} names {name}, a link that leads out of its folder; copy it there"
            )
        try:
            with path.open("rb") as file:
                return file.read(most + 1)
        except OSError as error:
            raise ModelFileError(
                f"{self.path} names {name}, which cannot be read ({error.strerror}); download it again"
            ) from error


def is_package(path: Path) -> bool:
    """Whether a path is meant as a package: by its name, or as an archive by its first bytes."""
    if path.is_dir():
        return any((path / name).is_file() for name in DESCRIPTIONS)
    if path.suffix.lower() in (".zip", ONNX_SUFFIX, *YAML_SUFFIXES):
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
    except OSError:
        return False


def open_files(path: Path) -> Files:
    """The files of a package.

    Raises
    ------
    ModelFileError
        If there is no such file, it is none of these, or it is an archive that is not safe.
    """
    if path.is_dir():
        found = [name for name in DESCRIPTIONS if (path / name).is_file()]
        return Files(path / found[0], found[0]) if found else _no_description(path)
    if not path.is_file():
        raise ModelFileError(f"there is no file {path}; give a model.safetensors, or a bioimage.io package")
    if path.suffix.lower() in YAML_SUFFIXES:
        return Files(path, path.name)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except UNZIPPING as error:
        raise ModelFileError(
            f"{path} is no zip archive, or is cut short ({error}); download the package again"
        ) from error
    _check(path, entries)
    return Files(path, _description_of(path, [entry.filename for entry in entries]))


def plain_name(name: str, package: Path) -> str:
    """A name as it may stand in a package: relative, downwards, on this machine.

    Raises
    ------
    ModelFileError
        If it is an address or leads elsewhere.
    """
    if "://" in name:
        raise ModelFileError(
            f"{package} does not hold {name} but points at it, and nothing is downloaded; download the whole "
            "package, or put that file beside its description"
        )
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise ModelFileError(f"{package} names {name!r}, which leads out of it; do not use this package")
    return str(path)


def _check(path: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Raise unless an archive is one that can be read without harm."""
    for entry in entries:
        plain_name(entry.filename, path)
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ModelFileError(f"{path} holds a link, {entry.filename}; do not use this package")
    size, packed = sum(e.file_size for e in entries), sum(e.compress_size for e in entries)
    if len(entries) > MOST_ENTRIES or size > MOST_BYTES or (size > SMALL and size > MOST_RATIO * packed):
        raise ModelFileError(
            f"{path} would unpack to {len(entries):,} files of {size / 2**20:,.0f} MB in all, from "
            f"{packed / 2**20:,.1f} MB: no model does; do not use this package"
        )


def _description_of(path: Path, names: list[str]) -> str:
    """The description, at the top of the archive or in its only folder that has one."""
    for depth in (1, 2):
        found = [n for n in names if len(PurePosixPath(n).parts) == depth and _is_description(n)]
        if len(found) > 1:
            found = [name for name in found if PurePosixPath(name).name in DESCRIPTIONS[:1]]
        if len(found) == 1:
            return found[0]
    return _no_description(path)


def _is_description(name: str) -> bool:
    last = PurePosixPath(name).name
    return last in DESCRIPTIONS or last.endswith((".bioimageio.yaml", ".bioimageio.yml"))


def _no_description(path: Path) -> NoReturn:
    raise ModelFileError(
        f"{path} has no {DESCRIPTIONS[0]} or {DESCRIPTIONS[1]} at its top; give a package of bioimage.io, "
        "which is described there"
    )
