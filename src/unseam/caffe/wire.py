"""Protobuf's wire format: the fields of a message, one after the other.

A field starts with a varint, its number times 8 plus how it is stored: 0 a varint, 1 eight bytes, 5 four
bytes, 2 a length (a varint) and so many bytes: a text, a message, or numbers one behind the other. A varint
has 7 bits of the number in each byte, the lowest first; the highest bit of a byte says that more follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from unseam.errors import ModelFileError

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
LONGEST_VARINT = 10
"""Bytes that 64 bits take, 7 in each."""


@dataclass(frozen=True)
class Field:
    """A field of a message.

    Attributes
    ----------
    number : what it is, see the message's table.
    wire : how it is stored.
    start, stop : its bytes within the buffer.
    value : the number of a varint, else 0.
    at : where it begins, for messages.
    """

    number: int
    wire: int
    start: int
    stop: int
    value: int
    at: int


def fields(buffer: memoryview, start: int, stop: int) -> Iterator[Field]:
    """The fields of the message in `buffer[start:stop]`.

    Raises
    ------
    ModelFileError
        If a field is none, or ends behind the message.
    """
    at = start
    while at < stop:
        key, begin = varint(buffer, at, stop)
        number, wire = key >> 3, key & 7
        value = 0
        if wire == VARINT:
            value, end = varint(buffer, begin, stop)
        elif wire == BYTES:
            length, begin = varint(buffer, begin, stop)
            end = begin + length
        elif wire in (EIGHT_BYTES, FOUR_BYTES):
            end = begin + (8 if wire == EIGHT_BYTES else 4)
        else:
            raise ModelFileError(f"it is no Caffe model: byte {at} starts no field of a protobuf message")
        if end > stop:
            raise ModelFileError(_cut_short(at, end, stop))
        yield Field(number, wire, begin, end, value, at)
        at = end


def varint(buffer: memoryview, at: int, stop: int) -> tuple[int, int]:
    """The varint at a byte, and where it ends.

    Raises
    ------
    ModelFileError
        If it ends behind `stop`, or is longer than 64 bits take.
    """
    number = 0
    for k in range(LONGEST_VARINT):
        if at + k >= stop:
            raise ModelFileError(_cut_short(at, at + k + 1, stop))
        byte = buffer[at + k]
        number |= (byte & 127) << (7 * k)
        if byte < 128:
            return number, at + k + 1
    raise ModelFileError(f"it is no Caffe model: the number at byte {at} does not end")


def signed(number: int) -> int:
    """A varint as the signed number it stands for: negative ones are stored as 64 bits."""
    return number - 2**64 if number >= 2**63 else number


def _cut_short(at: int, end: int, stop: int) -> str:
    return f"it is cut short: what starts at byte {at} goes on to byte {end} of {stop}; copy it again"
