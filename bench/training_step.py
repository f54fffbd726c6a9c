"""What the parts of a training step take: sampling, forward, loss, backward, update of the weights.

    OMP_NUM_THREADS=1 python bench/training_step.py [--width 16] [--patch 252 --batch 4] [--float32]

The recipe is the default one for nuclei of 23 px: depth 3, batch norm, 4 patches of 252 px; synthetic images.
Times are seconds of the processor, the median and the least, so that other programs disturb them little;
with several threads they include the threads' waiting for each other.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import torch

from unseam.config import Config
from unseam.data.dataset import Batch, PatchSampler, prepare
from unseam.data.synthetic import synthetic_set
from unseam.fingerprint import fingerprint
from unseam.losses import training_loss
from unseam.model.checkpoint import build_network
from unseam.normalize import Normalization
from unseam.plan import network_geometry, plan, preset
from unseam.training.loop import LARGEST_GRADIENT, channels_last
from unseam.training.schedule import update_average
from unseam.training.state import State, start

CPU = torch.device("cpu")
WARM_UP = 3


def main() -> None:
    """Print a line per part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--patch", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--float32", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    config, sampler, state = recipe(given.width, given.patch, given.batch)
    times: dict[str, list[float]] = {}
    for k in range(WARM_UP + given.steps):
        taken = parts(config, sampler, state, low_precision=not given.float32)
        for name, seconds in taken.items() if k >= WARM_UP else ():
            times.setdefault(name, []).append(1000 * seconds)
    whole = sum(statistics.median(values) for values in times.values())
    print(f"width {given.width}, {torch.get_num_threads()} threads, {whole:.1f} ms a step with sampling")
    for name, values in times.items():
        middle = statistics.median(values)
        print(f"{name:10s} {middle:7.1f} ms (least {min(values):7.1f})  {middle / whole:5.1%}")


def recipe(width: int, patch: int | None, batch: int | None) -> tuple[Config, PatchSampler, State]:
    """The default recipe on four images of cells of 23 px, as `unseam train` would plan it."""
    samples = synthetic_set(4, shape=(512, 512), seed=1, radius=11.5)
    found = fingerprint(
        [s.image for s in samples],
        [s.labels for s in samples],
        spacings=[s.spacing for s in samples],
        task="instances",
    )
    train = {"iterations": 1000, "patch": patch and (patch, patch), "batch": batch}
    chosen = preset("default").updated({"train": train, "network": {"base_width": width}})
    config = plan(found, chosen, classes=2, device="cpu").config
    assert config.train.patch is not None
    images = prepare(
        samples,
        config.loss,
        task="instances",
        classes=2,
        normalization=Normalization(config.data.normalization),
        device=CPU,
    )
    sampler = PatchSampler(
        images,
        input_shape=config.train.patch,
        output_shape=network_geometry(config.network).output(config.train.patch),
        augment=config.augment,
        density=config.loss.density,
        seed=0,
    )
    net = build_network(config.network, torch.Generator().manual_seed(0))
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return config, sampler, start(net, config.train)


def parts(config: Config, sampler: PatchSampler, state: State, *, low_precision: bool) -> dict[str, float]:
    """The seconds of each part of a step: what `training.loop` does, in its order."""
    batches: list[Batch] = []
    sampling = seconds(lambda: batches.append(sampler.batch(state.step, config.train.batch or 1)))
    batch, values = batches[0], list[torch.Tensor]()
    state.net.train()
    state.optimizer.zero_grad()

    def forward() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=low_precision):
            values.append(state.net(channels_last(batch.image)))

    def loss() -> None:
        values.append(training_loss(values[0], batch.target, batch.weights, dice=config.loss.dice))

    def update() -> None:
        torch.nn.utils.clip_grad_norm_(state.net.parameters(), LARGEST_GRADIENT)
        state.optimizer.step()
        update_average(state.average, state.net, decay=config.train.average, step=state.step)

    taken = {
        "sampling": sampling,
        "forward": seconds(forward),
        "loss": seconds(loss),
        "backward": seconds(lambda: torch.autograd.backward(values[1])),
        "update": seconds(update),
    }
    state.step += 1
    return taken


def seconds(work: Callable[[], object]) -> float:
    """Seconds of the processor that the work takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
