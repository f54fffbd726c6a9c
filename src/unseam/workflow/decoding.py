"""Truth and prediction decoded alike, so that a class is the same class in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.data.labels import Coding, Task, decode, recognise_coding
from unseam.instances import label_class_regions
from unseam.workflow.listener import Listener

Array = NDArray[Any]
Labels = NDArray[np.int32]

GREY = 32
"""A true value above this is a grey level that stands for a class, not the number of one."""


@dataclass(frozen=True)
class Classes:
    """Truths and predictions as classes, 0 to n - 1, ignored pixels of the truth -1.

    Attributes
    ----------
    names : tuple of str
        What each class is called in the true label images: its value.
    true, pred : list of ndarray of int32
    """

    names: tuple[str, ...]
    true: list[Labels]
    pred: list[Labels]


@dataclass(frozen=True)
class Decoded:
    """Instances of truths and predictions; where the values are classes, the connected regions of each.

    Attributes
    ----------
    true, pred : list of ndarray of int32
    classes : Classes or None
        None where the values are no classes.
    """

    true: list[Labels]
    pred: list[Labels]
    classes: Classes | None = None


def decode_both(
    truths: Sequence[Array],
    predictions: Sequence[Array],
    task: Task,
    ignore: int | None,
    listener: Listener | None = None,
    names: Sequence[str] | None = None,
    *,
    of_true: Coding | None = None,
) -> Decoded:
    """Decode both alike: whether values are classes or objects is found out from the truth alone.

    `names` are those of the images, for messages; `of_true` is the coding of the truth, where it is known.

    Raises
    ------
    LabelError
        As `recognise_coding` and `decode`.
    """
    names = names or [""] * len(truths)
    of_true = of_true or recognise_coding(truths, task=task, ignore=ignore)
    semantic = of_true.kind == "classes"
    of_pred = recognise_coding(predictions, task="semantic" if semantic else "instances")
    if listener:
        listener.say(f"true {of_true.reason}")
        if of_pred.kind != of_true.kind or (semantic and of_pred.values != of_true.values):
            listener.say(f"predicted {of_pred.reason}")
    if semantic:
        classes = _classes(truths, predictions, of_true, of_pred, ignore, names)
        return Decoded(
            [label_class_regions(truth) for truth in classes.true],
            [label_class_regions(pred) for pred in classes.pred],
            classes,
        )
    return Decoded(
        [decode(a, of_true, ignore, name=name) for a, name in zip(truths, names, strict=True)],
        [decode(a, of_pred, name=name) for a, name in zip(predictions, names, strict=True)],
    )


def _classes(
    truths: Sequence[Array],
    predictions: Sequence[Array],
    of_true: Coding,
    of_pred: Coding,
    ignore: int | None,
    names: Sequence[str],
) -> Classes:
    """Decode both by one list of values, so that no class takes the place of another that is missing."""
    pred_values = _numbers_of(of_true, of_pred)
    values = of_true.values
    if pred_values is None:
        found = [v for v in of_pred.values if v in values or any((p == v).any() for p in predictions)]
        pred_values = values = tuple(sorted({*values, *found}))
    true_coding, pred_coding = replace(of_true, values=values), replace(of_pred, values=pred_values)
    return Classes(
        tuple(map(str, values)),
        [decode(a, true_coding, ignore, name=name) for a, name in zip(truths, names, strict=True)],
        [decode(a, pred_coding, name=name) for a, name in zip(predictions, names, strict=True)],
    )


def _numbers_of(of_true: Coding, of_pred: Coding) -> tuple[int, ...] | None:
    """The classes as `unseam predict` numbers them, 0 to n - 1, if the prediction is of these numbers.

    None if both are of the same values: true values may pass for numbers of classes, as 0, 1, 2 do and
    0, 128, 255 or 1, 2 do not.
    """
    values, numbers = of_true.values, tuple(range(len(of_true.values)))
    own = values[0] == 0 and values[-1] <= GREY
    if own or set(of_pred.values) <= set(values) or not set(of_pred.values) <= set(numbers):
        return None
    return numbers
