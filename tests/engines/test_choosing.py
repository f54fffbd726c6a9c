"""The fastest engine that is there is taken, with reasons; what is missing, fails or disagrees is told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.engines.fakes import fake
from tests.tiny import trained_run, untrained

from unseam.cli import options
from unseam.engines import Engine, EngineNetwork, choosing
from unseam.engines.choosing import Choice, choices, choose, faster
from unseam.engines.known import OPENVINO, engine_of, torch_on
from unseam.errors import ConfigError, InputError, MissingExtraError, UnseamError
from unseam.prediction import load_model

Array = NDArray[Any]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says which engines are there."""

    def only(*names: str) -> None:
        there = property(lambda engine: engine.name in names)
        monkeypatch.setattr(Engine, "is_installed", there)

    return only


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that multiplies bfloat16."""
    monkeypatch.setattr(choosing, "multiplies_bfloat16", lambda: True)


def in_short(some: Sequence[Choice]) -> list[str]:
    return [f"{choice.engine.name} {choice.precision}" for choice in some]


# What is taken


@pytest.mark.usefixtures("native")
def test_the_fastest_comes_first_and_float32_stands_by(installed: Callable[..., None]) -> None:
    installed("onnx", "torch", "openvino")
    found = choices()
    assert in_short(found) == [
        "openvino bfloat16",
        "openvino float32",
        "torch bfloat16",
        "torch float32",
        "onnx float32",
    ]
    assert found[0].why_engine == "the fastest of those that are installed"
    assert found[0].why_precision == "the processor multiplies it natively"
    assert faster(found[0]) == ""


def test_without_openvino_or_bfloat16(installed: Callable[..., None]) -> None:
    installed("onnx", "torch")
    found = choices()
    assert in_short(found) == ["torch float32", "onnx float32"]
    assert found[0].why_precision == "the processor has no native bfloat16"
    assert found[1].why_precision == "ONNX Runtime computes in it"
    assert faster(found[0]) == "OpenVINO predicts faster on a processor: pip install 'unseam[openvino]'"


def test_where_bfloat16_is_not_known_it_is_not_denied(
    installed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("torch")
    monkeypatch.setattr(choosing, "multiplies_bfloat16", lambda: None)
    (found,) = choices()
    assert found.precision == "float32"
    assert found.why_precision == "whether the processor multiplies bfloat16 is not known on this system"


@pytest.mark.usefixtures("native")
def test_what_is_asked_for_comes_first(installed: Callable[..., None]) -> None:
    installed("onnx", "torch", "openvino")
    assert in_short(choices("onnx"))[:2] == ["onnx float32", "openvino bfloat16"]
    assert in_short(choices("torch", "bfloat16"))[:2] == ["torch bfloat16", "torch float32"]
    assert in_short(choices("torch", "float32"))[:2] == ["torch float32", "openvino float32"]
    assert (
        choices("torch", "float32")[0].why_engine
        == choices("torch", "float32")[0].why_precision
        == "as asked"
    )


@pytest.mark.usefixtures("native")
def test_a_gpu_is_for_pytorch(installed: Callable[..., None]) -> None:
    installed("onnx", "torch", "openvino")
    found = choices(device="cuda")
    assert in_short(found) == ["torch float32"] and found[0].engine.device == "cuda"
    assert found[0].why_engine == "the one that runs on a GPU" and faster(found[0]) == ""
    assert in_short(choices("torch", "bfloat16", device="cuda")) == ["torch bfloat16", "torch float32"]


def test_help_has_the_words_of_the_engines() -> None:
    assert options.ENGINES == choosing.ENGINES and options.PRECISIONS == choosing.PRECISIONS


def test_versions_are_known_without_an_import() -> None:
    assert torch_on("cpu").version == torch.__version__
    assert str(torch_on("cuda:1")) == f"PyTorch on cuda:1 {torch.__version__}"
    odd = replace(fake(), packages=("json",))  # which is installed and is no distribution
    assert odd.version == "2.0.9" and odd.is_installed
    assert not replace(fake(), packages=("no_such_package",)).is_installed


# What is refused


def test_an_engine_that_is_missing_names_its_extra(
    installed: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    installed("torch")
    words = r"engine openvino was asked for and OpenVINO is not installed; .*'unseam\[openvino\]'"
    with pytest.raises(MissingExtraError, match=words):
        load_model(trained_run(tmp_path_factory), engine="openvino")
    installed()
    with pytest.raises(UnseamError, match="no engine runs this network: none is installed"):
        load_model(trained_run(tmp_path_factory))


def test_a_package_that_is_hidden_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert not OPENVINO.is_installed


def test_what_there_is_not() -> None:
    with pytest.raises(InputError, match="engine is 'tpu'; expected one of: auto, openvino, onnx, torch"):
        choices("tpu")
    with pytest.raises(InputError, match="precision is 'int4'; expected one of: auto, float32, bfloat16"):
        choices(precision="int4")
    with pytest.raises(InputError, match="engine onnx runs on the processor, and device cuda was asked for"):
        choices("onnx", device="cuda")
    if engine_of("onnx").is_installed:
        words = "precision bfloat16 was asked for and ONNX Runtime computes in float32 alone; choose another"
        with pytest.raises(ConfigError, match=words):
            choices("onnx", "bfloat16")


# What fails


def failing(*_: Any, **__: Any) -> Any:
    raise RuntimeError("no such\n  kernel")


def test_an_engine_that_fails_is_replaced_and_told() -> None:
    broken = replace(fake(), title="Broken", compile_tile=failing)
    some = [Choice(broken, "bfloat16", "", ""), Choice(fake(), "float32", "", "")]
    chosen = choose(untrained().own.folded, some)
    assert chosen.network.engine.title == "Fake"
    assert chosen.failures == (
        f"Broken {np.__version__}, bfloat16 cannot run this network (no such kernel): "
        "the next engine is taken",
    )
    with pytest.raises(UnseamError, match=r"no engine runs this network: Broken .*no such kernel"):
        choose(untrained().own.folded, some[:1])


# Options


def test_options_reach_the_engine(tmp_path_factory: pytest.TempPathFactory) -> None:
    run = trained_run(tmp_path_factory)
    model = load_model(run, engine="torch", precision="bfloat16", threads=1)
    assert (model.own.engine.name, model.own.precision, model.own.threads) == ("torch", "bfloat16", 1)
    assert model.own.rule.least and model.device == "cpu"
    assert isinstance(model.network, EngineNetwork) and model.own.digest and Path(str(model.path)).is_file()
