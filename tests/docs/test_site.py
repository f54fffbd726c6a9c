"""The site is built without a warning, and fetches nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import ROOT

from unseam.cli.parser import COMMANDS
from unseam.config import Config

ELSEWHERE = re.compile(r"<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)=[\"']?https?://[^>]*>")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_pages_fetch_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        found = [tag for tag in ELSEWHERE.findall(page.read_text(encoding="utf-8")) if "canonical" not in tag]
        assert not found, f"{page.relative_to(site)}: {found}"


def test_every_command_and_setting_is_in_the_reference(site: Path) -> None:
    commands = (site / "reference/command-line/index.html").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"unseam {name}" not in commands] == []
    settings = (site / "reference/configuration/index.html").read_text(encoding="utf-8")
    names = [name for section in Config().to_dict().values() for name in section]
    assert [name for name in names if f"<code>{name}</code>" not in settings] == []


def test_docstrings_and_formulas_are_shown(site: Path) -> None:
    tiling = (site / "reference/tiling/index.html").read_text(encoding="utf-8")
    assert "Cut an image into the fewest tiles" in tiling and "What the network is given" in tiling
    method = (site / "method/index.html").read_text(encoding="utf-8")
    assert method.count('<svg role="img"') >= 3 and "```" not in method
