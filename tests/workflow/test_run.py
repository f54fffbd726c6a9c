"""The files of a run; most of it is tested with training as a whole."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from unseam.training.loop import Progress
from unseam.workflow.listener import SILENT, Listener
from unseam.workflow.run import Run, about_run, read_history, write_history
from unseam.workflow.training import train


@pytest.mark.parametrize(
    "history", [[], [{"iteration": 1.0, "loss": 0.5}, {"iteration": 2.0, "val_ap": 0.25}]]
)
def test_a_history_comes_back_without_its_empty_cells(
    tmp_path: Path, history: list[dict[str, float]]
) -> None:
    for _ in range(2):  # the second time it is replaced
        write_history(tmp_path / "history.csv", history)
    assert read_history(tmp_path / "history.csv") == history


def test_the_first_line_of_a_history_names_the_columns(tmp_path: Path) -> None:
    write_history(
        tmp_path / "history.csv", [{"iteration": 10, "loss": 0.5}, {"iteration": 20, "val_ap": 0.25}]
    )
    assert (tmp_path / "history.csv").read_text() == "iteration,loss,val_ap\n10,0.5,\n20,,0.25\n"


@dataclass
class Log:
    """What TensorBoard is given."""

    rows: list[tuple[str, float, int]]

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.rows.append((name, value, step))


def test_a_loss_that_is_not_known_yet_is_not_told(tmp_path: Path) -> None:
    """As on a GPU before the first row of the history."""
    said, log = list[str](), Log([])
    run = Run(tmp_path, Listener(step=lambda step: said.append(step.detail)), 0.0)
    run.tell(Progress(3, 0.1, math.nan, None, 9.0), "AP", log)
    run.tell(Progress(10, 0.2, 0.5, 0.25, 9.0), "AP", log)
    assert said == ["iteration 3", "iteration 10, loss 0.500, held-out AP 0.250"]
    assert log.rows == [("loss", 0.5, 10), ("held_out_score", 0.25, 10)]


def test_about_a_run_tells_network_data_and_time(tmp_path: Path) -> None:
    images = [np.random.default_rng(k).integers(0, 255, (24, 24), np.uint8) for k in range(2)]
    labels = [(image > 128).astype(np.uint8) * 255 for image in images]
    small = {"network": {"base_width": 2, "depth": 1}, "train": {"patch": (28, 28), "batch": 1}}
    train(images, labels, out=tmp_path / "run", iterations=2, settings=small, listener=SILENT)
    write_history(tmp_path / "run/history.csv", [{"iteration": 2, "loss": 0.5}])
    about = about_run(tmp_path / "run")
    headline = dict(about["headline"])
    assert headline["network"] == "2-D U-Net, depth 1, base width 2"
    assert headline["trained on"].startswith("2 images, and none held out to choose the best model; ")
    assert headline["trained on"].endswith(" objects in all")
    assert re.match(r"2 iterations in \d+:\d\d,", headline["training"])
    assert about["history"] == ({"iteration": 2.0, "loss": 0.5},)
    (tmp_path / "run/history.csv").unlink()
    assert about_run(tmp_path / "run/model.safetensors")["history"] is None
