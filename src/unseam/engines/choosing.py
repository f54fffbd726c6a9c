"""Which engine runs a network, in which precision, and why: the fastest that this machine has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from unseam.engines.bits import with_rule
from unseam.engines.engine import Engine, first_line
from unseam.engines.known import engine_of
from unseam.engines.network import EngineNetwork
from unseam.engines.quantised import NOT_CALIBRATED
from unseam.errors import ConfigError, InputError, MissingExtraError, UnseamError
from unseam.model.folded import FoldedNetwork
from unseam.processor import multiplies_bfloat16

AUTO = "auto"
ENGINES = (AUTO, "openvino", "onnx", "torch")
PRECISIONS = (AUTO, "float32", "bfloat16", "int8")
BY_SPEED = ("openvino", "torch", "onnx")
"""On a processor, the fastest first; on a GPU there is PyTorch alone."""
_INSTEAD: WeakKeyDictionary[EngineNetwork, EngineNetwork] = WeakKeyDictionary()
"""What was taken in place of networks that are in use."""


@dataclass(frozen=True)
class Choice:
    """An engine and a precision, and why each was taken, in words."""

    engine: Engine
    precision: str
    why_engine: str
    why_precision: str

    def __str__(self) -> str:
        return f"{self.engine}, {self.precision}"


@dataclass(frozen=True)
class Chosen:
    """A network with its engine, and a line for each engine that failed before."""

    network: EngineNetwork
    failures: tuple[str, ...] = ()


def choices(engine: str = AUTO, precision: str = AUTO, *, device: str = "cpu") -> tuple[Choice, ...]:
    """The engine and the precision that are taken, then what is taken if they fail.

    Parameters
    ----------
    engine : one of `ENGINES`
    precision : one of `PRECISIONS`
    device : "cpu", or "cuda" with a number or without

    Raises
    ------
    InputError
        If there is no such engine or precision, or the engine does not run on the device.
    ConfigError
        If the engine does not compute in the precision.
    MissingExtraError
        If the engine is not installed.
    """
    for what, given, known in (("engine", engine, ENGINES), ("precision", precision, PRECISIONS)):
        if given not in known:
            raise InputError(f"{what} is {given!r}; expected one of: {', '.join(known)}")
    if precision == "int8" and engine == AUTO:
        engine = "openvino"  # which alone computes in it
    if device != "cpu" and engine not in (AUTO, "torch"):
        raise InputError(
            f"engine {engine} runs on the processor, and device {device} was asked for; give one of them"
        )
    names = BY_SPEED if device == "cpu" else ("torch",)
    installed = [one for one in (engine_of(name, device) for name in names) if one.is_installed]
    if engine != AUTO:
        asked = engine_of(engine, device)
        _refuse_missing(asked)
        _refuse_precision(asked, precision)
        installed = [asked, *(one for one in installed if one.name != engine)]
    return tuple(_in_order(installed, engine, precision, device))


def choose(
    folded: FoldedNetwork,
    options: Sequence[Choice],
    *,
    threads: int = 0,
    digest: str = "",
) -> Chosen:
    """A network with the first engine of `choices` that runs it.

    Raises
    ------
    InputError
        If int8 is wanted and the network is not calibrated for it.
    UnseamError
        If none does.
    """
    if options and options[0].precision == "int8" and folded.calibration is None:
        raise InputError(NOT_CALIBRATED)
    failures: list[str] = []
    for choice in options:
        network = EngineNetwork(folded, choice.engine, choice.precision, threads, digest=digest)
        try:
            return Chosen(with_rule(network), tuple(failures))
        except Exception as error:  # of another package, with classes of its own
            failures.append(
                f"{choice} cannot run this network ({first_line(error)}): the next engine is taken"
            )
    raise UnseamError(f"no engine runs this network: {'; '.join(failures) or 'none is installed'}")


def instead(network: EngineNetwork) -> EngineNetwork:
    """What is taken in place of an engine that disagrees: itself in float32, else another.

    Raises
    ------
    UnseamError
        If there is none.
    """
    if network not in _INSTEAD:
        others = choices(network.engine.name, network.precision, device=network.engine.device)[1:]
        chosen = choose(network.folded, others, threads=network.threads, digest=network.digest)
        _INSTEAD[network] = chosen.network
    return _INSTEAD[network]


def faster(choice: Choice) -> str:
    """What to install for a faster engine than the one that is taken by itself; "" where there is none."""
    best = engine_of(BY_SPEED[0])
    if choice.engine.device != "cpu" or choice.engine.name == best.name:
        return ""
    return f"{best.title} predicts faster on a processor: pip install 'unseam[{best.extra}]'"


def _in_order(installed: Sequence[Engine], engine: str, precision: str, device: str) -> Iterator[Choice]:
    for place, one in enumerate(installed):
        if place:
            why = "the next"
        elif engine != AUTO:
            why = "as asked"
        elif device == "cpu":
            why = "the fastest of those that are installed"
        else:
            why = "the one that runs on a GPU"
        for kind, reason in _precisions(one, precision, device):
            yield Choice(one, kind, why, reason)


def _precisions(engine: Engine, precision: str, device: str) -> Iterator[tuple[str, str]]:
    """What an engine computes in, and why; float32 where the first fails."""
    if precision != AUTO and precision in engine.precisions:
        yield precision, "as asked"
        if precision != "float32":
            yield "float32", "the next"
    elif "bfloat16" not in engine.precisions:
        yield "float32", f"{engine.title} computes in it"
    elif device != "cpu":
        yield "float32", "on a GPU bfloat16 is taken when it is asked for"
    elif multiplies_bfloat16():
        yield "bfloat16", "the processor multiplies it natively"
        yield "float32", "the next"
    elif multiplies_bfloat16() is None:
        yield "float32", "whether the processor multiplies bfloat16 is not known on this system"
    else:
        yield "float32", "the processor has no native bfloat16"


def _refuse_missing(engine: Engine) -> None:
    if not engine.is_installed:
        raise MissingExtraError(
            f"engine {engine.name} was asked for and {engine.title} is not installed; install it with: "
            f"pip install 'unseam[{engine.extra}]'"
        )


def _refuse_precision(engine: Engine, precision: str) -> None:
    if precision not in (AUTO, *engine.precisions):
        computed = " or ".join(kind for kind in PRECISIONS if kind in engine.precisions)
        raise ConfigError(
            f"precision {precision} was asked for and {engine.title} computes in {computed} alone; choose "
            "another engine or precision"
        )
