"""How mkdocstrings reads our docstrings, where numpydoc leaves room.

`name : what it is.`, a sentence on the line of the name, is a description and no type; and an asterisk in a
shape, as in `(C, *spatial)`, is an asterisk, not the beginning of emphasis.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

ASTERISK = re.compile(r"(?<=[(, ])\*(?=\w)")
LONG = 60
"""Characters that no type has, so that the line is the first of a description."""


class OurDocstrings(griffe.Extension):
    """Called by griffe for each object of the package, once all of it is loaded."""

    def on_object(self, *, obj: griffe.Object, loader: griffe.GriffeLoader, **_: Any) -> None:
        """Change the sections of its docstring, which griffe keeps."""
        del loader
        for section in obj.docstring.parsed if obj.docstring else ():
            if section.kind is griffe.DocstringSectionKind.text:
                section.value = ASTERISK.sub(r"\\*", section.value)
            elif isinstance(section.value, list):
                for item in section.value:
                    _describe(item)


def _describe(item: Any) -> None:
    """Move what is no type to where it belongs, and let asterisks be asterisks."""
    if not hasattr(item, "description"):
        return
    said = str(getattr(item, "annotation", None) or "")
    if said.endswith(".") or len(said) > LONG:
        item.annotation, item.description = None, f"{said[0].upper()}{said[1:]} {item.description}"
    item.description = ASTERISK.sub(r"\\*", item.description)
