"""A class is the same class in truth and prediction, however either numbers it."""

from __future__ import annotations

import numpy as np
import pytest

from unseam.errors import LabelError
from unseam.workflow.decoding import Classes, decode_both
from unseam.workflow.listener import Listener


def classes(true: list[int], pred: list[int]) -> Classes:
    decoded = decode_both([np.array([true])], [np.array([pred])], "semantic", None)
    assert decoded.classes is not None
    return decoded.classes


@pytest.mark.parametrize(
    ("true", "pred", "names", "as_classes"),
    [
        ([0, 1, 2], [0, 1, 2], "0 1 2", [0, 1, 2]),
        ([0, 1, 2], [0, 2, 2], "0 1 2", [0, 2, 2]),  # no class 1 in the prediction
        ([0, 1, 2], [1, 1, 2], "0 1 2", [1, 1, 2]),  # no background in it
        ([0, 1, 1], [0, 1, 2], "0 1 2", [0, 1, 2]),  # a class that the truth lacks
        ([0, 2, 2], [0, 1, 1], "0 1 2", [0, 1, 1]),  # all confused
        ([0, 2, 2], [0, 0, 0], "0 2", [0, 0, 0]),  # nothing found
        ([0, 128, 255], [0, 128, 255], "0 128 255", [0, 1, 2]),
        ([0, 128, 255], [0, 255, 255], "0 128 255", [0, 2, 2]),
        ([0, 128, 255], [0, 1, 2], "0 128 255", [0, 1, 2]),  # numbered, as predict writes them
        ([0, 128, 255], [0, 2, 2], "0 128 255", [0, 2, 2]),
        ([0, 255, 255], [0, 1, 1], "0 255", [0, 1, 1]),
        ([1, 2, 2], [0, 1, 1], "1 2", [0, 1, 1]),
        ([1, 2, 2], [1, 2, 1], "1 2", [0, 1, 0]),
        ([0, 128, 255], [0, 3, 255], "0 3 128 255", [0, 1, 3]),
    ],
)
def test_classes_by_value_or_by_number(
    true: list[int], pred: list[int], names: str, as_classes: list[int]
) -> None:
    found = classes(true, pred)
    assert found.names == tuple(names.split())
    assert found.pred[0].tolist() == [as_classes]
    assert found.true[0].tolist() == [[names.split().index(str(value)) for value in true]]


def test_both_codings_are_said_where_they_differ() -> None:
    said: list[str] = []
    decode_both([np.array([[0, 255]])], [np.array([[0, 1]])], "semantic", None, Listener(said.append))
    assert said == [
        "true labels: 2 classes, 0 is class 0, 255 is class 1 (--task semantic)",
        "predicted labels: 2 classes (--task semantic)",
    ]


def test_a_label_that_cannot_be_used_names_its_image() -> None:
    true = np.array([[1, 2, 3]])
    with pytest.raises(LabelError, match=r"^b: instance number \d+ does not fit into 32 bits"):
        decode_both([true, true], [true, true << 40], "instances", None, names=["a", "b"])
