"""What a user gets who asks for nothing, where bfloat16 is multiplied: most other tests are in float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.tiny import samples, trained_run

from unseam.engines import choosing
from unseam.io.images import read_labels, write_tiff
from unseam.prediction import Model, load_model
from unseam.processor import multiplies_bfloat16
from unseam.streaming.job import ImageSpec
from unseam.workflow.listener import Listener
from unseam.workflow.predicting import predict_files
from unseam.workflow.verifying import verify_file

pytestmark = pytest.mark.skipif(not multiplies_bfloat16(), reason="this processor has no native bfloat16")
SPACING = (0.5, 0.5)


@pytest.fixture(autouse=True)
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor as it is."""
    monkeypatch.setattr(choosing, "multiplies_bfloat16", multiplies_bfloat16)


@pytest.fixture
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(trained_run(tmp_path_factory), device="cpu").with_objects(threshold=0.35, min_size=2)


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """An image larger than the least tile, and no multiple of any."""
    image = samples(1, size=330, seed=9)[0].image[0, :, :290]
    write_tiff(tmp_path / "cells.tif", image, axes="YX", spacing=SPACING)
    return tmp_path / "cells.tif"


def test_it_is_bfloat16_and_near_float32(model: Model) -> None:
    assert model.own.precision == "bfloat16" and model.own.rule.shapes
    exact = load_model(str(model.path), device="cpu", engine="torch", precision="float32")
    image = samples(1, size=330, seed=9)[0].image
    apart = np.abs(model.predict(image).probabilities - exact.predict(image).probabilities)
    assert 1e-5 < apart.max() < 0.1 and apart.mean() < 5e-3


def test_files_are_the_same_by_every_cut(model: Model, cells: Path, tmp_path: Path) -> None:
    """Tiles, blocks, and what a program gets."""
    said = list[str]()
    listener = Listener(said.append)
    predict_files(model, [cells], tmp_path / "whole", save=("labels", "table"), listener=listener)
    (line,) = (line for line in said if line.startswith("engine: "))
    assert ", bfloat16; probabilities within " in line
    expected = read_labels(tmp_path / "whole" / "cells.tif").data
    assert expected.max() > 5
    predict_files(model, [cells], tmp_path / "tiles", save=("labels",), tile=40, listener=listener)
    np.testing.assert_array_equal(read_labels(tmp_path / "tiles" / "cells.tif").data, expected)
    blocks = tmp_path / "blocks.zarr"
    predict_files(model, [cells], blocks, save=("labels", "table"), block=100, listener=listener)
    table = (tmp_path / "whole" / "cells.csv").read_bytes()
    assert (tmp_path / "blocks.csv").read_bytes() == table


def test_it_is_verified(model: Model, cells: Path) -> None:
    found = verify_file(model, ImageSpec(str(cells)), regions=2, listener=Listener())
    assert not found.certificate.is_broken and found.lines[0].startswith("the same in all ")
    assert all(cut.decided == 0 and cut.pixels > 0 for cut in found.certificate.cuts)
