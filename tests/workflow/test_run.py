"""The files of a run; most of it is tested with training as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from unseam.errors import ConfigError
from unseam.workflow.run import read_history, refuse_both, write_history


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


def test_continuing_and_replacing_exclude_each_other() -> None:
    refuse_both(resume=True, overwrite=False)
    refuse_both(resume=False, overwrite=True)
    with pytest.raises(ConfigError, match="--resume goes on with a run and --overwrite replaces it; give"):
        refuse_both(resume=True, overwrite=True)
