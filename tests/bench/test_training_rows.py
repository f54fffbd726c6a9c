"""The rows of training and augmentation: who takes part with what, how runs are made, how they are shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from bench.performance.contest import Result
from bench.performance.page import group_page
from bench.performance.record import Measured, Options, Record
from bench.performance.rows import augmentation, training
from bench.performance.stepping import autocast, counts, laid_out, prepared, stepping
from torch import nn

from unseam.config import Config
from unseam.plan import network_geometry

QUICK = Options(rounds=1, quick=True, threads=1)


def epochs(seconds: dict[int, float]) -> tuple[dict[int, Callable[[], Iterator[str]]], list[str]]:
    """Epochs of two batches, each of which takes so long; and what was taken, in order."""
    taken: list[str] = []

    def of(workers: int) -> Callable[[], Iterator[str]]:
        def epoch() -> Iterator[str]:
            for k in range(2):
                time.sleep(seconds[workers])
                yield f"{workers}{'ab'[k]}"

        return epoch

    return {workers: of(workers) for workers in seconds}, taken


def test_the_first_run_tries_each_number_of_processes_and_the_others_use_the_fastest() -> None:
    given, taken = epochs({0: 0.2, 2: 0.0})
    run = stepping(given, taken.append, counts(patches=6, patch=10, labelled=4))
    first = run()
    assert taken == ["0a", "0a", "0b", "2a", "2b"]  # a step to warm up, then an epoch of each
    assert (first["work"], first["workers"]) == (6, 2) and first["tried"][0] > 0.39 > first["tried"][2]
    taken.clear()
    assert run() == first and taken == ["2a", "2b"]
    assert (first["input_pixels"], first["labelled_pixels"]) == (600, 96)


def test_a_network_in_bfloat16_has_channels_innermost() -> None:
    image = torch.zeros(1, 2, 4, 4)
    net = prepared(nn.Conv2d(2, 2, 3), "bfloat16")
    assert net.training and laid_out(image, "bfloat16").stride(1) == 1 != laid_out(image, "float32").stride(1)
    for dtype, expected in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        with autocast(dtype):
            assert net(image).dtype == expected


def test_everybody_trains_the_network_and_the_patch_of_the_plan() -> None:
    (row,) = training.rows(Options())
    ours, *others = row.contestants
    settings = ours.arguments["settings"]
    patch = settings["train"]["patch"][0]
    assert network_geometry(Config().updated(settings).network).check((patch, patch)) is None
    assert others[0].arguments["settings"]["train"]["precision"] == "float32"
    for one in others[1:]:
        network, there = one.arguments["network"], one.arguments["patch"]
        assert network == {key: settings["network"][key] for key in network}
        assert one.arguments["batch"] == settings["train"]["batch"] and one.arguments["images"] == 12
        assert there == patch or (0 <= patch - there < 8 and there % 8 == 0)
    names = {one.name for one in row.contestants}
    assert names == {"**unseam**", "unseam", "PyTorch loop", "MONAI", "nnU-Net"}


@pytest.mark.parametrize("group", [training, augmentation])
def test_a_quick_row_runs_ours_and_makes_its_page(group: Any) -> None:
    from bench.performance.__main__ import measure

    record = measure("quick", group, QUICK)
    (row,) = record.rows
    assert all(one.seconds and not one.failure for one in row.results)
    assert "| **unseam** | 1.00 |" in group_page(record, group)


def test_patches_and_labelled_pixels_are_compared_apart() -> None:
    def result(name: str, seconds: float, labelled: int, **more: Any) -> Result:
        return Result(name, seconds=(seconds,), said=counts(100, 10, labelled), **more)

    # 100 patches in 2 s and in 6 s: 3 times as slow; of 16 and of 100 labelled pixels: 3 * 16 / 100
    results = (result("ours", 2.0, 4), result("peer", 6.0, 10), Result("gone", failure="not there", note="n"))
    record = Record("t", "a machine", 0.0, 2, (Measured("row", "patch", 1, "", results),))
    lines = training.page(record).splitlines()
    assert lines[4].startswith("| ours | 1.00 | 1.00 | 50.0 | 0.000800 | 0.00500 | 2.00 (one run)")
    assert lines[5].startswith("| peer | 3.00 | 0.480 | 16.7 |")
    assert "not there" in lines[6] and lines[6].count("|") == lines[5].count("|") == lines[2].count("|")


def test_the_page_shows_what_the_augmenters_did() -> None:
    said = {"movement": "mirrored 50%"}
    results = (Result("ours", note="n", seconds=(1.0,), work=2, said=said), Result("gone", failure="no"))
    record = Record("augmentation", "a machine", 0.0, 2, (Measured("row", "patch", 1, "", results),))
    assert "- ours (n): mirrored 50%" in augmentation.page(record)
    assert "gone (" not in augmentation.page(record)
