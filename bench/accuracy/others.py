"""How much of the processors everything else took while a row was measured."""

from __future__ import annotations

import os
import time
from pathlib import Path


class Others:
    """Counts from when it is made; Linux says it exactly, elsewhere the load before is the best guess."""

    def __init__(self, stat: Path = Path("/proc/stat")) -> None:
        self._stat, self._before = stat, os.getloadavg()[0]
        self._start, self._busy, self._own = time.monotonic(), self._all(), own_seconds()

    def busy(self) -> float:
        """Processors that others kept busy so far, on average; those that this one awaited are its own."""
        if self._busy is None or (now := self._all()) is None:
            return round(self._before, 2)
        taken = now - self._busy - (own_seconds() - self._own)
        return round(max(0.0, taken) / max(time.monotonic() - self._start, 1e-3), 2)

    def _all(self) -> float | None:
        """Seconds that all processors together were busy since the machine started."""
        if not self._stat.exists():
            return None
        user, nice, system, _, _, irq, soft = map(int, self._stat.read_text(encoding="ascii").split()[1:8])
        return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """Processor seconds of this process and of those that it started and waited for."""
    return sum(os.times()[:4])
