"""Operations counted from sizes alone, beside hand counts, PyTorch's counter, and what gradients reach."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from bench.performance.contestants.networks import PaddedUNet, unpadded
from bench.performance.counting import (
    computed_operations,
    cropped_before,
    needed_layers,
    needed_operations,
)
from bench.performance.rows.limit import recomputation
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from unseam.geometry import Geometry
from unseam.model import unet
from unseam.model.gradients import centre_crop
from unseam.tiling import plan_tiles


def test_one_output_pixel_of_a_network_of_depth_one_by_hand() -> None:
    # from the output back: head 1; conv 1, then 3; up and skip 5; level 1 pixels 0 to 2: 3, then 5;
    # before it 7; pooled 14, which holds the skip 4 to 8; conv 14, then 16
    layers = needed_layers((0, 1), base_width=1, depth=1)
    assert [(layer.name, layer.span) for layer in layers] == [
        ("head", (0, 1)),
        ("out 0.1", (0, 1)),
        ("out 0.0", (0, 3)),
        ("up 0", (0, 5)),
        ("down 1.1", (0, 3)),
        ("down 1.0", (0, 5)),
        ("down 0.1", (0, 14)),
        ("down 0.0", (0, 16)),
    ]
    # multiply and add: head 1 x 2; convs 9 x 1x1, 9 x 2x1; up 2x1; down 1: 9 x 2x2, 9 x 1x2; down 0: 9, 9
    by_hand = 2 * (2 * 1 + 9 * 1 + 18 * 9 + 2 * 25 + 36 * 9 + 18 * 25 + 9 * 196 + 9 * 256)
    assert needed_operations((1, 1), base_width=1, depth=1) == by_hand


@pytest.mark.parametrize(
    ("base_width", "depth", "wanted"), [(64, 4, 388), (32, 3, 512), (3, 2, 9), (4, 1, 1)]
)
def test_a_whole_tile_takes_what_pytorch_counts(base_width: int, depth: int, wanted: int) -> None:
    with torch.device("meta"):
        net = unet.UNet(base_width=base_width, depth=depth).eval()
        size = net.geometry.input_for((wanted, wanted))
        with FlopCounterMode(display=False) as counter:
            net(torch.empty(1, 1, *size))
    output = net.geometry.output(size)
    counted = needed_operations((output[0], output[1]), base_width=base_width, depth=depth)
    assert counted == counter.get_total_flops()


@pytest.mark.parametrize(("depth", "span"), [(1, (0, 1)), (2, (3, 10)), (2, (8, 9)), (3, (5, 18))])
def test_needed_is_what_a_gradient_reaches(
    depth: int, span: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pool(
        x: torch.Tensor, stride: Sequence[int], kept: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean instead of the largest, so that each pixel takes part."""
        return nn.functional.avg_pool2d(x, tuple(stride)), centre_crop(x, kept)

    monkeypatch.setattr(unet, "pool_and_crop", pool)
    net = unet.UNet(base_width=1, depth=depth).eval()
    layers = [layer for layer in net.modules() if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]
    outputs: list[torch.Tensor] = []

    def keep(_layer: nn.Module, _given: object, output: torch.Tensor) -> torch.Tensor:
        output.retain_grad()
        outputs.append(output)
        return output.clone()  # a step in place would overwrite it

    for layer in layers:
        nn.init.constant_(layer.weight, 0.1)
        layer.register_forward_hook(keep)
    size = net.geometry.input_for((20, 1))
    net(torch.ones(1, 1, *size))[0, :, slice(*span), 0].sum().backward()
    reached = []
    for output in outputs:
        assert output.grad is not None
        rows = output.grad.abs().sum((0, 1, 3)).nonzero()
        reached.append((int(rows.min()), int(rows.max()) + 1))
    counted = [layer.span for layer in needed_layers(span, base_width=1, depth=depth)]
    assert sorted(reached) == sorted(counted)


def test_what_a_skip_loses_at_its_beginning_in_the_paper() -> None:
    # 568 to 392, 280 to 200, 136 to 104, 64 to 56: half of the difference each
    assert [cropped_before(level, 4) for level in range(4)] == [88, 40, 16, 4]


def test_one_tile_is_computed_once_and_four_share_their_halo() -> None:
    geometry, sizes = Geometry.regular(spatial_dims=2, depth=2), {"base_width": 4, "depth": 2}
    whole = needed_operations((40, 40), **sizes)
    assert computed_operations(plan_tiles((40, 40), geometry, 40), **sizes) == whole
    tiles = plan_tiles((40, 40), geometry, 20)
    assert len(tiles) == 4
    assert computed_operations(tiles, **sizes) == 4 * needed_operations((20, 20), **sizes) > whole
    # 512 + 2 x 44 + 4 is the smallest valid input: an output of 516, so a little more than is needed
    one = recomputation("default", 512)
    assert one["tiles"] > 1 or (one["tile_input"] == [604, 604] and 1 < one["ratio"] < (516 / 512) ** 2)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_padded_twin_is_the_same_network_away_from_the_edge(batch_norm: bool) -> None:
    network = {"base_width": 2, "depth": 2, "batch_norm": batch_norm}
    ours, twin = unpadded(network).eval(), PaddedUNet(**network).eval()
    weights = ours.state_dict()
    assert len(weights) == len(twin.state_dict())
    assert {tuple(w.shape) for w in weights.values()} == {tuple(w.shape) for w in twin.state_dict().values()}
    names = {"down": "down", "bottom": "down.2", "up": "up", "out": "out", "head": "head"}
    twin.load_state_dict({_renamed(key, names): value for key, value in weights.items()})
    image = torch.rand(1, 1, 84, 84, generator=torch.Generator().manual_seed(1))
    halo = ours.geometry.halo[0]
    # the second pooling of the unpadded begins at pixel 6, 2 beyond a multiple of 4: so does the twin's
    padded, exact = twin(image[..., 2:82, 2:82]), ours(image)
    inside, there = slice(16, 28), slice(16 - 2 + halo, 28 - 2 + halo)
    assert torch.allclose(padded[..., there, there], exact[..., inside, inside], atol=1e-5)
    assert not torch.allclose(padded[..., :12, :12], exact[..., :12, :12], atol=1e-5)


def _renamed(key: str, names: dict[str, str]) -> str:
    first, _, rest = key.partition(".")
    return f"{names[first]}.{rest}"
