"""The table of an image of any size, from the sums of its blocks, with few objects in memory at a time.

An object is held while a block that is still to come may have more of it. Blocks come in raster order, so
these are the objects that touch a face between this row of blocks and the rows above and below, and the
right face of this block::

    ┌───────┬───────┬───────┐
    │ done  │ done  │ done  │
    ├──▒▒───┼─▒▒────┼────▒▒─┤
    │ done  │ now   ▒ next  │      held: ▒
    └─▒▒────┴──▒▒───┴───────┘

Finished rows go to a scratch file, each at the place of its id, from where they are read in order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from unseam.errors import InputError, LabelError, OutputError, ShapeError
from unseam.grid import BlockGrid
from unseam.measure.columns import check_spacing, finish
from unseam.measure.merging import merge
from unseam.measure.sums import Sums, select
from unseam.measure.table import ObjectTable

_TORN = (
    "object {} was complete and goes on in block {}: its parts lie more than {} px apart; give a larger reach"
)


class TableStream:
    """Takes the sums of the blocks of an image in raster order, gives its table in batches.

    Parameters
    ----------
    grid : BlockGrid
    count : int
        Number of objects; their ids are 1 to `count`.
    scratch : str or Path
        File for the finished rows, some 250 bytes per object; replaced if it exists, removed by `close`.
    spacing : tuple of float, optional
        Pixel size along each axis, in micrometres.
    reach : int
        How far apart the parts of one object may lie: 1 if its pixels are connected (through faces, edges or
        corners).

    Raises
    ------
    ConfigError
        If `spacing` has another number of axes, or a size that is not above 0.
    OutputError
        If the scratch file cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from unseam.measure import sum_block
    >>> grid = BlockGrid((1, 6), (1, 3))
    >>> blocks = [np.array([[1, 0, 2]]), np.array([[2, 2, 0]])]
    >>> with TemporaryDirectory() as folder, TableStream(grid, 2, Path(folder) / "rows") as stream:
    ...     for number, labels in enumerate(blocks):
    ...         stream.add(number, sum_block(labels, origin=(0, 3 * number)))
    ...     [table["area_px"].tolist() for table in stream.batches(100)]
    [[1, 3]]
    """

    def __init__(
        self,
        grid: BlockGrid,
        count: int,
        scratch: str | Path,
        *,
        spacing: tuple[float, ...] | None = None,
        reach: int = 1,
    ) -> None:
        check_spacing(spacing, len(grid.shape))
        self._grid, self._count, self._spacing, self._reach = grid, count, spacing, reach
        self._next = 0  # the block that is expected
        self._due: dict[int, int] = {}  # id of each object held, and the last block that may have more of it
        self._waiting: defaultdict[int, list[Sums]] = defaultdict(list)  # parts of objects, by that block
        self._kind = ""
        self._record = np.dtype([])
        self._path = Path(scratch)
        with _writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "w+b")  # noqa: SIM115 - closed by `close`

    @property
    def held(self) -> int:
        """Number of objects in memory."""
        return len(self._due)

    def add(self, number: int, sums: Sums) -> None:
        """Take the sums of the next block.

        Parameters
        ----------
        number : int
            Of the block; 0 first, then 1, and so on.
        sums : Sums
            Of that block, from `sum_block`.

        Raises
        ------
        InputError
            If it is not the turn of this block, or an object lies outside it.
        LabelError
            If an id is above the number of objects, or an object goes on that was complete.
        ShapeError
            If sums of different images, or measured in different ways, are given.
        OutputError
            If the disk is full.
        """
        self._check(number, sums)
        if number == 0:
            self._begin(sums)
        due = self._last_block(sums)
        for block in np.unique(due).tolist():
            self._keep(block, select(sums, due == block))
        self._next += 1
        parts = self._waiting.pop(number, [])
        if not parts:
            return
        ended = merge(*parts)
        due = np.array([self._due[key] for key in ended.ids.tolist()])
        for block in np.unique(due[due > number]).tolist():
            self._waiting[block].append(select(ended, due == block))
        self._write(select(ended, due == number))

    def batches(self, size: int = 100_000) -> Iterator[ObjectTable]:
        """Yield the table in rising order of id, at most `size` rows at a time.

        Without objects it is one table without rows, which has the columns.

        Raises
        ------
        InputError
            If not all blocks were added.
        LabelError
            If an id from 1 to the number of objects has no pixel.
        """
        if self._next < len(self._grid) or not self._record.names:
            raise InputError(f"{self._next} of {len(self._grid)} blocks were added; add the others first")
        for first in range(0, max(self._count, 1), size):
            with _writing(self._path):
                self._file.seek(first * self._record.itemsize)
                rows = min(size, self._count - first)
                records = np.frombuffer(self._file.read(rows * self._record.itemsize), self._record)
            missing = np.flatnonzero(records["id"] == 0)
            if len(missing):
                raise LabelError(
                    f"object {first + missing[0] + 1} of {self._count} has no pixel; number the labels 1 to "
                    "the number of objects, without gaps, as number_in_raster_order does"
                )
            names = self._record.names
            yield ObjectTable({name: np.ascontiguousarray(records[name]) for name in names})

    def close(self) -> None:
        """Remove the scratch file."""
        with suppress(OSError):  # on a full disk; the rows are not wanted any more
            self._file.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> TableStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, number: int, sums: Sums) -> None:
        if number != self._next or number >= len(self._grid):
            raise InputError(
                f"block {number} was given; expected block {self._next} of {len(self._grid)}, "
                "each once and in raster order"
            )
        if number > 0 and sums.kind != self._kind:
            raise ShapeError(
                f"block {number} has sums of {sums.kind}, block 0 of {self._kind}; measure all blocks alike"
            )
        region = self._grid.region(number)
        low, high = np.array(region).T
        boxes = sums.boxes
        if boxes.shape[1] != len(low) or (boxes[..., 0] < low).any() or (boxes[..., 1] > high).any():
            raise InputError(
                f"block {number} is {region} and its sums are of other pixels; give its origin to sum_block"
            )
        if len(sums) and sums.ids[-1] > self._count:
            raise LabelError(
                f"block {number} has an object {sums.ids[-1]}; expected ids from 1 to {self._count}, "
                "the number of objects"
            )

    def _begin(self, sums: Sums) -> None:
        """Settle the columns, for which no object is needed, and make room for all rows."""
        self._kind = sums.kind
        empty = self._finish(select(sums, np.zeros(len(sums), bool)))
        self._record = np.dtype([(name, column.dtype) for name, column in empty.columns.items()])
        with _writing(self._path):
            self._file.truncate(self._count * self._record.itemsize)

    def _finish(self, sums: Sums) -> ObjectTable:
        return finish(sums, shape=self._grid.shape, spacing=self._spacing)

    def _last_block(self, sums: Sums) -> NDArray[np.int64]:
        """The block until which each object is held: none after it lies within reach of the object's box.

        It is enough to look at the box of each part: more of an object lies within reach of one of them.
        What goes on in the next row of blocks (in 3-D: plane of blocks) is held until that row ends, so that
        all parts of a giant come together there, and its rows are not kept once for every column of blocks.
        """
        corner = np.minimum(sums.boxes[..., 1] - 1 + self._reach, np.array(self._grid.shape) - 1)
        place = corner // np.array(self._grid.block)
        place[place[:, 0] > self._grid.place(self._next)[0], 1:] = np.array(self._grid.counts[1:]) - 1
        return np.asarray(np.ravel_multi_index(tuple(place.T), self._grid.counts), np.int64)

    def _keep(self, block: int, part: Sums) -> None:
        """Hold parts of objects until `block`, or until the block that an earlier part waits for."""
        known = np.array([max(block, self._due.get(key, 0)) for key in part.ids.tolist()])
        self._due.update(zip(part.ids.tolist(), known.tolist(), strict=True))
        for until in np.unique(known).tolist():
            self._waiting[until].append(select(part, known == until))

    def _write(self, sums: Sums) -> None:
        """Finish objects, and write each row at the place of its id."""
        for key in sums.ids.tolist():
            del self._due[key]
        table = self._finish(sums)
        records = np.zeros(len(table), self._record)
        for name, column in table.columns.items():
            records[name] = column
        size = self._record.itemsize
        ids = table["id"].astype(np.int64)
        with _writing(self._path):
            # Neighbours in number are often not neighbours in the image; those that are go together.
            for run in np.split(np.arange(len(ids)), np.flatnonzero(np.diff(ids) > 1) + 1):
                if not len(run):
                    continue
                self._file.seek((ids[run[0]] - 1) * size)
                there = np.frombuffer(self._file.read(len(run) * size), self._record)["id"]
                if there.any():
                    raise LabelError(_TORN.format(there[there > 0][0], self._next - 1, self._reach))
                self._file.seek((ids[run[0]] - 1) * size)
                self._file.write(records[run[0] : run[-1] + 1].tobytes())


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot keep rows of the table in {path}: {error.strerror or error}; free some space, or "
            "choose another folder"
        ) from error
