"""Packages of bioimage.io on the command line: predict, verify, info, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from tests.cli.conftest import Run
from tests.cli.test_bad_input import refused
from tests.packages.made import blobs, unet, write_files, write_package

from unseam.prediction import load_model


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A file of smooth noise."""
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, blobs(90, 101)[0])
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_predict(version: str, run: Run, image: Path, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p.zip", unet(), version)
    ran = run("predict", package, image, "--out", tmp_path / "out")
    assert ran.code == 0
    assert "output: its one channel is the probability of foreground; connected pixels above 0.5" in ran.err
    assert "halo: 6 x 6; nothing beyond it has a part in what is kept" in ran.err
    expected = load_model(package).predict(blobs(90, 101)).labels
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / "image.tif"), expected)
    assert expected.max() > 1
    other = run("predict", package, image, "--out", tmp_path / "low", "--set", "objects.threshold=0.2")
    assert other.code == 0
    assert (tifffile.imread(tmp_path / "low" / "image.tif") > 0).sum() > (expected > 0).sum()


def test_blocks_give_the_labels_of_the_whole(run: Run, image: Path, tmp_path: Path) -> None:
    steps = [
        {"name": "scale_range", "kwargs": {"mode": "per_sample", "axes": "yx", "max_percentile": 99}},
        {"name": "clip", "kwargs": {"min": 0.1, "max": 0.9}},
        {"name": "zero_mean_unit_variance", "kwargs": {"mode": "per_sample", "axes": "yx"}},
    ]
    package = write_package(tmp_path / "p.zip", unet(), in_preprocessing=steps)
    assert run("predict", package, image, "--out", tmp_path / "a.zarr", "--block", 32).code == 0
    found = np.asarray(zarr.open_array(tmp_path / "a.zarr" / "0", mode="r")[:])
    np.testing.assert_array_equal(found, load_model(package).predict(blobs(90, 101)).labels)
    assert found.max() > 1


def test_verify_says_that_no_seams_are_left(run: Run, image: Path, tmp_path: Path) -> None:
    ran = run("verify", write_package(tmp_path / "p.zip", unet()), image, "--regions", 2)
    assert ran.code == 0, ran
    assert "the same in all" in ran.out
    assert "up to 0.0001 passes for rounding: this network computes in float32 alone" in ran.out


def alone(size: int) -> dict[str, Any]:
    """Tiles of one size, of which 1 pixel on each side is said to be halo."""
    return {"in_shape": [1, 1, size, size], "out_shape": [1, 1, size, size], "out_halo": [0, 0, 1, 1]}


@pytest.mark.parametrize(
    ("content", "stated"),
    [(unet(norm=True), {}), (unet(), alone(12))],
    ids=["norm", "too small for its halo"],
)
def test_verify_says_that_seams_are_left(
    content: bytes, stated: dict[str, Any], run: Run, tmp_path: Path
) -> None:
    tifffile.imwrite(tmp_path / "small.tif", blobs(40, 44)[0])
    package = write_package(tmp_path / "p.zip", content, **stated)
    ran = run("verify", package, tmp_path / "small.tif", "--regions", 1, "--json", tmp_path / "c.json")
    assert ran.code == 1, ran
    assert "NOT the same" in ran.out and "the difference jumps at edges of tiles" in ran.out
    assert "up to 2e-05 passes for rounding" in ran.out and "seams are possible" in ran.err
    assert json.loads((tmp_path / "c.json").read_text())["same"] is False


def test_info(run: Run, tmp_path: Path) -> None:
    folder = write_package(tmp_path / "p", unet())
    ran = run("info", folder)
    assert ran.code == 0
    lines = {line[:15].strip(): line[15:] for line in ran.out.splitlines()}
    assert lines["package"] == "made for a test, bioimage.io model 0.4.10"
    assert lines["weights"] == "weights.onnx (onnx), its sha256 is as described"
    assert lines["input"] == "axes bcyx, 1 channels; y 16 + 2 n, x 16 + 2 n pixels"
    assert lines["before"] == "mean to 0 and deviation to 1, of each channel"
    assert lines["after"] == "sigmoid" and lines["made by"] == "A. Maker"
    assert lines["halo"] == "6 x 6; nothing beyond it has a part in what is kept"
    assert "threshold 0.5" in lines["objects"] and "grow 0" in lines["objects"]
    values = json.loads(run("info", folder, "--json").out)
    assert values["package"] == lines["package"] and values["normalization"]["steps"][0]["eps"] == 1e-6


@pytest.mark.parametrize("command", ["predict", "verify", "info"])
def test_a_bad_package_is_told_in_a_sentence(command: str, run: Run, image: Path, tmp_path: Path) -> None:
    rest = {"predict": [image, "--out", tmp_path / "out"], "verify": [image], "info": []}[command]
    text = tmp_path / "text.zip"
    text.write_text("no archive")
    far = write_package(tmp_path / "far.zip", unet(), source="https://x.org/w.onnx")
    step = {"name": "equalize", "kwargs": {}}
    for package, words in (
        (tmp_path / "lost.zip", "there is no file"),
        (text, "is no zip archive, or is cut short"),
        (write_files(tmp_path / "empty", {"rdf.yaml": b""}), "entries with names were expected"),
        (far, "does not hold https://x.org/w.onnx but points at it"),
        (
            write_package(tmp_path / "step.zip", unet(), in_preprocessing=[step]),
            "is equalize, which unseam does not",
        ),
        (write_package(tmp_path / "net.zip", b"no network"), "is no ONNX network, or is cut short"),
        (
            write_package(tmp_path / "two.zip", unet(channels=(2, 1))),
            "takes 2 channels and its description says 1",
        ),
    ):
        refused(run(command, package, *rest), words)
    assert not (tmp_path / "out").exists()


def test_an_image_that_does_not_fit(run: Run, tmp_path: Path) -> None:
    package = write_package(tmp_path / "p.zip", unet())
    tifffile.imwrite(
        tmp_path / "rgb.tif", np.random.default_rng(0).integers(0, 9, (20, 20, 3)).astype(np.uint8)
    )
    ran = run("predict", package, tmp_path / "rgb.tif", "--out", tmp_path / "out")
    assert ran.code == 2 and "this model takes 1 channel and 2 spatial axes" in ran.err
