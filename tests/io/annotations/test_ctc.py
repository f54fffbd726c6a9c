"""Result folders of the Cell Tracking Challenge, against its rules."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.reference.ctc import broken_rules

from unseam.errors import InputError, LabelError, OutputError, OutputExistsError, ShapeError
from unseam.io.annotations.ctc import write_ctc

sequences = st.lists(
    arrays(np.int32, (3, 4), elements=st.sampled_from([-1, 0, 1, 2, 70_000])), min_size=1, max_size=4
)


@given(sequences)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
def test_the_rules_hold_and_objects_are_as_they_were(tmp_path: Path, frames: list[np.ndarray]) -> None:
    write_ctc(tmp_path / "01_RES", frames, overwrite=True)
    assert broken_rules(tmp_path / "01_RES") == []
    for number, frame in enumerate(frames):
        written = tifffile.imread(tmp_path / "01_RES" / f"mask{number:03}.tif")
        np.testing.assert_array_equal(written > 0, frame > 0)
        pairs = set(zip(frame[frame > 0].tolist(), written[frame > 0].tolist(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_the_challenge_s_own_reader_takes_it(tmp_path: Path) -> None:
    """Runs where py-ctcmetrics is installed: it brings a package named `test`, so it is no dependency."""
    ctc_metrics = pytest.importorskip("ctc_metrics")
    frames = [np.kron(np.array([[1, 0, 2], [0, 0, 0], [3, 0, n]]), np.ones((8, 8), int)) for n in range(3)]
    write_ctc(tmp_path / "01_RES", frames)
    assert ctc_metrics.validate_sequence(str(tmp_path / "01_RES"))["Valid"] == 1


def test_by_hand(tmp_path: Path) -> None:
    write_ctc(tmp_path / "r", [np.array([[5, 0, 9]]), np.array([[0, 0, 0]]), np.array([[5, 5, 0]])])
    # Object 5 of frame 0 and object 5 of frame 2 are two tracks: nobody followed them.
    assert (tmp_path / "r/res_track.txt").read_text() == "1 0 0 0\n2 0 0 0\n3 2 2 0\n"
    masks = [tifffile.imread(tmp_path / f"r/mask{n:03}.tif").tolist() for n in range(3)]
    assert masks == [[[1, 0, 2]], [[0, 0, 0]], [[3, 3, 0]]]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["r"]


def test_volumes_are_frames_too(tmp_path: Path) -> None:
    write_ctc(tmp_path / "r", [np.ones((2, 3, 4), int)])
    assert tifffile.imread(tmp_path / "r/mask000.tif").shape == (2, 3, 4)


def test_a_result_of_fewer_frames_takes_the_place_of_one_of_more(tmp_path: Path) -> None:
    one = np.array([[1]])
    write_ctc(tmp_path / "r", [one] * 3)
    with pytest.raises(OutputExistsError, match="r exists already; give --overwrite"):
        write_ctc(tmp_path / "r", [one])
    write_ctc(tmp_path / "r", [one], overwrite=True)
    assert sorted(file.name for file in (tmp_path / "r").iterdir()) == ["mask000.tif", "res_track.txt"]


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        LabelError, match="65536 objects in 2 frames need a number each, and 16 bits have 65535"
    ):
        write_ctc(tmp_path / "r", [np.arange(65536).reshape(256, 256), np.eye(256, dtype=int)])
    with pytest.raises(InputError, match="no frame was given for"):
        write_ctc(tmp_path / "r", [])
    (tmp_path / "mine").mkdir()
    with pytest.raises(
        OutputExistsError, match=r"holds no res_track.txt, so it is no result folder and not rep"
    ):
        write_ctc(tmp_path / "mine", [np.array([[1]])], overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*file/r"):
        write_ctc(tmp_path / "file/r", [np.array([[1]])])
    assert not (tmp_path / "r").exists()


def test_a_folder_with_files_of_the_users_own_is_not_replaced(tmp_path: Path) -> None:
    one, folder = np.array([[1]]), tmp_path / "r"
    write_ctc(folder, [one])
    for name in ("notes.txt", "mask.tif.bak"):
        (folder / name).write_text("mine")
        with pytest.raises(OutputExistsError, match=f"r holds {name}, which is no result, so it is not repl"):
            write_ctc(folder, [one], overwrite=True)
        assert (folder / name).read_text() == "mine"
        (folder / name).unlink()
    (folder / "mask_of_mine.tif").mkdir()
    with pytest.raises(OutputExistsError, match=r"holds mask_of_mine\.tif, which is no result"):
        write_ctc(folder, [one], overwrite=True)


def test_what_was_there_stays_where_the_new_one_cannot_be_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ctc(tmp_path / "r", [np.array([[1]])] * 2)
    rename = os.replace

    def failing(source: Path, target: Path) -> None:
        if str(source).endswith(".part"):
            raise OSError(errno.EIO, "no luck")
        rename(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OutputError, match=r"cannot write .*r: no luck"):
        write_ctc(tmp_path / "r", [np.array([[1]])], overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["r"]
    assert len(list((tmp_path / "r").iterdir())) == 3


def test_frames_of_different_shape_are_no_sequence(tmp_path: Path) -> None:
    with pytest.raises(
        ShapeError, match=r"frames of 1 x 2 and of 2 x 1 pixels were given for .* one sequence"
    ):
        write_ctc(tmp_path / "r", [np.ones((1, 2), int), np.ones((2, 1), int)])
