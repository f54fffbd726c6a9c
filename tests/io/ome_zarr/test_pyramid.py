"""The coarser levels: made shard by shard, in any order, with the same result."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.io.ome_zarr.test_write import write_all
from tests.reference import pyramid as reference

from unseam.errors import FileReadError
from unseam.grid import BlockGrid
from unseam.io.ome_zarr import layout as layout_module
from unseam.io.ome_zarr.layout import Layout
from unseam.io.ome_zarr.metadata import read_multiscale
from unseam.io.ome_zarr.pyramid import add_levels, build_block, build_pyramid, coarsen, list_levels
from unseam.io.ome_zarr.write import create, write
from unseam.io.open import open_sources

INT32 = np.dtype(np.int32)
FLOAT32 = np.dtype(np.float32)


@pytest.fixture(autouse=True)
def small_pyramids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Go on until 10 pixels, so that tiny images have levels too."""
    monkeypatch.setattr(layout_module, "_SMALLEST_SIDE", 10)


def test_coarsen_by_hand() -> None:
    pixels = np.array([[0, 1, 2], [4, 5, 9]])
    assert coarsen(pixels, (2, 2), mean=False).tolist() == [[0, 2]]
    assert coarsen(pixels.astype(np.float32), (2, 2), mean=True).tolist() == [[2.5, 5.5]]
    assert coarsen(pixels, (2, 2), mean=True).tolist() == [[2, 6]]  # 2.5 and 5.5, halves to even
    assert coarsen(pixels, (1, 2), mean=False).tolist() == [[0, 2], [4, 9]]


@settings(deadline=None)
@given(data=st.data())
def test_coarsen_as_the_reference(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)))
    step = tuple(data.draw(st.integers(1, 2)) for _ in shape)
    mean = data.draw(st.booleans())
    pixels = np.random.default_rng(math.prod(shape)).random(shape)
    result = coarsen(pixels, step, mean=mean)
    assert np.allclose(result, reference.coarsen(pixels, step, mean=mean), rtol=1e-12, atol=0)
    if not mean:
        assert np.array_equal(result, reference.coarsen(pixels, step, mean=False))


def pixels_of(path: Path) -> list[np.ndarray]:
    return [
        np.asarray(zarr.open_array(path / one.path, mode="r")[...]) for one in read_multiscale(path).levels
    ]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize(
    ("axes", "shape"), [("YX", (37, 25)), ("CYX", (2, 37, 25)), ("TCZYX", (2, 1, 3, 37, 13))]
)
def test_levels(tmp_path: Path, version: str, labels: bool, axes: str, shape: tuple[int, ...]) -> None:
    dims = 3 if "Z" in axes else 2
    spacing, origin = (0.7, 0.5, 0.25)[-dims:], (5.0, 6.0, 7.0)[-dims:]
    chunk, shard = (2, 8, 8)[-dims:], (4, 16, 16)[-dims:] if version == "0.5" else None
    dtype = INT32 if labels else FLOAT32
    array = np.random.default_rng(0).integers(0, 50, shape).astype(dtype)
    path = tmp_path / "a.zarr"
    write_all(path, Layout(axes, shape, dtype, chunk, shard, spacing, origin, version, labels), array)
    assert len(read_multiscale(path).levels) == 1  # until they are made, coarser levels are not listed
    told: list[tuple[int, int]] = []
    build_pyramid(path, on_step=lambda done, total: told.append((done, total)))
    found = pixels_of(path)
    assert len(found) == 3 and np.array_equal(found[0], array)
    # Z is 0.7, more than 1.5 times 0.25, so it waits until X is 0.5
    for level, z in enumerate([1, 2], start=1):
        step = (1,) * (len(axes) - dims) + (z, 2, 2)[-dims:]
        expected = reference.coarsen(found[level - 1], step, mean=not labels)
        assert np.array_equal(found[level], expected.astype(dtype))
    (source, *_) = open_sources(path, select="level=2")
    factor = np.array((2, 4, 4)[-dims:])
    assert source.spacing == pytest.approx(tuple(factor * spacing))
    shift = np.zeros(dims) if labels else (factor - 1) / 2 * np.array(spacing)
    assert source.origin == pytest.approx(tuple(shift + origin))
    assert told[-1][0] == told[-1][1] == len(told)
    assert read_multiscale(path).labels is labels


def test_a_small_image_has_one_level(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    write_all(path, Layout("YX", (9, 10), INT32, (4, 4)), np.ones((9, 10), np.int32))
    before = (path / "zarr.json").read_text()
    build_pyramid(path)
    assert (path / "zarr.json").read_text() == before


def files(path: Path) -> dict[str, bytes]:
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}


def test_any_order_and_a_kill_give_the_same_files(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 50, (70, 45)).astype(np.float32)
    layout = Layout("YX", array.shape, FLOAT32, (4, 4), (8, 8))
    write_all(tmp_path / "a.zarr", layout, array)
    build_pyramid(tmp_path / "a.zarr")
    expected = files(tmp_path / "a.zarr")

    write_all(tmp_path / "b.zarr", layout, array)
    grids = add_levels(tmp_path / "b.zarr")
    assert grids[0] == BlockGrid((35, 23), (8, 8))
    for level, grid in enumerate(grids, start=1):
        for number in reversed(range(len(grid))):
            build_block(tmp_path / "b.zarr", level, number)
    list_levels(tmp_path / "b.zarr")
    assert files(tmp_path / "b.zarr") == expected

    write_all(tmp_path / "c.zarr", layout, array)
    add_levels(tmp_path / "c.zarr")
    for number in (0, 3):  # then killed
        build_block(tmp_path / "c.zarr", 1, number)
    build_pyramid(tmp_path / "c.zarr", threads=3)
    assert files(tmp_path / "c.zarr") == expected
    build_pyramid(tmp_path / "c.zarr")
    assert files(tmp_path / "c.zarr") == expected


def test_other_metadata_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    write_all(path, Layout("YX", (20, 20), INT32, (8, 8), labels=True), np.ones((20, 20), np.int32))
    group = zarr.open_group(path, mode="r+")
    group.attrs["note"] = "mine"
    build_pyramid(path)
    attributes = zarr.open_group(path, mode="r").attrs.asdict()
    assert attributes["note"] == "mine"
    assert attributes["ome"]["image-label"] == {"version": "0.5"}  # type: ignore[index,call-overload]
    assert attributes["ome"]["multiscales"][0]["type"] == "nearest"  # type: ignore[index,call-overload]


def test_a_damaged_chunk_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    write_all(path, Layout("YX", (20, 20), INT32, (8, 8)), np.ones((20, 20), np.int32))
    (path / "0" / "c" / "1" / "1").write_bytes(b"?")
    with pytest.raises(FileReadError, match=r"cannot read .*a\.zarr: it is cut short, damaged"):
        build_pyramid(path)


def test_memory_is_that_of_a_few_shards(tmp_path: Path) -> None:
    path, side, shard = tmp_path / "a.zarr", 2048, 256
    create(path, Layout("YX", (side, side), INT32, (256, 256), (shard, shard)))
    grid = BlockGrid((side, side), (shard, shard))
    for number in range(len(grid)):
        write(path, grid.region(number), np.full((shard, shard), number, np.int32))
    tracemalloc.start()
    build_pyramid(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * shard * shard * 4 + 2_000_000  # four shards read, their copies, one written
    assert peak < side * side * 4 / 2
