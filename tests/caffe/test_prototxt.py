"""Protobuf's text format: each of its forms by hand, and the line of what cannot be read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseam.caffe.prototxt import parse, read_layers
from unseam.errors import ModelFileError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# nothing but a comment", {}),
        ("a: 1 a: -2", {"a": [1, -2]}),
        ("a: 0.5 b: 1e-3 c: -.25", {"a": [0.5], "b": [0.001], "c": [-0.25]}),
        ("a: true b: false c: MAX", {"a": [True], "b": [False], "c": ["MAX"]}),
        ("a: 'x # y' b: \"z\"", {"a": ["x # y"], "b": ["z"]}),
        (r"a: 'it\'s\n' b: '\\'", {"a": ["it's\n"], "b": ["\\"]}),
        ("a: 'x' \"y\"\n 'z'", {"a": ["xyz"]}),
        ("a { b: 1 } a: { b: 2 } a < b: 3 >", {"a": [{"b": [1]}, {"b": [2]}, {"b": [3]}]}),
        ("a: [1, 2, 3] b: []", {"a": [1, 2, 3], "b": []}),
        ("a: [{ b: 1 }, { b: 2 }]", {"a": [{"b": [1]}, {"b": [2]}]}),
        ("a: 1, b: 2; c: 3", {"a": [1], "b": [2], "c": [3]}),
        ("a:1#comment\nb{}", {"a": [1], "b": [{}]}),
    ],
)
def test_each_form(text: str, expected: dict[str, Any]) -> None:
    assert parse(text) == expected


def written(message: dict[str, list[Any]]) -> str:
    parts = []
    for name, values in message.items():
        for value in values:
            if isinstance(value, dict):
                parts.append(f"{name} {{\n{written(value)}}}  # {name}")
            elif isinstance(value, str):
                escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
                parts.append(f"{name}: '{escaped}'")
            else:
                parts.append(f"{name}: {str(value).lower() if isinstance(value, bool) else value}")
    return "".join(f"{part}\n" for part in parts)


names = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)
scalars = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
messages = st.recursive(
    st.dictionaries(names, st.lists(scalars, min_size=1, max_size=3), max_size=3),
    lambda inner: st.dictionaries(names, st.lists(inner, min_size=1, max_size=2), max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(messages)
def test_any_message(message: dict[str, list[Any]]) -> None:
    assert parse(written(message)) == message


def test_layers_of_both_layouts() -> None:
    text = """
        name: 'net'
        input: "data"  input_dim: 1
        layers { bottom: 'data' top: 'd0b' name: 'conv' type: CONVOLUTION blobs_lr: 1
                 convolution_param { num_output: 64 kernel_size: 3 } }
        layers { bottom: 'd0b' top: 'd0b' name: 'relu' type: RELU include: { phase: TRAIN } }
    """
    first, second = read_layers(text)
    assert (first.name, first.kind, first.bottoms, first.tops) == ("conv", "convolution", ("data",), ("d0b",))
    assert first.number("convolution_param", "num_output", 0) == 64
    assert not first.for_training_alone and second.for_training_alone
    (third,) = read_layers("layer { name: 'r' type: 'ReLU' exclude { phase: TEST } }")
    assert third.kind == "relu" and third.for_training_alone and third.bottoms == ()


# Errors


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb", "line 2 of its network has 'the end' where ':' or '{' was expected"),
        ("a: 1\n}", "line 2 of its network has '}' where the name of a field was expected"),
        ("a {\nb: 1\n", "line 3 of its network has 'the end' where the name of a field was expected"),
        ("a: }", "line 1 of its network has '}' where a value was expected"),
        ("a: [1 2]", "line 1 of its network has '2' where ',' or ']' was expected"),
        ("a: [1,", "line 1 of its network has 'the end' where a value was expected"),
        ("\n\na: 'never ends\n", "line 3 of its network cannot be read: \"'never ends"),
        ("a {" * 60, "at most 50 messages in one another"),
        ("a 'text'", "line 1 of its network has \"'text'\" where ':' or '{' was expected"),
    ],
)
def test_what_is_no_text_of_protobuf(text: str, words: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        parse(text)
    assert words in str(caught.value)


def test_a_network_without_layers() -> None:
    with pytest.raises(ModelFileError, match="its network has no layer"):
        read_layers("name: 'net'")
    with pytest.raises(ModelFileError, match=r"a layer that is 3; expected layer \{ \.\.\. \}"):
        read_layers("layer: 3")
