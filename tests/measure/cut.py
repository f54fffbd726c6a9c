"""Images of labels, and the sums of their blocks, for the tests of this room."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unseam.grid import BlockGrid, slices
from unseam.measure import ObjectTable, Sums, sum_block

shapes = st.one_of(
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), hnp.array_shapes(min_dims=3, max_dims=3, max_side=5)
)
label_images = shapes.flatmap(lambda shape: hnp.arrays(np.int32, shape, elements=st.integers(-1, 3)))


@st.composite
def cut_images(draw: Any) -> tuple[Any, BlockGrid, dict[str, Any]]:
    """Labels, a grid of blocks, and what else is measured: integers, whose sums are exact."""
    labels = draw(label_images)
    block = tuple(draw(st.integers(1, n)) for n in labels.shape)
    extras = {
        "image": draw(hnp.arrays(np.uint16, (2, *labels.shape))),
        "probabilities": draw(hnp.arrays(np.float32, labels.shape, elements=st.floats(0, 1, width=32))),
        "classes": draw(hnp.arrays(np.int8, labels.shape, elements=st.integers(-1, 3))),
    }
    return labels, BlockGrid(labels.shape, block), extras


def blocks_of(labels: Any, grid: BlockGrid, *, origin: Any = None, **extras: Any) -> list[Sums]:
    """The sums of each block; `origin` is where the first pixel of `labels` lies."""
    found = []
    for number in range(len(grid)):
        region = grid.region(number)
        part = (..., *slices(region))
        corner = tuple(start + o for (start, _), o in zip(region, origin or (0,) * labels.ndim, strict=True))
        cut = {name: array[part] for name, array in extras.items()}
        found.append(sum_block(labels[part], origin=corner, **cut))
    return found


def assert_identical(table: ObjectTable, expected: ObjectTable, *, besides: tuple[str, ...] = ()) -> None:
    """Equal bit for bit, dtypes and order of columns too."""
    assert list(table.columns) == list(expected.columns)
    for name in expected.columns:
        if name not in besides:
            assert table[name].dtype == expected[name].dtype, name
            assert table[name].tolist() == expected[name].tolist(), name
