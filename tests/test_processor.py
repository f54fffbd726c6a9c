"""What the processor says of itself, on systems that say it and on those that do not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unseam import processor
from unseam.processor import may_have_gpu, multiplies_bfloat16, threads_wanted

XEON = """processor\t: 0
model name\t: Some Xeon
flags\t\t: fpu avx2 avx512f amx_bf16 ht

processor\t: 1
flags\t: x
"""


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str | None], None]]:
    """Writes what Linux says; None for a system that says nothing."""

    def write(text: str | None) -> None:
        processor._lines.cache_clear()
        if text is not None:
            (tmp_path / "cpuinfo").write_text(text)
        monkeypatch.setattr(processor, "CPUINFO", tmp_path / ("cpuinfo" if text is not None else "nothing"))

    yield write
    processor._lines.cache_clear()


def test_a_processor_with_bfloat16(cpuinfo: Callable[[str | None], None]) -> None:
    cpuinfo(XEON)
    assert multiplies_bfloat16()
    assert processor.processor() == "Some Xeon (avx2 avx512f amx_bf16)"


def test_processors_without(cpuinfo: Callable[[str | None], None]) -> None:
    cpuinfo(XEON.replace("amx_bf16", "avx512_vnni"))
    assert multiplies_bfloat16() is False


ONE_ARM = (
    "processor : 0\nFeatures : fp asimd bf16\nCPU implementer : 0x41\nCPU variant : 0x1\nCPU part : 0xd40\n"
)


def test_where_it_is_not_known(cpuinfo: Callable[[str | None], None]) -> None:
    """No claim on ARM, whose cores are told apart by numbers, nor where the system says nothing."""
    cpuinfo(ONE_ARM)
    assert multiplies_bfloat16() is None
    one = processor.processor()
    assert one == "CPU implementer 0x41, CPU part 0xd40, CPU variant 0x1 (asimd bf16)"
    cpuinfo(ONE_ARM.replace("0xd40", "0xd4f"))
    assert processor.processor() != one
    cpuinfo(None)
    assert multiplies_bfloat16() is None
    assert processor.processor().endswith(" (instructions are not known on this system)")


@pytest.mark.parametrize(("text", "threads"), [("3", 3), ("4,2", 4), ("", 0), ("many", 0)])
def test_threads_of_the_environment(text: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert threads_wanted() == threads


def test_threads_of_pytorch_where_it_is_loaded() -> None:
    import torch

    assert threads_wanted() == torch.get_num_threads()


@pytest.mark.parametrize(
    ("build", "driver", "expected"),
    [("2.13.0+cpu", True, False), ("2.13.0", True, True), ("2.13.0+cu128", False, False)],
)
def test_where_a_gpu_may_be(
    build: str, driver: bool, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(processor, "version", lambda _: build)
    monkeypatch.setattr(processor, "GPU_DRIVERS", (str(tmp_path if driver else tmp_path / "none"),))
    monkeypatch.setattr(sys, "platform", "linux")
    assert may_have_gpu() is expected


def test_without_pytorch_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> str:
        raise processor.PackageNotFoundError

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(processor, "version", missing)
    assert not may_have_gpu()
