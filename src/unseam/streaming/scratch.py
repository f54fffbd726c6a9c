"""Arrays between the passes: a file per block, from which a neighbour reads the rim alone.

A block is cut at its rim, into nine pieces in 2-D, and each piece is compressed by itself::

    ┌─┬─────┬─┐
    ├─┼─────┼─┤      with a margin of no more than the rim a block reads
    │ │     │ │      its own nine pieces and eight of its neighbours' edges
    ├─┼─────┼─┤
    └─┴─────┴─┘

Compression lets other threads go on, which a Zarr array does not: two threads that read one take some three
times as long as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
from imagecodecs import zstd_decode, zstd_encode
from numpy.typing import NDArray

from unseam.errors import FileReadError
from unseam.grid import BlockGrid, Region, slices
from unseam.io.atomic import replacing

LEVEL = 1
"""Of the compression: a higher one makes labels little smaller."""


@dataclass(frozen=True)
class Scratch:
    """An array of blocks in a folder.

    Attributes
    ----------
    folder : where its files are.
    grid : how it is cut.
    dtype : of its pixels.
    rim : how far a neighbour looks into a block, pixels.
    """

    folder: Path
    grid: BlockGrid
    dtype: str
    rim: int

    def write(self, number: int, block: NDArray[Any]) -> None:
        """Write a block, whole or not at all.

        Raises
        ------
        OutputError
            If the disk is full or the folder cannot be written to.
        """
        origin = [a for a, _ in self.grid.region(number)]
        block = block.astype(self.dtype, copy=False)
        pieces = [
            zstd_encode(block[slices(piece, origin=origin)].tobytes(), level=LEVEL)
            for piece in self._pieces(number)
        ]
        index = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
        with replacing(self._path(number), overwrite=True) as temporary:
            temporary.write_bytes(b"".join([index.tobytes(), *pieces]))

    def read(self, region: Region) -> NDArray[Any]:
        """A region, from all blocks that it touches.

        Raises
        ------
        FileReadError
            If a block is missing or damaged.
        """
        result = np.empty([b - a for a, b in region], self.dtype)
        origin = [a for a, _ in region]
        for number in self.grid.overlapping(region):
            try:
                self._read_block(number, region, result, origin)
            except (OSError, ValueError, RuntimeError) as error:
                raise FileReadError(
                    f"cannot read {self._path(number)} ({error}); remove the folder of half-done work to "
                    "start again"
                ) from error
        return result

    def _read_block(self, number: int, region: Region, result: NDArray[Any], origin: list[int]) -> None:
        """Put what a block has of a region into the result."""
        pieces = list(self._pieces(number))
        with open(self._path(number), "rb") as file:
            index = np.frombuffer(file.read(8 * (len(pieces) + 1)), np.int64)
            start = file.tell()
            for k, piece in enumerate(pieces):
                common = tuple(
                    (max(a, low), min(b, high)) for (a, b), (low, high) in zip(region, piece, strict=True)
                )
                if any(a >= b for a, b in common):
                    continue
                file.seek(start + int(index[k]))
                decoded = zstd_decode(file.read(int(index[k + 1] - index[k])))
                pixels = np.frombuffer(decoded, self.dtype).reshape([b - a for a, b in piece])
                corner = [a for a, _ in piece]
                result[slices(common, origin=origin)] = pixels[slices(common, origin=corner)]

    def _pieces(self, number: int) -> Iterator[Region]:
        """The pieces of a block that hold a pixel, in raster order."""
        region, rim = self.grid.region(number), self.rim
        cuts = [sorted({a, min(a + rim, b), max(b - rim, a), b}) for a, b in region]
        return product(*(pairwise(cut) for cut in cuts))

    def _path(self, number: int) -> Path:
        return self.folder / f"{number // 1000:04d}" / f"{number:07d}.zst"
