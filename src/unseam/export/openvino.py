"""OpenVINO's format: an .xml file of the network and a .bin file of its weights."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.engines.openvino import graph
from unseam.export.agreement import OnStep, Run, Written, largest_difference, nobody
from unseam.export.onnx import described
from unseam.export.packages import need
from unseam.export.words import to_be_known
from unseam.io.atomic import replacing
from unseam.prediction import Model

FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}
"""Else CPUs that multiply bfloat16 compute in it, and probabilities change by some 1e-3."""


def write_openvino(
    model: Model, path: str | Path, *, overwrite: bool = False, on_step: OnStep = nobody
) -> Written:
    """Write a model for OpenVINO, once the files give the probabilities that PyTorch gives.

    Parameters
    ----------
    model : Model
        As `unseam.load_model` gives it.
    path : str or Path
        The .xml file; the weights, float32, go into a .bin file of the same name.
    overwrite : bool
        Whether existing files may be replaced.
    on_step : callable
        Called with (tiles compared, tiles in all).

    Raises
    ------
    MissingExtraError
        If openvino is not installed.
    OutputExistsError, OutputError
        As `unseam.io.atomic.replacing`, and if the files do not give what PyTorch gives.
    """
    openvino = _openvino()
    path = Path(path)
    weights = path.with_suffix(".bin")
    converted = graph(model.own.folded, [-1] * model.network.spatial_dims)
    for key, value in described(model).items():
        converted.set_rt_info(value, ["unseam", key])
    # The weights are renamed first: an .xml file is there only once both are.
    with replacing(path, overwrite=overwrite) as xml, replacing(weights, overwrite=overwrite) as binary:
        openvino.save_model(converted, xml, compress_to_fp16=False)
        assert binary == xml.with_suffix(".bin")
        difference = largest_difference(model, openvino_run(xml), on_step=on_step)
    precision = "compared in float32; CPUs with bfloat16 use that unless INFERENCE_PRECISION_HINT is f32"
    known = to_be_known(model.header, model.network.geometry)
    return Written((path, weights), difference, (*known, precision))


def openvino_run(path: Path) -> Run:
    """A file as a function, run by OpenVINO on the CPU in float32."""
    compiled = _openvino().Core().compile_model(path, "CPU", FLOAT32)

    def run(tiles: NDArray[np.float32]) -> NDArray[Any]:
        return np.array(compiled([tiles])[0])

    return run


def _openvino() -> Any:
    """OpenVINO, which with this package of its would tell its makers each time that it is imported."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return need("openvino", extra="openvino")
