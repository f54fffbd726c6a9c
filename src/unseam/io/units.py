"""Units of length, in whatever way a file spells them."""

from __future__ import annotations

_METRE_PREFIXES = {"pico": 1e-6, "nano": 1e-3, "micro": 1.0, "milli": 1e3, "centi": 1e4, "": 1e6}
_MICROMETRES = {
    "pm": 1e-6,
    "å": 1e-4,
    "angstrom": 1e-4,
    "nm": 1e-3,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
    **{
        f"{prefix}{metre}": size
        for prefix, size in _METRE_PREFIXES.items()
        for metre in ("meter", "metre", "meters", "metres")
    },
}


def micrometres(unit: str) -> float:
    """Return the length of `unit` in micrometres, 0 where it is no unit of length that microscopes use.

    Example
    -------
    >>> micrometres("nanometer"), micrometres("µm"), micrometres("pixel")
    (0.001, 1.0, 0.0)
    """
    plain = unit.strip().replace("\\u00B5", "u").replace("\u00b5", "u").replace("\u03bc", "u")
    return _MICROMETRES.get(plain.lower(), 0.0)
