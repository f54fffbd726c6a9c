"""`unseam reproduce`, end to end on small sets in the layouts of the real ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from unseam.cli import main
from unseam.cli.commands.reproduce import NAMES
from unseam.data.synthetic import synthetic_set
from unseam.errors import FileReadError, InputError, OutputExistsError
from unseam.io.images import write_png
from unseam.io.tiff.write import write_tiff
from unseam.report.reproduction import score
from unseam.workflow.listener import SILENT
from unseam.workflow.reproduction.protocols import PROTOCOLS, protocol, rows_of
from unseam.workflow.reproduction.running import averaged, folder_of, read_results, reproduce
from unseam.workflow.trial import TrialResult


@pytest.fixture(scope="module")
def tracking_set(tmp_path_factory):
    """PhC-C2DH-U373 as the challenge lays it out, but small: two sequences of three annotated frames."""
    folder = tmp_path_factory.mktemp("data") / "PhC-C2DH-U373"
    for number, sequence in enumerate(("01", "02")):
        for frame, sample in enumerate(synthetic_set(3, shape=(96, 96), seed=number)):
            labels = sample.labels.astype(np.uint16)
            outlined = np.where(labels == labels.max(), 0, labels) if frame == 1 else labels  # one is missing
            for name, array in (
                (f"{sequence}/t{frame:03}.tif", sample.image[0]),
                (f"{sequence}_GT/SEG/man_seg{frame:03}.tif", outlined),
                (f"{sequence}_GT/TRA/man_track{frame:03}.tif", labels),
            ):
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write_tiff(path, array, axes="YX")
    return folder


def test_the_names_of_the_command_are_those_of_the_protocols():
    assert set(NAMES) == set(PROTOCOLS)


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match="expected one of: isbi2012"):
        protocol("isbi2013")


def test_no_image_is_learned_from_and_scored(tracking_set, tmp_path):
    for direction in PROTOCOLS["u373"].directions:
        rows = rows_of(PROTOCOLS["u373"], direction, tracking_set, tmp_path)
        of = {split: {row.image for row in rows if row.split == split} for split in ("train", "test")}
        assert len(of["train"]) == len(of["test"]) == 3 and not of["train"] & of["test"]


def test_a_missing_file_is_named(tmp_path):
    (tmp_path / "isbi2012").mkdir()
    with pytest.raises(FileReadError, match=r"00\.png is missing"):
        rows_of(PROTOCOLS["isbi2012"], "", tmp_path / "isbi2012", tmp_path)


def test_both_ways_are_trained_scored_shown_and_kept(tracking_set, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["reproduce", "u373", "--data", str(tracking_set), "--out", str(out), "--minutes", "0.05"]
    assert main(command) == 0
    *scores, last = capsys.readouterr().out.splitlines()
    assert (
        last == f"open {out}/index.html"
        and [" SEG " in line or "seg " in line for line in scores] == [True] * 2
    )
    results = read_results(out)
    assert [r.about["direction"] for r in results] == ["01 to 02", "02 to 01"]
    page = (out / "index.html").read_text(encoding="utf-8")
    for words in ("U-Net, 2015", "0.9203", "unseam, preset default", "1 seed, 0.05 minutes each", "PyTorch"):
        assert words in page
    for result in results:
        run = out / folder_of(result.about)
        scores = json.loads((run / "scores.json").read_text(encoding="utf-8"))
        assert result.scores["seg"] == scores["set"]["seg"] and len(scores["images"]) == 3
        assert (run / "report.html").is_file() and f"{run.name}/report.html" in page

    assert main(command) == 2  # what is there is never replaced unasked
    assert "--resume keeps what is done" in capsys.readouterr().err
    before = (out / "01-to-02-default-0.05min-seed0/model.safetensors").read_bytes()
    (out / "02-to-01-default-0.05min-seed0/result.json").unlink()
    assert main([*command, "--resume"]) == 0
    assert (out / "01-to-02-default-0.05min-seed0/model.safetensors").read_bytes() == before
    assert len(read_results(out)) == 2


def test_a_folder_of_somebody_else_is_left_alone(tracking_set, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="holds other files"):
        reproduce("u373", tmp_path, data=tracking_set, overwrite=True, listener=SILENT)
    (tmp_path / "thesis.txt").unlink()
    (tmp_path / "protocol.txt").write_text("hela\n")
    with pytest.raises(OutputExistsError, match="holds reproductions of hela"):
        reproduce("u373", tmp_path, data=tracking_set, overwrite=True, listener=SILENT)


def test_nothing_to_train_is_refused(tracking_set, tmp_path):
    with pytest.raises(InputError, match="no seed or no preset"):
        reproduce("u373", tmp_path, data=tracking_set, seeds=(), listener=SILENT)


def test_scores_are_averaged_over_both_ways_once_they_are_there():
    def result(minutes: float, seed: int, way: str, seg: float | None) -> TrialResult:
        about = {"preset": "default", "minutes": minutes, "seed": seed, "direction": way}
        return TrialResult(1, "", {"seg": seg}, about)

    results = [
        result(1, 0, "a", 0.2),
        result(1, 0, "b", 0.4),
        result(1, 1, "a", 0.6),
        result(2, 0, "a", 0.9),
        result(3, 0, "a", 0.9),
        result(3, 0, "b", None),
    ]
    rows = averaged(PROTOCOLS["hela"], results)
    assert [(r.about["minutes"], r.about["seed"]) for r, _ in rows] == [(1, 0), (3, 0)]
    assert rows[0][1]["seg"] == pytest.approx(0.3)
    assert np.isnan(rows[1][1]["seg"])  # half of it is not the whole


def test_a_device_that_is_named_has_folders_and_rows_of_its_own():
    about = {"preset": "paper", "minutes": 1, "seed": 0, "direction": ""}
    assert folder_of(about) == "paper-1min-seed0"
    assert folder_of({**about, "device": "cuda"}) == "paper-1min-cuda-seed0"
    results = [
        TrialResult(1, "", {"ap50": ap50}, {**about, **named})
        for ap50, named in ((0.2, {}), (0.8, {"device": "cuda"}))
    ]
    assert [scores["ap50"] for _, scores in averaged(PROTOCOLS["nuclei"], results)] == [0.2, 0.8]


def test_a_gpu_that_is_not_there_is_refused_before_anything_is_written(tracking_set, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InputError, match="device cuda was asked for and PyTorch finds none"):
        reproduce("u373", tmp_path / "out", data=tracking_set, device="cuda", listener=SILENT)
    assert not (tmp_path / "out").exists()


def test_scores_are_written_shortly():
    values = (None, float("nan"), 0.77561, 1.0, 0.000353)
    assert [score(value) for value in values] == ["–", "–", "0.7756", "1.0000", "0.000353"]
    assert [score(value, "merges") for value in (0, 43.0, 29.5)] == ["0", "43", "29.5"]


def test_membranes_are_scored_by_the_measures_of_the_challenge(tmp_path):
    """The layout of isbi2012, and its protocol, with slices of 64 pixels."""
    data = tmp_path / "isbi2012"
    for number, sample in enumerate(synthetic_set(30, shape=(64, 64), seed=0)):
        for kind, array in (
            ("images", sample.image[0]),
            ("labels", np.where(sample.labels > 0, 255, 0)),
        ):
            write_png(data / kind / f"{number:02}.png", array.astype(np.uint8))
    (result,) = reproduce("isbi2012", tmp_path / "out", data=data, minutes=0.03, listener=SILENT)
    for name in PROTOCOLS["isbi2012"].measures:
        assert name in result.scores
    page = (tmp_path / "out/index.html").read_text(encoding="utf-8")
    assert "0.9866" in page and "0.9728" in page and "0.000353" in page


def test_other_images_than_the_published_ones_are_told_on_the_page(tmp_path):
    data = tmp_path / "isbi2012"
    for number, sample in enumerate(synthetic_set(30, shape=(64, 64), seed=0)):
        for kind, array in (("images", sample.image[0]), ("labels", np.where(sample.labels > 0, 255, 0))):
            write_png(data / kind / f"{number:02}.png", array.astype(np.uint8))
    (result,) = reproduce("isbi2012", tmp_path / "out", data=data, minutes=0.02, listener=SILENT)
    assert result.about["images"] == "not the published images"
    assert "not the published images" in (tmp_path / "out/index.html").read_text(encoding="utf-8")
    for wrong in ({"minutes": 0}, {"seeds": [-1]}):
        with pytest.raises(InputError):
            reproduce("isbi2012", tmp_path / "none", data=data, listener=SILENT, **wrong)
    assert not (tmp_path / "none").exists()
