"""Images and labels into samples: arrays, folders, CSV files, series; what does not fit is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unseam.config import DataConfig
from unseam.errors import FileReadError, InputError, LabelError, PairingError, ShapeError
from unseam.io.images import write_png, write_tiff
from unseam.workflow.listener import SILENT, Listener, Step
from unseam.workflow.loading import LoadedSet, describe_pairing, load_set, pair_files

LABELS = np.array([[1, 1, 0, 2], [0, 0, 0, 2], [3, 0, 0, 0]], np.int32)
GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)


def load(
    images: Any, labels: Any = None, *, split: str | None = None, skip_bad: bool = False, **data: Any
) -> LoadedSet:
    return load_set(images, labels, DataConfig(**data), SILENT, split=split, skip_bad=skip_bad)


def folders(tmp_path: Path, names: str, image: Any = GREY, labels: Any = LABELS) -> tuple[Path, Path]:
    """A folder of images and one of labels, each file the same."""
    for name in names.split():
        write_png(tmp_path / "images" / f"{name}.png", image)
        write_png(tmp_path / "labels" / f"{name}.png", labels.astype(np.uint8))
    return tmp_path / "images", tmp_path / "labels"


def csv_of(tmp_path: Path, rows: dict[str, str]) -> Path:
    folders(tmp_path, " ".join(rows))
    lines = [f"images/{name}.png,labels/{name}.png,{split}" for name, split in rows.items()]
    (tmp_path / "pairs.csv").write_text("\n".join(["image,labels,split", *lines]))
    return tmp_path / "pairs.csv"


# Arrays


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
def test_arrays_may_have_channels_or_not(channels: int | None, shape: tuple[int, ...]) -> None:
    labels = np.zeros(shape, np.int32)
    labels[..., 0], labels[..., -1] = 1, 2
    image = np.zeros(shape if channels is None else (channels, *shape), np.uint16)
    loaded = load([image], [labels])
    (sample,) = loaded.samples
    assert sample.image.shape == (channels or 1, *shape) and sample.image.dtype == np.uint16
    np.testing.assert_array_equal(sample.labels, labels)
    assert (sample.stem, sample.spacing, loaded.task) == ("image000", None, "instances")


def test_the_pixel_size_given_is_that_of_arrays() -> None:
    assert load([GREY], [LABELS], pixel_size=0.5).samples[0].spacing == (0.5, 0.5)


def test_the_ignored_value_becomes_minus_one() -> None:
    assert load([GREY], [LABELS], ignore=3).samples[0].labels.tolist() == [
        [1, 1, 0, 2],
        [0, 0, 0, 2],
        [-1, 0, 0, 0],
    ]


def test_classes_are_recognised_by_task() -> None:
    loaded = load([GREY], [LABELS], task="semantic")
    assert (loaded.task, loaded.coding.n_classes) == ("semantic", 4)


def test_what_the_labels_mean_is_said() -> None:
    said: list[str] = []
    loaded = load_set([GREY], [LABELS], DataConfig(), Listener(say=said.append))
    assert said == [loaded.coding.reason]


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        ([GREY, GREY], [LABELS], "2 image arrays and 1 label arrays were given; one label array per image"),
        ([], [], "0 image arrays and 0 label arrays"),
        ([GREY], None, "1 image arrays and 0 label arrays"),
        ([GREY], "labels", "1 image arrays and 0 label arrays"),
        ("images", [LABELS], "images are given as a path and labels as arrays; give both as paths"),
    ],
)
def test_images_without_their_labels_are_refused(images: Any, labels: Any, words: str) -> None:
    with pytest.raises(PairingError, match=words):
        load(images, labels)


@pytest.mark.parametrize(
    ("image", "labels", "words"),
    [
        (GREY[:2], LABELS, r"image 0 has shape \(2, 4\) and its labels \(3, 4\); expected labels \(Y, X\)"),
        (np.zeros((3, 4, 3)), LABELS, r"image 0 has shape \(3, 4, 3\)"),  # channels last
        (GREY[0], LABELS[0], r"image 0 has shape \(4,\)"),
        (np.zeros((2, 2, 3, 4, 5)), np.zeros((2, 3, 4, 5), int), "image 0 has shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(image: Any, labels: Any, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        load([image], [labels])


@pytest.mark.parametrize(
    ("other", "labels", "words"),
    [
        (np.zeros((3, 3, 4)), LABELS, "image000 has 1 channels and 2 spatial axes, image001 has 3 and 2"),
        (np.zeros((2, 3, 4)), LABELS[None].repeat(2, 0), "image001 has 1 and 3; all images of a set must be"),
    ],
)
def test_a_set_of_mixed_kinds_is_refused(other: Any, labels: Any, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        load([GREY, other], [LABELS, labels])


# Files


def test_folders_are_paired_by_name_and_read_in_order(tmp_path: Path) -> None:
    images, labels = folders(tmp_path, "b10 b9 a")
    write_png(images / "alone.png", GREY)
    said: list[str] = []
    steps: list[Step] = []
    loaded = load_set(images, labels, DataConfig(), Listener(said.append, steps.append))
    assert [sample.stem for sample in loaded.samples] == ["a", "b9", "b10"]
    np.testing.assert_array_equal(loaded.samples[0].image, GREY[None])
    np.testing.assert_array_equal(loaded.samples[0].labels, LABELS)
    assert said[0] == "pairs: 3, as a.png with a.png; 1 image without labels is left out"
    assert [step.fraction for step in steps] == [1 / 3, 2 / 3, 1]


def test_labels_without_an_image_are_told(tmp_path: Path) -> None:
    images, labels = folders(tmp_path, "a")
    write_png(labels / "alone.png", LABELS.astype(np.uint8))
    said: list[str] = []
    load_set(images, labels, DataConfig(), Listener(said.append))
    assert said[0] == "pairs: 1, as a.png with a.png; 1 label file without an image is left out"


def test_several_files_are_left_out_in_the_plural(tmp_path: Path) -> None:
    images, labels = folders(tmp_path, "a")
    for number in range(3):
        write_png(images / f"x{number}.png", GREY)
        write_png(labels / f"y{number}.png", LABELS.astype(np.uint8))
    assert describe_pairing(pair_files(images, labels)) == (
        "pairs: 1, as a.png with a.png; 3 images without labels are left out; "
        "3 label files without an image are left out"
    )


def test_a_label_that_cannot_be_used_names_its_image(tmp_path: Path) -> None:
    images, labels = folders(tmp_path, "a b")
    np.save(labels / "b.npy", LABELS.astype(np.int64) << 40)
    (labels / "b.png").unlink()
    with pytest.raises(LabelError, match=r"^b: instance number \d+ does not fit into 32 bits"):
        load(images, labels)


def test_a_pixel_size_of_the_file_goes_before_the_one_given(tmp_path: Path) -> None:
    images, labels = folders(tmp_path, "a")
    write_tiff(images / "b.tif", GREY, axes="YX", spacing=(0.25, 0.25))
    write_png(labels / "b.png", LABELS.astype(np.uint8))
    loaded = load(images, labels, pixel_size=2.0)
    assert [s.spacing for s in loaded.samples] == [(2.0, 2.0), pytest.approx((0.25, 0.25))]


def test_the_frames_of_a_series_are_images_of_their_own(tmp_path: Path) -> None:
    frames, truths = np.stack([GREY, GREY + 50]), np.stack([LABELS, LABELS[:, ::-1]])
    write_tiff(tmp_path / "i/film.tif", frames, axes="TYX")
    write_tiff(tmp_path / "l/film.tif", truths.astype(np.uint16), axes="TYX")
    loaded = load(tmp_path / "i", tmp_path / "l")
    assert [sample.stem for sample in loaded.samples] == ["film_t000", "film_t001"]
    for sample, frame, truth in zip(loaded.samples, frames, truths, strict=True):
        np.testing.assert_array_equal(sample.image, frame[None])
        np.testing.assert_array_equal(sample.labels, truth)


def test_axes_given_for_the_images_serve_for_their_labels(tmp_path: Path) -> None:
    coloured = np.stack([GREY, GREY + 1, GREY + 2])
    for folder, array in (("i", np.stack([coloured, coloured])), ("l", np.stack([LABELS, LABELS]))):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "film.npy", array)
    loaded = load(tmp_path / "i", tmp_path / "l", axes="TCYX")
    assert [sample.image.shape for sample in loaded.samples] == [(3, 3, 4)] * 2


def test_series_of_different_length_are_refused(tmp_path: Path) -> None:
    write_tiff(tmp_path / "i/film.tif", np.stack([GREY] * 3), axes="TYX")
    write_tiff(tmp_path / "l/film.tif", np.stack([LABELS] * 2).astype(np.uint16), axes="TYX")
    with pytest.raises(
        ShapeError, match=r"film.tif has 3 frames and .*film.tif 2; one label image per frame"
    ):
        load(tmp_path / "i", tmp_path / "l")


def test_labels_of_another_size_are_refused(tmp_path: Path) -> None:
    images, labels = folders(tmp_path, "a", labels=LABELS[:2])
    with pytest.raises(
        ShapeError, match=r"a.png is 3 x 4 pixels and its labels .*a.png 2 x 4; they must be eq"
    ):
        load(images, labels)


def test_a_path_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PairingError, match="was given without labels; give the folder of labels, or a CSV"):
        load(tmp_path)


# CSV files


@pytest.mark.parametrize(
    ("split", "expected"),
    [("train", ["a"]), ("test", ["b"]), (None, ["a", "b", "c"])],  # c is of no split
)
def test_the_rows_of_a_split_are_taken(tmp_path: Path, split: str | None, expected: list[str]) -> None:
    file = csv_of(tmp_path, {"a": "train", "b": "test", "c": ""})
    assert [sample.stem for sample in load(file, split=split).samples] == expected
    left_out = "; 1 row without a split is left out" if split else ""
    assert describe_pairing(pair_files(file, None, split)).endswith(f".png{left_out}")


@pytest.mark.parametrize("column", [True, False])
def test_where_no_row_names_a_split_all_are_taken(tmp_path: Path, column: bool) -> None:
    file = csv_of(tmp_path, {"a": "", "b": ""})
    if not column:
        file.write_text("\n".join(line.rpartition(",")[0] for line in file.read_text().splitlines()))
    assert [sample.stem for sample in load(file, split="train").samples] == ["a", "b"]
    assert describe_pairing(pair_files(file, None, "train")) == "pairs: 2, as a.png with a.png"


def test_a_split_without_rows_is_refused(tmp_path: Path) -> None:
    file = csv_of(tmp_path, {"a": "train"})
    with pytest.raises(PairingError, match=r"pairs.csv has no row with split 'test'; check the column split"):
        pair_files(file, None, "test")


@pytest.mark.parametrize("arrays", [True, False])
def test_rows_are_taken_from_a_csv_file_only(tmp_path: Path, arrays: bool) -> None:
    given = ([GREY], [LABELS]) if arrays else folders(tmp_path, "a")
    with pytest.raises(PairingError, match="--split train takes rows of a CSV file of pairs, and none was"):
        load(*given, split="train")


def test_a_csv_file_and_labels_beside_it_are_refused(tmp_path: Path) -> None:
    file = csv_of(tmp_path, {"a": "train"})
    with pytest.raises(
        PairingError, match=r"names its labels itself, and .*labels was given too; leave one out"
    ):
        load(file, tmp_path / "labels")


# Bad files


def test_a_file_that_cannot_be_read_stops_the_loading(tmp_path: Path) -> None:
    images, labels = folders(tmp_path, "a b")
    (images / "a.png").write_bytes(b"")
    with pytest.raises(FileReadError, match=r"a.png is empty"):
        load(images, labels)


def test_bad_files_can_be_passed_over_and_are_named(tmp_path: Path) -> None:
    images, labels = folders(tmp_path, "a b c")
    (images / "a.png").write_bytes(b"")
    write_png(labels / "c.png", LABELS[:2].astype(np.uint8), overwrite=True)
    loaded = load(images, labels, skip_bad=True)
    assert [sample.stem for sample in loaded.samples] == ["b"]
    assert len(loaded.failures) == 2
    assert "a.png is empty" in loaded.failures[0] and "they must be equal" in loaded.failures[1]


def test_where_every_file_is_bad_nothing_is_loaded(tmp_path: Path) -> None:
    images, labels = folders(tmp_path, "a b")
    for file in images.iterdir():
        file.write_bytes(b"")
    with pytest.raises(InputError, match=r"none of the 2 pairs could be read; the first: .*a.png is empty"):
        load(images, labels, skip_bad=True)
