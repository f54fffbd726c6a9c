"""Optimiser, learning rate over the run, and averaged weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unseam.config import TrainConfig


def build_optimizer(net: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser of the configuration; weight decay leaves biases and batch norm alone."""
    if config.optimizer == "sgd":
        momentum = config.momentum
        return torch.optim.SGD(net.parameters(), lr=config.learning_rate, momentum=momentum, fused=True)
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def learning_rate(config: TrainConfig, progress: float) -> float:
    """Learning rate at `progress`, 0 to 1 of the run: a linear rise, then half a cosine down to 1 %."""
    rise = min(1.0, (progress + 1e-3) / config.warmup) if config.warmup > 0 else 1.0
    if config.schedule == "constant":
        return config.learning_rate * rise
    fall = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return config.learning_rate * rise * fall


def update_weights(optimizer: torch.optim.Optimizer, *, unless: Tensor) -> None:
    """A step of an optimiser of `build_optimizer`, left out where `unless` is true, a scalar on its device.

    The optimiser looks at it on the device, as it does for `torch.amp.GradScaler`, and nobody waits.
    """
    optimizer.found_inf = unless.float()  # type: ignore[attr-defined]
    optimizer.step()


@torch.no_grad()
def update_average(average: nn.Module, net: nn.Module, *, decay: float, step: int) -> None:
    """Move the averaged weights towards the current ones; in the first steps faster, so that they start well.

    The running statistics of batch norm are averaged in the same way.
    """
    decay = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(_numbers(average), _numbers(net), 1.0 - decay)


def _numbers(net: nn.Module) -> list[Tensor]:
    """Weights and running statistics, in an order that is the same for two networks of one kind."""
    return [t for t in (*net.parameters(), *net.buffers()) if t.is_floating_point()]
