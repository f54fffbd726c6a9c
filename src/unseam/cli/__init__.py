"""The command line: parse, call `unseam.workflow`, show. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0, 1 for a failure, 2 for input that cannot be used."""
    from unseam.cli.parser import build_parser
    from unseam.errors import UnseamError

    options = build_parser().parse_args(arguments)
    try:
        from unseam.cli import commands

        return int(getattr(commands, options.command)(options))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except (UnseamError, MemoryError) as error:
        if options.debug:
            raise
        print(f"unseam {options.command}: {error or 'out of memory; give a smaller --tile'}", file=sys.stderr)
        return getattr(error, "exit_code", 1)
    except Exception as error:
        if options.debug:
            raise
        print(
            f"unseam {options.command}: unexpected {type(error).__name__}: {error}; "
            "run it again with --debug to see where, and please report it",
            file=sys.stderr,
        )
        return 1


def run() -> None:
    """Entry point of the console script."""
    sys.exit(main())
