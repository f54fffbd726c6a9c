"""PNG, JPEG and NPY files."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image as PillowImage

from unseam.errors import FileReadError, InputError, OutputExistsError
from unseam.io.raster import read_npy, read_raster, write_png

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
RGB = np.stack([GREY, GREY + 50, GREY + 100], axis=2)


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> Path:
    picture = PillowImage.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path)
    return path


@pytest.mark.parametrize(
    "pixels", [GREY, GREY.astype(np.uint16) * 5000, RGB, GREY > 5, GREY.astype(np.int64)]
)
def test_png_round_trip(tmp_path: Path, pixels: np.ndarray) -> None:
    write_png(tmp_path / "a.png", pixels)
    decoded = read_raster(tmp_path / "a.png")
    assert decoded.axes == ("YX" if pixels.ndim == 2 else "YXC")
    assert np.array_equal(decoded.data, pixels * 255 if pixels.dtype == bool else pixels)
    assert decoded.data.dtype == (np.uint8 if pixels.dtype in (bool, np.uint8) else np.uint16)


def test_sixteen_bit_colours_keep_their_bits(tmp_path: Path) -> None:
    pixels = RGB.astype(np.uint16) * 257 + 1
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(pixels))
    decoded = read_raster(tmp_path / "a.png")
    assert decoded.data.dtype == np.uint16
    assert np.array_equal(decoded.data, pixels)


def test_few_bits_keep_their_values(tmp_path: Path) -> None:
    # 4-bit grey, width 2, height 1: one byte 0x1F a row holds the pixels 1 and 15.
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 2, 1, 4, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\x00\x1f")), chunk(b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    assert read_raster(tmp_path / "a.png").data.tolist() == [[1, 15]]


def test_one_bit_is_0_and_255(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.array([[0, 255]], np.uint8), "1")
    assert read_raster(tmp_path / "a.png").data.tolist() == [[0, 255]]


def test_a_palette_gives_colours_or_indices(tmp_path: Path) -> None:
    picture = PillowImage.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    picture.save(tmp_path / "a.png")
    assert read_raster(tmp_path / "a.png", palette_index=True).data.tolist() == [[0, 1], [2, 1]]
    colours = read_raster(tmp_path / "a.png")
    assert colours.axes == "YXC"
    assert colours.data[0, 1].tolist() == [255, 0, 0]
    assert colours.data[1, 0].tolist() == [0, 0, 255]


def test_constant_transparency_is_dropped(tmp_path: Path) -> None:
    opaque = np.full((3, 4, 1), 255, np.uint8)
    save(tmp_path / "rgba.png", np.concatenate([RGB, opaque], axis=2))
    assert np.array_equal(read_raster(tmp_path / "rgba.png").data, RGB)
    save(tmp_path / "la.png", GREY, "LA")
    assert np.array_equal(read_raster(tmp_path / "la.png").data, GREY)


def test_varying_transparency_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.concatenate([RGB, GREY[..., None]], axis=2))
    with pytest.raises(
        InputError, match=r"a\.png has a transparency \(alpha\) that differs .* save it without"
    ):
        read_raster(tmp_path / "a.png")


def test_jpeg(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg", np.full((8, 8), 77, np.uint8))
    assert (read_raster(tmp_path / "a.jpg").data == 77).all()


def test_cmyk_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg", RGB, "CMYK")
    with pytest.raises(InputError, match="CMYK"):
        read_raster(tmp_path / "a.jpg")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_no_image_is_too_large(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / f"a{suffix}", np.full((3, 4), 7, np.uint8))
    monkeypatch.setattr(PillowImage, "MAX_IMAGE_PIXELS", 5)  # Pillow refuses 11 pixels then
    with pytest.raises(PillowImage.DecompressionBombError):
        PillowImage.open(path)
    assert read_raster(path).data.tolist() == [[7] * 4] * 3
    assert PillowImage.MAX_IMAGE_PIXELS == 5


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_file_cut_short_is_an_error(tmp_path: Path, suffix: str, part: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    path = save(tmp_path / f"a{suffix}", noise)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(FileReadError, match=f"a{suffix}: it is cut short, damaged or not what its name says"):
        read_raster(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_sixteen_bit_colours_cut_short_are_an_error(tmp_path: Path, part: float) -> None:
    noise = np.random.default_rng(0).integers(0, 65535, (64, 64, 3), np.uint16)
    whole = imagecodecs.png_encode(noise)
    (tmp_path / "a.png").write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(FileReadError, match=r"a\.png: it is cut short"):
        read_raster(tmp_path / "a.png")


def test_text_named_png_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(FileReadError, match="not what its name says"):
        read_raster(tmp_path / "a.png")


def test_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GREY)
    np.save(tmp_path / "b.npy", np.zeros((2, 3, 4)))
    assert read_npy(tmp_path / "a.npy").axes == "YX"
    assert np.array_equal(read_npy(tmp_path / "a.npy").data, GREY)
    assert read_npy(tmp_path / "b.npy").axes == "???"


def test_npy_with_objects_or_cut_short_is_an_error(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], object), allow_pickle=True)
    np.save(tmp_path / "b.npy", GREY)
    (tmp_path / "b.npy").write_bytes((tmp_path / "b.npy").read_bytes()[:-3])
    (tmp_path / "c.npy").write_text("hello")
    with open(tmp_path / "d.npy", "wb") as file:
        np.savez(file, GREY)
    for name in "abcd":
        with pytest.raises(FileReadError, match=rf"{name}\.npy: it is cut short, damaged or not what"):
            read_npy(tmp_path / f"{name}.npy")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 3, 4), np.uint8), r"shape \(2, 3, 4\) .* give \(Y, X\)"),
        (np.zeros((3, 4, 3), np.uint16), r"type uint16 .* give \(Y, X\)"),
        (np.zeros((3, 4), np.float32), "type float32 .* whole numbers from 0 to 65535"),
        (np.full((3, 4), 65536), "whole numbers from 0 to 65535, or write a TIFF"),
        (np.full((3, 4), -1), "whole numbers from 0 to 65535"),
    ],
)
def test_png_refuses_what_it_cannot_keep(tmp_path: Path, array: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        write_png(tmp_path / "a.png", array)
    assert not (tmp_path / "a.png").exists()


def test_png_overwrites_only_when_asked(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", GREY)
    with pytest.raises(OutputExistsError, match="--overwrite"):
        write_png(tmp_path / "a.png", GREY)
    write_png(tmp_path / "a.png", GREY + 1, overwrite=True)
    assert np.array_equal(read_raster(tmp_path / "a.png").data, GREY + 1)
