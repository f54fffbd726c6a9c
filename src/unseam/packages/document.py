"""A YAML document, read safely; its entries are of the type that is expected, or refused by their place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unseam.errors import MissingExtraError, ModelFileError

SHOWN = 60
MOST_LETTERS = 2**22
"""Letters of a value that a message repeats."""


class Entry:
    """A mapping of a document, and where it stands.

    Examples
    --------
    >>> Entry({"halo": 3}, "outputs[0]").whole("halo")
    3
    """

    def __init__(self, values: Any, place: str) -> None:
        if not isinstance(values, dict):
            raise ModelFileError(
                f"{place} is {_shown(values)}; entries with names were expected, as key: value"
            )
        self.values, self.place = values, place

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def __getitem__(self, key: str) -> Any:
        """The value of a key that has to be there."""
        if key not in self:
            raise ModelFileError(f"{self.place} has no {key}, which a model's description must state")
        return self.values[key]

    def text(self, key: str) -> str:
        """A text, or a number that was meant as one."""
        value = self[key]
        if not isinstance(value, (str, int, float)) or isinstance(value, bool):
            raise self.wrong(key, "a text")
        return str(value)

    def whole(self, key: str) -> int:
        """A whole number, not negative."""
        return whole(self[key], f"{self.place}.{key}")

    def number(self, key: str, default: float | None = None) -> float:
        """A number, or the default where there is none."""
        if default is not None and key not in self:
            return default
        return number(self[key], f"{self.place}.{key}")

    def numbers(self, key: str, default: float | None = None) -> tuple[float, ...]:
        """A list of numbers; one number is a list of one."""
        if default is not None and key not in self:
            return (default,)
        values = self[key] if isinstance(self[key], list) else [self[key]]
        if not values:
            raise self.wrong(key, "a number")
        return tuple(number(value, f"{self.place}.{key}") for value in values)

    def entry(self, key: str) -> Entry:
        """The entries of a key; none where it is not there."""
        return Entry(self.values.get(key) or {}, f"{self.place}.{key}")

    def entries(self, key: str) -> Iterator[Entry]:
        """A list of entries; an empty one where the key is not there."""
        for k, value in enumerate(self.listed(key)):
            yield Entry(value, f"{self.place}.{key}[{k}]")

    def listed(self, key: str) -> list[Any]:
        """A list of anything; an empty one where the key is not there."""
        values = self.values.get(key) or []
        if not isinstance(values, list):
            raise self.wrong(key, "a list")
        return values

    def wrong(self, key: str, expected: str) -> ModelFileError:
        """The error for a value of another type."""
        return ModelFileError(f"{self.place}.{key} is {_shown(self.values[key])}; {expected} was expected")


def read_yaml(content: bytes, place: str) -> Entry:
    """The top of a YAML document, of plain values alone.

    Raises
    ------
    ModelFileError
        If it is not YAML, asks for objects of a program, or repeats parts of itself by name until it
        has more than `MOST_LETTERS`.
    MissingExtraError
        If PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError(
            "reading a bioimage.io package takes PyYAML; pip install 'unseam[bioimageio]'"
        ) from error

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        def get_single_node(self) -> Any:
            node = super().get_single_node()
            if node is not None and _letters(node, {}) > MOST_LETTERS:
                raise yaml.YAMLError(f"with what it repeats by *name it has more than {MOST_LETTERS} letters")
            return node

    try:
        return Entry(yaml.load(content, Loader), place)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(f"{place} is not plain YAML ({reason}); download the package again") from error


def _letters(node: Any, known: dict[int, int]) -> int:
    """How long a part of a document is once all that it repeats by name is written out."""
    if id(node) not in known:
        known[id(node)] = MOST_LETTERS + 1  # what holds itself never ends
        parts = node.value if not isinstance(node.value, str) else ()
        flat = [one for part in parts for one in (part if isinstance(part, tuple) else (part,))]
        known[id(node)] = 1 + (0 if parts else len(node.value)) + sum(_letters(one, known) for one in flat)
    return known[id(node)]


def number(value: Any, place: str) -> float:
    """A finite number; YAML 1.1 takes 1e-6 for a text, and 1.0e-6 for a number."""
    try:
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            found = float(value)
            if abs(found) < float("inf"):
                return found
    except (ValueError, OverflowError):
        pass
    raise ModelFileError(f"{place} is {_shown(value)}; a number was expected")


def whole(value: Any, place: str) -> int:
    """A whole number, not negative."""
    found = number(value, place)
    if found < 0 or found != int(found):
        raise ModelFileError(f"{place} is {_shown(value)}; a whole number was expected")
    return int(found)


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
