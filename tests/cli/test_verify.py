"""`unseam verify` as a person gives it: verdict, exit code, files, and a sentence for what cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.broken import with_seams
from tests.cli.conftest import Ran, Run
from tests.tiny import samples

from unseam import prediction
from unseam.io.images import write_tiff
from unseam.prediction import Model, load_model


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "cells.tif"
    write_tiff(path, samples(1, size=60, seed=9)[0].image[0], axes="YX", spacing=(0.5, 0.5))
    return path


def refused(ran: Ran, *words: str) -> None:
    assert ran.code == 2 and ran.out == "" and "Traceback" not in ran.err, ran
    assert ran.err.splitlines()[-1].startswith("unseam verify: ")
    for word in words:
        assert word in ran.err.splitlines()[-1]


def test_the_true_network_passes(run: Run, model: Path, image: Path, tmp_path: Path) -> None:
    options = ["--regions", 2, "--tile", 24, "--json", tmp_path / "v.json", "--tta", "mirror"]
    ran = run("verify", model, image, *options)
    assert ran.code == 0 and ran.out.startswith("the same in all 18 other cuts of 2 regions and the whole")
    assert ran.err.count("region ") == 2 and "region 2 of 2 (y " in ran.err
    assert json.loads((tmp_path / "v.json").read_text())["same"] is True


def test_a_network_with_seams_fails_and_is_drawn(
    run: Run, model: Path, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(path: str, **options: str) -> Model:
        return with_seams(load_model(path, **options))

    monkeypatch.setattr(prediction, "load_model", load)
    files = ["--picture", tmp_path / "v.png", "--report", tmp_path / "v.html"]
    ran = run("verify", model, image, "--regions", 1, "--tile", 24, "--memory", "1KB", *files)
    assert ran.code == 1 and ran.out.startswith("NOT the same: ")
    assert "this is no rounding" in ran.out and "jumps at edges of tiles: rows " in ran.out
    assert (tmp_path / "v.png").read_bytes().startswith(b"\x89PNG")
    assert "NOT the same" in (tmp_path / "v.html").read_text()


def test_what_cannot_be_used(run: Run, model: Path, image: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    refused(run("verify", tmp_path / "nowhere", image), "there is no model file")
    refused(run("verify", model, tmp_path / "nowhere.tif"), "nowhere.tif does not exist; check the name")
    refused(run("verify", model, image, "--regions", 0), "regions is 0; it takes 1 or more")
    refused(run("verify", model, image, "--tile", "abc"), "tile is 'abc'; expected auto or a number")
    refused(run("verify", model, image, "--tile", 1), "this network needs tiles of 2 pixels or more")
    refused(run("verify", model, image, "--memory", "much"), "memory is 'much'; give a size as 4GB")
    refused(run("verify", model, image, "--report", tmp_path / "r.txt"), "give a name that ends in .html")
    refused(run("verify", model, image, "--json", image), "exists already; give --overwrite")
    refused(run("verify", model, image, "--pixel-size", 0), "pixel_size is 0.0; it must be at least")
    refused(run("verify", model, image, "--diameter", 9999), "diameter is 9999; expected ")
    refused(run("verify", model, image, "--diameter", 9, "--no-rescale"), "give one of them")
    refused(run("verify", model, image, "--axes", "QQ"), "name 'Q', which is unknown")
    refused(run("verify", model, image, "--set", "network.depth=2"), "takes objects.threshold and the like")
    assert sorted(tmp_path.iterdir()) == before


def test_an_image_with_other_channels(run: Run, model: Path, tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 255, (24, 24, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "colour.tif", colour, photometric="rgb")
    refused(run("verify", model, tmp_path / "colour.tif"), "shape (3, 24, 24); this model takes 1 channel")


def test_an_image_smaller_than_a_tile(run: Run, model: Path, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "small.tif", np.arange(15, dtype=np.uint8).reshape(3, 5))
    ran = run("verify", model, tmp_path / "small.tif", "--pixel-size", 0.5)
    assert ran.code == 0 and "and the whole image: largest" in ran.out
