"""Read a .prototxt: a network in protobuf's text format, without weights.

A message is a list of fields: `name: value`, `name { message }` or `name: [value, value]`; a name that comes
several times has several values. Values are numbers, true and false, bare words, and texts in quotes.
Comments begin with `#`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from unseam.caffe.layers import Layer, Message, layer_of
from unseam.errors import ModelFileError

TOKEN = re.compile(
    r"""(?P<skipped>\s+|\#[^\n]*)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<mark>[{}<>\[\]:;,])
    |(?P<word>[^\s{}<>\[\]:;,"'\#]+)""",
    re.VERBOSE,
)
ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
DEEPEST = 50
CLOSING = {"{": "}", "<": ">"}


@dataclass(frozen=True)
class Token:
    """A piece of the text: "text", "mark" or "word", or "end"."""

    kind: str
    text: str
    line: int


def read_layers(text: str) -> list[Layer]:
    """The layers of a network in text format, in their order.

    Raises
    ------
    ModelFileError
        If the text cannot be read, with its line, or has no layer.
    """
    net = parse(text)
    messages = net.get("layers", []) + net.get("layer", [])
    if not messages:
        raise ModelFileError("its network has no layer")
    for message in messages:
        if not isinstance(message, dict):
            raise ModelFileError(f"its network has a layer that is {message!r}; expected layer {{ ... }}")
    return [layer_of(message) for message in messages]


def parse(text: str) -> Message:
    """A message in text format.

    Raises
    ------
    ModelFileError
        With the line at which it cannot be understood.

    Examples
    --------
    >>> parse("name: 'a' pad: 1 pad: 2 inner { x: true }  # that is all")
    {'name': ['a'], 'pad': [1, 2], 'inner': [{'x': [True]}]}
    """
    return _Parser(list(_tokens(text))).message("", 0)


def _tokens(text: str) -> Iterator[Token]:
    at, line = 0, 1
    while at < len(text):
        found = TOKEN.match(text, at)
        if not found:
            raise ModelFileError(f"line {line} of its network cannot be read: {text[at : at + 20]!r}")
        if found.lastgroup != "skipped":
            yield Token(str(found.lastgroup), found.group(), line)
        line += found.group().count("\n")
        at = found.end()
    yield Token("end", "the end", line)


class _Parser:
    """What is left of the tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens, self.at = tokens, 0

    def message(self, closing: str, depth: int) -> Message:
        """The fields up to the closing mark, which is taken too."""
        if depth > DEEPEST:
            raise self.error("at most 50 messages in one another")
        message: Message = {}
        while not self.take(closing or "the end"):
            name = self.next("word", "the name of a field")
            colon = self.take(":")
            if self.take("["):
                values = self.list(depth)
            elif self.at_message():
                values = [self.nested(depth)]
            elif colon:
                values = [self.value()]
            else:
                raise self.error("':' or '{'")
            message.setdefault(name, []).extend(values)
            _ = self.take(";") or self.take(",")
        return message

    def list(self, depth: int) -> list[Any]:
        """The values up to a closing bracket."""
        values: list[Any] = []
        while not self.take("]"):
            values.append(self.nested(depth) if self.at_message() else self.value())
            if not self.take(",") and self.tokens[self.at].text != "]":
                raise self.error("',' or ']'")
        return values

    def nested(self, depth: int) -> Message:
        return self.message(CLOSING[self.next("mark", "'{'")], depth + 1)

    def value(self) -> Any:
        """A number, a truth value, a bare word, or texts that follow one another as one."""
        token = self.tokens[self.at]
        if token.kind != "text":
            return _scalar(self.next("word", "a value"))
        text = ""
        while self.tokens[self.at].kind == "text":
            text += re.sub(
                r"\\(.)",
                lambda e: ESCAPED.get(e[1], e[1]),
                self.next("text", "a text")[1:-1],
                flags=re.DOTALL,
            )
        return text

    def at_message(self) -> bool:
        token = self.tokens[self.at]
        return token.kind == "mark" and token.text in CLOSING

    def take(self, text: str) -> bool:
        """Whether the next token is this mark or the end; it is taken then."""
        token = self.tokens[self.at]
        if token.kind not in ("mark", "end") or token.text != text:
            return False
        self.at += token.kind == "mark"
        return True

    def next(self, kind: str, what: str) -> str:
        """The next token, which must be of a kind."""
        token = self.tokens[self.at]
        if token.kind != kind:
            raise self.error(what)
        self.at += 1
        return token.text

    def error(self, expected: str) -> ModelFileError:
        token = self.tokens[self.at]
        return ModelFileError(
            f"line {token.line} of its network has {token.text!r} where {expected} was expected"
        )


def _scalar(word: str) -> Any:
    if word in ("true", "false"):
        return word == "true"
    for number in (int, float):
        try:
            return number(word)
        except ValueError:
            continue
    return word
