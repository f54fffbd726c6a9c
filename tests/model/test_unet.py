"""The network: the paper's numbers, agreement with a plain forward pass, and the laws of unpadded layers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from tests.reference import unet as reference
from torch import nn

from unseam.errors import ConfigError, ShapeError
from unseam.model.unet import UNet, activation, initialise

Convolutions = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def seeded(seed: int = 0, **options: Any) -> UNet:
    """A network with drawn weights, in evaluation mode; its biases and batch statistics are drawn too."""
    generator = torch.Generator().manual_seed(seed)
    net = UNet(**options)
    initialise(net, generator)
    for layer in net.modules():
        if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)):
            for tensor in (layer.weight, layer.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5, generator=generator)
            for tensor in (layer.bias, layer.running_mean):
                nn.init.normal_(tensor, 0, 0.3, generator=generator)
        elif isinstance(layer, Convolutions) and layer.bias is not None:
            nn.init.normal_(layer.bias, 0, 0.1, generator=generator)
    return net.eval()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# Golden


def test_the_paper_s_network() -> None:
    with torch.device("meta"):  # shapes without numbers
        net = UNet()
        logits = net(torch.empty(1, 1, 572, 572))
    assert sum(p.numel() for p in net.parameters()) == 31_030_658
    assert sum(isinstance(layer, Convolutions) for layer in net.modules()) == 23
    assert logits.shape == (1, 2, 388, 388)
    assert net.dropout.p == 0.5


def test_the_network_that_the_authors_released() -> None:
    with torch.device("meta"):
        net = UNet(release=True)
        logits = net(torch.empty(1, 1, 572, 572))
    # The last up-convolution has 128 outputs, not 64: 128 * 64 * 4 + 64 more of its own parameters, and
    # 64 * 64 * 9 more of the convolution that reads them; 31,030,658 + 32,832 + 36,864.
    assert sum(p.numel() for p in net.parameters()) == 31_100_354
    assert sum(isinstance(layer, Convolutions) for layer in net.modules()) == 23
    assert logits.shape == (1, 2, 388, 388)


def test_the_authors_network_for_cells() -> None:
    with torch.device("meta"):
        net = UNet(release=True, wide_top=True, leak=0.1)
        logits = net(torch.empty(1, 1, 188, 188))
    outputs = [layer.out_channels for layer in net.modules() if isinstance(layer, Convolutions)]
    # down and bottom, up-convolutions from level 0 on, expanding levels from level 0 on, head
    assert outputs[:10] == [64, 64, 128, 128, 256, 256, 512, 512, 1024, 1024]
    assert outputs[10:] == [128, 128, 256, 512, 128, 128, 128, 128, 256, 256, 512, 512, 2]
    assert sum(isinstance(layer, nn.LeakyReLU) for layer in net.modules()) == 18 + 1
    assert logits.shape == (1, 2, 4, 4)


def test_weights_have_the_deviation_of_the_paper() -> None:
    net = UNet(base_width=64, depth=1)
    initialise(net, torch.Generator().manual_seed(0))
    second = net.down[0][2]  # type: ignore[index]
    for weight, incoming in [(second.weight, 576), (net.up[0].weight, 128), (net.out[0][0].weight, 1152)]:  # type: ignore[index]
        expected = math.sqrt(2 / incoming)
        sampling = expected / math.sqrt(2 * weight.numel())  # deviation of a deviation
        assert weight.std().item() == pytest.approx(expected, abs=5 * sampling)
        assert weight.mean().item() == pytest.approx(0, abs=5 * expected / math.sqrt(weight.numel()))
    assert not any(p.any() for name, p in net.named_parameters() if name.endswith("bias"))


def test_the_same_generator_draws_the_same_weights() -> None:
    first, second = (seeded(3, base_width=2, depth=1).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["head.weight"], seeded(4, base_width=2, depth=1).state_dict()["head.weight"])


# Oracle


def layers_of(net: UNet) -> Iterator[reference.Layer]:
    def numbers(layer: Any) -> reference.Layer:
        return layer.weight.detach().numpy(), layer.bias.detach().numpy()

    for level in [*net.down, net.bottom]:
        yield from (numbers(level[0]), numbers(level[2]))  # type: ignore[index]
    for up, level in reversed(list(zip(net.up, net.out, strict=True))):
        yield from (numbers(up), numbers(level[0]), numbers(level[2]))  # type: ignore[index]
    yield numbers(net.head)


@pytest.mark.parametrize(("depth", "shape", "width"), [(4, (188, 188), 2), (2, (48, 56), 3), (0, (7, 6), 4)])
def test_a_plain_forward_pass_agrees(depth: int, shape: tuple[int, int], width: int) -> None:
    net = seeded(base_width=width, depth=depth, in_channels=2, classes=3).double()
    image = noise(2, *shape).double()
    with torch.no_grad():
        ours = net(image[None])[0].numpy()
    expected = reference.forward(image.numpy(), layers_of(net), depth=depth)
    assert expected.std() > 0.1  # something is compared
    np.testing.assert_allclose(ours, expected, atol=1e-10)


# Laws


@pytest.mark.parametrize(
    "options",
    [
        {"depth": 2, "in_channels": 3, "classes": 4},
        {"depth": 0},
        {"depth": 1, "spatial_dims": 3},
        {
            "spatial_dims": 3,
            "depth": 2,
            "strides": [(1, 2, 2), (2, 2, 2)],
            "kernels": [(1, 3, 3), (3, 3, 3), (3, 3, 3)],
        },
        {"depth": 2, "release": True, "wide_top": True, "leak": 0.1},
        {"depth": 0, "release": True, "wide_top": True},
        {"depth": 1, "strides": [(3, 1)], "kernels": [(5, 1), (1, 3)]},
    ],
)
def test_the_output_is_what_the_geometry_says(options: dict[str, Any]) -> None:
    net = seeded(base_width=2, batch_norm=True, **options)
    for shape in (
        net.geometry.smallest_input,
        tuple(n + g for n, g in zip(net.geometry.smallest_input, net.geometry.grid, strict=True)),
    ):
        with torch.no_grad():
            logits = net(noise(2, net.in_channels, *shape))
        assert logits.shape == (2, net.classes, *net.geometry.output(shape))


def test_a_step_on_the_grid_moves_the_result_and_a_step_off_it_changes_it() -> None:
    net, image = seeded(base_width=3, depth=2), noise(1, 1, 64, 64)
    with torch.no_grad():
        whole = net(image)
        stepped = net(image[..., 4:60, 8:64])  # the grid is 4
        astray = net(image[..., 1:57, 0:56])
    torch.testing.assert_close(stepped, whole[..., 4:20, 8:24])
    assert (astray - whole[..., 1:17, 0:16]).abs().max() > 1e-2


def test_a_pixel_beyond_the_halo_changes_nothing() -> None:
    net, image = seeded(base_width=3, depth=1, batch_norm=True), noise(1, 1, 40, 40)
    halo, grid = net.geometry.halo[0], net.geometry.grid[0]
    changed = image.clone()
    changed[..., 0, :] += 100
    with torch.no_grad():
        differs = (net(changed) - net(image)).abs().amax((0, 1, 3)) > 0
    # Row 0 of the image lies `halo` rows above row 0 of the output; pooling widens its reach to its cell.
    assert differs.any() and not differs[grid:].any()
    assert halo == 8


def test_dropout_drops_at_the_end_of_the_contracting_path_and_only_in_training() -> None:
    net, image = seeded(base_width=8, depth=1, dropout=0.5), noise(1, 1, 40, 40)
    seen: list[torch.Tensor] = []
    net.dropout.register_forward_hook(lambda _layer, _given, kept: seen.append(kept))
    net(image)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net.train()(image)
    kept = seen[1] != 0
    assert kept.sum() / (seen[0] != 0).sum() == pytest.approx(0.5, abs=0.05)
    torch.testing.assert_close(seen[1][kept], 2 * seen[0][kept])


def test_dropout_of_the_release_is_seen_by_the_pooling_and_by_the_skip() -> None:
    net, image = seeded(base_width=8, depth=2, dropout=0.5, release=True), noise(1, 1, 44, 44)
    seen: dict[str, torch.Tensor] = {}
    net.bottom.register_forward_pre_hook(lambda _, given: seen.update(bottom=given[0]))
    net.out[1].register_forward_pre_hook(lambda _, given: seen.update(skip=given[0][:, :16]))
    net(image)
    before = dict(seen)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net.train()(image)
    for key in ("skip", "bottom"):
        assert (seen[key] == 0).sum() > (before[key] == 0).sum()
        assert not torch.equal(seen[key], before[key])


def test_a_leak_lets_a_share_of_what_is_negative_through() -> None:
    layer = activation(0.25)
    assert layer(torch.tensor([-4.0, 0.0, 3.0])).tolist() == [-1.0, 0.0, 3.0]
    assert activation(0.0)(torch.tensor([-4.0, 0.0, 3.0])).tolist() == [0.0, 0.0, 3.0]


def test_an_up_convolution_of_a_release_is_followed_by_relu() -> None:
    net = seeded(base_width=4, depth=1, release=True)
    seen: list[torch.Tensor] = []
    net.out[0].register_forward_pre_hook(lambda _, given: seen.append(given[0][:, 4:]))
    net(noise(1, 1, 20, 20))
    assert seen[0].shape[1] == 8 and seen[0].min() == 0


# Errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spatial_dims": 4}, "spatial_dims is 4; the network is built for 2 or 3 spatial axes"),
        ({"in_channels": 0}, "in_channels is 0; it must be 1 or more"),
        ({"classes": 1}, "classes is 1; it must be 2 or more"),
        ({"base_width": 0}, "base_width is 0; it must be 1 or more"),
        ({"depth": -1}, "depth is -1; it must be 0 or more"),
        ({"dropout": 1.0}, "dropout is 1.0; it is a probability, 0 or more and below 1"),
        ({"leak": -0.1}, "leak is -0.1; it is a slope, 0 or more and below 1"),
        ({"strides": [(2, 2)]}, "1 strides and 5 kernels were given for depth 4"),
        ({"kernels": [(3, 2)] * 5}, "kernel (3, 2) is even"),
    ],
)
def test_options_that_make_no_network(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        UNet(**options)
    assert str(caught.value).startswith(message)


def test_tiles_that_do_not_fit() -> None:
    net = UNet(base_width=2)
    with pytest.raises(ShapeError, match=r"tile 500x500 does not fit .*nearest sizes: 492, 508"):
        net(torch.zeros(1, 1, 500, 500))
    words = r"takes \(batch, 1 channels, 2 spatial axes\) and was given \(1, 3, 188, 188\)"
    with pytest.raises(ShapeError, match=words):
        net(torch.zeros(1, 3, 188, 188))
    with pytest.raises(ShapeError, match=r"was given \(1, 188, 188\)"):
        net(torch.zeros(1, 188, 188))
