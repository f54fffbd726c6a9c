"""unseam's own loop with its own sampler, as `unseam train` calls them."""

from __future__ import annotations

from typing import Any

import torch
from bench.performance.cells import training_images
from bench.performance.serving import Run, serve, threads
from bench.performance.stepping import counts

from unseam.config import Config
from unseam.data.dataset import PatchSampler
from unseam.model.checkpoint import build_network
from unseam.plan import network_geometry
from unseam.training.loop import Hooks, fit
from unseam.training.state import start
from unseam.workflow.task import uses_bfloat16

ENDLESS = 10**7


def setup(arguments: dict[str, Any]) -> Run:
    """`settings` of the plan, `images`, `size`, `steps` of a run."""
    torch.set_num_threads(threads())
    config = Config().updated(arguments["settings"]).updated({"train": {"iterations": ENDLESS}})
    network, train = config.network, config.train
    assert train.patch and train.batch
    output = network_geometry(network).output(train.patch)
    sampler = PatchSampler(
        training_images(arguments["images"], arguments["size"]),
        input_shape=train.patch,
        output_shape=output,
        augment=config.augment,
        density=config.loss.density,
        seed=train.seed,
    )
    net = build_network(network, torch.Generator().manual_seed(train.seed))
    state = start(net.to(memory_format=torch.channels_last), train)  # type: ignore[call-overload]
    low_precision = uses_bfloat16(train.precision, torch.device("cpu"))
    said = counts(arguments["steps"] * train.batch, train.patch[0], output[0])

    def run() -> dict[str, Any]:
        last = state.step + arguments["steps"]
        hooks = Hooks(
            validate=lambda _: {},
            keep=lambda _: None,
            checkpoint=lambda _: None,
            should_stop=lambda: state.step >= last,
        )
        fit(state, sampler, config, hooks, low_precision=low_precision)
        assert state.step == last
        return {"work": said["patches"], **said, "dtype": "bfloat16" if low_precision else "float32"}

    return run


if __name__ == "__main__":
    serve(setup, packages=("torch", "numpy"))
