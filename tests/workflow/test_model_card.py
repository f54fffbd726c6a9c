"""The model card: all that the header knows, and no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.tiny import trained_run, untrained

from unseam.config import ObjectConfig
from unseam.prediction import load_model
from unseam.workflow.model_card import model_card


def test_a_trained_model_says_what_it_learned_from_and_how(tmp_path_factory: pytest.TempPathFactory) -> None:
    card = model_card(load_model(trained_run(tmp_path_factory), device="cpu"), "Cells", license="MIT")
    heads = [line for line in card.splitlines() if line.startswith("#")]
    assert heads == [
        "# Cells",
        *(f"## {name}" for name in ("Use", "Network", "Training data", "Training", "Validation")),
        *(f"## {name}" for name in ("Limits", "Licence", "Citation")),
    ]
    assert (
        "4 images, and none held out" in card and "objects, " in card and "Pixel size: 0.5 x 0.5 µm." in card
    )
    assert "40 iterations in " in card and "```toml\n[data]" in card and "base_width = 4" in card
    assert "No image was held out of training." in card and "\nMIT\n" in card and "doi:10.1007" in card


def test_scores_are_explained_and_what_was_chosen_on_them_is_said() -> None:
    training = {"held_out_scores": {"ap50": 0.6741, "new": 0.5}, "chosen_on_them": ["model", "threshold"]}
    card = model_card(untrained(training=training), "Cells")
    assert "| AP at IoU 0.5 | 0.674 | objects found, of all that are true or predicted" in card
    assert "| new | 0.500 |  |" in card
    assert "(on which model, threshold were chosen, so that new images may score lower)" in card


def test_a_model_of_which_nothing_is_known() -> None:
    card = model_card(untrained(), "Cells")
    assert "Unknown images" in card and "- nothing else is known" in card
    assert "The header of the model says nothing about it." in card and "Pixel size: not known." in card
    assert "as the training images allow" in card and "trained with unseam.\n" in card


def test_how_probabilities_become_objects_is_said() -> None:
    objects = ObjectConfig(threshold=0.75, low_threshold=0.25, min_size=9, fill_holes=True, grow=2)
    of = untrained()
    card = model_card(replace(of, header=replace(of.header, objects=objects)), "Cells")
    assert (
        "Objects are the connected pixels whose probability of background is below 0.25, of at least 9 "
        "pixels, with their holes filled, grown by 2 pixels where that probability is below 0.75." in card
    )
    assert "The likeliest class is taken." in model_card(untrained(task="semantic", classes=3), "Classes")


def test_the_recipe_is_that_of_the_run_alone(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[train]\nseed = 3\n")
    assert "```" not in model_card(untrained(), "Cells")
    of = replace(untrained(), path=tmp_path / "model.safetensors")
    assert "```toml\n[train]\nseed = 3\n```" in model_card(of, "Cells")
