"""The picture of a difference: pixels marked, edges where they are said to be, any number of axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from unseam.draw.differences import EDGES, MARK, difference_figure, draw_differences
from unseam.errors import OutputExistsError, ShapeError


def drawn(*shape: int, at: tuple[int, ...] | None = None, **changes: Any) -> dict[str, Any]:
    differs = np.zeros(shape, bool)
    if at:
        differs[at] = True
    region = tuple((10, 10 + n) for n in shape)
    edges = tuple((14,) for _ in shape), tuple((12, 16) for _ in shape)
    values = {
        "image": np.zeros((1, *shape), np.uint8),
        "difference": np.where(differs, 0.3, 1e-8).astype(np.float32),
        "differs": differs,
        "region": region,
        "edges": edges,
        "names": ("one", "other"),
        "broken": bool(at),
    }
    return values | changes


def test_a_pixel_is_marked_and_edges_lie_between_pixels() -> None:
    figure = draw_differences(**drawn(8, 8, at=(2, 3)))
    seen, scale = figure.axes[:2]
    picture = np.asarray(seen.images[0].get_array())
    assert picture[2, 3].tolist() == [int(0.65 * c) for c in MARK]
    assert picture.any(-1).sum() == 1
    lines = [line for line in seen.lines if len(set(line.get_ydata())) == 1]
    assert [float(line.get_ydata()[0]) for line in lines] == [13.5, 11.5, 15.5]
    assert [line.get_color() for line in lines] == [EDGES[0], EDGES[1], EDGES[1]]
    assert seen.get_title(loc="left") == "1 of 64 pixels differ (marked)"
    assert scale.get_title(loc="left") == "Difference, at most 3.0e-01"
    assert figure.get_suptitle() == "The two cuts do not give the same"


def test_of_a_volume_the_worst_slice_is_drawn() -> None:
    figure = draw_differences(**drawn(5, 8, 6, at=(3, 2, 1)))
    assert np.asarray(figure.axes[0].images[0].get_array())[2, 1].any()


def test_edges_outside_are_not_drawn() -> None:
    figure = draw_differences(**drawn(3, 3, edges=(((14,), (9,)), ((10,), (13,)))))
    assert len(figure.axes[0].lines) == 0
    assert figure.get_suptitle() == "The two cuts give the same, up to rounding"


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 2)])
def test_any_shape_is_written(tmp_path: Path, shape: tuple[int, int]) -> None:
    difference_figure(**drawn(*shape), picture=tmp_path / "p.png")
    with PillowImage.open(tmp_path / "p.png") as picture:
        assert picture.width > 500
    with pytest.raises(OutputExistsError, match=r"p\.png exists already"):
        difference_figure(**drawn(*shape), picture=tmp_path / "p.png")


def test_nan_is_the_largest_difference() -> None:
    values = drawn(4, 4)
    values["difference"][1, 1] = np.nan
    assert "at most 1.0e+00" in draw_differences(**values).axes[1].get_title(loc="left")


def test_arrays_that_do_not_belong_together() -> None:
    with pytest.raises(ShapeError, match=r"differences \(4, 4\) and marks \(3, 4\) do not belong together"):
        draw_differences(**drawn(4, 4, differs=np.zeros((3, 4), bool)))
