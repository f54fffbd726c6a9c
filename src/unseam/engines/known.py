"""The engines that there are. Their packages, PyTorch too, are imported when they run something."""

from __future__ import annotations

from collections.abc import Sequence

from unseam.engines import onnx, openvino
from unseam.engines.engine import Encode, Engine, Run
from unseam.model.folded import FoldedNetwork

OPENVINO = Engine(
    "openvino",
    "OpenVINO",
    ("openvino",),
    "openvino",
    tuple(openvino.PRECISIONS),
    openvino.compile_tile,
    openvino.compile_encoder,
)
ONNX = Engine(
    "onnx",
    "ONNX Runtime",
    ("onnxruntime", "onnx"),
    "onnx",
    onnx.PRECISIONS,
    onnx.compile_tile,
    onnx.compile_encoder,
)


TORCH_PRECISIONS = ("float32", "bfloat16", "float64")
"""By PyTorch's names of its types; the last is for `unseam verify`."""


def torch_on(device: str) -> Engine:
    """PyTorch on a device: "cpu", or "cuda" with a number or without."""

    def compile_tile(network: FoldedNetwork, tile: Sequence[int], *, precision: str, threads: int) -> Run:
        from unseam.engines import torch

        return torch.compile_tile(network, tile, precision=precision, threads=threads, device=device)

    def compile_encoder(network: FoldedNetwork, part: Sequence[int], *, threads: int) -> Encode:
        from unseam.engines import torch

        return torch.compile_encoder(network, part, threads=threads, device=device)

    title = "PyTorch" if device == "cpu" else f"PyTorch on {device}"
    return Engine("torch", title, ("torch",), "", TORCH_PRECISIONS, compile_tile, compile_encoder, device)


def engine_of(name: str, device: str = "cpu") -> Engine:
    """The engine of a name, on a device.

    Raises
    ------
    KeyError
        If there is none.
    """
    return torch_on(device) if name == "torch" else {"openvino": OPENVINO, "onnx": ONNX}[name]
