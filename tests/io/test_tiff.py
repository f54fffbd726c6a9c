"""TIFF files: axes, pixel size and pixels survive; damage is noticed."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from unseam.axes import to_canonical
from unseam.errors import FileReadError, InputError, OutputExistsError, ShapeError
from unseam.io.images import read_image
from unseam.io.tiff import read_tiff, write_tiff

STACK = np.random.default_rng(0).integers(0, 255, (5, 64, 48), np.uint8)


def save(path: Path, array: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, array, **{"photometric": "minisblack", **options})
    return path


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "float32", "uint32", "int32", "float64", "int8", "int16"]
)
@pytest.mark.parametrize(
    ("axes", "shape", "spacing"),
    [
        ("YX", (6, 7), (0.65, 0.33)),
        ("ZYX", (4, 6, 7), (2.5, 0.65, 0.33)),
        ("TYX", (4, 6, 7), (0.65, 0.65)),
        ("CYX", (3, 6, 7), None),
        ("CZYX", (2, 4, 6, 7), (0.01, 0.004, 0.004)),
        ("TCZYX", (2, 3, 4, 6, 7), (1.0, 0.1, 0.1)),
        ("YXC", (6, 7, 3), (0.5, 0.25)),
        ("ZTYX", (2, 3, 6, 7), (1.5, 0.5, 0.25)),
    ],
)
def test_round_trip(tmp_path: Path, dtype: str, axes: str, shape: tuple[int, ...], spacing: Any) -> None:
    # From 70000 up, 32-bit values keep their 32 bits; minus one keeps the sign.
    start = {"uint32": 70_000, "int32": -1}.get(dtype, 0)
    array = (np.arange(np.prod(shape)) % 120 + start).astype(dtype).reshape(shape)
    write_tiff(tmp_path / "a.tif", array, axes=axes, spacing=spacing)
    image = read_image(tmp_path / "a.tif")
    assert image.data.dtype == dtype
    assert np.array_equal(image.data, to_canonical(array, axes))
    assert set(image.axes) == set(axes) | {"C"}
    assert image.spacing == (None if spacing is None else pytest.approx(spacing, rel=1e-6))


@pytest.mark.parametrize(
    ("dtype", "low", "high", "stored"),
    [
        ("int32", 0, 65535, "uint16"),
        ("int64", 0, 65536, "uint32"),
        ("uint64", 0, 2**32 - 1, "uint32"),
        ("int64", -1, 70000, "int32"),
        ("float16", 0, 1, "float32"),
        ("bool", 0, 1, "uint8"),
    ],
)
def test_types_are_stored_without_loss(tmp_path: Path, dtype: str, low: int, high: int, stored: str) -> None:
    array = np.array([[low, high]]).astype(dtype)
    write_tiff(tmp_path / "a.tif", array, axes="YX")
    data = tifffile.imread(tmp_path / "a.tif")
    assert data.dtype == stored
    assert data.tolist() == [[0, 255]] if dtype == "bool" else [[low, high]]


def test_imagej_and_tifffile_understand_what_is_written(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", STACK, axes="ZYX", spacing=(2.0, 0.5, 0.25))
    write_tiff(tmp_path / "b.tif", STACK.astype(np.int32) + 70_000, axes="ZYX", spacing=(2.0, 0.5, 0.25))
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_imagej
        assert tif.series[0].axes == "ZYX"
        assert tif.imagej_metadata is not None
        assert (tif.imagej_metadata["unit"], tif.imagej_metadata["spacing"]) == ("um", 2.0)
        assert tif.pages[0].tags["XResolution"].value == (4, 1)
        assert tif.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE
    with tifffile.TiffFile(tmp_path / "b.tif") as tif:
        assert tif.is_ome
        assert tif.series[0].axes == "ZYX"
        assert 'PhysicalSizeZ="2.0"' in str(tif.ome_metadata)
        assert tif.pages[0].tags["XResolution"].value == (40000, 1)


def test_the_name_ome_tif_gives_ome(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.ome.tif", STACK, axes="TYX", spacing=(0.5, 0.5))
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        assert tif.is_ome
    image = read_image(tmp_path / "a.ome.tif")
    assert (image.axes, image.spacing) == ("TCYX", (0.5, 0.5))


@pytest.mark.parametrize(("unit", "factor"), [("µm", 1), ("nm", 1e-3), ("mm", 1e3), (None, 1)])
def test_units_of_ome(tmp_path: Path, unit: str | None, factor: float) -> None:
    metadata: dict[str, Any] = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 2.0}
    if unit:
        metadata |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    path = save(tmp_path / "a.tif", STACK[0], ome=True, metadata=metadata)
    assert read_tiff(path).spacing == pytest.approx({"Y": 2 * factor, "X": 0.5 * factor})


def test_a_unit_that_is_no_length_gives_no_size(tmp_path: Path) -> None:
    metadata = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "pixel"}
    assert read_tiff(save(tmp_path / "a.tif", STACK[0], ome=True, metadata=metadata)).spacing == {}


@pytest.mark.parametrize(
    ("unit", "factor"), [("um", 1), ("micron", 1), ("\\u00B5m", 1), ("nm", 1e-3), ("inch", 0), ("pixel", 0)]
)
def test_units_of_imagej(tmp_path: Path, unit: str, factor: float) -> None:
    path = save(
        tmp_path / "a.tif",
        STACK,
        imagej=True,
        resolution=(4, 2),
        metadata={"axes": "ZYX", "unit": unit, "spacing": 3},
    )
    expected = {"Z": 3 * factor, "Y": 0.5 * factor, "X": 0.25 * factor} if factor else {}
    assert read_tiff(path).spacing == pytest.approx(expected)


@pytest.mark.parametrize(
    ("per_unit", "unit", "um"),
    [
        (10_000, "CENTIMETER", 1.0),
        (50_000, "CENTIMETER", 0.2),
        (100, "CENTIMETER", 100.0),
        (99, "CENTIMETER", None),  # 101 um: no microscope
        (300 / 2.54, "CENTIMETER", None),  # 300 dots per inch, a printing density
        (118, "CENTIMETER", None),  # the same, rounded
        (1200 / 2.54, "CENTIMETER", None),
        (25_400, "INCH", None),
        (72, "INCH", None),
        (10_000, "NONE", None),
    ],
)
def test_plain_resolution_counts_only_where_it_is_of_a_microscope(
    tmp_path: Path, per_unit: float, unit: str, um: float | None
) -> None:
    path = save(
        tmp_path / "a.tif", STACK[0], metadata=None, resolution=(per_unit, per_unit), resolutionunit=unit
    )
    assert read_tiff(path).spacing == ({} if um is None else pytest.approx({"Y": um, "X": um}))


def test_the_size_is_none_unless_known_along_each_axis(tmp_path: Path) -> None:
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    path = save(tmp_path / "a.tif", STACK, ome=True, metadata=metadata)
    assert read_image(path).spacing is None
    assert read_image(path, axes="TYX").spacing == (0.5, 0.5)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd", "packbits"])
@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"tile": (16, 16)}, {"byteorder": ">"}])
def test_compression_and_layout_change_no_pixel(
    tmp_path: Path, compression: str | None, options: dict[str, Any]
) -> None:
    stack = STACK.astype(np.uint16) * 250
    path = save(tmp_path / "a.tif", stack, compression=compression, metadata={"axes": "ZYX"}, **options)
    image = read_image(path)
    assert image.axes == "CZYX"
    assert np.array_equal(image.data[0], stack)
    assert image.data.dtype.isnative


def test_jpeg_compression(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.full((32, 32), 99, np.uint8), compression="jpeg")
    assert (read_image(path).data == 99).all()


def test_samples_are_channels(tmp_path: Path) -> None:
    rgb = np.ascontiguousarray(STACK[:3].transpose(1, 2, 0))
    for planar, array in (("contig", rgb), ("separate", STACK[:3])):
        path = save(tmp_path / f"{planar}.tif", array, photometric="rgb", planarconfig=planar)
        image = read_image(path)
        assert image.axes == "CYX"
        assert np.array_equal(image.data, STACK[:3])


def test_transparency_is_dropped_where_constant_and_refused_where_not(tmp_path: Path) -> None:
    rgba = np.ascontiguousarray(STACK[:4].transpose(1, 2, 0))
    path = save(tmp_path / "varying.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
    with pytest.raises(InputError, match=r"varying\.tif has a transparency"):
        read_image(path)
    rgba[..., 3] = 255
    path = save(tmp_path / "rgba.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
    assert np.array_equal(read_image(path).data, STACK[:3])
    grey = np.ascontiguousarray(rgba[..., 2:])
    path = save(tmp_path / "la.tif", grey, planarconfig="contig", extrasamples=["unassalpha"])
    assert np.array_equal(read_image(path).data, STACK[2:3])


def test_images_of_different_shape_in_one_file_are_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for size in (4, 5, 6, 7):
            writer.write(np.zeros((size, size), np.uint8), photometric="minisblack", metadata=None)
    with pytest.raises(
        InputError, match=r"holds 4 images of .* \(\(4, 4\), \(5, 5\), \(6, 6\), \.\.\.\); save each"
    ):
        read_tiff(tmp_path / "a.tif")


def test_a_pyramid_and_a_thumbnail_do_not_disturb(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(STACK[0], photometric="minisblack", metadata=None)
        writer.write(STACK[0, ::2, ::2], photometric="minisblack", metadata=None, subfiletype=1)
    assert np.array_equal(read_tiff(tmp_path / "a.tif").data, STACK[0])


WAYS: dict[str, dict[str, Any]] = {
    "plain": {"metadata": None},
    "deflate": {"compression": "zlib", "metadata": {"axes": "ZYX"}},
    "lzw": {"compression": "lzw", "metadata": None},
    "jpeg": {"compression": "jpeg", "metadata": None},
    "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
    "imagej deflate": {"imagej": True, "compression": "zlib", "metadata": {"axes": "ZYX"}},
    "ome": {"ome": True, "metadata": {"axes": "ZYX"}},
    "ome deflate": {"ome": True, "compression": "zlib", "metadata": {"axes": "ZYX"}},
    "tiles": {"tile": (16, 16), "compression": "zlib", "metadata": None},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("part", [0.001, 0.05, 0.2, 0.5, 0.9, 0.995])
def test_a_file_cut_short_is_an_error(
    tmp_path: Path, way: str, part: float, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, STACK, photometric="minisblack", **WAYS[way])
    whole = buffer.getvalue()
    (tmp_path / "a.tif").write_bytes(whole)
    assert read_tiff(tmp_path / "a.tif").data.shape == STACK.shape
    (tmp_path / "a.tif").write_bytes(whole[: int(len(whole) * part)])
    caplog.clear()
    with pytest.raises(FileReadError, match=r"a\.tif: it is cut short, damaged or not what its name says"):
        read_tiff(tmp_path / "a.tif")
    assert capfd.readouterr().err == ""


def test_missing_planes_are_an_error(tmp_path: Path) -> None:
    # The metadata promise seven planes, the file has five; tifffile would fill in zeros.
    path = save(tmp_path / "a.tif", STACK, ome=True, compression="zlib", metadata={"axes": "ZYX"})
    path.write_bytes(path.read_bytes().replace(b'SizeZ="5"', b'SizeZ="7"'))
    with pytest.raises(FileReadError, match="cut short, damaged"):
        read_tiff(path)


def test_another_file_named_tif_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("hello, I am not a TIFF file")
    with pytest.raises(FileReadError, match="not what its name says"):
        read_tiff(tmp_path / "a.tif")


def test_the_log_is_as_before(tmp_path: Path) -> None:
    logger = logging.getLogger("tifffile")
    before = (list(logger.handlers), logger.level, logger.propagate)
    read_tiff(save(tmp_path / "a.tif", STACK[0]))
    assert (list(logger.handlers), logger.level, logger.propagate) == before


def test_write_refuses(tmp_path: Path) -> None:
    square = np.zeros((4, 4), np.uint8)
    with pytest.raises(InputError, match=r"a\.png does not end in \.tif"):
        write_tiff(tmp_path / "a.png", square, axes="YX")
    with pytest.raises(InputError, match="type complex128 cannot be kept"):
        write_tiff(tmp_path / "a.tif", square.astype(complex), axes="YX")
    with pytest.raises(InputError, match="values -1 to 4294967296 do not fit into 32 bits"):
        write_tiff(tmp_path / "a.tif", np.array([[-1, 2**32]]), axes="YX")
    with pytest.raises(ShapeError, match="ZYX name 3 axes, but the array has 2"):
        write_tiff(tmp_path / "a.tif", square, axes="ZYX")
    with pytest.raises(ShapeError, match=r"spacing \(1\.0,\) has 1 values, axes YX need 2"):
        write_tiff(tmp_path / "a.tif", square, axes="YX", spacing=(1.0,))
    assert not list(tmp_path.iterdir())
    write_tiff(tmp_path / "a.tif", square, axes="YX")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        write_tiff(tmp_path / "a.tif", square, axes="YX")
