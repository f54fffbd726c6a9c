"""The parser: the commands in the order in which they are listed."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from unseam import __version__

COMMANDS = (
    "train",
    "predict",
    "evaluate",
    "measure",
    "convert",
    "verify",
    "export",
    "calibrate",
    "check",
    "models",
    "info",
    "import",
    "doctor",
    "demo",
    "learning-curve",
    "reproduce",
)
"""Modules of `unseam.cli.commands`, each a command."""


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="unseam",
        allow_abbrev=False,
        description="A few annotated images in, a trained U-Net out; then any image, of any size, segmented, "
        "counted and measured, with no seam where tiles meet.",
    )
    parser.add_argument("--version", action="version", version=f"unseam {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        command_module(name).add(commands)
    return parser


def command_module(name: str) -> Any:
    """The module of a command."""
    return import_module(f"unseam.cli.commands.{name.replace('-', '_')}")
