"""Models by their names: what is found where, and a sentence where a name says nothing or too much."""

from __future__ import annotations

from pathlib import Path

import pytest

from unseam.errors import ModelFileError
from unseam.model import finding
from unseam.model.finding import PACKAGED, find_model, models_by_name, own_folder
from unseam.model.header import read_header


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of models, with a file and a run."""
    folder = tmp_path / "own"
    (folder / "roots").mkdir(parents=True)
    (folder / "roots/model.safetensors").touch()
    (folder / "cells.v2.safetensors").touch()
    (folder / "notes.txt").touch()
    (folder / "empty").mkdir()
    monkeypatch.setenv("UNSEAM_MODELS", str(folder))
    return folder


def test_a_path_a_run_and_a_name(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = own / "roots"
    assert find_model(run) == find_model(run / "model.safetensors") == run / "model.safetensors"
    assert find_model("roots") == run / "model.safetensors"
    assert find_model("cells.v2") == own / "cells.v2.safetensors"
    assert find_model("nuclei") == PACKAGED / "nuclei.safetensors"
    assert list(models_by_name()) == ["cells.v2", "roots", "nuclei"]
    monkeypatch.chdir(tmp_path)
    Path("nuclei").mkdir()  # as the results of a prediction
    assert find_model("nuclei") == PACKAGED / "nuclei.safetensors"
    Path("nuclei/model.safetensors").touch()
    assert find_model("nuclei") == Path("nuclei/model.safetensors")
    assert find_model(own / "empty") == own / "empty"  # what that is others know, or say


def test_two_of_one_name(own: Path) -> None:
    (own / "roots.safetensors").touch()
    with pytest.raises(
        ModelFileError, match=r"two models are named roots: .*roots.safetensors.*; give the path"
    ):
        find_model("roots")
    (own / "nuclei.safetensors").touch()
    with pytest.raises(ModelFileError) as error:
        find_model("nuclei")
    assert str(own / "nuclei.safetensors") in str(error.value)
    assert str(PACKAGED / "nuclei.safetensors") in str(error.value)
    assert find_model(own / "nuclei.safetensors") == own / "nuclei.safetensors"


@pytest.mark.parametrize("given", ["nucleus", "nuclie", "Nuclei"])
def test_an_unknown_name_is_told_the_nearest(own: Path, given: str) -> None:
    assert own.is_dir()
    with pytest.raises(
        ModelFileError, match=f"no model file {given}, and no model of that name; nearest: nuclei"
    ):
        find_model(given)


def test_a_name_like_none_is_told_all(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ModelFileError, match=r"nearest: cells\.v2, nuclei, roots; `unseam models` lists them"
    ):
        find_model("xqxq")
    monkeypatch.setenv("UNSEAM_MODELS", str(own / "empty"))
    monkeypatch.setattr(finding, "PACKAGED", own / "empty")
    with pytest.raises(ModelFileError, match="no model of that name; `unseam models` lists them"):
        find_model("nuclei")


@pytest.mark.parametrize("given", ["x/nuclei", "nuclei.safetensors", "./nuclei.pt"])
def test_what_looks_like_a_path_is_told_as_one(own: Path, given: str) -> None:
    assert own.is_dir()
    with pytest.raises(
        ModelFileError, match=r"there is no model file .*; give a model.safetensors, the folder"
    ):
        find_model(given)


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "/home/me/.local/share/unseam/models"),
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/unseam/models"),
        ("darwin", {}, "/home/me/Library/Application Support/unseam/models"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/unseam/models"),
        ("win32", {}, "/home/me/AppData/Local/unseam/models"),
        ("linux", {"UNSEAM_MODELS": "~/mine"}, "/home/me/mine"),
    ],
)
def test_the_user_s_folder(
    monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], expected: str
) -> None:
    for name in ("UNSEAM_MODELS", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    assert own_folder() == Path(expected)


def test_the_model_in_the_package_is_small_and_made_for_any_scale() -> None:
    file = PACKAGED / "nuclei.safetensors"
    assert file.stat().st_size <= 4_000_000 and file.with_suffix(".md").is_file()
    header = read_header(file)
    assert header.task == "instances" and header.diameters == (8.0, 80.0) and header.segments
    assert header.network.in_channels == 1 and header.network.spatial_dims == 2


def test_without_a_home_folder_there_are_the_models_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> None:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("UNSEAM_MODELS", raising=False)
    monkeypatch.setattr(finding, "own_folder", homeless)
    assert list(models_by_name()) == ["nuclei"]
