"""How work tells what it does: a line to say, a step done. Faces show it as they like."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """How far a piece of work is.

    Attributes
    ----------
    name : what is being done.
    fraction : 0 to 1.
    detail : a few words, as the loss and the score.
    seconds_left : estimated, or None.
    """

    name: str
    fraction: float
    detail: str = ""
    seconds_left: float | None = None


@dataclass(frozen=True)
class Listener:
    """Who is told: `say` takes a line, `step` how far the work is."""

    say: Callable[[str], None] = lambda _: None
    step: Callable[[Step], None] = lambda _: None


SILENT = Listener()


def printing(every_seconds: float = 10.0) -> Listener:
    """A listener that prints plain lines to standard error, progress at most every few seconds."""
    last = [time.monotonic()]

    def step(now: Step) -> None:
        if time.monotonic() - last[0] >= every_seconds:
            last[0] = time.monotonic()
            left = "" if now.seconds_left is None else f", {clock(now.seconds_left)} left"
            print(f"{now.name} {now.fraction:4.0%}  {now.detail}{left}", file=sys.stderr, flush=True)

    return Listener(say=lambda line: print(line, file=sys.stderr, flush=True), step=step)


def clock(seconds: float) -> str:
    """Seconds as 1:05 or 2:03:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Countdown:
    """Counts pieces of work done and estimates the time left for a listener."""

    def __init__(self, listener: Listener, name: str, total: int, *, done: float = 0) -> None:
        self._listener, self._name, self._total = listener, name, max(1, total)
        self._started, self._before = time.monotonic(), done  # what was done before took none of this time

    def done(self, count: float, detail: str = "") -> None:
        """Tell that `count` of the pieces are done."""
        spent = time.monotonic() - self._started
        now = count - self._before
        left = spent / now * (self._total - count) if now > 0 else None
        self._listener.step(Step(self._name, count / self._total, detail, left))
