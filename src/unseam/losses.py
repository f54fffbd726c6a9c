"""The loss of the paper: softmax cross entropy weighted per pixel; soft Dice beside it, if wanted."""

from __future__ import annotations

import torch
from torch import Tensor

from unseam.data.sample import IGNORE


def weighted_cross_entropy(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Pixel-wise softmax cross entropy, weighted, averaged over the pixels whose truth is known.

    Parameters
    ----------
    logits : Tensor, (B, classes, *spatial)
    target : Tensor of int64 or float32, (B, *spatial)
        Class of each pixel; or, of two classes, the share that it belongs to the second, 0 to 1. `IGNORE`
        (-1) counts nowhere.
    weights : Tensor of float32, (B, *spatial)

    Returns
    -------
    Tensor, scalar
        0 where every pixel is ignored.

    Notes
    -----
    E = -sum w(x) log p_target(x)(x) / n over the n known pixels x. Eq. 1 of the paper is the sum without
    the sign; the mean makes the learning rate independent of the patch's size. It is divided by the number
    of pixels, not by the sum of weights, so that a patch with many borders counts more, as in the paper.

    References
    ----------
    Ronneberger, Fischer, Brox 2015, eq. 1.
    """
    known = target != IGNORE
    if target.is_floating_point():
        per_pixel = torch.nn.functional.binary_cross_entropy_with_logits(
            logits[:, 1] - logits[:, 0], target, weights * known, reduction="sum"
        )
        return per_pixel / known.sum().clamp_min(1)
    per_pixel = torch.nn.functional.cross_entropy(logits, target, reduction="none", ignore_index=IGNORE)
    return (weights * per_pixel).sum() / known.sum().clamp_min(1)


def soft_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 - soft Dice, averaged over the classes but background, over the batch as one.

    Parameters
    ----------
    logits : Tensor, (B, classes, *spatial)
    target : Tensor of int64, (B, *spatial)

    Notes
    -----
    Dice of class c is (2 sum p_c t_c + 1) / (sum p_c + sum t_c + 1) over known pixels; the ones make an
    empty class that is predicted empty a loss of 0. Of shares between 0 and 1 it is not least where p = t: it
    pulls them to 0 or 1.

    References
    ----------
    Milletari, Navab, Ahmadi, "V-Net", 3DV 2016. doi:10.1109/3DV.2016.79 (with p, not p^2, below the line).
    """
    known = (target != IGNORE)[:, None]
    classes = logits.shape[1]
    likely = target.clamp_min(0)
    if target.is_floating_point():
        truth = torch.stack([1 - likely, likely], dim=1)
    else:
        truth = torch.nn.functional.one_hot(likely, classes).movedim(-1, 1)
    probabilities = torch.softmax(logits, dim=1) * known
    axes = [0, *range(2, logits.ndim)]
    both = (probabilities * truth).sum(axes)
    total = probabilities.sum(axes) + (truth * known).sum(axes)
    dice = (2 * both + 1) / (total + 1)
    return 1 - dice[1:].mean()


def training_loss(logits: Tensor, target: Tensor, weights: Tensor, *, dice: float) -> Tensor:
    """Weighted cross entropy, with a share `dice` (0 to 1) of the soft Dice loss mixed in."""
    logits = logits.float()
    loss = weighted_cross_entropy(logits, target, weights)
    return loss if dice == 0 else (1 - dice) * loss + dice * soft_dice_loss(logits, target)
