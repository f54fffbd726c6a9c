"""What is remembered comes back, and nothing fails where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from unseam.io import remembered
from unseam.io.remembered import OWN, cache_folder, recall, remember


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(OWN, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_is_remembered_comes_back(folder: Path) -> None:
    assert recall("tiles", "a") is None
    remember("tiles", "a", {"least": [384, 384]})
    remember("tiles", "b", 2)
    remember("tiles", "b", 3)
    remember("times", "a", "other")
    assert recall("tiles", "a") == {"least": [384, 384]} and recall("tiles", "b") == 3
    assert recall("times", "a") == "other"
    assert sorted(file.name for file in folder.iterdir()) == ["tiles.json", "times.json"]


def test_the_latest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST", 2)
    for key in ("a", "b", "a", "c"):
        remember("tiles", key, key)
    assert [recall("tiles", key) for key in ("a", "b", "c")] == ["a", None, "c"]


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_a_damaged_file_is_as_none(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "tiles.json").write_text(text, encoding="latin-1")
    assert recall("tiles", "a") is None
    remember("tiles", "a", 1)
    assert recall("tiles", "a") == 1


def test_a_folder_that_cannot_be_written_remembers_nothing(folder: Path) -> None:
    folder.write_text("a file")
    remember("tiles", "a", 1)
    assert recall("tiles", "a") is None


@pytest.mark.parametrize(
    ("system", "variable", "ends"),
    [
        ("linux", "XDG_CACHE_HOME", "x/unseam"),
        ("linux", "", ".cache/unseam"),
        ("win32", "LOCALAPPDATA", "x/unseam"),
        ("darwin", "", "Library/Caches/unseam"),
    ],
)
def test_where_the_folder_is(system: str, variable: str, ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (OWN, "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "/some/x")
    monkeypatch.setattr("sys.platform", system)
    assert cache_folder().as_posix().endswith(ends)
