"""What runs in a worker of a Dask cluster: the model held there, and blocks done with it."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from dask.system import CPU_COUNT
from distributed import Worker, WorkerPlugin, get_worker

from unseam.engines.choosing import AUTO
from unseam.engines.known import engine_of
from unseam.errors import InputError
from unseam.prediction import Runner
from unseam.processor import processor
from unseam.streaming.executors import Task
from unseam.streaming.job import Job, forget_model, hold_model_files


@dataclass(frozen=True)
class Surroundings:
    """What a process runs in.

    Attributes
    ----------
    place : the host and the cores that the process may use; workers of one place share them.
    cores : how many cores those are, a container's limit considered.
    versions : of what decides the result, and of what must understand each other.
    """

    place: str
    cores: int
    versions: Mapping[str, str]


def surroundings() -> Surroundings:
    """Those of this process."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    versions = {
        "unseam": version("unseam"),
        "torch": _version_of("torch"),
        "numpy": np.__version__,
        "distributed": version("distributed"),
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "processor": platform.machine(),
    }
    return Surroundings(f"{platform.node()} {cores}", CPU_COUNT, versions)


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # of a build under another name, or of none
        return "not installed"


def versions_of(runner: Runner) -> dict[str, str]:
    """What this process has of `runner.versions`."""
    if runner.engine == AUTO:
        return {}
    engine = engine_of(runner.engine, runner.device)
    there = engine.version if engine.is_installed else "not installed"
    return {engine.title: there, "processor": processor()}


def refuse_other_versions(wanted: Mapping[str, str], here: Mapping[str, str], address: str) -> None:
    """Raise where versions differ: labels might, too.

    Raises
    ------
    InputError
    """
    different = [
        f"{name} {here[name]} and not {wanted[name]}" for name in wanted if here[name] != wanted[name]
    ]
    if different:
        raise InputError(
            f"{address} has {', '.join(different)}; install the same versions on all machines of the cluster"
        )


class HeldModel(WorkerPlugin):
    """A model in each worker, those that join later as well, until the run ends.

    Parameters
    ----------
    key : str
        Digest of the model's files.
    contents : sequence of bytes
        Of each of the model's files.
    runners : sequence of Runner
        What runs the network of each.
    threads : mapping of str to int
        Of the engine, for each `Surroundings.place`; elsewhere all cores are used.
    versions : mapping
        As `Surroundings.versions`, of the process that asks.
    ignore_interrupt : bool
        Whether Ctrl-C, which a terminal sends to all processes, is left to the command that this worker
        belongs to, and which stops it.
    """

    def __init__(
        self,
        key: str,
        contents: Sequence[bytes],
        *,
        runners: Sequence[Runner],
        threads: Mapping[str, int],
        versions: Mapping[str, str],
        ignore_interrupt: bool,
    ) -> None:
        self.key, self.contents, self.runners = key, contents, runners
        self.threads_of, self.versions, self.ignore_interrupt = threads, versions, ignore_interrupt
        self.is_ready = False

    def setup(self, worker: Worker) -> None:
        """Load the model."""
        if self.ignore_interrupt and threading.current_thread() is threading.main_thread():
            import signal

            signal.signal(signal.SIGINT, signal.SIG_IGN)
        here = surroundings()
        address = f"worker {worker.address}"
        refuse_other_versions(self.versions, here.versions, address)
        for runner in self.runners:
            refuse_other_versions(runner.versions, versions_of(runner), address)
        self.threads = self.threads_of.get(here.place, max(1, here.cores // worker.state.nthreads))
        self.running, self.given_up, self.lock = 0, set[str](), threading.Lock()
        folder = Path(worker.local_directory)
        hold_model_files(self.key, self.contents, folder, self.runners, threads=self.threads)
        self.contents = ()
        self.is_ready = True

    def teardown(self, worker: Worker) -> None:
        """Forget the model, unless another run on the same cluster uses it."""
        others = [plugin for plugin in worker.plugins.values() if isinstance(plugin, HeldModel)]
        if all(plugin.key != self.key for plugin in others if plugin is not self):
            forget_model(self.key)

    def do(self, run: str, task: Task, job: Job, number: int) -> None:
        """Run a task on a block, unless its run was given up."""
        with self.lock:
            if run in self.given_up:
                return
            self.running += 1
        try:
            task(job, number)
        finally:
            with self.lock:
                self.running -= 1

    def give_up(self, run: str) -> int:
        """Begin no block of a run any more; how many blocks are worked on."""
        with self.lock:
            self.given_up.add(run)
            return self.running


def do_block(name: str, run: str, task: Task, job: Job, number: int) -> None:
    """Run a task on a block, in a worker that has the plugin of this name.

    Raises
    ------
    InputError
        If the worker could not take the model, or does not see the work folder.
    """
    worker = get_worker()
    plugin = worker.plugins.get(name)
    if not isinstance(plugin, HeldModel) or not plugin.is_ready:
        raise InputError(
            f"worker {worker.address} joined and could not take the model; see its log, stop it, "
            "and give the same command again"
        )
    for path in (job.scratch, job.image.path):
        if not os.path.exists(path):
            raise InputError(
                f"worker {worker.address} does not see {path}; image and output must be on a file system "
                "that all machines share, under the same path"
            )
    plugin.do(run, task, job, number)


def give_up(name: str, run: str, dask_worker: Worker) -> int:
    """As `HeldModel.give_up`, in a worker, which Dask fills in."""
    plugin = dask_worker.plugins.get(name)
    return plugin.give_up(run) if isinstance(plugin, HeldModel) and plugin.is_ready else 0
