"""What OME-Zarr metadata mean, and a sentence for all that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from unseam.errors import FileReadError, InputError, ShapeError
from unseam.io.ome_zarr.metadata import read_multiscale
from unseam.io.open import open_sources

AXES = [
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]


def scale(*values: float) -> dict[str, Any]:
    return {"type": "scale", "scale": list(values)}


def translation(*values: float) -> dict[str, Any]:
    return {"type": "translation", "translation": list(values)}


def image(axes: Any = AXES, steps: Any = None, **more: Any) -> dict[str, Any]:
    steps = [scale(*[1.0] * len(axes))] if steps is None else steps
    return {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}], **more}


def store(
    path: Path,
    one: dict[str, Any] | None,
    *,
    version: str | None = "0.5",
    array: np.ndarray | None = None,
    zarr_format: Any = None,
    **more: Any,
) -> Path:
    """A group with these metadata and one array."""
    zarr_format = zarr_format or (3 if version and version >= "0.5" else 2)
    if zarr_format == 3:
        attributes = {"ome": {"version": version, **({"multiscales": [one]} if one else {}), **more}}
    else:
        stated = {} if version is None else {"version": version}
        attributes = {**({"multiscales": [{**one, **stated}]} if one else {}), **more}
    zarr.create_group(path, zarr_format=zarr_format, attributes=attributes)
    data = np.arange(12, dtype=np.uint8).reshape(3, 4) if array is None else array
    zarr.create_array(path / "0", data=data, zarr_format=zarr_format)
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_transformations_compose_in_their_order(tmp_path: Path, version: str) -> None:
    # x: pixel i lies at ((i * 2 + 10) * 3 + 1) nanometres: pixel size 6, pixel 0 at 31
    axes = [{"name": "y", "type": "space", "unit": "angstrom"}, {"name": "x", "unit": "nanometer"}]
    one = image(
        axes,
        [scale(1, 2), translation(0, 10)],
        coordinateTransformations=[scale(1, 3), translation(0, 1), {"type": "identity"}],
    )
    (source,) = open_sources(store(tmp_path / "a.zarr", one, version=version), select="x=1:3")
    assert source.spacing == pytest.approx((1e-4, 6e-3))
    assert source.origin == pytest.approx((0.0, 31e-3 + 6e-3))


@pytest.mark.parametrize("unit", [None, "pixel", "inch"])
def test_a_unit_that_is_no_length_gives_no_size(tmp_path: Path, unit: str | None) -> None:
    axes = [
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": unit},
    ]
    (source,) = open_sources(store(tmp_path / "a.zarr", image(axes, [scale(2, 2)])))
    assert source.spacing is None
    assert source.origin == (0.0, 0.0)


def test_without_any_unit_the_place_is_in_pixels(tmp_path: Path) -> None:
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    path = store(tmp_path / "a.zarr", image(axes, [scale(2, 2), translation(0, 10)]))
    (source,) = open_sources(path, select="x=1:3")
    assert (source.spacing, source.origin) == (None, (0.0, 6.0))


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan")])
def test_a_size_that_is_no_size_counts_as_none(tmp_path: Path, size: float) -> None:
    (source,) = open_sources(store(tmp_path / "a.zarr", image(steps=[scale(1, size)])))
    assert source.spacing is None


def test_axes_are_told_by_name_or_type(tmp_path: Path) -> None:
    axes = [
        {"name": "Frame", "type": "time"},
        {"name": "marker", "type": "channel"},
        {"name": "Y"},
        {"name": "x"},
    ]
    path = store(tmp_path / "a.zarr", image(axes), array=np.zeros((2, 3, 4, 5), np.uint8))
    assert read_multiscale(path).axes == "TCYX"
    assert [source.frame for source in open_sources(path)] == [0, 1]


def test_without_version_a_format_2_store_is_0_4(tmp_path: Path) -> None:
    assert read_multiscale(store(tmp_path / "a.zarr", image(), version=None)).version == "0.4"


@pytest.mark.parametrize(
    ("version", "zarr_format", "axes", "words"),
    [
        ("0.1", 2, AXES, r"a\.zarr is OME-Zarr 0\.1, which is too old; expected 0\.4 in Zarr format 2"),
        ("0.2", 2, AXES, "is OME-Zarr 0.2, which is too old"),
        ("0.3", 2, ["y", "x"], "is OME-Zarr 0.3, which is too old"),
        ("0.6", 3, AXES, r"is OME-Zarr 0\.6, newer than can be read; .*: update unseam"),
        ("0.6.dev2", 3, AXES, "newer than can be read"),
        ("1.0", 3, AXES, "newer than can be read"),
        ("0.5", 2, AXES, "states OME-Zarr version '0.5' in Zarr format 2; expected 0.4 in Zarr format 2, or"),
        ("0.4", 3, AXES, "states OME-Zarr version '0.4' in Zarr format 3"),
        ("new", 3, AXES, "states OME-Zarr version 'new'"),
        (None, 2, ["y", "x"], "states OME-Zarr version None"),
    ],
)
def test_other_versions(tmp_path: Path, version: str, zarr_format: int, axes: Any, words: str) -> None:
    path = store(tmp_path / "a.zarr", image(axes, [scale(1, 1)]), version=version, zarr_format=zarr_format)
    with pytest.raises(InputError, match=words):
        open_sources(path)


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ([{"name": "q", "type": "space"}, *AXES], "has an axis 'q' of type 'space'; expected t"),
        ([{"name": "lambda", "type": "spectrum"}, *AXES], "has an axis 'lambda' of type 'spectrum'"),
        ([{"name": "z", "type": "time"}, *AXES], "has an axis 'z' of type 'time'"),
        ([{"name": "t", "type": "time"}, {"name": "w", "type": "time"}, *AXES], "has axes T T Y X; expected"),
        ([{"name": "z", "type": "space"}, AXES[1]], "has axes Z X; expected Y and X"),
        ([{"name": n} for n in "tczyx"] + [{"name": "X"}], "has axes T C Z Y X X; expected"),
    ],
)
def test_other_axes(tmp_path: Path, axes: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_sources(store(tmp_path / "a.zarr", image(axes)))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "is a Zarr group that holds no image of its own .*; give the folder of an OME-Zarr image"),
        ({"bioformats2raw.layout": 3}, r"holds no image of its own .*; one is in .*a\.zarr.0"),
        ({"plate": {"wells": [{"path": "B/3"}]}}, r"one is in .*a\.zarr.B.3.0"),
        ({"well": {"images": [{"path": "1"}]}}, r"one is in .*a\.zarr.1"),
        ({"labels": ["cells"]}, r"one is in .*a\.zarr.cells"),
    ],
)
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_groups_without_image(tmp_path: Path, version: str, more: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_sources(store(tmp_path / "a.zarr", None, version=version, **more))


def test_a_group_without_any_metadata(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    (tmp_path / "a.zarr" / ".zattrs").unlink(missing_ok=True)
    with pytest.raises(InputError, match="holds no image of its own"):
        open_sources(tmp_path / "a.zarr")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_single_array(tmp_path: Path, version: str) -> None:
    path = store(tmp_path / "a.zarr", image(), version=version)
    with pytest.raises(InputError, match=r"0 is a single Zarr array, .*; give the OME-Zarr folder around it"):
        open_sources(path / "0")


@pytest.mark.parametrize(
    "broken",
    [
        {"axes": AXES},
        {"axes": AXES, "datasets": "0"},
        {"axes": AXES, "datasets": [{"path": "0"}]},
        {"datasets": []},
        image(steps=[scale(1, 1, 1)]),
        image(steps=[{"type": "scale", "scale": ["a", "b"]}]),
        image(axes=[{"type": "space"}, {"type": "space"}]),
    ],
)
def test_incomplete_metadata(tmp_path: Path, broken: dict[str, Any]) -> None:
    with pytest.raises(
        FileReadError, match=r"a\.zarr: its OME-Zarr metadata are incomplete or damaged .*; export"
    ):
        open_sources(store(tmp_path / "a.zarr", broken))


def test_no_level_at_all(tmp_path: Path) -> None:
    with pytest.raises(FileReadError, match="its OME-Zarr metadata list no array; export it again"):
        open_sources(store(tmp_path / "a.zarr", {"axes": AXES, "datasets": []}))


@pytest.mark.parametrize("step", [{"type": "affine", "affine": []}, {"type": "scale", "path": "scales"}])
def test_transformations_of_other_kinds(tmp_path: Path, step: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"a transformation of type '{step['type']}', or one kept in a file"):
        open_sources(store(tmp_path / "a.zarr", image(steps=[step])))


@pytest.mark.parametrize(("version", "name"), [("0.4", ".zattrs"), ("0.5", "zarr.json")])
@pytest.mark.parametrize(
    ("text", "words"),
    [('{"ome": ', "cut short or damaged"), ("[1]", r"should hold an object, it holds \[1\]")],
)
def test_corrupt_json(tmp_path: Path, version: str, name: str, text: str, words: str) -> None:
    path = store(tmp_path / "a.zarr", image(), version=version)
    (path / name).write_text(text)
    with pytest.raises(FileReadError, match=f"{name}: it .*{words}|{name}: it {words}"):
        open_sources(path)


@pytest.mark.parametrize(("version", "name"), [("0.4", ".zarray"), ("0.5", "zarr.json")])
def test_arrays_that_are_missing_or_damaged(tmp_path: Path, version: str, name: str) -> None:
    path = store(tmp_path / "a.zarr", image(), version=version)
    node = json.loads((path / "0" / name).read_text())
    (path / "0" / name).write_text(json.dumps({**node, "shape": None}))
    with pytest.raises(FileReadError, match=r"cannot read .*0: it is cut short, damaged"):
        open_sources(path)
    (path / "0" / name).unlink()
    with pytest.raises(
        FileReadError, match=r"array .*0, which the OME-Zarr metadata name, is not there; copy"
    ):
        open_sources(path)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_axes_that_do_not_fit_the_array(tmp_path: Path, version: str) -> None:
    path = store(tmp_path / "a.zarr", image(), version=version, array=np.zeros((2, 3, 4), np.uint8))
    with pytest.raises(ShapeError, match="axes YX name 2 axes, but its array 0 has 3"):
        open_sources(path)
    with pytest.raises(ShapeError, match="axes TCYX name 4 axes"):
        open_sources(path, axes="TCYX")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("dtype", ["complex64", "<M8[s]", "<U3"])
@pytest.mark.filterwarnings("ignore:The data type .* does not have a Zarr V3 specification")
def test_types_that_are_no_numbers(tmp_path: Path, version: str, dtype: str) -> None:
    path = store(tmp_path / "a.zarr", image(), version=version, array=np.zeros((3, 4), dtype))
    with pytest.raises(InputError, match=r"holds values of type .*; expected integers or floats"):
        open_sources(path)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_empty_arrays(tmp_path: Path, version: str) -> None:
    path = store(tmp_path / "a.zarr", image(), version=version, array=np.zeros((0, 4), np.uint8))
    with pytest.raises(ShapeError, match=r"a\.zarr holds no pixel, its shape is \(0, 4\)"):
        open_sources(path)


def test_levels_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.zarr has no level 1; its levels are 0 to 0"):
        open_sources(store(tmp_path / "a.zarr", image()), select="level=1")
