"""`unseam reproduce`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from unseam.cli.options import new_command, overwrite
from unseam.cli.show import listening

NAMES = ("isbi2012", "hela", "u373", "nuclei")


def add(commands: Any) -> None:
    """The options of `unseam reproduce`."""
    command = new_command(
        commands, "reproduce", "train, predict and score by the protocol of a published data set"
    )
    command.add_argument("name", choices=NAMES, help="the data set; those of the paper, and nuclei")
    command.add_argument("--out", metavar="DIR", help="folder for the page and the trainings (default: NAME)")
    command.add_argument(
        "--data",
        metavar="DIR",
        help="folder that holds the set (default: the one of UNSEAM_DATA; else it is fetched)",
    )
    command.add_argument(
        "--minutes", type=float, default=10.0, help="of each training (default: %(default)g)"
    )
    command.add_argument(
        "--preset",
        choices=("default", "paper", "both"),
        default="default",
        help="paper: the system of 2015 (default: default)",
    )
    command.add_argument(
        "--seeds", type=int, nargs="+", default=[0], metavar="N", help="a training for each (default: 0)"
    )
    command.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where to train and predict (default: auto)",
    )
    command.add_argument(
        "--resume", action="store_true", help="keep what is done, and go on with what was stopped"
    )
    overwrite(command)


def run(options: Namespace) -> int:
    """`unseam reproduce`."""
    from unseam.report.reproduction import score
    from unseam.workflow.reproduction.protocols import protocol
    from unseam.workflow.reproduction.running import folder_of, reproduce

    out = options.out or options.name
    presets = ("default", "paper") if options.preset == "both" else (options.preset,)
    with listening() as listener:
        results = reproduce(
            options.name,
            out,
            data=options.data,
            minutes=options.minutes,
            presets=presets,
            seeds=options.seeds,
            device=options.device,
            resume=options.resume,
            overwrite=options.overwrite,
            listener=listener,
        )
    for result in results:
        shown = ", ".join(
            f"{name} {score(result.scores.get(name), name)}" for name in protocol(options.name).measures
        )
        print(f"{folder_of(result.about)}: {shown}")
    print(f"open {out}/index.html")
    return 0
