"""`unseam demo`."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import Any

from unseam.cli.options import config_options, new_command, overwrite
from unseam.cli.show import listening
from unseam.config import DataConfig


def add(commands: Any) -> None:
    """The options of `unseam demo`."""
    command = new_command(
        commands, "demo", "train, predict, score and report on synthetic images or your own"
    )
    command.add_argument("--images", metavar="DIR", help="your images (default: synthetic ones are made)")
    command.add_argument("--labels", metavar="DIR", help="your labels")
    config_options(command, DataConfig, only=("axes",))
    command.add_argument("--out", metavar="DIR", default="demo", help="default: %(default)s")
    command.add_argument("--minutes", type=float, default=2.0, help="time to train (default: %(default)s)")
    command.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    overwrite(command)


def run(options: Namespace) -> int:
    """`unseam demo`."""
    from unseam.workflow.demo import run_demo

    with listening() as listener:
        report = run_demo(
            options.out,
            images=options.images,
            labels=options.labels,
            axes=options.axes,
            minutes=options.minutes,
            seed=options.seed,
            overwrite=options.overwrite,
            listener=listener,
        )
    print(f"open {report}", file=sys.stdout)
    return 0
