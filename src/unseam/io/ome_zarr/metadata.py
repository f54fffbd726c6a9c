"""What an OME-Zarr folder says about its image: axes, units, levels and where they lie in space."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unseam.axes import LETTERS
from unseam.errors import FileReadError, InputError, UnseamError

TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
"""The type of each axis, as OME-Zarr calls it."""

_FORMATS = {"0.4": 2, "0.5": 3}  # Zarr format of each version


@dataclass(frozen=True)
class Level:
    """One array of a pyramid.

    Attributes
    ----------
    path : of the array within the group.
    scale : length of a pixel along each axis, in the unit of the axis.
    translation : where the centre of pixel 0 lies.
    """

    path: str
    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True)
class Multiscale:
    """The image of an OME-Zarr group.

    Attributes
    ----------
    version : "0.4" or "0.5".
    axes : letters of T C Z Y X in the order of the arrays.
    units : of each axis, empty where none is stated.
    levels : of the pyramid, the finest first.
    labels : whether it is a label image.
    """

    version: str
    axes: str
    units: tuple[str, ...]
    levels: tuple[Level, ...]
    labels: bool

    @property
    def zarr_format(self) -> int:
        """The Zarr format of its store."""
        return _FORMATS[self.version]


def read_multiscale(path: Path) -> Multiscale:
    """Read the metadata of an OME-Zarr image.

    Parameters
    ----------
    path : Path
        The folder of the group.

    Raises
    ------
    FileReadError
        If it is no Zarr, or its metadata are damaged or incomplete.
    InputError
        If it is a Zarr without an image, of another version, or with axes other than T C Z Y X.

    Notes
    -----
    Only `multiscales[0]` counts. Transformations of a level come first, those of the whole after them.
    A format 2 store that states no version is taken for 0.4 if its axes are written as in 0.4.
    """
    zarr_format, attributes = _attributes(path)
    ome = attributes.get("ome", {}) if zarr_format == 3 else attributes
    try:
        if not ome.get("multiscales"):
            raise InputError(_no_image(path, attributes | ome))
        image = ome["multiscales"][0]
        stated = ome.get("version") if zarr_format == 3 else image.get("version")
        version = _version(stated, zarr_format, image.get("axes"), path)
        axes = "".join(_letter(axis, path) for axis in image["axes"])
        _check_axes(axes, path)
        units = tuple(str(axis.get("unit") or "") for axis in image["axes"])
        after = image.get("coordinateTransformations") or []
        levels = tuple(
            Level(one["path"], *_compose([*one["coordinateTransformations"], *after], len(axes), path))
            for one in image["datasets"]
        )
    except UnseamError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise FileReadError(
            f"{path}: its OME-Zarr metadata are incomplete or damaged ({error!r}); export it again"
        ) from error
    if not levels:
        raise FileReadError(f"{path}: its OME-Zarr metadata list no array; export it again")
    return Multiscale(version, axes, units, levels, "image-label" in ome)


def _attributes(path: Path) -> tuple[int, dict[str, Any]]:
    """The Zarr format of a group, and its attributes."""
    if (path / "zarr.json").is_file():
        node = _json(path / "zarr.json")
        if node.get("node_type") == "array":
            raise InputError(_bare_array(path))
        attributes = node.get("attributes", {})
        return 3, attributes if isinstance(attributes, dict) else {}
    if (path / ".zarray").is_file():
        raise InputError(_bare_array(path))
    if (path / ".zattrs").is_file():
        return 2, _json(path / ".zattrs")
    if (path / ".zgroup").is_file():
        return 2, {}
    raise FileReadError(
        f"{path} is a folder but no Zarr, it has neither zarr.json nor .zgroup; check the name"
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileReadError(f"cannot read {path}: it is cut short or damaged ({error})") from error
    if not isinstance(value, dict):
        raise FileReadError(f"cannot read {path}: it should hold an object, it holds {value!r:.40}")
    return value


def _bare_array(path: Path) -> str:
    return f"{path} is a single Zarr array, which does not say its axes; give the OME-Zarr folder around it"


def _no_image(path: Path, attributes: Mapping[str, Any]) -> str:
    """What to do about a group without an image: name one below it, if the metadata do."""
    below = None
    if "plate" in attributes:
        below = f"{attributes['plate']['wells'][0]['path']}/0"
    elif "well" in attributes:
        below = attributes["well"]["images"][0]["path"]
    elif attributes.get("labels"):
        below = attributes["labels"][0]
    elif "bioformats2raw.layout" in attributes:
        below = "0"
    advice = f"one is in {path / str(below)}" if below else "give the folder of an OME-Zarr image"
    return f"{path} is a Zarr group that holds no image of its own (no multiscales metadata); {advice}"


def _version(stated: Any, zarr_format: int, axes: Any, path: Path) -> str:
    if stated is None and zarr_format == 2 and isinstance(axes, list) and isinstance(axes[0], dict):
        stated = "0.4"
    if stated in _FORMATS and _FORMATS[stated] == zarr_format:
        return str(stated)
    numbers = tuple(int(part) for part in re.findall(r"[0-9]+", str(stated))[:2])
    expected = "expected 0.4 in Zarr format 2, or 0.5 in Zarr format 3"
    if numbers > (0, 5):
        raise InputError(f"{path} is OME-Zarr {stated}, newer than can be read; {expected}: update unseam")
    if numbers and numbers < (0, 4):
        raise InputError(f"{path} is OME-Zarr {stated}, which is too old; {expected}: convert it")
    raise InputError(f"{path} states OME-Zarr version {stated!r} in Zarr format {zarr_format}; {expected}")


def _letter(axis: Mapping[str, Any], path: Path) -> str:
    name, kind = str(axis["name"]), axis.get("type")
    letter = name.upper()
    if letter not in TYPES:
        letter = {"time": "T", "channel": "C"}.get(str(kind), "")
    if not letter or kind not in (None, TYPES[letter]):
        raise InputError(
            f"{path} has an axis {name!r} of type {kind!r}; expected t (time), c (channel), z y x (space)"
        )
    return letter


def _check_axes(axes: str, path: Path) -> None:
    if len(set(axes)) < len(axes) or not {"Y", "X"} <= set(axes) or len(axes) > len(LETTERS):
        raise InputError(f"{path} has axes {' '.join(axes)}; expected Y and X, and T C Z at most once each")


def _compose(
    steps: Iterable[Mapping[str, Any]], dims: int, path: Path
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scale and translation of several transformations, one after the other."""
    scale, translation = (1.0,) * dims, (0.0,) * dims
    for step in steps:
        kind = step["type"]
        if kind == "identity":
            continue
        if kind not in ("scale", "translation") or kind not in step:
            raise InputError(
                f"{path} has a transformation of type {kind!r}, or one kept in a file of its own;"
                " expected scale and translation"
            )
        values = _numbers(step[kind], dims)
        if kind == "scale":
            scale = tuple(a * b for a, b in zip(scale, values, strict=True))
            translation = tuple(a * b for a, b in zip(translation, values, strict=True))
        else:
            translation = tuple(a + b for a, b in zip(translation, values, strict=True))
    return scale, translation


def _numbers(values: Sequence[Any], dims: int) -> tuple[float, ...]:
    if len(values) != dims:
        raise ValueError(f"{len(values)} numbers for {dims} axes")
    return tuple(float(value) for value in values)
