"""How the command line shows progress: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from unseam.workflow.listener import SILENT, Listener, Step, clock, printing


@contextmanager
def listening(speaking: bool = True) -> Iterator[Listener]:
    """A listener for the time of a command; where another process speaks for all, a silent one."""
    if not speaking:
        yield SILENT
        return
    if not sys.stderr.isatty():
        yield printing()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:3.0f}%  {task.fields[detail]}"),
        TextColumn("[bold]{task.fields[left]}"),
    )
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def step(now: Step) -> None:
            if now.name not in tasks:
                tasks[now.name] = bars.add_task(now.name, total=1.0, detail="", left="")
            left = "" if now.seconds_left is None else f"{clock(now.seconds_left)} left"
            bars.update(tasks[now.name], completed=now.fraction, detail=now.detail, left=left)
            if now.fraction >= 1:
                bars.remove_task(tasks.pop(now.name))

        yield Listener(say=lambda line: bars.console.print(line, markup=False), step=step)


@contextmanager
def stopping(listener: Listener) -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a request to end cleanly; the second one stops at once."""
    asked: list[int] = []

    def ask(number: int, _: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        listener.say(
            "stopping: the held-out images are scored and the model is saved; Ctrl-C again stops at once"
        )

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)
