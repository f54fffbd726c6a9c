"""Stream an image through a model: plan, four passes over its blocks, the joins between them, the output."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from unseam.errors import InputError
from unseam.grid import Region
from unseam.io.annotations.save import OUTLINES
from unseam.io.atomic import refuse_existing
from unseam.io.source import Source
from unseam.model.weights import files_digest
from unseam.normalize import Scaling
from unseam.prediction import Model
from unseam.prediction.region import network_shape
from unseam.streaming import passes
from unseam.streaming.executors import Executor, Task, Threads
from unseam.streaming.job import ImageSpec, Job
from unseam.streaming.judging import judge_all
from unseam.streaming.output import Output, clear_scratch, is_written, refuse_unlike
from unseam.streaming.plan import AT_ONCE, StreamPlan, in_short, plan_of, plan_stream, time_tile
from unseam.streaming.wanted import Reporter, Streamed, Wanted
from unseam.streaming.work import (
    await_records,
    begin,
    decide,
    has_record,
    has_table,
    load_table,
    save_table,
    working_on,
)

WORTH_TIMING = 20
"""Tiles below which it is not worth measuring how long one takes."""
WORTH_SAYING = 2.0
"""Seconds below which nobody wants to know beforehand."""
LOOKS = 10_000
"""Files of a store that are looked at for a change."""
NAMES = {
    "join": "joining",
    "predict": "predicting",
    "grow": "growing",
    "holes": "looking for holes",
    "write": "writing labels",
}


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
    refuse_unlike(wanted.targets(), Path(image.path))
    for target in wanted.to_be_new():
        refuse_existing(target, overwrite=wanted.overwrite or wanted.replace)
    sources = image.open()
    for source in sources:
        model.check_channels(source)
    _refuse_outlines(model, wanted)
    model = model.agreeing(sources[0])
    if wanted.tile == "auto":
        shape = network_shape(sources[0], model.header.spacing, rescale=wanted.rescale, zoom=wanted.zoom)
        model = model.paced(shape)
    key, executor = files_digest(model.members or (model_file,)), executor or Threads()
    with working_on(wanted.out) as folder:
        try:
            return _Run(model, key, image, sources, wanted, folder, executor, reporter or Reporter()).all()
        finally:
            executor.forget(key)


def _refuse_outlines(model: Model, wanted: Wanted) -> None:
    """Raise where outlines are wanted of what has none that could be drawn block by block."""
    outlined = [kind for kind in wanted.save if kind in OUTLINES]
    if outlined and (model.header.task == "semantic" or model.network.spatial_dims == 3):
        raise InputError(
            f"{','.join(outlined)} was asked for; of an image in blocks only objects in a plane are outlined,"
            " not classes or volumes: save labels"
        )


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

    @property
    def output(self) -> Output:
        """What is being made."""
        return Output(self.folder, self.wanted, self.sources, self.model.network.classes)

    def all(self) -> Streamed:
        asked = self._asked()
        decided = begin(self.folder, asked, overwrite=self.wanted.overwrite)
        plan = self._plan(decided)
        self.executor.hold(self.key, self.model)
        if decided is None:
            self._scaling(self._folder(0), self.sources[0])  # an image that cannot be read leaves no work
            self.output.create(plan)
            decide(self.folder, asked, {"block": plan.block, "tile": plan.tile})
        seconds: dict[str, float] = {}
        jobs, resumed = [], 0
        for frame, source in enumerate(self.sources):
            job = self._job(plan, frame, source)
            resumed += self._frame(job, seconds)
            jobs.append(job)
        if _changed(Path(self.image.path)) != asked["image changed"]:
            raise InputError(
                f"{self.image.path} changed, or went away, while it was predicted; the result would be of "
                "two images: give the command again with --overwrite"
            )
        with _timed(seconds, "finishing"):
            verdicts = judge_all(self.model, jobs, self.sources)
            step = self.reporter.step
            count = self.output.finish(jobs, verdicts, threads=self._threads, step=step)
        if sum(seconds.values()) >= WORTH_SAYING:
            self.reporter.say(in_passes(seconds, len(self.sources) * math.prod(plan.shape)))
        return Streamed(count, seconds, resumed, verdicts)

    @property
    def _threads(self) -> int:
        """For what is done here, whoever does the blocks."""
        return max(AT_ONCE, self.executor.at_once)

    def _asked(self) -> dict[str, Any]:
        """What decides the result, to be compared when the work is gone on with."""
        wanted, first = self.wanted, self.sources[0]
        options = {
            key: getattr(wanted, key)
            for key in ("tile", "tta", "rescale", "zoom", "block", "memory", "version")
        }
        return {
            "model": self.key,
            "objects": asdict(self.model.header.objects),
            "image": asdict(self.image) | {"path": str(Path(self.image.path).resolve())},
            "image shape": [len(self.sources), first.channels, *first.shape],
            "image type": str(first.dtype),
            "image changed": _changed(Path(self.image.path)),
            "option": options | {"save": sorted(wanted.save)},
            "correction": asdict(wanted.correction),
            "version of": {"unseam": version("unseam"), "numpy": np.__version__},
            "processor": self._processor(),
            "device": self.model.device,
            "engine": self.model.engine,
            "tiles": {"least": self.model.network.rule.least, "exact": self.model.network.rule.is_exact},
        }

    def _processor(self) -> str:
        """What decides the bits: in low precision more of the processor than in float32."""
        told = (runner.versions.get("processor") for runner in self.model.runners)
        return next(filter(None, told), platform.machine())

    def _plan(self, decided: Mapping[str, Any] | None) -> StreamPlan:
        """The plan; of work gone on with the same blocks and tiles, whatever memory is free today."""
        wanted, at_once = self.wanted, self.executor.at_once
        options: dict[str, Any] = {"rescale": wanted.rescale, "zoom": wanted.zoom, "tta": wanted.tta}
        options["at_once"] = at_once
        if decided is None:
            plan = plan_stream(
                self.model,
                self.sources[0],
                tile=wanted.tile,
                block=wanted.block,
                memory=wanted.memory,
                **options,
            )
        else:
            plan = plan_of(
                self.model,
                self.sources[0],
                block=tuple(decided["block"]),
                tile=tuple(decided["tile"]),
                **options,
            )
        won = in_short(self.model.network.rule, plan.tile)
        self.reporter.say(f"plan: {plan}{self.executor.each}{won}")
        if plan.tiles * len(self.sources) >= WORTH_TIMING:
            seconds = time_tile(self.model, plan, wanted.tta)
            total = seconds * plan.tiles * len(self.sources)
            if total >= WORTH_SAYING:
                alone = " in one process" if self.executor.each else ""
                self.reporter.say(
                    f"a tile takes {seconds:.2f} s here: about {in_words(total)} for the network{alone}"
                )
        return plan

    def _job(self, plan: StreamPlan, frame: int, source: Source) -> Job:
        folder = self._folder(frame)
        arrays = self.output.arrays
        return Job(
            image=self.image,
            frame=frame,
            model=self.key,
            objects=self.model.header.objects,
            scaling=self._scaling(folder, source),
            tile=plan.tile,
            tta=self.wanted.tta,
            rescale=self.wanted.rescale,
            zoom=self.wanted.zoom,
            correction=self.wanted.correction,
            shape=plan.shape,
            block=plan.block,
            scratch=str(folder),
            labels=str(arrays["labels"]),
            probabilities=str(arrays["probabilities"]) if "probabilities" in arrays else None,
            series=self.output.is_series,
            table=bool({"table", "parquet", *OUTLINES} & set(self.wanted.save)),
            picture="overlay" in self.wanted.save and frame == 0,
        )

    def _folder(self, frame: int) -> Path:
        return self.folder / f"frame-{frame:05d}"

    def _scaling(self, folder: Path, source: Source) -> Scaling:
        """How intensities are scaled: fitted once, and kept for when the work is gone on with."""
        if not has_table(folder, "scaling"):
            fitted = _fit(self.model, self.wanted.correction.apply(source), self._threads, self.reporter)
            save_table(folder, "scaling", fitted.to_table())
        return Scaling(*map(tuple, load_table(folder, "scaling").tolist()))

    def _frame(self, job: Job, seconds: dict[str, float]) -> int:
        """All passes over one image; how many blocks were predicted before."""
        if is_written(job):
            return len(job.grid)
        semantic = self.model.header.task == "semantic"
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
        clear_scratch(job)
        return done

    def _pass(self, kind: str, task: Task, job: Job, seconds: dict[str, float]) -> int:
        """Run a task on the blocks that have no record of it yet; how many had one."""
        numbers = [n for n in range(len(job.grid)) if not has_record(job.folder, kind, n)]
        name = NAMES[kind] + (f" {job.frame + 1} of {len(self.sources)}" if self.output.is_series else "")
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


def _changed(path: Path) -> float:
    """When an image was last changed, by the times of its files; -1 where it is gone."""
    try:
        files = islice(path.rglob("*"), LOOKS) if path.is_dir() else ()
        return max(path.stat().st_mtime, *(file.stat().st_mtime for file in files), 0.0)
    except OSError:
        return -1.0


def in_passes(seconds: Mapping[str, float], pixels: int) -> str:
    """How long it took, and what took how long."""
    total = sum(seconds.values())
    passes = ", ".join(f"{NAMES.get(kind, kind)} {in_words(spent)}" for kind, spent in seconds.items())
    return f"{in_words(total)}, {pixels / total / 1e6:.2f} million pixels a second: {passes}"


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
