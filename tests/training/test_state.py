"""The state of a run in one file: there and back exactly, whole or not at all, never another network's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError

from unseam.config import Config, TrainConfig
from unseam.data.dataset import Batch
from unseam.errors import FileReadError, OutputError
from unseam.model.unet import UNet, initialise
from unseam.training.loop import train_step
from unseam.training.state import State, load_state, save_state, saved_run, start

OPTIMIZERS = ["adamw", "sgd"]


def new(config: TrainConfig, *, width: int = 2, seed: int = 0) -> State:
    net = UNet(1, 2, base_width=width, depth=1, batch_norm=True, dropout=0.2)
    initialise(net, torch.Generator().manual_seed(seed))
    return start(net.to(memory_format=torch.channels_last), config)  # type: ignore[call-overload]


def trained(config: TrainConfig, steps: int) -> State:
    state = new(config)
    train(state, config, steps)
    return state


def train(state: State, config: TrainConfig, steps: int) -> None:
    for _ in range(steps):
        generator = torch.Generator().manual_seed(state.step)
        image = torch.randn(2, 1, 20, 20, generator=generator)
        target = torch.randint(0, 2, (2, 4, 4), generator=generator)
        batch = Batch(image, target, torch.ones(2, 4, 4))
        train_step(state, batch, 1e-2, Config(train=config), low_precision=False)
        state.step += 1


def equal(one: torch.nn.Module, two: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def moments(state: State) -> dict[tuple[int, str], torch.Tensor]:
    saved = state.optimizer.state_dict()["state"]
    return {(index, name): t for index, values in saved.items() for name, t in values.items()}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_is_saved_comes_back(tmp_path: Path, optimizer: str) -> None:
    config = TrainConfig(optimizer=optimizer, average=0.9)
    state = trained(config, 3)
    state.seconds, state.validations, state.best_score = 12.5, 2, 0.25
    state.history = [{"iteration": 3, "loss": 0.1}]
    save_state(tmp_path / "c", state, {"train": {"seed": 4}})
    again = new(config, seed=1)
    assert load_state(tmp_path / "c", again) == {"train": {"seed": 4}} == saved_run(tmp_path / "c")
    assert equal(again.net, state.net) and equal(again.average, state.average)
    assert not equal(again.net, again.average)
    assert (again.step, again.seconds, again.validations) == (3, 12.5, 2)
    assert again.best_score == 0.25 and again.history == state.history
    old, loaded = moments(state), moments(again)
    assert old.keys() == loaded.keys() and len(old) >= 12
    assert all(torch.equal(old[key], loaded[key]) for key in old)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_loaded_state_goes_on_as_the_saved_one(tmp_path: Path, optimizer: str) -> None:
    config = TrainConfig(optimizer=optimizer)
    state = trained(config, 3)
    save_state(tmp_path / "c", state, {})
    again = new(config, seed=1)
    load_state(tmp_path / "c", again)
    for one in (state, again):
        train(one, config, 3)
    assert equal(again.net, state.net) and equal(again.average, state.average)


def test_moments_are_laid_out_as_their_parameters(tmp_path: Path) -> None:
    # The fused optimiser walks through both as they lie in memory, and would mix up a kernel's entries.
    config = TrainConfig()
    save_state(tmp_path / "c", trained(config, 1), {})
    again = new(config)
    load_state(tmp_path / "c", again)
    for parameter, values in again.optimizer.state.items():
        assert values["exp_avg"].stride() == values["exp_avg_sq"].stride() == parameter.stride()


@pytest.mark.parametrize("score", [float("-inf"), float("nan")])
def test_a_score_that_is_no_number_is_saved_as_none(tmp_path: Path, score: float) -> None:
    state = new(TrainConfig())
    state.validations, state.best_score = 1, score
    save_state(tmp_path / "c", state, {})
    with safetensors.safe_open(tmp_path / "c", framework="pt") as file:
        assert json.loads(file.metadata()["unseam_checkpoint"])["best_score"] is None
    load_state(tmp_path / "c", state)
    assert state.best_score == float("-inf")


def test_the_average_starts_as_the_network_and_learns_nothing_by_itself() -> None:
    state = new(TrainConfig())
    assert equal(state.net, state.average)
    assert not state.average.training and not any(p.requires_grad for p in state.average.parameters())
    assert all(a is not b for a, b in zip(state.net.parameters(), state.average.parameters(), strict=True))


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    save_state(tmp_path / "c", new(TrainConfig(), width=3), {})
    with pytest.raises(FileReadError, match="belongs to another network; resume with the options it was"):
        load_state(tmp_path / "c", new(TrainConfig()))


def test_a_checkpoint_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    save_state(path, new(TrainConfig()), {})
    path.write_bytes(path.read_bytes()[:-100])
    for read in (saved_run, lambda p: load_state(p, new(TrainConfig()))):
        with pytest.raises(
            FileReadError, match="missing, cut short or not a checkpoint; train again without"
        ):
            read(path)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "model")
    (tmp_path / "text").write_text("no tensors")
    for name in ("model", "text", "absent"):
        with pytest.raises(FileReadError, match="cannot read the checkpoint"):
            load_state(tmp_path / name, new(TrainConfig()))


@pytest.mark.parametrize("error", [SafetensorError("no space left"), OSError("no space left")])
def test_a_checkpoint_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    save_state(tmp_path / "c", new(TrainConfig()), {"train": {"seed": 1}})

    def half(_: Any, path: Path, **__: Any) -> None:
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(safetensors.torch, "save_file", half)
    with pytest.raises(OutputError, match="no space left; nothing was changed"):
        save_state(tmp_path / "c", new(TrainConfig()), {})
    assert saved_run(tmp_path / "c") == {"train": {"seed": 1}}
    assert [file.name for file in tmp_path.iterdir()] == ["c"]
