"""How progress is told: lines and times by hand."""

from __future__ import annotations

import pytest

from unseam.workflow.listener import SILENT, Countdown, Listener, Step, clock, printing


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (64.6, "1:05"), (59.6, "1:00"), (3599, "59:59"), (7380, "2:03:00"), (360000, "100:00:00")],
)
def test_seconds_are_shown_as_on_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_a_line_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    printing().say("images: 3")
    assert capsys.readouterr() == ("", "images: 3\n")


def test_progress_is_printed_with_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    listener = printing(every_seconds=0)
    listener.step(Step("training", 0.5, "loss 0.1", 65))
    listener.step(Step("reading", 1.0))
    assert capsys.readouterr().err == "training  50%  loss 0.1, 1:05 left\nreading 100%  \n"


def test_progress_is_printed_at_most_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    listener = printing(every_seconds=1e9)
    listener.step(Step("training", 0.5))
    assert capsys.readouterr().err == ""


def test_silence_takes_everything(capsys: pytest.CaptureFixture[str]) -> None:
    SILENT.say("a line")
    SILENT.step(Step("a step", 1.0))
    assert capsys.readouterr() == ("", "")


def test_a_countdown_estimates_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([100.0, 100.0, 106.0])
    monkeypatch.setattr("unseam.workflow.listener.time.monotonic", lambda: next(times))
    steps: list[Step] = []
    countdown = Countdown(Listener(step=steps.append), "reading", 8)
    countdown.done(0)
    countdown.done(2, "b.tif")
    # Two of eight in 6 seconds: 3 seconds each for the other six.
    assert steps == [Step("reading", 0.0), Step("reading", 0.25, "b.tif", 18.0)]


def test_a_countdown_of_nothing_divides_by_nothing() -> None:
    steps: list[Step] = []
    Countdown(Listener(step=steps.append), "reading", 0).done(0)
    assert steps == [Step("reading", 0.0)]
