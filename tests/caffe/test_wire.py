"""Protobuf's wire format: bytes by hand, any numbers written and read, and where a message breaks off."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.caffe.files import integer, message, real, varint

from unseam.caffe import wire
from unseam.errors import ModelFileError

few = settings(max_examples=60, deadline=None)


def read(content: bytes) -> list[wire.Field]:
    return list(wire.fields(memoryview(content), 0, len(content)))


def test_fields_by_hand() -> None:
    # 0x08 = 1 * 8 + 0: field 1, a varint; 0x96 0x01 = 0x16 + (1 << 7) = 150.
    # 0x12 = 2 * 8 + 2: field 2, bytes; 3 of them. 0x1d = 3 * 8 + 5: four bytes.
    content = bytes([0x08, 0x96, 0x01, 0x12, 3, 65, 66, 67, 0x1D, 0, 0, 128, 63])
    first, second, third = read(content)
    assert (first.number, first.wire, first.value) == (1, wire.VARINT, 150)
    assert (second.number, second.wire, second.start, second.stop, second.at) == (2, wire.BYTES, 5, 8, 3)
    assert (third.number, third.wire, third.start, third.stop) == (3, wire.FOUR_BYTES, 9, 13)


@few
@given(st.integers(-(2**63), 2**63 - 1))
def test_varints_of_any_numbers(number: int) -> None:
    content = varint(number)
    value, end = wire.varint(memoryview(content), 0, len(content))
    assert wire.signed(value) == number and end == len(content)


@few
@given(st.lists(st.tuples(st.integers(1, 2**20), st.integers(0, 2**64 - 1) | st.binary(max_size=300))))
def test_messages_of_any_fields(values: list[tuple[int, int | bytes]]) -> None:
    content = b"".join(
        integer(number, value) if isinstance(value, int) else message(number, value)
        for number, value in values
    )
    found = [
        (f.number, f.value if f.wire == wire.VARINT else content[f.start : f.stop]) for f in read(content)
    ]
    assert found == values


def test_a_message_within_a_buffer() -> None:
    content = real(1, 2.0) + integer(2, 7) + real(3, 1.0)
    (field,) = wire.fields(memoryview(content), 5, 7)
    assert (field.number, field.value, field.at) == (2, 7, 5)


# Errors


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            message(1, b"abcdef")[:-2],
            "cut short: what starts at byte 0 goes on to byte 8 of 6; copy it again",
        ),
        (integer(1, 5) + message(2, b"abc")[:1], "cut short: what starts at byte 3 goes on to byte 4 of 3"),
        (integer(1, 300)[:-1], "cut short: what starts at byte 1 goes on to byte 3 of 2"),
        (real(1, 1.0)[:3], "cut short: what starts at byte 0 goes on to byte 5 of 3"),
        (bytes([0x09, 1, 2]), "cut short: what starts at byte 0 goes on to byte 9 of 3"),
        (integer(1, 1) + bytes([0x0B]), "no Caffe model: byte 2 starts no field of a protobuf message"),
        (b"\x08" + b"\xff" * 11, "no Caffe model: the number at byte 1 does not end"),
    ],
)
def test_messages_that_break_off(content: bytes, words: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        read(content)
    assert words in str(caught.value)
