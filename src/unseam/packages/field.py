"""What each output pixel of an ONNX network sees of its input, read off the graph.

The graph is walked forwards for the axes of each tensor and how coarse it is, then backwards: from a range of
output pixels to the range of input pixels that they are computed of. A convolution that pads sees pixels
beyond the tile; so a halo is wide enough where the range of what is kept stays within the tile. One axis, a
kernel of 3 after a pooling by 2 and before an upsampling by 2::

    output                       │ a ... b │
    upsampling by 2        a // 2 ... b // 2
    convolution of 3   a // 2 - 1 ... b // 2 + 1
    pooling by 2      2 (a // 2 - 1) ... 2 (b // 2 + 1) + 1

What an operation sees that is not known here, nobody says; for one that takes in the whole tile, as a norm
over its pixels, no halo would do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from unseam.packages.ranges import Back, Range, resized, same, shifted, spread, windowed

PIXELWISE: Final = """
    Abs Add BatchNormalization Cast Ceil Celu Clip Div Dropout Elu Equal Erf Exp Floor Gelu Greater
    HardSigmoid HardSwish Identity LRN LeakyRelu Less Log Max Mean Min Mish Mul Neg Not PRelu Pow Reciprocal
    Relu Round Selu Sigmoid Sign Softplus Softsign Sqrt Sub Sum Tanh ThresholdedRelu Where
"""
WHOLE: Final = """
    InstanceNormalization GroupNormalization LayerNormalization MeanVarianceNormalization GlobalAveragePool
    GlobalMaxPool GlobalLpPool LpNormalization ReduceMean ReduceMax ReduceMin ReduceSum ReduceL1 ReduceL2
    ReduceSumSquare ReduceProd ReduceLogSumExp
"""
WINDOWS: Final = "Conv MaxPool AveragePool LpPool"
SHAPES: Final = "Shape Size"
DRAWN: Final = "Bernoulli Multinomial RandomNormal RandomUniform"
"""Operations of ONNX: pixel by pixel, over the whole tile, over a window, of no pixel, and by chance."""
FAR: Final = 2**31 - 1
"""Where a crop ends that goes on to the end of its axis, or beyond."""


class UnknownError(Exception):
    """The graph does something of which it is not known what it sees; the message says what."""


@dataclass(frozen=True)
class Field:
    """What a network sees.

    Attributes
    ----------
    stride : along each spatial axis, input pixels at which the network computes the same again.
    width : channels at full resolution, the most.
    pads : whether anything is padded.
    last : the last operation that is one: "Sigmoid", "Softmax", ...
    reason : why it is not known what it sees, or "".
    whole : whether that is because it sees the whole tile.
    crops : whether it is a crop by a computed number of pixels alone that is not known.
    """

    stride: tuple[int, ...]
    width: int
    pads: bool
    last: str
    reason: str
    whole: bool
    crops: bool
    _moves: tuple[tuple[str, str, tuple[Back, ...]], ...]
    _ends: tuple[str, str]

    def seen(self, axis: int, first: int, last: int) -> Range:
        """The first and last input pixel that a range of output pixels depends on, along one axis."""
        source, result = self._ends
        ranges = {result: (first, last)}
        for output, tensor, back in reversed(self._moves):
            if output in ranges:
                low, high = back[axis](*ranges[output])
                before = ranges.get(tensor, (low, high))
                ranges[tensor] = min(low, before[0]), max(high, before[1])
        return ranges[source]


@dataclass(frozen=True)
class _Tensor:
    """A tensor that the image flows through: a letter for each axis, and its pixels' size in input pixels."""

    axes: str
    step: tuple[Fraction, ...]
    any_size: bool = False  # whether a crop left a number of pixels of it that is not known, perhaps one


def field_of(model: Any, axes: str, spatial: str) -> Field:
    """What a network sees of its input.

    Parameters
    ----------
    model : onnx.ModelProto
    axes : str
        Letters of the axes of its input, as "bcyx".
    spatial : str
        The spatial ones among them, in the order of the results.
    """
    return _Walk(model, axes, spatial).field()


class _Walk:
    """One walk through a graph."""

    def __init__(self, model: Any, axes: str, spatial: str) -> None:
        from onnx import numpy_helper

        self.graph, self.spatial = model.graph, spatial
        self.opset = max((i.version for i in model.opset_import if i.domain in ("", "ai.onnx")), default=1)
        self.functions = {(f.domain, f.name) for f in model.functions}
        self.constants = {t.name: numpy_helper.to_array(t) for t in self.graph.initializer}
        self.fixed = {*self.constants, ""}  # what is the same whatever the tile is; "" is an input left out
        inputs = [i.name for i in self.graph.input if i.name not in self.constants]
        self.source, self.result = inputs[0], self.graph.output[0].name
        self.tensors = {self.source: _Tensor(axes, (Fraction(1),) * len(spatial))}
        self.moves: list[tuple[str, str, tuple[Back, ...]]] = []
        self.largest = [1] * len(spatial)
        self.width, self.pads, self.crops = 1, False, ""

    def field(self) -> Field:
        reason = ""
        try:
            for node in self.graph.node:
                self._step(node)
            if self.result not in self.tensors:
                raise UnknownError("its output does not depend on its input")
            if any(step != 1 for step in self.tensors[self.result].step):
                raise UnknownError("its output has other pixels than its input")
        except UnknownError as error:
            reason = str(error)
        kinds = {node.op_type for node in self.graph.node}
        if kinds & set(WHOLE.split()):
            reason = f"{' and '.join(sorted(kinds & set(WHOLE.split())))} takes in the whole tile"
        crops = self.crops != "" and not reason
        return Field(
            tuple(self.largest),
            self.width,
            self.pads or "Pad" in kinds,
            self._last(),
            reason or self.crops,
            "whole tile" in reason,
            crops,
            tuple(self.moves),
            (self.source, self.result),
        )

    def _last(self) -> str:
        made = {output: node for node in self.graph.node for output in node.output}
        name = self.result
        while name in made and made[name].op_type in ("Identity", "Cast", "Transpose", "Slice", "Pad"):
            name = made[name].input[0]
        return str(made[name].op_type) if name in made else ""

    def _step(self, node: Any) -> None:
        """Add what one node makes, and how it goes back to what it was made of."""
        self._check_kind(node)
        if node.op_type == "Constant":
            self.constants[node.output[0]] = _constant(node)
            self.fixed.add(node.output[0])
            return
        data = [name for name in node.input if name in self.tensors]
        if not data or node.op_type in SHAPES.split():  # numbers, and what is computed of shapes
            if self.fixed.issuperset(node.input) and node.op_type not in DRAWN.split():
                self.fixed.update(node.output)
            return
        first, kind = self.tensors[data[0]], node.op_type
        self._check_numbers(node, data)
        backs: tuple[Back, ...] = (same,) * len(self.spatial)
        made = first
        if kind in WINDOWS.split():
            made, backs = self._window(node, first)
        elif kind == "ConvTranspose":
            made, backs = self._spread(node, first)
        elif kind in ("Resize", "Upsample"):
            made, backs = self._resize(node, first)
        elif kind == "Transpose":
            made = self._transposed(node, first)
        elif kind == "Pad":
            backs = self._pad(node, first)
        elif kind == "Slice":
            made, backs = self._crop(node, first)
        elif kind in ("Softmax", "LogSoftmax", "Concat"):
            self._check_axis(node, first)
        elif kind not in PIXELWISE.split():
            raise UnknownError(f"{kind} is not known")
        for name in data:
            if self.tensors[name] != replace(first, any_size=self.tensors[name].any_size):
                raise UnknownError(f"{kind} joins pixels of different sizes")
            self.moves.append((node.output[0], name, backs))
        self._check_maps(node, first)
        if any(self.tensors[name].any_size for name in data):
            if len(data) > 1 and kind != "Concat":  # one row may be joined with all
                raise UnknownError(f"{kind} joins what a crop left")
            made = replace(made, any_size=True)
        self.tensors[node.output[0]] = made
        self.largest = [math.lcm(n, s.numerator) for n, s in zip(self.largest, made.step, strict=True)]

    def _window(self, node: Any, tensor: _Tensor) -> tuple[_Tensor, tuple[Back, ...]]:
        """Convolution or pooling: output o is made of input o stride - before, and so on, an extent long."""
        how, order = _attributes(node), self._order(node, tensor)
        weight = self.constants.get(node.input[1]) if node.op_type == "Conv" else None
        kernel = how.get("kernel_shape") or (weight.shape[2:] if weight is not None else None)
        if kernel is None:
            raise UnknownError("a convolution has a kernel that is computed")
        strides, dilations = how.get("strides", [1] * len(kernel)), how.get("dilations", [1] * len(kernel))
        extents = [d * (k - 1) for k, d in zip(kernel, dilations, strict=True)]
        befores = self._padding(how, [max(0, e + 1 - s) for e, s in zip(extents, strides, strict=True)])
        made = self._scaled(tensor, order, [Fraction(s) for s in strides])
        if weight is not None and all(s == 1 for s in made.step):
            self.width = max(self.width, int(weight.shape[0]))
        backs = {
            letter: windowed(int(stride), int(before), int(extent))
            for letter, stride, before, extent in zip(order, strides, befores, extents, strict=True)
        }
        return made, tuple(backs[letter] for letter in self.spatial)

    def _spread(self, node: Any, tensor: _Tensor) -> tuple[_Tensor, tuple[Back, ...]]:
        """Transposed convolution: input i reaches output i stride - before, and so on, an extent long."""
        how, order = _attributes(node), self._order(node, tensor)
        weight = self.constants.get(node.input[1])
        kernel = how.get("kernel_shape") or (weight.shape[2:] if weight is not None else None)
        if kernel is None or "output_shape" in how:
            raise UnknownError("a transposed convolution has a kernel or a size that is computed")
        strides, dilations = how.get("strides", [1] * len(kernel)), how.get("dilations", [1] * len(kernel))
        extents = [d * (k - 1) for k, d in zip(kernel, dilations, strict=True)]
        befores = self._padding(how, [max(0, e + 1 - s) for e, s in zip(extents, strides, strict=True)])
        backs = {
            letter: spread(int(stride), int(before), int(extent))
            for letter, stride, before, extent in zip(order, strides, befores, extents, strict=True)
        }
        made = self._scaled(tensor, order, [Fraction(1, s) for s in strides])
        return made, tuple(backs[letter] for letter in self.spatial)

    def _padding(self, how: dict[str, Any], same: list[int]) -> list[int]:
        """What is padded before each axis."""
        kind = how.get("auto_pad", "NOTSET")
        if kind in ("SAME_UPPER", "SAME_LOWER"):  # of sizes that the stride divides
            self.pads = self.pads or any(same)
            return [-(-n // 2) if kind == "SAME_LOWER" else n // 2 for n in same]
        pads = list(how.get("pads", [0] * 2 * len(same))) if kind == "NOTSET" else [0] * 2 * len(same)
        self.pads = self.pads or any(pads)
        return pads[: len(same)]

    def _resize(self, node: Any, tensor: _Tensor) -> tuple[_Tensor, tuple[Back, ...]]:
        """Nearest or linear, by a factor that is stated."""
        how = _attributes(node)
        where = how.get("coordinate_transformation_mode", "half_pixel")
        if node.op_type == "Upsample":
            where = "asymmetric"
        scales = how.get("scales")
        for name in node.input[1:]:
            found = self.constants.get(name)
            if found is not None and found.dtype.kind == "f" and found.size == len(tensor.axes):
                scales = found.tolist()
        mode = how.get("mode", "nearest")
        if "axes" in how:
            raise UnknownError("a resize of axes that are named")
        if where == "align_corners":
            raise UnknownError("a resize that aligns corners takes in the whole tile")
        if scales is None or mode not in ("nearest", "linear") or how.get("antialias"):
            raise UnknownError(f"a {mode} resize to a size that is computed")
        if where not in ("asymmetric", "half_pixel", "pytorch_half_pixel"):
            raise UnknownError(f"a resize by {where}")
        by_letter = dict(zip(tensor.axes, (Fraction(s).limit_denominator(64) for s in scales), strict=True))
        if by_letter.get("c", 1) != 1:
            raise UnknownError("a resize of the channels")
        made = self._scaled(tensor, self.spatial, [1 / by_letter[letter] for letter in self.spatial])
        half = Fraction(0 if where == "asymmetric" else 1, 2)
        nearest = how.get("nearest_mode", "floor" if where == "asymmetric" else "round_prefer_floor")
        kind = nearest if mode == "nearest" else "linear"
        return made, tuple(resized(by_letter[letter], half, kind) for letter in self.spatial)

    def _transposed(self, node: Any, tensor: _Tensor) -> _Tensor:
        order = _attributes(node).get("perm", range(len(tensor.axes))[::-1])
        return replace(tensor, axes="".join(tensor.axes[k] for k in order))

    def _pad(self, node: Any, tensor: _Tensor) -> tuple[Back, ...]:
        """Padding: pixels change their place."""
        found = self.constants.get(node.input[1]) if len(node.input) > 1 else None
        pads = _attributes(node).get("pads") if found is None else found.tolist()
        if pads is None or len(pads) != 2 * len(tensor.axes) or any(node.input[3:]):
            raise UnknownError("a padding that is computed")
        moved = {letter: -int(n) for letter, n in zip(tensor.axes, pads, strict=False)}
        return tuple(shifted(moved[letter]) for letter in self.spatial)

    def _crop(self, node: Any, tensor: _Tensor) -> tuple[_Tensor, tuple[Back, ...]]:
        """Slice: pixels change their place, as long as it keeps all of an axis but a number at its ends."""
        stated = _attributes(node)
        for key, name in zip(("starts", "ends", "axes", "steps"), node.input[1:], strict=False):
            if name:
                stated[key] = self.constants[name].tolist() if name in self.constants else None
        starts, ends = stated["starts"], stated["ends"]
        steps, axes = stated.get("steps", [1]), stated.get("axes", range(len(starts or ())))
        if steps is None or any(step != 1 for step in steps):
            raise UnknownError("a crop in steps")
        moved, crops = dict.fromkeys(self.spatial, 0), ""
        if starts is None or ends is None or axes is None:
            crops = "a crop is computed"
        else:
            for axis, start, end in zip(axes, starts, ends, strict=True):
                letter = tensor.axes[axis % len(tensor.axes)]
                if letter in moved and start < 0:
                    crops = "a crop is computed"
                elif letter in moved and 0 <= end < FAR:
                    crops = "a crop is to a number of pixels"
                elif letter in moved:
                    moved[letter] = start
        self.crops = crops or self.crops
        made = replace(tensor, any_size=tensor.any_size or bool(crops))
        return made, tuple(shifted(n) for n in moved.values())

    def _order(self, node: Any, tensor: _Tensor) -> str:
        """Letters of the axes that a kernel has."""
        if tensor.axes[:2] != "bc":
            raise UnknownError(f"{node.op_type} over axes {tensor.axes}")
        return tensor.axes[2:]

    def _scaled(self, tensor: _Tensor, order: str, factors: list[Fraction]) -> _Tensor:
        by_letter = dict(zip(order, factors, strict=True))
        steps = zip(self.spatial, tensor.step, strict=True)
        return replace(tensor, step=tuple(step * by_letter[letter] for letter, step in steps))

    def _check_axis(self, node: Any, tensor: _Tensor) -> None:
        """Refuse what goes along pixels; before opset 13 a softmax takes in all axes from its own on."""
        how, kind = _attributes(node), node.op_type
        old = kind != "Concat" and self.opset < 13
        axis = how.get("axis", 1 if old else -1) % len(tensor.axes)
        if tensor.axes[axis] != "c" or (old and axis != len(tensor.axes) - 1):
            raise UnknownError(f"{kind} takes in the whole tile" if kind != "Concat" else "Concat of pixels")

    def _check_kind(self, node: Any) -> None:
        """Refuse what only looks like a known operation, or holds a graph, which sees all that is outside."""
        kind, how = node.op_type, _attributes(node)
        if node.domain not in ("", "ai.onnx") or (node.domain, kind) in self.functions:
            raise UnknownError(f"{kind} of {node.domain or 'the network'} is not known")
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            raise UnknownError(f"{kind} is not known")
        if kind == "BatchNormalization" and (how.get("training_mode") or any(node.output[1:])):
            raise UnknownError("BatchNormalization as in training takes in the whole tile")
        if kind == "Dropout" and any(node.input[2:]) and np.any(self.constants.get(node.input[2], True)):
            raise UnknownError("Dropout as in training is by chance")

    def _check_numbers(self, node: Any, data: list[str]) -> None:
        """Refuse weights and summands that depend on the tile, as on its size."""
        kind = node.op_type
        joins = kind == "Concat" or (kind in PIXELWISE.split() and kind != "BatchNormalization")
        known = {*self.constants, *data, ""} if joins else {*self.fixed, node.input[0]}
        if kind not in ("Pad", "Slice", "Resize", "Upsample") and not known.issuperset(node.input):
            raise UnknownError(f"{kind} with numbers that are computed")

    def _check_maps(self, node: Any, tensor: _Tensor) -> None:
        """Refuse a map that is added to a tile, or multiplied: it belongs to places in the tile."""
        if node.op_type not in (*PIXELWISE.split(), "Concat") or node.op_type == "BatchNormalization":
            return
        for name in node.input:
            shape = self.constants[name].shape if name in self.constants else ()
            ends = zip(reversed(tensor.axes), reversed(shape), strict=False)
            if len(shape) > len(tensor.axes) or any(letter in self.spatial and n != 1 for letter, n in ends):
                raise UnknownError(f"{node.op_type} with a map takes in the whole tile")


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    found = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {key: value.decode() if isinstance(value, bytes) else value for key, value in found.items()}


def _constant(node: Any) -> NDArray[Any]:
    from onnx import numpy_helper

    how = _attributes(node)
    if "sparse_value" in how:
        raise UnknownError("a sparse constant is not known")
    if "value" in how:
        found: NDArray[Any] = numpy_helper.to_array(how["value"])
        return found
    return np.asarray(next(iter(how.values()), 0))
