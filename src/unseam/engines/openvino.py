"""OpenVINO: the U written out operation by operation, and compiled for tiles of one size."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.engines.engine import Encode, Run, telling_memory
from unseam.engines.quantised import corrected, matched, quantise
from unseam.model.folded import Convolution, FoldedNetwork, crop_margins

PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
"""And what is computed in where nothing is rounded to int8."""
NO_MEMORY = ("Check 'ptr' failed", "bad_alloc", "allocate memory")
"""Words of its errors where memory is used up."""


def compile_tile(network: FoldedNetwork, tile: Sequence[int], *, precision: str, threads: int = 0) -> Run:
    """The network as a function of a tile: (C, *tile) to probabilities (classes, *output).

    In int8 it is one that is calibrated.
    """
    model = quantised_graph(network, tile) if precision == "int8" else graph(network, tile)
    answers = answers_of(compiled_graph(model, precision, threads))
    return lambda x: answers(x)[0]


def compile_encoder(network: FoldedNetwork, part: Sequence[int], *, threads: int = 0) -> Encode:
    """The contracting path as a function of a part of an image: what each level makes of it, float32."""
    openvino = load_openvino()
    ops = openvino.opset13
    image = ops.parameter([1, network.in_channels, *part], np.float32, name="image")
    bottom, skips = _contract(ops, network, image)
    model = openvino.Model([ops.result(x) for x in (*skips, bottom)], [image], "encoder")
    return answers_of(compiled_graph(model, "float32", threads))


def compiled_graph(model: Any, precision: str, threads: int) -> Any:
    """A graph, compiled for this processor."""
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # else processes beside each other would share a core
    }
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    with telling_memory(*NO_MEMORY):
        return _core().compile_model(model, "CPU", options)


def answers_of(compiled: Any) -> Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """An image (C, *pixels) to the results of a compiled network, without the axis of the batch.

    Results lie in the request until the next image, so one thread at a time computes and takes them away;
    it has all cores for that.
    """
    request, outputs, alone = compiled.create_infer_request(), len(compiled.outputs), Lock()

    def answers(x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        image = np.ascontiguousarray(x)[None]
        with alone, telling_memory(*NO_MEMORY):
            found = request.infer([image], share_inputs=True, share_outputs=True)
            return [np.array(found[k])[0] for k in range(outputs)]

    return answers


@lru_cache(maxsize=1)
def _core() -> Any:
    return load_openvino().Core()


def graph(network: FoldedNetwork, tile: Sequence[int]) -> Any:
    """`UNet.forward` and a softmax as an `openvino.Model`; nodes have the names of the modules.

    A size of -1 in `tile` is left open, as the batch is then.
    """
    openvino = load_openvino()
    ops = openvino.opset13
    batch = -1 if min(tile) < 0 else 1
    image = ops.parameter([batch, network.in_channels, *tile], np.float32, name="image")
    x, skips = _contract(ops, network, image)
    margins = crop_margins(network.geometry)
    for k in reversed(range(len(skips))):
        x = _up(ops, network.up[k], x, network.strides[k], f"up.{k}")
        if network.active_up:
            x = _activation(ops, x, network.leak, f"up.{k}.relu")
        x = ops.concat([_crop(ops, skips[k], margins[k], f"crop.{k}"), x], axis=1, name=f"concat.{k}")
        x = _level(ops, network, network.out[k], x, f"out.{k}")
    x = _convolution(ops, network.head, x, "head")
    probabilities = ops.softmax(x, axis=1, name="probabilities")
    return openvino.Model([ops.result(probabilities)], [image], "unet")


def quantised_graph(network: FoldedNetwork, tile: Sequence[int]) -> Any:
    """The same in int8, of a network that is calibrated; see `unseam.engines.quantised`."""
    same = corrected(matched(network))
    model = graph(same, tile)
    quantise(load_openvino().opset13, model, same)
    return model


def _contract(ops: Any, network: FoldedNetwork, image: Any) -> tuple[Any, list[Any]]:
    """What is at the bottom, and what each level above it makes before pooling."""
    x, skips = image, []
    for k, (level, stride) in enumerate(zip(network.down, network.strides, strict=True)):
        x = _level(ops, network, level, x, f"down.{k}")
        skips.append(x)
        x = _pool(ops, x, stride, f"pool.{k}")
    return _level(ops, network, network.bottom, x, "bottom"), skips


def _level(ops: Any, network: FoldedNetwork, level: Sequence[Convolution], x: Any, name: str) -> Any:
    for k, convolution in enumerate(level):
        x = _convolution(ops, convolution, x, f"{name}.{k}")
        x = _activation(ops, x, network.leak, f"{name}.{k}.relu")
    return x


def _convolution(ops: Any, layer: Convolution, x: Any, name: str) -> Any:
    dims = layer.weight.ndim - 2
    ones, none = [1] * dims, [0] * dims
    weight = ops.constant(layer.weight, name=f"{name}.weight")
    x = ops.convolution(x, weight, ones, none, none, ones, name=name)
    return ops.add(x, _bias(ops, layer, name))


def _up(ops: Any, layer: Convolution, x: Any, stride: Sequence[int], name: str) -> Any:
    none = [0] * len(stride)
    weight = ops.constant(layer.weight, name=f"{name}.weight")
    x = ops.convolution_backprop_data(
        x, weight, list(stride), pads_begin=none, pads_end=none, dilations=[1] * len(stride), name=name
    )
    return ops.add(x, _bias(ops, layer, name))


def _bias(ops: Any, layer: Convolution, name: str) -> Any:
    dims = layer.weight.ndim - 2
    return ops.constant(layer.bias.reshape(1, -1, *[1] * dims), name=f"{name}.bias")


def _activation(ops: Any, x: Any, leak: float, name: str) -> Any:
    if leak:
        return ops.prelu(x, ops.constant(np.array([leak], np.float32)), name=name)
    return ops.relu(x, name=name)


def _pool(ops: Any, x: Any, stride: Sequence[int], name: str) -> Any:
    none = [0] * len(stride)
    pooled = ops.max_pool(x, list(stride), [1] * len(stride), none, none, list(stride), name=name)
    return pooled.output(0)


def _crop(ops: Any, x: Any, margin: Sequence[int], name: str) -> Any:
    axes = [axis for axis, cut in enumerate(margin) if cut]
    if not axes:
        return x
    start, stop = [margin[a] for a in axes], [-margin[a] for a in axes]
    return ops.slice(x, start, stop, [1] * len(axes), [a + 2 for a in axes], name=name)


def load_openvino() -> Any:
    """OpenVINO, which with this package of its would tell its makers each time that it is imported."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino
    import openvino.opset13

    return openvino
