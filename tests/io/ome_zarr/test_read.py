"""OME-Zarr read in parts: canonical axes, selections, absent and damaged chunks."""

from __future__ import annotations

import math
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unseam.axes import to_canonical
from unseam.errors import FileReadError, InputError
from unseam.grid import BlockGrid, slices
from unseam.io.ome_zarr import read as read_module
from unseam.io.open import missing_chunks, open_sources
from unseam.io.stored import Missing

TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


def store(path: Path, data: np.ndarray, axes: str, *, version: str = "0.5", **options: Any) -> Path:
    """An OME-Zarr image of one level, its pixels 0.5 micrometres long, made with zarr alone."""
    named = [
        {"name": a, "type": TYPES[a]} | ({"unit": "micrometer"} if a in "zyx" else {}) for a in axes.lower()
    ]
    steps = [{"type": "scale", "scale": [0.5] * len(axes)}]
    image = {"axes": named, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    if version == "0.5":
        zarr.create_group(path, attributes={"ome": {"version": version, "multiscales": [image]}})
    else:
        attributes = {"multiscales": [{"version": version, **image}]}
        zarr.create_group(path, zarr_format=2, attributes=attributes)
    zarr.create_array(path / "0", data=data, zarr_format=3 if version == "0.5" else 2, **options)
    return path


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_region_of_any_axes(tmp_path: Path, data: st.DataObject) -> None:
    axes = "".join(
        data.draw(st.permutations(data.draw(st.sampled_from(["YX", "CYX", "TYX", "ZYX", "TCZYX"]))))
    )
    shape = tuple(data.draw(st.integers(1, 9)) for _ in axes)
    chunks = tuple(data.draw(st.integers(1, 4)) for _ in axes)
    version = data.draw(st.sampled_from(["0.4", "0.5"]))
    shards = data.draw(st.sampled_from([None, tuple(2 * c for c in chunks)])) if version == "0.5" else None
    array = np.arange(math.prod(shape), dtype=np.uint16).reshape(shape)
    name = tmp_path / f"{len(list(tmp_path.iterdir()))}.zarr"
    found = open_sources(store(name, array, axes, version=version, chunks=chunks, shards=shards))
    canonical = to_canonical(array, axes)
    if "T" not in axes:
        canonical = canonical[None]
    assert len(found) == len(canonical)
    for frame, (source, expected) in enumerate(zip(found, canonical, strict=True)):
        if "Z" in axes and expected.shape[1] == 1:
            expected = expected[:, 0]
        assert source.frame == (frame if len(found) > 1 else None)
        assert (source.channels, *source.shape) == expected.shape
        assert source.spacing == (0.5,) * len(source.shape)
        grid = BlockGrid(source.shape, tuple(data.draw(st.integers(3, 9)) for _ in source.shape))
        for number in range(len(grid)):
            region = grid.region(number)
            assert np.array_equal(source.read(region), expected[(slice(None), *slices(region))])


def test_five_axes_with_one_plane_are_an_image(tmp_path: Path) -> None:
    array = np.arange(2 * 12, dtype=">u2").reshape(1, 2, 1, 3, 4)
    path = store(tmp_path / "a.zarr", array, "TCZYX", version="0.4", chunks=(1, 1, 1, 2, 2))
    (source,) = open_sources(path)
    assert (source.shape, source.channels, source.frame, source.chunk) == ((3, 4), 2, None, (2, 2))
    assert source.dtype == np.uint16 and source.dtype.isnative
    pixels = source.read(((0, 3), (0, 4)))
    assert pixels.dtype.isnative and pixels.flags.c_contiguous
    assert np.array_equal(pixels, array[0, :, 0])
    (volume,) = open_sources(path, select="z=0:1")
    assert volume.shape == (1, 3, 4)
    (series,) = open_sources(path, select="t=0:1")
    assert series.frame == 0


def test_a_selection_is_the_image_from_then_on(tmp_path: Path) -> None:
    array = np.arange(4 * 3 * 5 * 6 * 7).reshape(4, 3, 5, 6, 7)
    path = store(tmp_path / "a.zarr", array, "TCZYX")
    one, two = open_sources(path, select="t=1:3, z=2, c=0+2, y=2:, x=1:5")
    assert (one.frame, two.frame, two.shape, two.channels) == (0, 1, (4, 4), 2)
    assert two.origin == (1.0, 0.5)
    assert np.array_equal(two.read(((1, 3), (0, 4))), array[2][[0, 2], 2, 3:5, 1:5])
    with pytest.raises(InputError, match=r"z=5 was asked for, but Z of .*a\.zarr goes from 0 to 4"):
        open_sources(path, select="z=5")
    (volume,) = open_sources(path, select="t=0, z=1:4")
    assert (volume.shape, volume.origin) == ((3, 6, 7), (0.5, 0.0, 0.0))


def test_a_selected_axis_must_be_there(tmp_path: Path) -> None:
    path = store(tmp_path / "a.zarr", np.zeros((3, 4)), "YX")
    with pytest.raises(InputError, match=r"has no axis Z, it has Y of length 3, X of length 4; leave z= out"):
        open_sources(path, select="z=0")


def test_axes_that_are_given_count(tmp_path: Path) -> None:
    path = store(tmp_path / "a.zarr", np.zeros((2, 3, 4), np.uint8), "ZYX")
    (source,) = open_sources(path, axes="CYX")
    assert (source.channels, source.shape, source.spacing) == (2, (3, 4), (0.5, 0.5))


def test_booleans_are_zero_and_one(tmp_path: Path) -> None:
    (source,) = open_sources(store(tmp_path / "a.zarr", np.eye(3, dtype=bool), "YX"))
    assert source.dtype == np.uint8
    assert np.array_equal(source.read(((0, 3), (0, 3)))[0], np.eye(3))


def test_pixels_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    (source,) = open_sources(store(tmp_path / "a.zarr", np.array([[1.0, np.nan]]), "YX"))
    assert source.read(((0, 1), (0, 1))) == 1
    with pytest.raises(InputError, match=r"a\.zarr has 1 pixels that are NaN or infinite"):
        source.read(((0, 1), (0, 2)))


def test_several_threads_read_at_once(tmp_path: Path) -> None:
    array = np.arange(64 * 64, dtype=np.int32).reshape(64, 64)
    (source,) = open_sources(store(tmp_path / "a.zarr", array, "YX", chunks=(8, 8), shards=(32, 32)))
    grid = BlockGrid((64, 64), (13, 17))
    with ThreadPoolExecutor(8) as pool:
        blocks = list(pool.map(lambda number: source.read(grid.region(number)), range(len(grid))))
    for number, block in enumerate(blocks):
        assert np.array_equal(block[0], array[slices(grid.region(number))])


def files(path: Path) -> list[Path]:
    return sorted(
        file for file in (path / "0").rglob("*") if file.is_file() and file.name[0] in "c0123456789"
    )


@pytest.mark.parametrize(
    ("version", "options"),
    [
        ("0.4", {"chunk_key_encoding": {"name": "v2", "separator": "."}}),
        ("0.4", {"chunk_key_encoding": {"name": "v2", "separator": "/"}}),
        ("0.5", {}),
        ("0.5", {"chunk_key_encoding": {"name": "default", "separator": "."}}),
        ("0.5", {"chunk_key_encoding": {"name": "v2", "separator": "."}}),
        ("0.5", {"shards": (4, 4)}),
    ],
)
def test_chunks_that_are_absent(tmp_path: Path, version: str, options: dict[str, Any]) -> None:
    step = 4 if "shards" in options else 2
    path = store(tmp_path / "a.zarr", np.ones((7, 9)), "YX", version=version, chunks=(2, 2), **options)
    rows, columns = math.ceil(7 / step), math.ceil(9 / step)
    assert len(files(path)) == rows * columns
    assert missing_chunks(path) == Missing(0, rows * columns)
    first = next(file for file in files(path))  # the one of pixel 0, 0
    first.rename(first.with_suffix(".1234.partial"))  # as a kill while writing leaves it
    assert missing_chunks(path) == Missing(1, rows * columns)
    assert missing_chunks(path, select="y=4:6, x=4:9") == Missing(0, math.ceil(9 / step) - 4 // step)
    assert missing_chunks(path, select="y=0:1, x=0:1") == Missing(1, 1)
    (source,) = open_sources(path)
    assert not source.read(((0, 1), (0, 1))).any()
    assert source.read(((4, 5), (4, 5))).all()


def test_each_folder_is_listed_once_and_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Names(set[str]):
        """A set that can be referred to weakly."""

    path = store(tmp_path / "a.zarr", np.ones((8, 10, 6)), "ZYX", chunks=(2, 2, 2))
    plain, most = read_module._listing, 0
    listed: list[weakref.ref[Names]] = []

    def listing(folder: Path) -> set[str]:
        nonlocal most
        names = Names(plain(folder))
        listed.append(weakref.ref(names))
        most = max(most, sum(known() is not None for known in listed))
        return names

    monkeypatch.setattr(read_module, "_listing", listing)
    assert missing_chunks(path) == Missing(0, 4 * 5 * 3)
    assert (len(listed), most) == (4 * 5, 2)  # the last one and the one that takes its place


@pytest.mark.parametrize("compressors", ["auto", None])
@pytest.mark.parametrize(("version", "shards"), [("0.4", None), ("0.5", None), ("0.5", (32, 32))])
@pytest.mark.parametrize("keep", [0, 20, -10])
def test_a_chunk_cut_short_is_an_error(
    tmp_path: Path, version: str, shards: Any, compressors: Any, keep: int
) -> None:
    data = np.random.default_rng(0).random((32, 32))
    path = store(
        tmp_path / "a.zarr",
        data,
        "YX",
        version=version,
        chunks=(16, 16),
        shards=shards,
        compressors=compressors,
    )
    first = files(path)[0]
    first.write_bytes(first.read_bytes()[:keep])
    (source,) = open_sources(path)
    with pytest.raises(FileReadError, match=r"cannot read .*a\.zarr: it is cut short, damaged or not what"):
        source.read(((0, 16), (0, 16)))
