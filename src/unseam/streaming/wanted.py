"""What is asked of a streamed prediction, who is told, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from unseam.guard.correction import NONE, Correction
from unseam.guard.verdict import Verdict
from unseam.io.annotations.save import OUTLINES
from unseam.streaming.work import is_begun, work_folder


@dataclass(frozen=True)
class Wanted:
    """What is asked for; with the model and the image it decides the result.

    Attributes
    ----------
    out : where the labels go, ending in .zarr; probabilities and table go beside it.
    save : some of labels, probabilities, table, parquet, overlay, rois, geojson and coco; labels are always
        written.
    tile, tta, rescale, zoom, correction : as `Model.predict`.
    block, memory : as `plan_stream`.
    version : of OME-Zarr, "0.4" or "0.5".
    overwrite : whether results that are there may be replaced, and half-done work of another command.
    replace : whether results alone may be.
    """

    out: Path
    save: tuple[str, ...] = ("labels", "table", "overlay")
    tile: int | str = "auto"
    tta: str = "none"
    rescale: bool = True
    zoom: float | None = None
    correction: Correction = NONE
    block: int | None = None
    memory: int | None = None
    version: str = "0.5"
    overwrite: bool = False
    replace: bool = False

    def targets(self) -> dict[str, Path]:
        """Where each of the results goes."""
        stem = self.out.name.removesuffix(".zarr")
        names = {
            "labels": self.out.name,
            "probabilities": f"{stem}_probabilities.zarr",
            "table": f"{stem}.csv",
            "parquet": f"{stem}.parquet",
            "overlay": f"{stem}_overlay.png",
            **{kind: f"{stem}{ending}" for kind, ending in OUTLINES.items()},
        }
        return {kind: self.out.with_name(names[kind]) for kind in ("labels", *self.save)}

    def to_be_new(self) -> list[Path]:
        """The targets that must not be there yet: of work that is gone on with, only the last one."""
        return [self.out] if is_begun(work_folder(self.out)) else list(self.targets().values())


@dataclass(frozen=True)
class Reporter:
    """Who is told.

    Attributes
    ----------
    say : takes a line.
    step : takes the name of what is being done, how many of its pieces are done, and how many there are.
    """

    say: Callable[[str], None] = lambda _: None
    step: Callable[[str, float, int], None] = lambda *_: None


@dataclass(frozen=True)
class Streamed:
    """What came of it.

    Attributes
    ----------
    n_objects : objects, or regions of classes, over all time points; -1 where they were not counted.
    seconds : of each pass.
    resumed : blocks that were done already.
    verdicts : of each time point, whether it is like the training images; empty where the model does not say.
    """

    n_objects: int
    seconds: Mapping[str, float]
    resumed: int
    verdicts: tuple[Verdict, ...] = ()
