"""The words that select a part of an image."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseam.errors import InputError
from unseam.io.select import Pick, Selection, parse_selection


def test_by_hand() -> None:
    assert parse_selection("t=0, c=1, z=5, level=2, y=0:4096, x=1000:3000") == Selection(
        (
            Pick("T", ((0, 1),), single=True),
            Pick("C", ((1, 2),), single=True),
            Pick("Z", ((5, 6),), single=True),
            Pick("Y", ((0, 4096),)),
            Pick("X", ((1000, 3000),)),
        ),
        level=2,
    )
    assert parse_selection(" X = 5: ,C=0:2+4").picks == (
        Pick("X", ((5, None),)),
        Pick("C", ((0, 2), (4, 5))),
    )
    assert parse_selection("y=:7").pick("Y") == Pick("Y", ((0, 7),))
    assert parse_selection("y=:").pick("Y") == Pick("Y", ((0, None),))


def test_nothing_is_everything() -> None:
    assert parse_selection(None) == parse_selection(" ") == Selection()
    assert Selection().pick("X") is None


def test_a_selection_is_a_selection() -> None:
    selection = Selection(level=3)
    assert parse_selection(selection) is selection


@given(st.integers(0, 99), st.integers(1, 99), st.integers(0, 9))
def test_what_is_written_is_meant(start: int, size: int, level: int) -> None:
    selection = parse_selection(f"y={start}:{start + size},level={level}")
    pick = selection.pick("Y")
    assert pick is not None and selection.level == level
    assert pick.within(start + size, "a") == ((start, start + size),)
    with pytest.raises(InputError):
        pick.within(start + size - 1, "a")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("q=1", "'q' is unknown; select by t, c, z, y, x and level"),
        ("tt=1", "'tt' is unknown"),
        ("t=1, T=2", "t is given twice in 't=1, T=2'; give it once"),
        ("level=1,level=1", "level is given twice"),
        ("level=1:2", "level=1:2 was given; give one number"),
        ("y=-1:4", "'y=-1:4' is not understood; select by"),
        ("y", "'y' is not understood"),
        ("y=1:2:3", "y=1:2:3 is not understood"),
        ("c=0+", r"c=0\+ is not understood"),
        ("z=0+2", r"z=0\+2 was given; only c takes several ranges"),
        ("x=7", "x=7 is one line of pixels; give a range such as x=0:4096"),
    ],
)
def test_words_that_are_not_understood(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_selection(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("t=5", r"t=5 was asked for, but T of a\.tif goes from 0 to 4; give t=0:5 or a part of it"),
        ("t=3:6", "t=3:6 was asked for"),
        ("t=3:3", "t=3:3 was asked for"),
        ("t=4:2", "t=4:2 was asked for"),
        ("t=5:", "t=5:5 was asked for"),
    ],
)
def test_beyond_the_end(text: str, words: str) -> None:
    pick = parse_selection(text).pick("T")
    assert pick is not None
    with pytest.raises(InputError, match=words):
        pick.within(5, "a.tif")
