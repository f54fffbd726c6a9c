"""Unknown pixels and background, where values alone do not say which they are."""

from __future__ import annotations

import numpy as np
import pytest

from unseam.data.unknown import mark_unknown
from unseam.errors import ConfigError, LabelError

LABELS = np.array([[0, 1, 2, 255]], np.uint8)


@pytest.mark.parametrize(
    ("ignore", "background", "expected"),
    [
        (None, None, [0, 1, 2, 255]),
        (255, None, [0, 1, 2, -1]),
        (0, None, [-1, 1, 2, 255]),
        (None, 1, [-1, 0, 2, 255]),  # scribbles: 0 is unlabelled
        (255, 1, [-1, 0, 2, -1]),
        (255, 0, [0, 1, 2, -1]),
    ],
)
def test_by_hand(ignore: int | None, background: int | None, expected: list[int]) -> None:
    (marked,) = mark_unknown([LABELS], ignore=ignore, background=background)
    assert marked.tolist() == [expected] and LABELS.tolist() == [[0, 1, 2, 255]]


def test_background_need_not_be_in_every_image() -> None:
    assert [m.tolist() for m in mark_unknown([LABELS, LABELS[:, :1]], background=1)] == [
        [[-1, 0, 2, 255]],
        [[-1]],
    ]


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="--background and --ignore are both 3; a pixel is one or the other"
    ):
        mark_unknown([LABELS], ignore=3, background=3)
    with pytest.raises(LabelError, match="no pixel of the labels has the value 7, given by --background"):
        mark_unknown([LABELS], background=7)
