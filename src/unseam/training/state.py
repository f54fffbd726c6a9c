"""The state of a run: all that a killed run needs to go on exactly, in one file without pickle."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unseam.config import TrainConfig
from unseam.errors import FileReadError, OutputError
from unseam.io.atomic import replacing
from unseam.training.schedule import build_optimizer


@dataclass
class State:
    """What changes during a run.

    Attributes
    ----------
    net : the network that learns.
    average : its averaged weights; the ones that are validated and kept.
    optimizer : with its moments.
    step : steps done.
    seconds : time spent so far, over all resumptions.
    validations : validations done.
    best_score : of the best model so far, or minus infinity.
    history : one row per log interval.
    """

    net: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    validations: int = 0
    best_score: float = float("-inf")
    history: list[dict[str, float]] = field(default_factory=list)


def start(net: nn.Module, config: TrainConfig) -> State:
    """The state before the first step."""
    average = copy.deepcopy(net).eval().requires_grad_(False)
    return State(net, average, build_optimizer(net, config))


def save_state(path: Path, state: State, run: dict[str, Any]) -> None:
    """Write the state, atomically; `run` says what it belongs to and is compared on resuming.

    Raises
    ------
    OutputError
        If it cannot be written; the checkpoint before is as it was.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    numbers, tensors = packed(state)
    numbers["run"] = run
    with replacing(path, overwrite=True) as temporary:
        try:
            save_file(tensors, temporary, metadata={"unseam_checkpoint": json.dumps(numbers)})
        except SafetensorError as error:  # which is no OSError, though the disk is full
            raise OutputError(f"cannot write {path}: {error}; nothing was changed") from error


def load_state(path: Path, state: State) -> dict[str, Any]:
    """Put the saved state into `state`, built for the same configuration; returns what `run` said.

    Raises
    ------
    FileReadError
        If the file is missing, cut short, or of another network.
    """
    numbers, tensors = _read(path)
    try:
        unpack(state, numbers, tensors)
    except RuntimeError as error:
        raise FileReadError(
            f"the checkpoint {path} belongs to another network; resume with the options it was started with"
        ) from error
    run: dict[str, Any] = numbers["run"]
    return run


def packed(state: State) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The state as numbers that JSON can hold and tensors on the CPU by name; `unpack` is the way back."""
    tensors = {f"net.{key}": value for key, value in state.net.state_dict().items()}
    tensors |= {f"average.{key}": value for key, value in state.average.state_dict().items()}
    moments = state.optimizer.state_dict()["state"]
    for index, values in moments.items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in values.items() if value is not None}
    numbers = {
        "step": state.step,
        "seconds": state.seconds,
        "validations": state.validations,
        "best_score": state.best_score if math.isfinite(state.best_score) else None,
        "history": state.history,
    }
    return numbers, {key: value.detach().cpu().contiguous() for key, value in tensors.items()}


def unpack(state: State, numbers: Mapping[str, Any], tensors: dict[str, Tensor]) -> None:
    """Put what `packed` gave into a state built for the same configuration.

    Raises
    ------
    RuntimeError
        If the tensors are of another network.
    """
    state.net.load_state_dict(_part(tensors, "net."))
    state.average.load_state_dict(_part(tensors, "average."))
    moments: dict[int, dict[str, Tensor]] = {}
    parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
    for key, value in _part(tensors, "optimizer.").items():
        index, _, name = key.partition(".")
        moments.setdefault(int(index), {})[name] = _laid_out_as(parameters[int(index)], value)
    state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": moments})
    state.step, state.seconds = numbers["step"], numbers["seconds"]
    state.validations, state.history = numbers["validations"], numbers["history"]
    state.best_score = float("-inf") if numbers["best_score"] is None else numbers["best_score"]


def saved_run(path: Path) -> dict[str, Any]:
    """What `run` said when the checkpoint was written.

    Raises
    ------
    FileReadError
        If the file is missing or cut short.
    """
    run: dict[str, Any] = _read(path, with_tensors=False)[0]["run"]
    return run


def _read(path: Path, *, with_tensors: bool = True) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Numbers and tensors of a checkpoint file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            numbers = json.loads((file.metadata() or {})["unseam_checkpoint"])
            keys = file.keys() if with_tensors else ()
            tensors = {key: file.get_tensor(key) for key in keys}
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise FileReadError(
            f"cannot read the checkpoint {path}: it is missing, cut short or not a checkpoint; "
            "train again without --resume"
        ) from error
    return numbers, tensors


def _laid_out_as(parameter: Tensor, moment: Tensor) -> Tensor:
    """The moment laid out in memory as its parameter: the fused optimiser walks through both as they lie."""
    if moment.shape != parameter.shape:
        return moment
    return torch.empty_like(parameter, dtype=moment.dtype).copy_(moment).detach()


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
