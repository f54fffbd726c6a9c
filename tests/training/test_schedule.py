"""Optimiser, learning rate and averaged weights: numbers by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from unseam.config import TrainConfig
from unseam.training.schedule import build_optimizer, learning_rate, update_average, update_weights


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


# Learning rate


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (0.0, 0.002),  # (0 + 0.001) / 0.5 of the rate
        (0.249, 0.5),  # half-way up
        (0.499, 1.0),
        (1.0, 1.0),
    ],
)
def test_a_constant_rate_rises_and_stays(progress: float, expected: float) -> None:
    config = TrainConfig(learning_rate=0.1, schedule="constant", warmup=0.5)
    assert learning_rate(config, progress) == pytest.approx(0.1 * expected)


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (0.0, 1.0),
        (1 / 3, 0.01 + 0.99 * 0.75),  # (1 + cos 60 degrees) / 2
        (0.5, 0.01 + 0.99 * 0.5),
        (1.0, 0.01),
        (1.2, 0.01),
    ],
)
def test_half_a_cosine_falls_to_a_hundredth(progress: float, expected: float) -> None:
    config = TrainConfig(learning_rate=0.1, schedule="cosine", warmup=0)
    assert learning_rate(config, progress) == pytest.approx(0.1 * expected)


def test_the_rate_rises_while_the_cosine_falls() -> None:
    config = TrainConfig(learning_rate=1.0, warmup=0.05)
    rates = [learning_rate(config, k / 1000) for k in range(1001)]
    highest = rates.index(max(rates))
    assert 40 <= highest <= 50
    assert rates[:highest] == sorted(rates[:highest])
    assert rates[highest:] == sorted(rates[highest:], reverse=True)


# Optimisers


def test_weight_decay_leaves_biases_and_batch_norm_alone() -> None:
    model = net()
    optimizer = build_optimizer(model, TrainConfig(optimizer="adamw", weight_decay=0.5, learning_rate=0.1))
    decayed, free = optimizer.param_groups
    assert [p.ndim for p in decayed["params"]] == [4] and decayed["weight_decay"] == 0.5
    assert len(free["params"]) == 3 and free["weight_decay"] == 0.0
    # A step without gradient is decay alone: w - 0.1 * 0.5 * w
    before = [p.detach().clone() for p in model.parameters()]
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for p, old in zip(model.parameters(), before, strict=True):
        torch.testing.assert_close(p.detach(), old * (0.95 if p.ndim > 1 else 1.0))


def test_sgd_has_the_momentum_configured() -> None:
    # Two steps with gradient 1, rate 0.1, momentum 0.9: 0.1 + 0.1 * 1.9 = 0.29
    layer = nn.Linear(1, 1)
    optimizer = build_optimizer(layer, TrainConfig(optimizer="sgd", momentum=0.9, learning_rate=0.1))
    before = layer.bias.item()
    for _ in range(2):
        layer.weight.grad, layer.bias.grad = torch.ones(1, 1), torch.ones(1)
        optimizer.step()
    assert layer.bias.item() == pytest.approx(before - 0.29, abs=1e-6)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_an_update_is_left_out_where_it_is_not_wanted(optimizer: str) -> None:
    model = net()
    built = build_optimizer(model, TrainConfig(optimizer=optimizer, learning_rate=0.1))
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    for unless in (False, True, False):
        before = [p.detach().clone() for p in model.parameters()]
        update_weights(built, unless=torch.tensor(unless))
        same = [torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True)]
        assert all(same) if unless else not any(same)
    if optimizer == "adamw":
        assert {values["step"].item() for values in built.state.values()} == {2.0}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_fused_optimisers_are_those_of_pytorch_whatever_the_layout(optimizer: str) -> None:
    config = TrainConfig(optimizer=optimizer, learning_rate=0.1)
    layer = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    other = copy.deepcopy(layer)
    plain = build_optimizer(other, config)
    for group in plain.param_groups:
        group["fused"] = False
    fused, x = build_optimizer(layer, config), torch.randn(2, 3, 5, 5)
    for one, built in ((layer, fused), (other, plain)):
        for _ in range(3):
            built.zero_grad()
            one(x).square().mean().backward()
            built.step()
    torch.testing.assert_close(list(layer.parameters()), list(other.parameters()))


# Averaged weights


def filled(value: float) -> nn.Sequential:
    model = net()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.fill_(value)
    return model


@pytest.mark.parametrize(
    ("step", "decay", "expected"),
    [
        (0, 0.995, 0.9),  # min(0.995, 1/10) stays of the old
        (8, 0.995, 0.5),  # 9/18
        (10**6, 0.75, 0.25),
        (0, 0.0, 1.0),
        (10**6, 0.0, 1.0),
    ],
)
def test_the_average_moves_towards_the_weights(step: int, decay: float, expected: float) -> None:
    average = filled(0.0)
    update_average(average, filled(1.0), decay=decay, step=step)
    for name, tensor in average.state_dict().items():
        if tensor.is_floating_point():  # running statistics of batch norm too
            torch.testing.assert_close(tensor, torch.full_like(tensor, expected))
        else:
            assert name.endswith("num_batches_tracked") and tensor == 0


def test_the_average_of_constant_weights_is_these_weights_exactly() -> None:
    model = net()
    average = copy.deepcopy(model)
    for step in range(50):
        update_average(average, model, decay=0.9, step=step)
    for one, two in zip(average.parameters(), model.parameters(), strict=True):
        assert torch.equal(one, two)
