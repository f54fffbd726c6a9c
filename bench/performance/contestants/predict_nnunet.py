"""nnU-Net's own predictor with its PlainConvUNet; weights as drawn, plans written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from bench.performance.contestants.networks import PaddedUNet, image_of, laid_out
from bench.performance.serving import Run, serve, threads
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import Tensor, nn

LABELS = {"labels": {"background": 0, "object": 1}, "channel_names": {"0": "grey"}, "file_ending": ".tif"}


def same_widths(network: Mapping[str, Any], _patch: int) -> PlainConvUNet:
    """Its network with the widths and the depth of ours."""
    return plain_unet([network["base_width"] * 2**level for level in range(network["depth"] + 1)])


def own_plan(network: Mapping[str, Any], patch: int) -> PlainConvUNet:
    """Its network as its planner lays it out, narrowed to the number of parameters of ours.

    The patch is halved down to 4 x 4, and the widths double up to 16 times the first, as 32 to 512.
    """
    stages = patch.bit_length() - 2
    layouts = [[base * min(2**level, 16) for level in range(stages)] for base in range(1, 33)]
    with torch.device("meta"):  # counted without being drawn
        wanted = parameters(PaddedUNet(**network))
        counts = [parameters(plain_unet(widths)) for widths in layouts]
    return plain_unet(min(zip(counts, layouts, strict=True), key=lambda one: abs(one[0] - wanted))[1])


def parameters(net: nn.Module) -> int:
    """How many numbers it learns."""
    return sum(p.numel() for p in net.parameters())


def plain_unet(widths: list[int]) -> PlainConvUNet:
    """Convolutions, normalisation and activation as the planner's."""
    return PlainConvUNet(
        input_channels=1,
        n_stages=len(widths),
        features_per_stage=widths,
        conv_op=nn.Conv2d,
        kernel_sizes=3,
        strides=[1] + [2] * (len(widths) - 1),
        n_conv_per_stage=2,
        num_classes=2,
        n_conv_per_stage_decoder=2,
        conv_bias=True,
        norm_op=nn.InstanceNorm2d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )


class InBfloat16(nn.Module):
    """A network in bfloat16 and channels last for a predictor that gives and takes float32."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = laid_out(net, "bfloat16", channels_last=True)

    def forward(self, x: Tensor) -> Tensor:
        """As that of the network."""
        logits: Tensor = self.net(x.to(torch.bfloat16, memory_format=torch.channels_last))
        return logits.float()


def setup(arguments: dict[str, Any]) -> Run:
    """`network`, `size`, `patch`; `flips`, `bfloat16`: whether; `own`: whose layout."""
    torch.set_num_threads(threads())
    net = (own_plan if arguments["own"] else same_widths)(arguments["network"], arguments["patch"]).eval()
    if arguments["bfloat16"]:
        net = InBfloat16(net)
    plans = PlansManager(
        {"configurations": {"2d": {"patch_size": [arguments["patch"]] * 2, "architecture": {}}}}
    )
    predictor = nnUNetPredictor(
        use_mirroring=arguments["flips"], device=torch.device("cpu"), allow_tqdm=False
    )
    predictor.manual_initialization(
        net, plans, plans.get_configuration("2d"), [net.state_dict()], LABELS, "nnUNetTrainer", (0, 1)
    )
    image = torch.from_numpy(image_of(arguments["size"]))[None, None]  # (C, 1, Y, X)

    def run() -> dict[str, Any]:
        logits = predictor.predict_logits_from_preprocessed_data(image)
        probabilities = torch.softmax(logits.float(), dim=0)
        assert probabilities.shape == (2, *image.shape[1:])
        return {"work": image.numel(), "parameters": parameters(net)}

    return run


if __name__ == "__main__":
    serve(setup, packages=("nnunetv2", "torch"))
