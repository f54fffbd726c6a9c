"""The optional packages of the formats."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from unseam.errors import MissingExtraError


def need(*names: str, extra: str) -> Any:
    """Import packages of an extra; returns the first.

    Raises
    ------
    MissingExtraError
        If one is not installed.
    """
    try:
        first, *_ = [import_module(name) for name in names]
        return first
    except ImportError as error:
        raise MissingExtraError(
            f"--to {extra} needs the package {error.name or names[0]}; "
            f"install it with: pip install 'unseam[{extra}]'"
        ) from error
