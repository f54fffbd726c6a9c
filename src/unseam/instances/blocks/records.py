"""What is kept of a block between the passes: frozen records of small arrays, and their way to a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from unseam.errors import InputError
from unseam.instances.labels import Labels, Mask


@dataclass(frozen=True, eq=False)
class CoreSummary:
    """Pass 1: the components of a block, numbered 1 to n within it.

    Attributes
    ----------
    first : (n,) int64, where the first pixel of each lies in the whole image, in raster order.
    classes : (n,) int32, the class of each; 1 where there are no classes.
    low, high : per axis, the first and the last layer of numbers; empty at the ends of the image.
    """

    first: NDArray[np.int64]
    classes: Labels
    low: tuple[Labels, ...]
    high: tuple[Labels, ...]


@dataclass(frozen=True, eq=False)
class PartSummary:
    """Beside pass 1: the parts of a block that a higher threshold tells apart, numbered 1 to n within it.

    Attributes
    ----------
    first : (n,) int64, where the first pixel of each lies in the whole image, in raster order.
    sizes : (n,) int64, their pixels in the block.
    cores : (n,) int32, the core of the block that each lies in.
    low, high : per axis, the first and the last layer of numbers; empty at the ends of the image.
    """

    first: NDArray[np.int64]
    sizes: NDArray[np.int64]
    cores: Labels
    low: tuple[Labels, ...]
    high: tuple[Labels, ...]


@dataclass(frozen=True, eq=False)
class ObjectSummary:
    """Pass 2: the objects of a block, with the numbers of the whole image.

    Attributes
    ----------
    numbers : (k,) int32, the objects that have a pixel in the block, rising.
    sizes : (k,) int64, their pixels in the block.
    first : (k,) int64, where the first of them lies in the whole image, in raster order.
    """

    numbers: Labels
    sizes: NDArray[np.int64]
    first: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class HoleSummary:
    """Pass 3: the background regions of a block with its margin of one pixel, numbered 1 to n within it.

    Attributes
    ----------
    lowest, highest : (n,) int32, the smallest and the largest number that touches each region, as far as
        this block tells; the largest and the smallest int32 that labels leave free if nothing does.
    border : (n,) bool, whether the region touches the image border.
    low, high : per axis, the first two and the last two layers of regions; empty at the ends of the image.
    """

    lowest: Labels
    highest: Labels
    border: Mask
    low: tuple[Labels, ...]
    high: tuple[Labels, ...]


@dataclass(frozen=True, eq=False)
class BlockTable:
    """For each component of each block, a number of the whole image.

    Attributes
    ----------
    offsets : (blocks + 1,) int64, where the numbers of each block start.
    numbers : int32; component k of block b, counted from 1, has ``numbers[offsets[b] + k - 1]``.
    """

    offsets: NDArray[np.int64]
    numbers: Labels

    @property
    def largest(self) -> int:
        """The largest number given: of cores, how many there are."""
        return int(self.numbers.max(initial=0))

    def part(self, block: int) -> Labels:
        """The numbers of one block, a view of shape (n,)."""
        return self.numbers[self.offsets[block] : self.offsets[block + 1]]


Record = TypeVar("Record", CoreSummary, PartSummary, ObjectSummary, HoleSummary, BlockTable)


def to_arrays(
    record: CoreSummary | PartSummary | ObjectSummary | HoleSummary | BlockTable,
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a record by name, as `numpy.savez` takes them; `from_arrays` is the way back.

    Examples
    --------
    >>> record = BlockTable(np.array([0, 1]), np.array([7], np.int32))
    >>> to_arrays(record)
    {'offsets': array([0, 1]), 'numbers': array([7], dtype=int32)}
    >>> from_arrays(BlockTable, to_arrays(record)).part(0)
    array([7], dtype=int32)
    """
    arrays: dict[str, NDArray[Any]] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, tuple):
            arrays |= {f"{field.name}_{axis}": layer for axis, layer in enumerate(value)}
        else:
            arrays[field.name] = value
    return arrays


def from_arrays(kind: type[Record], arrays: Mapping[str, NDArray[Any]]) -> Record:
    """Return the record of this kind that `to_arrays` took apart; `arrays` may be an open .npz file.

    Raises
    ------
    InputError
        If an array is missing.
    """
    values: dict[str, Any] = {}
    for field in fields(kind):
        layers = sorted(name for name in arrays if name.startswith(f"{field.name}_"))
        if field.name in arrays:
            values[field.name] = arrays[field.name]
        elif layers:
            values[field.name] = tuple(arrays[f"{field.name}_{axis}"] for axis in range(len(layers)))
        else:
            raise InputError(
                f"a {kind.__name__} needs an array {field.name!r}; got {', '.join(arrays) or 'none'}; "
                "run the pass of this block again"
            )
    return kind(**values)
