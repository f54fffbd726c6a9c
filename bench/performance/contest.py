"""Contestants in processes of their own, run in turn: A B C, A B C, ...

What slows the machine down for a while then slows all of them. Each sets itself up once and does one run that
is not counted, but shown as its first; then the rounds begin. One runs at a time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
CONTESTANTS = Path(__file__).resolve().parent / "contestants"
THREAD_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Contestant:
    """Who takes part.

    Attributes
    ----------
    name : as the page calls it.
    python : the interpreter, `sys.executable` or that of `peer`.
    script : the file that calls `serving.serve`, relative to the folder of contestants.
    arguments : what its `setup` is given; numbers, words and lists of them.
    note : its settings, in words for the page.
    left_out : why it does not run, if so; it stays in the table.
    """

    name: str
    python: str
    script: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    left_out: str = ""


@dataclass(frozen=True)
class Limits:
    """How long, and on how much, contestants run.

    Attributes
    ----------
    threads : for each of them.
    patience : seconds; one whose first run takes longer is not repeated, and that counts as its only. The
        first contestant, with which the others are compared, is repeated all the same.
    limit : seconds after which a set-up or a run is ended as failed.
    """

    threads: int = 2
    patience: float = 60.0
    limit: float = 600.0


@dataclass(frozen=True)
class Result:
    """What one contestant did.

    Attributes
    ----------
    name, note, arguments : of the contestant.
    seconds : of each round, by the clock; empty if it failed.
    cpu_seconds : of each round, summed over the processors.
    first : seconds of the run before the rounds, or None.
    work : of one run, in the unit of its row.
    peak_bytes : most memory that its process held.
    said : what the last run told of itself.
    versions : of Python and of its packages.
    failure : why there are no figures, if so.
    """

    name: str
    note: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    seconds: tuple[float, ...] = ()
    cpu_seconds: tuple[float, ...] = ()
    first: float | None = None
    work: float = 0.0
    peak_bytes: int = 0
    said: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""


def peer(name: str) -> str:
    """The interpreter of the environment that `peers/make.sh NAME` makes, in .peers or in UNSEAM_PEERS."""
    return str(Path(os.environ.get("UNSEAM_PEERS", ROOT / ".peers")) / name / "bin" / "python")


def contest(
    contestants: Sequence[Contestant], rounds: int, *, limits: Limits | None = None
) -> tuple[Result, ...]:
    """Let them run in turn, `rounds` times each; in the order given. None that fails ends the contest."""
    limits = limits or Limits()
    with ExitStack() as stack:
        taking_part = [stack.enter_context(_started(one, limits)) for one in contestants]
        for one in taking_part:
            one.set_up()
        for one in taking_part:
            one.run()
        for _ in range(rounds):
            for one in taking_part:
                if one is taking_part[0] or (one.runs and one.runs[0]["seconds"] <= limits.patience):
                    one.run()
        return tuple(one.result() for one in taking_part)


class _Process:
    """A contestant's process, and what it answered so far."""

    def __init__(self, contestant: Contestant, process: subprocess.Popen[str] | None, limit: float) -> None:
        self.contestant, self.process, self.limit = contestant, process, limit
        self.runs: list[dict[str, Any]] = []
        self.versions: dict[str, str] = {}
        self.failure = contestant.left_out
        if process is None and not self.failure:
            self.failure = f"no environment: {Path(contestant.python).parents[1].name} is not installed"

    def set_up(self) -> None:
        if answer := self._answer():
            self.versions = answer["versions"]

    def run(self) -> None:
        if self.process and not self.failure:
            assert self.process.stdin
            self.process.stdin.write("run\n")
            self.process.stdin.flush()
            if answer := self._answer():
                self.runs.append(answer)

    def result(self) -> Result:
        one = self.contestant
        about = (one.name, one.note, one.arguments)
        if self.failure:
            return Result(*about, versions=self.versions, failure=self.failure)
        counted = self.runs[1:] or self.runs
        return Result(
            *about,
            seconds=tuple(run["seconds"] for run in counted),
            cpu_seconds=tuple(run["cpu_seconds"] for run in counted),
            first=self.runs[0]["seconds"],
            work=self.runs[-1]["work"],
            peak_bytes=self.runs[-1]["peak_bytes"],
            said=self.runs[-1]["said"],
            versions=self.versions,
        )

    def _answer(self) -> dict[str, Any] | None:
        if self.failure or self.process is None:
            return None
        assert self.process.stdout
        watch = threading.Timer(self.limit, self.process.kill)
        watch.start()
        line = self.process.stdout.readline()
        watch.cancel()
        answer: dict[str, Any] = json.loads(line) if line else {}
        if not answer:
            code = self.process.wait()
            late = code == -9
            self.failure = (
                f"ended after {self.limit:g} s, or out of memory" if late else f"ended, code {code}"
            )
        self.failure = answer.get("error", self.failure)
        return None if self.failure else answer


@contextmanager
def _started(contestant: Contestant, limits: Limits) -> Iterator[_Process]:
    """A contestant's process; it is ended at the end, and what it printed is shown if it failed."""
    if contestant.left_out or not Path(contestant.python).exists():
        yield _Process(contestant, None, limits.limit)
        return
    counts = dict.fromkeys(THREAD_COUNTS, str(limits.threads))
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    command = [
        contestant.python,
        str(CONTESTANTS / contestant.script),
        json.dumps(dict(contestant.arguments)),
    ]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **counts, "PYTHONPATH": paths},
            preexec_fn=partial(keep_to, limits.threads),
        )
        taking_part = _Process(contestant, process, limits.limit)
        try:
            yield taking_part
        finally:
            process.kill()
            process.communicate()
            if taking_part.failure:
                _show(contestant.name, errors)


def keep_to(processors: int) -> None:
    """Bind this process to so many processors, because not every library heeds a number of threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:processors])


def _show(name: str, errors: IO[str]) -> None:
    errors.seek(0)
    print(f"{name} failed:", *errors.read().splitlines()[-12:], sep="\n    ", file=sys.stderr)
