"""The losses: equation 1 on two pixels by hand, PyTorch's own for equal weights, unknown pixels nowhere."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from unseam.losses import soft_dice_loss, training_loss, weighted_cross_entropy

# Two pixels and two classes. Pixel 0: logits (0, 0), so p = (1/2, 1/2), and the truth is 1.
# Pixel 1: logits (0, ln 3), so p = (1/4, 3/4), and the truth is 0.
LOGITS = torch.tensor([[[0.0, 0.0], [0.0, math.log(3)]]])  # (1, classes, pixels)
TARGET = torch.tensor([[1, 0]])
LN2 = math.log(2)


def with_ignored(logits: Tensor, target: Tensor, value: float) -> tuple[Tensor, Tensor]:
    """A third pixel of unknown truth and arbitrary logits."""
    strange = torch.tensor([[[value], [-value]]])
    return torch.cat([logits, strange], 2), torch.cat([target, torch.tensor([[-1]])], 1)


def test_cross_entropy_is_equation_1_over_the_number_of_pixels() -> None:
    # -(2 ln 1/2 + 1 ln 1/4) / 2 = (2 ln 2 + 2 ln 2) / 2
    weights = torch.tensor([[2.0, 1.0]])
    assert weighted_cross_entropy(LOGITS, TARGET, weights).item() == pytest.approx(2 * LN2)


def test_equal_weights_are_pytorch_s_cross_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 3, 5, generator=generator)
    target = torch.randint(-1, 4, (2, 3, 5), generator=generator)
    expected = torch.nn.functional.cross_entropy(logits, target, ignore_index=-1)
    torch.testing.assert_close(weighted_cross_entropy(logits, target, torch.ones(2, 3, 5)), expected)


def test_shares_of_foreground_cost_by_hand() -> None:
    # Pixel 0, share 3/4: -(1/4 ln 1/2 + 3/4 ln 1/2) = ln 2. Pixel 1, share 1/2: -(ln 1/4 + ln 3/4) / 2.
    shares = torch.tensor([[0.75, 0.5]])
    expected = (2 * LN2 + (math.log(4) - math.log(0.75)) / 2) / 2
    weights = torch.tensor([[2.0, 1.0]])
    assert weighted_cross_entropy(LOGITS, shares, weights).item() == pytest.approx(expected)


@pytest.mark.parametrize("dice", [0.0, 0.4])
def test_shares_of_0_and_1_are_classes(dice: float) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 2, 3, 5, generator=generator)
    target = torch.randint(-1, 2, (2, 3, 5), generator=generator)
    weights = torch.rand(2, 3, 5, generator=generator)
    losses = [training_loss(logits, one, weights, dice=dice) for one in (target, target.float())]
    torch.testing.assert_close(losses[0], losses[1])


def test_a_heavier_patch_costs_more() -> None:
    ones = torch.ones(1, 2)
    once, thrice = (weighted_cross_entropy(LOGITS, TARGET, w * ones) for w in (1, 3))
    assert thrice.item() == pytest.approx(3 * once.item())


@pytest.mark.parametrize("kind", [torch.int64, torch.float32])
@pytest.mark.parametrize("value", [0.0, 1e4])
def test_an_unknown_pixel_counts_nowhere(value: float, kind: torch.dtype) -> None:
    logits, target = with_ignored(LOGITS, TARGET.to(kind), value)
    weights = torch.tensor([[2.0, 1.0, 9.0]])
    assert weighted_cross_entropy(logits, target, weights).item() == pytest.approx(2 * LN2)
    assert soft_dice_loss(logits, target).item() == pytest.approx(soft_dice_loss(LOGITS, TARGET).item())


def test_where_everything_is_unknown_loss_and_gradient_are_zero() -> None:
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    target = torch.full((1, 2, 2), -1)
    loss = training_loss(logits, target, torch.zeros(1, 2, 2), dice=0.5)
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-7)
    assert logits.grad is not None and not logits.grad.any()


def test_dice_by_hand() -> None:
    # Class 1: p = (1/2, 3/4), t = (1, 0); (2 * 1/2 + 1) / (5/4 + 1 + 1) = 2 / 3.25
    assert soft_dice_loss(LOGITS, TARGET).item() == pytest.approx(1 - 2 / 3.25)


def test_dice_leaves_background_out_and_averages_the_classes() -> None:
    # Uniform p = 1/3 on three pixels of truth 0, 1, 1. Class 1: (4/3 + 1) / (1 + 2 + 1); class 2: 1 / (1 + 1)
    loss = soft_dice_loss(torch.zeros(1, 3, 3), torch.tensor([[0, 1, 1]]))
    assert loss.item() == pytest.approx(1 - (7 / 12 + 1 / 2) / 2)


def test_a_perfect_prediction_costs_nothing() -> None:
    target = torch.tensor([[[0, 1], [2, 1]], [[2, 2], [0, 1]]])
    logits = 100.0 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1)
    assert soft_dice_loss(logits, target).item() == pytest.approx(0.0, abs=1e-6)
    assert weighted_cross_entropy(logits, target, torch.ones(target.shape)).item() == pytest.approx(
        0.0, abs=1e-6
    )


def test_a_class_that_is_absent_and_not_predicted_costs_nothing() -> None:
    target = torch.zeros(1, 4, 4, dtype=torch.int64)
    logits = torch.stack([torch.full((1, 4, 4), 100.0), torch.zeros(1, 4, 4)], dim=1)
    assert soft_dice_loss(logits, target).item() == pytest.approx(0.0, abs=1e-6)


def test_the_batch_is_one_for_dice() -> None:
    logits, target = torch.randn(2, 2, 3), torch.tensor([[0, 1, 1], [0, 0, 1]])
    whole = torch.cat([logits[0], logits[1]], dim=1)[None]
    torch.testing.assert_close(soft_dice_loss(logits, target), soft_dice_loss(whole, target.reshape(1, -1)))


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_training_loss_mixes_by_share(share: float) -> None:
    weights = torch.tensor([[2.0, 1.0]])
    expected = (1 - share) * 2 * LN2 + share * (1 - 2 / 3.25)
    assert training_loss(LOGITS, TARGET, weights, dice=share).item() == pytest.approx(expected)


def test_the_training_loss_is_computed_in_float32() -> None:
    logits = LOGITS.to(torch.bfloat16)
    assert training_loss(logits, TARGET, torch.ones(1, 2), dice=0.5).dtype == torch.float32
