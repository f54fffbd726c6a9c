"""Every command once as a person gives it, and what it prints, writes and returns."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Ran, Run
from tests.tiny import samples, write_set

from unseam import __version__
from unseam.cli import main
from unseam.cli.commands import doctor
from unseam.cli.options import SECTIONS
from unseam.cli.parser import COMMANDS, build_parser
from unseam.cli.show import listening, stopping
from unseam.io.images import read_labels, write_png
from unseam.io.tiff.write import write_tiff
from unseam.model.checkpoint import load_network, save_model
from unseam.workflow.listener import SILENT, Step

Folders = tuple[Path, Path]


def shell(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "unseam", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )


def test_the_whole_way_from_images_to_scores(run: Run, folders: Folders, tmp_path: Path) -> None:
    images, labels = folders
    settings = ["network.base_width=4", "network.depth=1", "train.patch=[52, 52]", "train.batch=2"]
    options = [part for setting in settings for part in ("--set", setting)]
    trained = run("train", images, labels, "--out", tmp_path / "run", "--iterations", 5, *options)
    assert trained.code == 0 and "network: 2-D U-Net, depth 1, base width 4" in trained.err
    assert f"model: {tmp_path / 'run' / 'model.safetensors'}" in trained.err and trained.out == ""

    predicted = run("predict", tmp_path / "run", images, "--out", tmp_path / "out", "--tile", "40")
    assert predicted.code == 0 and predicted.out == f"3 of 3 images are in {tmp_path / 'out'}\n"
    assert len(list((tmp_path / "out").iterdir())) == 12

    outputs = ["--json", tmp_path / "s.json", "--report", tmp_path / "r.html", "--images", images]
    scored = run("evaluate", labels, tmp_path / "out", *outputs)
    lines = dict(line.split() for line in scored.out.splitlines())
    scores = json.loads((tmp_path / "s.json").read_text())
    assert scored.code == 0 and lines["n_images"] == "3"
    assert float(lines["dice"]) == pytest.approx(scores["set"]["dice"], abs=1e-4)
    assert list(scores["images"]) == ["synthetic_000", "synthetic_001", "synthetic_002"]
    assert (tmp_path / "r.html").stat().st_size > 1000

    measured = run("measure", labels, images, "--out", tmp_path / "t.csv")
    with open(tmp_path / "t.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert measured.code == 0 and len(rows) == scores["set"]["n_true"]
    assert {"image", "id", "area_um2", "mean_ch0"} <= set(rows[0])


def test_classes_are_scored_together_and_one_by_one(run: Run, tmp_path: Path) -> None:
    for name, row in (("t", [[0, 64, 64, 128]]), ("p", [[0, 64, 128, 128]])):
        write_png(tmp_path / f"{name}.png", np.array(row, np.uint8))
    ran = run("evaluate", tmp_path / "t.png", tmp_path / "p.png", "--task", "semantic")
    lines = dict(line.split() for line in ran.out.splitlines())
    # Each class: 1 pixel right, 1 too many or too few.
    assert lines["dice_classes"] == lines["dice[64]"] == lines["dice[128]"] == "0.6667"
    assert (lines["iou_classes"], lines["dice"]) == ("0.5000", "1.0000")


def test_the_options_of_prediction_are_handed_on(run: Run, model: Path, folders: Folders) -> None:
    images, _ = folders
    out = images.parent / "out"
    options = ["--save", "labels, table", "--tta", "mirror", "--device", "cpu", "--pixel-size", "0.1"]
    assert run("predict", model, images / "synthetic_000.tif", "--out", out, *options).code == 0
    assert sorted(file.name for file in out.iterdir()) == ["synthetic_000.csv", "synthetic_000.tif"]
    assert read_labels(out / "synthetic_000.tif").spacing == pytest.approx((0.5, 0.5))  # stated: kept
    again = run("predict", model, images, "--out", out, "--save", "labels,table", "--resume")
    assert again.code == 0 and "synthetic_001.tif" in again.err and "synthetic_000.tif" not in again.err


def test_set_is_put_on_top_of_a_config_file(run: Run, folders: Folders, tmp_path: Path) -> None:
    small = '[network]\nbase_width = 2\ndepth = 2\n[train]\nbatch = 1\noptimizer = "sgd"\n'
    (tmp_path / "c.toml").write_text(small)
    out = tmp_path / "run"
    options = ["--config", tmp_path / "c.toml", "--set", "network.depth=1", "--iterations", 1]
    assert run("train", *folders, "--out", out, *options).code == 0
    said = json.loads(run("info", out, "--json").out)
    assert (said["network"]["base_width"], said["network"]["depth"]) == (2, 1)
    assert 'optimizer = "sgd"' in (out / "config.toml").read_text()


def test_info_says_what_a_model_is(run: Run, model: Path) -> None:
    said = run("info", model)
    lines = {line[:15].strip(): line[15:] for line in said.out.splitlines()}
    assert said.code == 0 and lines["task"] == "instances" and lines["pixel size"] == "0.5 x 0.5 µm"
    assert "base_width 4, depth 1" in lines["network"] and "iterations 40" in lines["training"]
    assert lines["made by"] == f"unseam {__version__}" and "Ronneberger" in lines["cite"]
    assert lines["trained on"] == "4 images, and none held out to choose the best model"
    assert "images_" not in lines["training"] and "held out" not in lines
    assert json.loads(run("info", model / "model.safetensors", "--json").out)["task"] == "instances"


def test_info_says_what_was_chosen_on_the_held_out_images(run: Run, model: Path, tmp_path: Path) -> None:
    net, header = load_network(model / "model.safetensors")
    counts = {"images_learned_from": 17, "images_held_out": 3}
    chosen = {"held_out_scores": {"ap": 0.51234, "ap50": None}, "chosen_on_them": ["model", "grow"]}
    other = replace(header, training={"seed": 0, **counts, **chosen})
    save_model(tmp_path / "m.safetensors", net.state_dict(), other, overwrite=False)
    out = run("info", tmp_path / "m.safetensors").out
    assert "training       seed 0\n" in out
    assert "trained on     17 images, and 3 held out to choose the best model\n" in out
    assert "held out       ap 0.5123, ap50 -; chosen on them: model, grow\n" in out


def test_check_lists_and_judges(run: Run, folders: Folders) -> None:
    good = run("check", *folders)
    assert good.code == 0 and "pairs: 3" in good.out
    assert run("check", folders[0]).out.startswith("images: 3, 0 cannot be read")
    for file in folders[1].iterdir():
        file.write_bytes(b"")
    bad = run("check", *folders)
    assert bad.code == 2 and bad.out.count("is empty (0 bytes)") == 3 and bad.err == ""


def test_doctor_says_what_is_there(run: Run) -> None:
    said = run("doctor")
    assert said.code == 0
    for word in (f"unseam         {__version__}", "PyTorch", "GiB free", "device"):
        assert word in said.out


def test_demo_is_called_with_its_options(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def pretend(out: str, **options: object) -> Path:
        asked.update(options, out=out)
        return Path(out) / "report.html"

    monkeypatch.setattr("unseam.workflow.demo.run_demo", pretend)
    said = run("demo", "--out", "there", "--minutes", "0.5", "--seed", "3", "--overwrite")
    assert said.code == 0 and said.out == f"open {Path('there/report.html')}\n"
    assert (asked["out"], asked["minutes"], asked["seed"], asked["overwrite"]) == ("there", 0.5, 3, True)


def test_help_names_every_command_and_setting(run: Run) -> None:
    said = run("--help")
    assert said.code == 0 and set(COMMANDS) <= set(said.out.split())
    for command in COMMANDS:
        assert run(command, "--help").code == 0
    settings = run("train", "--help").out
    for name, section in SECTIONS.items():
        assert all(f"  {name}.{key} " in settings for key in section.__dataclass_fields__)
    assert run("--version").out == f"unseam {__version__}\n"


def test_options_of_the_configuration_are_open_unless_given() -> None:
    options = build_parser().parse_args(["train", "i", "l", "--out", "r"])
    assert all(getattr(options, name) is None for name in ("minutes", "iterations", "seed", "task", "device"))


def test_debug_shows_the_traceback(folders: Folders, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="does not exist"):
        main(["evaluate", str(tmp_path / "nowhere"), str(folders[1]), "--debug"])


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "stopped\n"),
        (MemoryError(), 1, "unseam doctor: out of memory; close other programs, or give smaller images"),
        (RuntimeError("can't allocate memory: you tried"), 1, "unseam doctor: out of memory; close"),
        (PermissionError(13, "Permission denied", "x.tif"), 1, "cannot use x.tif: Permission denied; check"),
        (
            ZeroDivisionError("by 0"),
            1,
            "unexpected ZeroDivisionError: by 0; run it again with --debug",
        ),
        (BrokenPipeError(), 1, ""),
    ],
)
def test_no_error_gets_through(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, words: str
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(doctor, "run", fail)
    said = run("doctor")
    assert said.code == code and words in said.err and said.err.count("\n") == bool(words)


def test_a_terminal_shows_a_bar_and_every_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with listening() as listener:
        listener.say("pairs: [3]")
        listener.step(Step("reading", 0.5, "a.tif", 65.0))
        listener.step(Step("reading", 1.0))
    assert "pairs: [3]" in capsys.readouterr().err


def test_the_first_interrupt_asks_and_the_second_stops() -> None:
    import signal

    before = signal.getsignal(signal.SIGINT)
    with stopping(SILENT) as should_stop:
        assert not should_stop()
        signal.raise_signal(signal.SIGINT)
        assert should_stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_help_needs_neither_pytorch_nor_scipy() -> None:
    script = (
        "import sys; from unseam.cli import main; main(['train', '--help']); "
        "print([m for m in ('torch', 'scipy', 'skimage', 'matplotlib', 'tifffile') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_scoring_does_not_need_pytorch() -> None:
    script = (
        "import sys, unseam.workflow.evaluation, unseam.workflow.measuring; print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_the_installed_program_returns_its_code_and_no_traceback(tmp_path: Path) -> None:
    failed = shell("evaluate", tmp_path / "a", tmp_path / "b")
    assert failed.returncode == 2 and failed.stdout == ""
    assert failed.stderr == f"unseam evaluate: {tmp_path / 'b'} does not exist; check the name\n"
    assert shell("nonsense").returncode == 2


def test_a_terminal_without_unicode_shows_what_it_can(model: Path) -> None:
    said = shell("info", model, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert said.returncode == 0 and r"0.5 x 0.5 \xb5m" in said.stdout and said.stderr == ""


def test_a_pipe_that_closes_early_is_no_error(tmp_path: Path) -> None:
    images, labels = write_set(tmp_path, samples(1))
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        arguments = [sys.executable, "-m", "unseam", "check", str(images), str(labels)]
        ran = subprocess.run(arguments, stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    assert "Traceback" not in ran.stderr and "BrokenPipe" not in ran.stderr


def test_predict_takes_other_thresholds_and_nothing_else(
    run: Run, model: Path, folders: Folders, tmp_path: Path
) -> None:
    def predict(out: str, setting: str) -> Ran:
        return run(
            "predict", model, folders[0], "--out", tmp_path / out, "--save", "labels", "--set", setting
        )

    assert predict("a", "objects.min_size=9999").code == 0
    results = sorted((tmp_path / "a").iterdir())
    assert len(results) == 3
    assert not any(read_labels(path).data.any() for path in results)
    refused = predict("b", "network.depth=3")
    assert refused.code == 2
    assert "a trained model takes objects.threshold and the like" in refused.err
    assert not (tmp_path / "b").exists()


def test_errors_by_size_are_told_beside_the_scores(run: Run, tmp_path: Path) -> None:
    truth = np.zeros((8, 8), np.uint8)
    truth[1:3, 1:3], truth[5:8, 4:8] = 1, 2
    for name, labels in (("true", truth), ("pred", np.where(truth == 2, 0, truth))):
        (tmp_path / name).mkdir()
        write_tiff(tmp_path / name / "a.tif", labels, axes="YX")
    said = run("evaluate", tmp_path / "true", tmp_path / "pred")
    assert said.code == 0 and "errors" not in said.out
    rows = [line.split() for line in said.err.splitlines() if line.startswith("  ")][1:]
    #        sizes            true found boundary merged split missed false
    assert rows == [["4", "to", "4", *"1100000"], ["12", "to", "12", *"1000010"]]


def test_evaluate_scores_membranes(run: Run, model: Path, folders: tuple[Path, Path], tmp_path: Path) -> None:
    images, labels = folders
    assert run("predict", model, images, "--out", tmp_path / "out").code == 0
    scored = run("evaluate", labels, tmp_path / "out", "--isbi")
    printed = dict(line.split() for line in scored.out.splitlines())
    assert scored.code == 0 and 0 <= float(printed["isbi_warping_error"]) < 1
    assert float(printed["isbi_v_rand_thinned"]) > 0 and "ap50" in printed
    (tmp_path / "out").joinpath(next((tmp_path / "out").glob("*_probabilities.tif")).name).unlink()
    refused = run("evaluate", labels, tmp_path / "out", "--isbi")
    assert refused.code == 2 and "predict with --save labels,probabilities" in refused.err
