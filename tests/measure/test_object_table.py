"""Tables on disk: CSV and Parquet say the same, whole or not at all, a batch at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from unseam.errors import InputError, MissingExtraError, OutputExistsError
from unseam.measure import ObjectTable, measure, prepended, write_csv, write_parquet

LABELS = np.random.default_rng(0).integers(0, 9, (20, 30))
TABLE = measure(LABELS, np.sqrt(np.arange(600)).reshape(20, 30), spacing=(0.3, 0.7))
Write = Callable[..., int]


def part(first: int, last: int) -> ObjectTable:
    return ObjectTable({name: column[first:last] for name, column in TABLE.columns.items()})


def test_parquet_reads_back_with_every_digit(tmp_path: Path) -> None:
    path = tmp_path / "cells.parquet"
    TABLE.to_parquet(path)
    back = pyarrow.parquet.read_table(path)
    assert back.column_names == list(TABLE.columns)
    for name, column in TABLE.columns.items():
        assert back[name].to_pylist() == column.tolist()
        assert back[name].type.to_pandas_dtype() == column.dtype


def test_csv_reads_back_with_eight_digits(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    TABLE.to_csv(path)
    back = pyarrow.csv.read_csv(path)
    assert back.column_names == list(TABLE.columns)
    for name, column in TABLE.columns.items():
        if column.dtype.kind == "f":
            np.testing.assert_allclose(back[name].to_numpy(), column, rtol=1e-7)
        else:
            assert back[name].to_pylist() == column.tolist()


def test_batches_make_the_file_of_the_whole(tmp_path: Path) -> None:
    batches = [part(0, 3), part(3, 3), part(3, 8)]
    TABLE.to_csv(tmp_path / "whole.csv")
    assert write_csv(iter(batches), tmp_path / "parts.csv") == 8
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert write_parquet(iter(batches), tmp_path / "parts.parquet") == 8
    TABLE.to_parquet(tmp_path / "whole.parquet")
    whole, parts = (pyarrow.parquet.read_table(tmp_path / f"{name}.parquet") for name in ("whole", "parts"))
    assert parts.equals(whole)


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    part(0, 0).to_parquet(tmp_path / "empty.parquet")
    back = pyarrow.parquet.read_table(tmp_path / "empty.parquet")
    assert (back.num_rows, back.column_names) == (0, list(TABLE.columns))


def test_constants_stand_before_the_columns() -> None:
    first, second = prepended([part(0, 2), part(2, 2)], image="a", frame=4)
    assert list(first.columns)[:3] == ["image", "frame", "id"]
    assert (first["image"].tolist(), first["frame"].tolist()) == (["a", "a"], [4, 4])
    assert second["frame"].dtype == first["frame"].dtype and len(second["frame"]) == 0


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_a_file_is_whole_or_not_there(tmp_path: Path, write: Write) -> None:
    def breaks() -> Any:
        yield TABLE
        raise RuntimeError("the disk of the blocks is gone")

    with pytest.raises(RuntimeError, match="gone"):
        write(breaks(), tmp_path / "cells")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_a_file_is_not_replaced_unasked(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "cells"
    path.write_text("precious")
    with pytest.raises(OutputExistsError, match="exists already"):
        write([TABLE], path)
    assert path.read_text() == "precious"
    write([TABLE], path, overwrite=True)
    assert path.stat().st_size > 100


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_tables_of_other_columns_are_refused(tmp_path: Path, write: Write) -> None:
    with pytest.raises(InputError, match=r"a table has the columns id, class, area_px, .*, the first one id"):
        write([measure(LABELS), TABLE][::-1], tmp_path / "cells")
    with pytest.raises(InputError, match="there is no table to write"):
        write([], tmp_path / "cells")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["pyarrow", "pyarrow.parquet"])
def test_pyarrow_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    if missing == "pyarrow.parquet":
        monkeypatch.delattr("pyarrow.parquet")
    with pytest.raises(MissingExtraError, match=r"pip install 'unseam\[parquet\]'"):
        TABLE.to_parquet(tmp_path / "cells.parquet")
    assert list(tmp_path.iterdir()) == []
