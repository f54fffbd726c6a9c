"""The contestant's side of a contest: set up once, then run each time one is asked to.

Standard library alone, because it runs in the environments of others too. A script of a contestant ends in
`serve(setup, packages=("torch",))`, where `setup(arguments)` returns a function without arguments that does
one run and returns a dict with at least "work", the pixels or samples or operations done. What else the dict
holds, as the tile or the engine that was chosen, is kept in the results.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TextIO

Run = Callable[[], dict[str, Any]]


def serve(setup: Callable[[dict[str, Any]], Run], *, packages: Iterable[str] = ()) -> None:
    """Answer on the pipe: what there is, then a line for each run that is asked for.

    Whatever the libraries print goes to the error stream, so that it cannot be taken for an answer.
    """
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        run = setup(json.loads(sys.argv[1]))
        _say(channel, {"versions": {"python": platform.python_version(), **versions(packages)}})
        for _ in sys.stdin:
            _say(channel, timed(run))
    except Exception as error:
        traceback.print_exc()
        _say(channel, {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]})


def timed(run: Run) -> dict[str, Any]:
    """One run: its seconds by the clock and of the processors, its peak memory in bytes, what it says."""
    processors, clock = time.process_time(), time.perf_counter()
    said = dict(run())
    seconds = time.perf_counter() - clock
    return {
        "seconds": seconds,
        "cpu_seconds": time.process_time() - processors,
        "peak_bytes": peak_memory(),
        "work": said.pop("work"),
        "said": said,
    }


def peak_memory() -> int:
    """The most memory that this process had at once, bytes.

    `getrusage` starts from what the parent had before it became this process, so Linux is asked itself.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def threads() -> int:
    """How many threads a contestant may use, as the contest told it."""
    return int(os.environ["OMP_NUM_THREADS"])


def versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _say(channel: TextIO, answer: dict[str, Any]) -> None:
    print(json.dumps(answer), file=channel, flush=True)
