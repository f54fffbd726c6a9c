"""Stream an image through a model: plan, four passes over its blocks, joins between them, pyramid, table."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unseam.grid import Region
from unseam.io.atomic import refuse_existing
from unseam.io.images import write_png
from unseam.io.ome_zarr.layout import Layout
from unseam.io.ome_zarr.pyramid import build_pyramid
from unseam.io.ome_zarr.write import create
from unseam.io.source import Source
from unseam.measure import ObjectTable, TableStream, from_arrays, prepended, write_csv, write_parquet
from unseam.normalize import Scaling
from unseam.prediction import Model
from unseam.streaming import passes
from unseam.streaming.executors import Executor, Task, Threads
from unseam.streaming.job import ImageSpec, Job, model_key
from unseam.streaming.picture import draw
from unseam.streaming.plan import AT_ONCE, StreamPlan, plan_stream, time_tile
from unseam.streaming.work import (
    await_records,
    begin,
    create_scratch,
    decide,
    finish,
    has_record,
    has_table,
    load_record,
    load_table,
    save_table,
    working_on,
)

SAVES = ("labels", "probabilities", "table", "parquet", "overlay")
WORTH_TIMING = 20
"""Tiles below which it is not worth measuring how long one takes."""
WORTH_SAYING = 2.0
"""Seconds below which nobody wants to know beforehand."""
NAMES = {"predict": "predicting", "grow": "growing", "holes": "looking for holes", "write": "writing labels"}
CHUNK = {2: 512, 3: 64}
"""Pixels per axis of what the output keeps together: what a viewer loads at once."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for; with the model and the image it decides the result.

    Attributes
    ----------
    out : where the labels go, ending in .zarr; probabilities and table go beside it.
    save : some of `SAVES`.
    tile, tta, rescale : as `Model.predict`.
    block, memory : as `plan_stream`.
    version : of OME-Zarr, "0.4" or "0.5".
    overwrite : whether results and half-done work that are there may be replaced.
    """

    out: Path
    save: tuple[str, ...] = ("labels", "table", "overlay")
    tile: int | str = "auto"
    tta: str = "none"
    rescale: bool = True
    block: int | None = None
    memory: int | None = None
    version: str = "0.5"
    overwrite: bool = False

    def targets(self) -> dict[str, Path]:
        """Where each of the results goes."""
        stem = self.out.name.removesuffix(".zarr")
        names = {
            "labels": self.out.name,
            "probabilities": f"{stem}_probabilities.zarr",
            "table": f"{stem}.csv",
            "parquet": f"{stem}.parquet",
            "overlay": f"{stem}_overlay.png",
        }
        return {kind: self.out.with_name(names[kind]) for kind in ("labels", *self.save)}


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
    """

    n_objects: int
    seconds: Mapping[str, float]
    resumed: int


def stream(
    model: Model,
    model_file: Path,
    image: ImageSpec,
    wanted: Wanted,
    *,
    executor: Executor | None = None,
    reporter: Reporter | None = None,
) -> Streamed:
    """Predict an image of any size into an OME-Zarr label image, or go on where that was stopped.

    Raises
    ------
    OutputExistsError
        If a result is there, or half-done work of another command.
    OutputError
        If another run writes the same output, or the disk is full; what is done stays done.
    UnseamError
        As opening the image, `plan_stream` and `Model.prepare`.
    """
    for target in wanted.targets().values():
        refuse_existing(target, overwrite=wanted.overwrite)
    sources = image.open()
    for source in sources:
        model.check_channels(source)
    with working_on(wanted.out) as folder:
        run = _Run(
            model,
            model_key(model_file),
            image,
            sources,
            wanted,
            folder,
            executor or Threads(),
            reporter or Reporter(),
        )
        return run.all()


@dataclass(frozen=True)
class _Run:
    """One output being made: a record of what belongs together, and the steps in order."""

    model: Model
    key: str
    image: ImageSpec
    sources: tuple[Source, ...]
    wanted: Wanted
    folder: Path
    executor: Executor
    reporter: Reporter

    def all(self) -> Streamed:
        asked = self._asked()
        decided = begin(self.folder, asked, overwrite=self.wanted.overwrite)
        plan = self._plan(decided)
        self.executor.hold(self.key, self.model)
        if decided is None:
            self._create(plan)
            decide(self.folder, asked, {"block": plan.block, "tile": plan.tile})
        seconds: dict[str, float] = {}
        jobs, resumed = [], 0
        for frame, source in enumerate(self.sources):
            job = self._job(plan, frame, source)
            resumed += self._frame(job, seconds)
            jobs.append(job)
        with _timed(seconds, "finishing"):
            count = self._tables(jobs)
            if jobs[0].picture:
                write_png(self.wanted.targets()["overlay"], draw(jobs[0]), overwrite=self.wanted.overwrite)
            self._pyramids()
            self._put_in_place()
        return Streamed(count, seconds, resumed)

    @property
    def _threads(self) -> int:
        """For what is done here, whoever does the blocks."""
        return max(AT_ONCE, self.executor.at_once)

    def _asked(self) -> dict[str, Any]:
        """What decides the result, to be compared when the work is gone on with."""
        wanted, first = self.wanted, self.sources[0]
        options = {
            key: getattr(wanted, key) for key in ("tile", "tta", "rescale", "block", "memory", "version")
        }
        return {
            "model": self.key,
            "objects": asdict(self.model.header.objects),
            "image": asdict(self.image) | {"path": str(Path(self.image.path).resolve())},
            "image shape": [len(self.sources), first.channels, *first.shape],
            "image type": str(first.dtype),
            "image changed": _changed(Path(self.image.path)),
            "option": options | {"save": sorted(wanted.save)},
            "version of": {"unseam": version("unseam"), "torch": torch.__version__, "numpy": np.__version__},
            "processor": platform.machine(),
        }

    def _plan(self, decided: Mapping[str, Any] | None) -> StreamPlan:
        """The plan; of work gone on with the same blocks and tiles, whatever memory is free today."""
        wanted, at_once = self.wanted, self.executor.at_once
        options: dict[str, Any] = {"rescale": wanted.rescale, "at_once": at_once}
        plan = plan_stream(
            self.model, self.sources[0], tile=wanted.tile, block=wanted.block, memory=wanted.memory, **options
        )
        if decided is not None:
            plan = replace(plan, block=tuple(decided["block"]), tile=tuple(decided["tile"]))
        self.reporter.say(f"plan: {plan}{self.executor.each}")
        if plan.tiles * len(self.sources) >= WORTH_TIMING:
            seconds = time_tile(self.model, plan, wanted.tta)
            total = seconds * plan.tiles * len(self.sources)
            if total >= WORTH_SAYING:
                alone = " in one process" if self.executor.each else ""
                self.reporter.say(
                    f"a tile takes {seconds:.2f} s here: about {in_words(total)} for the network{alone}"
                )
        return plan

    def _create(self, plan: StreamPlan) -> None:
        """The output, empty."""
        for kind, path in self._arrays().items():
            create(path, self._layout(kind, plan), overwrite=True)

    def _arrays(self) -> dict[str, Path]:
        """The arrays that are being made, in the work folder."""
        targets = self.wanted.targets()
        return {
            kind: self.folder / targets[kind].name for kind in ("labels", "probabilities") if kind in targets
        }

    def _layout(self, kind: str, plan: StreamPlan) -> Layout:
        source, labels = self.sources[0], kind == "labels"
        spatial = "ZYX"[-len(plan.shape) :]
        lead = ((len(self.sources),) if self._series else ()) + (
            () if labels else (self.model.network.classes,)
        )
        axes = ("T" if self._series else "") + ("" if labels else "C") + spatial
        largest = CHUNK[len(plan.shape)]
        chunk = tuple(_divisor(size, largest) for size in plan.block)
        return Layout(
            axes,
            (*lead, *plan.shape),
            np.dtype(np.int32 if labels else np.float32),
            chunk=chunk,
            shard=plan.block if self.wanted.version == "0.5" else None,
            spacing=source.spacing,
            origin=source.origin,
            version=self.wanted.version,
            labels=labels,
            name=self.wanted.targets()[kind].stem,
        )

    @property
    def _series(self) -> bool:
        return len(self.sources) > 1 or self.sources[0].frame is not None

    def _job(self, plan: StreamPlan, frame: int, source: Source) -> Job:
        folder = self.folder / f"frame-{frame:05d}"
        arrays = self._arrays()
        return Job(
            image=self.image,
            frame=frame,
            model=self.key,
            objects=self.model.header.objects,
            scaling=self._scaling(folder, source),
            tile=plan.tile,
            tta=self.wanted.tta,
            rescale=self.wanted.rescale,
            shape=plan.shape,
            block=plan.block,
            scratch=str(folder),
            labels=str(arrays["labels"]),
            probabilities=str(arrays["probabilities"]) if "probabilities" in arrays else None,
            series=self._series,
            table=bool({"table", "parquet"} & set(self.wanted.save)),
            picture="overlay" in self.wanted.save and frame == 0,
        )

    def _scaling(self, folder: Path, source: Source) -> Scaling:
        """How intensities are scaled: fitted once, and kept for when the work is gone on with."""
        if not has_table(folder, "scaling"):
            fitted = _fit(self.model, source, self._threads, self.reporter)
            save_table(folder, "scaling", np.array([fitted.offset, fitted.scale], np.float64))
        offset, scale = load_table(folder, "scaling").tolist()
        return Scaling(tuple(offset), tuple(scale))

    def _frame(self, job: Job, seconds: dict[str, float]) -> int:
        """All passes over one image; how many blocks were predicted before."""
        arrays = [(passes.CORES, "int32")]
        semantic = self.model.header.task == "semantic"
        arrays += [] if semantic else [(passes.GROWN, "int32")]
        arrays += [(passes.FOREGROUND, "uint16")] if job.table else []
        for name, dtype in arrays:
            create_scratch(job.folder / name, job.shape, job.block, dtype)
        done = self._pass("predict", passes.predict_block, job, seconds)
        steps: list[tuple[str, Task, Callable[[Job], None] | None]] = []
        if not semantic:
            steps.append(("grow", passes.grow_block_of, passes.join_grown))
            if job.objects.fill_holes:
                steps.append(("holes", passes.holes_of_block, passes.join_enclosed))
        steps.append(("write", passes.write_block, None))
        with _timed(seconds, "join"):
            passes.join_predicted(job)
        for kind, task, join in steps:
            self._pass(kind, task, job, seconds)
            if join is not None:
                with _timed(seconds, "join"):
                    join(job)
        return done

    def _pass(self, kind: str, task: Task, job: Job, seconds: dict[str, float]) -> int:
        """Run a task on the blocks that have no record of it yet; how many had one."""
        numbers = [n for n in range(len(job.grid)) if not has_record(job.folder, kind, n)]
        name = NAMES[kind] + (f" {job.frame + 1} of {len(self.sources)}" if self._series else "")
        done = before = len(job.grid) - len(numbers)
        if before and kind == "predict":
            self.reporter.say(f"{before} of {len(job.grid)} blocks were predicted before")

        def on_block(_: int) -> None:
            nonlocal done
            done += 1
            self.reporter.step(name, done, len(job.grid))

        with _timed(seconds, kind):
            self.executor.run(task, job, numbers, on_block)
            await_records(job.folder, kind, numbers)
        return before

    def _tables(self, jobs: Sequence[Job]) -> int:
        """The tables of all time points, one after the other; how many rows."""
        count = sum(_objects_of(job) for job in jobs)
        targets = self.wanted.targets()
        for kind, write in (("table", write_csv), ("parquet", write_parquet)):
            if kind in targets:
                write(self._batches(jobs), targets[kind], overwrite=self.wanted.overwrite)
        return count

    def _batches(self, jobs: Sequence[Job]) -> Iterator[ObjectTable]:
        for job in jobs:
            with TableStream(
                job.grid, _objects_of(job), job.folder / "rows", spacing=self.sources[job.frame].spacing
            ) as table:
                for number in range(len(job.grid)):
                    table.add(number, from_arrays(load_record(job.folder, "write", number)))
                batches = table.batches()
                yield from prepended(batches, frame=job.frame) if self._series else batches

    def _pyramids(self) -> None:
        for path in self._arrays().values():
            build_pyramid(
                path,
                threads=self._threads,
                on_step=lambda done, total: self.reporter.step("coarser levels", done, total),
            )

    def _put_in_place(self) -> None:
        """Labels last: where they are, all is there."""
        arrays, targets = self._arrays(), self.wanted.targets()
        for kind in ("probabilities", "labels"):
            if kind in arrays:
                finish(arrays[kind], targets[kind])
        shutil.rmtree(self.folder)


def _fit(model: Model, source: Source, threads: int, reporter: Reporter) -> Scaling:
    """Fit the intensities of an image, its parts read by a few threads."""

    def map_parts(function: Callable[[Region], Any], regions: Sequence[Region]) -> Iterator[Any]:
        with ThreadPoolExecutor(threads) as pool:
            for done, result in enumerate(pool.map(function, regions), start=1):
                reporter.step("reading intensities", done, len(regions))
                yield result

    return model.header.normalization.fit(
        source.read, source.shape, channels=source.channels, dtype=source.dtype, map_parts=map_parts
    )


def _objects_of(job: Job) -> int:
    """Objects of an image, or regions of its classes."""
    name = "final" if has_table(job.folder, "final") else "core_numbers"
    return int(load_table(job.folder, name).max(initial=0))


def _changed(path: Path) -> float:
    """When an image was last changed, as far as a look at its metadata tells."""
    files = [path / name for name in ("zarr.json", ".zattrs")] if path.is_dir() else [path]
    return max((file.stat().st_mtime for file in files if file.exists()), default=0.0)


def _divisor(size: int, most: int) -> int:
    """The largest divisor of `size` that is at most `most`."""
    return next(n for n in range(min(size, most), 0, -1) if size % n == 0)


def in_words(seconds: float) -> str:
    """A time as 45 s, 3 min or 2.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started
