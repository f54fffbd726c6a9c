"""The run of a contestant that trains: a number of steps, its loader beginning anew each time.

So no run lives on patches that were made while another contestant had the machine, and none are made then.
The first run, which is not counted, tries each number of background processes and keeps the fastest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from bench.performance.serving import Run
from torch import Tensor, nn

Epoch = Callable[[], Iterable[Any]]


def stepping(epochs: Mapping[int, Epoch], step: Callable[[Any], None], said: Mapping[str, Any]) -> Run:
    """Take a step with each batch of an epoch, those of the fastest number of processes.

    Parameters
    ----------
    epochs : by number of background processes, what gives the batches of one run.
    step : takes one.
    said : what the run says; "patches" of them are its work.
    """
    tried: dict[int, float] = {}

    def seconds(workers: int) -> float:
        started = time.perf_counter()
        for batch in epochs[workers]():
            step(batch)
        return time.perf_counter() - started

    def run() -> dict[str, Any]:
        if tried:
            seconds(fastest(tried))
        else:
            step(next(iter(epochs[min(epochs)]())))  # what only the first step does
            tried.update({workers: round(seconds(workers), 3) for workers in epochs})
        return {"work": said["patches"], **said, "workers": fastest(tried), "tried": dict(tried)}

    return run


def fastest(seconds: Mapping[int, float]) -> int:
    """The number of processes with which an epoch took least."""
    return min(seconds, key=lambda workers: seconds[workers])


def prepared(net: nn.Module, dtype: str) -> nn.Module:
    """For training; in bfloat16 with channels last, which is our best guess of what is fastest."""
    layout = torch.channels_last if dtype == "bfloat16" else torch.contiguous_format
    return net.train().to(memory_format=layout)  # type: ignore[call-overload,no-any-return]


def autocast(dtype: str) -> torch.autocast:
    """Around the forward pass; it does nothing for float32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16")


def laid_out(image: Tensor, dtype: str) -> Tensor:
    """A batch as the network has it."""
    return image.contiguous(memory_format=torch.channels_last) if dtype == "bfloat16" else image


def counts(patches: int, patch: int, labelled: int) -> dict[str, int]:
    """How many patches a run takes, and how many pixels they have and their labels have."""
    return {"patches": patches, "input_pixels": patches * patch**2, "labelled_pixels": patches * labelled**2}
