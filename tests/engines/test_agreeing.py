"""An engine that is wrong or fails is noticed on the first images and replaced; a right one is remembered."""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.engines.fakes import fake, run_by
from tests.tiny import samples, trained_run, untrained

from unseam.engines import EngineNetwork, agreement, known
from unseam.engines.agreement import COMPARED, Agreement, _rounded_up, compare, compared_size, known_agreement
from unseam.engines.known import OPENVINO, torch_on
from unseam.errors import EngineWarning
from unseam.io import remembered
from unseam.io.remembered import cache_folder, remember
from unseam.io.source import array_source
from unseam.prediction import Model, load_model
from unseam.workflow.agreeing import Agreed, engine_line
from unseam.workflow.listener import Listener

Array = NDArray[Any]
IMAGE = samples(1, size=120, seed=9)[0].image


def tile_of(network: EngineNetwork, *, blank: bool = False) -> Array:
    """A tile to be compared, (1, *input)."""
    size = network.geometry.input_for(compared_size(network))
    if blank:
        return np.zeros((1, *size), np.float32)
    return np.random.default_rng(0).normal(0.5, 0.5, (1, *size)).astype(np.float32)


def seen_on(network: EngineNetwork, tile: Array) -> Agreement:
    return compare(network, tile, network.probabilities(tile))


def changed(of: Model, change: Any, name: str = "openvino", precision: str = "float32") -> Model:
    """The model run by an engine that changes what PyTorch gives, and is called Wrong."""
    plain = torch_on("cpu")

    def compile_tile(*args: Any, **how: Any) -> Any:
        run = plain.compile_tile(*args, **how | {"precision": "float32"})
        return lambda x: change(run(x))

    return run_by(of, replace(plain, name=name, title="Wrong", compile_tile=compile_tile), precision)


def wrongly(of: Model, wrong: float) -> Model:
    return changed(of, lambda p: p + np.float32(wrong))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(trained_run(tmp_path_factory), device="cpu", engine="torch")


# What is compared


def test_agreement_by_hand() -> None:
    found, expected = np.float32([[[0.9, 0.6]], [[0.1, 0.4]]]), np.float32([[[0.8, 0.4]], [[0.2, 0.6]]])
    seen = agreement._compared(found, expected, "bfloat16")
    assert (seen.largest, seen.mean) == (pytest.approx(0.2), pytest.approx(0.15))
    assert seen.otherwise == 0.5 and not seen.is_good and not seen.is_blank
    assert str(seen) == "probabilities within 0.2 of float32 on the first tile"
    assert seen.in_full.endswith("0.15 on average, and 50.00% of pixels are of another class")
    blank = agreement._compared(found, found, "bfloat16")  # both pixels are of class 0
    assert blank.is_blank and str(blank) == "probabilities within 0 of float32 on a blank tile"
    recalled = replace(seen, is_recalled=True)
    assert str(recalled) == "probabilities within 0.2 of float32 when it was compared"


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
    other = run_by(untrained(), replace(torch_on("cpu"), name="other"), "float32")
    for shapes in ((), ((200, 300),)):
        network = other.own.with_rule(replace(other.own.rule, shapes=shapes))
        assert seen_on(network, tile_of(network)).largest < 1e-5
        wrong = replace(network, engine=fake())
        assert seen_on(wrong, tile_of(wrong)).largest > 1e-3
    assert compared_size(other.own) == (COMPARED[2],) * 2


# What is remembered


def test_what_was_found_is_remembered_where_pytorch_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    network = replace(wrongly(untrained(), 1e-5).own, digest="this model")
    assert known_agreement(network) is None
    seen = seen_on(network, tile_of(network))
    assert seen.is_good and not seen.is_blank and known_agreement(network) is seen
    again = replace(network)  # as it is loaded another day
    assert known_agreement(again) is None  # PyTorch can be asked anew
    monkeypatch.delitem(sys.modules, "torch")
    assert known_agreement(again) == replace(seen, is_recalled=True)
    assert known_agreement(replace(network, precision="bfloat16")) is None
    assert known_agreement(replace(network, threads=7)) is None
    assert known_agreement(replace(network, digest="")) is None
    monkeypatch.setattr("unseam.engines.network.version", lambda _: "0.0")
    assert known_agreement(replace(network)) is None  # of an unseam that may compute otherwise


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "text",
        ["largest"],
        {},
        {"largest": 0.0},
        {"largest": 0.0, "mean": 0.0, "otherwise": None},
        {"largest": 0.0, "mean": 0.0, "otherwise": "many"},
        {"largest": 0.0, "mean": 0.0, "otherwise": [0.0]},
        {"largest": float("nan"), "mean": 0.0, "otherwise": 0.0},
        {"largest": 0.0, "mean": -1.0, "otherwise": 0.0},
        {"largest": 0.5, "mean": 0.4, "otherwise": 1.0},  # which speaks against an engine that may be right
    ],
)
def test_what_is_damaged_is_compared_anew(value: Any, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    of = wrongly(model, 1e-5)
    of = replace(of, network=replace(of.own, digest="damaged"))
    remember(agreement.KIND, of.own.key, value)
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "torch")
        assert known_agreement(of.own) is None
    found = of.agreeing(array_source(IMAGE))
    assert found.own is of.own and found.agreement is not None and found.agreement.largest < 1e-4
    assert json.loads((cache_folder() / f"{agreement.KIND}.json").read_text())[of.own.key] != value


def test_what_speaks_against_an_engine_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    network = replace(wrongly(untrained(), 0.1).own, digest="wrong model")
    assert not seen_on(network, tile_of(network)).is_good
    monkeypatch.delitem(sys.modules, "torch")
    assert known_agreement(replace(network)) is None


def test_blank_tiles_are_not_remembered_and_the_worst_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Differences of 0.002, 0.001 and 0.003 of the first class, on tiles blank, blank and not."""
    by_tile = [2e-3, 1e-3, 3e-3, 0.0]

    def plus(p: Array) -> Array:
        return p + np.float32(by_tile[0]) * np.float32([1, 0]).reshape(2, 1, 1)

    network = replace(changed(untrained(), plus, precision="bfloat16").own, digest="often blank")
    blank, full = tile_of(network, blank=True), tile_of(network)
    for tile, worst, is_blank in ((blank, 2e-3, True), (blank, 2e-3, True), (full, 3e-3, False)):
        seen = seen_on(network, tile)
        assert seen.largest == pytest.approx(worst, rel=1e-3) and seen.is_blank is is_blank
        assert known_agreement(network) is (None if is_blank else seen)
        with monkeypatch.context() as patch:
            patch.delitem(sys.modules, "torch")
            assert (known_agreement(replace(network)) is None) is is_blank
        by_tile.pop(0)


def test_after_a_blank_image_the_next_is_compared(model: Model) -> None:
    """An engine that is right about background alone: it empties what is not."""

    def empty(p: Array) -> Array:
        return p if (p.argmax(0) == 0).all() else np.stack([np.ones_like(p[0]), np.zeros_like(p[1])])

    said = list[str]()
    agreed = Agreed(changed(model, empty), Listener(said.append))
    for _ in range(2):
        seen = agreed.on(array_source(np.zeros((1, 120, 120), np.float32)))
        assert seen.own.engine.title == "Wrong" and seen.agreement is not None and seen.agreement.is_blank
    assert len(said) == 1 and said[0].endswith(" of float32 on a blank tile")
    assert agreed.on(array_source(IMAGE)).own.engine.title != "Wrong"
    assert (
        "disagrees with PyTorch in float32" in said[1] and said[2].startswith("engine: ") and len(said) == 3
    )


def test_without_a_home_folder_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> None:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(remembered.OWN)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(remembered.Path, "home", homeless)
    remember("tiles", "a", 1)
    assert remembered.recall("tiles", "a") is None


# What is done about it


def test_an_engine_that_disagrees_is_replaced_and_told(model: Model) -> None:
    said = list[str]()
    wrong = wrongly(model, 0.01)
    source = array_source(IMAGE)
    agreed = Agreed(wrong, Listener(said.append))
    found = agreed.on(source)
    assert agreed.on(source) is found and found.own.engine.title != "Wrong"
    assert said[0].startswith(f"Wrong {torch.__version__}, float32 disagrees with PyTorch in float32 (probab")
    assert said[0].endswith(" is taken") and said[1] == engine_line(found) and len(said) == 2
    assert wrong.agreeing(source).network is wrong.agreeing(source).network  # chosen once
    near = wrongly(model, 5e-5).agreeing(source)
    assert near.own.engine.title == "Wrong" and near.agreement is not None
    assert engine_line(near).endswith("; probabilities within 6e-05 of float32 on the first tile")


def test_a_program_is_warned(model: Model) -> None:
    """Of what the command line says; and what it gets is right, through each door."""
    words = "float32 disagrees with PyTorch in float32 .* is taken"
    with pytest.warns(EngineWarning, match=words) as caught:
        found = wrongly(model, 0.01).predict(IMAGE)
    assert [one.filename for one in caught] == [__file__]
    np.testing.assert_allclose(found.probabilities, model.predict(IMAGE).probabilities, atol=1e-5)
    with pytest.warns(EngineWarning, match=words) as caught:
        probabilities = wrongly(model, 0.01).probabilities(IMAGE)
    assert [one.filename for one in caught] == [__file__]
    np.testing.assert_allclose(probabilities, model.probabilities(IMAGE), atol=1e-5)
    right = wrongly(model, 0.01).agreeing(array_source(IMAGE))  # whose notes say it
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        right.predict(IMAGE)
        right.probabilities(IMAGE)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_fails_is_replaced_down_to_pytorch(
    precision: str, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO that compiles nothing, found while the file is loaded or at the first image."""

    def failing(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no such\n  primitive")

    broken = replace(OPENVINO, packages=("numpy",), compile_tile=failing)
    monkeypatch.setattr(known, "OPENVINO", broken)
    loaded = load_model(str(model.path), engine="openvino", precision=precision)
    expected = "bfloat16" if precision == "bfloat16" else "float32"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = loaded.predict(IMAGE)
    np.testing.assert_allclose(found.probabilities, model.predict(IMAGE).probabilities, atol=0.1)
    seen = loaded.agreeing(array_source(IMAGE))
    assert (seen.own.engine.name, seen.device) == ("torch", "cpu")
    told = [*loaded.notes, *(str(one.message) for one in caught)]
    assert told == list(seen.notes)
    broke = f"OpenVINO {np.__version__}, {expected} cannot run this network (no such primitive)"
    assert told[0].startswith(broke) and all("(no such primitive)" in one for one in told)
    assert len(told) == (2 if precision == "bfloat16" else 1)


def test_pytorch_in_float32_is_not_compared_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unseam.prediction.agreeing.compare", lambda *_: pytest.fail("it is the same"))
    of = untrained()
    assert of.agreeing(array_source(np.zeros((1, 9, 9)))) is of
    assert engine_line(of) == f"engine: PyTorch {torch.__version__}, float32"
