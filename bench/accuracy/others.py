"""How much of its processors everything else took while a row was measured."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path


class Others:
    """Counts from when it is made; Linux says it exactly, elsewhere the load before is the best guess.

    Parameters
    ----------
    processors : collection of int
        Those that the row may use, by number.
    stat : Path
        Where the system counts.
    """

    def __init__(self, processors: Collection[int], stat: Path = Path("/proc/stat")) -> None:
        self._names, self._stat, self._before = {f"cpu{n}" for n in processors}, stat, os.getloadavg()[0]
        self._start, self._busy, self._own = time.monotonic(), self._all(), own_seconds()

    def busy(self) -> float:
        """Processors that others kept busy so far, on average; those that this one awaited are its own."""
        if self._busy is None or (now := self._all()) is None:
            return round(self._before, 2)
        taken = now - self._busy - (own_seconds() - self._own)
        return round(max(0.0, taken) / max(time.monotonic() - self._start, 1e-3), 2)

    def _all(self) -> float | None:
        """Seconds that the processors were busy since the machine started."""
        if not self._stat.exists():
            return None
        ticks = 0
        for line in self._stat.read_text(encoding="ascii").splitlines():
            name, *values = line.split()
            if name in self._names:
                user, nice, system, _, _, irq, soft = map(int, values[:7])
                ticks += user + nice + system + irq + soft
        return ticks / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """Processor seconds of this process and of those that it started and waited for."""
    return sum(os.times()[:4])


def first_processors(count: int) -> list[int]:
    """Those that `keep_to` binds a process to."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))[:count]
    return list(range(count))
