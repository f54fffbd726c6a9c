"""Whether a source must be decoded whole for any part of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from unseam.io import source as source_module
from unseam.io.images import write_png
from unseam.io.open import open_sources
from unseam.io.source import Source, array_source, stored_whole

SIDE = 8192
"""An image of 64 MB with one byte a pixel is one of this side."""


def source(
    shape: tuple[int, ...], chunk: tuple[int, ...] | None, *, channels: int = 1, dtype: str = "uint8"
) -> Source:
    few = np.zeros((channels, *(1 for _ in shape)), dtype)
    return replace(array_source(few), shape=shape, chunk=chunk)


@pytest.mark.parametrize(
    ("shape", "chunk", "options", "expected"),
    [
        ((SIDE, SIDE + 1), (SIDE, SIDE + 1), {}, True),
        ((SIDE, SIDE), (SIDE, SIDE), {}, False),  # 64 MB and not more
        ((SIDE, SIDE), (SIDE, SIDE), {"channels": 2}, True),
        ((SIDE, SIDE), (SIDE, SIDE), {"dtype": "uint16"}, True),
        ((SIDE, SIDE + 1), None, {}, False),
        ((SIDE, SIDE + 2), (SIDE, SIDE // 2 + 1), {}, True),  # half of it
        ((SIDE, SIDE + 2), (SIDE, SIDE // 2), {}, False),
        ((2 * SIDE, SIDE), (1, SIDE), {}, False),
        ((100, SIDE, SIDE), (1, SIDE, SIDE), {}, False),  # a plane at a time
        ((2, SIDE, SIDE), (2, SIDE, SIDE), {}, True),
        ((99, 99), (SIDE, SIDE + 1), {}, True),  # cut from a larger one
        ((99, 99), (SIDE, SIDE), {}, False),
    ],
)
def test_by_hand(
    shape: tuple[int, ...], chunk: tuple[int, ...] | None, options: dict[str, Any], expected: bool
) -> None:
    assert stored_whole(source(shape, chunk, **options)) is expected


def test_an_array_in_memory_is_not_stored() -> None:
    assert not stored_whole(array_source(np.zeros((1, 4, 4))))


GREY = np.arange(60 * 70, dtype=np.uint16).reshape(60, 70)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"compression": "zlib", "rowsperstrip": 60}, True),
        ({"compression": "zlib", "rowsperstrip": 10}, False),
        ({"compression": "zlib", "tile": (16, 16)}, False),
        ({}, False),  # its pixels lie in the file as they are
        ({"byteorder": ">"}, False),
    ],
)
def test_tiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Any, expected: bool) -> None:
    monkeypatch.setattr(source_module, "LARGE", 60 * 70)
    tifffile.imwrite(tmp_path / "a.tif", GREY, metadata={"axes": "YX"}, **options)
    (found,) = open_sources(tmp_path / "a.tif")
    assert stored_whole(found) is expected


@pytest.mark.parametrize(("planar", "shape"), [("contig", (60, 70, 3)), ("separate", (3, 60, 70))])
def test_a_row_of_colours_is_kept_together(tmp_path: Path, planar: str, shape: tuple[int, ...]) -> None:
    pixels = np.zeros(shape, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", planarconfig=planar)
    (found,) = open_sources(tmp_path / "a.tif")
    assert (found.shape, found.channels, found.chunk) == ((60, 70), 3, (1, 70))


def test_a_png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "LARGE", 60 * 70 - 1)
    write_png(tmp_path / "a.png", GREY.astype(np.uint8))
    (found,) = open_sources(tmp_path / "a.png")
    assert stored_whole(found)
    monkeypatch.setattr(source_module, "LARGE", 60 * 70)
    assert not stored_whole(found)
