"""Training on several ranks: the same as one process with the batches joined, ended together, told once.

Real processes over gloo; `ranks.py` is what most of them run. All that need not wait for each other are
started at once, as starting Python takes most of the time.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.conftest import ROOT
from tests.tiny import samples, write_set
from tests.training import ranks
from tests.training import test_loop as one

from unseam.cli import main, speaks
from unseam.cli.show import listening
from unseam.errors import ConfigError, FailedElsewhereError, TrainingError
from unseam.training import distributed, loop
from unseam.training.distributed import (
    ALONE,
    World,
    agree,
    average,
    joined,
    own_device,
    share,
    share_state,
)
from unseam.workflow.listener import SILENT
from unseam.workflow.run import read_history

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
FAILING = """
import os
from unseam.cli import run
from unseam.data.dataset import PatchSampler
draw = PatchSampler.batch
def batch(self, number, size):
    if os.environ["RANK"] == "1" and number == 11:
        raise MemoryError
    return draw(self, number, size)
PatchSampler.batch = batch
run()
"""
Process = subprocess.Popen[str]
Folders = tuple[Path, Path]


def started(words: list[str], **environment: str) -> Process:
    """A process that imports from this tree."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    inherited = {k: v for k, v in os.environ.items() if k not in (*distributed.VARIABLES, "LOCAL_RANK")}
    variables = {**inherited, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables, cwd=ROOT
    )


def pair(words: list[str]) -> list[Process]:
    """Two ranks without torchrun, as a scheduler starts them: nobody ends one when the other ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    fixed = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [started([sys.executable, *words], RANK=str(r), LOCAL_RANK=str(r), **fixed) for r in (0, 1)]


def ended(process: Process, seconds: float = 90) -> tuple[int, str]:
    """The exit code of a process and all that it has printed."""
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out + err


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return write_set(tmp_path_factory.mktemp("set"), samples(4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module", autouse=True)
def processes(folders: Folders, folder: Path) -> Iterator[dict[str, list[Process]]]:
    """All that is started at once, by name."""
    killed = ranks.command(*folders, folder / "killed", "norm")
    failing = ranks.command(*folders, folder / "failing", "norm")
    nothing = ranks.command(folders[0] / "nothing", folders[1], folder / "nothing", "norm")
    script = [str(ROOT / "tests/training/ranks.py"), str(folder), *map(str, folders)]
    begun = {
        "killed": pair(["-m", "unseam", *killed]),
        "failing": pair(["-c", FAILING, *failing]),
        "whole": pair(script),
        "nothing": [started([*TORCHRUN, "-m", "unseam", *nothing])],
    }
    yield begun
    for process in (process for group in begun.values() for process in group):
        with process:
            process.terminate()  # torchrun ends its ranks then


# Ends


@pytest.fixture(scope="module")
def survivor(processes: dict[str, list[Process]], folder: Path) -> tuple[int, str, float]:
    """How rank 0 ends when rank 1 is killed some steps after a checkpoint, and in which time."""
    first, second = processes["killed"]
    deadline = time.monotonic() + 60
    while not (folder / "killed/checkpoint.safetensors").exists():
        assert first.poll() is None and time.monotonic() < deadline, first.communicate()
        time.sleep(0.005)
    second.send_signal(signal.SIGKILL)
    began = time.monotonic()
    code, told = ended(first)
    return code, told, time.monotonic() - began


def test_a_rank_that_is_killed_ends_the_others_with_a_sentence(survivor: tuple[int, str, float]) -> None:
    code, told, seconds = survivor
    assert code == 1 and seconds < 10
    sentence = (
        r"^unseam train: another rank ended without a word, killed or its machine lost \([^[].*\); "
        "start all again with --resume: they go on from the last checkpoint$"
    )
    assert len(re.findall(sentence, told, re.MULTILINE)) == 1, told
    assert "Traceback" not in told


def test_a_rank_that_fails_in_the_middle_says_why_and_ends_all(processes: dict[str, list[Process]]) -> None:
    (code, told), (other_code, other_told) = (ended(process) for process in processes["failing"])
    assert code == 1 and "unseam train:" not in told and "Traceback" not in told  # the other one says it
    assert other_code == 1 and other_told.count("unseam train:") == 1
    assert "unseam train: out of memory; close other programs" in other_told


def test_input_that_no_rank_can_read_is_told_once(
    processes: dict[str, list[Process]], folder: Path, folders: Folders
) -> None:
    code, told = ended(processes["nothing"][0])
    assert code == 1 and told.count("does not exist") == 1
    assert f"unseam train: {folders[0] / 'nothing'} does not exist" in told
    assert not (folder / "nothing").exists()


# The same as one process


@pytest.fixture(scope="module")
def whole(processes: dict[str, list[Process]]) -> str:
    """What the two ranks of `ranks.py` have printed; their own assertions held."""
    (code, told), (other_code, other_told) = (ended(process) for process in processes["whole"])
    assert code == other_code == 0, told + other_told
    return told + other_told


@pytest.fixture(scope="module")
def alone(folders: Folders, folder: Path) -> Path:
    """The first two runs by one process with the batches joined."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the ranks; two would wait for each other most of the time
    with pytest.MonkeyPatch.context() as patch:
        for drawing in ranks.DRAWINGS:
            patch.setattr(f"unseam.workflow.run.{drawing}", ranks.touch)
        for name in ("plain", "norm"):
            assert main(ranks.command(*folders, folder / "alone" / name, name, batch=4)) == 0
    torch.set_num_threads(threads)
    return folder / "alone"


@pytest.mark.usefixtures("whole")
def test_without_batch_norm_two_ranks_are_one_process_with_the_batches_joined(
    folder: Path, alone: Path
) -> None:
    found = load_file(folder / "plain.0")
    expected = load_file(alone / "plain/checkpoint.safetensors")
    assert found.keys() == expected.keys()
    for name in (name for name in expected if name.startswith("net.")):
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-5)
    untrained = one.UNet(
        1, 2, base_width=4, depth=1, batch_norm=False, generator=torch.Generator().manual_seed(0)
    )
    moved = [(found[f"net.{k}"] - v).abs().max().item() for k, v in untrained.state_dict().items()]
    assert max(moved) > 0.01


@pytest.mark.usefixtures("whole")
def test_with_batch_norm_the_loss_falls_as_that_of_one_process(folder: Path, alone: Path) -> None:
    # The mean loss of the last third within 15 %: each rank normalises over its own patches.
    def losses(run: Path) -> list[float]:
        return [row["loss"] for row in read_history(run / "history.csv") if row["iteration"] % 10 == 0]

    two, one_process = losses(folder / "norm"), losses(alone / "norm")
    third = len(two) // 3
    assert np.mean(two[-third:]) == pytest.approx(np.mean(one_process[-third:]), rel=0.15)
    for curve in (two, one_process):
        assert np.mean(curve[-third:]) < 0.7 * curve[0]


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("name", ["plain", "norm", "minutes", "stopped"])
def test_all_ranks_end_with_the_same_state(folder: Path, name: str) -> None:
    a, b = (load_file(folder / f"{name}.{rank}") for rank in (0, 1))
    assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
    written = load_file(folder / name / "checkpoint.safetensors")
    assert all(torch.equal(a[key], written[key]) for key in a)


@pytest.mark.usefixtures("whole")
def test_all_ranks_return_the_model_that_was_written(folder: Path) -> None:
    a, b = ((folder / f"model.{rank}").read_text() for rank in (0, 1))
    assert a == b and '"iterations": 7,' in a  # rank 1 was asked to stop after 7 steps


def test_what_is_done_is_told_once(whole: str) -> None:
    assert whole.count("images: 3 to learn from") == len(ranks.RUNS) + 1
    assert whole.count("patches: 2 of 52 x 52 px a step on each of 2 ranks, 4 in all") == len(ranks.RUNS) + 1


# Going on


@pytest.mark.usefixtures("whole", "survivor")
def test_ranks_that_were_killed_go_on_exactly(folder: Path, folders: Folders) -> None:
    def same() -> bool:
        runs = (load_file(folder / run / "checkpoint.safetensors") for run in ("norm", "killed"))
        a, b = runs
        return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)

    assert not same()
    words = ranks.command(*folders, folder / "killed", "norm", "--resume")
    code, told = ended(started([*TORCHRUN, "-m", "unseam", *words]))
    assert code == 0, told
    assert told.count("going on from iteration") == 1 and told.count("model: ") == 1
    assert same()


@pytest.mark.usefixtures("whole")
def test_a_run_is_not_continued_on_another_number_of_ranks(
    folder: Path, folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(ranks.command(*folders, folder / "norm", "norm", "--resume")) == 2
    assert "the run was started on 2 ranks and is resumed on 1; start as many" in capsys.readouterr().err


# In one process


def test_alone_nothing_is_averaged_or_sent() -> None:
    tensor = torch.tensor([1.0, 3.0])
    average([tensor], ALONE)
    share_state(one.new(one.configured()), ALONE)
    assert tensor.tolist() == [1, 3] and agree(0.3, True, ALONE) == (0.3, True)
    assert share(b"data", ALONE) == b"data"


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_ranks_share_out_the_patches_of_the_joined_batch(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Step 5 of `size` ranks with 2 patches each: patches 10 * size to 10 * size + 2 * size - 1, each once.
    drawn: list[int] = []
    sampler = one.sampler()
    patch = sampler.patch(0)
    monkeypatch.setattr(sampler, "patch", lambda k: drawn.append(k) or patch)
    for rank in range(size):
        sampler.batch(World(rank, size).batch_number(5), 2)
    assert drawn == list(range(10 * size, 12 * size))


@pytest.mark.parametrize("size", [None, "1"])
def test_one_process_is_alone(monkeypatch: pytest.MonkeyPatch, size: str | None) -> None:
    if size:
        set_world(monkeypatch, RANK="0", WORLD_SIZE=size)
    with joined() as world:
        assert world == ALONE


def set_world(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"RANK": "0", "WORLD_SIZE": "2"}, "says rank 0 of 2 but not MASTER_ADDR and MASTER_PORT; start the"),
        ({"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, "RANK=2 and WORLD_SIZE=2"),
        ({"RANK": "one", "WORLD_SIZE": "2"}, "says RANK='one'; a whole number was expected"),
    ],
)
def test_half_an_environment_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    set_world(monkeypatch, **variables)
    with pytest.raises(ConfigError, match=words), joined():
        pass


def test_ranks_that_do_not_meet_are_told_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "STEP_WAIT", timedelta(seconds=1))
    set_world(monkeypatch, RANK="1", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT="9")
    words = r"rank 1 of 2 did not meet the others at 127\.0\.0\.1:9 .* check that all were started"
    with pytest.raises(TrainingError, match=words), joined():
        pass


def test_the_first_to_fail_speaks_and_so_does_who_cannot_know() -> None:
    count = iter([1, 2])
    store = SimpleNamespace(add=lambda *_: next(count))
    assert distributed._is_first_failure(store) and not distributed._is_first_failure(store)

    def lost(*_: object) -> int:
        raise torch.distributed.DistNetworkError("Broken pipe")

    assert distributed._is_first_failure(SimpleNamespace(add=lost))


def test_a_rank_takes_the_gpu_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert own_device(cuda, World(5, 6, local_rank=1)) == torch.device("cuda", 1) and taken == [1]
    assert own_device(cuda, ALONE) is cuda and own_device(cpu, World(5, 6, local_rank=3)) is cpu
    with pytest.raises(
        ConfigError, match="local rank 2 needs a GPU of its own and this machine has 2; start"
    ):
        own_device(cuda, World(2, 6, local_rank=2))


def test_a_loss_that_is_not_finite_elsewhere_is_told_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(tensors: list[torch.Tensor], world: World) -> None:
        assert world.size == 2
        tensors[-2].fill_(torch.nan)  # the mean loss
        tensors[-1].fill_(0.5)  # the share of ranks whose own loss is not finite

    monkeypatch.setattr(loop, "average", spoil)
    config = one.configured()
    with pytest.raises(
        FailedElsewhereError, match="the loss is not finite on another rank; its message says"
    ):
        loop.train_step(
            one.new(config), one.sampler().batch(0, 2), 0.1, config, low_precision=False, world=World(0, 2)
        )


def test_options_that_are_wrong_are_told_by_one_process_of_a_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert speaks() and main(["train"]) == 2 and "usage: unseam train" in capsys.readouterr().err
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not speaks() and main(["train"]) == 2 and main(["--version"]) == 0
    assert capsys.readouterr() == ("", "")
    with listening(speaking=False) as listener:
        assert listener is SILENT
