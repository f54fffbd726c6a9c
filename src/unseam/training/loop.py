"""The training loop: agree, set the rate, draw patches, forward, backward, average, step; validate; keep."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unseam.config import Config
from unseam.data.dataset import Batch, PatchSampler
from unseam.errors import FailedElsewhereError, TrainingError
from unseam.losses import training_loss
from unseam.training.distributed import ALONE, World, agree, average
from unseam.training.schedule import learning_rate, update_average
from unseam.training.state import State

LOG_STEPS = 10
PASSES_AT_THE_END = 3
"""Predictions of the held-out images after the last step: to validate, to choose thresholds, to score."""
VALIDATION_SHARE = 0.2
"""Share of a budget of minutes that validations may take."""
LARGEST_GRADIENT = 5.0
"""Gradients are scaled down to this norm: one odd patch then cannot throw the weights away."""


@dataclass(frozen=True)
class Progress:
    """What is told after each step.

    Attributes
    ----------
    step : steps done.
    fraction : share of the run done, 0 to 1.
    loss : mean since the last row of the history.
    score : the last validation score, or None.
    seconds_left : estimated.
    """

    step: int
    fraction: float
    loss: float
    score: float | None
    seconds_left: float


@dataclass(frozen=True)
class Hooks:
    """What the loop calls.

    Attributes
    ----------
    validate : scores the averaged network; returns named scores, the first one decides.
    keep : called with the state when it is the best so far.
    checkpoint : called with the state every `checkpoint_seconds` and after each validation.
    progress : called after each step.
    should_stop : asked after each step; True ends the run cleanly.
    """

    validate: Callable[[nn.Module], dict[str, float]]
    keep: Callable[[State], None]
    checkpoint: Callable[[State], None]
    progress: Callable[[Progress], None] = lambda _: None
    should_stop: Callable[[], bool] = lambda: False


def fit(
    state: State,
    sampler: PatchSampler,
    config: Config,
    hooks: Hooks,
    *,
    low_precision: bool,
    world: World = ALONE,
) -> State:
    """Train from `state` to the end of the budget.

    The ranks of a world start from the same state, each draws its own patches, and all end at the same step
    with the same state; the hooks of the others than rank 0 do nothing.

    With `iterations` set each step is a function of the weights, the seed and its number alone; so a run
    that was killed and resumed ends with the same weights, on the CPU in float32 bit for bit.

    Raises
    ------
    TrainingError
        If the loss or its gradient is not finite; the message names the cause. The best model so far is kept.
    """
    clock = _Clock(state, config)
    loss, losses = math.nan, list[float]()
    last_checkpoint, saved_at = time.monotonic(), -1
    due, validated_at = clock.validations_due(), state.step if state.validations else -1
    while True:
        fraction, stop = agree(clock.fraction(), hooks.should_stop(), world)
        if stop or fraction >= 1:
            break
        rate = learning_rate(config.train, fraction)
        batch = sampler.batch(world.batch_number(state.step), config.train.batch or 1)
        losses.append(train_step(state, batch, rate, config, low_precision=low_precision, world=world))
        state.step += 1
        state.seconds = clock.seconds()
        loss = sum(losses) / len(losses)
        if state.step % LOG_STEPS == 0:
            state.history.append(_row(state, loss, rate))
            losses.clear()
        hooks.progress(Progress(state.step, clock.fraction(), loss, _last_score(state), clock.seconds_left()))
        if clock.validations_due() > due:
            _validate(state, hooks, loss, rate, clock)
            due, validated_at = clock.validations_due(), state.step
            last_checkpoint = -math.inf
        if time.monotonic() - last_checkpoint > config.train.checkpoint_seconds:
            state.seconds = clock.seconds()
            hooks.checkpoint(state)
            last_checkpoint, saved_at = time.monotonic(), state.step
    if validated_at != state.step:  # stopped, or out of time between two steps
        _validate(state, hooks, loss, learning_rate(config.train, clock.fraction()), clock)
        saved_at = -1
    if saved_at != state.step:
        hooks.checkpoint(state)
    return state


def train_step(
    state: State, batch: Batch, rate: float, config: Config, *, low_precision: bool, world: World = ALONE
) -> float:
    """One step of the optimiser; returns the loss, a mean over the ranks."""
    net, device = state.net, batch.image.device
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    net.train()
    with (
        seeded(config.train.seed, world.batch_number(state.step), device),
        torch.autocast(device.type, torch.bfloat16, enabled=low_precision),
    ):
        logits = net(channels_last(batch.image))
    loss = training_loss(logits, batch.target, batch.weights, dice=config.loss.dice)
    state.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    mean, spoiled = loss.detach().clone(), (~loss.isfinite()).float()
    average([*_gradients(net), *_statistics(net), mean, spoiled], world)
    norm = torch.nn.utils.clip_grad_norm_(net.parameters(), LARGEST_GRADIENT)
    value = mean.item()
    if not (math.isfinite(value) and math.isfinite(norm.item())):
        if spoiled.item() > 0 and math.isfinite(loss.item()):
            raise FailedElsewhereError("the loss is not finite on another rank; its message says why")
        raise TrainingError(_why_not_finite(batch, state, rate, loss=value))
    state.optimizer.step()
    update_average(state.average, net, decay=config.train.average, step=state.step)
    return value


def _gradients(net: nn.Module) -> list[Tensor]:
    return [p.grad for p in net.parameters() if p.grad is not None]


def _statistics(net: nn.Module) -> list[Tensor]:
    """Running means and variances of batch norm, which are not read in training."""
    return [b for b in net.buffers() if b.is_floating_point()]


def channels_last(x: Tensor) -> Tensor:
    """The same tensor laid out with channels innermost, which convolutions prefer."""
    return x.to(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)


@contextmanager
def seeded(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """Within the block dropout draws from (seed, step); the caller's generators are left as they were.

    With several ranks the step is the number of the batch, so that each rank drops other values.
    """
    generator = torch.default_generator
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        generator = torch.cuda.default_generators[index]
    before = generator.get_state()
    generator.manual_seed((seed * 1_000_003 + step) % 2**63)
    try:
        yield
    finally:
        generator.set_state(before)


def _validate(state: State, hooks: Hooks, loss: float, rate: float, clock: _Clock) -> None:
    with clock.timing_validation():
        scores = hooks.validate(state.average)
    state.validations += 1
    state.history.append(_row(state, loss, rate) | {f"val_{name}": value for name, value in scores.items()})
    score = next(iter(scores.values()), float("nan"))
    if not score < state.best_score:  # with nothing to validate on, the latest is kept
        state.best_score = score if math.isfinite(score) else state.best_score
        hooks.keep(state)


def _row(state: State, loss: float, rate: float) -> dict[str, float]:
    return {"iteration": state.step, "seconds": round(state.seconds, 2), "loss": loss, "learning_rate": rate}


def _last_score(state: State) -> float | None:
    for row in reversed(state.history):
        for key, value in row.items():
            if key.startswith("val_"):
                return value
    return None


def _why_not_finite(batch: Batch, state: State, rate: float, *, loss: float) -> str:
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
        f"the {what} is not finite at iteration {state.step} ({cause}, learning rate {rate:.2g}); "
        f"{kept}. Try a lower rate: --set train.learning_rate={rate / 10:.2g}"
    )


class _Clock:
    """How much of the budget is spent: in steps, or in seconds over all resumptions.

    A budget of minutes includes what comes after the last step, and slow validations become fewer.
    """

    def __init__(self, state: State, config: Config) -> None:
        self._state, self._config = state, config.train
        self._budget = 60 * (config.train.minutes or 0.0)
        self._validation_seconds = 0.0
        self._before, self._started = state.seconds, time.monotonic()
        self._first_step = state.step

    def seconds(self) -> float:
        return self._before + time.monotonic() - self._started

    def fraction(self) -> float:
        if self._config.iterations:
            return min(1.0, self._state.step / self._config.iterations)
        return min(1.0, self.seconds() / (self._training_seconds() + 1e-9))

    def validations_due(self) -> int:
        """How many validations a run that was never stopped has done by now."""
        count = self._config.validations
        if not self._config.iterations and self._validation_seconds > 0:
            count = min(count, max(1, int(VALIDATION_SHARE * self._budget / self._validation_seconds)))
        return int(self.fraction() * count)

    @contextmanager
    def timing_validation(self) -> Iterator[None]:
        """Within the block the held-out images are predicted once; the quickest time is what it takes."""
        started = time.monotonic()
        yield
        spent = time.monotonic() - started
        self._validation_seconds = min(self._validation_seconds or spent, spent)

    def _training_seconds(self) -> float:
        """The budget of minutes without the predictions of the held-out images at its end."""
        return max(self._budget / 2, self._budget - PASSES_AT_THE_END * self._validation_seconds)

    def seconds_left(self) -> float:
        if not self._config.iterations:
            return max(0.0, self._training_seconds() - self.seconds())
        steps = max(1, self._state.step - self._first_step)
        per_step = (time.monotonic() - self._started) / steps
        return per_step * (self._config.iterations - self._state.step)
