"""Packages as models: tiles give what the whole image gives at once, of both versions and every kind."""

from __future__ import annotations

import gc
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper
from safetensors.torch import save
from tests.packages.made import (
    CUT,
    Net,
    blobs,
    description_04,
    description_05,
    runner,
    unet,
    write_files,
    write_package,
)
from tests.tiny import untrained

from unseam.axes import times
from unseam.decisions import to_labels
from unseam.errors import InputError, MissingExtraError, ModelFileError, ShapeError
from unseam.export.bioimageio import Package, write_bioimageio
from unseam.export.onnx import write_onnx
from unseam.model.unet import UNet
from unseam.normalize import Normalization
from unseam.packages.description import read_description
from unseam.packages.load import load_package
from unseam.packages.network import ForeignNetwork, from_axes
from unseam.prediction import Model, load_model, plan_image
from unseam.preprocess import Preprocessing, ZeroMean

Array = NDArray[Any]
SMALLER = {
    "out_shape": {"reference_tensor": "raw", "scale": [1, 1, 1, 1], "offset": [0, 0, -CUT, -CUT]},
    "out_halo": None,
}


def standard(image: Array) -> Array:
    """Mean 0 and deviation 1 of each channel, in NumPy."""
    axes = tuple(range(1, image.ndim))
    return np.asarray((image - image.mean(axes, keepdims=True)) / (image.std(axes, keepdims=True) + 1e-6))


def at_once(content: bytes, scaled: Array, model: Model, *, cut: int = 0) -> Array:
    """The network's output for a whole image with its surroundings mirrored, the halo cut away."""
    halo = model.network.geometry.halo
    more = [(h, h + n % 2) for h, n in zip(halo, scaled.shape[1:], strict=True)]
    output = runner(content)(np.pad(scaled, [(0, 0), *more], mode="reflect"))
    inside = (slice(h - cut, h - cut + n) for h, n in zip(halo, scaled.shape[1:], strict=True))
    return output[(slice(None), *inside)]


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("shape", [(61, 83), (40, 7), (1, 9)])
def test_tiles_give_what_the_whole_image_gives(version: str, shape: tuple[int, int], tmp_path: Path) -> None:
    model = load_model(write_package(tmp_path / "a.zip", unet(), version))
    image = blobs(*shape)
    expected = sigmoid(at_once(unet(), standard(image), model))[0]
    for tile in (8, 21, "auto"):
        found = model.predict(image, tile=tile)
        np.testing.assert_allclose(found.probabilities[1], expected, atol=1e-5)
        np.testing.assert_array_equal(
            found.labels, to_labels(found.probabilities, "instances", model.header.objects)
        )
    assert expected.std() > 0.05 or shape == (1, 9)


def test_an_unpadded_network(tmp_path: Path) -> None:
    model = load_model(write_package(tmp_path / "a.zip", unet(pad=False), **SMALLER))
    image = blobs(45, 64)
    expected = sigmoid(at_once(unet(pad=False), standard(image), model, cut=CUT))[0]
    np.testing.assert_allclose(model.predict(image, tile=10).probabilities[1], expected, atol=1e-5)


def test_one_size_alone(tmp_path: Path) -> None:
    alone = {"in_shape": [1, 1, 32, 40], "out_shape": [1, 1, 32, 40]}
    model = load_model(write_package(tmp_path / "a.zip", unet(), **alone))
    image = blobs(75, 64)
    expected = sigmoid(at_once(unet(), standard(image), model))[0]
    for tile in (4, "auto"):
        np.testing.assert_allclose(model.predict(image, tile=tile).probabilities[1], expected, atol=1e-5)
    with pytest.raises(InputError, match="not the same along Y and X; use mirror"):
        model.predict(image, tta="rotate")


def test_a_package_unpacked_or_its_description_alone(tmp_path: Path) -> None:
    folder = write_package(tmp_path / "a", unet())
    packed = load_model(write_package(tmp_path / "a.zip", unet()))
    assert packed.path == tmp_path / "a.zip"
    for path in (folder, folder / "rdf.yaml"):
        model = load_model(path)
        assert model.path == folder / "rdf.yaml"
        image = blobs(30, 30)
        np.testing.assert_array_equal(model.predict(image).labels, packed.predict(image).labels)


@pytest.mark.parametrize("tta", ["mirror", "rotate"])
def test_averaging_over_symmetries(tta: str, tmp_path: Path) -> None:
    model = load_model(write_package(tmp_path / "a.zip", unet()))
    image = blobs(24, 24)
    found = model.predict(image, tta=tta, tile=10).probabilities[1]
    turned = model.predict(image[:, ::-1], tta=tta, tile=10).probabilities[1][::-1]
    np.testing.assert_allclose(found, turned, atol=1e-5)
    assert np.abs(found - model.predict(image).probabilities[1]).max() > 1e-3


def test_channels_last_and_colour(tmp_path: Path) -> None:
    """A network of axes byxc in and bcyx out, of three channels, that are scaled together."""
    net = Net()
    x = net.conv(net.add("Transpose", "in", perm=[0, 3, 1, 2]), (3, 4))
    x = net.conv(net.add("Relu", x), (4, 1))
    content = net.model(x, "byxc", ([1, None, None, 3], [1, 1, None, None]))
    how = {"mode": "per_dataset", "axes": "cyx"}
    model = load_model(
        write_package(
            tmp_path / "a.zip",
            content,
            in_axes="byxc",
            in_shape={"min": [1, 16, 16, 3], "step": [0, 1, 1, 0]},
            in_preprocessing=[{"name": "zero_mean_unit_variance", "kwargs": how}],
            out_shape={"reference_tensor": "raw", "scale": [1, 0, 1, 1], "offset": [0, 0.5, 0, 0]},
        )
    )
    image = blobs(33, 40, channels=3)
    scaled = (image - image.mean()) / (image.std() + 1e-6)
    padded = np.pad(scaled, [(0, 0), (6, 6), (6, 6)], mode="reflect").transpose(1, 2, 0)
    expected = sigmoid(runner(content)(padded)[0, 6:-6, 6:-6])
    assert (model.network.in_channels, model.network.is_local) == (3, True)
    np.testing.assert_allclose(model.predict(image, tile=9).probabilities[1], expected, atol=1e-5)
    with pytest.raises(ShapeError, match="this model takes 3 channels and 2 spatial axes"):
        model.predict(image[:1])


def test_axes_without_batch_or_channel(tmp_path: Path) -> None:
    node = helper.make_node("Sigmoid", ["in"], ["out"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None]) for name in ("in", "out")]
    graph = helper.make_graph([node], "net", ends[:1], ends[1:])
    content = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    plane = {"in_axes": "yx", "in_shape": {"min": [1, 1], "step": [1, 1]}, "in_preprocessing": []}
    shape = {"reference_tensor": "raw", "scale": [1, 1], "offset": [0, 0]}
    out = {"out_axes": "yx", "out_shape": shape, "out_halo": [0, 0], "out_postprocessing": []}
    model = load_model(write_package(tmp_path / "a.zip", content, **plane, **out))
    image = np.array([[[0.0, 1.0, -1.0]]])
    np.testing.assert_allclose(model.predict(image).probabilities[1], sigmoid(image[0]), atol=1e-6)


def test_volumes(tmp_path: Path) -> None:
    content = unet(spatial=3)
    shape = {"reference_tensor": "raw", "scale": [1] * 5, "offset": [0] * 5}
    model = load_model(
        write_package(
            tmp_path / "a.zip",
            content,
            in_axes="bczyx",
            in_shape={"min": [1, 1, 16, 16, 16], "step": [0, 0, 2, 2, 2]},
            in_preprocessing=[
                {"name": "zero_mean_unit_variance", "kwargs": {"mode": "per_sample", "axes": "zyx"}}
            ],
            out_axes="bczyx",
            out_shape=shape,
            out_halo=[0, 0, 6, 6, 6],
        )
    )
    image = blobs(9, 20, 14)
    expected = sigmoid(at_once(content, standard(image), model))[0]
    np.testing.assert_allclose(model.predict(image, tile=10).probabilities[1], expected, atol=1e-5)


def test_foreground_and_boundary_and_classes(tmp_path: Path) -> None:
    image = blobs(33, 30)
    both = unet(channels=(1, 2))
    stated = {"out_shape": {"reference_tensor": "raw", "scale": [1, 0, 1, 1], "offset": [0, 1, 0, 0]}}
    model = load_model(write_package(tmp_path / "a.zip", both, **stated))
    inside, edge = sigmoid(at_once(both, standard(image), model))
    np.testing.assert_allclose(model.predict(image).probabilities[1], inside * (1 - edge), atol=1e-5)
    three = unet(channels=(1, 3), last="Softmax")
    package = write_package(
        tmp_path / "b.zip", three, "0.5", out_postprocessing=[], names=("background", "one", "two")
    )
    model = load_model(package)
    found = model.predict(image, tile=11)
    expected = at_once(three, standard(image), model)
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)
    np.testing.assert_array_equal(found.labels, found.probabilities.argmax(0))
    assert model.header.task == "semantic" and len(np.unique(found.labels)) > 1


def test_a_tile_decides_nothing_though_it_rounds_otherwise(tmp_path: Path) -> None:
    """At the median of the probabilities, which any rounding moves across the threshold."""
    model = load_model(write_package(tmp_path / "a.zip", unet()))
    image = blobs(150, 141)
    raw = model.predict(image).probabilities[1]
    model = model.with_objects(threshold=float(np.sort(raw, axis=None)[raw.size // 2]))
    first = model.predict(image, tile=64).labels
    assert first.max() > 1
    for tile in (8, 23, 200):
        np.testing.assert_array_equal(model.predict(image, tile=tile).labels, first)


def test_the_header_of_a_package(tmp_path: Path) -> None:
    model = load_model(write_package(tmp_path / "a.zip", unet()))
    header = model.header
    assert header.normalization == Preprocessing((ZeroMean(),))
    assert (header.task, header.license, header.citation) == ("instances", "CC0-1.0", "A paper 10.1/2")
    assert (header.network.in_channels, header.network.classes, header.network.spatial_dims) == (1, 2, 2)
    assert [note.partition(":")[0] for note in model.notes] == ["output", "halo"]
    with pytest.raises(
        InputError, match=r"a\.zip is a network of another program, and this takes a U-Net of unseam"
    ):
        _ = model.own
    with pytest.raises(
        InputError, match=r"from a package of bioimage\.io, which prediction takes alone; give the"
    ):
        _ = header.own_normalization


# State dicts of our own network

OPTIONS = {"base_width": 2, "depth": 1, "classes": 2}


def drawn() -> UNet:
    net = UNet(base_width=2, depth=1, generator=torch.Generator().manual_seed(1))
    for weight in net.parameters():
        torch.nn.init.normal_(weight, 0, 0.5, generator=torch.Generator().manual_seed(weight.numel()))
    return net.eval()


def state_package(
    path: Path, content: bytes, version: str = "0.4", *, source: str = "w.pt", **changes: Any
) -> Path:
    """A package of a state dict, with what `changes` says of it."""
    options = changes.pop("options", OPTIONS)
    name = changes.pop("architecture", "unseam.UNet")
    where, _, built = name.rpartition(".")
    architecture: Any = {"import_from": where, "callable": built, "kwargs": options}
    weights = {"source": source, "architecture": architecture}
    if version == "0.4":
        weights = {"source": source, "architecture": name, "kwargs": options}
    sizes = {"reference_tensor": "raw", "scale": [1, 0, 1, 1], "offset": [0, 1, -8, -8]}
    relative = [{"tensor_id": "raw", "axis_id": letter, "offset": -16} for letter in "yx"]
    axes = [
        {"type": "batch"},
        {"type": "channel", "channel_names": ["background", "object"]},
        *({"type": "space", "id": a, "size": size} for a, size in zip("yx", relative, strict=True)),
    ]
    stated = {"out_postprocessing": [{"name": "softmax"}], "out_halo": None, "out_shape": sizes}
    if version == "0.5":
        stated = {"out_postprocessing": [{"id": "softmax"}], "out_axes": axes}
    describe = description_04 if version == "0.4" else description_05
    described = describe({"pytorch_state_dict": weights}, **(stated | changes))
    return write_files(path, {"rdf.yaml": described, source: content})


def pickled(state: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_the_state_dict_of_our_own_network(version: str, kind: str, tmp_path: Path) -> None:
    net = drawn()
    content = pickled(net.state_dict()) if kind == "pt" else save(net.state_dict())
    package = state_package(tmp_path / "a.zip", content, version, source=f"w.{kind}")
    model, image = load_model(package), blobs(40, 33)
    halo = net.geometry.halo[0]
    padded = np.pad(standard(image), [(0, 0), (halo, halo), (halo, halo + 1)], mode="reflect")
    with torch.no_grad():
        logits = net(torch.from_numpy(padded.astype(np.float32))[None])[0]
    expected = torch.softmax(logits, 0)[:, :40, :33].numpy()
    np.testing.assert_allclose(model.predict(image, tile=12).probabilities, expected, atol=1e-5)
    assert model.own.geometry == net.geometry and model.header.network.base_width == 2
    assert model.header.objects.threshold == 0.5


def test_weights_in_half_precision_are_read_as_float32(tmp_path: Path) -> None:
    state = {key: value.half() for key, value in drawn().state_dict().items()}
    model = load_model(state_package(tmp_path / "a.zip", pickled(state)))
    assert model.own.folded.head.weight.dtype == np.float32


class Evil:
    """A pickle that runs a command where it is opened by a reader that lets it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_nothing_in_a_pickle_is_executed(tmp_path: Path) -> None:
    package = state_package(tmp_path / "a.zip", pickled({"down.0.0.weight": Evil(tmp_path / "was here")}))
    with pytest.raises(
        ModelFileError, match=r"w\.pt of .* does not hold the weights of the UNet that is described"
    ):
        load_model(package)
    assert not (tmp_path / "was here").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"options": {"wings": 2}},
            r"is a UNet of options that it has not .*wings.*; known: in_channels, classes",
        ),
        (
            {"options": {"depth": "deep"}},
            r"is a UNet of options that it has not \(depth is 'deep'; a whole number",
        ),
        (
            {"options": {"depth": 2}},
            r"does not hold the weights of the UNet that is described .*is \(2, 1, 3, 3\), and \(64,",
        ),
        ({"options": OPTIONS | {"base_width": 10**6}}, r"does not hold the weights .*was expected"),
        (
            {"options": OPTIONS | {"in_channels": 3}},
            r"does not hold the weights .*down\.0\.0\.weight is \(2, 1, 3, 3\), and \(2, 3, 3, 3\)",
        ),
        (
            {"out_postprocessing": [{"name": "sigmoid"}]},
            r", 2 classes, after it sigmoid; expected the same numbers, and",
        ),
        (
            {"out_shape": [1, 3, 16, 16], "in_shape": [1, 1, 32, 32]},
            r"is a 2-D UNet of 1 channels and 2 classes, described with axes yx, 1 channels, 3 classes",
        ),
        (
            {"architecture": "net.py:Net"},
            r"has weights as pytorch_state_dict, of the architecture net\.py:Net; unseam",
        ),
        (
            {"architecture": ""},
            r"of the architecture not named; unseam runs ONNX and state dicts of unseam\.UNet",
        ),
    ],
)
def test_state_dicts_that_do_not_fit(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    package = state_package(tmp_path / "a.zip", pickled(drawn().state_dict()), **changes)
    with pytest.raises(ModelFileError, match=words):
        load_package(package)


# What is refused


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (
            ["torchscript", "keras_hdf5"],
            r"has weights as keras_hdf5, torchscript; unseam runs ONNX and state dicts of",
        ),
        ([], r"has weights as none; unseam .* executes nothing in a package: convert its network to ONNX"),
    ],
)
def test_other_weights_are_refused(kinds: list[str], words: str, tmp_path: Path) -> None:
    stated = description_04({kind: {"source": "w"} for kind in kinds})
    with pytest.raises(ModelFileError, match=words):
        load_package(write_files(tmp_path / "a.zip", {"rdf.yaml": stated}))


def test_weights_elsewhere_and_other_weights_than_described(tmp_path: Path) -> None:
    far = description_04({"onnx": {"source": "https://x.org/w.onnx"}})
    with pytest.raises(ModelFileError, match=r"does not hold https://x\.org/w\.onnx but points at it"):
        load_package(write_files(tmp_path / "a.zip", {"rdf.yaml": far}))
    other = description_04({"onnx": {"source": "w.onnx", "sha256": "ab" * 32}})
    with pytest.raises(
        ModelFileError, match=r"w\.onnx of .* has sha256 .* and its description says abababababab\.\.\."
    ):
        load_package(write_files(tmp_path / "a.zip", {"rdf.yaml": other, "w.onnx": unet()}))


def two_inputs() -> bytes:
    model = onnx.load_model_from_string(unet())
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    return bytes(model.SerializeToString())


def external() -> bytes:
    model = onnx.load_model_from_string(unet())
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    return bytes(model.SerializeToString())


def inner() -> bytes:
    """Weights of another file, in a graph within a graph."""
    model = onnx.load_model_from_string(unet())
    body = helper.make_graph(
        [], "body", [], [], initializer=[onnx.load_model_from_string(external()).graph.initializer[0]]
    )
    model.graph.node.append(helper.make_node("If", ["in"], ["x"], then_branch=body, else_branch=body))
    return bytes(model.SerializeToString())


def elsewhere(where: str) -> bytes:
    """A network of which a tensor, that only a function or a sparse one has, is in another file."""
    model = onnx.load_model_from_string(unet())
    tensor = onnx.TensorProto(name="far", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    if where == "sparse initializer":
        model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=tensor, dims=[1]))
    elif where == "sparse constant":
        node = model.graph.node.add(op_type="Constant", output=["s"])
        node.attribute.add(name="sparse_value", type=11).sparse_tensor.indices.CopyFrom(tensor)
    else:
        node = helper.make_node("Constant", [], ["y"], value=tensor)
        opsets = [helper.make_opsetid("", 17)]
        model.functions.append(helper.make_function("mine", "F", [], ["y"], [node], opsets))
    return bytes(model.SerializeToString())


def unknown() -> bytes:
    model = onnx.load_model_from_string(unet())
    model.graph.node[0].op_type = "Convolve"
    return bytes(model.SerializeToString())


def of_type(kind: int) -> bytes:
    node = helper.make_node("Identity", ["in"], ["out"])
    ends = [helper.make_tensor_value_info(name, kind, [1, 1, None, None]) for name in ("in", "out")]
    graph = helper.make_graph([node], "net", ends[:1], ends[1:])
    return bytes(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        ).SerializeToString()
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no network", r"weights\.onnx of .*a\.zip is no ONNX network, or is cut short"),
        (unet()[:300], r"is no ONNX network, or is cut short"),
        (b"", r"keeps weights in other files, or has no output; save network and weights in one file"),
        (external(), r"keeps weights in other files"),
        (inner(), r"keeps weights in other files"),
        *(
            (elsewhere(where), r"keeps weights in other files")
            for where in ("function", "sparse initializer", "sparse constant")
        ),
        (unknown(), r"ONNX Runtime cannot run weights\.onnx of .*Convolve.*; convert the network anew"),
        (two_inputs(), r"takes 2 inputs \(in, more\) and its description one; nothing fits"),
        (unet(spatial=3), r"takes 5 axes and its description says bcyx; correct one of them"),
        (unet(channels=(2, 1)), r"takes 2 channels and its description says 1; correct one of them"),
        (unet(channels=(1, 2)), r"gives 2 channels and its description says 1; correct one of them"),
        (unet(size=32), r"takes 32 pixels along y and its description says 16 \+ 2 n; correct one"),
        (of_type(TensorProto.INT64), r"takes tensor\(int64\); expected numbers, as tensor\(float\)"),
    ],
)
def test_networks_that_do_not_fit(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=words):
        load_package(write_package(tmp_path / "a.zip", content))


@pytest.mark.parametrize(
    "kind", [TensorProto.UINT8, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.UINT16]
)
def test_networks_of_other_numbers(kind: int, tmp_path: Path) -> None:
    steps = {"in_preprocessing": [], "out_postprocessing": [{"name": "clip", "kwargs": {"min": 0, "max": 1}}]}
    model = load_model(write_package(tmp_path / "a.zip", of_type(kind), **steps))
    image = np.array([[[0, 1, 7]]], np.uint8)
    np.testing.assert_array_equal(model.predict(image).probabilities[1], [[0, 1, 1]])


def test_an_output_of_another_size_than_described(tmp_path: Path) -> None:
    model = load_model(write_package(tmp_path / "a.zip", unet(pad=False)))
    words = r"the network gives 1 x \d+ x \d+ for a tile of \d+ x \d+ and its description says 1 x \d+ x \d+"
    with pytest.raises(ShapeError, match=words):
        model.predict(blobs(20, 20))


def test_a_size_that_the_network_does_not_take(tmp_path: Path) -> None:
    odd = {"min": [1, 1, 17, 17], "step": [0, 0, 2, 2]}  # poolings leave 8 pixels of 17, which become 16
    model = load_model(write_package(tmp_path / "a.zip", unet(), in_shape=odd))
    with pytest.raises(
        InputError, match=r"ONNX Runtime stopped at a tile of 1 x 1 x .*; see that its description"
    ):
        model.predict(blobs(20, 20))


def test_an_output_of_other_axes_than_described() -> None:
    stated = read_description(yaml.safe_dump(description_04({})).encode(), "d")
    assert from_axes(np.zeros((1, 1, 2, 3)), stated).shape == (1, 2, 3)
    for shape in ((1, 2, 3), (2, 1, 2, 3)):
        with pytest.raises(
            ShapeError, match=rf"gives {times(shape)} and its description says axes bcyx; correct"
        ):
            from_axes(np.zeros(shape), stated)


def test_less_memory_makes_no_smaller_tiles_where_there_is_one_size(tmp_path: Path) -> None:
    alone = {"in_shape": [1, 1, 64, 64], "out_shape": [1, 1, 64, 64]}
    network = load_package(write_package(tmp_path / "a.zip", unet(), **alone)).network
    assert plan_image((200, 200), network, tile="auto", memory=1).step == (50, 50)  # of 52, in 4 each
    free = load_package(write_package(tmp_path / "b.zip", unet())).network
    assert plan_image((200, 200), free, tile="auto", memory=1).step == (4, 4)  # as much is read for 2


def test_values_that_are_no_probabilities(tmp_path: Path) -> None:
    model = load_model(write_package(tmp_path / "a.zip", unet(), out_postprocessing=[]))
    with pytest.raises(
        InputError, match="its description lacks a sigmoid or softmax after the network: add it"
    ):
        model.predict(blobs(20, 20))


def test_what_unseam_exported_is_not_described_otherwise(tmp_path: Path) -> None:
    from unseam.model.header import HEADER_KEY, header_json

    header = load_model(state_package(tmp_path / "a.zip", pickled(drawn().state_dict()))).header
    three = onnx.load_model_from_string(unet(channels=(1, 3), last="Softmax"))
    own = type(header)(header.task, header.network, Normalization(), header.objects)
    helper.set_model_props(three, {HEADER_KEY: header_json(own)})
    names = {"names": ("background", "one", "two"), "out_postprocessing": []}
    package = write_package(tmp_path / "b.zip", bytes(three.SerializeToString()), "0.5", **names)
    with pytest.raises(
        ModelFileError, match="was written by unseam, and its description does not fit it; export"
    ):
        load_package(package)


def test_a_network_alone_is_taken_if_unseam_wrote_it(tmp_path: Path) -> None:
    own = untrained(spacing=(0.5, 0.5)).with_objects(threshold=0.4)
    write_onnx(own, tmp_path / "own.onnx")
    model, image = load_model(tmp_path / "own.onnx"), blobs(40, 51)
    assert model.header == own.header and model.path == tmp_path / "own.onnx"
    assert model.network.geometry.halo == own.network.geometry.halo and model.network.is_local
    expected = own.predict(image)
    found = model.predict(image, tile=16)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
    np.testing.assert_array_equal(found.labels, expected.labels)
    (tmp_path / "other.onnx").write_bytes(unet())
    with pytest.raises(
        ModelFileError, match=r"other\.onnx is a network alone, and nothing says what goes in"
    ):
        load_model(tmp_path / "other.onnx")
    with pytest.raises(
        ModelFileError, match=r"cannot read .*lost\.onnx \(No such file or directory\); give a"
    ):
        load_model(tmp_path / "lost.onnx")


@pytest.mark.filterwarnings("ignore:Found mapping with 'source':UserWarning")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # bioimageio.spec closes none
@pytest.mark.parametrize("dims", [2, 3])
def test_the_package_of_a_model_gives_the_labels_of_the_model(dims: int, tmp_path: Path) -> None:
    own, image = untrained(dims=dims), blobs(*(20, 30, 35)[-dims:])
    card = "# A model\n\n## Validation\n\nNone."
    write_bioimageio(own, tmp_path / "own.zip", Package("a model", card, image))
    gc.collect()  # what was not closed is told here, and not in another test
    model = load_model(tmp_path / "own.zip")
    assert model.header == own.header and model.network.is_local
    expected = own.predict(image)
    assert expected.labels.max() > 0
    np.testing.assert_array_equal(model.predict(image, tile=12).labels, expected.labels)


@pytest.mark.parametrize("name", ["onnx", "onnxruntime"])
def test_without_an_optional_package_the_extra_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = write_package(tmp_path / "a.zip", unet())
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"package takes {name}; pip install 'unseam\[bioimageio\]'"):
        load_package(package)


def test_a_network_of_another_program_says_what_prediction_asks(tmp_path: Path) -> None:
    network = load_package(write_package(tmp_path / "a.zip", unet())).network
    assert isinstance(network, ForeignNetwork)
    assert (network.in_channels, network.classes, network.spatial_dims, network.base_width) == (1, 2, 2, 4)
    assert network.probabilities(np.zeros((1, 20, 24), np.float32)).shape == (2, 8, 12)
