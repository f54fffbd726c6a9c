"""Which layer follows which: by the names of what layers read and make, never by their own names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from unseam.caffe.layers import Layer
from unseam.errors import ModelFileError

ENDS = {
    "softmax",
    "softmaxwithloss",
    "softmaxloss",
    "argmax",
    "accuracy",
    "iou",
    "f1",
    "silence",
    "hdf5output",
}
"""Kinds of layers that may read what the network makes, or anything on the way, and change nothing of it."""


@dataclass(frozen=True)
class Node:
    """A layer with its inputs and outputs, which are numbered: a name that is made anew is another number."""

    layer: Layer
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class Graph:
    """A network as nodes that read what others made.

    Layers that copy (Split) and dropout, which does nothing in a prediction, are seen through; layers for
    training alone are left out. `dropout` holds the share that was dropped of a value.
    """

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.nodes: list[Node] = []
        self.maker: dict[int, Node] = {}
        self.dropout: dict[int, float] = {}
        latest: dict[str, int] = {}
        count = 0
        for layer in layers:
            inputs = []
            for name in layer.bottoms:
                if name not in latest:
                    latest[name], count = count, count + 1
                inputs.append(latest[name])
            if layer.kind in ("split", "dropout") and inputs:
                latest.update(dict.fromkeys(layer.tops, inputs[0]))
                if layer.kind == "dropout":
                    self.dropout[inputs[0]] = layer.number("dropout_param", "dropout_ratio", 0.5)
                continue
            if layer.for_training_alone:
                continue
            outputs = tuple(range(count, count + len(layer.tops)))
            latest.update(zip(layer.tops, outputs, strict=True))
            count += len(outputs)
            self.nodes.append(Node(layer, tuple(inputs), outputs))
            self.maker.update(dict.fromkeys(outputs, self.nodes[-1]))

    def first(self, kind: str) -> Node:
        """The first layer of a kind.

        Raises
        ------
        ModelFileError
            If there is none.
        """
        for node in self.nodes:
            if node.layer.kind == kind:
                return node
        raise ModelFileError(f"it is no U-Net: none of its {len(self.nodes)} layers is a {kind}")

    def readers(self, value: int) -> list[Node]:
        """The layers that do something with a value; a crop reads its second input for the size alone."""
        return [
            node
            for node in self.nodes
            if value in (node.inputs[:1] if node.layer.kind == "crop" else node.inputs)
            and node.layer.kind not in ENDS
        ]

    def after(self, value: int, *kinds: str) -> Node | None:
        """The layer of these kinds that reads a value, if there is one.

        Raises
        ------
        ModelFileError
            If there are several.
        """
        found = [n for n in self.readers(value) if n.layer.kind in kinds and len(n.outputs) == 1]
        if len(found) > 1:
            raise ModelFileError(f"it is no U-Net: {found[0].layer} and {found[1].layer} read the same")
        return found[0] if found else None

    def need(self, value: int, *kinds: str) -> Node:
        """The layer of these kinds that reads a value.

        Raises
        ------
        ModelFileError
            If there is none; the layer that is there instead is named.
        """
        node = self.after(value, *kinds)
        if node is not None:
            return node
        expected = " or ".join(kinds)
        for other in self.readers(value):
            raise ModelFileError(f"it is no U-Net: {other.layer} is where a {expected} was expected")
        last = self.maker[value].layer if value in self.maker else "its input"
        raise ModelFileError(f"it is no U-Net: it ends at {last}, where a {expected} was expected to follow")
