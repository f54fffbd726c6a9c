"""A contestant for the tests: notes each run in a file that all of them share."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from bench.performance.serving import Run, serve, threads


def setup(arguments: dict[str, Any]) -> Run:
    if arguments.get("broken"):
        raise ValueError("this one cannot be set up\nsecond line")
    print("libraries print what they like")

    def run() -> dict[str, Any]:
        with Path(arguments["log"]).open("a", encoding="utf-8") as file:
            file.write(arguments["letter"])
        if arguments.get("dies"):
            sys.exit(3)
        time.sleep(arguments["sleep"])
        return {"work": 7, "threads": threads(), "processors": len(os.sched_getaffinity(0))}

    return run


serve(setup, packages=("numpy", "no-such-package"))
