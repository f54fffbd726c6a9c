"""What an output pixel sees, against the network itself: which input columns change it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from tests.packages.made import Net, runner, unet

from unseam.packages.field import Field, field_of

SIZE = 48


def _net(build: Callable[[Net], str], *, opset: int = 17, axes: str = "bcyx") -> bytes:
    net = Net(positive=True)
    x = build(net)
    return net.model(x, axes, ([1, 1, None, None], [1, None, None, None]), opset=opset)


def field(content: bytes) -> Field:
    return field_of(onnx.load_model_from_string(content), "bcyx", "yx")


def up(net: Net, x: str, mode: str, where: str, nearest: str = "round_prefer_floor") -> str:
    scales = net.number(np.array([1, 1, 2, 2], np.float32))
    how = {"coordinate_transformation_mode": where}
    return net.add(
        "Resize", x, "", scales, mode=mode, **how, **({"nearest_mode": nearest} if mode == "nearest" else {})
    )


def pool(net: Net, x: str, kind: str = "MaxPool", **how: Any) -> str:
    return net.add(kind, x, **({"kernel_shape": [2, 2], "strides": [2, 2]} | how))


def spread(net: Net, x: str, kernel: int, stride: int, pad: int = 0) -> str:
    weight = net.drawn(1, 1, kernel, kernel)
    return net.add("ConvTranspose", x, weight, strides=[stride] * 2, pads=[pad] * 4)


def cut(net: Net, x: str) -> str:
    starts, ends, axes = (net.number(np.array(v)) for v in ([3, 1], [-1, -2], [2, 3]))
    return net.add("Slice", x, starts, ends, axes)


def dilated(net: Net, x: str) -> str:
    return net.add("Conv", x, net.drawn(1, 1, 3, 3), dilations=[3, 3], pads=[3] * 4)


def same(net: Net, x: str, kind: str) -> str:
    return net.add("Conv", x, net.drawn(1, 1, 3, 3), auto_pad=kind, strides=[2, 2])


def channels_last(net: Net) -> str:
    x = net.add("Transpose", net.conv("in", (1, 2)), perm=[0, 2, 3, 1])
    x = net.add("Add", x, net.number(np.ones(2, np.float32)))
    return net.conv(net.add("Transpose", x, perm=[0, 3, 1, 2]), (2, 1))


NETS: dict[str, Callable[[Net], str]] = {
    "convolution": lambda n: n.conv("in", (1, 1), 5),
    "unpadded": lambda n: n.conv(n.conv("in", (1, 1), pad=False), (1, 1), pad=False),
    "dilated": lambda n: dilated(n, "in"),
    "crop": lambda n: cut(n, n.conv("in", (1, 1))),
    "padding": lambda n: n.add(
        "Pad", n.conv("in", (1, 1), pad=False), n.number(np.array([0, 0, 1, 2, 0, 0, 1, 0]))
    ),
    "channels last": channels_last,
    "nearest": lambda n: up(n, n.conv(pool(n, "in"), (1, 1)), "nearest", "asymmetric", "floor"),
    "nearest, half pixel": lambda n: up(n, pool(n, "in"), "nearest", "half_pixel"),
    "nearest, up": lambda n: up(n, pool(n, "in"), "nearest", "half_pixel", "round_prefer_ceil"),
    "nearest, ceil": lambda n: up(n, pool(n, "in"), "nearest", "asymmetric", "ceil"),
    "linear": lambda n: up(n, pool(n, "in", "AveragePool"), "linear", "half_pixel"),
    "transposed 2": lambda n: spread(n, pool(n, "in"), 2, 2),
    "transposed 4": lambda n: spread(n, pool(n, "in"), 4, 2, 1),
    "transposed 3": lambda n: (
        spread(n, pool(n, "in"), 3, 1, 1) and up(n, n.nodes[-1].output[0], "linear", "half_pixel")
    ),
    "same upper": lambda n: up(n, same(n, "in", "SAME_UPPER"), "nearest", "asymmetric", "floor"),
    "same lower": lambda n: up(n, same(n, "in", "SAME_LOWER"), "nearest", "asymmetric", "floor"),
    "two poolings": lambda n: spread(
        n, spread(n, n.conv(pool(n, pool(n, n.conv("in", (1, 1)))), (1, 1)), 2, 2), 2, 2
    ),
}


def sees(content: bytes) -> dict[int, tuple[int, int]]:
    """For each output column the first and last input column that changes it, found by trying each."""
    flat, run = np.ones((1, 8, SIZE)), runner(content)
    usual, changed = run(flat)[0], []
    for column in range(SIZE):
        image = flat.copy()
        image[..., column] = 1e4
        changed.append(np.abs(run(image)[0] - usual).max(0) > 1e-6)
    table = np.array(changed)  # (input columns, output columns)
    return {
        k: (int(np.flatnonzero(seen)[0]), int(np.flatnonzero(seen)[-1]))
        for k, seen in enumerate(table.T)
        if seen.any()
    }


@pytest.mark.parametrize("name", NETS)
def test_a_pixel_sees_what_changes_it(name: str) -> None:
    content = _net(NETS[name])
    found, tried = field(content), sees(content)
    assert found.reason == "" and not found.whole
    inner = {k: ends for k, ends in tried.items() if 12 <= k < SIZE - 14}
    assert {k: found.seen(1, k, k) for k in inner} == inner
    first, last = min(inner), max(inner)
    assert found.seen(1, first, last) == (inner[first][0], inner[last][1])


def test_both_axes_are_told_apart() -> None:
    net = Net()
    found = field(_net(lambda n: n.add("Conv", "in", n.drawn(1, 1, 1, 5), pads=[0, 2, 0, 2])))
    assert (found.seen(0, 5, 6), found.seen(1, 5, 6)) == ((5, 6), (3, 8))
    assert net.spatial == 2


@pytest.mark.parametrize(
    ("name", "stride"), [("convolution", 1), ("nearest", 2), ("two poolings", 4), ("same upper", 2)]
)
def test_the_stride_is_what_poolings_take(name: str, stride: int) -> None:
    assert field(_net(NETS[name])).stride == (stride, stride)


def test_what_else_is_read_off_the_graph() -> None:
    padded, unpadded = field(unet(last="Sigmoid")), field(unet(pad=False))
    assert (padded.pads, unpadded.pads) == (True, False)
    assert (padded.width, padded.last, unpadded.last) == (4, "Sigmoid", "Conv")
    # 1 + 2 * 1 + 1 pixels see 4 on each side, and pooling joins pairs of them
    assert padded.seen(0, 0, 1) == (-5, 6)
    assert unpadded.seen(0, 0, 1) == (0, 9)


def whole_norm(net: Net) -> str:
    return net.add("InstanceNormalization", "in", *(net.number(np.ones(1, np.float32)) for _ in range(2)))


def squeezed(net: Net) -> str:
    return net.add("Mul", "in", net.add("GlobalAveragePool", "in"))


def crop(net: Net, x: str, axis: int, start: int, end: int) -> str:
    return net.add("Slice", x, *(net.number(np.array([v])) for v in (start, end, axis)))


def normed(net: Net, **how: Any) -> str:
    return net.add("BatchNormalization", "in", *(net.number(np.ones(1, np.float32)) for _ in range(4)), **how)


def branched(net: Net) -> str:
    """The mean of the tile, by a branch that takes no input."""
    made = onnx.helper.make_tensor_value_info("mean", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("ReduceMean", ["in"], ["mean"], axes=[2, 3])], "inner", [], [made]
    )
    mean = net.add("If", net.number(np.array(True)), then_branch=graph, else_branch=graph)
    return net.add("Sub", "in", mean)


def by_size(net: Net) -> str:
    """The tile divided by how many pixels it has."""
    return net.add("Div", "in", net.add("Cast", net.add("Size", "in"), to=onnx.TensorProto.FLOAT))


WHOLE: dict[str, tuple[Callable[[Net], str], str]] = {
    "norm": (whole_norm, "InstanceNormalization takes in the whole tile"),
    "squeeze": (squeezed, "GlobalAveragePool takes in the whole tile"),
    "norm as in training": (
        lambda n: normed(n, training_mode=1),
        "BatchNormalization as in training takes in the whole tile",
    ),
    "channel of places": (
        lambda n: n.conv(n.add("Concat", "in", n.number(np.ones((1, 1, 8, 8), np.float32)), axis=1), (2, 1)),
        "Concat with a map takes in",
    ),
    "corners": (
        lambda n: up(n, pool(n, "in"), "linear", "align_corners"),
        "aligns corners takes in the whole tile",
    ),
    "softmax": (lambda n: n.add("Softmax", "in", axis=2), "Softmax takes in the whole tile"),
    "map": (
        lambda n: n.add("Add", "in", n.number(np.ones((1, 1, 8, 8), np.float32))),
        "Add with a map takes in",
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_takes_in_the_whole_tile(name: str) -> None:
    build, words = WHOLE[name]
    found = field(_net(build))
    assert found.whole and words in found.reason


def test_a_softmax_of_before_opset_13_takes_in_all_axes_from_its_own_on() -> None:
    build: Callable[[Net], str] = lambda n: n.add("Softmax", n.conv("in", (1, 2)), axis=1)  # noqa: E731
    assert field(_net(build)).reason == ""
    assert field(_net(build, opset=11)).whole


UNKNOWN: dict[str, tuple[Callable[[Net], str], str]] = {
    "operation": (lambda n: n.add("DepthToSpace", "in", blocksize=1), "DepthToSpace is not known"),
    "cubic": (lambda n: up(n, pool(n, "in"), "cubic", "half_pixel"), "a cubic resize"),
    "coarse": (lambda n: pool(n, "in"), "its output has other pixels than its input"),
    "sizes": (
        lambda n: n.add("Concat", "in", pool(n, "in"), axis=1),
        "Concat joins pixels of different sizes",
    ),
    "rows": (lambda n: n.add("Concat", "in", "in", axis=2), "Concat of pixels"),
    "along": (lambda n: n.conv(n.add("Transpose", "in", perm=[0, 2, 1, 3]), (8, 1)), "Conv over axes bycx"),
    "other": (
        lambda n: n.add(
            "Resize",
            "in",
            "",
            n.number(np.ones(4, np.float32)),
            coordinate_transformation_mode="tf_crop_and_resize",
        ),
        "a resize by tf_crop_and_resize",
    ),
    "channels": (
        lambda n: n.add("Resize", "in", "", n.number(np.array([1, 2, 1, 1], np.float32))),
        "a resize of the channels",
    ),
    "computed": (
        lambda n: n.add("Resize", "in", "", "", n.add("Shape", "in")),
        "a nearest resize to a size that is computed",
    ),
    "kernel": (
        lambda n: n.add("Conv", "in", n.add("Identity", n.drawn(1, 1, 3, 3))),
        "a kernel that is computed",
    ),
    "back": (
        lambda n: n.add("ConvTranspose", "in", n.add("Identity", n.drawn(1, 1, 3, 3))),
        "a transposed convolution has",
    ),
    "pads": (
        lambda n: n.add("Pad", "in", n.add("Identity", n.number(np.zeros(8, np.int64)))),
        "a padding that is computed",
    ),
    "steps": (
        lambda n: n.add("Slice", "in", *(n.number(np.array([v])) for v in (0, 9, 2, 2))),
        "a crop in steps",
    ),
    "left out": (
        lambda n: n.add(
            "Slice", "in", n.number(np.zeros(4, int)), n.number(np.full(4, 99)), "", n.number([1, 1, 2, 2])
        ),
        "a crop in steps",
    ),
    "first row": (lambda n: n.add("Sub", "in", crop(n, "in", 2, 0, 1)), "Sub joins what a crop left"),
    "last row": (lambda n: n.add("Sub", crop(n, "in", 2, -1, 2**40), "in"), "Sub joins what a crop left"),
    "row of a row": (
        lambda n: n.add("Mul", "in", n.add("Relu", crop(n, "in", 3, 0, 1))),
        "Mul joins what a crop left",
    ),
    "branch": (branched, "If is not known"),
    "size": (by_size, "Div with numbers that are computed"),
    "chance": (
        lambda n: n.add("Add", "in", n.add("RandomNormal", shape=[1])),
        "Add with numbers that are computed",
    ),
    "kernel of the tile": (
        lambda n: n.add("Conv", "in", n.add("Relu", "in"), kernel_shape=[8, 8]),
        "Conv with numbers that are computed",
    ),
    "dropout": (
        lambda n: n.add("Dropout", "in", "", n.number(np.array(True))),
        "Dropout as in training is by chance",
    ),
    "nothing": (lambda n: n.add("Identity", n.drawn(1, 1, 8, 8)), "its output does not depend on its input"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_named(name: str) -> None:
    build, words = UNKNOWN[name]
    found = field(_net(build))
    assert words in found.reason and not found.whole and not found.crops


@pytest.mark.parametrize("start", [-4, None])
def test_a_crop_from_the_end_or_by_a_computed_number_is_told_apart(start: int | None) -> None:
    def build(net: Net) -> str:
        starts = net.number(np.array([1 if start is None else start]))
        starts = net.add("Identity", starts) if start is None else starts
        return net.add("Slice", "in", starts, net.number(np.array([99])), net.number(np.array([2])))

    found = field(_net(build))
    assert found.crops and found.reason == "a crop is computed"


def test_a_crop_to_a_number_of_pixels_is_none_by_a_number() -> None:
    found = field(_net(lambda n: crop(n, "in", 3, 2, 40)))
    assert found.crops and found.reason == "a crop is to a number of pixels"


def test_channels_are_taken_as_one_likes() -> None:
    build: Callable[[Net], str] = lambda n: n.add("Mul", "in", crop(n, n.conv("in", (1, 2)), 1, 0, 1))  # noqa: E731
    assert field(_net(build)).reason == ""


def test_what_is_as_in_prediction_is_pixel_by_pixel() -> None:
    assert field(_net(normed)).reason == ""
    off: Callable[[Net], str] = lambda n: n.add("Dropout", "in", "", n.number(np.array(False)))  # noqa: E731
    assert field(_net(off)).reason == ""
    turned: Callable[[Net], str] = lambda n: n.add("Transpose", n.add("Transpose", "in"))  # noqa: E731
    assert field(_net(turned)).reason == ""


def test_functions_and_operations_of_others_are_not_known_by_their_names() -> None:
    model = onnx.load_model_from_string(_net(lambda n: n.add("Relu", "in")))
    mean = onnx.helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3])
    opsets = [onnx.helper.make_opsetid("", 17)]
    model.functions.append(onnx.helper.make_function("", "Relu", ["x"], ["y"], [mean], opsets))
    assert field_of(model, "bcyx", "yx").reason == "Relu of the network is not known"
    model.graph.node[0].domain = "com.others"
    assert field_of(model, "bcyx", "yx").reason == "Relu of com.others is not known"


def test_a_resize_may_name_its_axes_and_is_not_known_then() -> None:
    found = field(
        _net(
            lambda n: n.add("Resize", "in", "", n.number(np.ones(4, np.float32)), axes=[3, 2, 1, 0]), opset=18
        )
    )
    assert found.reason == "a resize of axes that are named"


def test_sparse_constants_are_not_known() -> None:
    values = onnx.helper.make_tensor("v", onnx.TensorProto.FLOAT, [1], [2.0])
    sparse = onnx.helper.make_sparse_tensor(
        values, onnx.helper.make_tensor("i", onnx.TensorProto.INT64, [1], [3]), [1, 1, 8, 8]
    )
    found = field(_net(lambda n: n.add("Add", "in", n.add("Constant", sparse_value=sparse))))
    assert found.reason == "a sparse constant is not known"


def test_constants_may_be_nodes() -> None:
    def build(net: Net) -> str:
        value = onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32))
        scales = net.add("Constant", value=value)
        return net.add("Resize", pool(net, "in"), "", scales, mode="nearest")

    assert field(_net(build)).reason == ""
    assert field(_net(lambda n: n.add("Add", "in", n.add("Constant", value_float=1.0)))).reason == ""
