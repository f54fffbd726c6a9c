"""ONNX: the graph that ONNX Runtime predicts with (`unseam.engines.onnx`), as a file that says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.engines.onnx import INPUT, OPSET, OUTPUT, Nodes
from unseam.export.agreement import OnStep, Run, Written, largest_difference, nobody
from unseam.export.frame import frame_of
from unseam.export.packages import need
from unseam.export.words import AXES, class_names, scaling_in_words, sizes_in_words, to_be_known
from unseam.io.atomic import replacing
from unseam.model.header import HEADER_KEY, header_json
from unseam.prediction import Model


def write_onnx(
    model: Model, path: str | Path, *, overwrite: bool = False, on_step: OnStep = nobody
) -> Written:
    """Write a model as ONNX, once the file gives the probabilities that PyTorch gives.

    Parameters
    ----------
    model : Model
        As `unseam.load_model` gives it.
    path : str or Path
        The .onnx file.
    overwrite : bool
        Whether an existing file may be replaced.
    on_step : callable
        Called with (tiles compared, tiles in all).

    Raises
    ------
    MissingExtraError
        If onnx or onnxruntime is not installed.
    OutputExistsError, OutputError
        As `unseam.io.atomic.replacing`, and if the file does not give what PyTorch gives.
    """
    need("onnx", "onnxruntime", extra="onnx")
    path = Path(path)
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(onnx_model(model).SerializeToString())
        difference = largest_difference(model, onnx_run(temporary), on_step=on_step)
    format = f"ONNX, opset {OPSET}; input {INPUT!r}, output {OUTPUT!r}"
    return Written((path,), difference, (format, *to_be_known(model.header, model.network.geometry)))


def onnx_run(path: Path) -> Run:
    """A file as a function, run by ONNX Runtime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(tiles: NDArray[np.float32]) -> NDArray[Any]:
        result: NDArray[Any] = session.run([OUTPUT], {INPUT: tiles})[0]
        return result

    return run


def onnx_model(model: Model, *, framed: bool = False) -> Any:
    """The `onnx.ModelProto` of a model: tiles (B, C, *input) to probabilities (B, classes, *output).

    With `framed` the output is as large as the input and has a margin of zeros; see `unseam.export.frame`.
    """
    from onnx import checker, helper

    net = model.own
    letters, halo = list(AXES[net.spatial_dims]), net.geometry.halo
    answered = letters if framed else [f"{a} - {2 * h}" for a, h in zip(letters, halo, strict=True)]
    nodes = Nodes(net.folded)
    if framed:
        _add_framed(nodes)
    else:
        nodes.u(INPUT, OUTPUT)
    proto = nodes.model(
        letters,
        {OUTPUT: ["batch", net.classes, *answered]},
        producer_name="unseam",
        producer_version=model.header.unseam_version,
    )
    helper.set_model_props(proto, described(model))
    checker.check_model(proto, full_check=True)
    return proto


def described(model: Model) -> dict[str, str]:
    """What using a network takes: the header of the model file, and the gist of it in words."""
    header = model.header
    return {
        HEADER_KEY: header_json(header),
        "sizes": sizes_in_words(model.network.geometry),
        "intensities": scaling_in_words(header.normalization),
        "classes": ", ".join(class_names(header)),
        "spacing_um": " x ".join(f"{s:g}" for s in header.spacing) if header.spacing else "unknown",
        "license": header.license,
        "citation": header.citation,
    }


def _add_framed(nodes: Nodes) -> None:
    """The network, and what makes its output as large as its input."""
    geometry = nodes.network.geometry
    frame, none = frame_of(geometry), [0] * len(geometry.axes)
    nodes.u(nodes.slice(INPUT, "frame.begin", frame.extra, none), "answer")
    x = nodes.slice("answer", "frame.end", none, frame.extra)
    margin = nodes.integers("frame.margin", [0, 0, *frame.halo] * 2)
    nodes.add("Pad", [x, margin], OUTPUT)
