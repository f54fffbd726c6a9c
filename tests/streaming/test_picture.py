"""The small picture of a large result: what the whole would show, put together from its blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unseam.config import ObjectConfig
from unseam.draw import overlay
from unseam.grid import slices
from unseam.normalize import Scaling
from unseam.streaming import picture
from unseam.streaming.job import ImageSpec, Job


def job(folder: Path, shape: tuple[int, ...], block: tuple[int, ...]) -> Job:
    return Job(
        image=ImageSpec("image.tif"),
        frame=0,
        model="",
        objects=ObjectConfig(),
        scaling=Scaling((0.0,), (1.0,)),
        tile=block,
        tta="none",
        rescale=True,
        zoom=None,
        shape=shape,
        block=block,
        scratch=str(folder),
        labels="",
        probabilities=None,
        series=False,
        table=False,
        picture=True,
    )


@pytest.mark.parametrize("shape", [(23, 31), (9, 23, 31)])
@pytest.mark.parametrize("largest", [7, 16, 100])
def test_the_picture_is_every_nth_pixel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], largest: int
) -> None:
    monkeypatch.setattr(picture, "LARGEST_PICTURE", largest)
    one = job(tmp_path, shape, (4,) * len(shape))
    rng = np.random.default_rng(0)
    image: Any = rng.integers(0, 255, (2, *shape)).astype(np.uint8)
    labels = rng.integers(0, 4, shape).astype(np.int32)
    for number in range(len(one.grid)):
        where = slices(one.grid.region(number))
        picture.keep_part(one, number, image[(slice(None), *where)], labels[where])
    step = picture.step_of(one)
    assert max(np.ceil(np.array(shape[-2:]) / step)) <= largest
    plane = (..., shape[0] // 2, slice(None), slice(None)) if len(shape) == 3 else (...,)
    expected = overlay(image[plane][..., ::step, ::step], labels[plane][..., ::step, ::step])
    np.testing.assert_array_equal(picture.draw(one), expected)
