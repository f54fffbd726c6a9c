"""Models made ready to predict: from a file, a package, or a network in training; and where they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from unseam.engines.choosing import Choice, choices, choose
from unseam.engines.known import torch_on
from unseam.engines.network import EngineNetwork
from unseam.errors import InputError
from unseam.model.ensemble import ensemble_of, find_models, in_order
from unseam.model.folded import FoldedNetwork, fold
from unseam.model.header import ModelHeader
from unseam.model.weights import file_digest, load_folded
from unseam.packages.files import is_package
from unseam.packages.load import load_package
from unseam.prediction.combining import combine
from unseam.prediction.model import Model
from unseam.prediction.runner import Runner
from unseam.processor import may_have_gpu, threads_wanted

if TYPE_CHECKING:
    from unseam.model.unet import UNet


def load_model(
    path: str | Path | Sequence[str | Path],
    *,
    device: str = "auto",
    engine: str = "auto",
    precision: str = "auto",
    threads: int = 0,
) -> Model:
    """A trained model from its file, ready to predict; or several, whose probabilities are averaged.

    Parameters
    ----------
    path : str or Path, or a sequence of them
        The .safetensors file, the folder of the run that made it, or the name of a model, as "nuclei"; see
        `unseam.model.finding.find_model`. Or a bioimage.io package, packed or not, with ONNX weights or those
        of a `unseam.UNet`. Of a folder of a cross-validation all models, with the thresholds that were chosen
        on its out-of-fold predictions; else several models have the mean of theirs. They are summed in the
        order of their files' digests, so the result does not depend on the order in which they are given.
    device : str
        "auto", "cpu" or "cuda".
    engine : str
        What runs the network: "openvino", "onnx", "torch", or "auto", the fastest of those installed.
    precision : str
        "float32", "bfloat16", or "auto": bfloat16 where the processor multiplies it natively. Or "int8", of
        a model that is calibrated for it.
    threads : int
        Of the engine; 0 for as many as it takes by itself.

    Raises
    ------
    ModelFileError
        If the file is missing, cut short, no model, or of a newer version, or the name unknown.
    MissingExtraError
        If a package takes an optional one, or the engine is not installed.
    InputError
        If there is no such device, engine or precision, they do not go together, the model is not
        calibrated for int8, or models differ too much to be averaged.
    """
    on_cpu = engine in ("openvino", "onnx") or precision == "int8"
    place = "cpu" if device == "auto" and on_cpu else choose_device(device)
    options = choices(engine, precision, device=place)
    threads = threads or threads_wanted()
    given = [path] if isinstance(path, (str, Path)) else list(path)
    if len(given) == 1 and is_package(Path(given[0])):
        return from_package(Path(given[0]), options, threads=threads)
    _refuse_packages(given)
    files = find_models(given)
    models = [_load_one(file, options, threads) for file in in_order(files)]
    return models[0] if len(models) == 1 else _averaged(given, files, models)


def _load_one(path: Path, options: Sequence[Choice], threads: int) -> Model:
    folded, header = load_folded(path)
    chosen = choose(folded, options, threads=threads, digest=file_digest(path))
    return Model(chosen.network, header, chosen.network.engine.device, path, chosen.failures)


def _averaged(given: Sequence[str | Path], files: Sequence[Path], models: Sequence[Model]) -> Model:
    """The models of several files as one, and what a person should know of it."""
    ensemble = ensemble_of(given[0]) if len(given) == 1 else None
    model = combine(models, objects=ensemble.objects if ensemble else None)
    whose = "chosen on their out-of-fold predictions" if ensemble else "the mean of theirs"
    said = f"models: {len(files)}, their probabilities averaged; thresholds are {whose}"
    if model.header.guard:
        said += f"; images are compared with the training images of {models[0].path}"
    return replace(model, path=Path(given[0]) if ensemble else files[0], notes=(said, *model.notes))


def _refuse_packages(given: Sequence[str | Path]) -> None:
    for path in given:
        if is_package(Path(path)):
            raise InputError(
                f"{path} is a package of bioimage.io and {len(given)} models are to be averaged, which takes "
                "models of unseam; give each model.safetensors, or the package alone"
            )


def load_models_for(paths: Sequence[Path], runners: Sequence[Runner], *, threads: int = 0) -> Model:
    """The models of files as one, in this order, with the engines that another process chose.

    Raises
    ------
    UnseamError
        As `load_model_for` and `unseam.prediction.combining.combine`.
    """
    pairs = zip(paths, runners, strict=True)
    return combine([load_model_for(path, runner, threads=threads) for path, runner in pairs])


def load_model_for(path: Path, runner: Runner, *, threads: int = 0) -> Model:
    """The model of a file with the engine that another process chose: this one, and no other.

    Raises
    ------
    UnseamError
        As `load_model`, and if the engine does not run it.
    """
    if is_package(path):
        loaded = load_package(path)
        if not isinstance(loaded.network, FoldedNetwork):
            return Model(loaded.network, loaded.header, "cpu", path, loaded.notes)
        folded, header = loaded.network, loaded.header
    else:
        folded, header = load_folded(path)
    device = choose_device(runner.device)
    option = choices(runner.engine, runner.precision, device=device)[0]
    network = EngineNetwork(folded, option.engine, option.precision, threads, runner.rule)
    return Model(network, header, device, path)


def from_package(path: Path, options: Sequence[Choice], *, threads: int = 0) -> Model:
    """The model of a bioimage.io package, ready to predict; see `unseam.packages.load.load_package`.

    Networks of other programs are run by ONNX Runtime, in float32.
    """
    loaded = load_package(path)
    if not isinstance(loaded.network, FoldedNetwork):
        return Model(loaded.network, loaded.header, "cpu", loaded.path, loaded.notes)
    chosen = choose(loaded.network, options, threads=threads)
    notes = (*loaded.notes, *chosen.failures)
    return Model(chosen.network, loaded.header, chosen.network.engine.device, loaded.path, notes)


def ready(net: UNet, header: ModelHeader, device: str = "cpu") -> Model:
    """A model of a network in training, run by PyTorch in float32; `net` is left as it is."""
    arrays = {name: values.detach().float().cpu().numpy() for name, values in net.state_dict().items()}
    network = EngineNetwork(fold(header.network, arrays), torch_on(device), threads=threads_wanted())
    return Model(network, header, device)


def choose_device(name: str) -> str:
    """The device of a name; "auto" is CUDA where there is one. PyTorch is imported only where there may be.

    Raises
    ------
    InputError
        If there is no such device.
    """
    if name == "cpu" or (name == "auto" and not may_have_gpu()):
        return "cpu"
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device cuda was asked for and PyTorch finds none; use --device cpu, or see `unseam doctor`"
        )
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return str(torch.device(name))
    except RuntimeError:
        raise InputError(f"device is {name!r}; expected auto, cpu or cuda") from None
