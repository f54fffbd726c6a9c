"""The losses of the last steps, and the end of a run whose loss or gradient is not finite.

Reading a number from a GPU waits until it has done all that it was told. So what a step gave stays there
until it is asked for, and a step that went wrong changes no weight, whenever that is noticed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unseam.data.dataset import Batch
from unseam.errors import FailedElsewhereError, TrainingError
from unseam.training.state import State


@dataclass(frozen=True)
class Outcome:
    """What a step gave, on the device where it was computed.

    Attributes
    ----------
    step : steps done before it.
    rate : its learning rate.
    loss : the mean over the ranks.
    own_loss : of this rank.
    elsewhere : above 0 where the loss of any rank is not finite.
    norm : of the gradient, before it was scaled down.
    """

    step: int
    rate: float
    loss: Tensor
    own_loss: Tensor
    elsewhere: Tensor
    norm: Tensor


class Losses:
    """The losses since the last row of the history, each looked at once.

    Parameters
    ----------
    state : State
    draw : callable
        The batch of a step, to say what is wrong with it.
    at_once : bool
        Whether to look at each outcome as it comes; otherwise when `settle` is called.
    """

    def __init__(self, state: State, draw: Callable[[int], Batch], *, at_once: bool) -> None:
        self._state, self._draw, self._at_once = state, draw, at_once
        self._waiting, self._values = list[Outcome](), list[float]()
        self._mean = math.nan

    def add(self, outcome: Outcome) -> None:
        """Take what a step gave."""
        self._waiting.append(outcome)
        if self._at_once:
            self.settle()

    def settle(self) -> None:
        """Look at what has not been looked at; raises as `finite_losses` does."""
        if self._waiting:
            self._values += finite_losses(self._waiting, self._state, self._draw)
            self._waiting.clear()

    def mean(self) -> float:
        """The mean of what has been looked at; as it was before, if that is nothing; at first NaN."""
        if self._values:
            self._mean = sum(self._values) / len(self._values)
        return self._mean

    def clear(self) -> None:
        """Begin another row."""
        self._values.clear()


def finite_losses(outcomes: Sequence[Outcome], state: State, draw: Callable[[int], Batch]) -> list[float]:
    """The losses of some steps as numbers, for all of which the device is waited for once.

    Raises
    ------
    FailedElsewhereError
        If the loss of another rank is not finite.
    TrainingError
        If the loss or the gradient is not finite; the message names the step and the cause.
    """
    columns = [torch.stack([o.loss, o.own_loss, o.elsewhere, o.norm]) for o in outcomes]
    numbers: list[list[float]] = torch.stack(columns).tolist()
    for outcome, (loss, own_loss, elsewhere, norm) in zip(outcomes, numbers, strict=True):
        if math.isfinite(loss) and math.isfinite(norm):
            continue
        if elsewhere > 0 and math.isfinite(own_loss):
            raise FailedElsewhereError("the loss is not finite on another rank; its message says why")
        raise TrainingError(_why(outcome, state, draw(outcome.step), loss=loss))
    return [loss for loss, *_ in numbers]


def _why(outcome: Outcome, state: State, batch: Batch, *, loss: float) -> str:
    """The likeliest cause of a loss or gradient that is not finite, as a sentence."""
    if not all(torch.isfinite(p).all() for p in state.net.parameters()):
        cause = "the weights are no longer finite"
    elif not torch.isfinite(batch.image).all():
        cause = "a patch has pixels that are not finite"
    elif not torch.isfinite(batch.weights).all():
        cause = "a weight map is not finite"
    elif math.isfinite(loss):
        cause = "it is too large"
    else:
        cause = "the network's output is out of range"
    what = "gradient" if math.isfinite(loss) else "loss"
    kept = "the best model so far is kept" if state.validations else "there was no model to keep yet"
    return (
        f"the {what} is not finite at iteration {outcome.step} ({cause}, learning rate {outcome.rate:.2g}); "
        f"{kept}. Try a lower rate: --set train.learning_rate={outcome.rate / 10:.2g}"
    )
