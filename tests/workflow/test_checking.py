"""What a set looks like, and every file that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.tiny import samples, write_set

from unseam.config import DataConfig
from unseam.errors import FileReadError, PairingError
from unseam.io.images import write_png, write_tiff
from unseam.workflow.checking import Checked, check_files
from unseam.workflow.listener import SILENT

CONFIG = DataConfig()


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return write_set(tmp_path, samples(3))


def check(images: Path, labels: Path | None, config: DataConfig = CONFIG) -> Checked:
    return check_files(images, labels, config, listener=SILENT)


def test_a_good_set_is_described(folders: tuple[Path, Path]) -> None:
    found = check(*folders)
    assert found.errors == 0
    assert found.lines[:2] == (
        "pairs: 3, as synthetic_000.tif with synthetic_000.tif",
        "  synthetic_000.tif  synthetic_000.tif",
    )
    text = "\n".join(found.lines)
    assert "labels: instances" in text and "3 images, 2-D: 64 x 64 pixels, 1 channel, uint16" in text
    assert "pixel size: 0.5 x 0.5 µm" in text and "object diameter" in text


def test_files_left_over_are_named(folders: tuple[Path, Path]) -> None:
    images, labels = folders
    write_png(images / "more.png", np.zeros((4, 4), np.uint8))
    write_png(labels / "else.png", np.zeros((4, 4), np.uint8))
    lines = check(images, labels).lines
    assert "  more.png  without labels" in lines and "  else.png  without image" in lines


def test_a_file_that_cannot_be_read_is_one_finding_and_the_rest_are_looked_at(
    folders: tuple[Path, Path],
) -> None:
    images, labels = folders
    (labels / "synthetic_001.tif").write_bytes(b"II*\0")
    found = check(images, labels)
    errors = [line for line in found.lines if line.startswith("error")]
    assert found.errors == len(errors) == 1 and "synthetic_001.tif" in errors[0]
    assert any(line.startswith("labels: instances") for line in found.lines)


def test_where_every_file_is_broken_each_is_listed(folders: tuple[Path, Path]) -> None:
    images, labels = folders
    for file in (*images.iterdir(), *labels.iterdir()):
        file.write_bytes(file.read_bytes()[:150])
    found = check(images, labels)
    errors = [line for line in found.lines if line.startswith("error")]
    assert found.errors == len(errors) == 6
    assert all(any(str(file) in line for line in errors) for file in (*images.iterdir(), *labels.iterdir()))


def test_images_that_cannot_be_trained_on_together_are_an_error(folders: tuple[Path, Path]) -> None:
    images, labels = folders
    write_png(images / "rgb.png", np.zeros((8, 8, 3), np.uint8))
    write_png(labels / "rgb.png", np.ones((8, 8), np.uint8))
    (labels / "synthetic_002.tif").write_bytes(b"")
    found = check(images, labels)
    assert found.errors == 2
    assert "synthetic_002.tif is empty (0 bytes)" in found.lines[-2]
    assert "all images of a set must be alike" in found.lines[-1]


def test_labels_without_any_object_are_an_error(folders: tuple[Path, Path]) -> None:
    images, labels = folders
    for file in labels.iterdir():
        write_tiff(file, np.zeros((64, 64), np.uint8), axes="YX", overwrite=True)
    found = check(images, labels)
    assert found.errors >= 1 and any("no image holds a labelled object" in line for line in found.lines)


def test_images_alone_are_listed_with_size_type_and_pixel_size(folders: tuple[Path, Path]) -> None:
    images, _ = folders
    write_png(images / "rgb.png", np.zeros((4, 5, 3), np.uint8))
    (images / "zero.png").touch()
    (images / "cut.tif").write_bytes((images / "synthetic_000.tif").read_bytes()[:150])
    found = check(images, None)
    assert found.errors == 2 and found.lines[0] == "images: 6, 2 cannot be read"
    assert "  synthetic_000.tif  CYX 1 x 64 x 64 uint16, 0.5x0.5 µm" in found.lines
    assert "  rgb.png  CYX 3 x 4 x 5 uint8, pixel size unknown" in found.lines
    assert sum(line.startswith("error") for line in found.lines) == 2


@pytest.mark.usefixtures("folders")
def test_a_csv_file_of_pairs_is_checked(tmp_path: Path) -> None:
    rows = [f"images/synthetic_00{k}.tif,labels/synthetic_00{k}.tif" for k in range(3)]
    (tmp_path / "pairs.csv").write_text("\n".join(["image,labels", *rows]))
    assert check(tmp_path / "pairs.csv", None).lines[0].startswith("pairs: 3")


def test_what_is_not_there_cannot_be_checked(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    with pytest.raises(FileReadError, match="does not exist"):
        check(tmp_path / "nowhere", None)
    write_png(tmp_path / "other/zzz.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(PairingError, match="no label file"):
        check(folders[0], tmp_path / "other")
