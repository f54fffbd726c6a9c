"""A package as a network and a header, as a model file gives them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from unseam.config import NetworkConfig
from unseam.errors import ConfigError, ModelFileError
from unseam.model.folded import DEFAULTS, FoldedNetwork, fold, shapes_of
from unseam.model.header import HEADER_KEY, ModelHeader, parse_header
from unseam.model.weights import misfit, read_weights
from unseam.packages.description import Description, Weights, described, read_description
from unseam.packages.field import field_of
from unseam.packages.files import ONNX_SUFFIX, Files, open_files
from unseam.packages.network import ForeignNetwork, onnx_run, read_graph
from unseam.packages.operations import Activation, in_words
from unseam.packages.reading import Reading, reading_in_words, reading_of
from unseam.packages.sizes import sizes_of
from unseam.preprocess import Preprocessing

UNET: Final = ("unseam.UNet", "unseam.model.unet.UNet")
OPTIONS: Final = DEFAULTS | {"batch_norm": False, "dropout": 0.5}
"""Of `unseam.UNet`, which a state dict's options leave out."""


@dataclass(frozen=True)
class Loaded:
    """A model of a package.

    Attributes
    ----------
    path : of the file that it can be loaded from again: the archive, or the description.
    network, header : as of a model file.
    notes : what a person should know before using it, a line each.
    facts : what else there is to say, by name.
    """

    path: Path
    network: FoldedNetwork | ForeignNetwork
    header: ModelHeader
    notes: tuple[str, ...]
    facts: dict[str, str]


def load_package(path: Path) -> Loaded:
    """The model of a bioimage.io package: a .zip, its unpacked folder, or the description in there.

    Weights are taken as ONNX, or as the state dict of a `unseam.UNet`. Nothing in a package is executed and
    nothing is downloaded. An .onnx file alone is taken if unseam wrote it.

    Raises
    ------
    ModelFileError
        If the package is damaged, not safe, or describes what cannot be run here.
    MissingExtraError
        If an optional package is needed.
    """
    if path.suffix.lower() == ONNX_SUFFIX:
        return _exported(path)
    files = open_files(path)
    stated = read_description(files.read_description(), f"the description of {path}")
    kind, weights = _choose(stated, path)
    content = files.read(weights.source)
    _check_sum(content, weights, files)
    place = f"{weights.source} of {path}"
    notes: tuple[str, ...] = ()
    network: FoldedNetwork | ForeignNetwork
    own: ModelHeader | None = None
    if kind == "pytorch_state_dict":
        network, config = _unet(content, weights, stated, place)
        reading = reading_of((Activation("softmax"),), network.classes, (), "", place)
    else:
        network, reading, own, notes = _onnx_network(content, stated, place)
        channels, dims = network.in_channels, network.spatial_dims
        config = NetworkConfig(in_channels=channels, classes=network.classes, spatial_dims=dims)
    header = own or _header(stated, config, reading)
    notes = (f"output: {reading_in_words(reading, header.objects)}", *notes)
    return Loaded(files.path, network, header, notes, _facts(stated, header, weights, kind))


def _exported(path: Path) -> Loaded:
    """The model of an ONNX file that unseam wrote, which holds the header that model files have."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot read {path} ({error.strerror}); give a model, or a package") from error
    header = _own_header(read_graph(content, str(path)), str(path))
    if header is None:
        raise ModelFileError(
            f"{path} is a network alone, and nothing says what goes in and what comes out; give the "
            "bioimage.io package that it belongs to"
        )
    stated = described(header, path.name)
    network, reading, _, notes = _onnx_network(content, stated, str(path))
    notes = (f"output: {reading_in_words(reading, header.objects)}", *notes)
    return Loaded(path, network, header, notes, _facts(stated, header, Weights(path.name, None), "onnx"))


def _choose(stated: Description, path: Path) -> tuple[str, Weights]:
    """The weights that can be used: those of our own network before others, which PyTorch runs anywhere."""
    state = stated.weights.get("pytorch_state_dict")
    if state is not None and state.architecture in UNET:
        return "pytorch_state_dict", state
    if "onnx" in stated.weights:
        return "onnx", stated.weights["onnx"]
    there = ", ".join(stated.weights) or "none"
    why = f", of the architecture {state.architecture or 'not named'}" if state is not None else ""
    raise ModelFileError(
        f"{path} has weights as {there}{why}; unseam runs ONNX and state dicts of unseam.UNet, and executes "
        "nothing in a package: convert its network to ONNX, as bioimageio.core does"
    )


def _check_sum(content: bytes, weights: Weights, files: Files) -> None:
    found = hashlib.sha256(content).hexdigest()
    if weights.sha256 is not None and found != weights.sha256:
        raise ModelFileError(
            f"{weights.source} of {files.path} has sha256 {found[:12]}... and its description says "
            f"{weights.sha256[:12]}...: it is damaged, or another file; download the package again"
        )


def _onnx_network(
    content: bytes, stated: Description, place: str
) -> tuple[ForeignNetwork, Reading, ModelHeader | None, tuple[str, ...]]:
    """The network, how its output is read, the header that unseam wrote into it if it did, and notes."""
    graph = read_graph(content, place)
    run = onnx_run(content, stated, place)
    field = field_of(graph, stated.input_axes, stated.spatial)
    sizes = sizes_of(stated.sizes, field, place)
    reading = reading_of(stated.postprocessing, stated.channels_out, stated.channel_names, field.last, place)
    network = ForeignNetwork(run, stated, sizes, reading, width=field.width)
    own = _own_header(graph, place)
    if own and (own.network.in_channels, own.network.classes) != (network.in_channels, network.classes):
        raise ModelFileError(
            f"{place} was written by unseam, and its description does not fit it; export it anew"
        )
    return network, reading, own, (sizes.remark,)


def _own_header(graph: Any, place: str) -> ModelHeader | None:
    """What unseam wrote into a network that it exported."""
    written = {entry.key: entry.value for entry in graph.metadata_props}
    return parse_header(place, written[HEADER_KEY]) if HEADER_KEY in written else None


def _unet(
    content: bytes, weights: Weights, stated: Description, place: str
) -> tuple[FoldedNetwork, NetworkConfig]:
    """The network of a state dict."""
    try:
        options = {key: _tuples(value) for key, value in weights.options}
        config = NetworkConfig(**(OPTIONS | options))
        shapes_of(config)
    except (ConfigError, TypeError) as error:
        known = ", ".join(spec.name for spec in fields(NetworkConfig))
        raise ModelFileError(
            f"{place} is a UNet of options that it has not ({error}); known: {known}"
        ) from error
    try:
        arrays = _arrays(content, weights.source)
        reason = misfit(arrays, config)
    except Exception as error:  # what a file that is no state dict makes its readers raise
        reason = " ".join(str(error).split())[:200]
    if reason:
        raise ModelFileError(
            f"{place} does not hold the weights of the UNet that is described ({reason}); download it again"
        )
    network = fold(config, arrays)
    others = [step for step in stated.postprocessing if step != Activation("softmax")]
    built = (network.spatial_dims, network.in_channels, network.classes)
    if others or built != (len(stated.spatial), stated.channels_in, stated.channels_out):
        raise ModelFileError(
            f"{place} is a {built[0]}-D UNet of {built[1]} channels and {built[2]} classes, described with "
            f"axes {stated.spatial}, {stated.channels_in} channels, {stated.channels_out} classes, after it "
            f"{in_words(stated.postprocessing)}; expected the same numbers, and softmax"
        )
    return network, config


def _arrays(content: bytes, name: str) -> dict[str, NDArray[Any]]:
    """Arrays by name. Of a pickle PyTorch's own reader of weights takes tensors and plain containers alone:
    no other one may be used, as any other would run what a file tells it to."""
    if name.endswith(".safetensors"):
        return read_weights(content)
    import torch

    state: dict[str, torch.Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return {
        key: (value.float() if value.is_floating_point() else value).detach().numpy()
        for key, value in state.items()
    }


def _header(stated: Description, config: NetworkConfig, reading: Reading) -> ModelHeader:
    return ModelHeader(
        reading.task,
        config,
        stated.preprocessing,
        reading.objects,
        spacing=stated.spacing,
        license=stated.license,
        citation=stated.citation,
    )


def _facts(stated: Description, header: ModelHeader, weights: Weights, kind: str) -> dict[str, str]:
    sizes = [
        f"{letter} {size.smallest}" + (f" + {size.step} n" if size.step else "")
        for letter, size in zip(stated.spatial, stated.sizes, strict=True)
    ]
    scaling = header.normalization
    before = (
        str(scaling)
        if isinstance(scaling, Preprocessing)
        else ", ".join(f"{key} {value}" for key, value in asdict(scaling).items())
    )
    checked = "its sha256 is as described" if weights.sha256 else "no sha256 is stated"
    return {
        "package": f"{stated.name}, {stated.version}",
        "weights": f"{weights.source} ({kind}), {checked}",
        "input": f"axes {stated.input_axes}, {stated.channels_in} channels; {', '.join(sizes)} pixels",
        "before": before,
        "after": in_words(stated.postprocessing),
        "made by": stated.authors,
    }


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
