"""Engines in a process with others: threads beside each other, settings, memory, what they leave behind."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.engines.fakes import fake, run_by
from tests.engines.test_engines import NAMES, WAYS, by
from tests.export.nets import FLAT, model, tiles
from tests.tiny import untrained

from unseam.engines import EngineNetwork, onnx, openvino
from unseam.engines import torch as by_pytorch
from unseam.engines.engine import telling_memory
from unseam.engines.known import engine_of
from unseam.io.source import array_source

Array = NDArray[Any]


# Threads beside each other


@pytest.mark.parametrize(("engine", "precision"), WAYS)
def test_several_threads_get_what_one_gets(engine: str, precision: str) -> None:
    """A network slow enough for them to meet: with results in one place, nearly each run was another's."""
    network = replace(by(model(FLAT | {"base_width": 16}), engine, precision), threads=1)
    some = list(tiles(network.geometry, 1, seed=5, count=4))
    expected = [network.probabilities(x) for x in some]
    parts = [network.moments(x) for x in some]

    def again(k: int) -> bool:
        return all(
            np.array_equal(network.probabilities(some[k]), expected[k])
            and np.array_equal(network.moments(some[k]), parts[k])
            for _ in range(8)
        )

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(again, range(4))) == [True] * 4


@pytest.mark.parametrize("engine", NAMES)
def test_a_result_is_not_changed_by_the_next(engine: str) -> None:
    network = by(model(FLAT), engine)
    one, other = tiles(network.geometry, 1, seed=6, count=2)
    for function in (network.probabilities, network.moments):
        found = function(one)
        kept = found.copy()
        assert np.abs(function(other) - kept).max() > 1e-4
        np.testing.assert_array_equal(found, kept)


# Settings of PyTorch


def test_settings_of_pytorch_are_as_they_were() -> None:
    cudnn, before = torch.backends.cudnn, torch.get_num_threads()
    for enabled, benchmark in ((True, True), (False, False)):
        with cudnn.flags(enabled=enabled, benchmark=benchmark, deterministic=True, allow_tf32=True):
            with by_pytorch._computing(before + 1, "cuda"):
                assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic) == (enabled, benchmark, True)
                assert not cudnn.allow_tf32 and torch.get_num_threads() == before + 1
            assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic) == (enabled, benchmark, True)
            assert cudnn.allow_tf32 and torch.get_num_threads() == before
    with by_pytorch._computing(0, "cpu"):
        assert cudnn.allow_tf32 and torch.get_num_threads() == before


def test_settings_come_back_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="no such kernel"), by_pytorch._computing(before + 1, "cuda"):
        raise RuntimeError("no such kernel")
    assert torch.backends.cudnn.allow_tf32 and torch.get_num_threads() == before


def test_settings_come_back_when_the_last_of_two_threads_ends() -> None:
    """The first ends while the second computes, which still has what it takes."""
    inside, go_on, before = threading.Event(), threading.Event(), torch.get_num_threads()
    seen: list[bool] = []

    def one() -> None:
        with by_pytorch._computing(before + 1, "cuda"):
            inside.set()
            go_on.wait(10)

    thread = threading.Thread(target=one)
    thread.start()
    inside.wait(10)
    with by_pytorch._computing(before + 2, "cuda"):
        go_on.set()
        thread.join()
        seen += [torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32]
        assert torch.get_num_threads() == before + 2
    assert seen == [True, False]
    assert torch.backends.cudnn.enabled and torch.backends.cudnn.allow_tf32
    with ThreadPoolExecutor(1) as pool:  # a thread that begins now
        assert torch.get_num_threads() == before == pool.submit(torch.get_num_threads).result()


def test_threads_of_a_model_are_not_those_of_the_process() -> None:
    network, before = by(model(FLAT), "torch"), torch.get_num_threads()
    (x,) = tiles(network.geometry, 1, seed=7, count=1)
    replace(network, threads=before + 1).probabilities(x)
    replace(network, threads=before + 1).moments(x)
    assert torch.get_num_threads() == before


# Memory


class Full:
    """What OpenVINO and ONNX Runtime compile, where memory is used up."""

    outputs = (0,)

    def __init__(self, words: str) -> None:
        self.words = words

    def create_infer_request(self) -> Full:
        return self

    def infer(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError(self.words)

    run = compile_model = infer


OPENVINO_SAYS = "Exception from src/inference/src/cpp/core.cpp:117: Check 'ptr' failed at src/plugins/x.h:89"
ONNX_SAYS = "[ONNXRuntimeError] : 1 : FAIL : x.cc:360 Failed to allocate memory for buffer of size 9"
TORCH_SAYS = "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory"


def test_each_engine_tells_that_memory_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    folded, tile = untrained().own.folded, np.zeros((1, 44, 44), np.float32)
    with pytest.raises(MemoryError, match="Check 'ptr' failed"):
        openvino.answers_of(Full(OPENVINO_SAYS))(tile)
    monkeypatch.setattr(openvino, "_core", lambda: Full(OPENVINO_SAYS))
    with pytest.raises(MemoryError, match="Check 'ptr' failed"):
        openvino.compiled_graph(None, "float32", 0)
    monkeypatch.setattr(onnx._SESSIONS, "of", lambda *_: Full(ONNX_SAYS))
    monkeypatch.setattr(onnx._ENCODERS, "of", lambda *_: (Full(ONNX_SAYS), []))
    for failure in (torch.OutOfMemoryError("CUDA out of memory."), RuntimeError(TORCH_SAYS)):

        def fail(*_: Any, failure: Exception = failure) -> Any:
            raise failure

        monkeypatch.setattr(by_pytorch, "_contract", fail)
        for name in ("onnx", "torch"):
            network = EngineNetwork(folded, engine_of(name))
            for function in (network.probabilities, network.moments):
                with pytest.raises(MemoryError, match=r"allocate memory|out of memory"):
                    function(tile)


def test_other_errors_are_as_they_are() -> None:
    for error in (RuntimeError("no such kernel"), MemoryError("numpy")):
        with pytest.raises(type(error), match=str(error)) as caught, telling_memory("memory"):
            raise error
        assert caught.value is error


def test_lack_of_memory_replaces_no_engine() -> None:
    def compile_tile(*_: Any, **__: Any) -> Any:
        raise MemoryError("all of it")

    of = run_by(untrained(), replace(fake(), name="openvino", compile_tile=compile_tile))
    with pytest.raises(MemoryError, match="all of it"):
        of.agreeing(array_source(np.zeros((1, 90, 90), np.float32)))


# What they leave behind


@pytest.mark.parametrize("engine", NAMES)
def test_a_network_goes_with_its_model(engine: str) -> None:
    folded = replace(model(FLAT).own.folded)  # which no other test holds
    network = EngineNetwork(folded, engine_of(engine))
    (x,) = tiles(network.geometry, 1, seed=8, count=1)
    network.probabilities(x)
    network.moments(x)
    gone = weakref.ref(folded)
    del network, folded
    gc.collect()
    assert gone() is None
