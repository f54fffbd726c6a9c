"""Rows of docs/accuracy.md as they are run: what is refused, what fails, and ours from end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bench.accuracy import __main__ as command
from bench.accuracy import others, running
from bench.accuracy.peers import PEERS
from bench.accuracy.record import Record, read, write

from unseam.data.synthetic import synthetic_set
from unseam.io.tiff.write import write_tiff
from unseam.workflow.reproduction.protocols import protocol

ROOT = Path(__file__).resolve().parents[2]
ONE = Record("smp", "nuclei", 10, 0, "a machine", 2, 0.1, {"ap50": 0.7, "ap": 0.4}, (600.0,), ({"steps": 9},))


def test_absent_data_and_a_set_that_does_not_fit_are_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNSEAM_DATA", str(tmp_path))
    assert command.main(["run", "smp", "nuclei", "1"]) == 2
    assert "dsb2018 is not there; set UNSEAM_DATA to the folder that holds dsb2018" in capsys.readouterr().err
    (tmp_path / "isbi2012").mkdir()
    assert command.main(["run", "stardist", "isbi2012", "1"]) == 2
    assert "StarDist does not fit isbi2012; it is measured on nuclei, hela" in capsys.readouterr().err


def test_a_peer_that_cannot_be_installed_becomes_a_record_that_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = tmp_path / "make.sh"
    maker.write_text("#!/bin/sh\necho 'ERROR: No matching distribution found for it' >&2\n", encoding="utf-8")
    maker.chmod(0o755)
    monkeypatch.setattr(running, "MAKE", maker)
    monkeypatch.setenv("UNSEAM_PEERS", str(tmp_path / "peers"))
    about = {"peer": "smp", "dataset": "nuclei", "minutes": 1.0, "seed": 0, "threads": 1}
    record = running.run_row(about, data=tmp_path, out=tmp_path / "out")
    assert record.failure == "could not be installed: No matching distribution found for it"
    assert record.scores == {}


@pytest.mark.parametrize(("peer", "tta"), [("unseam", "none"), ("unseam-paper", "turn")])
def test_what_is_scored_is_averaged_as_the_preset_says(
    peer: str, tta: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset, calls = PEERS[peer].variant, []
    trial = tmp_path / "reproduce" / f"{preset}-1min-cpu-seed0"
    trial.mkdir(parents=True)
    done = {"iterations": 3, "machine": "", "seconds": 60.0}
    (trial / "result.json").write_text(json.dumps(done), encoding="utf-8")
    monkeypatch.setattr(running, "_call", lambda command, *_, **__: calls.append(list(command)))
    monkeypatch.setattr(running, "_score", lambda *_: {})
    about = {"minutes": 1, "seed": 0, "threads": 1, "data": tmp_path, "device": "cpu", "direction": ""}
    running._ours(PEERS[peer], protocol("nuclei"), [], tmp_path, about)
    predict = next(command for command in calls if "predict" in command)
    assert predict[predict.index("--tta") + 1] == tta


def test_only_rows_on_the_cpu_are_hidden_from_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    said = [sys.executable, "-c", "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"]
    for device, visible in (("cpu", ""), ("cuda", "3")):
        running._call(said, tmp_path / "log.txt", 1, device=device)
        assert (tmp_path / "log.txt").read_text(encoding="utf-8").strip() == visible


def test_a_gpu_that_is_not_there_and_a_peer_on_one_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert command.main(["run", "unseam", "nuclei", "1", "--device", "cuda"]) == 2
    assert "device cuda was asked for and PyTorch finds none" in capsys.readouterr().err
    assert command.main(["run", "smp", "nuclei", "1", "--device", "cuda"]) == 2
    assert "Unet is measured on the CPU alone; leave out --device" in capsys.readouterr().err
    done = gpu_script(tmp_path, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 2
    assert "DEVICE=cpu MINUTES=0.2 bench/accuracy/gpu.sh" in done.stderr


def test_the_script_of_the_gpu_refuses_another_device_at_once(tmp_path: Path) -> None:
    done = gpu_script(tmp_path, DEVICE="gpu")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == "DEVICE is gpu; cuda or cpu was expected\n"


def test_a_row_that_is_measured_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(ONE, tmp_path)
    run = ["run", "smp", "nuclei", "10", "--missing", "--results", str(tmp_path)]
    assert command.main(run) == 0
    assert "smp-nuclei-10-0 is measured already" in capsys.readouterr().out


def gpu_script(results: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT / "src"), "RESULTS": str(results)}
    return subprocess.run(
        [str(ROOT / "bench" / "accuracy" / "gpu.sh")],
        env={**os.environ, **paths, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_script_of_the_gpu_does_it_all_on_a_processor_as_a_trial(tmp_path: Path) -> None:
    """On a set of three frames a sequence in the layout of the real one."""
    for number, sequence in enumerate(("01", "02")):
        for frame, sample in enumerate(synthetic_set(3, shape=(64, 64), seed=number)):
            for name, array in (
                (f"{sequence}/t{frame:03}.tif", sample.image[0]),
                (f"{sequence}_GT/SEG/man_seg{frame:03}.tif", sample.labels.astype(np.uint16)),
                (f"{sequence}_GT/TRA/man_track{frame:03}.tif", sample.labels.astype(np.uint16)),
            ):
                path = tmp_path / "data" / "DIC-C2DH-HeLa" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write_tiff(path, array, axes="YX")
    settings = {"DEVICE": "cpu", "MINUTES": "0.02", "SETS": "hela", "PRESETS": "unseam", "THREADS": "1"}
    settings |= {"UNSEAM_DATA": str(tmp_path / "data"), "UNSEAM_RUNS": str(tmp_path / "runs")}
    done = gpu_script(tmp_path / "results", **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    record = read(tmp_path / "results" / "unseam-hela-0.02-0.json")
    assert (record.device, record.threads, record.failure) == ("cpu", 1, "")
    assert "NVIDIA" not in record.machine
    assert len(record.seconds) == len(record.said) == 2  # both ways
    assert all(seconds >= 1.2 for seconds in record.seconds)  # measured, not the budget said again
    seg = [json.loads(path.read_text(encoding="utf-8"))["set"]["seg"] for path in tmp_path.glob(SCORES)]
    assert len(seg) == 2 and record.scores["seg"] == pytest.approx(np.mean(seg))


SCORES = "runs/unseam-hela-0.02-0/0*/scores.json"


def test_a_script_that_ends_badly_says_its_last_line(tmp_path: Path) -> None:
    failing = [sys.executable, "-c", "raise SystemExit('no memory')"]
    with pytest.raises(running.Failed, match="ended with code 1: no memory"):
        running._call(failing, tmp_path / "log.txt", 1)


@pytest.mark.parametrize("script", ["run.sh", "all.sh", "gpu.sh"])
def test_scripts_say_their_usage(script: str) -> None:
    text = (ROOT / "bench" / "accuracy" / script).read_text(encoding="utf-8")
    assert f"bench/accuracy/{script}" in text.split("set -")[0]
    subprocess.run(["bash", "-n", str(ROOT / "bench" / "accuracy" / script)], check=True)


def test_run_without_arguments_says_its_usage() -> None:
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [str(ROOT / "bench" / "accuracy" / "run.sh")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "usage: python -m bench.accuracy run" in done.stderr
    assert "PEER DATASET MINUTES [SEED]" in done.stderr


def test_what_others_take_is_what_is_not_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat, now, own = tmp_path / "stat", [100.0], [7.0]
    monkeypatch.setattr(others.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(others, "own_seconds", lambda: own[0])

    def counts(*seconds: int) -> str:
        """User, nice, system, idle, waiting for disks, two kinds of interrupts, and what is not counted."""
        return " ".join(str(s * os.sysconf("SC_CLK_TCK")) for s in (*seconds, 9, 9))

    stat.write_text(f"cpu {counts(9)}\ncpu0 {counts(3, 0, 1, 50, 0, 0, 0)}\ncpu1 {counts(*[0] * 7)}\n")
    counted = others.Others([0, 1], stat)
    now[0], own[0] = 110.0, 22.0  # 15 seconds of our own in 10 by the clock, of the 20 that were busy
    after = f"cpu0 {counts(10, 1, 2, 50, 0, 0, 1)}\ncpu1 {counts(10, 0, 0, 7, 7, 0, 0)}\n"
    stat.write_text(f"cpu {counts(99)}\n{after}cpu2 {counts(90, 0, 0, 0, 0, 0, 0)}\nintr 7\n")
    assert counted.busy() == 0.5
    assert len(others.first_processors(1)) == 1
    monkeypatch.setattr(os, "getloadavg", lambda: (1.25, 0.0, 0.0))
    assert others.Others([0], tmp_path / "none").busy() == 1.25
