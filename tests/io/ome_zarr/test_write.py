"""OME-Zarr written block by block: what comes back, and what is refused."""

from __future__ import annotations

import errno
import json
import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unseam.errors import InputError, OutputError, OutputExistsError, ShapeError
from unseam.grid import BlockGrid, slices
from unseam.io.ome_zarr import write as write_module
from unseam.io.ome_zarr.layout import Layout
from unseam.io.ome_zarr.write import create, read_layout, write
from unseam.io.open import missing_chunks, open_sources

INT32 = np.dtype(np.int32)


def write_all(path: Path, layout: Layout, array: np.ndarray) -> None:
    """Create an image and write all its blocks, an array of all axes."""
    create(path, layout)
    spatial = layout.spatial_dims
    grid = BlockGrid(layout.shape[-spatial:], layout.block[-spatial:])
    for frame in range(layout.shape[0]) if "T" in layout.axes else [None]:
        image = array if frame is None else array[frame]
        for number in range(len(grid)):
            region = grid.region(number)
            write(path, region, image[(..., *slices(region))], frame=frame)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_round_trip(tmp_path: Path, data: st.DataObject) -> None:
    axes = data.draw(st.sampled_from(["YX", "CYX", "TYX", "ZYX", "TCYX", "CZYX", "TCZYX"]))
    shape = tuple(data.draw(st.integers(2, 12)) if a in "ZYX" else data.draw(st.integers(1, 3)) for a in axes)
    dims = 3 if "Z" in axes else 2
    chunk = tuple(data.draw(st.integers(2, 6)) for _ in range(dims))
    version = data.draw(st.sampled_from(["0.4", "0.5"]))
    shard = data.draw(st.sampled_from([None, tuple(2 * c for c in chunk)])) if version == "0.5" else None
    dtype = np.dtype(data.draw(st.sampled_from(["int32", "uint32", "uint16", "float32"])))
    spacing = data.draw(st.sampled_from([None, (2.0, 0.5, 0.25)[-dims:]]))
    origin = data.draw(st.sampled_from([None, (0.0, 3.0, 4.0)[-dims:]]))
    layout = Layout(axes, shape, dtype, chunk, shard, spacing, origin, version)
    array = np.random.default_rng(0).integers(0, 3, shape).astype(dtype)
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.zarr"
    write_all(path, layout, array)
    back = read_layout(path)
    assert (back.axes, back.shape, back.dtype, back.version) == (axes, shape, dtype, version)
    assert (back.block, back.spacing, back.labels) == (layout.block, spacing, False)
    found = open_sources(path)
    for source, frame in zip(found, array if "T" in axes else array[None], strict=True):
        expected = frame if "C" in axes else frame[None]
        assert (source.spacing, source.dtype) == (spacing, dtype)
        assert source.origin == (origin or (0.0,) * dims)
        assert np.array_equal(source.read(tuple((0, n) for n in source.shape)), expected)
    assert missing_chunks(path).count == 0  # blocks of nothing but zeros are there too


def test_files_on_disk(tmp_path: Path) -> None:
    layout = Layout("CYX", (1, 10, 20), INT32, (4, 4), (8, 8), labels=True)
    write_all(tmp_path / "a.zarr", layout, np.zeros((1, 10, 20), np.int32))
    node = json.loads((tmp_path / "a.zarr" / "0" / "zarr.json").read_text())
    assert (node["dimension_names"], node["fill_value"]) == (["c", "y", "x"], 0)
    assert node["chunk_grid"]["configuration"]["chunk_shape"] == [1, 8, 8]
    inner = node["codecs"][0]["configuration"]
    assert inner["chunk_shape"] == [1, 4, 4] and [c["name"] for c in inner["codecs"]] == ["bytes", "zstd"]
    assert len(list((tmp_path / "a.zarr" / "0" / "c").rglob("*"))) == 1 + 2 + 2 * 3
    older = Layout("YX", (10, 20), INT32, (8, 8), version="0.4")
    write_all(tmp_path / "b.zarr", older, np.zeros((10, 20), np.int32))
    node = json.loads((tmp_path / "b.zarr" / "0" / ".zarray").read_text())
    assert (node["dimension_separator"], node["fill_value"]) == ("/", 0)
    assert node["compressor"]["id"] == "zstd"
    assert (tmp_path / "b.zarr" / "0" / "1" / "2").is_file()


def block(path: str, number: int) -> None:
    """Write block `number` of an image of 64 x 64 in blocks of 16."""
    region = BlockGrid((64, 64), (16, 16)).region(number)
    write(path, region, np.full((16, 16), number + 1, np.int32))


def assert_blocks(path: Path) -> None:
    (source,) = open_sources(path)
    pixels = source.read(((0, 64), (0, 64)))[0]
    grid = BlockGrid((64, 64), (16, 16))
    assert all((pixels[slices(grid.region(number))] == number + 1).all() for number in range(len(grid)))


def test_threads_and_processes_write_side_by_side(tmp_path: Path) -> None:
    layout = Layout("YX", (64, 64), INT32, (8, 8), (16, 16))
    create(tmp_path / "a.zarr", layout)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(block, [str(tmp_path / "a.zarr")] * 32, [*range(16), *range(16)]))
    assert_blocks(tmp_path / "a.zarr")
    create(tmp_path / "b.zarr", layout)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        list(processes.map(block, [str(tmp_path / "b.zarr")] * 16, range(16)))
    assert_blocks(tmp_path / "b.zarr")


def test_an_existing_image_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.zarr"
    write_all(path, Layout("YX", (4, 4), INT32, (4, 4)), np.ones((4, 4), np.int32))
    other = Layout("YX", (3, 3), np.dtype(np.float32), (4, 4), version="0.4")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        create(path, other)
    create(path, other, overwrite=True)
    write(
        path, ((0, 3), (0, 3)), np.full((3, 3), 2, np.float32)
    )  # not into what is remembered of the old one
    (source,) = open_sources(path)
    assert (source.read(((0, 3), (0, 3))) == 2).all()


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_no_zarr_is_never_deleted(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "precious"
    kept = path if kind == "file" else path / "notes.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("x")
    with pytest.raises(OutputExistsError, match="precious is there and is no Zarr, so it is not replaced"):
        create(path, Layout("YX", (4, 4), INT32, (4, 4)), overwrite=True)
    assert kept.read_text() == "x"


def test_blocks_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    create(path, Layout("YX", (10, 20), INT32, (4, 4), (8, 8)))
    zeros = np.zeros((8, 8), np.int32)
    with pytest.raises(ShapeError, match=r"a block 8 x 8 was given for a region 2 x 8 of .*which is 10 x 20"):
        write(path, ((8, 10), (0, 8)), zeros)
    with pytest.raises(ShapeError, match="a block 8 x 8 was given for a region 1 x 8 x 8"):
        write(path, ((0, 1), (0, 8), (0, 8)), zeros)
    for region in (((0, 8), (4, 12)), ((0, 8), (0, 4)), ((2, 10), (0, 8)), ((8, 16), (0, 8))):
        pixels = np.zeros([b - a for a, b in region], np.int32)
        with pytest.raises(ShapeError, match="does not consist of whole blocks of 8 x 8"):
            write(path, region, pixels)
    with pytest.raises(InputError, match=r"pixels of type int64 were given for .*, which holds int32"):
        write(path, ((0, 8), (0, 8)), zeros.astype(np.int64))
    with pytest.raises(ShapeError, match=r"time point 0 was given for .*, whose axes are YX"):
        write(path, ((0, 8), (0, 8)), zeros, frame=0)
    create(tmp_path / "t.zarr", Layout("TYX", (2, 8, 8), INT32, (8, 8)))
    with pytest.raises(ShapeError, match="time point None was given"):
        write(tmp_path / "t.zarr", ((0, 8), (0, 8)), zeros)
    with pytest.raises(ShapeError, match="does not consist of whole blocks"):
        write(tmp_path / "t.zarr", ((0, 8), (0, 8)), zeros, frame=2)


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.zarr"
    create(path, Layout("YX", (8, 8), INT32, (8, 8)))
    write(path, ((0, 8), (0, 8)), np.ones((8, 8), np.int32))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("zarr.storage._local._put", full)
    with pytest.raises(
        OutputError, match=r"cannot write .*a\.zarr: No space left on device; free some space"
    ):
        write(path, ((0, 8), (0, 8)), np.zeros((8, 8), np.int32))
    with pytest.raises(OutputError, match="No space left"):
        create(tmp_path / "b.zarr", Layout("YX", (8, 8), INT32, (8, 8)))
    monkeypatch.undo()
    (source,) = open_sources(path)
    assert (source.read(((0, 8), (0, 8))) == 1).all()


KILLED_WHILE_WRITING = """
import os, sys
from pathlib import Path
import numpy as np
from unseam.io.ome_zarr.write import write
Path.replace = lambda *_: os._exit(9)
write(sys.argv[1], ((0, 8), (0, 8)), np.zeros((8, 8), np.int32))
"""


def test_a_chunk_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    # The rest relies on it: zarr writes beside the chunk and renames; a kill before that leaves the old one.
    path = tmp_path / "a.zarr"
    create(path, Layout("YX", (8, 8), INT32, (8, 8)))
    write(path, ((0, 8), (0, 8)), np.ones((8, 8), np.int32))
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)], timeout=60, check=False)
    assert killed.returncode == 9
    assert len(list(path.rglob("*.partial"))) == 1
    (source,) = open_sources(path)
    assert (source.read(((0, 8), (0, 8))) == 1).all()
    assert missing_chunks(path).count == 0


def test_a_level_that_is_as_it_should_be_is_left_alone(tmp_path: Path) -> None:
    layout = Layout("YX", (8, 8), INT32, (8, 8))
    create(tmp_path / "a.zarr", layout)
    write(tmp_path / "a.zarr", ((0, 8), (0, 8)), np.ones((8, 8), np.int32))
    write_module.create_level(tmp_path / "a.zarr", 0, layout)
    assert zarr.open_array(tmp_path / "a.zarr" / "0", mode="r")[0, 0] == 1
    write_module.create_level(tmp_path / "a.zarr", 0, Layout("YX", (4, 8), INT32, (8, 8)))
    assert zarr.open_array(tmp_path / "a.zarr" / "0", mode="r").shape == (4, 8)
