"""The table of objects, and tables of any length written to disk a batch at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import InputError, MissingExtraError
from unseam.io.atomic import replacing

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False, repr=False)
class ObjectTable:
    """Measurements, one row per object in rising order of `id`.

    Attributes
    ----------
    columns : dict of str to ndarray, (n,)
        Column name to values; all of one length.
    """

    columns: Columns

    def __len__(self) -> int:
        return len(self.columns["id"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def __repr__(self) -> str:
        return f"ObjectTable({len(self)} objects: {', '.join(self.columns)})"

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield each object as column name to plain Python value."""
        values = [column.tolist() for column in self.columns.values()]
        for row in zip(*values, strict=True):
            yield dict(zip(self.columns, row, strict=True))

    def to_csv(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the table, with a header, as comma-separated UTF-8; floats have 8 significant digits.

        Raises
        ------
        OutputExistsError
            If `path` exists and `overwrite` is false.
        """
        write_csv([self], path, overwrite=overwrite)

    def to_parquet(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the table as Parquet, every digit kept; needs the extra `unseam[parquet]`.

        Raises
        ------
        MissingExtraError
            If pyarrow is not installed.
        OutputExistsError
            If `path` exists and `overwrite` is false.
        """
        write_parquet([self], path, overwrite=overwrite)


def prepended(tables: Iterable[ObjectTable], **constants: int | str) -> Iterator[ObjectTable]:
    """Yield each table with constant columns before its own, such as ``frame=3``.

    Examples
    --------
    >>> list(prepended([ObjectTable({"id": np.array([1, 2])})], frame=3))[0].columns
    {'frame': array([3, 3]), 'id': array([1, 2])}
    """
    for table in tables:
        before = {name: np.repeat(np.asarray(value), len(table)) for name, value in constants.items()}
        yield ObjectTable(before | table.columns)


def appended(tables: Iterable[ObjectTable], **constants: int | str) -> Iterator[ObjectTable]:
    """Yield each table with constant columns after its own, such as ``guard="in range"``."""
    for table in tables:
        after = {name: np.repeat(np.asarray(value), len(table)) for name, value in constants.items()}
        yield ObjectTable(table.columns | after)


def write_csv(batches: Iterable[ObjectTable], path: str | Path, *, overwrite: bool = False) -> int:
    """Write tables of equal columns one after the other into one CSV, whole or not at all; return its rows.

    Parameters
    ----------
    batches : iterable of ObjectTable
        One or more, taken one at a time, so that all of them need not fit into memory.
    path : str or Path
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        If there is no table, or the columns of one are not those of the first.
    OutputExistsError
        If `path` exists and `overwrite` is false.
    """
    count = 0
    with (
        replacing(path, overwrite=overwrite) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        for number, table in enumerate(_alike(batches)):
            if number == 0:
                writer.writerow(table.columns)
            cells = [_cells(column) for column in table.columns.values()]
            writer.writerows(zip(*cells, strict=True))
            count += len(table)
    return count


def write_parquet(batches: Iterable[ObjectTable], path: str | Path, *, overwrite: bool = False) -> int:
    """Write tables of equal columns as the row groups of one Parquet file; return its rows.

    Parameters and errors are those of `write_csv`, and:

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError(
            "Parquet needs the package pyarrow; install it with: pip install 'unseam[parquet]', "
            "or write a CSV"
        ) from error
    count = 0
    with replacing(path, overwrite=overwrite) as temporary, ExitStack() as stack:
        writer: Any = None
        for table in _alike(batches):
            rows = pyarrow.table({name: pyarrow.array(column) for name, column in table.columns.items()})
            if writer is None:
                writer = stack.enter_context(parquet.ParquetWriter(temporary, rows.schema))
            writer.write_table(rows)
            count += len(table)
    return count


def _alike(batches: Iterable[ObjectTable]) -> Iterator[ObjectTable]:
    """The tables, as long as their columns are those of the first."""
    names: list[str] = []
    for table in batches:
        names = names or list(table.columns)
        if list(table.columns) != names:
            raise InputError(
                f"a table has the columns {', '.join(table.columns)}, the first one {', '.join(names)}; "
                "write images measured in different ways into files of their own"
            )
        yield table
    if not names:
        raise InputError("there is no table to write; an image without objects has one with no rows")


def _cells(column: NDArray[Any]) -> list[Any]:
    """The values as the CSV shows them; a column of objects may hold any mixture."""
    return [_cell(value) for value in column.tolist()]


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.8g}" if isinstance(value, float) else value
