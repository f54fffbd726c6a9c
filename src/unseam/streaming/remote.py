"""The executor whose blocks are done by workers of a Dask cluster; `worker` is what runs there.

What travels: the model once to each worker, a job and a number with each block, nothing back. Image, work
folder and output are read and written by the workers, on a file system that all machines share.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from distributed import CancelledError, KilledWorker, wait
from distributed.comm.core import CommClosedError

from unseam.errors import InputError, UnseamError
from unseam.grid import in_words
from unseam.packages.files import ONNX_SUFFIX, YAML_SUFFIXES
from unseam.prediction import Model
from unseam.streaming.executors import OnBlock, Task
from unseam.streaming.job import Job, forget_model, hold_model
from unseam.streaming.passes import predict_block
from unseam.streaming.worker import HeldModel, do_block, give_up

OUTSTANDING = 4
"""Blocks given to the scheduler for each that is worked on: no worker waits, and it keeps few in mind."""
ALONE = 60.0
"""Seconds for another worker to come when all are gone."""
LOOK, LAST_BLOCKS = 5.0, 300.0
"""Seconds between looks at the workers, and for blocks that are worked on when the others are given up."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Cluster:
    """An executor whose blocks are done by the workers of a Dask cluster.

    Attributes
    ----------
    client : connected to the scheduler.
    say : takes a line.
    at_once : blocks that one worker does at a time.
    threads : of the engine, for each place of workers.
    versions : of this process.
    is_local : whether the workers belong to this command.
    each : who holds what one process holds.
    """

    client: Any
    say: Say
    at_once: int
    threads: Mapping[str, int]
    versions: Mapping[str, str]
    is_local: bool
    each: str = " in each worker"

    @property
    def _name(self) -> str:
        """Of the plugin: two commands on one cluster keep apart."""
        return f"unseam-{self.client.id}"

    def hold(self, key: str, model: Model) -> None:
        """Send the model's files to each worker, and to those that join later; keep it here for the joins.

        Raises
        ------
        InputError
            If a worker has other versions, or not the device.
        """

        if model.path is None:
            raise InputError("a cluster is sent the file of a model; save this one and load it")
        if model.path.suffix.lower() in (*YAML_SUFFIXES, ONNX_SUFFIX):
            raise InputError(
                f"{model.path} cannot be sent to a cluster; give a model.safetensors, or a package as .zip"
            )
        hold_model(key, model)
        plugin = HeldModel(
            key,
            [path.read_bytes() for path in model.files],
            runners=model.runners,
            threads=self.threads,
            versions=self.versions,
            ignore_interrupt=self.is_local,
        )
        with self._told_if_lost():
            self.client.register_plugin(plugin, name=self._name)

    def release(self) -> None:
        """Let workers that go on without us forget the model."""
        if not self.is_local:
            with suppress(Exception):  # there may be no model, or the scheduler be gone
                self.client.unregister_worker_plugin(self._name)

    def forget(self, key: str) -> None:
        """Give back what the model takes here; workers keep it for the next image."""
        forget_model(key)

    def run(self, task: Task, job: Job, numbers: Sequence[int], on_block: OnBlock) -> None:
        """Run a task on blocks; the first error is raised here, when the blocks begun are done.

        Raises
        ------
        UnseamError
            As the task, or if workers are lost again and again, or the scheduler is.
        """
        started, job = time.perf_counter(), _absolute(job)
        with (
            self.client.as_current(),
            self._told_if_lost(),
            closing(self._completed(task, job, numbers)) as completed,  # whatever happens in on_block
        ):
            for number in completed:
                on_block(number)
            if task is predict_block and numbers:
                self.say(_throughput(job, numbers, time.perf_counter() - started, self._workers()[0]))

    def _completed(self, task: Task, job: Job, numbers: Sequence[int]) -> Generator[int, None, None]:
        """The numbers of blocks as they are done, in any order."""
        todo, waiting, run = iter(numbers), dict[Any, int](), uuid.uuid4().hex
        try:
            slots, looked = self._workers()[1], time.monotonic()
            while True:
                if time.monotonic() - looked > LOOK:
                    slots, looked = self._workers()[1], time.monotonic()
                # the job, about a kilobyte, goes with each block: data kept by a worker would be lost with it
                for number in islice(todo, max(0, OUTSTANDING * max(1, slots) - len(waiting))):
                    future = self.client.submit(do_block, self._name, run, task, job, number, pure=False)
                    waiting[future] = number
                if not waiting:
                    return
                for future in self._some_done(list(waiting)):
                    number = waiting.pop(future)
                    self._raise_error(future, job, number)
                    yield number
        except BaseException as error:
            if isinstance(error, Exception) or not self.is_local:
                self._give_up(run, list(waiting))
            raise

    def _workers(self) -> tuple[int, int]:
        """How many there are, and how many blocks they do at a time."""
        threads = self.client.nthreads()
        return len(threads), sum(threads.values())

    def _some_done(self, waiting: list[Any]) -> Sequence[Any]:
        """Wait until one is done, and look whether anybody is at work meanwhile."""
        alone_since = None
        while True:
            try:
                return list(wait(waiting, timeout=LOOK, return_when="FIRST_COMPLETED").done)
            except TimeoutError:
                if self._workers()[0]:
                    alone_since = None
                    continue
                alone_since = alone_since or time.monotonic()
                if time.monotonic() - alone_since >= ALONE:
                    raise UnseamError(
                        "all workers are gone; what is done is kept: start workers, and give the same "
                        "command again"
                    ) from None

    def _raise_error(self, future: Any, job: Job, number: int) -> None:
        try:
            future.result()
        except KilledWorker as error:
            raise UnseamError(
                f"block {number} ({in_words(job.grid.region(number))}) was given to "
                f"{error.allowed_failures + 1} workers, and each was lost, as when memory is used up; give "
                "the command again with fewer workers, which keeps what is done, or with a smaller --block "
                "and --overwrite"
            ) from error

    @contextmanager
    def _told_if_lost(self) -> Iterator[None]:
        """What Dask raises when the scheduler is gone, in one sentence."""
        try:
            yield
        except UnseamError:
            raise
        except (
            CancelledError,
            OSError,
            RuntimeError,
            AttributeError,
        ) as error:  # a client may lose its parts
            if self.client.status == "running" and not isinstance(error, (CancelledError, CommClosedError)):
                raise  # an error of a task
            raise UnseamError(
                "the connection to the scheduler is lost; what is done is kept: see that scheduler and "
                "workers run, and give the same command again"
            ) from error

    def _give_up(self, run: str, waiting: list[Any]) -> None:
        """Cancel what waits, and let end what is worked on: nothing may write when this command has ended."""
        with suppress(Exception):
            self.client.cancel(waiting)
            deadline, told = time.monotonic() + LAST_BLOCKS, False
            while running := sum(self.client.run(give_up, self._name, run).values()):
                if not told and not self.is_local:
                    self.say(f"waiting for {running} blocks that workers are at")
                told = True
                if time.monotonic() > deadline:
                    self.say(f"workers are still at {running} blocks; wait, or stop them, before you go on")
                    return
                time.sleep(0.1)


def _throughput(job: Job, numbers: Sequence[int], seconds: float, workers: int) -> str:
    pixels = sum(math.prod(b - a for a, b in job.grid.region(number)) for number in numbers) / 1e6
    rate = pixels / seconds
    return (
        f"predicted {len(numbers):,} blocks in {seconds:.1f} s: {rate:.3g} million pixels per second, "
        f"{rate / max(1, workers):.3g} per worker"
    )


def _absolute(job: Job) -> Job:
    """The job as a process understands it that was started elsewhere."""
    return replace(
        job,
        image=replace(job.image, path=str(Path(job.image.path).absolute())),
        scratch=str(Path(job.scratch).absolute()),
        labels=str(Path(job.labels).absolute()),
        probabilities=job.probabilities and str(Path(job.probabilities).absolute()),
    )
