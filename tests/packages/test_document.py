"""YAML: plain values alone, and each entry of its type."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from unseam.errors import MissingExtraError, ModelFileError
from unseam.packages.document import Entry, read_yaml

TOP = Entry({"n": 3, "x": "1e-6", "many": [1, 2], "flag": True, "part": {"a": 1}, "none": None}, "d")


def test_values_of_their_types() -> None:
    assert TOP.text("n") == "3" and TOP.whole("n") == 3
    assert TOP.number("x") == 1e-6  # which YAML 1.1 takes for a text
    assert TOP.number("y", 2.0) == 2.0
    assert TOP.numbers("many") == (1, 2) and TOP.numbers("n") == (3,) and TOP.numbers("y", 1.0) == (1,)
    assert TOP.entry("part").whole("a") == 1 and TOP.entry("y").values == {}
    assert "none" not in TOP and "n" in TOP
    assert [e.place for e in Entry({"of": [{}, {}]}, "d").entries("of")] == ["d.of[0]", "d.of[1]"]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: TOP["lost"], r"d has no lost, which a model's description must state"),
        (lambda: TOP.text("flag"), r"d\.flag is True; a text was expected"),
        (lambda: TOP.text("part"), r"d\.part is a mapping of 1; a text was expected"),
        (lambda: TOP.number("many"), r"d\.many is a list of 2; a number was expected"),
        (lambda: TOP.number("flag"), r"d\.flag is True; a number was expected"),
        (lambda: Entry({"a": "inf"}, "d").number("a"), r"d\.a is 'inf'; a number was expected"),
        (lambda: Entry({"a": "z" * 99}, "d").number("a"), r"d\.a is 'z{59}\.\.\.; a number was expected"),
        (lambda: Entry({"a": 10**400}, "d").number("a"), r"d\.a is 10*\.\.\.; a number was expected"),
        (lambda: Entry({"a": 1.5}, "d").whole("a"), r"d\.a is 1\.5; a whole number was expected"),
        (lambda: Entry({"a": -1}, "d").whole("a"), r"d\.a is -1; a whole number was expected"),
        (lambda: TOP.listed("n"), r"d\.n is 3; a list was expected"),
        (lambda: Entry({"a": []}, "d").numbers("a"), r"d\.a is a list of 0; a number was expected"),
        (lambda: TOP.entry("n"), r"d\.n is 3; entries with names were expected"),
        (lambda: Entry([1], "d"), r"d is a list of 1; entries with names were expected, as key: value"),
    ],
)
def test_values_of_other_types(ask: Any, words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        ask()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "is not plain YAML"),
        (
            "a: !!python/object/apply:os.system ['true']",
            "is not plain YAML .*could not determine a constructor",
        ),
        ("[" * 1000, "is not plain YAML"),
        ("\x00", "is not plain YAML"),
        ("a: 2024-13-45", "is not plain YAML"),
        ("just a text", "d is 'just a text'; entries with names were expected"),
        ("", "d is None; entries with names were expected"),
    ],
)
def test_what_is_no_plain_yaml(text: str, words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        read_yaml(text.encode(), "d")
    with pytest.raises(ModelFileError, match="is not plain YAML"):
        read_yaml(b"a: \xff\xfe\xff", "d")


def test_parts_may_be_repeated_by_name() -> None:
    entry = read_yaml(b"a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]", "d")
    assert entry.values == {"a": {"x": 1}, "b": {"x": 1, "y": 2}, "c": [{"x": 1}, {"x": 1}]}


@pytest.mark.parametrize("text", ["a: &a [*a]", "&a {b: *a}"])
def test_what_holds_itself_is_refused(text: str) -> None:
    with pytest.raises(ModelFileError, match="is not plain YAML"):
        read_yaml(text.encode(), "d")


def test_a_billion_laughs_are_refused() -> None:
    """Ten lists of ten of the one before."""
    lines = ["a0: &a0 [lol]"] + [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 10)]
    with pytest.raises(
        ModelFileError,
        match=r"d is not plain YAML \(with what it repeats by \*name it has more than 4194304 letters\)",
    ):
        read_yaml("\n".join(lines).encode(), "d")


def test_without_its_reader_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtraError, match=r"takes PyYAML; pip install 'unseam\[bioimageio\]'"):
        read_yaml(b"a: 1", "d")
