"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from unseam.engines import choosing, pace
from unseam.io.remembered import OWN

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real labelled images, or a skip that says it is absent."""
    folder = Path(os.environ.get("UNSEAM_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "dsb2018" / "index.csv").exists():
        pytest.skip(f"real images are absent: {folder} (set UNSEAM_DATA)")
    return folder


@pytest.fixture(autouse=True, scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder of the tests' own, for their subprocesses too; and as most tests compare last digits,
    networks compute in float32 unless told, whatever the processor; how fast tiles are is not measured."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(OWN, str(tmp_path_factory.mktemp("cache")))
        patch.setattr(choosing, "multiplies_bfloat16", lambda: False)
        patch.setattr(pace, "WORTH", float("inf"))
        yield
