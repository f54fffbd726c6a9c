"""`unseam calibrate` from files to a model that predicts in int8."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.export.nets import FLAT, NETS, model
from tests.tiny import samples, trained_run, write_set

from unseam.engines.known import engine_of

if not engine_of("openvino").is_installed:
    pytest.skip("openvino is not installed", allow_module_level=True)

from unseam.errors import InputError, OutputExistsError, ShapeError
from unseam.io.images import write_tiff
from unseam.model.checkpoint import save_model
from unseam.model.header import read_header
from unseam.prediction import load_model
from unseam.workflow.calibrating import Calibrated, Cost, _divided, _evenly, calibrate_model, in_words
from unseam.workflow.listener import SILENT, Listener


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_run(tmp_path_factory)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set"), samples(4))[0]


@pytest.fixture(scope="module")
def made(run: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    out = tmp_path_factory.mktemp("made") / "m8.safetensors"
    return calibrate_model(run, [images], out, listener=SILENT)


def test_the_new_model_is_the_old_one_and_ranges(made: Calibrated, run: Path) -> None:
    old = run / "model.safetensors"
    before, after = load_file(old), load_file(made.path)
    assert before.keys() == after.keys()
    assert all((before[key] == after[key]).all() for key in before)
    header = read_header(made.path)
    assert header.calibration == made.calibration
    assert replace(header, calibration=None) == read_header(old)
    assert len(made.calibration.ranges) == 6 + 1  # depth 1: two of each level, and one that comes up
    assert len(made.calibration.means) == 6 + 1  # the same without the first, and the head


def test_every_third_image_is_compared(made: Calibrated) -> None:
    stems = [s.stem for s in samples(4)]
    assert made.calibration.images == (stems[0], stems[2], stems[3])
    assert made.cost.images == 1 and not made.cost.were_learned


def test_what_it_costs_is_counted(made: Calibrated) -> None:
    """The cost again, from labels that the models of both files give."""
    image = samples(4)[1].image
    exact, rounded = (
        load_model(made.path, device="cpu", engine="openvino", precision=way).predict(image).labels > 0
        for way in ("float32", "int8")
    )
    assert made.cost.differing == np.mean(exact != rounded) > 0
    assert made.cost.dice == 2 * (exact & rounded).sum() / (exact.sum() + rounded.sum())
    assert made.cost.ap50 is not None and 0 <= made.cost.ap50 <= 1


def test_the_model_predicts_in_int8_wherever_it_is_cut(made: Calibrated) -> None:
    of = load_model(made.path, device="cpu", precision="int8").with_objects(threshold=0.35, min_size=2)
    image = samples(1, size=150, seed=9)[0].image
    whole = of.predict(image, tile=512)
    assert of.engine.endswith("int8") and whole.labels.max() > 3
    for tile in (8, 37, 64):
        np.testing.assert_array_equal(of.predict(image, tile=tile).labels, whole.labels)
    exact = load_model(made.path, device="cpu", engine="openvino", precision="float32").predict(image)
    apart = np.abs(whole.probabilities - exact.probabilities)
    assert 1e-5 < apart.mean() < 0.02


def test_one_image_does_for_both(run: Path, images: Path, tmp_path: Path) -> None:
    said: list[str] = []
    one = sorted(images.iterdir())[0]
    made = calibrate_model(run, [one, one], tmp_path / "m.safetensors", listener=Listener(say=said.append))
    assert made.cost.were_learned and made.cost.images == 1
    assert said == ["calibrating on 1 tile of 1 image"]
    assert in_words(made)[0].startswith("against float32, on the same image: Dice ")
    assert in_words(made)[1] == "give several images, and some of them are kept for this comparison"


def test_classes_are_compared_as_classes(tmp_path: Path) -> None:
    of = model(FLAT | {"classes": 3})
    header = replace(of.header, task="semantic")
    save_model(tmp_path / "m.safetensors", NETS[of.own.folded].state_dict(), header, overwrite=False)
    rng = np.random.default_rng(0)
    for k in range(2):
        write_tiff(tmp_path / "images" / f"{k}.tif", rng.normal(size=(60, 70)).astype(np.float32), axes="YX")
    made = calibrate_model(
        tmp_path / "m.safetensors", [tmp_path / "images"], tmp_path / "m8.safetensors", listener=SILENT
    )
    assert made.cost.ap50 is None and 0.5 < made.cost.dice < 1 and 0 < made.cost.differing < 0.3
    assert "AP50" not in in_words(made)[0]


def test_what_cannot_be_calibrated(run: Path, images: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"give a name that ends in \.safetensors"):
        calibrate_model(run, [images], tmp_path / "m.onnx")
    (tmp_path / "there.safetensors").touch()
    with pytest.raises(OutputExistsError, match="exists already"):
        calibrate_model(run, [images], tmp_path / "there.safetensors")
    write_tiff(tmp_path / "colour.tif", np.zeros((3, 60, 60), np.uint8), axes="CYX")
    with pytest.raises(ShapeError, match="this model takes 1 channel"):
        calibrate_model(run, [tmp_path / "colour.tif"], tmp_path / "m.safetensors", listener=SILENT)


def test_in_words(made: Calibrated) -> None:
    told = replace(
        made,
        cost=Cost(2, False, 0.99128, 0.00123, 0.98),
        tile=(604, 604),
        seconds={"int8": 0.05, "bfloat16": 0.08, "float32": 0.425},
    )
    assert in_words(told) == [
        "against float32, on 2 other images: Dice 0.9913, 0.123% of the pixels differ, AP50 of the objects "
        "0.9800",
        "a tile of 604 x 604 pixels takes 0.05 s: 1.6 times faster than bfloat16, 8.5 times faster than "
        "float32",
        "int8 changes the labels of these images by more than a Dice of 0.995: look at them, or leave "
        "--precision as it is",
        f"{made.path}: to be used with --precision int8",
    ]


def test_images_are_divided_and_chosen_evenly() -> None:
    learned, scored = _divided(list("abcdefg"))  # type: ignore[arg-type]
    assert (learned, scored) == (list("acdfg"), list("be"))
    assert _evenly(5, 3) == [0, 2, 4] and _evenly(2, 32) == [0, 1] and _evenly(1, 3) == [0]
