"""The tutorials run from top to bottom in an empty folder and print what they show."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.docs.pages import (
    BLOCK,
    DOCS,
    SKIPPED_UNTIL,
    TUTORIALS,
    Block,
    Shown,
    agrees,
    blocks,
    commands,
    exists,
    missing,
    session,
)

from unseam.cli import main


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On a machine with other work, several threads mostly wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits_for = {entry for command in commands(page) if (entry := missing(command))}
    if waits_for:
        pytest.skip(f"{page.name} waits for {', '.join(sorted(waits_for))}")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    done = 0
    for block in blocks(page):
        if block.language == "python":
            run_python(block, names, page)
            done += 1
        elif block.language == "console":
            for shown in session(block):
                run_command(shown)
                done += 1
    assert done > 3


def test_the_python_of_the_method_prints_what_it_says() -> None:
    shown = [block for block in blocks(DOCS / "method.md") if block.language == "python"]
    assert shown
    for block in shown:
        run_python(block, {}, DOCS / "method.md")


def run_python(block: Block, names: dict[str, Any], page: Path) -> None:
    """Run a block among the names of those before it; a comment after `print(...)` is what it prints."""
    promised = re.findall(r"^print\(.*\)\s+# (.*)$", block.text, re.MULTILINE)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        exec(compile(block.text, page.name, "exec"), names)
    assert agrees(tuple(promised), printed.getvalue()) or not promised, printed.getvalue()


def run_command(shown: Shown) -> None:
    """Run a command, `unseam` within this process, and compare what it prints."""
    words = shlex.split(shown.command, comments=True)
    if words[0] == "unseam":
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            code = main(words[1:])
        output = printed.getvalue()
    else:
        run = subprocess.run(
            shown.command,
            shell=True,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        code, output = run.returncode, run.stdout
    assert code == 0, f"$ {shown.command}\n{output}"
    assert agrees(shown.output, output) or not shown.output, f"$ {shown.command}\n{output}"


@pytest.mark.parametrize("entry", SKIPPED_UNTIL)
def test_what_is_waited_for_is_not_there_yet(entry: str) -> None:
    assert not exists(entry), f"{entry} is there: take it out of SKIPPED_UNTIL in tests/docs/pages.py"


def test_what_exists_is_told_from_what_does_not() -> None:
    assert exists("unseam train") and exists("unseam train --minutes")
    assert not exists("unseam fly") and not exists("unseam train --fly")


def test_numbers_and_dots_stand_for_others() -> None:
    assert agrees(("a 12 of 0.5", "...", "end ..."), "a 7 of 0.25\nx\ny\nend of it\n")
    assert agrees(("a", "...", "b"), "a\nb\n")
    assert not agrees(("a", "b"), "a\nx\nb\n")
    assert not agrees(("12 cells",), "12 nuclei\n")
    assert not agrees(("12 cells",), "no cells\n")


def test_a_session_is_commands_with_their_output() -> None:
    block = Block(*BLOCK.findall("```console\n$ a \\\n    b\nout\n\n$ c\n```\n")[0])
    assert session(block) == [Shown("a b", ("out",)), Shown("c", ())]
