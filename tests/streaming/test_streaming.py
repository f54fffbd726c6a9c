"""Images in blocks: labels and tables are those of the whole image, and half-done work is gone on with."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from filelock import FileLock
from numpy.typing import NDArray
from tests.tiny import samples, saved, state_of, trained_run, untrained

from unseam.errors import InputError, OutputError, OutputExistsError, ShapeError, UnseamError
from unseam.io.images import write_tiff
from unseam.io.ome_zarr.layout import Layout
from unseam.io.ome_zarr.write import create, write
from unseam.model.checkpoint import save_model
from unseam.prediction import Model, Segmentation, load_model
from unseam.streaming import output
from unseam.streaming.executors import OnBlock, Task, Threads
from unseam.streaming.job import ImageSpec, Job
from unseam.streaming.run import in_words, stream
from unseam.streaming.wanted import Reporter, Streamed, Wanted
from unseam.streaming.work import work_folder

Array = NDArray[Any]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(trained_run(tmp_path_factory), device="cpu").with_objects(threshold=0.35, min_size=2)


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> ImageSpec:
    """An image of cells, 200 x 150 pixels of the model's own size."""
    path = tmp_path_factory.mktemp("cells") / "cells.tif"
    image = samples(1, size=200, seed=9)[0].image[0, :, :150]
    write_tiff(path, image, axes="YX", spacing=(0.5, 0.5))
    return ImageSpec(str(path))


def streamed(model: Model, image: ImageSpec, out: Path, **wanted: Any) -> Streamed:
    assert model.path is not None
    return stream(model, model.path, image, Wanted(out, **wanted))


def labels_of(out: Path) -> Array:
    return np.asarray(zarr.open_array(out / "0", mode="r")[:])


def whole(model: Model, image: ImageSpec, **options: Any) -> Segmentation:
    """The same image in memory, in one piece."""
    source = image.open()[0]
    data = source.read(tuple((0, n) for n in source.shape))
    return model.predict(data, spacing=source.spacing, **options)


def assert_the_same(model: Model, image: ImageSpec, out: Path, **wanted: Any) -> Segmentation:
    """Labels number for number, tables letter for letter."""
    expected = whole(model, image, zoom=wanted.get("zoom"))
    done = streamed(model, image, out, **wanted)
    np.testing.assert_array_equal(labels_of(out), expected.labels)
    table = expected.table()
    table.to_csv(out.with_name("whole.csv"), overwrite=True)
    assert out.with_suffix(".csv").read_bytes() == out.with_name("whole.csv").read_bytes()
    assert done.n_objects == len(table)
    return expected


@pytest.mark.parametrize("block", [16, 50, 64, 4000])
def test_any_block_gives_the_labels_of_the_whole_image(
    model: Model, cells: ImageSpec, tmp_path: Path, block: int
) -> None:
    expected = assert_the_same(model, cells, tmp_path / "out.zarr", block=block)
    assert expected.labels.max() > 5


@pytest.mark.parametrize(
    "objects",
    [
        {"threshold": 0.4, "grow": 3, "low_threshold": 0.1},
        {"threshold": 0.45, "grow": 0, "min_size": 0, "fill_holes": False},
        {"threshold": 0.55, "grow": 2, "low_threshold": 0.0, "min_size": 40},
        {"threshold": 0.4, "grow": 1, "low_threshold": 0.2, "split": 0.5, "split_size": 3},
    ],
)
def test_any_way_to_objects(model: Model, cells: ImageSpec, tmp_path: Path, objects: dict[str, Any]) -> None:
    assert_the_same(model.with_objects(**objects), cells, tmp_path / "out.zarr", block=48)


def test_classes(tmp_path: Path) -> None:
    model = saved(untrained(task="semantic", classes=3), tmp_path / "model.safetensors")
    image = np.random.default_rng(0).integers(0, 255, (70, 90)).astype(np.uint8)
    write_tiff(tmp_path / "image.tif", image, axes="YX")
    expected = assert_the_same(model, ImageSpec(str(tmp_path / "image.tif")), tmp_path / "out.zarr", block=32)
    assert len(np.unique(expected.labels)) > 1


def test_a_volume_with_channels_and_coarse_planes(tmp_path: Path) -> None:
    model = saved(untrained(dims=3, channels=2), tmp_path / "model.safetensors")
    image = np.random.default_rng(0).normal(size=(2, 21, 30, 26)).astype(np.float32)
    write_tiff(tmp_path / "image.tif", image, axes="CZYX", spacing=(2.0, 0.5, 0.5))
    expected = assert_the_same(model, ImageSpec(str(tmp_path / "image.tif")), tmp_path / "out.zarr", block=12)
    assert expected.labels.max() > 10


@pytest.mark.parametrize("pixel", [0.3, 0.9])
def test_an_image_at_another_pixel_size(model: Model, tmp_path: Path, pixel: float) -> None:
    image = samples(1, size=130, seed=4)[0].image[0]
    write_tiff(tmp_path / "image.tif", image, axes="YX", spacing=(pixel, pixel))
    spec = ImageSpec(str(tmp_path / "image.tif"))
    expected = assert_the_same(model, spec, tmp_path / "out.zarr", block=48)
    assert expected.labels.shape == (130, 130)
    assert (expected.labels != whole(model, spec, rescale=False).labels).any()


@pytest.mark.parametrize("zoom", [0.4, 2.3])
def test_an_image_that_is_rescaled_whatever_its_pixels(model: Model, tmp_path: Path, zoom: float) -> None:
    image = samples(1, size=130, seed=4)[0].image[0]
    write_tiff(tmp_path / "image.tif", image, axes="YX", spacing=(0.9, 0.9))
    spec = ImageSpec(str(tmp_path / "image.tif"))
    expected = assert_the_same(model, spec, tmp_path / "out.zarr", block=48, zoom=zoom)
    assert expected.labels.shape == (130, 130)
    assert (expected.labels != whole(model, spec).labels).any()
    coarse = whole(model, ImageSpec(str(tmp_path / "image.tif")), zoom=0.9 / 0.5)
    np.testing.assert_array_equal(coarse.labels, whole(model, spec).labels)  # as its pixel size says


def test_a_time_series_is_one_array_and_one_table(model: Model, tmp_path: Path) -> None:
    frames = np.stack([s.image[0] for s in samples(3, size=70, seed=2)])
    write_tiff(tmp_path / "film.tif", frames, axes="TYX", spacing=(0.5, 0.5))
    spec = ImageSpec(str(tmp_path / "film.tif"))
    done = streamed(model, spec, tmp_path / "out.zarr", block=32, save=("labels", "table", "parquet"))
    expected = [model.predict(frame, spacing=(0.5, 0.5)) for frame in frames]
    np.testing.assert_array_equal(labels_of(tmp_path / "out.zarr"), [e.labels for e in expected])
    rows = (tmp_path / "out.csv").read_text().splitlines()
    assert rows[0].startswith("frame,id,") and len(rows) - 1 == sum(len(e.table()) for e in expected)
    assert done.n_objects == len(rows) - 1
    assert (tmp_path / "out.parquet").exists()


def test_probabilities_are_written_where_asked_for(model: Model, cells: ImageSpec, tmp_path: Path) -> None:
    streamed(model, cells, tmp_path / "out.zarr", block=64, save=("labels", "probabilities"))
    written = labels_of(tmp_path / "out_probabilities.zarr")
    np.testing.assert_allclose(written, whole(model, cells).probabilities, atol=1e-5)
    assert not (tmp_path / "out.csv").exists()


@dataclass(frozen=True)
class Shuffled:
    """An executor that does blocks in a random order."""

    seed: int
    at_once: int = 1
    each: str = ""

    def hold(self, key: str, model: Model) -> None:
        Threads().hold(key, model)

    def forget(self, key: str) -> None:
        Threads().forget(key)

    def run(self, task: Task, job: Job, numbers: Sequence[int], on_block: OnBlock) -> None:
        order = np.random.default_rng(self.seed).permutation(list(numbers)).tolist()
        Threads(1).run(task, job, order, on_block)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_blocks_does_not_matter(
    model: Model, cells: ImageSpec, tmp_path: Path, seed: int
) -> None:
    assert model.path is not None
    stream(model, model.path, cells, Wanted(tmp_path / "out.zarr", block=40), executor=Shuffled(seed))
    np.testing.assert_array_equal(labels_of(tmp_path / "out.zarr"), whole(model, cells).labels)


# Half-done work


@dataclass(frozen=True)
class Failing:
    """An executor that fails after some blocks of a pass."""

    after: int
    task: str
    at_once: int = 1
    each: str = ""

    def hold(self, key: str, model: Model) -> None:
        Threads().hold(key, model)

    def forget(self, key: str) -> None:
        Threads().forget(key)

    def run(self, task: Task, job: Job, numbers: Sequence[int], on_block: OnBlock) -> None:
        if task.__name__ == self.task:
            Threads(1).run(task, job, numbers[: self.after], on_block)
            raise OutputError("the disk is full")
        Threads(1).run(task, job, numbers, on_block)


@pytest.mark.parametrize("task", ["predict_block", "grow_block_of", "holes_of_block", "write_block"])
def test_a_run_that_failed_goes_on_where_it_was(
    model: Model, cells: ImageSpec, tmp_path: Path, task: str
) -> None:
    assert model.path is not None
    wanted = Wanted(tmp_path / "out.zarr", block=64)
    with pytest.raises(OutputError, match="the disk is full"):
        stream(model, model.path, cells, wanted, executor=Failing(5, task))
    assert not wanted.out.exists() and work_folder(wanted.out).exists()
    told: list[str] = []
    done = stream(model, model.path, cells, wanted, reporter=Reporter(say=told.append))
    assert done.resumed == (5 if task == "predict_block" else 12)
    assert f"{done.resumed} of 12 blocks were predicted before" in told
    np.testing.assert_array_equal(labels_of(wanted.out), whole(model, cells).labels)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.zarr", "out_overlay.png"]


def test_another_command_is_refused_and_told_what_differs(
    model: Model, cells: ImageSpec, tmp_path: Path
) -> None:
    assert model.path is not None
    wanted = Wanted(tmp_path / "out.zarr", block=64)
    with pytest.raises(OutputError):
        stream(model, model.path, cells, wanted, executor=Failing(2, "predict_block"))
    words = r"half-done work of another command \(option tta was none and is mirror\); give the command"
    with pytest.raises(OutputExistsError, match=words):
        stream(model, model.path, cells, replace(wanted, tta="mirror"))
    with pytest.raises(OutputExistsError, match=r"objects threshold was .* and is 0\.9"):
        stream(model.with_objects(threshold=0.9), model.path, cells, wanted)
    bfloat16 = replace(model, network=replace(model.own, precision="bfloat16"))
    with pytest.raises(OutputExistsError, match=r"engine was .*, float32 and is .*, bfloat16"):
        stream(bfloat16, model.path, cells, wanted)
    with pytest.raises(OutputExistsError, match=r"model was \w+ and is \w+"):
        stream(saved(model, tmp_path / "other.safetensors"), tmp_path / "other.safetensors", cells, wanted)
    done = stream(model, model.path, cells, replace(wanted, tta="mirror", overwrite=True))
    assert done.resumed == 0


@pytest.mark.parametrize(("precision", "refused"), [("float32", False), ("bfloat16", True)])
def test_another_processor_goes_on_in_float32_alone(
    model: Model,
    cells: ImageSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
    refused: bool,
) -> None:
    """In bfloat16 the processor decides by far more than rounding which kernels are taken."""
    assert model.path is not None
    of = load_model(model.path, device="cpu", engine="torch", precision=precision)
    wanted = Wanted(tmp_path / "out.zarr", block=64)
    with pytest.raises(OutputError):
        stream(of, model.path, cells, wanted, executor=Failing(2, "predict_block"))
    monkeypatch.setattr("unseam.prediction.runner.processor", lambda: "a Z80")
    if refused:
        with pytest.raises(OutputExistsError, match=r"processor was .* and is a Z80"):
            stream(of, model.path, cells, wanted)
    else:
        assert stream(of, model.path, cells, wanted).resumed > 0


def test_work_whose_manifest_is_damaged_is_refused(model: Model, cells: ImageSpec, tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    work_folder(out).mkdir()
    (work_folder(out) / "manifest.json").write_text("{")
    with pytest.raises(OutputExistsError, match="its manifest cannot be read"):
        streamed(model, cells, out)


def test_a_run_killed_while_its_results_were_put_in_place_goes_on(
    model: Model, cells: ImageSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved, put_in_place = list[str](), output.put_in_place

    def interrupted(made: Path, target: Path) -> None:
        if len(moved) == 2:
            raise KeyboardInterrupt
        moved.append(target.name)
        put_in_place(made, target)

    everything = ("labels", "probabilities", "table", "parquet", "overlay")
    monkeypatch.setattr(output, "put_in_place", interrupted)
    with pytest.raises(KeyboardInterrupt):
        streamed(model, cells, tmp_path / "out.zarr", block=64, save=everything)
    assert len(moved) == 2 and not (tmp_path / "out.zarr").exists()
    monkeypatch.undo()
    done = streamed(model, cells, tmp_path / "out.zarr", block=64, save=everything)
    assert done.resumed == 12 and len(list(tmp_path.iterdir())) == 5
    np.testing.assert_array_equal(labels_of(tmp_path / "out.zarr"), whole(model, cells).labels)


def test_the_same_command_with_overwrite_goes_on_too(model: Model, cells: ImageSpec, tmp_path: Path) -> None:
    assert model.path is not None
    wanted = Wanted(tmp_path / "out.zarr", block=64, overwrite=True)
    with pytest.raises(OutputError):
        stream(model, model.path, cells, wanted, executor=Failing(3, "predict_block"))
    assert stream(model, model.path, cells, wanted).resumed == 3


def test_a_full_disk_is_told_and_what_is_done_stays_done(
    model: Model, cells: ImageSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    write = Path.write_bytes

    def nearly_full(path: Path, content: bytes) -> int:
        written.append(path)
        if len(written) > 10:  # two arrays for each block
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", nearly_full)
    with pytest.raises(OutputError, match=r"cannot write .*: the disk is full; free some space"):
        streamed(model, cells, tmp_path / "out.zarr", block=64)
    monkeypatch.undo()
    assert streamed(model, cells, tmp_path / "out.zarr", block=64).resumed >= 4
    np.testing.assert_array_equal(labels_of(tmp_path / "out.zarr"), whole(model, cells).labels)


def test_a_kill_while_the_work_is_removed_leaves_nothing_to_go_on_with(
    model: Model, cells: ImageSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, rmtree = tmp_path / "out.zarr", shutil.rmtree

    def killed(path: Path, **options: Any) -> None:
        if Path(path).name.startswith("frame"):
            raise KeyboardInterrupt
        rmtree(path, **options)

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        streamed(model, cells, out, block=64)
    monkeypatch.undo()
    assert streamed(model, cells, out, block=64, overwrite=True).resumed == 0
    np.testing.assert_array_equal(labels_of(out), whole(model, cells).labels)


def test_an_empty_work_folder_is_no_work(model: Model, cells: ImageSpec, tmp_path: Path) -> None:
    work_folder(tmp_path / "out.zarr").mkdir()
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"out\.csv exists already"):
        streamed(model, cells, tmp_path / "out.zarr")
    assert (tmp_path / "out.csv").read_text() == "mine"


def test_results_alone_may_be_replaced_and_not_the_work_of_another_command(
    model: Model, cells: ImageSpec, tmp_path: Path
) -> None:
    assert model.path is not None
    wanted = Wanted(tmp_path / "out.zarr", block=64)
    with pytest.raises(OutputError):
        stream(model, model.path, cells, wanted, executor=Failing(5, "predict_block"))
    with pytest.raises(OutputExistsError, match="half-done work of another command"):
        stream(model, model.path, cells, replace(wanted, tta="mirror", replace=True))
    (tmp_path / "out.csv").write_text("old")
    assert stream(model, model.path, cells, replace(wanted, replace=True)).resumed == 5


def test_no_result_takes_the_place_of_the_image_or_of_what_is_no_result(model: Model, tmp_path: Path) -> None:
    image = samples(1, size=40, seed=1)[0].image[0]
    layout = Layout("YX", (40, 40), image.dtype, chunk=(40, 40), spacing=(0.5, 0.5))
    create(tmp_path / "plate.zarr/well", layout)
    write(tmp_path / "plate.zarr/well", ((0, 40), (0, 40)), image)
    zarr.create_group(tmp_path / "plate.zarr")
    spec = ImageSpec(str(tmp_path / "plate.zarr/well"))
    with pytest.raises(OutputExistsError, match=r"plate\.zarr holds the image .*well; choose another --out"):
        streamed(model, spec, tmp_path / "plate.zarr", overwrite=True)
    with pytest.raises(OutputExistsError, match=r"labels\.zarr lies in the image .*well; choose another"):
        streamed(model, spec, tmp_path / "plate.zarr/well/labels.zarr")
    (tmp_path / "file.zarr").write_text("")
    with pytest.raises(OutputExistsError, match=r"file\.zarr is a file that unseam did not write"):
        streamed(model, spec, tmp_path / "file.zarr", overwrite=True)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(OutputExistsError, match=r"folder\.csv is a folder that unseam did not write"):
        streamed(model, spec, tmp_path / "folder.zarr", overwrite=True)
    (tmp_path / "mine.zarr").mkdir()
    with pytest.raises(OutputExistsError, match=r"mine\.zarr is a folder that unseam did not write"):
        streamed(model, spec, tmp_path / "mine.zarr", overwrite=True)


def test_where_the_pixel_size_is_given_a_part_lies_in_micrometres(model: Model, tmp_path: Path) -> None:
    write_tiff(tmp_path / "image.tif", samples(1, size=96, seed=1)[0].image[0], axes="YX")
    spec = ImageSpec(str(tmp_path / "image.tif"), select="y=40:96, x=8:96", pixel_size=0.5)
    streamed(model, spec, tmp_path / "out.zarr", save=("labels",))
    (written,) = ImageSpec(str(tmp_path / "out.zarr")).open()
    assert written.spacing == (0.5, 0.5) and written.origin == (20.0, 4.0)


def test_an_image_that_cannot_be_used_leaves_nothing_behind(model: Model, tmp_path: Path) -> None:
    image = np.ones((40, 40), np.float32)
    layout = Layout("YX", (40, 40), image.dtype, chunk=(40, 40), spacing=(0.5, 0.5))
    create(tmp_path / "in.zarr", layout)
    image[3, 3] = np.nan
    write(tmp_path / "in.zarr", ((0, 40), (0, 40)), image)
    with pytest.raises(InputError, match="1 pixels that are NaN or infinite"):
        streamed(model, ImageSpec(str(tmp_path / "in.zarr")), tmp_path / "out.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["in.zarr"]


def test_an_image_that_goes_away_meanwhile_is_told(model: Model, tmp_path: Path) -> None:
    assert model.path is not None
    image = samples(1, size=64, seed=1)[0].image[0]
    layout = Layout("YX", (64, 64), image.dtype, chunk=(16, 16), spacing=(0.5, 0.5))
    create(tmp_path / "in.zarr", layout)
    for number in range(16):
        y, x = 16 * (number // 4), 16 * (number % 4)
        write(tmp_path / "in.zarr", ((y, y + 16), (x, x + 16)), image[y : y + 16, x : x + 16])
    spec, gone = ImageSpec(str(tmp_path / "in.zarr")), [False]

    def step(name: str, *_: float) -> None:
        if name == "predicting" and not gone[0]:
            gone[0] = True
            shutil.rmtree(tmp_path / "in.zarr")

    with pytest.raises(UnseamError):
        stream(model, model.path, spec, Wanted(tmp_path / "out.zarr", block=16), reporter=Reporter(step=step))
    assert gone == [True] and not (tmp_path / "out.zarr").exists()


def test_chunks_that_change_between_a_kill_and_the_next_command_are_noticed(
    model: Model, tmp_path: Path
) -> None:
    assert model.path is not None
    image = samples(1, size=64, seed=1)[0].image[0]
    create(tmp_path / "in.zarr", Layout("YX", (64, 64), image.dtype, chunk=(64, 64), spacing=(0.5, 0.5)))
    write(tmp_path / "in.zarr", ((0, 64), (0, 64)), image)
    spec, wanted = ImageSpec(str(tmp_path / "in.zarr")), Wanted(tmp_path / "out.zarr", block=16)
    with pytest.raises(OutputError):
        stream(model, model.path, spec, wanted, executor=Failing(5, "predict_block"))
    (chunk,) = (path for path in (tmp_path / "in.zarr/0/c").rglob("*") if path.is_file())
    os.utime(chunk, (2e9, 2e9))
    with pytest.raises(OutputExistsError, match="image changed was"):
        stream(model, model.path, spec, wanted)


def test_a_network_that_gives_nan_is_told(tmp_path: Path) -> None:
    write_tiff(tmp_path / "image.tif", np.arange(1600).reshape(40, 40).astype(np.uint16), axes="YX")
    for task in ("instances", "semantic"):
        model = untrained(task=task)
        path = saved(model, tmp_path / f"{task}.safetensors").path
        save_model(
            path, state_of(model) | {"head.bias": torch.full((2,), torch.nan)}, model.header, overwrite=True
        )
        model = load_model(path, device="cpu")
        with pytest.raises(InputError, match="the network gives NaN; train the model again"):
            streamed(model, ImageSpec(str(tmp_path / "image.tif")), tmp_path / f"{task}.zarr", save=())


def test_two_runs_cannot_write_one_output(model: Model, cells: ImageSpec, tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    with (
        FileLock(tmp_path / ".out.zarr.lock"),
        pytest.raises(OutputError, match=r"another run is writing .*out\.zarr; wait until it has ended"),
    ):
        streamed(model, cells, out)


def test_what_is_there_stays_there(model: Model, cells: ImageSpec, tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    streamed(model, cells, out, block=64)
    with pytest.raises(OutputExistsError, match=r"out\.zarr exists already"):
        streamed(model, cells, out, block=64)
    streamed(model, cells, out, block=100, overwrite=True)
    np.testing.assert_array_equal(labels_of(out), whole(model, cells).labels)


def test_an_image_that_was_replaced_is_read_anew(model: Model, cells: ImageSpec, tmp_path: Path) -> None:
    """A process that goes on, as a notebook or a worker, does not remember the file that was there."""
    image = cells.open()[0].read(((0, 200), (0, 150)))[0]
    spec = ImageSpec(str(tmp_path / "image.tif"))
    for turned in (image, image[::-1]):
        write_tiff(Path(spec.path), turned, axes="YX", spacing=(0.5, 0.5), overwrite=True)
        streamed(model, spec, tmp_path / "out.zarr", block=100, save=("labels",), overwrite=True)
        np.testing.assert_array_equal(labels_of(tmp_path / "out.zarr"), whole(model, spec).labels)


def test_an_image_that_does_not_fit_the_model(model: Model, tmp_path: Path) -> None:
    write_tiff(tmp_path / "two.tif", np.zeros((2, 40, 40), np.uint8), axes="CYX")
    with pytest.raises(ShapeError, match=r"shape \(2, 40, 40\); this model takes 1 channel"):
        streamed(model, ImageSpec(str(tmp_path / "two.tif")), tmp_path / "out.zarr")
    assert not (tmp_path / "out.zarr.part").exists()


def test_a_folder_that_cannot_be_written_to(model: Model, cells: ImageSpec, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*out\.zarr: .*; choose another --out"):
        streamed(model, cells, tmp_path / "file" / "out.zarr")


KILLED_AFTER_TEN = """
import itertools, os, signal, sys
import unseam.cli
from unseam.streaming import passes

predict_block, done = passes.predict_block, itertools.count(1)

def predict_and_die(job, number):
    predict_block(job, number)
    if next(done) == 10:
        os.kill(os.getpid(), signal.SIGKILL)

passes.predict_block = predict_and_die
unseam.cli.main(sys.argv[1:])
"""


def test_a_run_that_is_killed_goes_on(model: Model, tmp_path: Path) -> None:
    """SIGKILL in the middle of the prediction; the result is that of a run that was left alone."""
    image = samples(1, size=160, seed=3)[0].image[0]
    write_tiff(tmp_path / "image.tif", image, axes="YX", spacing=(0.5, 0.5))
    out = tmp_path / "out.zarr"
    arguments = ["predict", str(model.path), str(tmp_path / "image.tif"), "--out", str(out), "--block", "16"]
    arguments += ["--set", "objects.threshold=0.35", "--set", "objects.min_size=2", "--precision", "float32"]
    killed = subprocess.run([sys.executable, "-c", KILLED_AFTER_TEN, *arguments], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = len(list((work_folder(out) / "frame-00000" / "predict").glob("*/[0-9]*.npz")))
    assert 10 <= before < 100
    command = [sys.executable, "-m", "unseam", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{before} of 100 blocks were predicted before" in done.stderr
    np.testing.assert_array_equal(labels_of(out), whole(model, ImageSpec(str(tmp_path / "image.tif"))).labels)


@pytest.mark.parametrize(("seconds", "words"), [(7, "7 s"), (300, "5 min"), (9000, "2.5 h")])
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
