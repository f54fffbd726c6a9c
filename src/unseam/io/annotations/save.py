"""Shapes with what was measured of them, into the files of every kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.io.annotations.coco import write_coco
from unseam.io.annotations.geojson import ObjectType, write_geojson
from unseam.io.annotations.record import Annotations, Shape
from unseam.io.images import stem

OUTLINES = {"rois": ".zip", "geojson": ".geojson", "coco": ".json"}
"""Kinds of files that hold outlines, and what their names end in."""


@dataclass(frozen=True)
class Measured(Mapping[str, float]):
    """A row of a table, looked up when it is asked for: a million rows as mappings would fill the memory."""

    columns: Mapping[str, NDArray[Any]]
    row: int

    def __getitem__(self, name: str) -> float:
        return float(self.columns[name][self.row])

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)


def with_measurements(shapes: Sequence[Shape], columns: Mapping[str, NDArray[Any]]) -> tuple[Shape, ...]:
    """Shapes with the row of a table that has their `id` as their properties.

    Parameters
    ----------
    shapes : sequence of Shape
    columns : mapping of str to ndarray
        One of them `id`, in rising order; texts are left out.
    """
    rows = np.searchsorted(columns["id"], [shape.id for shape in shapes])
    rest = {name: column for name, column in columns.items() if name != "id" and column.dtype.kind in "biuf"}
    return tuple(
        replace(shape, properties=Measured(rest, row))
        for shape, row in zip(shapes, rows.tolist(), strict=True)
    )


def write_outlines(
    kind: str,
    path: str | Path,
    annotations: Annotations,
    *,
    image: str,
    object_type: ObjectType = "annotation",
    overwrite: bool = False,
) -> None:
    """Write the outlines of an image, or of all frames of a series, into one file.

    Parameters
    ----------
    kind : one of `OUTLINES`.
    path : str or Path
    annotations : Annotations
        With the size of the image, which COCO needs.
    image : str
        File name of the image, for COCO.
    object_type : of GeoJSON.

    Raises
    ------
    UnseamError
        As `write_rois`, `write_geojson` and `write_coco`.
    """
    if kind == "rois":
        from unseam.io.annotations.imagej import write_rois  # roifile is needed for these alone

        write_rois(path, annotations.shapes, overwrite=overwrite)
    elif kind == "geojson":
        write_geojson(path, annotations.shapes, object_type=object_type, overwrite=overwrite)
    else:
        write_coco(path, pictures(annotations, image), overwrite=overwrite)


def pictures(annotations: Annotations, image: str) -> list[tuple[str, Annotations]]:
    """The image, or each frame of a series under a name of its own, for `write_coco`; empty ones too."""
    reached = max((shape.frame + 1 for shape in annotations.shapes if shape.frame is not None), default=0)
    count = max(annotations.frames or 0, reached)
    if not count:
        return [(image, annotations)]
    ending = Path(image).name.removeprefix(stem(image))
    return [
        (
            f"{stem(image)}_t{frame:03}{ending}",
            replace(annotations, shapes=tuple(one for one in annotations.shapes if one.frame == frame)),
        )
        for frame in range(count)
    ]
