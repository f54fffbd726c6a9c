"""What others read of what we write, and what we read of what others write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import ome_zarr_models.v04
import ome_zarr_models.v05
import pytest
import zarr
from ome_zarr.format import FormatV04, FormatV05
from ome_zarr.io import parse_url
from ome_zarr.reader import Label, Multiscales, Reader
from tests.io.ome_zarr.test_write import write_all

from unseam.io.ome_zarr import layout as layout_module
from unseam.io.ome_zarr.layout import Layout
from unseam.io.ome_zarr.pyramid import build_pyramid
from unseam.io.open import open_sources

MODELS: dict[str, Any] = {"0.4": ome_zarr_models.v04, "0.5": ome_zarr_models.v05}
FORMATS: dict[str, Any] = {"0.4": FormatV04, "0.5": FormatV05}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        ("YX", (40, 70)),
        ("CYX", (2, 40, 70)),
        ("TYX", (2, 40, 70)),
        ("CZYX", (1, 6, 40, 70)),
        ("TCZYX", (2, 1, 6, 40, 70)),
    ],
)
def test_ome_zarr_and_its_models_read_what_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    labels: bool,
    axes: str,
    shape: tuple[int, ...],
) -> None:
    monkeypatch.setattr(layout_module, "_SMALLEST_SIDE", 40)
    dims = 3 if "Z" in axes else 2
    spacing, origin = (0.3, 0.5, 0.25)[-dims:], (5.0, 6.0, 7.0)[-dims:]
    shard = (6, 32, 32)[-dims:] if version == "0.5" else None
    dtype = np.dtype(np.int32 if labels else np.float32)
    array = np.random.default_rng(0).integers(0, 50, shape).astype(dtype)
    path = tmp_path / "a.zarr"
    write_all(
        path, Layout(axes, shape, dtype, (3, 16, 16)[-dims:], shard, spacing, origin, version, labels), array
    )
    build_pyramid(path)

    location = parse_url(path, fmt=FORMATS[version]())
    assert location is not None and location.version == version
    (node, *_) = Reader(location)()
    assert node.load(Multiscales) is not None
    assert (node.load(Label) is not None) == labels
    lead = len(axes) - dims
    coarse = tuple(-(-n // 2) for n in shape[lead:])
    assert [level.shape for level in node.data] == [shape, (*shape[:lead], *coarse)]
    assert np.array_equal(np.asarray(node.data[0]), array)
    assert [axis["name"] for axis in node.metadata["axes"]] == list(axes.lower())
    fine, coarser = node.metadata["coordinateTransformations"]
    assert fine[0]["scale"] == [1.0] * lead + list(spacing)
    assert coarser[0]["scale"] == [1.0] * lead + [2 * size for size in spacing]
    assert fine[1]["translation"] == [0.0] * lead + list(origin)

    group = zarr.open_group(path, mode="r")
    model = MODELS[version].ImageLabel if labels else MODELS[version].Image
    model.from_zarr(group)


@pytest.mark.filterwarnings("ignore:Call to deprecated class Scaler")
@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("axes", "shape"), [("yx", (70, 90)), ("czyx", (2, 3, 70, 90)), ("tczyx", (2, 2, 1, 70, 90))]
)
def test_what_ome_zarr_writes_is_read(
    tmp_path: Path, version: str, axes: str, shape: tuple[int, ...]
) -> None:
    from ome_zarr.writer import write_image  # warns of itself while it is imported

    array = np.random.default_rng(0).integers(0, 999, shape).astype(np.uint16)
    scale = {letter: {"z": 2.0, "y": 0.5, "x": 0.25}.get(letter, 1.0) for letter in axes}
    units = {letter: "micrometer" for letter in axes if letter in "zyx"}
    path = tmp_path / "a.zarr"
    write_image(
        array, str(path), axes=axes, scale=scale, axes_units=units, scale_factors=[2], fmt=FORMATS[version]()
    )
    canonical = array[None] if "t" not in axes else array
    canonical = canonical if "c" in axes else canonical[:, None]
    found = open_sources(path)
    assert len(found) == len(canonical)
    for source, frame in zip(found, canonical, strict=True):
        expected = frame[:, 0] if axes == "tczyx" else frame
        assert source.spacing == (2.0, 0.5, 0.25)[-len(source.shape) :]
        assert np.array_equal(source.read(tuple((0, n) for n in source.shape)), expected)
    (coarse, *_) = open_sources(path, select="level=1")
    assert coarse.shape[-2:] == (35, 45)
    assert coarse.spacing is not None and coarse.spacing[-2:] == (1.0, 0.5)
