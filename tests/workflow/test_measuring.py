"""Label files in, one table out."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import pytest

from unseam.config import DataConfig
from unseam.errors import FileReadError, LabelError, OutputExistsError, ShapeError
from unseam.io.images import write_png, write_tiff
from unseam.workflow.listener import SILENT, Listener
from unseam.workflow.measuring import measure_files

# Object 1 has 2 pixels, object 2 one.
LABELS = np.array([[1, 1, 0], [0, 0, 2]], np.uint8)
IMAGE = np.array([[10, 20, 0], [0, 0, 7]], np.uint8)


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def column(path: Path, name: str) -> list[str]:
    return [row[name] for row in table(path)]


def test_a_file_by_hand(tmp_path: Path) -> None:
    write_tiff(tmp_path / "l.tif", LABELS, axes="YX", spacing=(0.5, 0.5))
    write_png(tmp_path / "i.png", IMAGE)
    out = tmp_path / "new" / "t.csv"
    assert measure_files(tmp_path / "l.tif", tmp_path / "i.png", out, listener=SILENT) == 2
    assert column(out, "id") == ["1", "2"] and column(out, "area_px") == ["2", "1"]
    assert column(out, "area_um2") == ["0.5", "0.25"]  # 0.5 x 0.5 micrometres a pixel
    assert column(out, "mean_ch0") == ["15", "7"] and column(out, "centroid_x") == ["0.5", "2"]
    assert column(out, "touches_border") == ["true", "true"]
    assert "image" not in table(out)[0] and "frame" not in table(out)[0]


def test_a_folder_names_the_image_of_each_object(tmp_path: Path) -> None:
    said: list[str] = []
    for name in ("a", "b"):
        write_png(tmp_path / f"l/{name}_mask.png", LABELS)
        write_png(tmp_path / f"i/{name}.png", IMAGE)
    out = tmp_path / "t.csv"
    assert measure_files(tmp_path / "l", tmp_path / "i", out, listener=Listener(said.append)) == 4
    assert column(out, "image") == ["a_mask", "a_mask", "b_mask", "b_mask"]
    assert said == [
        "pairs: 2, as a.png with a_mask.png",
        "labels: instances, 2 different numbers from 1 to 2 (--task semantic takes them as classes)",
        f"4 objects: {out}",
    ]


def test_a_time_series_numbers_its_frames(tmp_path: Path) -> None:
    write_tiff(tmp_path / "l/a.tif", np.stack([LABELS, LABELS * 0, LABELS]), axes="TYX")
    write_tiff(tmp_path / "i/a.tif", np.stack([IMAGE, IMAGE, IMAGE * 2]), axes="TYX")
    measure_files(tmp_path / "l/a.tif", tmp_path / "i/a.tif", tmp_path / "t.csv", listener=SILENT)
    assert column(tmp_path / "t.csv", "frame") == ["0", "0", "2", "2"]
    assert column(tmp_path / "t.csv", "mean_ch0") == ["15", "7", "30", "14"]
    write_png(tmp_path / "one.png", IMAGE)
    with pytest.raises(ShapeError, match=r"has 1 frames and its labels .*a.tif 3; one label image per frame"):
        measure_files(tmp_path / "l/a.tif", tmp_path / "one.png", tmp_path / "u.csv", listener=SILENT)


def test_pixel_size_and_axes_of_files_that_state_none(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", LABELS[None])
    config = DataConfig(axes="ZYX", pixel_size=2.0)
    measure_files(tmp_path / "a.npy", None, tmp_path / "t.csv", config=config, listener=SILENT)
    assert column(tmp_path / "t.csv", "volume_um3") == ["16", "8"]  # 2 x 2 x 2 micrometres a voxel


def test_files_with_and_without_pixel_size_share_a_table(tmp_path: Path) -> None:
    write_tiff(tmp_path / "l/a.tif", LABELS, axes="YX", spacing=(0.5, 0.5))
    write_tiff(tmp_path / "l/b.tif", LABELS, axes="YX")
    measure_files(tmp_path / "l", None, tmp_path / "t.csv", listener=SILENT)
    assert column(tmp_path / "t.csv", "area_um2") == ["0.5", "0.25", "", ""]


def test_the_components_of_a_mask_are_its_objects(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", (LABELS > 0).astype(np.uint8) * 255)
    assert measure_files(tmp_path / "a.png", None, tmp_path / "t.csv", listener=SILENT) == 2


def test_what_values_mean_is_found_out_from_the_whole_folder(tmp_path: Path) -> None:
    # One object in two pieces in b: alone it would pass for a mask of two objects.
    write_png(tmp_path / "l/a.png", np.array([[1, 2, 3, 0, 4]], np.uint8))
    write_png(tmp_path / "l/b.png", np.array([[1, 0, 1, 0, 0]], np.uint8))
    assert measure_files(tmp_path / "l", None, tmp_path / "t.csv", listener=SILENT) == 5
    assert measure_files(tmp_path / "l/b.png", None, tmp_path / "u.csv", listener=SILENT) == 2


def test_regions_of_classes_keep_their_class(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.array([[2, 2, 0, 1, 0, 9, 2]], np.uint8))
    config = DataConfig(task="semantic", ignore=9)
    assert measure_files(tmp_path / "a.png", None, tmp_path / "t.csv", config=config, listener=SILENT) == 3
    assert column(tmp_path / "t.csv", "class") == ["2", "1", "2"]
    assert column(tmp_path / "t.csv", "area_px") == ["2", "1", "1"]


def test_without_objects_there_is_a_header_only(tmp_path: Path) -> None:
    write_png(tmp_path / "l/a.png", LABELS * 0)
    assert measure_files(tmp_path / "l", None, tmp_path / "t.csv", listener=SILENT) == 0
    (header,) = (tmp_path / "t.csv").read_text().splitlines()
    assert header.startswith("image,id,class,area_px,centroid_y,")


def test_ten_thousand_objects_take_seconds(tmp_path: Path) -> None:
    squares = np.zeros((400, 400), np.uint16)
    squares.reshape(100, 4, 100, 4)[:, :3, :, :3] = np.arange(1, 10_001).reshape(100, 1, 100, 1)
    write_tiff(tmp_path / "a.tif", squares, axes="YX")
    started = time.process_time()
    assert measure_files(tmp_path / "a.tif", None, tmp_path / "t.csv", listener=SILENT) == 10_000
    assert time.process_time() - started < 20
    assert set(column(tmp_path / "t.csv", "area_px")) == {"9"}


def test_what_predict_writes_beside_the_labels_is_passed_over(tmp_path: Path) -> None:
    said: list[str] = []
    write_png(tmp_path / "p/a.png", LABELS)
    write_tiff(tmp_path / "p/a_probabilities.tif", np.full((2, 2, 3), 0.5, np.float32), axes="CYX")
    write_png(tmp_path / "p/a_overlay.png", np.zeros((2, 3, 3), np.uint8))
    write_png(tmp_path / "i/a.png", IMAGE)
    assert measure_files(tmp_path / "p", None, tmp_path / "t.csv", listener=SILENT) == 2
    measure_files(tmp_path / "p", tmp_path / "i", tmp_path / "u.csv", listener=Listener(said.append))
    assert said[0] == "pairs: 1, as a.png with a.png"


def test_files_that_cannot_be_measured_leave_no_table(tmp_path: Path) -> None:
    write_png(tmp_path / "l/a.png", LABELS)
    write_png(tmp_path / "wide.png", np.zeros((2, 5), np.uint8))
    out = tmp_path / "t.csv"
    with pytest.raises(ShapeError, match=r"wide.png is 2 x 5 pixels and its labels .*a.png 2 x 3; they must"):
        measure_files(tmp_path / "l/a.png", tmp_path / "wide.png", out, listener=SILENT)
    write_tiff(tmp_path / "l/b.tif", LABELS / 2, axes="YX")
    with pytest.raises(LabelError, match=r"b.tif has values that are not whole numbers"):
        measure_files(tmp_path / "l", None, out, listener=SILENT)
    with pytest.raises(FileReadError, match="does not exist"):
        measure_files(tmp_path / "nowhere", None, out, listener=SILENT)
    assert not out.exists()


def test_a_table_that_is_there_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"t.csv exists already; give --overwrite"):
        measure_files(tmp_path / "nowhere", None, tmp_path / "t.csv", listener=SILENT)
    write_png(tmp_path / "a.png", LABELS)
    measure_files(tmp_path / "a.png", None, tmp_path / "t.csv", overwrite=True, listener=SILENT)
    assert len(table(tmp_path / "t.csv")) == 2
