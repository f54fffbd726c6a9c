"""Shapes, chunks, levels and metadata of what is written."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseam.errors import InputError, ShapeError
from unseam.io.ome_zarr.layout import Layout, halvings, levels, step_between

INT32 = np.dtype(np.int32)


def test_halvings_by_hand() -> None:
    assert halvings((1024, 1024), None) == []
    assert halvings((1025, 10), None) == [(2, 2)]
    assert halvings((4097, 1), (1.0, 1.0)) == [(2, 1)] * 3  # 4097, 2049, 1025, 513
    assert halvings((100, 3000, 3000), None) == [(2, 2, 2), (2, 2, 2)]
    assert halvings((100, 3000, 3000), (1.5, 1.0, 1.0)) == [(2, 2, 2), (2, 2, 2)]
    # Z is 2, then as fine as Y and X are after one step, then coarser no more
    assert halvings((100, 3000, 3000), (2.0, 1.0, 1.0)) == [(1, 2, 2), (2, 2, 2)]
    assert halvings((1, 3000, 3000), None) == [(1, 2, 2), (1, 2, 2)]
    assert halvings((9000, 10, 10), None) == []


@given(st.tuples(st.integers(1, 99), st.integers(1, 9000), st.integers(1, 9000)), st.booleans())
def test_levels_keep_the_place_of_the_image(shape: tuple[int, int, int], labels: bool) -> None:
    spacing, origin = (3.0, 0.5, 0.25), (7.0, 8.0, 9.0)
    chain = levels(Layout("TZYX", (2, *shape), INT32, (8, 64, 64), None, spacing, origin, "0.5", labels))
    assert max(chain[-1].shape[-2:]) <= 1024
    factor = np.ones(3)
    for finer, coarser in pairwise(chain):
        step = step_between(finer, coarser)
        assert step[0] == 1 and coarser.shape[0] == 2
        factor *= step[1:]
        assert coarser.shape[1:] == tuple(-(-n // int(f)) for n, f in zip(shape, factor, strict=True))
        assert coarser.spacing == tuple(factor * spacing)
        # the mean of pixels 0 .. f-1 lies (f-1)/2 pixels from pixel 0
        shift = np.zeros(3) if labels else (factor - 1) / 2 * spacing
        assert coarser.origin == pytest.approx(tuple(origin + shift))


def test_chunks_are_no_larger_than_the_image() -> None:
    layout = Layout("TCYX", (3, 2, 100, 700), INT32, (128, 128), (256, 256))
    assert (layout.chunks, layout.shards) == ((1, 1, 100, 128), (1, 1, 100, 256))
    assert layout.block == layout.shards
    assert Layout("YX", (5, 700), INT32, (128, 128), version="0.4").block == (5, 128)


@given(*[st.integers(1, 300)] * 3)
def test_shards_are_whole_chunks(size: int, chunk: int, count: int) -> None:
    layout = Layout("YX", (size, size), INT32, (chunk, chunk), (count * chunk, count * chunk))
    assert layout.shards is not None
    assert layout.shards[0] % layout.chunks[0] == 0
    assert layout.shards[0] < size + layout.chunks[0]


def test_attributes() -> None:
    layout = Layout("CYX", (2, 3, 4), INT32, (8, 8), None, (0.5, 0.25), (0.0, 3.0), "0.5", True, "cells")
    (image,) = layout.attributes()["ome"]["multiscales"]
    assert layout.attributes()["ome"]["image-label"] == {"version": "0.5"}
    assert image["axes"] == [
        {"name": "c", "type": "channel"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ]
    assert image["datasets"] == [
        {
            "path": "0",
            "coordinateTransformations": [
                {"type": "scale", "scale": [1.0, 0.5, 0.25]},
                {"type": "translation", "translation": [0.0, 0.0, 3.0]},
            ],
        }
    ]
    plain = Layout("YX", (3, 4), INT32, (8, 8), version="0.4").attributes()
    assert "image-label" not in plain and plain["multiscales"][0]["version"] == "0.4"
    assert "unit" not in plain["multiscales"][0]["axes"][0]
    steps = plain["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert steps == [{"type": "scale", "scale": [1.0, 1.0]}]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"version": "0.3"}, InputError, "OME-Zarr version '0.3' was given; choose 0.4 or 0.5"),
        ({"axes": "XY"}, InputError, "axes 'XY' were given; expected T. C. Z. Y X in this order"),
        ({"axes": "CX"}, InputError, "axes 'CX' were given"),
        ({"axes": "CYX"}, ShapeError, "an image 3 x 4 with axes CYX cannot be written"),
        ({"shape": (3, 0)}, ShapeError, "an image 3 x 0 with axes YX cannot be written"),
        (
            {"shard": (16, 16), "version": "0.4"},
            InputError,
            "shards were given for OME-Zarr 0.4, which has none",
        ),
        ({"chunk": (8,)}, ShapeError, r"chunk \(8,\) was given; it takes 2 sizes of 1 or more"),
        ({"shard": (8, 0)}, ShapeError, r"shard \(8, 0\) was given; it takes 2 sizes"),
        ({"shard": (8, 12)}, ShapeError, r"shard \(8, 12\) is no multiple of chunk \(8, 8\); give one"),
        ({"spacing": (1.0,)}, ShapeError, r"spacing \(1.0,\) was given; it takes 2 lengths"),
        ({"origin": (1.0,)}, ShapeError, r"origin \(1.0,\) was given; it takes 2 lengths"),
    ],
)
def test_layouts_that_cannot_be(change: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Layout(**{"axes": "YX", "shape": (3, 4), "dtype": INT32, "chunk": (8, 8), **change})
