"""The preset "paper", point by point: what docs/paper-preset.md says of training and of what follows it.

The network itself, its numbers and its weights are in tests/model/test_unet.py, the elastic field in
tests/test_augment.py, the weight map in tests/data/test_weight_map.py, the mirrored tiles in
tests/test_tiling.py, the turned versions in tests/prediction/test_turning.py.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import ROOT
from tests.tiny import samples

from unseam.augment import draw_recipe
from unseam.config import NetworkConfig
from unseam.data.dataset import Batch, PatchSampler, TrainingImage, prepare, target_classes
from unseam.model.checkpoint import build_network
from unseam.normalize import Normalization
from unseam.plan import preset
from unseam.training.loop import LARGEST_GRADIENT, train_step
from unseam.training.schedule import learning_rate
from unseam.training.state import State, start
from unseam.workflow.listener import SILENT
from unseam.workflow.reproduction.protocols import PROTOCOLS
from unseam.workflow.reproduction.running import reproduce
from unseam.workflow.trial import Trial, TrialResult

PAPER = preset("paper")


# Training


def small_state() -> State:
    """The network of the preset, narrow and shallow, with the preset's optimiser."""
    network = NetworkConfig(1, 2, 2, base_width=2, depth=1, batch_norm=False, dropout=0.0)
    torch.manual_seed(0)
    return start(build_network(network), PAPER.train)


def a_batch(seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    image = torch.as_tensor(rng.normal(size=(1, 1, 20, 20)), dtype=torch.float32)
    return Batch(image, torch.as_tensor(rng.integers(0, 2, (1, 4, 4))), torch.full((1, 4, 4), 0.01))


def test_a_step_is_gradient_descent_with_momentum_099_and_nothing_else() -> None:
    """v <- 0.99 v + g, w <- w - rate v: no decay of weights, no averaging over steps, no second moment."""
    state, velocity, rate = small_state(), {}, 1e-3
    for step in range(3):
        before = {name: p.detach().clone() for name, p in state.net.named_parameters()}
        train_step(state, a_batch(step), rate, PAPER, low_precision=False)
        gradients = [p.grad for p in state.net.parameters() if p.grad is not None]
        assert 0 < torch.linalg.vector_norm(torch.cat([g.ravel() for g in gradients])) < LARGEST_GRADIENT
        for name, p in state.net.named_parameters():
            assert p.grad is not None
            velocity[name] = 0.99 * velocity.get(name, torch.zeros_like(p)) + p.grad
            torch.testing.assert_close(p.detach(), before[name] - rate * velocity[name])
        state.step += 1
    kept, learned = state.average.state_dict(), state.net.state_dict()
    assert all(torch.equal(kept[name], learned[name]) for name in learned)


def test_one_tile_a_step_at_a_rate_that_stays() -> None:
    assert PAPER.train.patch == (572, 572) and PAPER.train.batch == 1
    rates = {learning_rate(PAPER.train, progress) for progress in (0.03, 0.5, 1.0)}
    assert rates == {PAPER.train.learning_rate}  # after the rise in the first 2 % of the run


def test_a_patch_is_placed_anywhere() -> None:
    """Background is as likely a centre as objects are: the paper weights its classes in the loss alone."""
    target = torch.zeros(1, 10, 10)
    target[0, 0, 0] = 1
    image = TrainingImage(target.clone(), target, target.clone())
    sampler = PatchSampler(
        [image],
        input_shape=(3, 3),
        output_shape=(1, 1),
        augment=PAPER.augment,
        density=PAPER.loss.density,
        seed=0,
    )
    rng = np.random.default_rng(0)
    centres = np.array([sampler._draw_centre(rng)[1].round() for _ in range(1000)]).clip(0, 9)
    # of 1000 in 100 pixels about 10 fall onto the one object; a tenth of the density would make it 92
    assert (centres == 0).all(1).sum() < 25 and len(np.unique(centres, axis=0)) > 95


def test_deformation_rotation_and_grey_values() -> None:
    rng = np.random.default_rng(0)
    recipes = [draw_recipe(PAPER.augment, (572, 572), rng) for _ in range(500)]
    field = np.array([recipe.displacements for recipe in recipes])
    assert field.shape == (500, 2, 3, 3) and field.std() == pytest.approx(10, rel=0.05)
    turns = [recipe.matrix for recipe in recipes]
    assert all(np.linalg.det(m) == pytest.approx(1) for m in turns)  # neither mirrored nor rescaled
    angles = [math.atan2(m[1, 0], m[0, 0]) for m in turns]
    assert min(angles) < -3 and max(angles) > 3
    assert np.std([recipe.gain for recipe in recipes]) > 0.1 and np.std([r.gamma for r in recipes]) > 0.1
    assert not any(recipe.noise or recipe.blur for recipe in recipes)


# Targets and weights


def test_the_weights_are_those_of_equation_2_on_labels_with_a_gap() -> None:
    """The class term and 10 exp(-(d1 + d2)^2 / (2 * 5^2)), by hand, of two objects that touch."""
    sample = samples(1)[0]
    labels = np.zeros((1, 8), np.int32)
    labels[0, 2:4], labels[0, 4:7] = 1, 2
    target = target_classes(labels, task="instances", gap=PAPER.loss.gap or 0)
    assert target.tolist() == [[0, 0, 1, 1, 0, 1, 1, 0]]  # the first pixel of the later one is background
    given = {"task": "instances", "classes": 2, "normalization": Normalization("none")}
    one = type(sample)("row", np.zeros((1, 1, 8), np.float32), labels)
    (row,) = prepare([one], PAPER.loss, device=torch.device("cpu"), **given)  # type: ignore[arg-type]
    # Four pixels of eight are background, so each class weighs 8 / (2 * 4) = 1. Of the gap d1 = d2 = 1; of
    # pixel 7 the nearest object ends 1 before and the other 4, 10 exp(-25 / 50); of 1 and 0: 1 + 4 and 2 + 5.
    border = [10 * math.exp(-(both**2) / 50) for both in (7, 5, 2, 5)]
    expected = [1 + border[0], 1 + border[1], 1, 1, 1 + border[2], 1, 1, 1 + border[3]]
    np.testing.assert_allclose(row.weights[0, 0].numpy(), expected, rtol=1e-4)


# Prediction


@pytest.mark.parametrize(("name", "tta"), [("paper", "turn"), ("default", "none")])
def test_a_reproduction_averages_over_seven_turns(
    name: str, tta: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials: list[Trial] = []

    def run(trial: Trial, *_: Any, **__: Any) -> TrialResult:
        trials.append(trial)
        return TrialResult(1, "", {})

    monkeypatch.setattr("unseam.workflow.reproduction.running.run_trial", run)
    monkeypatch.setattr("unseam.workflow.reproduction.running.find_folder", lambda *_: tmp_path)
    monkeypatch.setattr("unseam.workflow.reproduction.running.rows_of", lambda *_: [])
    monkeypatch.setattr("unseam.workflow.reproduction.running._compared", lambda *_: "as published")
    reproduce("isbi2012", tmp_path / "out", presets=(name,), listener=SILENT)
    assert [trial.tta for trial in trials] == [tta] * len(PROTOCOLS["isbi2012"].directions)
    assert trials[0].options["preset"] == name


# Words


def test_every_setting_of_the_preset_is_on_its_page() -> None:
    """What the preset changes of the defaults is in the table, so that no difference is left unsaid."""
    page = (ROOT / "docs/paper-preset.md").read_text(encoding="utf-8")
    plain, paper = preset("default").to_dict(), PAPER.to_dict()
    changed = {
        f"{section}.{key}"
        for section, values in paper.items()
        for key, value in values.items()
        if plain[section].get(key) != value
    }
    assert {name for name in changed if f"`{name}`" not in page} == set()
