"""ONNX: the U written out node by node, so that the file reads as the network does; run by ONNX Runtime.

Nodes and weights have the names of the modules: `down.0` to `bottom` go down, `up.2` to `out.0` come up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseam.engines.engine import Encode, Run, Shared, telling_memory
from unseam.model.folded import Convolution, FoldedNetwork, crop_margins

OPSET, IR_VERSION = 17, 8
"""Of 2022: what newer runtimes read, and many older ones still do."""
INPUT, OUTPUT = "image", "probabilities"
PRECISIONS = ("float32",)
NO_MEMORY = ("allocate memory", "bad allocation", "bad_alloc")
"""Words of the errors of ONNX Runtime where memory is used up."""


class Nodes:
    """Nodes and constants of a graph in the making; what a node makes has the name of the node."""

    def __init__(self, network: FoldedNetwork) -> None:
        self.network = network
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Append a node; returns the name of its output."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def integers(self, name: str, values: ArrayLike) -> str:
        """Append a list of integers, int64; returns its name."""
        return self._constant(name, np.array(values, np.int64))

    def _constant(self, name: str, array: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def convolution(self, kind: str, layer: Convolution, x: str, name: str, **attributes: Any) -> str:
        """Append Conv or ConvTranspose with its weights."""
        weight, bias = (
            self._constant(f"{name}.weight", layer.weight),
            self._constant(f"{name}.bias", layer.bias),
        )
        return self.add(
            kind, [x, weight, bias], name, kernel_shape=list(layer.weight.shape[2:]), **attributes
        )

    def level(self, level: Sequence[Convolution], x: str, name: str) -> str:
        """Append the convolutions of a level, each with ReLU."""
        for k, layer in enumerate(level):
            x = self.convolution("Conv", layer, x, f"{name}.{2 * k}")
            x = self.activation(x, f"{name}.{2 * k + 1}")
        return x

    def activation(self, x: str, name: str) -> str:
        """Append a ReLU of either kind."""
        leak = self.network.leak
        return self.add("LeakyRelu", [x], name, alpha=leak) if leak else self.add("Relu", [x], name)

    def slice(self, x: str, name: str, starts: Sequence[int], ends: Sequence[int]) -> str:
        """Append a Slice of the spatial axes, `starts` from the beginning and `ends` from the end."""
        axes = [axis for axis, cut in enumerate(zip(starts, ends, strict=True)) if any(cut)]
        if not axes:
            return x
        bounds = {
            "starts": [starts[axis] for axis in axes],
            "ends": [-ends[axis] or np.iinfo(np.int64).max for axis in axes],
            "axes": [axis + 2 for axis in axes],
        }
        return self.add(
            "Slice", [x, *(self.integers(f"{name}.{key}", value) for key, value in bounds.items())], name
        )

    def contract(self, image: str) -> tuple[str, list[str]]:
        """Append the contracting path: what is at the bottom, and what each level makes before pooling."""
        x, skips = image, []
        for k, (level, stride) in enumerate(zip(self.network.down, self.network.strides, strict=True)):
            x = self.level(level, x, f"down.{k}")
            skips.append(x)
            x = self.add("MaxPool", [x], f"pool.{k}", kernel_shape=list(stride), strides=list(stride))
        return self.level(self.network.bottom, x, "bottom"), skips

    def u(self, image: str, probabilities: str) -> None:
        """Append the nodes of `UNet.forward`, as it stands there, and a softmax."""
        network = self.network
        x, skips = self.contract(image)
        margins = crop_margins(network.geometry)
        for k in reversed(range(len(skips))):
            stride = list(network.strides[k])
            x = self.convolution("ConvTranspose", network.up[k], x, f"up.{k}", strides=stride)
            if network.active_up:
                x = self.activation(x, f"up.{k}.relu")
            cropped = self.slice(skips[k], f"crop.{k}", margins[k], margins[k])
            x = self.add("Concat", [cropped, x], f"concat.{k}", axis=1)
            x = self.level(network.out[k], x, f"out.{k}")
        x = self.convolution("Conv", network.head, x, "head")
        self.add("Softmax", [x], probabilities, axis=1)

    def model(self, letters: Sequence[str], outputs: dict[str, Sequence[str | int]], **options: Any) -> Any:
        """The `onnx.ModelProto`: batch and space are free, `letters` name the axes."""
        from onnx import TensorProto, helper

        shape: list[str | int] = ["batch", self.network.in_channels, *letters]
        graph = helper.make_graph(
            self.nodes,
            "unet",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, axes) for name, axes in outputs.items()],
            initializer=self.constants,
        )
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, **options)


def compile_tile(network: FoldedNetwork, tile: Sequence[int], *, precision: str, threads: int = 0) -> Run:
    """The network as a function of a tile: (C, *tile) to probabilities (classes, *output)."""
    assert precision in PRECISIONS and network.geometry.output(tile)
    session = _SESSIONS.of(network, threads)

    def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
        with telling_memory(*NO_MEMORY):
            found = session.run([OUTPUT], {INPUT: np.ascontiguousarray(x)[None]})
        probabilities: NDArray[np.float32] = found[0][0]
        return probabilities

    return run


def compile_encoder(network: FoldedNetwork, part: Sequence[int], *, threads: int = 0) -> Encode:
    """The contracting path as a function of a part of an image: what each level makes of it, float32."""
    session, names = _ENCODERS.of(network, threads)

    def encode(x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        assert x.shape[1:] == tuple(part)
        with telling_memory(*NO_MEMORY):
            return [level[0] for level in session.run(names, {INPUT: np.ascontiguousarray(x)[None]})]

    return encode


def _session(network: FoldedNetwork, threads: int) -> Any:
    """The network run by ONNX Runtime, at any tile shape."""
    nodes = Nodes(network)
    nodes.u(INPUT, OUTPUT)
    letters = "zyx"[-network.spatial_dims :]
    free = [f"{a}_out" for a in letters]
    return _run_by(nodes.model(letters, {OUTPUT: ["batch", network.classes, *free]}), threads)


def _encoder(network: FoldedNetwork, threads: int) -> tuple[Any, list[str]]:
    nodes = Nodes(network)
    bottom, skips = nodes.contract(INPUT)
    names, letters = [*skips, bottom], "zyx"[-network.spatial_dims :]
    outputs: dict[str, Sequence[str | int]] = {
        name: ["batch", f"c_{name}", *(f"{a}_{name}" for a in letters)] for name in names
    }
    return _run_by(nodes.model(letters, outputs), threads), names


_SESSIONS, _ENCODERS = Shared(_session), Shared(_encoder)


def _run_by(proto: Any, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    content = proto.SerializeToString()
    with telling_memory(*NO_MEMORY):
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
