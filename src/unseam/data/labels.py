"""How label images are coded, found out from their values: instances, a mask, or classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unseam.data.sample import IGNORE
from unseam.errors import ConfigError, LabelError

Kind = Literal["instances", "mask", "classes"]
Task = Literal["auto", "instances", "semantic"]

_MAX_CLASSES = 255
_FEW = 8  # more values than these are taken for instances
_LOOKED_AT = 20  # images in which components are counted to tell classes from instances
_MANY = 20  # values; with fewer, rough labels may be classes
_ROUGH = 0.25  # share of neighbouring pixels that differ: in labels at most 0.04, in images at least 0.37
_ENOUGH = 1000  # pairs of pixels, before such a share says anything
_COUNTABLE = 2**22  # up to this value, counting is faster than sorting


@dataclass(frozen=True)
class Coding:
    """What the values of a set of label images mean.

    Attributes
    ----------
    kind : {"instances", "mask", "classes"}
        One value an object; one value for all objects, which are its connected components; or one
        value a class.
    values : tuple of int
        mask: the foreground value. classes: the value of class 0, 1, 2, ... instances: empty.
    n_classes : int
        Classes that a network distinguishes, background included; 2 for instances and masks.
    reason : str
        One line that says what was found and how it is understood.
    """

    kind: Kind
    values: tuple[int, ...]
    n_classes: int
    reason: str


def recognise_coding(
    arrays: Sequence[NDArray[Any]], *, task: Task = "auto", ignore: int | None = None
) -> Coding:
    """Find out how a set of label images is coded.

    Parameters
    ----------
    arrays : sequence of ndarray, (*spatial), integer or bool
        All label images, 2-D or 3-D.
    task : {"auto", "instances", "semantic"}
        What the labels are wanted for, where this is known.
    ignore : int, optional
        The value of pixels whose truth is unknown.

    Returns
    -------
    Coding
        To be given to `decode`.

    Raises
    ------
    LabelError
        If values are fractional or negative, every pixel is ignored, there are more than 255 classes,
        or the labels look like images.
    ConfigError
        If `task` is unknown.

    Notes
    -----
    A single value beside 0 is a mask if it is 255, or if it forms several components in at least
    one image. Up to eight values are classes if, of all occurrences of a value in an image, at
    least half have several components and the commonest value is in at least half of the images.
    All else is instances.

    Example
    -------
    >>> recognise_coding([np.array([[255, 0, 255]])]).kind
    'mask'
    """
    if task not in get_args(Task):
        raise ConfigError(f"task {task!r} is unknown; choose auto, instances or semantic")
    found = [_values(array) for array in arrays]
    kept = [values if ignore is None else values[values != ignore] for values in found]
    _check_values(kept)
    union = np.unique(np.concatenate(kept))
    foreground = union[union != 0]
    _refuse_mixed_masks(kept, foreground, task)
    if task == "semantic":
        return _classes(union, "--task semantic")
    if foreground.size == 0:
        return Coding("instances", (), 2, "labels: no object, every pixel is 0 or ignored")
    if foreground.size == 1:
        return _one_value(arrays, int(foreground[0]))
    _refuse_images(arrays, foreground, ignore)
    if task == "instances":
        return Coding("instances", (), 2, f"labels: instances, {_count(foreground)} (--task instances)")
    return _several_values(arrays, kept, union)


def decode(
    labels: NDArray[Any], coding: Coding, ignore: int | None = None, *, name: str = ""
) -> NDArray[np.int32]:
    """Return labels as training wants them: instances or classes, and `IGNORE`.

    Parameters
    ----------
    labels : ndarray, (*spatial), integer or bool
        A label image as read.
    coding : Coding
        From `recognise_coding`.
    ignore : int, optional
        The value of pixels whose truth is unknown.
    name : str
        Of the image or file, for messages.

    Returns
    -------
    ndarray of int32, (*spatial)
        instances: the values as they are. mask: components, joined over 4 neighbours in 2-D and 6
        in 3-D, numbered from 1 in raster order of their first pixel. classes: 0 to n_classes - 1.

    Raises
    ------
    LabelError
        If a value does not belong to the coding, or does not fit into 32 bits.
    """
    unknown = np.zeros(labels.shape, bool) if ignore is None else labels == ignore
    of = f"{name}: " if name else ""
    if coding.kind == "classes":
        decoded = _class_indices(labels, coding.values, unknown, of)
    elif coding.kind == "mask":
        decoded = _components(_class_indices(labels, (0, *coding.values), unknown, of) == 1)
    else:
        highest = int(labels.max(initial=0, where=~unknown))
        if highest > np.iinfo(np.int32).max:
            raise LabelError(
                f"{of}instance number {highest} does not fit into 32 bits; renumber the instances"
            )
        decoded = labels.astype(np.int32)
    decoded[unknown] = IGNORE
    return decoded


def _values(array: NDArray[Any]) -> NDArray[np.int64]:
    """Return the distinct values of a label image, sorted."""
    if array.dtype.kind not in "biu":
        raise LabelError(f"labels of type {array.dtype} are no labels; give whole numbers 0, 1, 2, ...")
    flat = array.reshape(-1)
    if flat.size and flat.max() < _COUNTABLE and flat.min() >= 0:
        return np.flatnonzero(np.bincount(flat.astype(np.intp, copy=False)))
    distinct = np.unique(flat)
    if distinct.dtype == np.uint64:  # numbers that do not fit are refused by `decode`, not wrapped here
        distinct = np.minimum(distinct, np.uint64(np.iinfo(np.int64).max))
    return distinct.astype(np.int64)


def _check_values(kept: Sequence[NDArray[np.int64]]) -> None:
    if not kept:
        raise LabelError("there are no label images; give at least one")
    if all(values.size == 0 for values in kept):
        raise LabelError("every pixel of every label image is ignored; check the value given by --ignore")
    lowest = min(int(values[0]) for values in kept if values.size)
    if lowest < 0:
        raise LabelError(
            f"labels have the negative value {lowest}; labels start at 0;"
            " name the value of unknown pixels by --ignore"
        )


def _refuse_mixed_masks(kept: Sequence[NDArray[np.int64]], foreground: NDArray[np.int64], task: Task) -> None:
    """Raise where some masks are 0 and 1, others 0 and 255: they would pass for two classes."""
    if task == "instances" or foreground.tolist() != [1, 255]:
        return
    if not any(1 in values and 255 in values for values in kept):
        raise LabelError(
            "some label images are coded 0 and 1, others 0 and 255; save all alike,"
            " or give --task instances if 1 and 255 are numbers of objects"
        )


def _refuse_images(arrays: Sequence[NDArray[Any]], foreground: NDArray[np.int64], ignore: int | None) -> None:
    """Raise if the labels look like images: many values, and neighbouring pixels that mostly differ."""
    if foreground.size < _MANY:
        return
    meetings = changes = 0
    for array in arrays[:_LOOKED_AT]:
        left, right = array[..., :-1], array[..., 1:]
        both = (left > 0) & (right > 0)
        if ignore is not None:
            both &= (left != ignore) & (right != ignore)
        meetings += int(np.count_nonzero(both))
        changes += int(np.count_nonzero(both & (left != right)))
    if meetings > _ENOUGH and changes > _ROUGH * meetings:
        raise LabelError(
            f"the labels look like images: {foreground.size} different values, and {changes / meetings:.0%} "
            "of neighbouring pixels differ; are the images and the labels swapped?"
        )


def _one_value(arrays: Sequence[NDArray[Any]], value: int) -> Coding:
    is_bool = all(array.dtype == bool for array in arrays)
    if value == 255 or is_bool or any(_n_components(array == value, full=False) > 1 for array in arrays):
        reason = (
            f"labels: a mask, 0 and {value}; instances are its connected components"
            " (--task semantic takes it as classes 0 and 1)"
        )
        return Coding("mask", (value,), 2, reason)
    reason = (
        f"labels: instances, at most one object an image, numbered {value}"
        " (--task semantic takes it as classes 0 and 1)"
    )
    return Coding("instances", (), 2, reason)


def _several_values(
    arrays: Sequence[NDArray[Any]], kept: Sequence[NDArray[np.int64]], union: NDArray[np.int64]
) -> Coding:
    foreground = union[union != 0]
    if foreground.size > _FEW:
        return Coding("instances", (), 2, f"labels: instances, {_count(foreground)}")
    looked_at = [(array, values[values != 0]) for array, values in zip(arrays, kept, strict=True)]
    looked_at = [(array, values) for array, values in looked_at if values.size]
    looked_at = looked_at[:: -(-len(looked_at) // _LOOKED_AT)]
    occurrences = np.concatenate([values for _, values in looked_at])
    scattered = sum(
        _n_components(array == value, full=True) > 1 for array, values in looked_at for value in values
    )
    recurring = np.unique(occurrences, return_counts=True)[1].max()
    if 2 * scattered >= occurrences.size and 2 * recurring >= len(looked_at):
        return _classes(union, "few values, in several places each; --task instances if they are objects")
    reason = f"labels: instances, {_count(foreground)} (--task semantic takes them as classes)"
    return Coding("instances", (), 2, reason)


def _classes(union: NDArray[np.int64], why: str) -> Coding:
    if union.size > _MAX_CLASSES:
        raise LabelError(
            f"labels have {union.size} distinct values, at most {_MAX_CLASSES} can be classes;"
            " for numbered objects give --task instances"
        )
    values = tuple(int(value) for value in union)
    if len(values) == 1:  # a network needs something to tell apart
        values = (0, values[0] or 1)
    mapping = ""
    if values != tuple(range(len(values))):
        shown = [f"{value} is class {index}" for index, value in enumerate(values[:10])]
        mapping = ", " + ", ".join(shown if len(values) <= 10 else [*shown, "and so on"])
    reason = f"labels: {len(values)} classes{mapping} ({why})"
    return Coding("classes", values, len(values), reason)


def _count(foreground: NDArray[np.int64]) -> str:
    return f"{foreground.size} different numbers from {foreground[0]} to {foreground[-1]}"


def _n_components(mask: NDArray[np.bool_], *, full: bool) -> int:
    """Count the components; `full` joins over corners too."""
    structure = ndimage.generate_binary_structure(mask.ndim, mask.ndim if full else 1)
    return int(ndimage.label(mask, structure)[1])


def _components(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    labels, count = ndimage.label(mask)  # default neighbours: 4 in 2-D, 6 in 3-D
    flat = labels.reshape(-1)
    pixels = np.flatnonzero(flat)
    first = np.zeros(count + 1, np.intp)
    first[flat[pixels[::-1]]] = pixels[::-1]  # the last assignment wins: the first pixel
    rank = np.zeros(count + 1, np.int32)
    rank[1 + np.argsort(first[1:])] = np.arange(1, count + 1)
    renumbered: NDArray[np.int32] = rank[labels]
    return renumbered


def _class_indices(
    labels: NDArray[Any], values: tuple[int, ...], unknown: NDArray[np.bool_], of: str
) -> NDArray[np.int32]:
    """Return the index of each label in `values`, which are sorted; 0 where `unknown`."""
    known = np.asarray(values, np.int64)
    wide = labels.astype(np.int64)
    wide[unknown] = known[0]
    index = np.searchsorted(known, wide).clip(max=len(values) - 1)
    strange = known[index] != wide
    if strange.any():
        raise LabelError(
            f"{of}label value {int(wide[strange][0])} is not among the values {_listed(values)} of the other"
            " labels; correct it, or name it by --ignore"
        )
    return index.astype(np.int32)


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values[:10])) + (", ..." if len(values) > 10 else "")
