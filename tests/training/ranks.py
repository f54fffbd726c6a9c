"""What `test_distributed` starts as two processes: ``ranks.py FOLDER IMAGES LABELS``.

A failed assertion ends the process with another code than 0. Of each run the state of each rank is left as
FOLDER/NAME.RANK, to be compared by the test.
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import torch
from tests.training import test_loop as one
from torch import Tensor, nn

import unseam.workflow.run
import unseam.workflow.training
from unseam.cli import main
from unseam.training.distributed import ALONE, World, agree, average, joined, share, share_state
from unseam.training.loop import fit, train_step
from unseam.training.state import State, packed, save_state

RUNS = {
    "plain": ["--iterations=20", "--set=network.batch_norm=false", "--set=train.optimizer=sgd"],
    "norm": ["--iterations=90", "--set=train.validations=3", "--set=train.checkpoint_seconds=0.5"],
    "minutes": ["--minutes=0.02"],
}
DRAWINGS = ("curves", "patches_figure")
SETTINGS = {
    "network": {"base_width": 4, "depth": 1},
    "train": {"patch": [52, 52], "learning_rate": 0.01, "momentum": 0.9, "average": 0.9},
}


def command(images: Path, labels: Path, run: Path, name: str, *more: str, batch: int = 2) -> list[str]:
    """The words of `unseam train` for a run of `RUNS`."""
    values = {f"{s}.{key}": value for s, keys in SETTINGS.items() for key, value in keys.items()}
    given = [f"--set={key}={value}" for key, value in ({"train.batch": batch} | values).items()]
    fixed = ["--precision=float32", "--device=cpu", "--axes=YX", f"--out={run}"]
    return ["train", str(images), str(labels), *fixed, *given, *RUNS[name], *more]


def touch(*given: Any, overwrite: bool) -> None:
    """Instead of drawing, which takes longer than these runs."""
    assert overwrite
    given[-1].touch()


def check_words(world: World) -> None:
    """What the ranks tell each other arrives."""
    for data in (b"", b"some bytes", bytes(range(256)) * 1000):
        assert share(data if world.first else b"ignored", world) == data
    assert agree(0.25 if world.first else 0.75, False, world) == (0.25, False)
    assert agree(0.5, world.rank == 1, world) == (0.5, True)
    a, b = torch.full((2, 3), float(world.rank)), torch.tensor(4.0 * world.rank)
    average([a, b], world)
    assert torch.equal(a, torch.full((2, 3), 0.5)) and b == 2.0


def check_state(world: World) -> None:
    """Whatever the others hold, all go on from the state of rank 0, moments included."""
    config = one.configured()
    state = one.new(config)
    if world.first:
        train_step(state, one.sampler().batch(0, 2), 0.1, config, low_precision=False)
        state.step, state.best_score = 1, 0.5
    share_state(state, world)
    numbers, tensors = packed(state)
    assert (numbers["step"], numbers["best_score"]) == (1, 0.5)
    assert sum("exp_avg_sq" in name for name in tensors) == len(list(state.net.parameters()))
    for name, tensor in sorted(tensors.items()):
        assert share(tensor.numpy().tobytes(), world) == tensor.numpy().tobytes(), name


def check_step(world: World) -> None:
    """A step averages gradients, batch-norm statistics and the loss of what each rank would do alone."""
    config = one.configured(optimizer="sgd", average=0.0)
    together, single = one.new(config, dropout=0.3), []
    for rank in range(world.size):  # each rank does the others' work too, with their dropout
        alone = copy.deepcopy(together)
        alone.step = rank
        alone.optimizer = torch.optim.SGD(alone.net.parameters(), fused=True)
        loss = train_step(alone, one.sampler().batch(rank, 2), 0.0, config, low_precision=False, world=ALONE)
        single.append((loss, gradients(alone.net), statistics(alone.net)))
    batch = one.sampler().batch(world.batch_number(0), 2)
    loss = train_step(together, batch, 0.0, config, low_precision=False, world=world)
    expected = [torch.stack([*parts]).mean(0) for parts in zip(*(s[1] for s in single), strict=True)]
    norm = torch.cat([g.flatten() for g in expected]).norm()
    assert norm < 5  # else the clipped ones would have to be compared
    torch.testing.assert_close(gradients(together.net), expected)
    stats = [torch.stack([*parts]).mean(0) for parts in zip(*(s[2] for s in single), strict=True)]
    torch.testing.assert_close(statistics(together.net), stats)
    torch.testing.assert_close(loss, sum(s[0] for s in single) / world.size)
    assert single[0][0] != single[1][0]


def gradients(net: nn.Module) -> list[Tensor]:
    return [p.grad.clone() for p in net.parameters() if p.grad is not None]


def statistics(net: nn.Module) -> list[Tensor]:
    found = [value.clone() for key, value in net.state_dict().items() if "running" in key]
    assert found
    return found


def check_runs(world: World, folder: Path, images: Path, labels: Path) -> None:
    """The runs of `RUNS`, and one that rank 1 is asked to stop."""
    name = ""

    def fit_and_remember(*arguments: Any, **named: Any) -> State:
        state = fit(*arguments, **named)
        save_state(folder / f"{name}.{world.rank}", state, {})
        return state

    unseam.workflow.training.fit = fit_and_remember  # type: ignore[attr-defined]
    for drawing in DRAWINGS:
        setattr(unseam.workflow.run, drawing, touch)
    for name in RUNS:
        assert main(command(images, labels, folder / name, name)) == 0
    name, asked = "stopped", iter(range(10**6))
    model = unseam.workflow.training.train(
        images,
        labels,
        out=folder / name,
        axes="YX",
        iterations=10**6,
        settings={**SETTINGS, "train": {**SETTINGS["train"], "batch": 2, "device": "cpu"}},
        should_stop=lambda: world.rank == 1 and next(asked) == 7,
    )
    assert model.header.training["ranks"] == 2
    (folder / f"model.{world.rank}").write_text(json.dumps(model.header.training, sort_keys=True))


if __name__ == "__main__":
    with joined() as here:
        assert here.size == 2
        check_words(here)
        check_state(here)
        check_step(here)
        check_runs(here, *map(Path, sys.argv[1:]))
