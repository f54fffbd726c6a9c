"""Starting from a trained model: what is taken over from it, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny import SETTINGS, samples, trained_run, untrained

from unseam.config import Config
from unseam.data.sample import Sample
from unseam.errors import ConfigError, ModelFileError, ShapeError
from unseam.model.checkpoint import build_network, load_network, save_model
from unseam.normalize import Normalization
from unseam.plan import OBJECTS
from unseam.prediction import Model, load_model
from unseam.workflow.finetuning import LEARNING_RATE, configured_for, load_base, start_from
from unseam.workflow.listener import SILENT, Listener
from unseam.workflow.training import configure, train

LEAST = {"train": {key: value for key, value in SETTINGS["train"].items() if key != "learning_rate"}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_run(tmp_path_factory)


def tuned(some: list[Sample], out: Path, base: Path, **options: Any) -> Model:
    """Fine-tune on samples as arrays, two steps if nothing else is said."""
    defaults = {"iterations": 2, "settings": LEAST, "listener": SILENT}
    arrays = [s.image for s in some], [s.labels for s in some]
    return train(*arrays, out=out, base=base, **{**defaults, **options})


def lines() -> tuple[Listener, list[str]]:
    said: list[str] = []
    return replace(SILENT, say=said.append), said


def test_a_run_starts_where_the_model_is(run: Path, tmp_path: Path) -> None:
    """With a rate of nothing the weights that are written are those of the model."""
    still = {"train": {**LEAST["train"], "learning_rate": 0.0, "average": 0.0}}
    settings = {**still, "data": {"validation": 0.0}}
    tuned(samples(2), tmp_path / "out", run, settings=settings, iterations=1, pixel_size=0.5)
    before, header = load_network(run / "model.safetensors")
    after, tuned_header = load_network(tmp_path / "out" / "model.safetensors")
    for name, value in before.named_parameters():
        assert torch.equal(dict(after.named_parameters())[name], value)
    assert tuned_header.network == header.network and tuned_header.normalization == header.normalization
    assert tuned_header.training["started_from"] == str(run)


def test_thresholds_are_those_of_the_model_where_none_can_be_chosen(run: Path, tmp_path: Path) -> None:
    base = tmp_path / "base.safetensors"
    net, header = load_network(run / "model.safetensors")
    objects = replace(header.objects, threshold=0.65, low_threshold=0.25, grow=3)
    save_model(base, net.state_dict(), replace(header, objects=objects), overwrite=False)
    model = tuned(samples(2), tmp_path / "out", base, settings={**LEAST, "data": {"validation": 0.0}})
    found = model.header.objects
    assert (found.threshold, found.low_threshold, found.grow) == (0.65, 0.25, 3)
    chosen = {**LEAST, "data": {"validation": 0.0}, "objects": {"grow": 1}}
    assert tuned(samples(2), tmp_path / "own", base, settings=chosen).header.objects.grow == 1


def test_targets_rise_as_those_of_the_model_did(run: Path, tmp_path: Path) -> None:
    base = load_base(run)
    assert configured_for(base, Config(), {}).loss.slope == 0.0  # as of models from before there were slopes
    learned = replace(base.header, training={**base.header.training, "slope": 0.25})
    sloped = replace(base, header=learned)
    assert configured_for(sloped, Config(), {}).loss.slope == 0.25
    given = Config().updated({"loss": {"slope": 0.1}})
    assert configured_for(sloped, given, {"loss": {"slope": 0.1}}).loss.slope == 0.1
    model = tuned(samples(2), tmp_path / "out", run, settings={**LEAST, "loss": {"slope": 0.1}})
    assert model.header.training["slope"] == 0.1


def test_the_model_is_scored_first_and_kept_where_training_makes_it_worse(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.9, 0.1, 0.9])  # before training, after it, and of what is kept
    monkeypatch.setattr("unseam.workflow.training.validate", lambda *_: {"ap": next(scores)})
    listener, said = lines()
    settings = {**LEAST, "data": {"validation": 0.3}}
    tuned(samples(4), tmp_path / "out", run, settings=settings, listener=listener, pixel_size=0.5)
    assert "held-out images before training: ap 0.900" in said
    assert "training made it no better: the model that it started from is kept" in said
    before, after = (load_network(folder / "model.safetensors")[0] for folder in (run, tmp_path / "out"))
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True))


def test_images_of_another_pixel_size_are_rescaled(run: Path, tmp_path: Path) -> None:
    """The model knows 0.5 µm; images of 0.25 µm become half as large, their objects a quarter."""
    fine = [
        replace(
            s,
            image=s.image.repeat(2, axis=1).repeat(2, axis=2),
            labels=s.labels.repeat(2, axis=0).repeat(2, axis=1),
        )
        for s in samples(2)
    ]
    listener, said = lines()
    model = tuned(fine, tmp_path / "out", run, pixel_size=0.25, listener=listener)
    fp, own = model.header.fingerprint, load_model(run).header.fingerprint
    assert fp is not None and own is not None and fp.shape_max == (64, 64)
    assert fp.diameter_median == pytest.approx(own.diameter_median, rel=0.2)
    assert model.header.spacing == (0.5, 0.5)
    assert any("2 of 2 images are rescaled to the 0.5 x 0.5 µm of" in line for line in said)


def test_labels_are_rescaled_to_the_pixel_a_new_centre_lies_in(run: Path, tmp_path: Path) -> None:
    labels = np.zeros((128, 128), np.int32)
    labels[8:24, 16:32] = 1  # 16 x 16 pixels of 0.25 µm are 8 x 8 of 0.5 µm
    labels[60:100, 60:100] = 2
    image = (labels > 0).astype(np.float32)[None] + 0.01 * np.arange(128, dtype=np.float32)
    model = tuned([Sample("a", image, labels)], tmp_path / "out", run, pixel_size=0.25)
    fp = model.header.fingerprint
    assert fp is not None and fp.class_frequencies[1] == (8 * 8 + 20 * 20) / 64**2


def test_objects_of_another_size_are_brought_to_what_the_model_finds(run: Path, tmp_path: Path) -> None:
    """A model without pixel size that finds diameters: cells twice as large are halved."""
    net, header = load_network(run / "model.safetensors")
    header = replace(header, spacing=None, diameters=(4.0, 40.0), segments="cells", license="CC0")
    save_model(tmp_path / "base.safetensors", net.state_dict(), header, overwrite=False)
    large = [
        replace(
            s,
            image=s.image.repeat(2, axis=1).repeat(2, axis=2),
            labels=s.labels.repeat(2, axis=0).repeat(2, axis=1),
            spacing=None,
        )
        for s in samples(2)
    ]
    listener, said = lines()
    found = tuned(large, tmp_path / "out", tmp_path / "base.safetensors", listener=listener).header
    assert any(line.startswith("object size: images are rescaled 0.") for line in said)
    assert found.fingerprint is not None and found.fingerprint.shape_max[0] in range(56, 73)
    assert (found.diameters, found.segments) == ((4.0, 40.0), "cells") and found.license.endswith(": CC0")
    same = tuned(samples(2), tmp_path / "same", tmp_path / "base.safetensors").header
    assert same.fingerprint is not None and same.fingerprint.shape_max == (64, 64)


def test_what_is_asked_for_counts_where_it_is_the_usual_too(run: Path) -> None:
    base = load_base(run)
    other = replace(base, header=replace(base.header, normalization=Normalization("zscore")))
    given = {"data": {"normalization": "percentile"}}
    with pytest.raises(ConfigError, match=r"data.normalization is percentile and .* has zscore"):
        configured_for(other, configure("default", given, {}), given)
    assert configured_for(other, Config(), {}).data.normalization == "zscore"
    plain = replace(base, header=replace(base.header, network=replace(base.header.network, batch_norm=False)))
    with pytest.raises(ConfigError, match=r"network.batch_norm is True and .* has False"):
        configured_for(plain, Config(), {"network": {"batch_norm": True}})


def test_a_head_of_more_classes_keeps_those_there_are(run: Path) -> None:
    base = load_base(run)
    torch.manual_seed(0)
    wider = build_network(replace(base.header.network, classes=4))
    drawn = wider.head.weight.detach().clone()
    said = start_from(base, wider)
    assert torch.equal(wider.head.weight[:2], base.weights["head.weight"])
    assert torch.equal(wider.head.weight[2:], drawn[2:])
    assert "classes: 2 in" in said and "and 4 here; the last layer keeps 2 of them" in said


def test_classes_are_those_of_the_labels(run: Path, tmp_path: Path) -> None:
    classes = [replace(s, labels=(s.labels > 0).astype(np.int32) + (s.labels % 3 == 1)) for s in samples(2)]
    model = tuned(classes, tmp_path / "out", run, task="semantic")
    assert model.network.classes == 3 and model.header.task == "semantic"


def test_the_rate_is_lower_unless_one_is_given(run: Path) -> None:
    base = load_base(run)
    assert configured_for(base, Config(), {}).train.learning_rate == LEARNING_RATE
    given = {"train": {"learning_rate": 3e-3}}
    config = configure("default", given, {})
    assert configured_for(base, config, given).train.learning_rate == 3e-3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"network": {"depth": 3}}, "network.depth is 3 and .* has 1; leave it out"),
        ({"network": {"batch_norm": False}}, "network.batch_norm is False and .* has True"),
        ({"data": {"normalization": "zscore"}}, "data.normalization is zscore and .* has percentile"),
    ],
)
def test_another_network_or_normalisation_is_refused(
    run: Path, tmp_path: Path, settings: dict[str, dict[str, Any]], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        tuned(samples(1), tmp_path / "out", run, settings=settings)
    assert not (tmp_path / "out").exists()


def test_the_normalisation_is_the_models(tmp_path: Path) -> None:
    model = untrained()
    header = replace(model.header, normalization=Normalization("percentile", 5.0, 95.0))
    net = build_network(header.network)
    save_model(tmp_path / "base.safetensors", net.state_dict(), header, overwrite=False)
    assert tuned(samples(1), tmp_path / "o", tmp_path / "base.safetensors").header.normalization.lower == 5.0
    assert header.objects.grow == OBJECTS["grow"]


def test_images_of_other_channels_are_refused(run: Path, tmp_path: Path) -> None:
    colour = [replace(s, image=np.repeat(s.image, 3, axis=0)) for s in samples(1)]
    with pytest.raises(
        ShapeError, match=r"the images have 3 channels and 2 spatial axes, and .* takes 1 and 2"
    ):
        tuned(colour, tmp_path / "out", run)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no model file"):
        tuned(samples(1), tmp_path / "out", tmp_path / "nowhere")


def test_a_run_is_resumed_from_the_same_model_alone(run: Path, tmp_path: Path) -> None:
    tuned(samples(2), tmp_path / "out", run)
    assert (
        tuned(samples(2), tmp_path / "out", run, resume=True, iterations=3).header.training["iterations"] == 3
    )
    arrays = [s.image for s in samples(2)], [s.labels for s in samples(2)]
    settings = {**LEAST, "network": {"base_width": 4, "depth": 1}}
    settings["train"] = {**settings["train"], "learning_rate": LEARNING_RATE}
    with pytest.raises(ConfigError, match="started from other weights than it is resumed with"):
        train(*arrays, out=tmp_path / "out", iterations=4, settings=settings, resume=True, listener=SILENT)


def test_a_package_of_another_program_is_no_start(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFileError, match=r"a\.zip is a package of bioimage\.io, which `unseam predict` takes and"
    ):
        load_base(tmp_path / "a.zip")
