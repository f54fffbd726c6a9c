"""Time the steps of a 3-D network on one thread, by patch, depth and width.

OMP_NUM_THREADS=1 python bench/volume_patches.py
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from unseam.config import Config, NetworkConfig
from unseam.data.dataset import PatchSampler, TrainingImage
from unseam.model.checkpoint import build_network
from unseam.plan import network_geometry
from unseam.training.loop import train_step
from unseam.training.state import start

CASES = [
    (2, 8, 16),
    (2, 8, 28),
    (2, 8, 40),
    (2, 8, 60),
    (2, 8, 80),
    (2, 8, 100),
    (2, 12, 60),
    (2, 16, 60),
    (1, 8, 60),
    (3, 8, 40),
    (3, 8, 64),
]
"""Depth, base width, and the least output along each axis."""
REPEATS = 3


def main() -> None:
    """Print a line for each case: the quickest of some steps, in seconds of the processor."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default="bfloat16")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    volume = torch.as_tensor(rng.normal(size=(1, 150, 250, 250)).astype(np.float32))
    image = TrainingImage(volume, (volume > -1).float(), torch.ones_like(volume))
    print("depth width patch output labelled draw_s step_s steps_per_s labelled_voxels_per_s")
    for depth, width, least in CASES:
        print(_measure(image, depth, width, least, low_precision=options.precision == "bfloat16"), flush=True)


def _measure(image: TrainingImage, depth: int, width: int, least: int, *, low_precision: bool) -> str:
    network = NetworkConfig(in_channels=1, classes=2, spatial_dims=3, base_width=width, depth=depth)
    geometry = network_geometry(network)
    patch = geometry.input_for((least,) * 3)
    output = geometry.output(patch)
    config = Config(network=network)
    config = replace(config, train=replace(config.train, patch=patch, batch=1))
    net = build_network(network, torch.Generator().manual_seed(0))
    state = start(net.to(memory_format=torch.channels_last_3d), config.train)  # type: ignore[call-overload]
    sampler = PatchSampler(
        [image], input_shape=patch, output_shape=output, augment=config.augment, density=0.1, seed=0
    )
    batch = sampler.batch(0, 1)
    train_step(state, batch, 1e-3, config, low_precision=low_precision)  # the first one compiles
    draw = _quickest(lambda: sampler.batch(1, 1))
    step = _quickest(lambda: train_step(state, batch, 1e-3, config, low_precision=low_precision))
    labelled = math.prod(output)
    return (
        f"{depth} {width} {patch[0]} {output[0]} {labelled / math.prod(patch):.0%} {draw:.2f} {step:.2f} "
        f"{1 / (draw + step):.2f} {labelled / (draw + step):,.0f}"
    )


def _quickest(act: Callable[[], Any]) -> float:
    times = []
    for _ in range(REPEATS):
        began = time.process_time()
        act()
        times.append(time.process_time() - began)
    return min(times)


if __name__ == "__main__":
    main()
