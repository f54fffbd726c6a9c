"""JSON files, parsed once for all that is asked of them."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from unseam.errors import FileReadError

Version = tuple[int, int]


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; not to be changed, as it is kept for the next one who asks.

    Raises
    ------
    FileReadError
        If the file cannot be read, or is no JSON.
    """
    return _read(path, version(path))


def version(path: Path) -> Version:
    """Differs once a file is written anew.

    Raises
    ------
    FileReadError
        If there is no such file.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise FileReadError(f"cannot read {path}: {error.strerror or error}") from error
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=1)
def _read(path: Path, _version: Version) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise FileReadError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise FileReadError(f"{path} is no JSON: {error}") from error
