"""A module for each group of rows.

It has `ORDER` (its place on the page), `TITLE`, `INTRODUCTION` (Markdown, may be empty) and `rows(options)`,
which returns the `record.Row`s. If it has `facts(options)`, what that counts is kept beside them. If it has
`page(record)`, that is its Markdown instead of the tables.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from types import ModuleType


def groups() -> dict[str, ModuleType]:
    """Every group by name, in the order of the page."""
    names = [found.name for found in pkgutil.iter_modules(__path__)]
    modules = {name: import_module(f"{__name__}.{name}") for name in names}
    return dict(sorted(modules.items(), key=lambda item: (item[1].ORDER, item[0])))
