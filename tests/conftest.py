"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real labelled images, or a skip that says it is absent."""
    folder = Path(os.environ.get("UNSEAM_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "dsb2018" / "index.csv").exists():
        pytest.skip(f"real images are absent: {folder} (set UNSEAM_DATA)")
    return folder
