"""What the processor is and can do, and how many threads are wanted; asked without PyTorch."""

from __future__ import annotations

import os
import platform
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
GPU_DRIVERS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")
"""Of NVIDIA, AMD, and of Windows' subsystem for Linux."""
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16"})
"""Instructions that multiply bfloat16, as Linux calls them."""
TOLD = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    *sorted(BFLOAT16),
    "amx_int8",
    "avx512_fp16",
    "asimd",
    "sve",
    "bf16",
    "i8mm",
)
"""Instructions by which the kernels are chosen that compute a network."""

ARM = ("CPU implementer", "CPU part", "CPU variant")
"""What Linux says of an ARM core in place of a name."""


def multiplies_bfloat16() -> bool | None:
    """Whether the processor multiplies bfloat16 natively; None where that is not known: not Linux on x86."""
    flags = _lines().get("flags", "").split()
    return bool(BFLOAT16.intersection(flags)) if flags else None


def processor() -> str:
    """Model and instructions: on processors alike in these a network gives the same bits."""
    lines = _lines()
    parts = [f"{key} {lines[key]}" for key in ARM if key in lines]
    named = lines.get("model name") or ", ".join(parts) or platform.processor() or platform.machine()
    if not _flags():
        return f"{named} (instructions are not known on this system)"
    return f"{named} ({' '.join(flag for flag in TOLD if flag in _flags())})"


def may_have_gpu() -> bool:
    """Whether PyTorch may find a GPU: not without a driver, nor with a build for processors alone."""
    if "torch" in sys.modules:
        return True  # which can be asked
    try:
        build = version("torch")
    except PackageNotFoundError:
        return False
    return "+cpu" not in build and (sys.platform == "win32" or any(map(os.path.exists, GPU_DRIVERS)))


def threads_wanted() -> int:
    """As many as OMP_NUM_THREADS says, or PyTorch, where it is in use, was told; 0 where nobody says."""
    if "torch" in sys.modules:
        return int(sys.modules["torch"].get_num_threads())
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(first) if first.isdigit() else 0


def _flags() -> frozenset[str]:
    lines = _lines()
    return frozenset((lines.get("flags") or lines.get("Features") or "").split())


@lru_cache(maxsize=1)
def _lines() -> dict[str, str]:
    """What Linux says of the first core."""
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
