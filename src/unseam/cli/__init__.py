"""The command line: parse, call `unseam.workflow`, show. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0, 1 for a failure, 2 for input that cannot be used."""
    from unseam.cli.parser import build_parser, command_module
    from unseam.errors import FailedElsewhereError, UnseamError

    parser = build_parser()
    if not (sys.argv[1:] if arguments is None else arguments):
        parser.print_help()
        return 2
    try:
        with ExitStack() as quiet:
            if not speaks():
                nowhere = quiet.enter_context(open(os.devnull, "w", encoding="utf-8"))
                quiet.enter_context(redirect_stdout(nowhere))
                quiet.enter_context(redirect_stderr(nowhere))
            options = parser.parse_args(arguments)
    except SystemExit as exit:  # --help, --version, or options that argparse has refused already
        return int(exit.code or 0)
    try:
        return int(command_module(options.command).run(options))
    except KeyboardInterrupt:
        if speaks():
            print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # what it is piped to wants no more
        return 1
    except Exception as error:
        if options.debug:
            raise
        told = str(error) if isinstance(error, UnseamError) else _unforeseen(error)
        if not isinstance(error, FailedElsewhereError):
            print(f"unseam {options.command}: {told}", file=sys.stderr)
        return getattr(error, "exit_code", 1)


def speaks() -> bool:
    """Whether this process says what every process that torchrun started on this machine would say."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _unforeseen(error: Exception) -> str:
    """A sentence about an error that is not one of ours."""
    if isinstance(error, MemoryError) or "out of memory" in str(error) or "allocate memory" in str(error):
        return "out of memory; close other programs, or give smaller images or, to predict, a smaller --tile"
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot use {error.filename}: {error.strerror}; check the name and the permissions"
    return (
        f"unexpected {type(error).__name__}: {error}; "
        "run it again with --debug to see where, and please report it"
    )


def run() -> None:
    """Entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # any file name can be shown
    code = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # else Python complains when it flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
