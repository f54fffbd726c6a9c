"""A network of another program as a function of a tile, run by ONNX Runtime on the processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from unseam.axes import times
from unseam.errors import InputError, MissingExtraError, ModelFileError, ShapeError
from unseam.packages.description import Description
from unseam.packages.reading import Reading
from unseam.packages.sizes import Sizes
from unseam.processor import threads_wanted
from unseam.tile_rule import ANY_TILE

Array = NDArray[np.float32]
NUMBERS: Final = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(uint16)": np.uint16,
}
"""What ONNX calls the numbers that a network may take."""


class ForeignNetwork:
    """What prediction needs of a network, of one that was not made here.

    Parameters
    ----------
    run : callable
        An input, its axes as the description has them, to the output.
    description : Description
    sizes : Sizes
    reading : Reading
        Of the output.
    width : int
        Channels at full resolution, for how much memory a tile takes.

    Attributes
    ----------
    in_channels, classes, spatial_dims, base_width, geometry : as of a `unseam.UNet`.
    is_local : whether it is known that a tile, its halo cut away, gives what the whole image would.
    rule : any tiles.
    precision : what it computes in, at least.
    """

    def __init__(
        self,
        run: Callable[[NDArray[Any]], NDArray[Any]],
        description: Description,
        sizes: Sizes,
        reading: Reading,
        *,
        width: int,
    ) -> None:
        self._run, self._description, self._reading = run, description, reading
        self.in_channels, self.classes = description.channels_in, reading.classes
        self.spatial_dims, self.base_width = len(description.spatial), width
        self.geometry, self.is_local, self.rule = sizes.geometry, sizes.is_local, ANY_TILE
        self.precision = "float32"

    def probabilities(self, tile: Array) -> Array:
        """A tile, scaled, (C, *input), to probabilities, (classes, *output), the halo cut away.

        Raises
        ------
        ShapeError
            If the output is not as large as the description says.
        InputError
            If the network cannot be run, or gives no probabilities.
        """
        stated = self._description
        output = from_axes(self._run(to_axes(tile, stated)), stated)
        cuts = [size.cut for size in stated.sizes]
        expected = (stated.channels_out, *(n - 2 * c for n, c in zip(tile.shape[1:], cuts, strict=True)))
        if output.shape != expected:
            raise ShapeError(
                f"the network gives {times(output.shape)} for a tile of {times(tile.shape[1:])} and its "
                f"description says {times(expected)} (channels first); correct the description"
            )
        margins = [halo - cut for halo, cut in zip(self.geometry.halo, cuts, strict=True)]
        kept = tuple(slice(m, n - m) for m, n in zip(margins, output.shape[1:], strict=True))
        return self._reading(output[(slice(None), *kept)].astype(np.float32))


def to_axes(tile: NDArray[Any], description: Description) -> NDArray[Any]:
    """An array (C, *spatial) with the axes of the network's input, in their order."""
    have, wanted = f"bc{description.spatial}", description.input_axes
    array = np.expand_dims(tile, 0)
    for letter in "bc":  # which the network may lack, and which is then of length 1
        if letter not in wanted:
            array = array.squeeze(have.index(letter))
            have = have.replace(letter, "")
    return np.ascontiguousarray(array.transpose([have.index(letter) for letter in wanted]))


def from_axes(output: NDArray[Any], description: Description) -> NDArray[Any]:
    """An output of the network as an array (channels, *spatial).

    Raises
    ------
    ShapeError
        If it has another number of axes than the description states, or more than one image.
    """
    have, wanted = description.output_axes, f"bc{description.spatial}"
    if output.ndim != len(have) or ("b" in have and output.shape[have.index("b")] != 1):
        raise ShapeError(
            f"the network gives {times(output.shape)} and its description says axes {have}; correct the "
            "description"
        )
    for letter in wanted:
        if letter not in have:
            output, have = output[None], letter + have
    moved: NDArray[Any] = output.transpose([have.index(letter) for letter in wanted])[0]
    return moved


def read_graph(content: bytes, place: str) -> Any:
    """The graph of an ONNX network; its weights have to be in the same file.

    Raises
    ------
    MissingExtraError
        If onnx is not installed.
    ModelFileError
        If it is no ONNX network, or names other files.
    """
    onnx = _onnx("onnx")
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # of protobuf, which is no package of ours
        raise ModelFileError(
            f"{place} is no ONNX network, or is cut short ({_first(error)}); download the package again"
        ) from error
    tensors = [*_tensors(model.graph), *(t for f in model.functions for t in _of_nodes(f.node))]
    if not model.graph.output or any(t.data_location == onnx.TensorProto.EXTERNAL for t in tensors):
        raise ModelFileError(
            f"{place} keeps weights in other files, or has no output; save network and weights in one file"
        )
    return model


def onnx_run(content: bytes, description: Description, place: str) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """A function that runs an ONNX network; its inputs and output are compared with the description first.

    Raises
    ------
    MissingExtraError
        If onnxruntime is not installed.
    ModelFileError
        If ONNX Runtime does not take the network, or it does not fit the description.
    """
    runtime = _onnx("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads_wanted()
    options.log_severity_level = 4  # what goes wrong is raised
    try:
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes, of no common base
        raise ModelFileError(
            f"ONNX Runtime cannot run {place} ({_first(error)}); convert the network anew"
        ) from error
    _check_ends(session, description, place)
    source, result = session.get_inputs()[0], session.get_outputs()[0].name
    dtype = np.dtype(NUMBERS[source.type])

    def run(array: NDArray[Any]) -> NDArray[Any]:
        try:
            output: NDArray[Any] = session.run([result], {source.name: array.astype(dtype, copy=False)})[0]
        except Exception as error:  # as above
            raise InputError(
                f"ONNX Runtime stopped at a tile of {times(array.shape)} ({_first(error)}); see that its "
                "description states sizes that the network takes"
            ) from error
        return output

    return run


def _check_ends(session: Any, description: Description, place: str) -> None:
    """Raise unless input and output of a network have the axes, channels and numbers that are described."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1:
        names = ", ".join(i.name for i in inputs)
        raise ModelFileError(
            f"{place} takes {len(inputs)} inputs ({names}) and its description one; nothing fits"
        )
    for what, end, axes, channels in (
        ("takes", inputs[0], description.input_axes, description.channels_in),
        ("gives", outputs[0], description.output_axes, description.channels_out),
    ):
        if len(end.shape) != len(axes):
            raise ModelFileError(
                f"{place} {what} {len(end.shape)} axes and its description says {axes}; correct one of them"
            )
        found = end.shape[axes.index("c")] if "c" in axes else channels
        if isinstance(found, int) and found != channels:
            raise ModelFileError(
                f"{place} {what} {found} channels and its description says {channels}; correct one of them"
            )
    if inputs[0].type not in NUMBERS:
        raise ModelFileError(f"{place} takes {inputs[0].type}; expected numbers, as tensor(float)")
    fixed = dict(zip(description.input_axes, inputs[0].shape, strict=True))
    for letter, size in zip(description.spatial, description.sizes, strict=True):
        n = fixed[letter]
        if isinstance(n, int) and (size.step or n != size.smallest):
            stated = f"{size.smallest} + {size.step} n" if size.step else str(size.smallest)
            raise ModelFileError(
                f"{place} takes {n} pixels along {letter} and its description says {stated}; correct one"
            )


def _tensors(graph: Any) -> Any:
    """All constants of a graph, and of the graphs in it."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Any) -> Any:
    """All constants that nodes hold; what is not stated is an empty tensor."""
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def _onnx(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            f"running the network of a bioimage.io package takes {name}; pip install 'unseam[bioimageio]'"
        ) from error


def _first(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())[:160] or type(error).__name__
