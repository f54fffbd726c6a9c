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
from tests.engines.fakes import fake, faked, run_by
from tests.tiny import samples, trained_run, untrained

from unseam.cli import options
from unseam.engines import Engine, EngineNetwork, agreement, choosing
from unseam.engines.agreement import COMPARED, Agreement, _rounded_up, compare, compared_size, known_agreement
from unseam.engines.choosing import Choice, choices, choose, faster
from unseam.engines.known import OPENVINO, engine_of, torch_on
from unseam.errors import ConfigError, InputError, MissingExtraError, UnseamError
from unseam.io.source import array_source
from unseam.prediction import Model, load_model
from unseam.workflow.agreeing import Agreed, engine_line
from unseam.workflow.listener import Listener

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
        words = "precision bfloat16 was asked for and ONNX Runtime computes in float32 here"
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


# Agreement


def test_agreement_by_hand() -> None:
    found, expected = np.float32([[[0.9, 0.6]], [[0.1, 0.4]]]), np.float32([[[0.8, 0.4]], [[0.2, 0.6]]])
    seen = agreement._compared(found, expected, "bfloat16")
    assert (seen.largest, seen.mean) == (pytest.approx(0.2), pytest.approx(0.15))
    assert seen.otherwise == 0.5 and not seen.is_good
    assert str(seen) == "probabilities within 0.2 of float32 on the first tile"
    assert seen.in_full.endswith("0.15 on average, and 50.00% of pixels are of another class")


@pytest.mark.parametrize(
    ("numbers", "good"),
    [
        ((9e-4, 5e-5, 0.0, "float32"), True),
        ((2e-3, 5e-5, 0.0, "float32"), False),
        ((0.06, 2e-3, 3e-3, "bfloat16"), True),
        ((0.06, 0.03, 3e-3, "bfloat16"), False),
        ((0.06, 2e-3, 0.03, "bfloat16"), False),
        ((float("nan"), 0.0, 0.0, "bfloat16"), False),
    ],
)
def test_bounds(numbers: tuple[float, float, float, str], good: bool) -> None:
    assert Agreement(*numbers).is_good is good


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0213, "0.03"), (3.1e-7, "4e-07"), (0.0, "0"), (0.02, "0.02"), (float("nan"), "nan")],
)
def test_differences_are_rounded_up(value: float, words: str) -> None:
    assert _rounded_up(value) == words


def test_the_middle_of_a_tile_is_compared_with_pytorch() -> None:
    """PyTorch through another door agrees to the last digits, whichever tile it is asked for."""
    model = untrained()
    other = run_by(model, replace(torch_on("cpu"), name="other"), "float32")
    for shapes in ((), ((200, 300),)):
        network = other.own.with_rule(replace(other.own.rule, shapes=shapes))
        size = network.geometry.input_for(compared_size(network))
        tile = np.random.default_rng(0).normal(size=(1, *size)).astype(np.float32)
        assert compare(network, tile).largest < 1e-5
        wrong = replace(network, engine=fake())
        assert compare(wrong, tile).largest > 1e-3
    assert compared_size(other.own) == (COMPARED[2],) * 2


def test_what_was_found_is_remembered_where_pytorch_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    network = replace(faked().own, digest="this model")
    assert known_agreement(network) is None
    tile = np.zeros((1, *network.geometry.input_for(compared_size(network))), np.float32)
    seen = compare(network, tile)
    assert known_agreement(network) is seen
    again = replace(network)  # as it is loaded another day
    assert known_agreement(again) is None  # PyTorch can be asked anew
    monkeypatch.delitem(sys.modules, "torch")
    assert known_agreement(again) == seen
    assert known_agreement(replace(network, precision="float32")) is None
    assert known_agreement(replace(network, digest="")) is None


def wrongly(model: Model, wrong: float) -> Model:
    """The model run by an engine that adds to each probability."""
    plain = torch_on("cpu")

    def compile_tile(*of: Any, **how: Any) -> Any:
        run = plain.compile_tile(*of, **how)
        return lambda x: run(x) + np.float32(wrong)

    return run_by(model, replace(plain, name="openvino", title="Wrong", compile_tile=compile_tile), "float32")


def test_an_engine_that_disagrees_is_replaced_and_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    model = load_model(trained_run(tmp_path_factory), device="cpu", engine="torch")
    image, said = samples(1, size=120, seed=9)[0].image, list[str]()
    expected = model.predict(image)
    wrong = wrongly(model, 0.01)
    np.testing.assert_allclose(wrong.predict(image).probabilities, expected.probabilities, atol=1e-5)
    source = array_source(image)
    agreed = Agreed(wrong, Listener(said.append))
    found = agreed.on(source)
    assert agreed.on(source) is found and found.own.engine.title != "Wrong"
    assert said[0].startswith(f"Wrong {torch.__version__}, float32 disagrees with PyTorch in float32 (probab")
    assert said[0].endswith(" is taken") and said[1] == engine_line(found) and len(said) == 2
    assert wrong.agreeing(source).network is wrong.agreeing(source).network  # chosen once
    near = wrongly(model, 5e-5).agreeing(source)
    assert near.own.engine.title == "Wrong" and near.agreement is not None
    assert engine_line(near).endswith("; probabilities within 6e-05 of float32 on the first tile")


def test_pytorch_in_float32_is_not_compared_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unseam.prediction.model.compare", lambda *_: pytest.fail("it is the same"))
    model = untrained()
    assert model.agreeing(array_source(np.zeros((1, 9, 9)))) is model
    assert engine_line(model) == f"engine: PyTorch {torch.__version__}, float32"


def test_options_reach_the_engine(tmp_path_factory: pytest.TempPathFactory) -> None:
    run = trained_run(tmp_path_factory)
    model = load_model(run, engine="torch", precision="bfloat16", threads=1)
    assert (model.own.engine.name, model.own.precision, model.own.threads) == ("torch", "bfloat16", 1)
    assert model.own.rule.least and model.device == "cpu"
    assert isinstance(model.network, EngineNetwork) and model.own.digest and Path(str(model.path)).is_file()
