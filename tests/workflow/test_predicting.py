"""Files in, results out: named alike, whole, the same whatever the tile; one bad file stops no other."""

from __future__ import annotations

import csv
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image as PillowImage
from tests.tiny import samples, trained_run, untrained, write_set

from unseam.engines.engine import telling_memory
from unseam.engines.torch import NO_MEMORY
from unseam.errors import (
    ConfigError,
    FileReadError,
    InputError,
    OutputError,
    OutputExistsError,
    PairingError,
    ShapeError,
    UnseamError,
)
from unseam.io.annotations.files import read_annotations
from unseam.io.annotations.rasterise import rasterise
from unseam.io.annotations.record import Shape
from unseam.io.images import read_image, read_labels, write_png, write_tiff
from unseam.prediction import Model, diameter, load_model
from unseam.workflow.listener import SILENT, Listener
from unseam.workflow.predicting import SAVES, Outcome, predict_files

ALL = ("cell.csv", "cell.tif", "cell_overlay.png", "cell_probabilities.tif")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(trained_run(tmp_path_factory), device="cpu")


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    """An image of cells with a pixel size."""
    s = samples(1, seed=5)[0]
    write_tiff(tmp_path / "in" / "cell.tif", s.image[0], axes="YX", spacing=s.spacing)
    return tmp_path / "in" / "cell.tif"


def predict(model: Model, inputs: Any, out: Path, **options: Any) -> tuple[Outcome, ...]:
    return predict_files(
        model, inputs if isinstance(inputs, list) else [inputs], out, **{"listener": SILENT, **options}
    )


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(file.name for file in folder.iterdir())) if folder.exists() else ()


def test_an_image_gives_labels_probabilities_table_and_overlay(
    model: Model, cell: Path, tmp_path: Path
) -> None:
    (outcome,) = predict(model, cell, tmp_path / "out")
    assert names(tmp_path / "out") == ALL
    image, labels = read_image(cell), read_labels(tmp_path / "out/cell.tif")
    expected = model.predict(image.data, spacing=image.spacing)
    assert np.array_equal(labels.data[0], expected.labels)
    assert (outcome.path, outcome.n_objects, outcome.error) == (cell, expected.labels.max(), None)
    assert outcome.n_objects >= 2 and outcome.verdicts == (expected.verdict,)
    probabilities = read_image(tmp_path / "out/cell_probabilities.tif")
    assert np.array_equal(probabilities.data, expected.probabilities)
    assert labels.spacing == probabilities.spacing == pytest.approx((0.5, 0.5))
    assert [int(row["id"]) for row in rows(tmp_path / "out/cell.csv")] == list(
        range(1, outcome.n_objects + 1)
    )
    assert "area_um2" in rows(tmp_path / "out/cell.csv")[0]
    with PillowImage.open(tmp_path / "out/cell_overlay.png") as picture:
        assert picture.size == (64, 64) and picture.mode == "RGB"


def test_the_probabilities_of_a_pixel_sum_to_one(model: Model, cell: Path, tmp_path: Path) -> None:
    predict(model, cell, tmp_path / "out", save=["probabilities"])
    probabilities = read_image(tmp_path / "out/cell_probabilities.tif").data
    assert probabilities.shape == (2, 64, 64) and probabilities.min() >= 0
    assert np.allclose(probabilities.sum(0), 1, atol=1e-6)


@pytest.mark.parametrize("tile", [4, "22", 40])
def test_the_tile_changes_no_byte_of_labels_and_table(
    model: Model, cell: Path, tmp_path: Path, tile: int | str
) -> None:
    predict(model, cell, tmp_path / "whole", tile="auto")
    predict(model, cell, tmp_path / "tiled", tile=tile)
    arrays = [tifffile.imread(tmp_path / folder / "cell.tif") for folder in ("whole", "tiled")]
    assert arrays[0].tobytes() == arrays[1].tobytes()
    tables = [(tmp_path / folder / "cell.csv").read_bytes() for folder in ("whole", "tiled")]
    assert tables[0] == tables[1]


def test_only_what_is_wanted_is_written(model: Model, cell: Path, tmp_path: Path) -> None:
    predict(model, cell, tmp_path / "out", save=["table", "labels"])
    assert names(tmp_path / "out") == ("cell.csv", "cell.tif")


def test_a_pixel_size_is_given_to_files_that_state_none(model: Model, cell: Path, tmp_path: Path) -> None:
    write_png(tmp_path / "grey.png", read_image(cell).data[0])
    predict(model, [tmp_path / "grey.png", cell], tmp_path / "out", pixel_size=0.25, save=["labels"])
    assert read_labels(tmp_path / "out/grey.tif").spacing == pytest.approx((0.25, 0.25))
    assert read_labels(tmp_path / "out/cell.tif").spacing == pytest.approx((0.5, 0.5))


def test_a_time_series_gives_a_series_and_a_column_frame(model: Model, tmp_path: Path) -> None:
    movie = np.stack([s.image[0] for s in samples(3, seed=5)])
    write_tiff(tmp_path / "movie.tif", movie, axes="TYX", spacing=(0.5, 0.5))
    (outcome,) = predict(model, tmp_path / "movie.tif", tmp_path / "out")
    labels = read_labels(tmp_path / "out/movie.tif")
    assert labels.axes == "TCYX" and labels.spacing == pytest.approx((0.5, 0.5))
    alone = [model.predict(frame).labels for frame in movie]
    assert np.array_equal(labels.data[:, 0], np.stack(alone))
    frames = [int(row["frame"]) for row in rows(tmp_path / "out/movie.csv")]
    assert [frames.count(t) for t in range(3)] == [int(one.max()) for one in alone]
    assert outcome.n_objects == len(frames)
    assert read_image(tmp_path / "out/movie_probabilities.tif").data.shape == (3, 2, 64, 64)


def test_a_volume_gives_a_volume(tmp_path: Path) -> None:
    write_tiff(
        tmp_path / "a.tif", np.arange(6 * 8 * 10.0).reshape(6, 8, 10), axes="ZYX", spacing=(2.0, 0.5, 0.5)
    )
    predict(untrained(dims=3), tmp_path / "a.tif", tmp_path / "out")
    labels = read_labels(tmp_path / "out/a.tif")
    assert labels.axes == "CZYX" and labels.data.shape == (1, 6, 8, 10)
    assert labels.spacing == pytest.approx((2.0, 0.5, 0.5))


def test_a_semantic_model_tells_the_class_of_each_region(tmp_path: Path) -> None:
    model = untrained(task="semantic", classes=3)
    image = np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32)
    write_tiff(tmp_path / "a.tif", image, axes="YX")
    said: list[str] = []
    (outcome,) = predict(model, tmp_path / "a.tif", tmp_path / "out", listener=Listener(said.append))
    classes = read_labels(tmp_path / "out/a.tif").data[0]
    assert np.array_equal(classes, model.predict(image).labels) and classes.max() <= 2
    table = rows(tmp_path / "out/a.csv")
    for k in (1, 2):  # the regions of a class hold all of its pixels
        assert sum(int(row["area_px"]) for row in table if row["class"] == str(k)) == (classes == k).sum()
    assert {row["class"] for row in table} == {str(k) for k in np.unique(classes) if k}
    assert outcome.n_objects == len(table) and said[1:] == ["a.tif: 1 region"]
    assert said[0].startswith("engine: PyTorch ") and said[0].endswith(", float32")


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 1)])
def test_an_image_of_a_pixel_or_a_row_is_segmented(
    model: Model, tmp_path: Path, shape: tuple[int, int]
) -> None:
    write_png(tmp_path / "dot.png", np.ones(shape, np.uint8))
    (outcome,) = predict(model, tmp_path / "dot.png", tmp_path / "out")
    assert outcome.error is None and len(names(tmp_path / "out")) == 4
    assert tifffile.imread(tmp_path / "out/dot.tif").size == shape[0] * shape[1]


def test_an_image_without_objects_has_a_table_with_a_header_only(model: Model, tmp_path: Path) -> None:
    write_png(tmp_path / "dark.png", np.zeros((40, 40), np.uint8))
    (outcome,) = predict(model, tmp_path / "dark.png", tmp_path / "out")
    assert outcome.n_objects == 0
    header, *rest = (tmp_path / "out/dark.csv").read_text().splitlines()
    assert header.startswith("id,class,area_px,") and rest == []


@pytest.mark.usefixtures("cell")
def test_the_rows_of_a_csv_file_are_predicted(model: Model, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("image,labels,split\nin/cell.tif,in/cell.tif,test\n")
    predict(model, tmp_path / "pairs.csv", tmp_path / "out", split="test", save=["labels"])
    assert names(tmp_path / "out") == ("cell.tif",)
    with pytest.raises(UnseamError, match="no row with split 'train'"):
        predict(model, tmp_path / "pairs.csv", tmp_path / "out", split="train")


def test_a_bad_file_is_told_and_the_rest_go_on(model: Model, cell: Path, tmp_path: Path) -> None:
    cut = tmp_path / "in" / "a_cut.tif"
    cut.write_bytes(cell.read_bytes()[:200])
    (tmp_path / "in" / "b_empty.png").touch()
    said: list[str] = []
    outcomes = predict(model, cell.parent, tmp_path / "out", listener=Listener(said.append))
    assert [outcome.path.name for outcome in outcomes] == ["a_cut.tif", "b_empty.png", "cell.tif"]
    assert [type(outcome.error) for outcome in outcomes] == [FileReadError, FileReadError, type(None)]
    assert [outcome.n_objects > 0 for outcome in outcomes] == [False, False, True]
    assert said[0].startswith("a_cut.tif: failed: cannot read") and "0 bytes" in said[1]
    assert names(tmp_path / "out") == ALL


def test_files_named_one_by_one_are_treated_like_those_of_a_folder(
    model: Model, cell: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "in" / "empty.png"
    empty.touch()
    outcomes = predict(model, [empty, cell, cell], tmp_path / "out")
    assert [outcome.error is None for outcome in outcomes] == [False, True]  # named twice, done once


def test_too_little_memory_for_an_image_is_told(
    model: Model, cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(Model, "predict", fail)
    (outcome,) = predict(model, cell, tmp_path / "out")
    assert isinstance(outcome.error, UnseamError)
    assert "is too large for the free memory; close other programs" in str(outcome.error)


def test_memory_that_an_engine_lacks_for_one_image_stops_no_other(
    model: Model, cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_png(cell.parent / "b.png", np.zeros((20, 20), np.uint8))
    predicted = Model.predict

    def fail(self: Model, image: Any, **options: Any) -> Any:
        if image.shape[-1] == 20:
            with telling_memory(*NO_MEMORY):
                raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: not enough")
        return predicted(self, image, **options)

    monkeypatch.setattr(Model, "predict", fail)
    bad, good = predict(model, cell.parent, tmp_path / "out")
    assert "b.png is too large for the free memory" in str(bad.error) and good.error is None
    assert names(tmp_path / "out") == ALL


def test_another_error_of_pytorch_is_not_hidden(
    model: Model, cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Model, "predict", fail)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        predict(model, cell, tmp_path / "out")


def test_resuming_does_only_what_is_missing(model: Model, tmp_path: Path) -> None:
    images, _ = write_set(tmp_path, samples(3))
    out = tmp_path / "out"
    first = predict(model, images, out)
    before = {file: file.read_bytes() for file in out.iterdir()}
    (out / "synthetic_001_overlay.png").unlink()
    kept = out / "synthetic_000.tif"
    os.utime(kept, (1, 1))
    again = predict(model, images, out, resume=True)
    assert [outcome.n_objects for outcome in again] == [-1, first[1].n_objects, -1]
    assert kept.stat().st_mtime == 1
    assert {file: file.read_bytes() for file in out.iterdir()}.keys() == before.keys()
    assert (out / "synthetic_001.csv").read_bytes() == before[out / "synthetic_001.csv"]


def test_results_that_are_there_are_refused_before_any_work(model: Model, cell: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "cell.csv").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"cell.csv exist already; --overwrite replaces them"):
        predict(model, cell, out)
    assert names(out) == ("cell.csv",) and (out / "cell.csv").read_text() == "mine"
    predict(model, cell, out, overwrite=True)
    assert names(out) == ALL and (out / "cell.csv").read_text() != "mine"
    with pytest.raises(OutputExistsError, match="and 3 more exist already"):
        predict(model, cell, out)


@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}])
def test_a_result_never_replaces_an_input(model: Model, cell: Path, options: dict[str, bool]) -> None:
    before = cell.read_bytes()
    with pytest.raises(OutputExistsError, match=r"would replace the image .*choose another --out"):
        predict(model, cell, cell.parent, **options)
    assert cell.read_bytes() == before and names(cell.parent) == ("cell.tif",)


def test_nor_does_it_replace_another_input(model: Model, cell: Path, tmp_path: Path) -> None:
    write_png(tmp_path / "in" / "cell_overlay.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(OutputExistsError, match=r"the result of .*cell.tif would replace .*cell_overlay.png"):
        predict(model, cell.parent, cell.parent, save=["overlay"], overwrite=True)


def test_a_full_disk_leaves_nothing_half_written(
    model: Model, cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace: Callable[..., None] = os.replace

    def full(source: Any, target: Any) -> None:
        if str(target).endswith("_probabilities.tif"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="the disk is full; free some space"):
        predict(model, cell, tmp_path / "out")
    assert names(tmp_path / "out") == ("cell.csv", "cell_overlay.png")  # the labels come last
    monkeypatch.undo()
    predict(model, cell, tmp_path / "out", resume=True)
    assert names(tmp_path / "out") == ALL


def test_another_pixel_size_than_that_of_training_is_told(model: Model, cell: Path, tmp_path: Path) -> None:
    said: list[str] = []
    array = read_image(cell).data[0]
    for size in (0.52, 0.8, 2.5, None):
        spacing = (size, size) if size else None
        write_tiff(tmp_path / f"{size}.tif", array, axes="YX", spacing=spacing)
        predict(model, tmp_path / f"{size}.tif", tmp_path / "out", listener=Listener(said.append))
    known = "{0}.tif: its pixels are {0} x {0} µm and the model learned on 0.5 x 0.5; {1}"
    rescaled = "it is rescaled for the network, and its labels keep its own pixels"
    assert [line for line in said if "pixel" in line] == [
        known.format(0.8, rescaled),
        known.format(2.5, rescaled),
        "2.5.tif: that is very different; check that the pixel size is right, or give --pixel-size",
        "None.tif: its pixel size is not known and taken to be the model's, 0.5 x 0.5 µm; "
        "--pixel-size says it",
    ]
    said.clear()
    predict(model, tmp_path / "0.8.tif", tmp_path / "as", rescale=False, listener=Listener(said.append))
    assert known.format(0.8, "objects of another size may be missed without rescaling") in said
    differ = read_labels(tmp_path / "as/0.8.tif").data != read_labels(tmp_path / "out/0.8.tif").data
    assert differ.any()


def test_a_diameter_decides_whatever_the_pixel_size(model: Model, cell: Path, tmp_path: Path) -> None:
    said: list[str] = []
    learned = model.header.fingerprint.diameter_median  # type: ignore[union-attr]
    predict(model, cell, tmp_path / "a", diameter=2 * learned, listener=Listener(said.append))
    done = "rescaled 0.5 times for the network, whatever its pixel size"
    assert f"cell.tif: objects of about {2 * learned:.3g} px: {done}" in said
    expected = model.predict(read_image(cell).data, zoom=0.5)
    np.testing.assert_array_equal(read_labels(tmp_path / "a/cell.tif").data[0], expected.labels)
    predict(model, cell, tmp_path / "b.zarr", diameter=2 * learned)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "b.zarr/0", mode="r")[:], expected.labels)
    predict(model, cell, tmp_path / "c", diameter=1.05 * learned, listener=Listener(said.append))
    done = "not rescaled for the network, whatever its pixel size"
    assert f"cell.tif: objects of about {1.05 * learned:.3g} px: {done}" in said


def test_a_diameter_that_is_found_is_told_and_the_same_in_blocks(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(diameter.SAMPLE, 2, 256)  # so that this image is larger
    monkeypatch.setattr(diameter, "UNSURE", 0.0)  # this network has hardly learned
    small = samples(1, size=160, seed=6)[0].image[0]
    write_tiff(tmp_path / "large.tif", small.repeat(3, 0).repeat(3, 1), axes="YX")
    said: list[str] = []
    listener = Listener(said.append)
    (one,) = predict(model, tmp_path / "large.tif", tmp_path / "a", diameter="auto", listener=listener)
    found = next(line for line in said if "objects of about" in line)
    assert "times for the network" in found and "rescaled 0." in found
    predict(model, tmp_path / "large.tif", tmp_path / "b.zarr", diameter="auto", block=128, listener=listener)
    assert said.count(found) == 2
    labels = read_labels(tmp_path / "a/large.tif").data[0]
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "b.zarr/0", mode="r")[:], labels)
    assert one.n_objects > 0
    write_tiff(tmp_path / "empty.tif", np.zeros((40, 40), np.uint8), axes="YX")
    predict(model, tmp_path / "empty.tif", tmp_path / "a", diameter="auto", listener=listener)
    assert any(
        line.startswith("empty.tif: no objects are found in its middle; not rescaled") for line in said
    )


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"diameter": 1e4}, InputError, "diameter is 10000; expected .* to .* pixels: the objects that this"),
        ({"diameter": 9.0, "rescale": False}, ConfigError, "diameter 9.0 rescales images and --no-rescale"),
        ({"save": ["nonsense"]}, InputError, "save is 'nonsense'; expected some of: labels,probabilities"),
        ({"save": []}, InputError, "save is ''; expected some of"),
        ({"tile": "abc"}, InputError, "tile is 'abc'; expected auto or a number of pixels"),
        ({"tile": 1}, ShapeError, "this network needs tiles of 2 pixels or more"),
        ({"axes": "QQ"}, InputError, "name 'Q', which is unknown; use letters of T C Z Y X"),
        ({"pixel_size": 0.0}, ConfigError, "pixel_size is 0.0; it must be at least"),
        ({"pixel_size": np.inf}, ConfigError, "pixel_size is inf; it must be a finite number, at least"),
        ({"split": "train"}, PairingError, "--split train takes rows of a CSV file of pairs, and none was"),
        ({"resume": True, "overwrite": True}, ConfigError, "--resume goes on with a run and --overwrite"),
    ],
)
def test_options_are_refused_before_any_work(
    model: Model, cell: Path, tmp_path: Path, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        predict(model, cell, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_inputs_that_cannot_be_told_apart_or_found(model: Model, cell: Path, tmp_path: Path) -> None:
    write_png(tmp_path / "in" / "cell.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(InputError, match=r"would both be written to cell.tif; predict them apart"):
        predict(model, cell.parent, tmp_path / "out")
    with pytest.raises(FileReadError, match="does not exist; check the name"):
        predict(model, tmp_path / "nowhere.tif", tmp_path / "out")
    with pytest.raises(OutputError, match="is a file; give a folder for the results"):
        predict(model, cell, cell)


def test_no_two_images_may_share_any_result(model: Model, cell: Path, tmp_path: Path) -> None:
    write_png(tmp_path / "in" / "cell_probabilities.png", np.zeros((8, 8), np.uint8))
    words = r"cell.tif and .*cell_probabilities.png would both be written to cell_probabilities.tif; predict"
    with pytest.raises(InputError, match=words):
        predict(model, cell.parent, tmp_path / "out")
    predict(model, cell.parent, tmp_path / "out", save=["labels"])
    assert names(tmp_path / "out") == ("cell.tif", "cell_probabilities.tif")


def test_the_results_of_an_image_have_different_names() -> None:
    assert len({pattern.format("a") for pattern in SAVES.values()}) == len(SAVES) == 8


def test_outlines_are_those_of_the_labels_with_the_table(model: Model, cell: Path, tmp_path: Path) -> None:
    predict(model, cell, tmp_path / "out", save=["labels", "table", "rois", "geojson", "coco"])
    labels = read_labels(tmp_path / "out/cell.tif").data[0]
    table = rows(tmp_path / "out/cell.csv")
    for ending in ("zip", "geojson", "json"):
        shapes = read_annotations(tmp_path / f"out/cell.{ending}").shapes
        assert np.array_equal(rasterise(shapes, (64, 64)), labels)
    measured = read_annotations(tmp_path / "out/cell.geojson").shapes[0].properties
    scored = json.loads((tmp_path / "out/cell.json").read_text())
    assert measured["area_um2"] == pytest.approx(float(table[0]["area_um2"]))
    assert scored["annotations"][0]["score"] == pytest.approx(float(table[0]["mean_probability"]))
    assert scored["images"][0]["file_name"] == "cell.tif"


def test_outlines_of_a_series_have_frames(model: Model, tmp_path: Path) -> None:
    movie = np.stack([s.image[0] for s in samples(2, seed=5)])
    write_tiff(tmp_path / "movie.tif", movie, axes="TYX", spacing=(0.5, 0.5))
    predict(model, tmp_path / "movie.tif", tmp_path / "out", save=["labels", "geojson", "coco"])
    labels = read_labels(tmp_path / "out/movie.tif").data[:, 0]
    for ending in ("geojson", "json"):
        shapes = read_annotations(tmp_path / f"out/movie.{ending}", "movie.tif").shapes
        for frame, truth in enumerate(labels):
            own = [shape for shape in shapes if shape.frame == frame]
            assert np.array_equal(rasterise(own, (64, 64)), truth)


def test_regions_of_classes_are_outlined_by_class(cell: Path, tmp_path: Path) -> None:
    predict(untrained(task="semantic", classes=3), cell, tmp_path / "out", save=["labels", "geojson"])
    labels = read_labels(tmp_path / "out/cell.tif").data[0]
    shapes = read_annotations(tmp_path / "out/cell.geojson").shapes
    assert {shape.class_name for shape in shapes} == {f"class {k}" for k in np.unique(labels) if k}
    painted = [Shape(int(shape.class_name[-1]), shape.rings) for shape in shapes]
    assert np.array_equal(rasterise(painted, (64, 64)), labels)


def test_outlines_of_volumes_are_refused_before_anything_is_done(cell: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"save rois was given, outlines in a plane, .* volumes; save labels"
    ):
        predict(untrained(dims=3), cell, tmp_path / "out", save=["labels", "rois"])
