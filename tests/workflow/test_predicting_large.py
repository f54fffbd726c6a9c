"""Zarr stores, huge TIFFs and parts of images through the same command as small files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from tests.tiny import samples, state_of, trained_run, untrained

from unseam.errors import InputError, OutputExistsError, UnseamError
from unseam.io.annotations.files import read_annotations
from unseam.io.annotations.rasterise import rasterise
from unseam.io.images import read_labels, write_png, write_tiff
from unseam.io.ome_zarr.layout import Layout
from unseam.io.ome_zarr.pyramid import build_pyramid
from unseam.io.ome_zarr.write import create, write
from unseam.io.open import open_sources
from unseam.model.checkpoint import save_model
from unseam.prediction import Model, load_model
from unseam.workflow import inputs
from unseam.workflow.listener import SILENT, Listener
from unseam.workflow.predicting import Outcome, predict_files
from unseam.workflow.streaming import is_large

Array = NDArray[Any]
SPACING = (0.5, 0.5)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(trained_run(tmp_path_factory), device="cpu").with_objects(threshold=0.35, min_size=2)


def cells(seed: int, size: int = 96) -> Array:
    return np.asarray(samples(1, size=size, seed=seed)[0].image[0])


def make_zarr(path: Path, image: Array, *, axes: str = "YX", version: str = "0.5") -> Path:
    """An OME-Zarr with chunks of 32 pixels and coarser levels."""
    layout = Layout(axes, image.shape, image.dtype, chunk=(32, 32), spacing=SPACING, version=version)
    create(path, layout)
    grid = [range(0, n, 32) for n in image.shape[-2:]]
    for y in grid[0]:
        for x in grid[1]:
            region = ((y, min(y + 32, image.shape[-2])), (x, min(x + 32, image.shape[-1])))
            block = image[..., slice(*region[0]), slice(*region[1])]
            for frame in range(len(image)) if "T" in axes else [None]:
                write(path, region, block if frame is None else block[frame], frame=frame)
    build_pyramid(path)
    return path


def predict(model: Model, inputs: list[Path], out: Path, **options: Any) -> tuple[Outcome, ...]:
    return predict_files(model, inputs, out, **{"listener": SILENT, **options})


def labels_of(out: Path) -> Array:
    return np.asarray(zarr.open_array(out / "0", mode="r")[:])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_zarr_store_becomes_a_label_image_that_is_read_again(
    model: Model, tmp_path: Path, version: str
) -> None:
    image = cells(1)
    store = make_zarr(tmp_path / "scan.ome.zarr", image, version=version)
    (outcome,) = predict(model, [store], tmp_path / "out", version=version, block=48)
    assert names(tmp_path / "out") == ["scan.csv", "scan.zarr", "scan_overlay.png"]
    expected = model.predict(image, spacing=SPACING)
    np.testing.assert_array_equal(labels_of(tmp_path / "out/scan.zarr"), expected.labels)
    assert outcome.n_objects == expected.labels.max() > 2
    (read,) = open_sources(tmp_path / "out/scan.zarr")
    assert read.spacing == SPACING and read.shape == (96, 96)


def test_a_folder_of_small_files_and_stores(model: Model, tmp_path: Path) -> None:
    write_tiff(tmp_path / "in/a.tif", cells(1), axes="YX", spacing=SPACING)
    make_zarr(tmp_path / "in/b.zarr", cells(2))
    predict(model, [tmp_path / "in"], tmp_path / "out", save=("labels",))
    assert names(tmp_path / "out") == ["a.tif", "b.zarr"]
    assert (read_labels(tmp_path / "out/a.tif").data[0] == model.predict(cells(1)).labels).all()
    assert (labels_of(tmp_path / "out/b.zarr") == model.predict(cells(2)).labels).all()
    with pytest.raises(OutputExistsError, match=r"a\.tif and 1 more exist already"):
        predict(model, [tmp_path / "in"], tmp_path / "out", save=("labels",))
    outcomes = predict(model, [tmp_path / "in"], tmp_path / "out", save=("labels",), resume=True)
    assert [outcome.n_objects for outcome in outcomes] == [-1, -1]


@pytest.mark.parametrize(
    ("select", "part"),
    [
        ("t=1, c=0", np.s_[1, 0]),
        ("t=1, c=1, y=16:80, x=0:64", np.s_[1, 1, 16:80, :64]),
    ],
)
def test_a_part_is_the_image_from_then_on(model: Model, tmp_path: Path, select: str, part: Any) -> None:
    film = np.stack([np.stack([cells(10 * t + c) for c in range(2)]) for t in range(2)])
    store = make_zarr(tmp_path / "film.zarr", film, axes="TCYX")
    predict(model, [store], tmp_path / "out.zarr", select=select, block=32)
    np.testing.assert_array_equal(labels_of(tmp_path / "out.zarr"), model.predict(film[part]).labels)
    write_tiff(tmp_path / "film.tif", film, axes="TCYX", spacing=SPACING)
    predict(model, [tmp_path / "film.tif"], tmp_path / "small", select=select)
    in_memory = read_labels(tmp_path / "small/film.tif").data[0]
    np.testing.assert_array_equal(in_memory, labels_of(tmp_path / "out.zarr"))


def test_a_coarser_level_is_an_image_of_larger_pixels(model: Model, tmp_path: Path) -> None:
    image = cells(3, size=1100)
    store = make_zarr(tmp_path / "scan.zarr", image)
    (coarse,) = open_sources(store, select="level=1")
    assert coarse.spacing == (1.0, 1.0)
    predict(model, [store], tmp_path / "out.zarr", select="level=1", save=("labels",))
    expected = model.predict(coarse.read(((0, 550), (0, 550))), spacing=(1.0, 1.0))
    np.testing.assert_array_equal(labels_of(tmp_path / "out.zarr"), expected.labels)


def test_missing_chunks_are_told(model: Model, tmp_path: Path) -> None:
    store = make_zarr(tmp_path / "scan.zarr", cells(1))
    shutil.rmtree(store / "0" / "c" / "1")
    said: list[str] = []
    predict(model, [store], tmp_path / "out.zarr", listener=Listener(say=said.append))
    assert any("3 of 9 chunks are missing and read as the fill value" in line for line in said)
    holes = cells(1)
    holes[32:64] = 0
    np.testing.assert_array_equal(labels_of(tmp_path / "out.zarr"), model.predict(holes).labels)


def test_a_tiff_that_would_take_too_much_memory_is_streamed(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiff(tmp_path / "big.tif", cells(1), axes="YX", spacing=SPACING)
    monkeypatch.setattr(inputs, "WORTH_A_LOOK", 1)
    predict(model, [tmp_path / "big.tif"], tmp_path / "small")
    assert "big.tif" in names(tmp_path / "small")
    monkeypatch.setattr("unseam.workflow.streaming.free_memory", lambda: 100_000)
    predict(model, [tmp_path / "big.tif"], tmp_path / "large")
    assert names(tmp_path / "large") == ["big.csv", "big.zarr", "big_overlay.png"]
    small = read_labels(tmp_path / "small/big.tif").data[0]
    np.testing.assert_array_equal(labels_of(tmp_path / "large/big.zarr"), small)


def test_what_is_large(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", np.zeros((100, 100), np.uint8), axes="YX")
    sources = open_sources(tmp_path / "a.tif")
    # 1 + 4 bytes of intensities, 2 x 8 of probabilities and 40 of decisions and labels for each pixel
    assert not is_large(sources, 2, memory=610_000) and is_large(sources, 2, memory=609_999)
    assert is_large(sources * 2, 2, memory=610_000)
    assert not is_large(sources, 2, memory=610_000, tta="mirror")
    assert is_large(sources, 2, memory=2_000_000, tta="turn")  # 2 x 4 x (8 x 2 + 2) bytes a pixel more
    assert not is_large(sources, 2, memory=2_050_000, tta="turn")


def test_two_images_for_one_output(model: Model, tmp_path: Path) -> None:
    for name in "ab":
        write_tiff(tmp_path / f"in/{name}.tif", cells(1), axes="YX")
    with pytest.raises(InputError, match=r"2 images were given for one output .*out\.zarr; give a folder"):
        predict(model, [tmp_path / "in"], tmp_path / "out.zarr")


def test_a_store_that_cannot_be_read_stops_no_other(model: Model, tmp_path: Path) -> None:
    make_zarr(tmp_path / "in/good.zarr", cells(1))
    zarr.create_group(tmp_path / "in/bad.zarr")
    bad, good = predict(model, [tmp_path / "in"], tmp_path / "out")
    assert bad.error is not None and "multiscales" in str(bad.error) and good.n_objects > 0
    assert names(tmp_path / "out") == ["good.csv", "good.zarr", "good_overlay.png"]


def test_resuming_does_not_throw_away_the_work_of_another_command(model: Model, tmp_path: Path) -> None:
    store = make_zarr(tmp_path / "scan.zarr", cells(1))
    work = tmp_path / "out" / "scan.zarr.part"
    work.mkdir(parents=True)
    (work / "manifest.json").write_text('{"asked": {"option": "other"}, "decided": {}}')
    (outcome,) = predict(model, [store], tmp_path / "out", resume=True)
    assert "half-done work of another command" in str(outcome.error) and work.exists()


def test_a_grey_picture_saved_in_colour(model: Model, tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", np.stack([cells(1)] * 3), axes="CYX", spacing=SPACING)
    predict(model, [tmp_path / "a.tif"], tmp_path / "out.zarr")
    np.testing.assert_array_equal(labels_of(tmp_path / "out.zarr"), model.predict(cells(1)).labels)


def test_an_input_inside_of_the_output_is_refused(model: Model, tmp_path: Path) -> None:
    make_zarr(tmp_path / "plate.zarr/well", cells(1))
    zarr.create_group(tmp_path / "plate.zarr")
    with pytest.raises(OutputExistsError, match=r"would replace the image .*plate\.zarr"):
        predict(model, [tmp_path / "plate.zarr/well"], tmp_path / "plate.zarr", overwrite=True)


def test_a_table_as_parquet_of_an_image_in_memory(model: Model, tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", cells(1), axes="YX", spacing=SPACING)
    (outcome,) = predict(model, [tmp_path / "a.tif"], tmp_path / "out", save=("parquet",))
    assert names(tmp_path / "out") == ["a.parquet"] and outcome.n_objects > 0


def test_memory_makes_blocks_of_any_file(model: Model, tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", cells(1))
    predict(model, [tmp_path / "a.png"], tmp_path / "out", memory=2 * 2**30)
    assert "a.tif" in names(tmp_path / "out")
    with pytest.raises(UnseamError, match="memory of 100 KB is too little"):
        raise next(
            outcome.error
            for outcome in predict(model, [tmp_path / "a.png"], tmp_path / "none", memory=102_400)
            if outcome.error
        )


def test_an_image_in_one_piece_is_told(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_png(tmp_path / "a.png", cells(1))
    monkeypatch.setattr("unseam.workflow.predicting.stored_whole", lambda _: True)
    said: list[str] = []
    predict(model, [tmp_path / "a.png"], tmp_path / "out.zarr", listener=Listener(say=said.append))
    assert any("a.png: is stored in one piece, and decoded whole for its blocks" in line for line in said)


@pytest.mark.parametrize("block", [32, 64])
def test_outlines_of_blocks_are_those_of_the_whole(model: Model, tmp_path: Path, block: int) -> None:
    write_tiff(tmp_path / "a.tif", cells(1), axes="YX", spacing=SPACING)
    save = ("labels", "rois", "geojson", "coco")
    predict(model, [tmp_path / "a.tif"], tmp_path / "whole", save=save)
    predict(model, [tmp_path / "a.tif"], tmp_path / "blocks/a.zarr", save=save, block=block)
    for ending in ("zip", "json"):
        files = [tmp_path / folder / f"a.{ending}" for folder in ("whole", "blocks")]
        assert files[0].read_bytes() == files[1].read_bytes()
    texts = [(tmp_path / folder / "a.geojson").read_text() for folder in ("whole", "blocks")]
    assert texts[0] == texts[1].replace('"detection"', '"annotation"') and texts[0] != texts[1]


def test_outlines_of_a_series_in_blocks_have_frames(model: Model, tmp_path: Path) -> None:
    film = make_zarr(tmp_path / "film.zarr", np.stack([cells(1), cells(2)]), axes="TYX")
    predict(model, [film], tmp_path / "out", save=("labels", "geojson"))
    shapes = read_annotations(tmp_path / "out/film.geojson").shapes
    for frame, labels in enumerate(labels_of(tmp_path / "out/film.zarr")):
        own = [shape for shape in shapes if shape.frame == frame]
        np.testing.assert_array_equal(rasterise(own, (96, 96)), labels)


def test_classes_in_blocks_are_not_outlined(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", cells(1), axes="YX")
    semantic = untrained(task="semantic", classes=3)
    save_model(tmp_path / "m.safetensors", state_of(semantic), semantic.header, overwrite=False)
    loaded = load_model(tmp_path / "m.safetensors", device="cpu")
    (outcome,) = predict(loaded, [tmp_path / "a.tif"], tmp_path / "a.zarr", save=("labels", "rois"))
    assert "rois was asked for; of an image in blocks only objects in a plane" in str(outcome.error)
