"""One form for every file, and a sentence for every file that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from unseam.errors import FileReadError, InputError, LabelError, ShapeError, UnseamError
from unseam.io.images import Image, list_images, read_image, read_labels, stem, write_png

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)


def save_tiff(path: Path, array: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, array, **{"photometric": "minisblack", **options})
    return path


def test_frames_split_time() -> None:
    series = Image(np.arange(24).reshape(2, 1, 3, 4), "TCYX", (0.5, 0.5), Path("a.tif"))
    first, second = series.frames()
    assert (first.axes, first.spacing, first.path) == ("CYX", (0.5, 0.5), Path("a.tif"))
    assert np.array_equal(second.data, series.data[1])
    assert first.frames() == [first]


def test_spatial_dims() -> None:
    assert Image(np.zeros((1, 3, 4)), "CYX").spatial_dims == 2
    assert Image(np.zeros((2, 1, 3, 4, 5)), "TCZYX").spatial_dims == 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a/b.tif", "b"), ("b.ome.tif", "b"), ("b.OME.TIFF", "b"), ("b.c.png", "b.c"), (".ome.tif", ".ome")],
)
def test_stem(name: str, expected: str) -> None:
    assert stem(name) == expected


def test_a_folder_is_listed_in_natural_order(tmp_path: Path) -> None:
    for name in ("t10.png", "t2.PNG", "t1.tif", ".t3.png", "notes.txt", "Thumbs.db"):
        (tmp_path / name).touch()
    (tmp_path / "folder.tif").mkdir()
    assert [file.name for file in list_images(tmp_path)] == ["t1.tif", "t2.PNG", "t10.png"]


def test_listing_a_file_gives_the_file(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", GREY)
    assert list_images(str(tmp_path / "a.png")) == [tmp_path / "a.png"]


def test_nothing_to_list(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"holds no image; expected files ending in \.tif"):
        list_images(tmp_path)
    with pytest.raises(FileReadError, match="absent does not exist; check the name"):
        list_images(tmp_path / "absent")
    with pytest.raises(FileReadError, match=r"notes\.txt is of an unknown kind; expected a file ending in"):
        list_images(tmp_path / "notes.txt")


@pytest.mark.parametrize("read", [read_image, read_labels])
def test_files_that_are_no_files(tmp_path: Path, read: Any) -> None:
    (tmp_path / "empty.tif").touch()
    (tmp_path / "notes.txt").write_text("x")
    for name, words in (
        ("absent.tif", "does not exist"),
        ("empty.tif", r"is empty \(0 bytes\)"),
        ("notes.txt", "unknown kind"),
        (".", "is a folder; expected a file"),
    ):
        with pytest.raises(FileReadError, match=words):
            read(tmp_path / name)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_a_grey_image_has_one_channel(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    writers: dict[str, Any] = {".png": write_png, ".tif": save_tiff, ".npy": np.save}
    writers[suffix](path, GREY)
    image = read_image(path)
    assert (image.axes, image.data.shape, image.path) == ("CYX", (1, 3, 4), path)
    assert np.array_equal(image.data[0], GREY)


def test_unclear_axes_are_refused_and_settled_by_the_option(tmp_path: Path) -> None:
    stack = np.arange(60, dtype=np.uint8).reshape(5, 3, 4)
    np.save(tmp_path / "a.npy", stack)
    for path in (save_tiff(tmp_path / "a.tif", stack, metadata=None), tmp_path / "a.npy"):
        with pytest.raises(
            InputError,
            match=r"shape \(5, 3, 4\) and does not say .* --axes ZYX \(volume\), --axes TYX .* --axes CYX",
        ):
            read_image(path)
        assert read_image(path, axes="ZYX").axes == "CZYX"
        assert read_image(path, axes="tyx").data.shape == (5, 1, 3, 4)
        assert np.array_equal(read_image(path, axes="CYX").data, stack)


def test_unclear_axes_of_other_numbers(tmp_path: Path) -> None:
    for ndim, words in (
        (1, "expected 2 to 5 axes"),
        (4, "--axes TZYX"),
        (5, "--axes TZCYX"),
        (6, "2 to 5 axes"),
    ):
        np.save(tmp_path / "a.npy", np.zeros((2,) * ndim))
        with pytest.raises(InputError, match=words):
            read_image(tmp_path / "a.npy")


def test_axes_that_do_not_fit_name_the_file(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", GREY)
    with pytest.raises(ShapeError, match=r"a\.png: axes ZYX name 3 axes, but the array has 2"):
        read_image(tmp_path / "a.png", axes="ZYX")


def test_pixels_that_are_no_numbers_are_counted(tmp_path: Path) -> None:
    pixels = np.zeros((3, 4), np.float32)
    pixels[0, :2] = np.nan, np.inf
    with pytest.raises(InputError, match=r"a\.tif has 2 pixels that are NaN or infinite"):
        read_image(save_tiff(tmp_path / "a.tif", pixels))


def test_values_of_a_strange_type_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 2), complex))
    with pytest.raises(InputError, match="type complex128; expected integers or floats"):
        read_image(tmp_path / "a.npy")


def test_an_image_without_pixels_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((0, 2)))
    with pytest.raises(ShapeError, match=r"holds no pixel, its shape is \(0, 2\)"):
        read_image(tmp_path / "a.npy")


def test_grey_labels_in_three_channels(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.stack([GREY] * 3, axis=2))
    labels = read_labels(tmp_path / "a.png")
    assert (labels.axes, labels.data.shape) == ("CYX", (1, 3, 4))
    assert np.array_equal(labels.data[0], GREY)


def test_coloured_labels_are_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.stack([GREY, GREY, GREY + 1], axis=2))
    with pytest.raises(LabelError, match=r"a\.png has 3 channels that differ.* save them as one channel"):
        read_labels(tmp_path / "a.png")


def test_palette_labels_give_the_index(tmp_path: Path) -> None:
    picture = PillowImage.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    picture.save(tmp_path / "a.png")
    assert read_labels(tmp_path / "a.png").data.tolist() == [[[0, 1], [2, 1]]]


def test_jpeg_labels_are_refused(tmp_path: Path) -> None:
    PillowImage.fromarray(GREY).save(tmp_path / "a.jpg")
    with pytest.raises(LabelError, match="JPEG, which changes label values; save labels as PNG or TIFF"):
        read_labels(tmp_path / "a.jpg")


def test_whole_floats_are_labels(tmp_path: Path) -> None:
    values = np.array([[0, 1, 2**24]], np.float32)
    labels = read_labels(save_tiff(tmp_path / "a.tif", values))
    assert labels.data.dtype == np.int64
    assert labels.data.tolist() == [[[0, 1, 2**24]]]


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ([[0.0, 0.5]], LabelError, "not whole numbers; labels are 0, 1, 2"),
        ([[0.0, 1e20]], LabelError, "not whole numbers"),
        ([[0.0, np.nan]], InputError, "1 pixels that are NaN"),
        ([[0, -3]], LabelError, "negative values, the lowest is -3; .*--ignore"),
        ([[0.0, -2.0]], LabelError, "negative values, the lowest is -2"),
    ],
)
def test_values_that_cannot_be_labels(
    tmp_path: Path, values: Any, error: type[UnseamError], words: str
) -> None:
    np.save(tmp_path / "a.npy", np.array(values))
    with pytest.raises(error, match=words):
        read_labels(tmp_path / "a.npy")


def test_labels_pass_over_the_channel_of_the_image(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4), np.uint8))
    assert read_labels(tmp_path / "a.npy", axes="CZYX").axes == "CZYX"
    assert read_labels(tmp_path / "a.npy", axes="ZCYX").data.shape == (1, 2, 3, 4)


def test_boolean_labels_become_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GREY > 5)
    assert read_labels(tmp_path / "a.npy").data.dtype == np.uint8


@pytest.mark.real
def test_real_volume_says_that_it_is_one(real_data: Path) -> None:
    image = read_image(real_data / "fib25_medulla" / "images" / "training_sample2.tif")
    labels = read_labels(real_data / "fib25_medulla" / "labels" / "training_sample2.tif")
    assert (image.axes, image.data.shape, image.data.dtype) == ("CZYX", (1, 250, 250, 250), np.uint8)
    assert image.spacing is None
    assert (labels.axes, int(labels.data.max())) == ("CZYX", 525)


@pytest.mark.real
def test_real_series_states_its_pixel_size(real_data: Path) -> None:
    image = read_image(real_data / "DIC-C2DH-HeLa" / "01" / "t002.tif")
    assert image.data.shape == (1, 512, 512)
    assert image.spacing == pytest.approx((0.19, 0.19), rel=1e-4)  # as published for this data set


@pytest.mark.real
def test_every_real_image_reads(real_data: Path) -> None:
    expected = {"isbi2012": (30, 1), "dsb2018": (100, 1), "dsb2018_he": (12, 3)}
    for name, (count, channels) in expected.items():
        files = list_images(real_data / name / "images")
        assert len(files) == count
        assert {read_image(file).data.shape[0] for file in files} == {channels}
        assert {read_labels(file).data.shape[0] for file in list_images(real_data / name / "labels")} == {1}
