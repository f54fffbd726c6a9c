"""The loop: it learns, ends as asked, goes on exactly, and says why it cannot."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from unseam.config import AugmentConfig, Config, TrainConfig
from unseam.data.dataset import Batch, PatchSampler, TrainingImage
from unseam.errors import TrainingError
from unseam.model.unet import UNet, initialise
from unseam.training import loop
from unseam.training.finite import Losses
from unseam.training.loop import Hooks, Progress, channels_last, fit, seeded, train_step
from unseam.training.state import State, load_state, save_state, start

CPU = torch.device("cpu")


class Notes:
    """What the loop told its hooks."""

    def __init__(self, scores: list[float] | None = None, stop_at: int | None = None) -> None:
        self.scores, self.stop_at = scores, stop_at
        self.validated: list[int] = []
        self.kept: list[int] = []
        self.checkpoints: list[int] = []
        self.told: list[Progress] = []

    def hooks(self) -> Hooks:
        return Hooks(
            validate=self.validate,
            keep=lambda s: self.kept.append(s.step),
            checkpoint=lambda s: self.checkpoints.append(s.step),
            progress=self.told.append,
            should_stop=lambda: bool(self.told) and self.told[-1].step == self.stop_at,
        )

    def validate(self, net: nn.Module) -> dict[str, float]:
        assert not net.training
        self.validated.append(self.told[-1].step if self.told else 0)
        return {} if self.scores is None else {"ap": self.scores[len(self.validated) - 1]}


def disc() -> TrainingImage:
    """A noisy image with one bright disc, which is the object."""
    y, x = np.mgrid[:40, :40]
    inside = (y - 20) ** 2 + (x - 18) ** 2 < 100
    image = inside + np.random.default_rng(0).normal(0, 0.2, inside.shape)
    tensors = (image[None], inside[None], np.ones((1, 40, 40)))
    return TrainingImage(*(torch.as_tensor(t, dtype=torch.float32) for t in tensors))


def sampler(image: TrainingImage | None = None) -> PatchSampler:
    return PatchSampler(
        [image or disc()],
        input_shape=(28, 28),
        output_shape=(12, 12),
        augment=AugmentConfig(elastic_sigma=1.0),
        density=0.3,
        seed=0,
    )


def new(config: Config, *, dropout: float = 0.0) -> State:
    net = UNet(1, 2, base_width=4, depth=1, batch_norm=True, dropout=dropout)
    initialise(net, torch.Generator().manual_seed(0))
    return start(net.to(memory_format=torch.channels_last), config.train)  # type: ignore[call-overload]


def configured(**train: Any) -> Config:
    return Config(train=TrainConfig(**{"batch": 2, "iterations": 12, "average": 0.9, **train}))


def run(config: Config, notes: Notes, state: State | None = None) -> State:
    return fit(state or new(config), sampler(), config, notes.hooks(), low_precision=False)


def equal(one: nn.Module, two: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


# What it does


def test_a_small_network_learns_one_image() -> None:
    notes = Notes()
    run(configured(iterations=80, learning_rate=1e-2), notes)
    losses = [progress.loss for progress in notes.told]
    assert np.mean(losses[-10:]) < 0.5 * losses[0]


def test_it_learns_in_bfloat16_too() -> None:
    config, notes = configured(iterations=80, learning_rate=1e-2), Notes()
    fit(new(config), sampler(), config, notes.hooks(), low_precision=True)
    assert notes.told[-1].loss < 0.5 * notes.told[0].loss


def test_each_step_is_told_and_every_tenth_is_history() -> None:
    notes = Notes()
    state = run(configured(iterations=25, validations=1), notes)
    assert [p.step for p in notes.told] == list(range(1, 26))
    assert [p.fraction for p in notes.told] == [k / 25 for k in range(1, 26)]
    assert [row["iteration"] for row in state.history] == [10, 20, 25]  # the last one is the validation
    assert state.history[0]["loss"] == notes.told[9].loss
    assert notes.told[-1].seconds_left == 0
    assert state.step == 25 and state.seconds > 0


@pytest.mark.parametrize(
    ("iterations", "validations", "expected"),
    [(12, 4, [3, 6, 9, 12]), (10, 3, [4, 7, 10]), (3, 12, [1, 2, 3]), (5, 1, [5])],
)
def test_validations_are_spread_over_the_run(iterations: int, validations: int, expected: list[int]) -> None:
    notes = Notes()
    run(configured(iterations=iterations, validations=validations), notes)
    assert notes.validated == expected
    assert set(expected) <= set(notes.checkpoints)


def test_the_best_is_kept_and_of_equals_the_later() -> None:
    notes = Notes(scores=[0.2, 0.5, 0.5, 0.4])
    state = run(configured(validations=4), notes)
    assert notes.kept == [3, 6, 9] and state.best_score == 0.5
    assert [row["val_ap"] for row in state.history if "val_ap" in row] == notes.scores
    assert notes.told[-1].score == 0.5  # told before the last validation


@pytest.mark.parametrize("scores", [None, [math.nan] * 4])
def test_with_nothing_to_validate_on_the_latest_is_kept(scores: list[float] | None) -> None:
    notes = Notes(scores)
    state = run(configured(validations=4), notes)
    assert notes.kept == [3, 6, 9, 12] and state.best_score == -math.inf


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, [1, 2, 3, 4, 5, 6]), (1e9, [6])])
def test_checkpoints_are_written_as_often_as_configured(seconds: float, expected: list[int]) -> None:
    notes = Notes()
    run(configured(iterations=6, validations=1, checkpoint_seconds=seconds), notes)
    assert notes.checkpoints == expected


def test_a_budget_of_time_ends_in_time() -> None:
    notes = Notes()
    state = run(configured(iterations=None, minutes=0.01), notes)
    assert state.step > 0 and notes.validated[-1] == state.step == notes.checkpoints[-1]
    assert 0.5 < state.seconds < 10
    fractions = [p.fraction for p in notes.told]
    assert fractions == sorted(fractions) and fractions[-1] <= 1
    assert notes.told[0].seconds_left <= 0.6


# How it ends


def test_asked_to_stop_it_ends_with_a_model_and_a_checkpoint() -> None:
    notes = Notes(stop_at=5)
    state = run(configured(iterations=1000, validations=1), notes)
    assert state.step == 5 and notes.validated == notes.kept == [5] and notes.checkpoints[-1] == 5


def test_asked_to_stop_before_the_first_step_it_keeps_the_untrained_network() -> None:
    notes, config = Notes(), configured()
    hooks = Hooks(
        notes.validate, lambda s: notes.kept.append(s.step), lambda _: None, should_stop=lambda: True
    )
    state = fit(new(config), sampler(), config, hooks, low_precision=False)
    assert state.step == 0 and notes.kept == [0]


def test_a_run_that_is_done_is_not_done_again() -> None:
    config = configured()
    state = run(config, Notes())
    before, notes = {k: v.clone() for k, v in state.net.state_dict().items()}, Notes()
    run(config, notes, state)
    assert notes.validated == notes.kept == [] and notes.checkpoints == [12]
    assert all(torch.equal(v, before[k]) for k, v in state.net.state_dict().items())


# Going on


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_run_that_was_stopped_goes_on_exactly(tmp_path: Path, optimizer: str) -> None:
    config = configured(optimizer=optimizer, learning_rate=1e-2, validations=4)
    whole = Notes()
    expected = run(config, whole, new(config, dropout=0.3))
    stopped = run(config, Notes(stop_at=5), new(config, dropout=0.3))
    save_state(tmp_path / "c", stopped, {})
    again = new(config, dropout=0.3)
    load_state(tmp_path / "c", again)
    notes = Notes()
    run(config, notes, again)
    assert equal(again.net, expected.net) and equal(again.average, expected.average)
    assert notes.told[0].step == 6 and notes.validated == [6, 9, 12]  # as in the whole run
    assert not equal(again.net, stopped.net)


def test_dropout_does_not_touch_the_generator_of_the_caller() -> None:
    config = configured(iterations=2)
    state = new(config, dropout=0.5)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    run(config, Notes(), state)
    assert torch.equal(torch.rand(1), expected)


def test_dropout_is_drawn_from_the_seed_and_the_step() -> None:
    def draw(seed: int, step: int) -> float:
        with seeded(seed, step, CPU):
            return torch.rand(1).item()

    assert draw(1, 2) == draw(1, 2)
    assert len({draw(1, 2), draw(1, 3), draw(2, 2)}) == 3


def test_another_step_drops_other_values() -> None:
    config = configured()
    state, batch = new(config, dropout=0.5), sampler().batch(0, 2)

    def loss(step: int) -> float:
        state.step = step
        return train_step(state, batch, 0.0, config, low_precision=False)

    assert loss(0) == loss(0) != loss(1)


def test_the_average_takes_longer_memory_as_the_run_goes_on() -> None:
    # After the first step 0.9 of the way, after step 90 a tenth of it: min(0.9, 91 / 100)
    config = configured(average=0.9, learning_rate=0.1)
    for step, share in ((0, 0.9), (90, 0.1)):
        state = new(config)
        state.step = step
        before = state.net.head.bias.detach().clone()  # type: ignore[union-attr, operator]
        train_step(state, sampler().batch(0, 2), 0.1, config, low_precision=False)
        moved = state.net.head.bias.detach() - before  # type: ignore[union-attr, operator]
        found = state.average.head.bias - before  # type: ignore[union-attr, operator]
        torch.testing.assert_close(found, share * moved, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 2, 4, 4), (1, 2, 4, 4, 4)])
def test_channels_lie_innermost(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    assert channels_last(x).stride(1) == 1 and torch.equal(channels_last(x), x)


# What stops it


def fill(tensor: Any, value: float) -> None:
    nn.init.constant_(tensor, value)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda _, image: fill(image.image, math.nan),
            "loss is not finite at iteration 4 .a patch has pixels that are not finite",
        ),
        (
            lambda _, image: fill(image.weights, math.inf),
            "loss is not finite at iteration 4 .a weight map is not finite",
        ),
        (
            lambda state, _: fill(state.net.head.weight, math.nan),
            "loss is not finite at iteration 4 .the weights are no longer finite",
        ),
        (
            lambda state, _: fill(state.net.head.weight, 3e38),
            "loss is not finite at iteration 4 .the network's output is out of range",
        ),
        (
            lambda _, image: fill(image.weights, 1e35),
            "gradient is not finite at iteration 4 .it is too large",
        ),
    ],
)
def test_a_loss_that_is_not_finite_is_explained_and_the_best_model_is_kept(
    spoil: Callable[[State, TrainingImage], None], words: str
) -> None:
    config, notes, image = configured(validations=4), Notes(scores=[0.5]), disc()
    state = new(config)

    def tell(progress: Progress) -> None:
        notes.told.append(progress)
        if progress.step == 4:
            spoil(state, image)

    hooks = Hooks(notes.validate, notes.hooks().keep, notes.hooks().checkpoint, progress=tell)
    with pytest.raises(TrainingError, match=words) as raised:
        fit(state, sampler(image), config, hooks, low_precision=False)
    assert notes.kept == notes.checkpoints == [3]
    assert "the best model so far is kept. Try a lower rate: --set train.learning_rate=" in str(raised.value)
    assert state.step == 4


def test_where_no_model_was_kept_the_message_says_so() -> None:
    config, image = configured(), disc()
    image.image[:] = math.inf
    with pytest.raises(TrainingError, match="there was no model to keep yet"):
        fit(new(config), sampler(image), config, Notes().hooks(), low_precision=False)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_step_that_is_not_finite_changes_no_weight(optimizer: str) -> None:
    config = configured(optimizer=optimizer)
    state, batch = new(config), sampler().batch(0, 2)
    train_step(state, batch, 0.1, config, low_precision=False)
    before = [p.detach().clone() for p in state.net.parameters()]
    fill(batch.weights, math.nan)
    with pytest.raises(TrainingError, match="loss is not finite at iteration 0"):
        train_step(state, batch, 0.1, config, low_precision=False)
    assert all(torch.equal(p, old) for p, old in zip(state.net.parameters(), before, strict=True))
    fill(batch.weights, 1.0)
    train_step(state, batch, 0.1, config, low_precision=False)
    assert not any(torch.equal(p, old) for p, old in zip(state.net.parameters(), before, strict=True))


def looked_at_later(state: State, draw: Callable[[int], Batch], *, at_once: bool) -> Losses:
    """As on a GPU, though there is none."""
    assert at_once
    return Losses(state, draw, at_once=False)


@pytest.mark.parametrize(("validations", "stop_at", "noticed"), [(1, None, 10), (4, None, 6), (1, 7, 7)])
def test_where_nothing_waits_a_loss_is_looked_at_before_anything_is_kept(
    monkeypatch: pytest.MonkeyPatch, validations: int, stop_at: int | None, noticed: int
) -> None:
    # They are looked at every 10 steps, before a validation, and at the end.
    monkeypatch.setattr(loop, "Losses", looked_at_later)
    config, notes, image = configured(validations=validations), Notes([0.5] * 4, stop_at), disc()
    state = new(config)

    def tell(progress: Progress) -> None:
        notes.told.append(progress)
        if progress.step == 4:
            fill(image.weights, math.nan)

    hooks = replace(notes.hooks(), progress=tell)
    with pytest.raises(
        TrainingError, match=r"loss is not finite at iteration 4 \(a weight map is not finite"
    ):
        fit(state, sampler(image), config, hooks, low_precision=False)
    assert state.step == noticed and notes.kept == [3][: validations - 1]
    assert all(torch.isfinite(p).all() for p in state.net.parameters())


def test_where_nothing_waits_the_run_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    config, at_once, later = configured(iterations=25, validations=1), Notes(), Notes()
    expected = run(config, at_once)
    monkeypatch.setattr(loop, "Losses", looked_at_later)
    state = run(config, later)
    assert equal(state.net, expected.net) and equal(state.average, expected.average)
    assert [row["loss"] for row in state.history] == [row["loss"] for row in expected.history]
    assert math.isnan(later.told[0].loss) and later.told[10].loss == state.history[0]["loss"]
