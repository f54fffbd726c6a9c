"""The output of a streamed prediction: arrays made block by block, tables, a picture; in place when done."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from unseam.errors import OutputExistsError
from unseam.guard.verdict import Verdict
from unseam.io.annotations.save import OUTLINES
from unseam.io.atomic import put_over
from unseam.io.images import write_png
from unseam.io.ome_zarr.layout import Layout
from unseam.io.ome_zarr.pyramid import build_pyramid
from unseam.io.ome_zarr.write import create, writing
from unseam.io.source import Source
from unseam.measure import (
    ObjectTable,
    TableStream,
    appended,
    from_arrays,
    prepended,
    write_csv,
    write_parquet,
)
from unseam.streaming import passes
from unseam.streaming.job import Job
from unseam.streaming.outlining import write_outlined
from unseam.streaming.picture import draw
from unseam.streaming.plan import CHUNK, StreamPlan
from unseam.streaming.wanted import Wanted
from unseam.streaming.work import discard, has_table, load_record, load_table, save_table

WRITTEN = "written"
"""Name of the table that says that the labels of an image are written."""


@dataclass(frozen=True)
class Output:
    """What is being made, in the work folder.

    Attributes
    ----------
    folder : the work folder.
    wanted : what is asked for.
    sources : the images, one per time point.
    classes : of the network.
    """

    folder: Path
    wanted: Wanted
    sources: tuple[Source, ...]
    classes: int

    @property
    def is_series(self) -> bool:
        """Whether there is a time axis."""
        return len(self.sources) > 1 or self.sources[0].frame is not None

    @property
    def arrays(self) -> dict[str, Path]:
        """The OME-Zarr images."""
        return {kind: path for kind, path in self._made.items() if kind in ("labels", "probabilities")}

    @property
    def _made(self) -> dict[str, Path]:
        """Where each result is before it is put in its place."""
        return {kind: self.folder / target.name for kind, target in self.wanted.targets().items()}

    def create(self, plan: StreamPlan) -> None:
        """Make the arrays, empty."""
        for kind, path in self.arrays.items():
            create(path, self._layout(kind, plan), overwrite=True)

    def _layout(self, kind: str, plan: StreamPlan) -> Layout:
        source, labels = self.sources[0], kind == "labels"
        frames = (len(self.sources),) if self.is_series else ()
        channels = () if labels else (self.classes,)
        axes = "T" * len(frames) + "C" * len(channels) + "ZYX"[-len(plan.shape) :]
        return Layout(
            axes,
            (*frames, *channels, *plan.shape),
            np.dtype(np.int32 if labels else np.float32),
            chunk=chunk_of(plan.block),
            shard=plan.block if self.wanted.version == "0.5" else None,
            spacing=source.spacing,
            origin=source.origin,
            version=self.wanted.version,
            labels=labels,
            name=self.wanted.targets()[kind].stem,
        )

    def finish(
        self,
        jobs: Sequence[Job],
        verdicts: Sequence[Verdict],
        *,
        threads: int,
        step: Callable[[str, float, int], None],
    ) -> int:
        """Make tables, picture and coarser levels, and put everything in its place; how many objects."""
        made = self._made
        with ThreadPoolExecutor(1) as beside:
            tables = beside.submit(self._write_tables, jobs, verdicts)
            if "overlay" in made:
                write_png(made["overlay"], draw(jobs[0]), overwrite=True)
            for path in filter(Path.exists, self.arrays.values()):
                build_pyramid(
                    path, threads=threads, on_step=lambda done, total: step("coarser levels", done, total)
                )
            tables.result()
        outlined = {kind: path for kind, path in made.items() if kind in OUTLINES}
        if outlined and made["labels"].exists():
            write_outlined(outlined, made["labels"], jobs, self._table, step)
        count = sum(_objects_of(job) for job in jobs)
        for kind, target in sorted(self.wanted.targets().items(), key=lambda item: item[0] == "labels"):
            put_in_place(made[kind], target)  # labels last: where they are, all is there
        discard(self.folder)
        return count

    def _write_tables(self, jobs: Sequence[Job], verdicts: Sequence[Verdict]) -> None:
        made = self._made
        for kind, write in (("table", write_csv), ("parquet", write_parquet)):
            if kind in made:
                write(self._batches(jobs, verdicts), made[kind], overwrite=True)

    def _batches(self, jobs: Sequence[Job], verdicts: Sequence[Verdict]) -> Iterator[ObjectTable]:
        """The tables of all time points, one after the other."""
        for job, verdict in zip_longest(jobs, verdicts):
            batches = self._table(job)
            if verdict is not None:
                batches = appended(batches, guard=verdict.short)
            yield from prepended(batches, frame=job.frame) if self.is_series else batches

    def _table(self, job: Job) -> Iterator[ObjectTable]:
        """The table of one time point."""
        spacing = self.sources[job.frame].spacing
        with TableStream(job.grid, _objects_of(job), job.folder / "rows", spacing=spacing) as table:
            for number in range(len(job.grid)):
                table.add(number, from_arrays(load_record(job.folder, "write", number)))
            yield from table.batches()


def chunk_of(block: tuple[int, ...]) -> tuple[int, ...]:
    """What is kept together within a block: what a viewer loads at once."""
    return tuple(
        next(n for n in range(min(size, CHUNK[len(block)]), 0, -1) if size % n == 0) for size in block
    )


def refuse_unlike(targets: Mapping[str, Path], image: Path) -> None:
    """Raise where a result would take the place of what is no result, or of the image.

    Raises
    ------
    OutputExistsError
        If a target is the image or a folder that holds it, a file in place of a store or the reverse.
    """
    for target in targets.values():
        if target.resolve() in (image.resolve(), *image.resolve().parents):
            raise OutputExistsError(f"{target} holds the image {image}; choose another --out")
        if image.resolve() in target.resolve().parents:
            raise OutputExistsError(f"{target} lies in the image {image}; choose another --out")
        if not target.exists():
            continue
        is_store = any((target / name).is_file() for name in ("zarr.json", ".zgroup", ".zattrs"))
        if is_store != (target.suffix == ".zarr") or (not is_store and target.is_dir()):
            what = "a folder" if target.is_dir() else "a file"
            raise OutputExistsError(
                f"{target} is {what} that unseam did not write, so it is not replaced; choose another --out"
            )


def put_in_place(made: Path, target: Path) -> None:
    """Move what was made, unless it was moved before; what was there goes when the new one stands.

    Raises
    ------
    OutputError
        If it cannot be moved.
    """
    if not made.exists():
        return
    with writing(target):
        put_over(made, target)


def is_written(job: Job) -> bool:
    """Whether the labels of an image are written, and what was between the passes is gone."""
    return has_table(job.folder, WRITTEN)


def clear_scratch(job: Job) -> None:
    """Give back what lies between the passes; what tables and picture are made of stays."""
    save_table(job.folder, WRITTEN, np.ones(1, bool))
    for name in (
        passes.CORES,
        passes.PARTS,
        passes.GROWN,
        passes.FOREGROUND,
        "predict",
        "divide",
        "grow",
        "holes",
    ):
        shutil.rmtree(job.folder / name, ignore_errors=True)


def _objects_of(job: Job) -> int:
    """Objects of an image, or regions of its classes."""
    name = "final" if has_table(job.folder, "final") else "core_numbers"
    return int(load_table(job.folder, name).max(initial=0))
