"""Files and networks that cannot be imported: each told in one sentence, with the layer or the byte."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.caffe.files import caffemodel, integer, message, prototxt, text, write_modeldef, write_weights
from tests.caffe.networks import Plan, u_net
from tests.reference.caffe import Spec

from unseam.caffe import caffemodel as reader
from unseam.caffe import plugin
from unseam.caffe.importing import read_model
from unseam.errors import ConfigError, FileReadError, MissingExtraError, ModelFileError

DEEP = Plan(kernels=((3, 3),) * 3, strides=((2, 2),) * 2)
Change = Callable[[Spec], Spec]


def refused(path: Path, weights: Path | None = None) -> str:
    with pytest.raises(ModelFileError) as caught:
        read_model(path, weights)
    said = str(caught.value)
    assert "\n" not in said and str(path.parent) in said  # one sentence, which names the file
    return said


def of_bytes(tmp_path: Path, content: bytes) -> str:
    (tmp_path / "net.caffemodel").write_bytes(content)
    return refused(tmp_path / "net.caffemodel")


def of_specs(tmp_path: Path, specs: list[Spec]) -> str:
    return of_bytes(tmp_path, caffemodel(specs))


def changed(specs: list[Spec], name: str, **changes: Any) -> list[Spec]:
    """The layers with one of them changed; `fields` are put into those that are there."""
    assert any(spec.name == name for spec in specs)
    fields = changes.pop("fields", {})
    return [
        replace(spec, fields={**spec.fields, **fields}, **changes) if spec.name == name else spec
        for spec in specs
    ]


# Files


def test_a_file_cut_short(tmp_path: Path) -> None:
    whole = caffemodel(u_net(DEEP))
    said = of_bytes(tmp_path, whole[:-100])
    assert "is cut short: what starts at byte" in said and f"of {len(whole) - 100}; copy it again" in said


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9, 0.999])
def test_a_file_cut_short_anywhere_is_refused(share: float, tmp_path: Path) -> None:
    whole = caffemodel(u_net(DEEP))
    assert "it is" in of_bytes(tmp_path, whole[: int(share * len(whole))])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# A letter",
        b"name: 'net'",
        b"\x89PNG" + bytes(9),
        b"PK\x03\x04",
        b"\0" * 50,
        b"\x18" + b"\0" * 9,
    ],
)
def test_what_is_no_caffemodel(content: bytes, tmp_path: Path) -> None:
    assert "it is no Caffe model" in of_bytes(tmp_path, content)


def test_a_network_without_a_layer(tmp_path: Path) -> None:
    assert "it is no Caffe model: there is no layer in it" in of_bytes(tmp_path, text(1, "network"))


def test_a_field_of_another_kind(tmp_path: Path) -> None:
    layer = message(100, text(1, "conv") + integer(7, 3))
    assert "the field at byte 9 is stored as another kind" in of_bytes(tmp_path, layer)


def test_noise_never_ends_in_anything_but_a_sentence(tmp_path: Path) -> None:
    random, whole = np.random.default_rng(0), caffemodel(u_net(DEEP))
    for _ in range(100):
        content = bytearray(whole[:2500])
        for at in random.integers(0, 400, 3):
            content[at] = random.integers(256)
        of_bytes(tmp_path, bytes(content))


def test_weights_that_do_not_fill_their_shape(tmp_path: Path) -> None:
    blob = message(7, integer(1, 2) + integer(1, 3)) + message(5, bytes(20))
    content = message(100, text(1, "conv") + text(2, "Convolution") + message(7, blob))
    assert "weights of shape (2, 3) hold 5 numbers; copy it again" in of_bytes(tmp_path, content)


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LARGEST", 1000)
    said = of_specs(tmp_path, u_net(DEEP))
    assert "bytes; a Caffe model has 1,000 at most" in said


def test_a_file_of_more_than_protobuf_allows(tmp_path: Path) -> None:
    with (tmp_path / "net.caffemodel").open("wb") as file:
        file.truncate(2**31)  # which takes no room on the disk
    assert "it has 2,147,483,648 bytes; a Caffe model has 2,147,483,647 at most" in refused(
        tmp_path / "net.caffemodel"
    )


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.caffemodel", tmp_path):
        with pytest.raises(FileReadError, match=r"it cannot be read: .*; check the name"):
            read_model(path)


# Networks


def chain(*kinds: str) -> list[Spec]:
    """Layers one after the other."""
    return [
        Spec(f"{kind}{k}", kind, (f"x{k}" if k else "data",), (f"x{k + 1}",)) for k, kind in enumerate(kinds)
    ]


def test_a_classifier(tmp_path: Path) -> None:
    specs = u_net(DEEP)
    at = next(k for k, spec in enumerate(specs) if spec.name == "pool_1")
    full = Spec("fc6", "InnerProduct", ("d2a",), ("fc6",), {}, (np.zeros((5, 8), np.float32),))
    said = of_specs(tmp_path, [*specs[: at + 1], full])
    assert "it is no U-Net: layer 'fc6' (InnerProduct) is where a convolution was expected" in said


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("relu_d0b", {"type": "Sigmoid"}, "layer 'relu_d0b' (Sigmoid) is where a relu was expected"),
        ("conv_d0b", {"fields": {"pad": 1}}, "layer 'conv_d0b' (Convolution) has pad (1, 1)"),
        ("conv_d0b", {"fields": {"stride": 4}}, "has stride (4, 4); a U-Net of the authors has 1"),
        ("conv_d1c", {"fields": {"dilation": [2, 2]}}, "layer 'conv_d1c' (Convolution) has dilation (2, 2)"),
        ("conv_d1c", {"fields": {"kernel_size": 5}}, "has weights of kernel (3, 3); its kernel is (5, 5)"),
        ("conv_d1c", {"fields": {"kernel_size": [3, 3, 3]}}, "states 3 values of kernel_size for 2 axes"),
        ("conv_d1c", {"fields": {"num_output": 7}}, "has weights for 4 outputs; expected 7"),
        ("conv_d1c", {"fields": {"group": 3}}, "has 3 groups, which do not divide the 4 rows"),
        ("conv_d1c", {"fields": {"group": 2}}, "'conv_d1c' (Convolution) has weights for 8 inputs; expect"),
        ("pool_0", {"fields": {"pool": "AVE"}}, "layer 'pool_0' (Pooling) pools by 1 with kernel (2, 2)"),
        ("pool_0", {"fields": {"stride": 1}}, "kernel (2, 2), stride (1, 1), pad (0, 0); expected the"),
        ("up_1", {"fields": {"stride": 3}}, "'up_1' (Deconvolution) goes up by (3, 3); the pooling of its"),
        ("up_1", {"type": "Convolution"}, "layer 'up_1' (Convolution) is where a deconvolution was expected"),
        ("concat_0", {"type": "Eltwise"}, "layer 'concat_0' (Eltwise) is where a concat was expected"),
        ("concat_0", {"fields": {"axis": 2}}, "'concat_0' (Concat) joins 2 along axis 2; expected 2 along 1"),
        ("crop_0", {"fields": {"offset": [3, 4]}}, "layer 'crop_0' (Crop) cuts at (3, 4) from axis 2"),
        ("crop_0", {"fields": {"axis": 1}}, "from axis 1 on; the centre is (16, 16) from axis 2 on"),
        ("crop_0", {"bottoms": ("d1c", "u0a")}, "layer 'concat_0' (Concat) joins another layer"),
        ("relu_d1b", {"fields": {"negative_slope": 0.1}}, "'conv_d1c' (Convolution) has another kernel or"),
        ("relu_u0a", {"fields": {"negative_slope": 0.1}}, "'up_0' (Deconvolution) is followed by a ReLU of"),
        ("pool_1", {"tops": ()}, "layer 'pool_1' (Pooling) is where a deconvolution was expected"),
    ],
)  # fmt: skip
def test_a_layer_that_differs(name: str, changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    assert words in of_specs(tmp_path, changed(u_net(DEEP), name, **changes))


def blobs(*shapes: tuple[int, ...]) -> dict[str, Any]:
    return {"blobs": tuple(np.zeros(shape, np.float32) for shape in shapes)}


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("conv_d0b", blobs(), "layer 'conv_d0b' (Convolution) has 0 blobs; expected 2: weights and biases"),
        ("conv_d1b", blobs(), "layer 'conv_d1b' (Convolution) has 0 blobs; expected 2: weights and biases"),
        ("up_0", blobs((4, 4, 2, 2)), "layer 'up_0' (Deconvolution) has 1 blobs; expected 2"),
        ("conv_d0b", blobs((2, 9), (2,)), "has weights of shape (2, 9); expected 4 axes, or 5 in 3-D"),
        ("conv_d1b", blobs((4, 18), (4,)), "'conv_d1b' (Convolution) has weights of shape (4, 18); exp"),
        ("conv_d1b", blobs((4, 3, 3, 3), (4,)), "'conv_d1b' (Convolution) has weights for 3 inputs; exp"),
        ("conv_d1b", blobs((4, 2, 3, 3), (5,)), "layer 'conv_d1b' (Convolution) has 5 biases for 4 outputs"),
        ("conv_d1b", blobs((4, 2, 2, 2), (4,)), "its kernel is (3, 3)"),
        ("up_0", blobs((3, 4, 2, 2), (4,)), "'up_0' (Deconvolution) has weights for 3 inputs; expected 4"),
        ("up_0", blobs((4, 4, 3, 3), (4,)), "has kernel (3, 3) and stride (2, 2); expected the same"),
        ("up_0", blobs((4, 5, 2, 2), (5,)), "has weights for 5 outputs; expected 4"),
    ],
)  # fmt: skip
def test_weights_that_are_missing_or_do_not_fit(
    name: str, changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    assert words in of_specs(tmp_path, changed(u_net(DEEP), name, **changes))


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (replace(DEEP, classes=1), "has kernel (1, 1) and 1 outputs; expected a 1x1 convolution"),
        (replace(DEEP, relu_up=False), "layer 'up_0' (Deconvolution) has 4 outputs; expected 2: widths"),
        (replace(DEEP, last_up=3), "layer 'up_0' (Deconvolution) has 6 outputs; expected 2 or 4"),
        (replace(DEEP, top=4), "layer 'conv_u0b' (Convolution) has 8 outputs; expected 2 or 4"),
        (replace(DEEP, kernels=((2, 2),) * 3), "has kernel (2, 2); a centred crop needs odd kernels"),
    ],
)  # fmt: skip
def test_a_network_that_is_drawn_otherwise(plan: Plan, words: str, tmp_path: Path) -> None:
    assert words in of_specs(tmp_path, u_net(plan))


def test_levels_that_do_not_double(tmp_path: Path) -> None:
    wide = u_net(replace(DEEP, width=3))
    specs = u_net(DEEP)
    names = {"conv_d0b", "conv_d0c"}
    mixed = [w if s.name in names else s for s, w in zip(specs, wide, strict=True)]
    first = next(spec for spec in mixed if spec.name == "conv_d1b")
    mixed = changed(mixed, "conv_d1b", blobs=(np.zeros((4, 3, 3, 3), np.float32), first.blobs[1]))
    up = next(spec for spec in mixed if spec.name == "conv_u0b")
    mixed = changed(mixed, "conv_u0b", blobs=(np.zeros((2, 7, 3, 3), np.float32), up.blobs[1]))
    said = of_specs(tmp_path, mixed)
    assert (
        "layer 'conv_d1b' (Convolution) has 4 outputs; expected 6: widths double from level to level" in said
    )


def test_slopes_that_differ_from_level_to_level(tmp_path: Path) -> None:
    specs = u_net(DEEP)
    for name in ("relu_d1b", "relu_d1c"):
        specs = changed(specs, name, fields={"negative_slope": 0.2})
    assert "layer 'conv_d1b' (Convolution) has a ReLU of slope 0.2 after it" in of_specs(tmp_path, specs)


def test_a_kernel_that_differs_on_the_way_up(tmp_path: Path) -> None:
    specs = u_net(DEEP)
    for name, inputs in (("conv_u0b", 6), ("conv_u0c", 2)):
        wide = (np.zeros((2, inputs, 5, 5), np.float32), np.zeros(2, np.float32))
        specs = changed(specs, name, fields={"kernel_size": 5}, blobs=wide)
    said = of_specs(tmp_path, specs)
    assert "layer 'conv_u0b' (Convolution) has kernel (5, 5); on the way down it is (3, 3)" in said


@pytest.mark.parametrize(
    ("count", "words"),
    [(5, "it ends at layer 'pool_0' (Pooling), where a convolution was expected to follow"),
     (4, "it ends at layer 'relu_d0c' (ReLU), where a convolution was expected to follow"),
     (1, "it ends at layer 'conv_d0b' (Convolution), where a relu was expected to follow"),
     (0, "it is no Caffe model")],
)  # fmt: skip
def test_a_network_that_stops(count: int, words: str, tmp_path: Path) -> None:
    assert words in of_specs(tmp_path, u_net(DEEP)[:count])


def test_a_network_that_goes_on(tmp_path: Path) -> None:
    more = Spec("prob", "Sigmoid", ("score",), ("prob",))
    said = of_specs(tmp_path, [*u_net(DEEP), more])
    assert "layer 'prob' (Sigmoid) is where a softmax or the end was expected" in said


def test_a_network_that_forks(tmp_path: Path) -> None:
    specs = u_net(DEEP)
    other = replace(specs[-1], name="conv_other", tops=("other",))
    said = of_specs(tmp_path, [*specs, other])
    assert "layer 'conv_score' (Convolution) and layer 'conv_other' (Convolution) read the same" in said


def test_a_network_that_convolves_nothing(tmp_path: Path) -> None:
    assert "none of its 2 layers is a convolution" in of_specs(tmp_path, chain("LSTM", "Softmax"))


def test_what_comes_before(tmp_path: Path) -> None:
    squared = Spec("square", "Power", ("data",), ("d0a",), {"power": 2.0})
    assert "layer 'square' (Power) raises to a power" in of_specs(
        tmp_path, u_net(replace(DEEP, before=(squared,)))
    )
    three = Spec("three", "ValueTransformation", ("data",), ("d0a",), {"offset": [1.0, 2.0, 3.0]})
    assert "layer 'three' (ValueTransformation) has [1, 3] values for 1 channels" in of_specs(
        tmp_path, u_net(replace(DEEP, before=(three,)))
    )


@pytest.mark.parametrize(
    ("written", "read", "words"),
    [
        ("pooling_param {", "pooling_param: 3 pooling_param {", "states pooling_param [3, {'pool': "),
        ("offset { v: -0.5 }", "offset: -0.5", "states offset [-0.5]; expected a message, in braces"),
        ("v: -0.5", "v: MAX", "states v ['MAX']; expected a number"),
        ("num_output: 4", "num_output: 'four'", "states num_output ['four']; expected a number"),
        ("dropout_ratio: 0.5", "dropout_ratio: high", "states dropout_ratio ['high']; expected a number"),
        ("kernel_size: 3", "kernel_size { x: 3 }", "states kernel_size [{'x': [3]}]; expected a number"),
        ("phase: TRAIN", "phase { x: 3 }", ""),
    ],
)
def test_a_value_of_another_kind(written: str, read: str, words: str, tmp_path: Path) -> None:
    shift = Spec("shift", "ValueTransformation", ("data",), ("d0a",), {"offset": [-0.5]})
    description = prototxt(u_net(replace(DEEP, before=(shift,))))
    assert written in description
    definition, weights = pair(tmp_path, description.replace(written, read, 1))
    if words:
        assert words in refused(definition, weights)
    else:  # a rule that says nothing is no rule
        assert read_model(definition, weights).header.network.depth == 2


@pytest.mark.parametrize("name", ["bn_d0b", "scale_d0b"])
def test_a_batch_norm_without_its_weights(name: str, tmp_path: Path) -> None:
    specs = changed(u_net(replace(DEEP, batch_norm=True)), name, blobs=(np.ones(3, np.float32),))
    assert f"layer '{name}'" in (said := of_specs(tmp_path, specs)) and "[3] numbers for 2 channels" in said


def test_a_depth_that_is_not_offered(tmp_path: Path) -> None:
    deep = Plan(width=1, kernels=((1, 1),) * 10, strides=((1, 1),) * 9)
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(u_net(deep)))
    with pytest.raises(ConfigError, match="depth is 9; it must be between 0 and 8"):
        read_model(tmp_path / "net.caffemodel")


# The plugin's files


def pair(tmp_path: Path, specs: Any = None, **parameters: Any) -> tuple[Path, Path]:
    specs = u_net(DEEP) if specs is None else specs
    return (
        write_modeldef(tmp_path / "net.modeldef.h5", specs, **parameters),
        write_weights(tmp_path / "net.caffemodel.h5", u_net(DEEP)),
    )


def test_weights_are_needed_and_belong_to_hdf5_alone(tmp_path: Path) -> None:
    definition, weights = pair(tmp_path)
    with pytest.raises(
        ConfigError, match=r"net\.modeldef\.h5 is HDF5, .*; give --weights NAME\.caffemodel\.h5"
    ):
        read_model(definition)
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(u_net(DEEP)))
    with pytest.raises(ConfigError, match=r"--weights goes with a \.modeldef\.h5; .* has its own weights"):
        read_model(tmp_path / "net.caffemodel", weights)
    said = refused(definition, tmp_path / "net.caffemodel")
    assert "net.caffemodel is no HDF5 file; give the .caffemodel.h5 of net.modeldef.h5" in said


def test_files_of_hdf5_that_hold_something_else(tmp_path: Path) -> None:
    definition, weights = pair(tmp_path)
    said = refused(weights, weights)
    assert "it holds no model_prototxt, but data; give a .modeldef.h5 of the plugin" in said
    said = refused(definition, definition)
    assert "it holds no weights (data), but .unet-ident, model_prototxt; give the .caffemodel.h5" in said


def test_empty_files_of_hdf5(tmp_path: Path) -> None:
    import h5py

    definition, weights = pair(tmp_path)
    for path in (tmp_path / "a.h5", tmp_path / "b.h5"):
        h5py.File(path, "w").close()
    assert "it holds no model_prototxt, but nothing" in refused(tmp_path / "a.h5", weights)
    assert "it holds no weights (data), but nothing" in refused(definition, tmp_path / "b.h5")


def test_files_of_hdf5_cut_short(tmp_path: Path) -> None:
    definition, weights = pair(tmp_path)
    whole = weights.read_bytes()
    weights.write_bytes(whole[:900])
    assert "it is cut short or no HDF5 file" in refused(definition, weights)
    definition.write_bytes(definition.read_bytes()[:700])
    assert "it is cut short or no HDF5 file" in refused(definition, weights)


def test_a_layer_without_weights(tmp_path: Path) -> None:
    definition, _ = pair(tmp_path)
    rest = [spec for spec in u_net(DEEP) if spec.name != "conv_u1b"]
    weights = write_weights(tmp_path / "rest.caffemodel.h5", rest)
    said = refused(definition, weights)
    assert "layer 'conv_u1b' (Convolution) has 0 blobs; expected 2: weights and biases" in said


def test_a_text_that_cannot_be_read(tmp_path: Path) -> None:
    definition, weights = pair(tmp_path, prototxt(u_net(DEEP)) + "layer { name:\n")
    assert "of its network has 'the end' where a value was expected" in refused(definition, weights)


def test_texts_and_weights_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    definition, weights = pair(tmp_path)
    monkeypatch.setattr(plugin, "LARGEST", 1000)
    assert "its weights have more than 1,000 bytes" in refused(definition, weights)
    monkeypatch.setattr(plugin, "LARGEST_VALUE", 4)
    assert "bytes; at most 4 are read" in refused(definition, weights)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (key, kind)
        for key in ("unet_param/description", "unet_param", "model_prototxt")
        for kind in ("external link", "soft link", "external", "virtual")
        if key == "unet_param/description" or "link" in kind
    ],
)
def test_no_other_file_is_read(key: str, kind: str, tmp_path: Path) -> None:
    import h5py

    definition, weights = pair(tmp_path)
    secret = tmp_path / "secret"
    secret.write_bytes(b"key")
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"], other["description"] = np.frombuffer(b"key", "S3"), "key"
    with h5py.File(definition, "a") as file:
        if key in file:
            del file[key]
        if kind == "external link":
            file[key] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/")
        elif kind == "soft link":
            file[key] = h5py.SoftLink("/nowhere")
        elif kind == "external":
            file.create_dataset(key, (1,), "S3", external=[(str(secret), 0, 3)])
        else:
            layout = h5py.VirtualLayout((1,), "S3")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (1,))
            file.create_virtual_dataset(key, layout)
    words = "is a link, which may lead to other files" if "link" in kind else "is kept in other files"
    assert words in refused(definition, weights)


def test_no_weights_of_another_file_are_read(tmp_path: Path) -> None:
    import h5py

    definition, weights = pair(tmp_path)
    weights.rename(tmp_path / "other.h5")
    with h5py.File(weights, "w") as file:
        file["data"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/data")
    assert "its data is a link" in refused(definition, weights)
    with h5py.File(weights, "w") as file:
        file.create_group("data/conv_u1b/0")
    assert "its conv_u1b/0 holds no weights" in refused(definition, weights)


@pytest.mark.parametrize("value", ["nan", "inf", "1e400", "-inf", "1" + "0" * 400])
@pytest.mark.parametrize("field", ["kernel_size", "group", "num_output", "pad", "stride", "bias_term"])
def test_numbers_that_are_not_finite(field: str, value: str, tmp_path: Path) -> None:
    text = prototxt(u_net(DEEP))
    at = text.index("convolution_param {") + len("convolution_param {")
    definition, weights = pair(tmp_path, f"{text[:at]} {field}: {value} {text[at:]}")
    assert f" states {field} [" in refused(definition, weights)


@pytest.mark.parametrize("key", ["normalization_type", "element_size_um"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_of_a_definition_that_are_not_finite(key: str, value: float, tmp_path: Path) -> None:
    said = refused(*pair(tmp_path, **{key: value}))
    assert f"its unet_param/{key} is {value:g}; expected finite numbers" in said


def test_a_scaling_that_is_not_offered(tmp_path: Path) -> None:
    said = refused(*pair(tmp_path, normalization_type=3))
    assert (
        "it scales images in its way number 3, which unseam does not have; it has 0 (not at all), 1" in said
    )


def test_a_pixel_size_of_other_axes(tmp_path: Path) -> None:
    said = refused(*pair(tmp_path, element_size_um=np.array([1.0, 0.5, 0.5])))
    assert "the network has 2 axes and the pixel size 3: (1.0, 0.5, 0.5)" in said


def test_h5py_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    definition, weights = pair(tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"need the package h5py; .*pip install 'unseam\[caffe\]'"):
        read_model(definition, weights)
