"""Units of length."""

from __future__ import annotations

import pytest

from unseam.io.units import micrometres


@pytest.mark.parametrize(
    ("unit", "length"),
    [
        ("angstrom", 1e-4),
        ("Å", 1e-4),
        ("picometer", 1e-6),
        ("nanometer", 1e-3),
        ("Nanometre", 1e-3),
        ("µm", 1.0),
        ("\u03bcm", 1.0),
        (" micrometer ", 1.0),
        ("millimeter", 1e3),
        ("centimeter", 1e4),
        ("meter", 1e6),
        ("inch", 0.0),
        ("pixel", 0.0),
        ("second", 0.0),
        ("", 0.0),
    ],
)
def test_lengths(unit: str, length: float) -> None:
    assert micrometres(unit) == length
