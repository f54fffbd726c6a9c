"""A file is written whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from unseam.errors import ConfigError, OutputError, OutputExistsError
from unseam.io.atomic import put_over, refuse_both, refuse_existing, replacing
from unseam.io.images import write_tiff


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out.txt"
    with replacing(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == ["out.txt"]


def test_an_existing_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    with (
        pytest.raises(OutputExistsError, match=r"out\.txt exists already; give --overwrite"),
        replacing(target),
    ):
        pytest.fail("the block must not run")
    assert target.read_text() == "old"
    with replacing(target, overwrite=True) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"


def test_refuse_existing_lets_a_new_name_pass(tmp_path: Path) -> None:
    refuse_existing(tmp_path / "new", overwrite=False)
    (tmp_path / "old").touch()
    refuse_existing(tmp_path / "old", overwrite=True)
    with pytest.raises(OutputExistsError, match="exists already"):
        refuse_existing(tmp_path / "old", overwrite=False)


def test_an_error_of_the_block_leaves_no_trace(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")

    def half() -> None:
        with replacing(target, overwrite=True) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["out.txt"]


def test_a_full_disk_leaves_the_existing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "labels.tif"
    write_tiff(target, np.ones((4, 4), np.uint8), axes="YX")
    before = target.read_bytes()

    def full(file: str | Path, *_: Any, **__: Any) -> None:
        Path(file).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full)
    with pytest.raises(OutputError, match=r"labels\.tif: the disk is full; .*nothing was changed"):
        write_tiff(target, np.zeros((4, 4), np.uint8), axes="YX", overwrite=True)
    assert target.read_bytes() == before
    assert names(tmp_path) == ["labels.tif"]


def test_other_errors_of_the_system_are_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Permission denied"), replacing(tmp_path / "out.txt"):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_the_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, seen = tmp_path / "out.txt", []
    monkeypatch.setattr(os, "fsync", lambda at: seen.append((os.fstat(at).st_size, os.fstat(at).st_ino)))
    with replacing(target) as temporary:
        temporary.write_text("four")
        monkeypatch.setattr(os, "replace", lambda a, b: seen.append("renamed") or Path(a).rename(b))
    assert seen == [(4, target.stat().st_ino), "renamed"]


@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_flush_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    def refuse(_: int) -> None:
        raise OSError(refusal, "refused")

    monkeypatch.setattr(os, "fsync", refuse)
    with replacing(tmp_path / "out.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "out.txt").read_text() == "new"


def test_a_disk_that_is_full_only_when_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "out.txt").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(OutputError, match=r"out\.txt: the disk is full"),
        replacing(tmp_path / "out.txt", overwrite=True) as temporary,
    ):
        temporary.write_text("new")
    assert (tmp_path / "out.txt").read_text() == "old"
    assert names(tmp_path) == ["out.txt"]


def test_continuing_and_replacing_exclude_each_other() -> None:
    refuse_both(resume=True, overwrite=False)
    refuse_both(resume=False, overwrite=True)
    with pytest.raises(ConfigError, match="--resume goes on with a run and --overwrite replaces it; give"):
        refuse_both(resume=True, overwrite=True)


def test_what_is_made_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    for name, content in (("made", "new"), ("out", "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / content).touch()
    put_over(tmp_path / "made", tmp_path / "out")
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["new"]
    (tmp_path / "file").write_text("new")
    put_over(tmp_path / "file", tmp_path / "other")
    assert names(tmp_path) == ["other", "out"]


def test_what_was_there_stays_where_nothing_was_made(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old").touch()
    with pytest.raises(OSError, match="made"):
        put_over(tmp_path / "made", tmp_path / "out")
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["old"]
