"""TIFF files read in parts: the same pixels as read whole, and few bytes touched."""

from __future__ import annotations

import io
import math
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unseam.errors import FileReadError, InputError, ShapeError
from unseam.grid import BlockGrid, Region, slices
from unseam.io.images import read_image
from unseam.io.open import missing_chunks, open_sources
from unseam.io.source import Source
from unseam.io.stored import Missing
from unseam.io.tiff import pages as pages_module
from unseam.io.tiff import parts as parts_module
from unseam.io.tiff import write_tiff

STACK = np.random.default_rng(0).integers(0, 255, (5, 64, 48), np.uint8)


def save(path: Path, array: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, array, **{"photometric": "minisblack", **options})
    return path


def everything(source: Source) -> Region:
    return tuple((0, n) for n in source.shape)


def assert_same_as_whole(path: Path, *, axes: str | None = None) -> None:
    """Every frame, whole and in uneven blocks, is what `read_image` gives."""
    frames = read_image(path, axes=axes).frames()
    sources = open_sources(path, axes=axes)
    assert len(sources) == len(frames)
    for source, frame in zip(sources, frames, strict=True):
        assert (source.channels, *source.shape) == frame.data.shape
        assert (source.spacing, source.dtype) == (frame.spacing, frame.data.dtype)
        assert np.array_equal(source.read(everything(source)), frame.data)
        grid = BlockGrid(source.shape, tuple(max(1, n // 2 + 1) for n in source.shape))
        for number in range(len(grid)):
            region = grid.region(number)
            pixels = source.read(region)
            assert pixels.dtype == frame.data.dtype
            assert np.array_equal(pixels, frame.data[(slice(None), *slices(region))])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int32"])
@pytest.mark.parametrize(
    ("axes", "shape", "spacing"),
    [
        ("YX", (6, 7), (0.65, 0.33)),
        ("ZYX", (4, 6, 7), (2.5, 0.65, 0.33)),
        ("TYX", (4, 6, 7), (0.65, 0.65)),
        ("CYX", (3, 6, 7), None),
        ("TCZYX", (2, 3, 4, 6, 7), (1.0, 0.1, 0.1)),
        ("YXC", (6, 7, 3), (0.5, 0.25)),
        ("ZTYX", (2, 3, 6, 7), (1.5, 0.5, 0.25)),
    ],
)
def test_what_unseam_writes(
    tmp_path: Path, dtype: str, axes: str, shape: tuple[int, ...], spacing: Any
) -> None:
    array = (np.arange(np.prod(shape)) % 120).astype(dtype).reshape(shape)
    write_tiff(tmp_path / "a.tif", array, axes=axes, spacing=spacing)
    assert_same_as_whole(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd", "packbits"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bigtiff": True},
        {"tile": (16, 16)},
        {"tile": (16, 32), "bigtiff": True},
        {"byteorder": ">"},
        {"byteorder": ">", "tile": (32, 16)},
        {"rowsperstrip": 10},
        {"predictor": 2},
    ],
)
def test_compression_and_layout(tmp_path: Path, compression: str | None, options: dict[str, Any]) -> None:
    if "predictor" in options and compression is None:
        options = {}
    stack = STACK.astype(np.uint16) * 250
    save(tmp_path / "a.tif", stack, compression=compression, metadata={"axes": "ZYX"}, **options)
    assert_same_as_whole(tmp_path / "a.tif")


WAYS: dict[str, dict[str, Any]] = {
    "plain": {"metadata": None},
    "plain deflate": {"metadata": None, "compression": "zlib"},
    "jpeg": {"compression": "jpeg", "metadata": None, "tile": (16, 16)},
    "imagej": {"imagej": True, "metadata": {"axes": "ZYX", "unit": "um", "spacing": 3}, "resolution": (4, 2)},
    "imagej deflate": {"imagej": True, "compression": "zlib", "metadata": {"axes": "TYX"}},
    "ome": {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}},
    "ome tiles": {"ome": True, "compression": "zlib", "tile": (32, 32), "metadata": {"axes": "CYX"}},
    "centimetres": {"metadata": None, "resolution": (50_000, 50_000), "resolutionunit": "CENTIMETER"},
    "volume tiles": {"metadata": {"axes": "ZYX"}, "tile": (4, 16, 16), "volumetric": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_flavours(tmp_path: Path, way: str) -> None:
    save(tmp_path / "a.tif", STACK, **WAYS[way])
    axes = "ZYX" if WAYS[way]["metadata"] is None else None
    assert_same_as_whole(tmp_path / "a.tif", axes=axes)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_samples(tmp_path: Path, compression: str | None, tile: tuple[int, int] | None) -> None:
    rgb = np.ascontiguousarray(STACK[:3].transpose(1, 2, 0))
    for planar, array in (("contig", rgb), ("separate", STACK[:3])):
        path = tmp_path / f"{planar}.tif"
        save(path, array, photometric="rgb", planarconfig=planar, compression=compression, tile=tile)
        assert_same_as_whole(path)


def test_bits_are_zero_and_one(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", STACK[0] > 99)
    assert_same_as_whole(tmp_path / "a.tif")


def test_transparency(tmp_path: Path) -> None:
    rgba = np.ascontiguousarray(STACK[:4].transpose(1, 2, 0))
    rgba[..., 3] = 255
    options: dict[str, Any] = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
    assert_same_as_whole(save(tmp_path / "rgba.tif", rgba, **options))
    grey = np.ascontiguousarray(rgba[..., 2:])
    path = save(tmp_path / "la.tif", grey, planarconfig="contig", extrasamples=["unassalpha"])
    assert_same_as_whole(path)
    path = save(tmp_path / "zip.tif", grey, planarconfig="contig", extrasamples=["unassalpha"], tile=(16, 16))
    assert_same_as_whole(path)
    assert missing_chunks(path) == Missing(0, 12)
    path = save(tmp_path / "tiles.tif", rgba, tile=(32, 32), compression="zlib", **options)
    assert_same_as_whole(path)
    assert missing_chunks(path, select="c=1, y=0:9") == Missing(0, 2)
    planes = np.ascontiguousarray(rgba.transpose(2, 0, 1))
    assert_same_as_whole(save(tmp_path / "planes.tif", planes, planarconfig="separate", **options))
    (source,) = open_sources(tmp_path / "rgba.tif", select="c=1:3")
    assert np.array_equal(source.read(((2, 9), (3, 5))), STACK[1:3, 2:9, 3:5])
    rgba[50, 40, 3] = 7
    (source,) = open_sources(save(tmp_path / "varying.tif", rgba, **options))
    assert np.array_equal(source.read(((0, 40), (0, 48))), STACK[:3, :40])
    with pytest.raises(InputError, match=r"varying\.tif has a transparency \(alpha\) that differs"):
        source.read(((40, 64), (0, 48)))


def test_infinite_pixels_are_refused_where_they_are_read(tmp_path: Path) -> None:
    array = np.zeros((64, 48), np.float32)
    array[60, 1] = np.inf
    (source,) = open_sources(save(tmp_path / "a.tif", array))
    assert not source.read(((0, 60), (0, 48))).any()
    with pytest.raises(InputError, match="has 1 pixels that are NaN or infinite"):
        source.read(((32, 64), (0, 48)))


def pyramid(path: Path, sizes: tuple[int, ...] = (200, 100, 50)) -> np.ndarray:
    """A tiled BigTIFF with levels in SubIFDs, as OME writes them; the finest level."""
    fine = np.random.default_rng(1).integers(0, 255, (sizes[0], sizes[0]), np.uint8)
    metadata = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    options: dict[str, Any] = {"photometric": "minisblack", "tile": (32, 32), "compression": "zlib"}
    with tifffile.TiffWriter(path, ome=True, bigtiff=True) as writer:
        writer.write(fine, subifds=len(sizes) - 1, metadata=metadata, **options)
        for size in sizes[1:]:
            step = round(sizes[0] / size)
            writer.write(fine[::step, ::step], subfiletype=1, **options)
    return fine


def test_levels_of_a_pyramid(tmp_path: Path) -> None:
    fine = pyramid(tmp_path / "a.ome.tif")
    assert_same_as_whole(tmp_path / "a.ome.tif")
    (source,) = open_sources(tmp_path / "a.ome.tif", select="level=2, y=10:40")
    assert (source.shape, source.spacing, source.origin) == ((30, 50), (1.0, 2.0), (10.0, 0.0))
    assert np.array_equal(source.read(((0, 30), (0, 50)))[0], fine[40:160:4, ::4])
    with pytest.raises(InputError, match=r"a\.ome\.tif has no level 3; its levels are 0 to 2"):
        open_sources(tmp_path / "a.ome.tif", select="level=3")


def test_sizes_that_were_rounded_give_whole_steps(tmp_path: Path) -> None:
    pyramid(tmp_path / "a.ome.tif", (201, 101))
    (source,) = open_sources(tmp_path / "a.ome.tif", select="level=1")
    assert source.spacing == (0.5, 1.0)


def test_a_label_and_a_thumbnail_do_not_disturb(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(STACK[0], photometric="minisblack", metadata=None)
        writer.write(STACK[0, ::2, ::2], photometric="minisblack", metadata=None, subfiletype=1)
    assert_same_as_whole(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_small_region_of_a_large_file_reads_little(
    tmp_path: Path, compression: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = np.random.default_rng(0).integers(0, 255, (4096, 4096), np.uint8)
    path = save(tmp_path / "a.tif", large, tile=(256, 256), compression=compression, bigtiff=True)
    (source,) = open_sources(path)
    assert source.chunk == (256, 256)
    got: list[int] = []

    class Counting(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:  # type: ignore[override]
            data = super().read(-1 if size is None else size)
            got.append(len(data))
            return data

    monkeypatch.setattr(Path, "open", lambda self, mode="r": Counting(str(self), mode))
    tracemalloc.start()
    pixels = source.read(((250, 262), (1000, 1500)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(pixels[0], large[250:262, 1000:1500])
    tiles = 2 * 3  # rows 0 to 511, columns 768 to 1535
    assert len(got) == tiles and sum(got) < tiles * 256 * 256 * 1.01
    assert peak < 1_000_000


def test_a_plane_in_one_strip_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.tif", STACK.astype(np.uint16), metadata={"axes": "ZYX"}, byteorder=">")
    (source,) = open_sources(path)
    monkeypatch.setattr(pages_module.Pages, "_fill", None)  # reading segments would fail
    assert np.array_equal(source.read(((1, 3), (5, 6), (7, 9)))[0], STACK[1:3, 5:6, 7:9])


def test_a_kind_that_only_tifffile_can_put_together_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_module, "open_pages", lambda _series: None)
    path = save(tmp_path / "a.tif", STACK, compression="zlib", metadata={"axes": "ZYX"})
    assert_same_as_whole(path)
    assert missing_chunks(path) == Missing(0, 1)


def test_several_threads_read_at_once(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", STACK, tile=(16, 16), compression="zlib", metadata={"axes": "ZYX"})
    (source,) = open_sources(path)
    grid = BlockGrid(source.shape, (1, 20, 20))
    with ThreadPoolExecutor(8) as pool:
        blocks = list(pool.map(lambda n: source.read(grid.region(n % len(grid))), range(4 * len(grid))))
    for number, block in enumerate(blocks):
        assert np.array_equal(block[0], STACK[slices(grid.region(number % len(grid)))])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_region_of_any_layout(tmp_path: Path, data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 50), st.integers(1, 50)))
    tile = data.draw(st.sampled_from([None, (16, 16), (32, 16)]))
    compression = data.draw(st.sampled_from([None, "zlib"]))
    array = np.random.default_rng(math.prod(shape)).integers(0, 9, shape, np.uint8)
    path = save(tmp_path / "a.tif", array, tile=tile, compression=compression, metadata={"axes": "ZYX"})
    (source,) = open_sources(path)
    region = tuple(
        (start, data.draw(st.integers(start + 1, n)))
        for n in source.shape
        for start in [data.draw(st.integers(0, n - 1))]
    )
    expected = array if len(source.shape) == 3 else array[0]
    assert np.array_equal(source.read(region)[0], expected[slices(region)])


def test_absent_tiles_read_as_zero_and_are_counted(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        tiles = iter([np.full((16, 16), 9, np.uint8), None, None, np.full((16, 16), 8, np.uint8)])
        writer.write(tiles, shape=(32, 32), dtype=np.uint8, tile=(16, 16), photometric="minisblack")
    (source,) = open_sources(tmp_path / "a.tif")
    corners = source.read(((15, 17), (15, 17)))[0]
    assert corners.tolist() == [[9, 0], [0, 8]]
    assert missing_chunks(tmp_path / "a.tif") == Missing(2, 4)
    assert missing_chunks(tmp_path / "a.tif", select="x=0:16") == Missing(1, 2)


@pytest.mark.parametrize("way", ["imagej deflate", "ome tiles", "plain", "imagej"])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.995])
def test_a_file_cut_short_is_an_error(
    tmp_path: Path, way: str, part: float, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = save(tmp_path / "a.tif", STACK, **WAYS[way]).read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(FileReadError, match=r"a\.tif: it is cut short, damaged or not what its name says"):
        open_sources(tmp_path / "a.tif", axes="ZYX")
    assert capfd.readouterr().err == ""


def test_damage_after_opening_is_an_error(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", STACK[0], tile=(16, 16), compression="zlib")
    (source,) = open_sources(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(FileReadError, match="should end at byte"):
        source.read(everything(source))
    path.write_bytes(whole[: len(whole) // 2] + b"?" * (len(whole) - len(whole) // 2))
    with pytest.raises(FileReadError, match="damaged"):
        source.read(everything(source))


def test_axes_must_be_clear_and_fit(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", STACK, metadata=None, compression="zlib")
    with pytest.raises(InputError, match="does not say what its axes are; give --axes ZYX"):
        open_sources(path)
    with pytest.raises(ShapeError, match="axes TZYX name 4 axes, but the array has 3"):
        open_sources(path, axes="TZYX")
    assert len(open_sources(path, axes="TYX")) == 5


def test_selecting_from_a_series(tmp_path: Path) -> None:
    array = np.arange(2 * 3 * 4 * 5 * 6, dtype=np.uint16).reshape(2, 3, 4, 5, 6)
    write_tiff(tmp_path / "a.tif", array, axes="TCZYX", spacing=(2.0, 0.5, 0.5))
    (source,) = open_sources(tmp_path / "a.tif", select="t=1, z=2, c=0+2, x=3:")
    assert (source.shape, source.channels, source.frame, source.spacing) == ((5, 3), 2, None, (0.5, 0.5))
    assert np.array_equal(source.read(((1, 4), (0, 2))), array[1, [0, 2], 2, 1:4, 3:5])
    assert source.origin == (0.0, 1.5)
    one, two = open_sources(tmp_path / "a.tif", select="z=1:2")
    assert (one.shape, one.origin, two.frame) == ((1, 5, 6), (2.0, 0.0, 0.0), 1)
    assert "time point 1" in two.name


def test_complex_pixels_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.zeros((16, 16), np.complex64))
    with pytest.raises(InputError, match="holds values of type complex64; expected integers or floats"):
        open_sources(path)
