"""Regions whose truth is unknown, by their names."""

from __future__ import annotations

from unseam.io.annotations.record import Shape

IGNORED = "ignore"
"""What the class of such a region, or its name where it has no class, begins with, in any case."""


def is_ignored(shape: Shape) -> bool:
    """Whether a shape marks what is unknown: "ignore" in ImageJ and here, "Ignore*" in QuPath."""
    return (shape.class_name or shape.name).lower().startswith(IGNORED)
