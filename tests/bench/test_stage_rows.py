"""The rows of metrics, stages and start: that they run, and that contestants agree where they should."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.performance import __main__ as command
from bench.performance.contestants.cells import probabilities, scattered, truth_and_prediction
from bench.performance.record import Measured, read


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Measured, ...]]:
    """All rows of the three groups at their smallest, once."""
    out = tmp_path_factory.mktemp("results")
    names = ("metrics", "stages", "start")
    assert command.main([*names, "page", "--quick", "--rounds", "1", "--out", str(out)]) == 0
    assert "### The help" in Path(out / "performance.md").read_text(encoding="utf-8")
    return {name: read(out / f"{name}.json").rows for name in names}


def test_what_is_not_measured_says_why(measured: dict[str, tuple[Measured, ...]]) -> None:
    for rows in measured.values():
        for row in rows:
            assert row.results[0].seconds, row.results[0].failure
            for one in row.results:
                assert one.seconds or one.failure.startswith("no environment"), (row.title, one)


def test_all_who_match_objects_find_the_same_precision(measured: dict[str, tuple[Measured, ...]]) -> None:
    for row in measured["metrics"][:2]:
        assert len({one.said["ap"] for one in row.results if one.seconds}) == 1
        assert 0 < row.results[0].said["ap"] < 1


def test_all_weight_maps_and_objects_are_alike(measured: dict[str, tuple[Measured, ...]]) -> None:
    weights, *objects = measured["stages"]
    ours, theirs = (one.said for one in weights.results)
    assert ours == theirs and ours["cells"] > 5 and ours["mean"] > 0
    for row in objects:
        ours, theirs = (one.said for one in row.results)
        assert ours["objects"] == theirs["objects"] > 30
        assert ours["area"] == pytest.approx(theirs["area"], rel=0.01)


def test_cells_are_drawn_from_the_seed() -> None:
    truth, prediction = truth_and_prediction(64, 9)
    again, other = truth_and_prediction(64, 9), truth_and_prediction(64, 9, seed=1)
    assert (truth == again[0]).all() and (prediction == again[1]).all() and (truth != other[0]).any()
    assert set(truth.flat) == set(range(10)) and set(prediction.flat) <= set(range(10))
    assert 0.35 < (truth > 0).mean() < 0.65
    assert len(set(scattered(128, 8).flat)) > 7
    foreground = probabilities(64, 9)
    assert foreground.min() >= 0 and foreground.max() <= 1
    assert ((foreground > 0.5) <= (truth > 0) | (foreground < 0.7)).all()
