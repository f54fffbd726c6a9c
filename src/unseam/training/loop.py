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
from unseam.losses import training_loss
from unseam.training.clock import Clock
from unseam.training.distributed import ALONE, World, agree, average
from unseam.training.finite import Losses, Outcome, finite_losses
from unseam.training.schedule import learning_rate, update_average, update_weights
from unseam.training.state import State

LOG_STEPS = 10
LARGEST_GRADIENT = 5.0
"""Gradients are scaled down to this norm: one odd patch then cannot throw the weights away."""


@dataclass(frozen=True)
class Progress:
    """What is told after each step.

    Attributes
    ----------
    step : steps done.
    fraction : share of the run done, 0 to 1.
    loss : mean since the last row of the history; on a GPU as it was when the last row was written, and NaN
        before the first.
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
    device = next(state.net.parameters()).device
    size = config.train.batch or 1

    def draw(step: int) -> Batch:
        return sampler.batch(world.batch_number(step), size)

    clock, losses = Clock(state, config), Losses(state, draw, at_once=device.type == "cpu")
    last_checkpoint, saved_at = time.monotonic(), -1
    due, validated_at = clock.validations_due(), state.step if state.validations else -1
    while True:
        fraction, stop = agree(clock.fraction(), hooks.should_stop(), world)
        if stop or fraction >= 1:
            break
        rate = learning_rate(config.train, fraction)
        losses.add(take_step(state, draw(state.step), rate, config, low_precision=low_precision, world=world))
        state.step += 1
        state.seconds = clock.seconds()
        if state.step % LOG_STEPS == 0:
            losses.settle()
            state.history.append(_row(state, losses.mean(), rate))
            losses.clear()
        told = Progress(state.step, clock.fraction(), losses.mean(), _last_score(state), clock.seconds_left())
        hooks.progress(told)
        if clock.validations_due() > due:
            losses.settle()
            _validate(state, hooks, losses.mean(), rate, clock)
            due, validated_at = clock.validations_due(), state.step
            last_checkpoint = -math.inf
        if time.monotonic() - last_checkpoint > config.train.checkpoint_seconds:
            losses.settle()
            state.seconds = clock.seconds()
            hooks.checkpoint(state)
            last_checkpoint, saved_at = time.monotonic(), state.step
    losses.settle()
    if validated_at != state.step:  # stopped, or out of time between two steps
        _validate(state, hooks, losses.mean(), learning_rate(config.train, clock.fraction()), clock)
        saved_at = -1
    if saved_at != state.step:
        hooks.checkpoint(state)
    return state


def train_step(
    state: State, batch: Batch, rate: float, config: Config, *, low_precision: bool, world: World = ALONE
) -> float:
    """One step of the optimiser, waited for; returns the loss, a mean over the ranks.

    Raises
    ------
    FailedElsewhereError
        If the loss of another rank is not finite.
    TrainingError
        If the loss or the gradient is not finite; the weights are as they were, but for the average of them.
    """
    outcome = take_step(state, batch, rate, config, low_precision=low_precision, world=world)
    return finite_losses([outcome], state, lambda _: batch)[0]


def take_step(
    state: State, batch: Batch, rate: float, config: Config, *, low_precision: bool, world: World = ALONE
) -> Outcome:
    """One step of the optimiser, which changes no weight if the loss or the gradient is not finite.

    Nothing is read from the device, so that the next step can be prepared while it computes. The averaged
    weights move all the same, and batch norm has counted the batch: the run ends when the loss is looked at,
    which is before anything is kept.
    """
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
    own = loss.detach()
    mean, elsewhere = own.clone(), (~own.isfinite()).float()
    average([*_gradients(net), *_statistics(net), mean, elsewhere], world)
    norm = torch.nn.utils.clip_grad_norm_(net.parameters(), LARGEST_GRADIENT)
    update_weights(state.optimizer, unless=~(mean.isfinite() & norm.isfinite()))
    update_average(state.average, net, decay=config.train.average, step=state.step)
    return Outcome(state.step, rate, mean, own, elsewhere, norm)


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


def _validate(state: State, hooks: Hooks, loss: float, rate: float, clock: Clock) -> None:
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
