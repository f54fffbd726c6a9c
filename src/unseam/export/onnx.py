"""ONNX: the U written out node by node, so that the file reads as the network does.

Nodes and weights have the names of the modules: `down.0` to `bottom` go down, `up.2` to `out.0` come up.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from unseam.export.agreement import OnStep, Run, Written, largest_difference, nobody
from unseam.export.frame import frame_of
from unseam.export.packages import need
from unseam.export.words import AXES, class_names, scaling_in_words, sizes_in_words, to_be_known
from unseam.geometry import CONVOLUTIONS_PER_LEVEL, AxisGeometry, Geometry
from unseam.io.atomic import replacing
from unseam.model.header import HEADER_KEY, header_json
from unseam.model.unet import UNet
from unseam.prediction import Model

OPSET, IR_VERSION = 17, 8
"""Of 2022: what newer runtimes read, and many older ones still do."""
INPUT, OUTPUT = "image", "probabilities"


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
    from onnx import TensorProto, checker, helper

    net = model.unet
    letters, halo = list(AXES[net.spatial_dims]), net.geometry.halo
    answered = letters if framed else [f"{a} - {2 * h}" for a, h in zip(letters, halo, strict=True)]
    nodes = _Nodes()
    (_add_framed if framed else _add_network)(nodes, net, INPUT, OUTPUT)
    graph = helper.make_graph(
        nodes.nodes,
        "unet",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", net.in_channels, *letters])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", net.classes, *answered])],
        initializer=nodes.constants,
    )
    proto = helper.make_model(
        graph,
        producer_name="unseam",
        producer_version=model.header.unseam_version,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
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


def crop_margins(geometry: Geometry) -> list[tuple[int, ...]]:
    """What the skip of each level is cropped by on each side, pixels per axis.

    Notes
    -----
    Constants, as each step is linear in the size. A skip is larger than what comes up beside it by what the
    levels below take away: the convolutions down and up, and the crop between them. All of these are
    multiples of 4, since kernels are odd, so both sides are cropped alike.
    """
    axes = [axis for axis in geometry.axes if isinstance(axis, AxisGeometry)]  # as all of a UNet are
    margins: list[list[int]] = [[] for _ in axes[0].strides]
    for axis in axes:
        taken = [CONVOLUTIONS_PER_LEVEL * (kernel - 1) for kernel in axis.kernels]
        lost = taken[-1]
        for level in reversed(range(len(axis.strides))):
            lost *= axis.strides[level]  # as many pixels of this level
            margins[level].append(lost // 2)
            lost += 2 * taken[level]
    return [tuple(margin) for margin in margins]


class _Nodes:
    """Nodes and constants of a graph in the making; what a node makes has the name of the node."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Append a node; returns the name of its output."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, values: Tensor | ArrayLike) -> str:
        """Append weights (float32) or a list of integers (int64); returns its name."""
        from onnx import numpy_helper

        array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.array(values, np.int64)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def convolution(self, kind: str, layer: Any, x: str, name: str, **attributes: Any) -> str:
        """Append Conv or ConvTranspose with its weights."""
        weight, bias = (
            self.constant(f"{name}.weight", layer.weight),
            self.constant(f"{name}.bias", layer.bias),
        )
        return self.add(kind, [x, weight, bias], name, kernel_shape=layer.kernel_size, **attributes)

    def level(self, layers: nn.Module, x: str, name: str) -> str:
        """Append the convolutions of a level, each with ReLU."""
        for key, layer in layers.named_children():
            if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
                x = self.convolution("Conv", layer, x, f"{name}.{key}")
            else:
                x = self.activation(layer, x, f"{name}.{key}")
        return x

    def activation(self, layer: nn.Module, x: str, name: str) -> str:
        """Append a ReLU of either kind; nothing where a batch norm was folded, or for dropout."""
        if isinstance(layer, nn.ReLU):
            return self.add("Relu", [x], name)
        if isinstance(layer, nn.LeakyReLU):
            return self.add("LeakyRelu", [x], name, alpha=layer.negative_slope)
        assert isinstance(layer, (nn.Identity, nn.Dropout)), layer
        return x

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
            "Slice", [x, *(self.constant(f"{name}.{key}", value) for key, value in bounds.items())], name
        )


def _add_network(nodes: _Nodes, net: UNet, image: str, probabilities: str) -> None:
    """The nodes of `UNet.forward`, as it stands there, and a softmax."""
    x, skips = image, []
    for k, (level, stride) in enumerate(zip(net.down, net.strides, strict=True)):
        x = nodes.level(level, x, f"down.{k}")
        skips.append(x)
        x = nodes.add("MaxPool", [x], f"pool.{k}", kernel_shape=list(stride), strides=list(stride))
    x = nodes.level(net.bottom, x, "bottom")
    margins = crop_margins(net.geometry)
    for k in reversed(range(len(skips))):
        x = nodes.convolution("ConvTranspose", net.up[k], x, f"up.{k}", strides=list(net.strides[k]))
        x = nodes.activation(net.after_up, x, f"up.{k}.relu")
        cropped = nodes.slice(skips[k], f"crop.{k}", margins[k], margins[k])
        x = nodes.add("Concat", [cropped, x], f"concat.{k}", axis=1)
        x = nodes.level(net.out[k], x, f"out.{k}")
    x = nodes.convolution("Conv", net.head, x, "head")
    nodes.add("Softmax", [x], probabilities, axis=1)


def _add_framed(nodes: _Nodes, net: UNet, image: str, output: str) -> None:
    """The network, and what makes its output as large as its input."""
    frame, none = frame_of(net.geometry), [0] * net.spatial_dims
    _add_network(nodes, net, nodes.slice(image, "frame.begin", frame.extra, none), "answer")
    x = nodes.slice("answer", "frame.end", none, frame.extra)
    margin = nodes.constant("frame.margin", [0, 0, *frame.halo] * 2)
    nodes.add("Pad", [x, margin], output)
