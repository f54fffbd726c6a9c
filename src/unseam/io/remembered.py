"""What was measured on this machine, in the user's cache folder, which may be missing or read only."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from unseam.io.atomic import replacing

OWN = "UNSEAM_CACHE"
"""Environment variable: the folder, in place of the one that is usual on the system."""
MOST = 500
"""Entries of a kind that are kept, the latest."""


def cache_folder() -> Path:
    """The folder, which need not be there.

    Raises
    ------
    RuntimeError
        If the system does not say where the home folder is.
    """
    if os.environ.get(OWN):
        return Path(os.environ[OWN]).expanduser()
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "unseam"


def recall(kind: str, key: str) -> Any:
    """What was remembered under a key, or None; a file that cannot be read is as none."""
    return _all(kind).get(key)


def remember(kind: str, key: str, value: Any) -> None:
    """Remember a value that JSON knows; where the folder cannot be written, nothing is."""
    known = {name: there for name, there in _all(kind).items() if name != key}
    known[key] = value
    kept = dict(list(known.items())[-MOST:])
    try:
        with replacing(_path(kind), overwrite=True) as temporary:
            temporary.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    except (OSError, RuntimeError):  # the latter where nobody knows the home folder
        return


def _path(kind: str) -> Path:
    return cache_folder() / f"{kind}.json"


def _all(kind: str) -> dict[str, Any]:
    try:
        known = json.loads(_path(kind).read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):  # of no home folder, or of lists in lists
        return {}
    return known if isinstance(known, dict) else {}
