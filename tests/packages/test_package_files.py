"""Archives and folders: what is read, and what is refused before it is."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from pathlib import Path

import pytest

from unseam.errors import ModelFileError
from unseam.packages import files
from unseam.packages.files import Files, is_package, open_files, plain_name

TEXT = {"rdf.yaml": b"type: model", "weights.onnx": b"weights"}


def zipped(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def unpacked(folder: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("kind", ["zip", "zip in a folder", "folder", "description"])
def test_a_package_is_read_packed_or_not(kind: str, tmp_path: Path) -> None:
    if kind.startswith("zip"):
        top = "model/" if "folder" in kind else ""
        path = zipped(tmp_path / "a.zip", {top + name: content for name, content in TEXT.items()})
    else:
        path = unpacked(tmp_path / "a", TEXT) / ("" if kind == "folder" else "rdf.yaml")
    found = open_files(path)
    assert is_package(path)
    assert found.read_description() == b"type: model"
    assert found.read("./weights.onnx") == found.read("weights.onnx") == b"weights"
    assert found.path == (path / "rdf.yaml" if kind == "folder" else path)


def test_what_is_meant_as_a_package(tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    model.write_bytes(b"\x40\0\0\0\0\0\0\0{}")
    assert (
        not is_package(model) and not is_package(tmp_path) and not is_package(tmp_path / "lost.safetensors")
    )
    renamed = zipped(tmp_path / "0123abcd.safetensors", TEXT)  # as a worker of a cluster is sent it
    assert is_package(renamed) and open_files(renamed).read("weights.onnx") == b"weights"
    assert (
        is_package(tmp_path / "lost.zip")
        and is_package(tmp_path / "x.yaml")
        and is_package(tmp_path / "x.onnx")
    )


def test_the_description_may_have_the_name_of_its_model(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"mine.bioimageio.yaml": b"1", "other.yaml": b"2", "x/rdf.yaml": b"3"})
    assert open_files(path).read_description() == b"1"
    both = zipped(tmp_path / "b.zip", {"mine.bioimageio.yaml": b"1", "rdf.yaml": b"2"})
    assert open_files(both).read_description() == b"2"


def refused(path: Path, words: str, read: str | None = None) -> None:
    with pytest.raises(ModelFileError, match=words):
        open_files(path).read(read or "rdf.yaml")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    path, folder = zipped(tmp_path / "a.zip", TEXT), unpacked(tmp_path / "a", TEXT)
    refused(
        tmp_path / "lost.zip", r"there is no file .*lost\.zip; give a model\.safetensors, or a bioimage\.io"
    )
    refused(path, r"a\.zip names lost\.onnx, which is not in it; download the package again", "lost.onnx")
    refused(folder, r"names lost\.onnx, which cannot be read \(No such file or directory\)", "lost.onnx")
    refused(unpacked(tmp_path / "b", {"a.txt": b""}), r"has no rdf\.yaml or bioimageio\.yaml at its top")
    refused(
        zipped(tmp_path / "b.zip", {"a/b/rdf.yaml": b""}), r"has no rdf\.yaml or bioimageio\.yaml at its top"
    )
    two = {"a.bioimageio.yaml": b"", "b.bioimageio.yaml": b""}
    refused(zipped(tmp_path / "c.zip", two), r"has no rdf\.yaml or bioimageio\.yaml at its top")


def test_no_zip_and_half_of_one(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "a.zip", TEXT).read_bytes()
    for name, content in (
        ("text.zip", b"no archive"),
        ("half.zip", whole[: len(whole) // 2]),
        ("no.zip", b""),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, rf"{name} is no zip archive, or is cut short .*; download the package again")
    damaged = bytearray(zipped(tmp_path / "b.zip", {**TEXT, "weights.onnx": os.urandom(999)}).read_bytes())
    damaged[damaged.index(b"weights.onnx") + 500] ^= 255
    (tmp_path / "b.zip").write_bytes(damaged)
    refused(tmp_path / "b.zip", r"weights\.onnx in .*b\.zip cannot be unpacked", "weights.onnx")


def test_a_password_is_told(tmp_path: Path) -> None:
    content = bytearray(zipped(tmp_path / "a.zip", TEXT).read_bytes())
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(magic)
        content[at + flags] |= 1  # says that the first file is encrypted
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", r"rdf\.yaml in .*a\.zip cannot be unpacked .*(password|encrypted)")


@pytest.mark.parametrize(
    "name", ["../evil.onnx", "a/../../evil.onnx", "/etc/passwd", "..", "C:/evil.onnx", "a\\..\\evil", ""]
)
def test_names_that_lead_out(name: str, tmp_path: Path) -> None:
    words = r"names .* which leads out of it; do not use this package"
    refused(zipped(tmp_path / "a.zip", TEXT), words, name or "\0")
    refused(unpacked(tmp_path / "a", TEXT), words, name or "\0")
    with pytest.raises(ModelFileError, match=words):
        plain_name(name, tmp_path)
    if name and "\\" not in name:
        refused(zipped(tmp_path / "b.zip", {**TEXT, name: b""}), words)


def test_an_address_is_named_and_not_loaded(tmp_path: Path) -> None:
    words = r"does not hold https://x\.org/w\.onnx but points at it, and nothing is downloaded"
    for path in (zipped(tmp_path / "a.zip", TEXT), unpacked(tmp_path / "a", TEXT)):
        refused(path, words, "https://x.org/w.onnx")


def test_links(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("weights.onnx")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("rdf.yaml", "a: 1")
        archive.writestr(link, "/etc/passwd")
    refused(tmp_path / "a.zip", r"holds a link, weights\.onnx; do not use this package")
    (tmp_path / "secret").write_bytes(b"secret")
    folder = unpacked(tmp_path / "b", {"rdf.yaml": b""})
    (folder / "out.onnx").symlink_to(tmp_path / "secret")
    (folder / "in.onnx").symlink_to(folder / "rdf.yaml")
    refused(folder, r"names out\.onnx, a link that leads out of its folder; copy it there", "out.onnx")
    assert open_files(folder).read("in.onnx") == b""


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = r"would unpack to .* files of .* MB in all, from .* MB: no model does"
    zeros = zipped(tmp_path / "zeros.zip", {**TEXT, "zeros": bytes(32 * 2**20)})  # to a thousandth
    refused(zeros, words)
    assert open_files(zipped(tmp_path / "few.zip", {**TEXT, "zeros": bytes(2**20)}))  # an empty test image
    refused(
        zipped(tmp_path / "many.zip", {**TEXT, **{f"{k}": b"" for k in range(files.MOST_ENTRIES)}}), words
    )
    monkeypatch.setattr(files, "MOST_BYTES", 10)
    refused(zipped(tmp_path / "large.zip", TEXT), words)


def test_a_size_that_is_a_lie(tmp_path: Path) -> None:
    """Each file is read up to what it may have, whatever the archive says."""
    path = zipped(tmp_path / "a.zip", {"rdf.yaml": bytes(files.DESCRIPTION_BYTES + 1)})
    with pytest.raises(
        ModelFileError, match=r"rdf\.yaml in .* has more than 1,048,576 bytes, and no such file has"
    ):
        open_files(path).read_description()
    folder = unpacked(tmp_path / "a", {"rdf.yaml": bytes(files.DESCRIPTION_BYTES + 1)})
    with pytest.raises(ModelFileError, match=r"has more than 1,048,576 bytes"):
        open_files(folder).read_description()
    assert len(Files(path, "rdf.yaml").read("rdf.yaml")) == files.DESCRIPTION_BYTES + 1


def test_bytes_that_are_no_archive_at_all(tmp_path: Path) -> None:
    buffer = io.BytesIO(b"PK\x03\x04" + bytes(50))
    (tmp_path / "a.safetensors").write_bytes(buffer.getvalue())
    assert is_package(tmp_path / "a.safetensors")
    refused(tmp_path / "a.safetensors", "is no zip archive, or is cut short")
