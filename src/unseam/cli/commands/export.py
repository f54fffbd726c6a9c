"""`unseam export`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from unseam.cli.options import model_argument, new_command, overwrite
from unseam.cli.show import listening
from unseam.export import SUFFIXES


def add(commands: Any) -> None:
    """The options of `unseam export`."""
    command = new_command(commands, "export", "write a trained model in a format that other software runs")
    model_argument(command)
    command.add_argument("--to", choices=tuple(SUFFIXES), required=True, help="the format")
    endings = ", ".join(f"{suffix} for {name}" for name, suffix in SUFFIXES.items())
    command.add_argument("--out", metavar="FILE", required=True, help=f"the file; it ends in {endings}")
    package = command.add_argument_group("a package for bioimage.io")
    package.add_argument(
        "--author", metavar="NAME", action="append", default=[], help="who made the model; may be repeated"
    )
    package.add_argument(
        "--license", metavar="SPDX", help="its licence, as CC-BY-4.0 (default: none is said)"
    )
    package.add_argument(
        "--tag",
        action="append",
        default=[],
        help="as nuclei or fluorescence-light-microscopy; may be repeated",
    )
    package.add_argument(
        "--image",
        metavar="FILE",
        help="an image like those of the model, for its test and its cover (default: a synthetic one)",
    )
    overwrite(command)


def run(options: Namespace) -> int:
    """`unseam export`."""
    from unseam.workflow.exporting import About, export_model, in_words

    about = About(
        tuple(options.author),
        options.license,
        tuple(options.tag),
        Path(options.image) if options.image else None,
    )
    with listening() as listener:
        written = export_model(
            options.model,
            options.out,
            to=options.to,
            about=about,
            overwrite=options.overwrite,
            listener=listener,
        )
    for line in in_words(written):
        print(line)
    return 0
