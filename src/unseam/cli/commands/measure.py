"""`unseam measure`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from unseam.cli.options import config_options, data_config, new_command, overwrite
from unseam.cli.show import listening
from unseam.config import DataConfig


def add(commands: Any) -> None:
    """The options of `unseam measure`."""
    command = new_command(commands, "measure", "measure the objects of label images")
    command.add_argument("labels", metavar="LABELS", help="label images: a file or a folder")
    command.add_argument("images", metavar="IMAGES", nargs="?", help="images, for intensities")
    command.add_argument("--out", metavar="TABLE.csv", required=True, help="the table")
    config_options(command, DataConfig, only=("task", "ignore", "pixel_size", "axes"))
    overwrite(command)


def run(options: Namespace) -> int:
    """`unseam measure`."""
    from unseam.workflow.measuring import measure_files

    with listening() as listener:
        measure_files(
            options.labels,
            options.images,
            options.out,
            config=data_config(options),
            overwrite=options.overwrite,
            listener=listener,
        )
    return 0
