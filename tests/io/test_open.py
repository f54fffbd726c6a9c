"""One door to every image file; files of other kinds are read whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from unseam.errors import FileReadError, InputError, ShapeError
from unseam.io.images import write_png
from unseam.io.open import missing_chunks, open_sources
from unseam.io.stored import Missing

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)


def test_a_png_is_wrapped(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", GREY)
    (source,) = open_sources(tmp_path / "a.png", select="y=1:3")
    assert (source.shape, source.channels, source.dtype, source.frame) == ((2, 4), 1, np.uint8, None)
    assert (source.spacing, source.origin, source.name) == (None, (1.0, 0.0), str(tmp_path / "a.png"))
    assert np.array_equal(source.read(((0, 2), (1, 3)))[0], GREY[1:3, 1:3])
    assert missing_chunks(tmp_path / "a.png") == Missing(0, 1)


def test_axes_of_an_npy_are_given_and_kept(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GREY[None])
    (source,) = open_sources(tmp_path / "a.npy", axes="ZYX")
    assert source.shape == (1, 3, 4)  # nobody names a Z that is not meant
    (source,) = open_sources(tmp_path / "a.npy", axes="TYX")
    assert source.frame == 0
    with pytest.raises(InputError, match="does not say what its axes are"):
        open_sources(tmp_path / "a.npy")
    with pytest.raises(ShapeError, match="name 2 axes"):
        open_sources(tmp_path / "a.npy", axes="YX")


def test_what_is_not_there(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", GREY)
    with pytest.raises(
        InputError, match=r"a\.png has no axis T, it has C of length 1, Y of length 3, X of le"
    ):
        open_sources(tmp_path / "a.png", select="t=0")
    with pytest.raises(InputError, match=r"a\.png has no level 1; a file of its kind has level 0 alone"):
        open_sources(tmp_path / "a.png", select="level=1")
    with pytest.raises(FileReadError, match=r"b\.zarr does not exist; check the name"):
        open_sources(tmp_path / "b.zarr")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileReadError, match=r"folder is a folder but no Zarr, it has neither zarr\.json nor"):
        open_sources(tmp_path / "folder")


def test_zarr_is_imported_only_for_a_zarr(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", GREY)
    code = f"""
import sys
import unseam.cli
from unseam.io.open import open_sources
open_sources({str(tmp_path / "a.png")!r})
sys.exit("zarr" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
