"""Every command that a page shows is one: its options exist, and its values may be given."""

from __future__ import annotations

import contextlib
import io
import shlex
from pathlib import Path

import pytest
from tests.docs.pages import PAGES, commands, missing

from unseam.cli.options import object_changes
from unseam.cli.parser import build_parser
from unseam.config import Config, parse_assignment


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_shown_commands_are_understood(page: Path) -> None:
    for command in commands(page):
        words = shlex.split(command)[1:]
        if missing(command) or words[-1] in ("--help", "--version"):
            continue
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            try:
                options = build_parser().parse_args(words)
            except SystemExit:
                pytest.fail(f"{page.name}: {command}\n{said.getvalue()}")
        if options.command == "train":
            for assignment in options.set:
                Config().updated(parse_assignment(assignment))
        elif getattr(options, "set", None):
            object_changes(options)


def test_there_are_commands() -> None:
    assert sum(1 for page in PAGES for _ in commands(page)) > 40
