"""The pages of the documentation, taken apart: their blocks, the commands in them, what these print."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

from unseam.cli.parser import build_parser

DOCS = ROOT / "docs"
PAGES = (*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "README.ko.md")
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)

SKIPPED_UNTIL: tuple[str, ...] = ()
"""Commands and options that pages show and that are not there yet; a tutorial with one of them is skipped.
A test fails as long as one of them is here although it exists."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and its lines."""

    language: str
    text: str


@dataclass(frozen=True)
class Shown:
    """A command and what the page says it prints."""

    command: str
    output: tuple[str, ...]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(*found) for found in BLOCK.findall(page.read_text(encoding="utf-8"))]


def session(block: Block) -> list[Shown]:
    """The commands of a `console` block, each after a `$`, with the lines that follow it."""
    shown: list[Shown] = []
    for line in _joined(block.text).splitlines():
        if line.startswith("$ "):
            shown.append(Shown(line[2:], ()))
        elif line.strip():
            shown[-1] = Shown(shown[-1].command, (*shown[-1].output, line))
    return shown


def commands(page: Path) -> Iterator[str]:
    """Every `unseam` command in the blocks of a page, without comment."""
    for block in blocks(page):
        if block.language in ("", "console", "bash", "sh"):
            for line in _joined(block.text).splitlines():
                bare = line.removeprefix("$ ").partition(" #")[0].strip()
                if bare.startswith("unseam "):
                    yield bare


def exists(command: str) -> bool:
    """Whether `unseam COMMAND` or `unseam COMMAND --option` is there."""
    _, name, *options = shlex.split(command)
    parser = subcommands().get(name)
    return parser is not None and all(option in parser._option_string_actions for option in options)


def missing(command: str) -> str:
    """What in `SKIPPED_UNTIL` a command uses, or nothing."""
    words = set(shlex.split(command))
    return next((entry for entry in SKIPPED_UNTIL if set(entry.split()) <= words), "")


def subcommands() -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands by name."""
    action = next(a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(action.choices)


def agrees(shown: tuple[str, ...], printed: str) -> bool:
    """Whether output is as a page shows it.

    A number stands for any number, `...` in a line for anything, a line `...` for any lines.
    """
    parts = []
    for line in shown:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            words = re.escape(line.rstrip()).replace(r"\.\.\.", ".*")
            parts.append(re.sub(r"\d+(?:(?:\\\.|,)\d+)*", r"\\d[\\d.,]*", words) + r"\s*\n")
    return re.fullmatch("".join(parts), printed.rstrip("\n") + "\n") is not None


def _joined(text: str) -> str:
    """Lines that end in a backslash, with the next one."""
    return re.sub(r"\\\n\s*", "", text)
