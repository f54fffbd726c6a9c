"""The frame of the benchmarks: who runs when, what is kept, what the page makes of it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bench.performance import __main__ as command
from bench.performance.contest import Contestant, Limits, Result, contest, peer
from bench.performance.page import figure, group_page, losses, page, row_page, spread
from bench.performance.record import Measured, Options, Record, Row, machine, read, write

TOY = str(Path(__file__).with_name("toy_contestant.py"))


def toy(letter: str, log: Path, sleep: float = 0.0, **more: Any) -> Contestant:
    return Contestant(
        letter, sys.executable, TOY, {"log": str(log), "letter": letter, "sleep": sleep, **more}
    )


def test_they_run_in_turn_and_those_that_fail_or_dawdle_are_left_behind(tmp_path: Path) -> None:
    log = tmp_path / "log"
    contestants = [
        toy("a", log),
        toy("b", log, broken=True),
        toy("c", log, sleep=0.3),
        toy("d", log, dies=True),
        toy("e", log, sleep=60),
        Contestant("f", str(tmp_path / "nowhere/bin/python"), TOY),
        Contestant("g", sys.executable, TOY, left_out="too slow"),
    ]
    a, b, c, d, e, f, g = contest(contestants, 2, limits=Limits(threads=1, patience=0.25, limit=3))
    # a first run of each, then the rounds of those that were fast enough
    assert log.read_text(encoding="utf-8") == "acde" + "aa"
    assert len(a.seconds) == len(a.cpu_seconds) == 2 and max(a.seconds) < 0.25 and a.first is not None
    assert (a.work, a.said) == (7, {"threads": 1, "processors": 1}) and a.peak_bytes > 1e6 and not a.failure
    assert set(a.versions) == {"python", "numpy"}
    assert b.failure == "ValueError: this one cannot be set up" and not b.seconds
    assert c.seconds == (c.first,) and c.seconds[0] >= 0.3
    assert d.failure == "ended, code 3"
    assert e.failure == "ended after 3 s, or out of memory"
    assert f.failure == "no environment: nowhere is not installed"
    assert g.failure == "too slow"


def test_the_environment_of_a_peer_lies_where_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNSEAM_PEERS", "/somewhere")
    assert peer("monai") == "/somewhere/monai/bin/python"


ROW = Measured(
    "Toys",
    "Mpixel",
    1e6,
    "All alike.",
    (
        Result(
            "ours", "as it comes", seconds=(1.0, 2.0, 3.0, 4.0, 5.0), first=9.0, work=6e6, peak_bytes=10**9
        ),
        Result(
            "theirs",
            "tuned",
            {"size": [2]},
            seconds=(7.5,),
            first=7.5,
            work=6e6,
            said={"windows of": 5},
            versions={"torch": "2.1"},
        ),
        Result("absent", failure="no environment"),
    ),
)
GROUP = SimpleNamespace(TITLE="Play", INTRODUCTION="", ORDER=1, rows=lambda _: [])


def test_a_table_has_ratios_medians_and_quartiles() -> None:
    # ours: median 3, quartiles 2 and 4, 6 Mpixel in 3 s; theirs: 7.5 / 3
    lines = row_page(ROW).splitlines()
    assert lines[4] == "| ours | 1.00 | 3.00 (2.00 to 4.00) | 2.00 | 9.00 | 1.0 | as it comes |"
    assert lines[5] == "| theirs | 2.50 | 7.50 (one run) | 0.800 | 7.50 | 0.0 | tuned, windows of 5 |"
    assert lines[6] == "| absent | | no environment | | | |  |"
    assert lines[-1] == "All alike."


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (1234.5, "1234"), (99.5, "99.5"), (9.876, "9.88"), (0.5, "0.500"), (0.0123, "0.0123")],
)
def test_a_figure_has_three_digits(value: float, words: str) -> None:
    assert figure(value) == words


def test_two_runs_have_a_spread() -> None:
    assert spread([1.0, 3.0]) == "2.00 (1.50 to 2.50)"


def test_a_record_is_read_as_it_was_written_and_a_busy_machine_is_told(tmp_path: Path) -> None:
    record = Record("play", machine(), 0.1, 2, (ROW,))
    assert read(write(record, tmp_path)) == record
    quiet = page({"play": record}, {"other": GROUP, "play": GROUP})
    busy = group_page(Record("play", "m", 2.0, 2, (ROW,)), GROUP)
    assert "the load was" not in quiet and "the load was 2.0" in busy
    assert "## Play" in quiet and "torch 2.1." in quiet
    assert quiet.rstrip().endswith("Repeat: `python -m bench.performance play`")
    own = SimpleNamespace(**{**vars(GROUP), "page": lambda record: f"own words on {record.name}"})
    assert "own words on play" in group_page(record, own) and "ratio" not in group_page(record, own)


def test_the_command_measures_keeps_and_writes_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = Row("Toys", [toy("a", tmp_path / "log"), toy("b", tmp_path / "log")], 3, "thing", 1)
    asked: list[Options] = []
    group = SimpleNamespace(**{**vars(GROUP), "rows": lambda options: asked.append(options) or [row]})
    monkeypatch.setattr(command, "groups", lambda: {"play": group})
    out = ["--out", str(tmp_path), "--threads", "1"]
    assert command.main(["play", "page", "--rounds", "2", *out]) == 0
    assert asked == [Options(rounds=2, quick=False, threads=1)]
    assert (tmp_path / "log").read_text(encoding="utf-8") == "ababab"
    assert "### Toys" in (tmp_path / "performance.md").read_text(encoding="utf-8")
    assert str(tmp_path / "play.json") in capsys.readouterr().out
    assert command.main(["all", "--quick"]) == 0
    assert "play.json" not in capsys.readouterr().out
    assert command.main(["all", "--only", "oy"]) == command.main(["all", "--only", "Chess"]) == 0
    assert capsys.readouterr().out.count("### Toys") == 1


def test_whoever_is_faster_is_named() -> None:
    ours, slower, faster = (
        replace(ROW.results[0], name=name, seconds=(seconds,), work=4.0)
        for name, seconds in (("unseam", 2.0), ("slow", 3.0), ("fast", 1.0))
    )
    said = losses([Record("play", "m", 0.0, 2, (replace(ROW, results=(ours, slower, faster)),))])
    assert "| fast | 0.500 |" in said and "slow" not in said
    # twice the work in the same time as ours is faster, whatever the clock says
    double = replace(faster, seconds=(2.0,), work=8.0)
    assert "| fast | 0.500 |" in losses(
        [Record("play", "m", 0.0, 2, (replace(ROW, results=(ours, double)),))]
    )
    assert "In no row" in losses([Record("play", "m", 0.0, 2, (replace(ROW, results=(ours, slower)),))])
