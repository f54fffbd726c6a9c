"""Who does the blocks of a pass: the threads of this process, or others that speak the same two methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from unseam.prediction import Model
from unseam.streaming.job import Job, forget_model, hold_model

Task = Callable[[Job, int], None]
OnBlock = Callable[[int], None]


class Executor(Protocol):
    """Runs tasks on blocks."""

    @property
    def at_once(self) -> int:
        """Blocks that one process holds at a time."""

    @property
    def each(self) -> str:
        """Words that say so where there are several processes, as " in each worker"; else none."""

    def hold(self, key: str, model: Model) -> None:
        """Bring the model to where blocks are predicted."""

    def forget(self, key: str) -> None:
        """Give back what the model takes here."""

    def run(self, task: Task, job: Job, numbers: Sequence[int], on_block: OnBlock) -> None:
        """Run a task on blocks; `on_block` is called with each that is done, in this thread."""


@dataclass(frozen=True)
class Threads:
    """A few threads of this process.

    While one block is in the network, which takes all cores, others are read, joined or written.
    """

    at_once: int = 2
    each: str = ""

    def hold(self, key: str, model: Model) -> None:
        """Keep the model in this process."""
        hold_model(key, model)

    def forget(self, key: str) -> None:
        """Give the model back."""
        forget_model(key)

    def run(self, task: Task, job: Job, numbers: Sequence[int], on_block: OnBlock) -> None:
        """Run a task on blocks; the first error ends it, when the blocks begun are done."""
        with ThreadPoolExecutor(self.at_once) as pool:
            todo, waiting = iter(numbers), dict[Future[None], int]()
            try:
                while True:
                    for number in islice(todo, 2 * self.at_once - len(waiting)):
                        waiting[pool.submit(task, job, number)] = number
                    if not waiting:
                        return
                    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                        number = waiting.pop(future)
                        future.result()
                        on_block(number)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
