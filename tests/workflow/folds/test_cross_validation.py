"""A cross-validation as a whole: trained, scored, averaged, stopped and gone on with, refused with reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tests.tiny import SETTINGS, samples, trained_run, untrained, write_set

from unseam.cli import main
from unseam.config import Config
from unseam.data.sample import Sample
from unseam.decisions import to_labels
from unseam.errors import ConfigError, InputError, OutputExistsError, TrainingError
from unseam.io.images import read_labels
from unseam.metrics.scores import pool, score
from unseam.model.ensemble import read_ensemble
from unseam.model.weights import file_digest
from unseam.prediction import load_model
from unseam.training.distributed import World
from unseam.workflow.exporting import export_model
from unseam.workflow.folds import running
from unseam.workflow.folds.record import Chosen, OutOfFold, chosen_in_words
from unseam.workflow.folds.running import CrossValidation, cross_validate
from unseam.workflow.folds.scoring import choose_together, evaluate_out_of_fold, main_measures, predict_fold
from unseam.workflow.listener import SILENT, Countdown, Listener
from unseam.workflow.run import about_run
from unseam.workflow.training import train

Array = NDArray[Any]
TRAIN = {**SETTINGS["train"], "batch": 1}
SMALL = {**SETTINGS, "train": TRAIN, "network": {"base_width": 2, "depth": 1}}
CELLS = samples(5, size=48)


def validated(out: Path, some: list[Sample] = CELLS, **options: Any) -> CrossValidation:
    arrays = [s.image for s in some], [s.labels for s in some]
    defaults: dict[str, Any] = {
        "folds": 2,
        "iterations": 8,
        "pixel_size": 0.5,
        "settings": SMALL,
        "listener": SILENT,
    }
    return cross_validate(*arrays, out=out, **{**defaults, **options})


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folds") / "cv"


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module")
def done(out: Path, lines: list[str]) -> CrossValidation:
    return validated(out, listener=Listener(lines.append))


def test_each_model_has_not_seen_the_images_that_score_it(done: CrossValidation, out: Path) -> None:
    stems = {f"image{k:03}" for k in range(5)}
    assert sorted(stem for held in done.held_out for stem in held) == sorted(stems)
    assert set(done.evaluation.images) == stems
    for number, held in enumerate(done.held_out):
        assert set(done.of_folds[number].images) == set(held)
        header = load_model(out / f"fold{number}", device="cpu").header
        assert header.training["images_learned_from"] == 5 - len(held)
        assert header.training["iterations"] == 4  # half of 8
        assert header.training["seed"] == number


def test_the_prediction_of_each_image_is_that_of_its_fold(done: CrossValidation, out: Path) -> None:
    by_name = {f"image{k:03}": sample for k, sample in enumerate(CELLS)}
    scores = []
    for number, held in enumerate(done.held_out):
        model = load_model(out / f"fold{number}", device="cpu", engine="torch", precision="float32")
        for name in held:
            labels = model.predict(by_name[name].image, zoom=1.0).labels
            np.testing.assert_array_equal(read_labels(out / "out_of_fold" / f"{name}.tif").data[0], labels)
            scores.append(score(by_name[name].labels, labels))
    assert done.evaluation.dice == pytest.approx(pool(scores).counted.dice)


def test_folds_learn_the_rest_and_nothing_of_what_is_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def note(run: Any, task: Any, *_: Any, **__: Any) -> None:
        learned = [sample.stem for sample in (*task.train, *task.held_out)]
        seen.append((run.folder.name, learned, task.config.train.seed, task.config.network))
        raise TrainingError("enough")

    monkeypatch.setattr(running, "train_task", note)
    for number in range(2):
        monkeypatch.setattr(running, "_is_done", lambda _, fold, k=number: fold.model < f"fold{k}")
        monkeypatch.setattr(running, "_load", lambda *_: None)
        with pytest.raises(TrainingError, match="enough"):
            validated(tmp_path / str(number), settings={**SMALL, "data": {"validation": 0.3}})
        ensemble = read_ensemble(tmp_path / str(number))
        folder, learned, seed, network = seen[-1]
        assert folder == f"fold{number}" and seed == number and network == seen[0][3]
        assert sorted([*learned, *ensemble.folds[number].held_out]) == [f"image{k:03}" for k in range(5)]


def test_all_that_is_promised_is_written(done: CrossValidation, out: Path, lines: list[str]) -> None:
    ensemble = read_ensemble(out)
    assert [fold.held_out for fold in ensemble.folds] == list(done.held_out)
    assert ensemble.objects == done.chosen.objects == done.model.header.objects
    assert ensemble.scores == {name: getattr(done.evaluation, name) for name in ("ap", "ap50", "dice")}
    scores = json.loads((out / "scores.json").read_text())
    assert set(scores["images"]) == {f"image{k:03}" for k in range(5)} and len(scores["folds"]) == 2
    assert scores["folds"][0]["model"] == "fold0" and scores["set"] == done.evaluation.of_set()
    assert "chosen on the out-of-fold probabilities" in scores["together"]["note"].replace("\n", " ")
    page = (out / "report.html").read_text()
    assert "a little too kind" in page and "fold 1" in page
    assert [line.split()[0] for line in done.lines] == ["fold", "fold", "out", "together"]
    assert "cross-validation: 2 folds of 3, 2 images, 4 iterations for each of their trainings" in lines
    assert lines[-1] == f"models: unseam predict {out} averages the 2 of them"


def test_the_folder_is_a_model_with_the_chosen_thresholds(done: CrossValidation, out: Path) -> None:
    model = load_model(out, device="cpu", engine="torch", precision="float32")
    assert model.header.objects == done.chosen.objects and len(model.files) == 2
    assert "chosen on their out-of-fold predictions" in model.notes[0]
    image = CELLS[0].image
    each = [load_model(out / f"fold{k}", device="cpu", engine="torch") for k in (0, 1)]
    mean = np.mean([one.probabilities(image) for one in each], axis=0)
    np.testing.assert_allclose(model.probabilities(image), mean, atol=1e-6)


def test_a_finished_one_is_refused_gone_on_with_or_replaced(
    done: CrossValidation, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutputExistsError, match="holds a cross-validation already; --resume goes on"):
        validated(out)
    with monkeypatch.context() as patch:
        patch.setattr(running, "train_task", lambda *_, **__: pytest.fail("both folds are done"))
        again = validated(out, resume=True)
    assert again.evaluation.of_set() == done.evaluation.of_set() and again.chosen == done.chosen
    with pytest.raises(ConfigError, match=r"started with folds.count = 2 and is resumed with 3"):
        validated(out, folds=3, iterations=12, resume=True)
    with pytest.raises(ConfigError, match="started with other images or labels"):
        validated(out, CELLS[::-1], resume=True)
    with pytest.raises(OutputExistsError, match="holds a cross-validation, whose models lie in folders"):
        train([s.image for s in CELLS], [s.labels for s in CELLS], out=out, overwrite=True, listener=SILENT)


def test_other_commands_know_it(done: CrossValidation, out: Path, capsys: Any, tmp_path: Path) -> None:
    assert len(done.of_folds) == 2
    with pytest.raises(InputError, match="is 2 models whose probabilities are averaged, and one is exported"):
        export_model(out, tmp_path / "x.onnx", to="onnx", listener=SILENT)
    assert main(["info", str(out)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("averaged       ") == 2 and "out of fold    ap " in shown
    about = about_run(out)
    assert ("models", "2, their probabilities averaged") in about["headline"] and about["history"] is None
    assert ("models", "2, their probabilities averaged") not in about_run(out / "fold0")["headline"]


def test_what_is_stopped_goes_on_with_the_folds_that_are_not_done(tmp_path: Path) -> None:
    asked = []

    def stop() -> bool:  # in the second of the four steps of fold 1
        asked.append(None)
        return len(asked) > 7

    with pytest.raises(
        TrainingError, match=r"stopped in fold1, 2 of 2; what is done is kept.*--resume goes on"
    ):
        validated(tmp_path / "cv", should_stop=stop)
    folds = read_ensemble(tmp_path / "cv").folds
    assert folds[0].digest == file_digest(tmp_path / "cv" / folds[0].model) and not folds[1].digest
    assert main(["predict", str(tmp_path / "cv"), "image.tif", "--out", str(tmp_path / "out")]) == 2
    done = validated(tmp_path / "cv", resume=True)
    assert file_digest(tmp_path / "cv" / folds[0].model) == folds[0].digest
    whole = validated(tmp_path / "whole")
    assert done.evaluation.of_set() == whole.evaluation.of_set()
    for fold in folds:
        gone_on, at_once = (load_file(tmp_path / name / fold.model) for name in ("cv", "whole"))
        assert all(torch.equal(gone_on[key], at_once[key]) for key in at_once)


def test_it_is_replaced_with_fewer_folds(tmp_path: Path) -> None:
    validated(tmp_path / "cv", folds=3, iterations=3)
    (tmp_path / "cv/fold2/mine.txt").write_text("somebody else's")
    validated(tmp_path / "cv", overwrite=True)
    assert [path.name for path in (tmp_path / "cv/fold2").iterdir()] == ["mine.txt"]
    assert len(load_model(tmp_path / "cv", device="cpu").files) == 2


def test_it_starts_from_a_model(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    base = trained_run(tmp_path_factory)
    done = validated(tmp_path / "cv", base=base, settings={"train": TRAIN, "data": {"validation": 0.0}})
    header = load_model(tmp_path / "cv/fold1", device="cpu").header
    assert header.training["started_from"] == str(base) and header.network.base_width == 4
    assert done.model.header.network.base_width == 4


def test_classes_are_scored_and_nothing_is_chosen(tmp_path: Path) -> None:
    two = [
        replace(s, labels=np.where(s.labels > 0, 1 + (s.labels % 2 == 0), 0).astype(np.int32)) for s in CELLS
    ]
    done = validated(tmp_path / "cv", two, task="semantic", iterations=4)
    assert done.measures == ("dice_classes", "iou_classes")
    assert done.lines[-1].endswith("none was chosen")
    assert done.evaluation.classes is not None and done.evaluation.classes.names == ("1", "2")
    assert done.model.network.classes == 3


def test_bad_input_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="folds is 1; a cross-validation takes 2 or more"):
        validated(tmp_path / "cv", folds=1)
    with pytest.raises(InputError, match="5 images cannot be divided into 6 folds; give --folds 5 or less"):
        validated(tmp_path / "cv", folds=6)
    with pytest.raises(ConfigError, match="give one of them"):
        validated(tmp_path / "cv", resume=True, overwrite=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/model.safetensors").touch()
    with pytest.raises(OutputExistsError, match=r"holds a run already .* of one model; give --out another"):
        validated(tmp_path / "run", overwrite=True)
    from contextlib import nullcontext

    monkeypatch.setattr(running, "joined", lambda: nullcontext(World(0, 2)))
    with pytest.raises(ConfigError, match=r"--folds was given to 2 ranks.*start it without torchrun"):
        validated(tmp_path / "cv")
    assert not (tmp_path / "cv").exists()


def test_the_command_line_cross_validates(tmp_path: Path, capsys: Any) -> None:
    images, labels = write_set(tmp_path, CELLS[:4])
    settings = [
        argument
        for section, values in SMALL.items()
        for name, value in values.items()
        for argument in ("--set", f"{section}.{name}={json.dumps(value)}")
    ]
    command = ["train", str(images), str(labels), "--out", str(tmp_path / "cv"), "--folds", "2"]
    assert main([*command, "--iterations", "4", *settings]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line[:12].strip() for line in shown] == ["fold 0", "fold 1", "out of fold", "together"]
    found = sorted(path.stem for path in (tmp_path / "cv/out_of_fold").iterdir())
    assert found == [sample.stem for sample in CELLS[:4]]


# What is chosen for all together


def out_of_fold(name: str, fold: int, sample: Sample, foreground: Array) -> OutOfFold:
    p = foreground.astype(np.float32)
    return OutOfFold(name, fold, sample, np.zeros_like(sample.labels), np.stack([1 - p, p]))


def test_thresholds_are_chosen_on_all_folds_at_once() -> None:
    """Two squares joined by a bridge of 0.55 in one image, of 0.65 in the other: above both they are two."""
    truth = np.zeros((40, 60), np.int32)
    truth[10:30, 5:25], truth[10:30, 35:55] = 1, 2
    predictions = []
    for fold, bridge in enumerate((0.55, 0.65)):
        p = np.where(truth > 0, 0.95, 0.05)
        p[10:30, 25:35] = bridge
        predictions.append(out_of_fold(f"image{fold}", fold, Sample("a", truth[None], truth), p))
    start = Config().updated({"objects": {"threshold": 0.5, "low_threshold": 0.7, "grow": 0, "min_size": 1}})
    model = untrained()
    chosen = choose_together(predictions, model, start.objects, ("threshold",))
    assert chosen.objects.threshold == 0.7 and chosen.images == 2 and chosen.names == ("threshold",)
    assert chosen.scores is not None and chosen.scores["ap"] == 1.0
    assert "threshold 0.7, chosen on the out-of-fold probabilities of 2 images: ap 1.000" in chosen_in_words(
        chosen
    )
    alone = choose_together(predictions[:1], model, start.objects, ("threshold",))
    assert alone.objects.threshold == 0.6
    assert to_labels(predictions[1].probabilities, "instances", alone.objects).max() == 1
    assert choose_together(predictions, model, start.objects, ()) == Chosen(start.objects)


def test_probabilities_are_kept_of_some_images_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from unseam.workflow.folds import scoring

    monkeypatch.setattr(scoring, "MOST_TO_HOLD_OUT", 1)
    model, images = untrained(), [(s.stem, s) for s in CELLS[:2]]
    found = predict_fold(model, 3, images, Countdown(SILENT, "predicting", 2), before=0)
    assert [one.probabilities is None for one in found] == [False, True]
    assert [one.fold for one in found] == [3, 3]
    assert set(evaluate_out_of_fold(found, "instances", ()).images) == {s.stem for s in CELLS[:2]}
    assert main_measures(model) == ("ap", "ap50", "dice")
