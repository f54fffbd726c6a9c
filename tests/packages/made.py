"""Small ONNX networks and packages around them, as others write them."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
LETTERS = {"b": "batch", "c": "channel"}


class Net:
    """A graph in the making; every method returns the name of what it makes."""

    def __init__(self, seed: int = 0, spatial: int = 2, *, positive: bool = False) -> None:
        self.positive = positive
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.rng, self.spatial = np.random.default_rng(seed), spatial

    def add(self, kind: str, *inputs: str, **how: Any) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **how))
        return name

    def number(self, values: Any) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def drawn(self, *shape: int) -> str:
        """Weights that keep the size of activations."""
        scale = np.sqrt(2 / np.prod(shape[1:]))
        values = self.rng.normal(0, scale, shape).astype(np.float32)
        return self.number(np.abs(values) if self.positive else values)

    def conv(self, x: str, width: tuple[int, int], kernel: int = 3, *, pad: bool = True) -> str:
        pads = [kernel // 2 if pad else 0] * 2 * self.spatial
        weight = self.drawn(width[1], width[0], *(kernel,) * self.spatial)
        return self.add("Conv", x, weight, pads=pads)

    def model(
        self, x: str, axes: str, shapes: tuple[Sequence[Any], Sequence[Any]], *, opset: int = OPSET
    ) -> bytes:
        """The network whose output is `x`."""
        assert len(axes) == len(shapes[0])
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("in", TensorProto.FLOAT, shapes[0])],
            [helper.make_tensor_value_info(x, TensorProto.FLOAT, shapes[1])],
            initializer=self.weights,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        onnx.checker.check_model(made)
        content: bytes = made.SerializeToString()
        return content


def unet(
    *,
    channels: tuple[int, int] = (1, 1),
    pad: bool = True,
    norm: bool = False,
    spatial: int = 2,
    last: str = "",
    size: int | None = None,
) -> bytes:
    """Two levels, one pooling by 2, nearest upsampling; 4 channels at full resolution."""
    net = Net(spatial=spatial)

    def level(x: str, width: tuple[int, int]) -> str:
        x = net.conv(x, width, pad=pad)
        if norm:
            ones, zeros = np.ones(width[1], np.float32), np.zeros(width[1], np.float32)
            x = net.add("InstanceNormalization", x, net.number(ones), net.number(zeros))
        return net.add("Relu", x)

    skip = level("in", (channels[0], 4))
    x = net.add("MaxPool", skip, kernel_shape=[2] * spatial, strides=[2] * spatial)
    x = level(x, (4, 8))
    scales = net.number(np.array([1, 1] + [2] * spatial, np.float32))
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    x = net.add("Resize", x, "", scales, **how)
    if not pad:  # the convolution below takes 1 pixel of each side there, 2 here
        x_range = [net.number(np.array(v)) for v in ([2] * spatial, [-2] * spatial)]
        skip = net.add("Slice", skip, *x_range, net.number(np.arange(2, 2 + spatial)))
    x = net.add("Concat", skip, x, axis=1)
    x = level(x, (12, 4))
    x = net.conv(x, (4, channels[1]), 1)
    if last:
        x = net.add(last, x, **({"axis": 1} if last == "Softmax" else {}))
    ends: list[Any] = [size] * spatial if size else [None] * spatial
    return net.model(
        x, "bczyx" if spatial == 3 else "bcyx", ([1, channels[0], *ends], [1, channels[1], *[None] * spatial])
    )


CUT = 4
"""Pixels that `unet(pad=False)` takes from each side: 1, 2 * 1 below, 1."""


def description_04(weights: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A description in version 0.4 of a network like `unet()`."""
    tensor = {"axes": "bcyx", "data_type": "float32"}
    stated = {
        "type": "model",
        "format_version": "0.4.10",
        "name": "made for a test",
        "license": "CC0-1.0",
        "authors": [{"name": "A. Maker"}],
        "cite": [{"text": "A paper", "doi": "10.1/2"}],
        "inputs": [
            {
                **tensor,
                "name": "raw",
                "shape": {"min": [1, 1, 16, 16], "step": [0, 0, 2, 2]},
                "preprocessing": [
                    {"name": "zero_mean_unit_variance", "kwargs": {"mode": "per_sample", "axes": "yx"}}
                ],
            }
        ],
        "outputs": [
            {
                **tensor,
                "name": "out",
                "shape": {"reference_tensor": "raw", "scale": [1, 1, 1, 1], "offset": [0, 0, 0, 0]},
                "halo": [0, 0, 6, 6],
                "postprocessing": [{"name": "sigmoid"}],
            }
        ],
        "weights": weights,
    }
    return changed(stated, changes)


def description_05(weights: dict[str, Any], *, names: Sequence[str] = ("nuclei",), **changes: Any) -> Any:
    """The same in version 0.5."""

    def space(letter: str, size: Any, **more: Any) -> dict[str, Any]:
        return {"type": "space", "id": letter, "size": size, **more}

    free = {"min": 16, "step": 2}
    relative = {letter: {"tensor_id": "raw", "axis_id": letter, "offset": 0} for letter in "yx"}
    stated = {
        "type": "model",
        "format_version": "0.5.3",
        "name": "made for a test",
        "inputs": [
            {
                "id": "raw",
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "id": "channel", "channel_names": ["grey"]},
                    space("y", free),
                    space("x", free),
                ],
                "preprocessing": [
                    {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
                    {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["y", "x"]}},
                    {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
                ],
            }
        ],
        "outputs": [
            {
                "id": "out",
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "id": "channel", "channel_names": list(names)},
                    space("y", relative["y"], halo=6),
                    space("x", relative["x"], halo=6),
                ],
                "postprocessing": [{"id": "sigmoid"}, {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}],
            }
        ],
        "weights": weights,
    }
    return changed(stated, changes)


def changed(stated: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Replace values: of the first input by `in_KEY`, of the first output by `out_KEY`, else at the top."""
    for key, value in changes.items():
        where, _, rest = key.partition("_")
        place = {"in": "inputs", "out": "outputs"}.get(where)
        if place:
            stated[place][0][rest] = value
        else:
            stated[key] = value
    return stated


def write_package(
    path: Path, content: bytes, version: str = "0.4", *, source: str = "weights.onnx", **changes: Any
) -> Path:
    """A package of one network: a .zip, or a folder."""
    weights = {
        "onnx": {"source": source, "sha256": hashlib.sha256(content).hexdigest(), "opset_version": OPSET}
    }
    describe = description_04 if version == "0.4" else description_05
    return write_files(path, {"rdf.yaml": describe(weights, **changes), source: content})


def as_yaml(stated: Any) -> bytes:
    """A description as YAML in which every part is spelled out."""

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
            return True

    content: bytes = yaml.dump(stated, Dumper=Dumper, encoding="utf-8")
    return content


def write_files(path: Path, files: dict[str, Any]) -> Path:
    """Files of a package, mappings as YAML, in a .zip or a folder."""
    contents = {name: value if isinstance(value, bytes) else as_yaml(value) for name, value in files.items()}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, value in contents.items():
                archive.writestr(name, value)
        return path
    for name, value in contents.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(value)
    return path


def runner(content: bytes) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
    """A network from a whole image (C, *spatial) to its whole output, by ONNX Runtime alone."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(image: NDArray[Any]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = session.run(None, {"in": image[None].astype(np.float32)})[0][0]
        return found

    return run


def blobs(*shape: int, channels: int = 1, seed: int = 0) -> NDArray[np.uint16]:
    """Smooth noise: an image with structure of some pixels."""
    noise = np.random.default_rng(seed).normal(size=(channels, *shape))
    for axis in range(1, noise.ndim):
        noise = noise + np.roll(noise, 1, axis) + np.roll(noise, 2, axis)
    return (1000 + 50 * noise).astype(np.uint16)
