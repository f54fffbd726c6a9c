"""How much memory can be had: of the machine, and of the control group that a job or a container is in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MEMINFO, OWN_GROUPS, GROUPS = Path("/proc/meminfo"), Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
UNKNOWN = 4 * 1024**3
"""Bytes, where the system does not say."""
NO_LIMIT = 2**60
"""Bytes; version 1 of control groups writes a number beyond this where there is no limit."""


@dataclass(frozen=True)
class _Names:
    """Files of a control group: its limit, what is used, and the line of `memory.stat` about files that were
    read and can be forgotten."""

    limit: str
    used: str
    cached: str


VERSION_1 = _Names("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
VERSION_2 = _Names("memory.max", "memory.current", "inactive_file")


def free_memory() -> int:
    """Memory that can be had without swapping, bytes; 4 GB where the system does not say.

    Notes
    -----
    The least of what the machine has and of what each control group that this process is in has left: Slurm
    and Kubernetes end a job that takes more than its own, however much the machine has. Files that were read
    lately count as used there, but are forgotten when memory is needed, so they are free.
    """
    return min([*_of_machine(), *_of_groups()], default=UNKNOWN)


def _of_machine() -> Iterator[int]:
    for line in _lines(MEMINFO):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _of_groups() -> Iterator[int]:
    """Of the groups of this process and all that they are in; a container sees its own as the outermost."""
    for line in ["0::/", "0:memory:/", *_lines(OWN_GROUPS)]:
        _, kinds, path = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        root, names = (GROUPS / "memory", VERSION_1) if kinds else (GROUPS, VERSION_2)
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(root):
                yield from _left(folder, names)


def _left(group: Path, names: _Names) -> Iterator[int]:
    try:
        limit, used = (int((group / name).read_text()) for name in (names.limit, names.used))
    except (OSError, ValueError):  # there is no such group, or its limit is "max"
        return
    if limit < NO_LIMIT:
        stated = dict(line.split() for line in _lines(group / "memory.stat"))
        yield max(0, limit - max(0, used - int(stated.get(names.cached, 0))))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
