"""Pooling with its skip, and the up-convolution: by hand, and their gradients against PyTorch's own."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from unseam.model.gradients import centre_crop, max_pool, pool_and_crop, up_convolution
from unseam.model.unet import UNet, initialise

Layer = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
WINDOWS = [((2, 2), (3, 5)), ((3, 1), (2, 4)), ((1, 2, 2), (3, 2, 3)), ((2, 2, 2), (2, 3, 2))]


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()


def test_centre_crop_by_hand() -> None:
    x = torch.arange(25).reshape(1, 1, 5, 5)
    assert centre_crop(x, (3, 1))[0, 0].tolist() == [[7], [12], [17]]


def test_the_gradient_of_a_pooling_with_its_skip_by_hand() -> None:
    # The largest of each window of 2 x 2 gets 1; each of the 2 x 2 pixels in the middle 10 more.
    x = torch.tensor([[4.0, 1, 0, 3], [0, 2, 1, 0], [0, 1, 9, 0], [5, 0, 0, 0]], requires_grad=True)
    pooled, skip = pool_and_crop(x[None, None], (2, 2), (2, 2))
    assert pooled[0, 0].tolist() == [[4, 3], [5, 9]] and skip[0, 0].tolist() == [[2, 1], [1, 9]]
    (pooled.sum() + 10 * skip.sum()).backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.tolist() == [[1, 0, 0, 1], [0, 10, 10, 0], [0, 10, 11, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize(("window", "shape"), WINDOWS)
@pytest.mark.parametrize("last", [False, True])
def test_pooling_and_skip_have_the_gradients_of_pytorch(
    window: tuple[int, ...], shape: tuple[int, ...], last: bool
) -> None:
    dims = len(shape)
    sizes = [n * w for n, w in zip(shape, window, strict=True)]
    kept = [max(1, n - 2) for n in sizes]
    x = noise(2, 3, *sizes).detach()
    if last:
        x = x.to(memory_format=torch.channels_last if dims == 2 else torch.channels_last_3d)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    found = pool_and_crop(ours, window, kept)
    expected = max_pool[dims](theirs, window, window), centre_crop(theirs, kept)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
    weights = [torch.arange(1.0, part.numel() + 1, dtype=x.dtype).reshape(part.shape) for part in found]
    (ours_back,) = torch.autograd.grad(found, ours, weights)
    (theirs_back,) = torch.autograd.grad(expected, theirs, weights)
    assert torch.equal(ours_back, theirs_back)
    assert ours_back.stride() == x.stride()  # while the other one is laid out with channels outermost


@pytest.mark.parametrize(("window", "shape"), WINDOWS)
def test_an_up_convolution_is_the_layer_and_has_its_gradients(
    window: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    layer = Layer[len(shape)](4, 3, window, stride=window).double()  # type: ignore[arg-type]
    other, x, y = copy.deepcopy(layer), noise(2, 4, *shape), noise(2, 4, *shape)
    found, expected = up_convolution(layer, x), other(y)
    assert torch.equal(found, expected)
    weights = torch.arange(1.0, found.numel() + 1, dtype=found.dtype).reshape(found.shape)
    for one in (found, expected):
        (one * weights).sum().backward()
    for a, b in [(x, y), *zip(layer.parameters(), other.parameters(), strict=True)]:
        torch.testing.assert_close(a.grad, b.grad)


def test_without_a_gradient_they_are_the_same_and_nothing_is_kept() -> None:
    x, layer = noise(1, 4, 4, 4, dtype=torch.float32), nn.ConvTranspose2d(4, 2, 2, stride=2)
    with_gradient = (*pool_and_crop(x, (2, 2), (2, 2)), up_convolution(layer, x))
    with torch.no_grad():
        without = (*pool_and_crop(x, (2, 2), (2, 2)), up_convolution(layer, x))
    for one, other in zip(with_gradient, without, strict=True):
        assert torch.equal(one, other) and other.grad_fn is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradients_of_a_network_are_those_of_plain_layers(dtype: torch.dtype) -> None:
    # With batch norm behind them the biases of up-convolutions have no gradient but what rounding leaves.
    net = UNet(1, 2, base_width=8, depth=2, batch_norm=True, dropout=0.0)
    initialise(net, torch.Generator().manual_seed(0))
    net = net.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    image, gradients = noise(2, 1, 52, 52, dtype=torch.float32).detach(), []
    for forward in (net, lambda x: plain(net, x)):
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            logits = forward(image)
        (logits.float() ** 2).mean().backward()
        gradients.append(
            {k: p.grad.clone() for k, p in net.named_parameters() if p.grad is not None and "up" not in k}
        )
    found, expected = gradients
    for name, value in expected.items():
        error = (found[name] - value).norm() / value.norm()
        assert error < (1e-5 if dtype == torch.float32 else 2e-2), name


def plain(net: UNet, x: Tensor) -> Tensor:
    """The network as its picture has it, each step a layer of PyTorch."""
    skips = []
    for level in net.down:
        skips.append(level(x))
        x = nn.functional.max_pool2d(skips[-1], 2)
    x = net.bottom(x)
    for skip, up, level in zip(reversed(skips), reversed(net.up), reversed(net.out), strict=True):
        x = up(x)
        x = level(torch.cat([centre_crop(skip, x.shape[2:]), x], dim=1))
    logits: Tensor = net.head(x)
    return logits
