"""`unseam check`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from unseam.cli.options import LABEL_OPTIONS, config_options, data_config, new_command
from unseam.cli.show import listening
from unseam.config import DataConfig


def add(commands: Any) -> None:
    """The options of `unseam check`."""
    command = new_command(commands, "check", "describe images and labels, and say what is suspicious")
    command.add_argument("images", metavar="IMAGES", help="folder or file of images, or a CSV file of pairs")
    command.add_argument("labels", metavar="LABELS", nargs="?", help="folder or file of labels")
    config_options(command, DataConfig, only=(*LABEL_OPTIONS, "pixel_size"))


def run(options: Namespace) -> int:
    """`unseam check`; 2 if something makes training impossible."""
    from unseam.workflow.checking import check_files

    with listening() as listener:
        checked = check_files(
            options.images,
            options.labels,
            data_config(options),
            listener=listener,
        )
    for line in checked.lines:
        print(line)
    return 2 if checked.errors else 0
