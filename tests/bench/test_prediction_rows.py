"""The rows of prediction and of the limit: what takes part, that it computes the same, and the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from bench.performance.contest import CONTESTANTS, Result
from bench.performance.contestants import matrix_peak, predict_plain, predict_unseam
from bench.performance.contestants.networks import image_of, unpadded
from bench.performance.page import group_page
from bench.performance.record import Measured, Options, Record
from bench.performance.rows import groups, limit, prediction

from unseam.config import Config, NetworkConfig
from unseam.model.header import ModelHeader
from unseam.normalize import Normalization
from unseam.prediction import ready

TINY = {"base_width": 2, "depth": 2, "batch_norm": True}


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", str(before))
    yield
    torch.set_num_threads(before)


def test_the_groups_are_found_in_the_order_of_the_page() -> None:
    found = list(groups())
    assert found.index("prediction") < found.index("limit")


@pytest.mark.parametrize("group", [prediction, limit])
def test_ours_is_first_and_every_script_is_there(group: object) -> None:
    for quick in (True, False):
        for row in group.rows(Options(quick=quick)):  # type: ignore[attr-defined]
            assert row.contestants[0].script in ("predict_unseam.py", "matrix_peak.py")
            for one in row.contestants:
                assert Path(CONTESTANTS / one.script).is_file()
                assert json.loads(json.dumps(dict(one.arguments)))


@pytest.mark.parametrize("tile", [None, 20])
@pytest.mark.parametrize("fold", [False, True])
def test_plain_pytorch_computes_what_unseam_does(tile: int | None, fold: bool) -> None:
    how = {"network": TINY, "dtype": "float32", "channels_last": True, "tile": tile, "fold": fold}
    header = ModelHeader("instances", NetworkConfig(**TINY), Normalization(), Config().objects)
    model = ready(unpadded(TINY), header)
    image = image_of(50)
    scaled = header.own_normalization(image[None])[0].astype(np.float32)
    expected = model.probabilities(image[None])
    assert np.abs(predict_plain.predictor(how)(scaled) - expected).max() < 1e-4
    assert np.ptp(expected) > 0.01


def test_a_contestant_says_its_work() -> None:
    ours = predict_unseam.setup({"network": TINY, "size": 40})()
    assert ours["work"] == 1600
    assert predict_unseam.setup({"network": TINY, "size": 40, "work": 5})()["work"] == 5
    plain = {"network": TINY, "size": 40, "dtype": "bfloat16", "channels_last": False}
    assert predict_plain.setup(plain)() == {"work": 1600}
    for dtype in limit.PRODUCTS:  # 4 x 4 results of 4 products and 4 sums each
        assert matrix_peak.setup({"dtype": dtype, "size": 4 if dtype != "int8" else 32})()["work"] in (
            128,
            2 * 32**3,
        )


def test_the_share_of_the_limit_is_of_the_fastest_product() -> None:
    products = (
        Result("p", arguments={"dtype": "float32"}, seconds=(4.0, 2.0), first=9.0, work=200e9),
        Result("p", arguments={"dtype": "float32"}, seconds=(1.0,), first=9.0, work=50e9),
        Result("p", arguments={"dtype": "bfloat16"}, seconds=(1.0,), first=9.0, work=400e9),
        Result("p", arguments={"dtype": "int8"}, failure="no such product"),
    )
    ours = (Result("paper network", seconds=(1.0, 2.0, 3.0), work=160e9, first=3.0), Result("d", failure="x"))
    rows = (Measured("a", "GFLOP", 1e9, "", products), Measured("b", "GFLOP", 1e9, "", ours))
    page = group_page(Record("limit", "m", 0.0, 2, rows, limit.facts(Options(quick=True))), limit)
    assert limit.peak(rows[0], "float32") == 100.0  # 200 in 2 s
    lines = page.splitlines()
    assert "| matrix product, int8 | not possible | | | | |" in lines
    # 160 in 2 s: 80 of 100, and of 400
    assert "| unseam, paper network | 80.0 | 80% | 20% |  | 2.00 (1.50 to 2.50) |" in lines
    assert "| d | |  |  |  | x |" in lines
    alone = group_page(Record("limit", "m", 0.0, 2, rows[:1]), limit)
    assert "### a" in alone and "of float32" not in alone
    assert any(line.startswith("- default network: 1.0") and "in 1 tiles" in line for line in lines)
