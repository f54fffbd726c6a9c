"""Several processes that train one network: meet, average, agree, share, and end together.

Each process is a *rank*; `torchrun` starts them and tells each its number in the environment. A step of
W ranks with B patches each is a step of one process with W B patches::

    rank 0   patches 0 .. B-1      forward, backward ─┐
    rank 1   patches B .. 2B-1     forward, backward ─┴─ average ── clip, step: the same on every rank

Gradients, batch-norm statistics and the loss are averaged in one sum over the ranks, so after each step all
ranks hold the same numbers bit for bit, and what rank 0 validates and writes is what every rank has.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load, save
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from unseam.errors import ConfigError, FailedElsewhereError, TrainingError
from unseam.training.state import State, packed, unpack

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun sets; LOCAL_RANK too, which is 0 where each machine has one process."""
STEP_WAIT = timedelta(minutes=10)
"""Longest wait for the others to join, and within a step; a process that dies is noticed at once."""
VALIDATION_WAIT = timedelta(days=1)
"""Longest wait between two steps: rank 0 validates, and chooses thresholds, while the others wait."""
LAST_WORDS_SECONDS = 1.0
"""How long the others wait before they end: torchrun ends all as one ends, and the first has to say why."""


@dataclass(frozen=True)
class World:
    """The ranks that train together, seen from one of them.

    Attributes
    ----------
    rank : number of this process, 0 to size - 1; rank 0 validates, writes and prints.
    size : how many there are.
    local_rank : number of this process on its machine, which is also that of its GPU.
    patient : the group for what may take long; the default group is for what takes a step. None when alone.

    Examples
    --------
    >>> ALONE.first, ALONE.batch_number(step=7)
    (True, 7)
    >>> World(rank=1, size=4).batch_number(step=7)
    29
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    patient: dist.ProcessGroup | None = None

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def batch_number(self, step: int) -> int:
        """Which batch of the run this rank takes in a step: the ranks take turns."""
        return step * self.size + self.rank


ALONE = World()


@contextmanager
def joined() -> Iterator[World]:
    """Join the ranks that were started together, for the time of the block; `ALONE` if there is one only.

    A process group that the caller has made already is used, and left to the caller.

    Raises
    ------
    ConfigError
        If the environment says half of what torchrun says.
    TrainingError
        If the others do not come.
    FailedElsewhereError
        Where the block fails, on all ranks but the first to fail, whose error is raised as it is.
    """
    if dist.is_available() and dist.is_initialized():
        yield _with_patience(World(dist.get_rank(), dist.get_world_size(), _whole("LOCAL_RANK", "0")))
        return
    world = _from_environment()
    if world.size == 1:
        yield ALONE
        return
    store = _meet(world)
    try:
        yield _with_patience(world)
    except FailedElsewhereError:
        time.sleep(LAST_WORDS_SECONDS)
        raise
    except Exception as error:
        if not _is_first_failure(store):
            time.sleep(LAST_WORDS_SECONDS)
            raise FailedElsewhereError("another rank failed; its message says why") from error
        raise
    finally:
        dist.destroy_process_group()  # which closes the connections, so that no rank waits for this one


def own_device(device: torch.device, world: World) -> torch.device:
    """The device of this rank: of a machine's GPUs the one with its local number.

    Raises
    ------
    ConfigError
        If there are more ranks than GPUs on this machine.
    """
    if world.size == 1 or device.type != "cuda":
        return device
    count = torch.cuda.device_count()
    if world.local_rank >= count:
        raise ConfigError(
            f"local rank {world.local_rank} needs a GPU of its own and this machine has {count}; "
            f"start at most {count} ranks here (torchrun --nproc-per-node {count}), or give --device cpu"
        )
    torch.cuda.set_device(world.local_rank)
    return torch.device("cuda", world.local_rank)


@torch.no_grad()
def average(tensors: Sequence[Tensor], world: World) -> None:
    """Replace each tensor by its mean over the ranks: one sum of all of them, equal bit for bit everywhere.

    Parameters
    ----------
    tensors : sequence of Tensor of float32, any shape
        The same shapes on every rank, on the device of the rank.
    """
    if world.size == 1:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    with _contact():
        dist.all_reduce(flat)
    flat /= world.size
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view(tensor.shape))


def agree(fraction: float, stop: bool, world: World) -> tuple[float, bool]:
    """The share of the run that is done by rank 0's clock, and whether any rank was asked to stop.

    All ranks wait here for rank 0 when it validates.
    """
    if world.size == 1:
        return fraction, stop
    said = torch.tensor([fraction if world.first else 0.0, float(stop)], dtype=torch.float64)
    with _contact():
        dist.all_reduce(said, group=world.patient)
    return said[0].item(), said[1].item() > 0


def share(data: bytes, world: World) -> bytes:
    """The bytes that rank 0 gives, on every rank; what the others give is ignored."""
    if world.size == 1:
        return data
    length = torch.tensor([len(data)], dtype=torch.int64)
    with _contact():
        dist.broadcast(length, src=0, group=world.patient)
        size = int(length.item())
        whole = torch.empty(size, dtype=torch.uint8)
        if world.first and size:
            whole = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        if size:
            dist.broadcast(whole, src=0, group=world.patient)
    return whole.numpy().tobytes()


def share_state(state: State, world: World) -> None:
    """Give every rank the state of rank 0: weights, averages, moments, step, history."""
    if world.size == 1:
        return
    numbers, tensors = packed(state) if world.first else ({}, {})
    numbers = json.loads(share(json.dumps(numbers).encode(), world))
    tensors = load(share(save(tensors), world))
    if not world.first:
        unpack(state, numbers, tensors)


def _from_environment() -> World:
    """The world that the environment describes, not met yet."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return ALONE
    world = World(_whole("RANK"), _whole("WORLD_SIZE"), _whole("LOCAL_RANK", "0"))
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if world.size > 1 and missing:
        raise ConfigError(
            f"the environment says rank {world.rank} of {world.size} but not {' and '.join(missing)}; "
            "start the ranks with torchrun, or unset RANK and WORLD_SIZE to train alone"
        )
    if not 0 <= world.rank < max(1, world.size):
        raise ConfigError(
            f"the environment says RANK={world.rank} and WORLD_SIZE={world.size}; ranks are 0 to size - 1: "
            "start them with torchrun"
        )
    return world


def _whole(name: str, default: str = "") -> int:
    """A whole number of the environment."""
    value = os.environ.get(name, default)
    try:
        return int(value)
    except ValueError:
        raise ConfigError(
            f"the environment says {name}={value!r}; a whole number was expected: start with torchrun, "
            f"or unset {name}"
        ) from None


def _meet(world: World) -> Any:
    """Wait for all ranks and connect them; returns the store that they have in common."""
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        store: Any = next(rendezvous("env://", world.rank, world.size, timeout=STEP_WAIT))[0]
        dist.init_process_group(
            backend,
            store=store,
            rank=world.rank,
            world_size=world.size,
            timeout=STEP_WAIT,
        )
    except (RuntimeError, ValueError) as error:
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise TrainingError(
            f"rank {world.rank} of {world.size} did not meet the others at {place} ({_line(error)}); check "
            "that all were started and that the machines reach each other there"
        ) from error
    return store


def _with_patience(world: World) -> World:
    """The world with its second group, whose ranks wait longer for each other."""
    with _contact():
        patient = dist.new_group(backend="gloo", timeout=VALIDATION_WAIT)
    return replace(world, patient=patient)


def _is_first_failure(store: Any) -> bool:
    """Whether no rank has failed before this one; also if the rank that kept the count is gone."""
    try:
        return bool(store.add("unseam_failures", 1) == 1)
    except RuntimeError:
        return True


@contextmanager
def _contact() -> Iterator[None]:
    """Within the block ranks talk; one that is gone makes an error of ours."""
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            f"another rank ended without a word, killed or its machine lost ({_line(error)}); start all "
            "again with --resume: they go on from the last checkpoint"
        ) from error


def _line(error: Exception) -> str:
    """The first sentence of an error of PyTorch, without the line of its source that comes before."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"^\[[^]]*:\d+\] *", "", line).split(". ")[0][:120]
