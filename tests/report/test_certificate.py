"""The page of a certificate: verdict, numbers and picture in one file, whatever the names hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unseam.errors import OutputExistsError
from unseam.report.certificate import write_certificate


def page(path: Path, **changes: Any) -> str:
    picture = {
        "image": np.zeros((1, 6, 6), np.uint8),
        "difference": np.full((6, 6), 1e-7, np.float32),
        "differs": np.zeros((6, 6), bool),
        "region": ((0, 6), (0, 6)),
        "edges": (((3,), (3,)), ((2,), ())),
        "names": ("one", "other"),
        "broken": False,
    }
    values: dict[str, Any] = {
        "title": "a<b>.tif, 6 x 6 pixels",
        "broken": False,
        "sentences": ["the same in all 2 other cuts", "up to 1e-05 is rounding"],
        "cuts": [("small tiles", "1.0e-07", "1.0e-07", "0 of 36")],
        "labels": [("blocks of 4", "0 of 36", "0 of 2")],
        "picture": picture,
    }
    write_certificate(path, **values | changes)
    return path.read_text(encoding="utf-8")


def test_the_page_says_it_all(tmp_path: Path) -> None:
    text = page(tmp_path / "p.html")
    assert '<p class="verdict">The same in all 2 other cuts.</p>' in text
    assert "a&lt;b&gt;.tif" in text and "a<b>" not in text
    for cell in ("small tiles", "1.0e-07", "0 of 36", "blocks of 4", "0 of 2", "up to 1e-05 is rounding"):
        assert f">{cell}</" in text
    assert text.count("data:image/png;base64,") == 1 and "http" not in text


def test_what_is_broken_is_seen_and_what_was_not_compared_is_not(tmp_path: Path) -> None:
    text = page(tmp_path / "p.html", broken=True, sentences=["NOT the same: 1 of 2"], labels=[])
    assert '<p class="verdict broken">NOT the same: 1 of 2.</p>' in text
    assert "Labels of the whole image" not in text


def test_a_page_that_is_there_stays_there(tmp_path: Path) -> None:
    page(tmp_path / "p.html")
    with pytest.raises(OutputExistsError, match=r"p\.html exists already"):
        page(tmp_path / "p.html")
