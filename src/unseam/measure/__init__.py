"""One row of measurements per object, in pixels and, where the pixel size is known, in micrometres.

::

    block of labels ── sum_block ──► Sums ── merge ──► Sums ── finish ──► ObjectTable
                                      │ one per block            ▲
                                      └─────── TableStream ──────┘   batches, in bounded memory

`measure` is the way of an image in memory: one block. The numbers do not depend on the blocks.
"""

from unseam.measure.block import quantise, sum_block
from unseam.measure.columns import finish
from unseam.measure.merging import merge
from unseam.measure.stream import TableStream
from unseam.measure.sums import Sums, from_arrays
from unseam.measure.table import ObjectTable, appended, prepended, write_csv, write_parquet
from unseam.measure.whole import measure

__all__ = [
    "ObjectTable",
    "Sums",
    "TableStream",
    "appended",
    "finish",
    "from_arrays",
    "measure",
    "merge",
    "prepended",
    "quantise",
    "sum_block",
    "write_csv",
    "write_parquet",
]
