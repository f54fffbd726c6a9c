"""Imported networks against their layers run one by one, in every form in which Caffe states the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.caffe.files import caffemodel, prototxt, write_modeldef, write_weights
from tests.caffe.networks import Plan, size_for, u_net
from tests.reference import caffe as reference
from tests.reference.caffe import Spec

from unseam.caffe.importing import Imported, read_model
from unseam.model.checkpoint import build_network
from unseam.normalize import Normalization

DEEP = Plan(kernels=((3, 3),) * 3, strides=((2, 2),) * 2)
UNEQUAL = Plan(kernels=((3, 3), (5, 1), (1, 3)), strides=((1, 2), (2, 3)), crop="stated")
VOLUME = Plan(kernels=((1, 3, 3), (3, 3, 3)), strides=((1, 2, 2),), channels=2, classes=3)
SHIFT = Spec("shift", "ValueTransformation", ("data",), ("d0a",), {"offset": [-0.5], "scale": [2.0]})
POWER = Spec("power", "Power", ("data",), ("d0a",), {"scale": 0.25, "shift": 3.0})
EACH = Spec("each", "ValueTransformation", ("d0a",), ("d0a",), {"offset": [1.0, -2.0], "scale": [3.0, 0.5]})
PLANS = {
    "the release": DEEP,
    "of the paper": replace(DEEP, relu_up=False, last_up=1, up_first=False),
    "made with the plugin": replace(DEEP, last_up=1, leak=0.1, crop="none", before=(SHIFT,)),
    "for cells, of the plugin": replace(DEEP, top=2, leak=0.1, crop="none", before=(SHIFT,)),
    "groups": replace(DEEP, width=4, group=2, channels=2),
    "anisotropic, offsets stated": UNEQUAL,
    "no pooling": Plan(kernels=((3, 5),), strides=()),
    "volume": VOLUME,
    "volume, groups, offsets": replace(VOLUME, group=2, crop="stated", up_first=False, top=2),
    "batch norm": replace(DEEP, batch_norm=True),
    "scaled channel by channel": replace(DEEP, channels=2, before=(POWER, EACH)),
}


def logits(imported: Imported, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    net = build_network(imported.header.network).eval().double()
    net.load_state_dict(imported.state_dict)
    with torch.no_grad():
        result: np.ndarray[Any, Any] = net(torch.from_numpy(image)[None])[0].numpy()
    return result


def assert_same(imported: Imported, specs: list[Spec], plan: Plan, given: str = "data") -> None:
    image = np.random.default_rng(1).normal(size=(plan.channels, *size_for(plan)))
    expected = reference.run(specs, image, given=given)["score"]
    ours = logits(imported, image)
    assert ours.shape == expected.shape and expected.std() > 0.1  # something is compared
    # Weights that are multiplied into others are rounded to float32 once more.
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_binary_files_of_today(plan: Plan, tmp_path: Path) -> None:
    specs = u_net(plan)
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(specs))
    assert_same(read_model(tmp_path / "net.caffemodel"), specs, plan)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_files_of_the_plugin(plan: Plan, tmp_path: Path) -> None:
    specs = u_net(plan)
    definition = write_modeldef(tmp_path / "net.modeldef.h5", specs)
    weights = write_weights(tmp_path / "net.caffemodel.h5", specs)
    assert_same(read_model(definition, weights), specs, plan)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("shape", [True, False])
@pytest.mark.parametrize("old", [True, False])
def test_binary_files_of_2015(old: bool, shape: bool, packed: bool, tmp_path: Path) -> None:
    specs = u_net(DEEP)
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(specs, old=old, shape=shape, packed=packed))
    assert_same(read_model(tmp_path / "net.caffemodel"), specs, DEEP)


def test_numbers_of_eight_bytes(tmp_path: Path) -> None:
    specs = u_net(DEEP)
    content = caffemodel(specs, doubles=True)
    (tmp_path / "net.caffemodel").write_bytes(content)
    assert_same(read_model(tmp_path / "net.caffemodel"), specs, DEEP)


def test_what_training_adds_changes_nothing(tmp_path: Path) -> None:
    """Caffe saves the network of training: with data, loss, and a copying layer at each fork."""
    specs = u_net(DEEP)
    data = Spec("load", "HDF5Data", (), ("data", "label"), training=True)
    loss = Spec("loss", "SoftmaxWithLoss", ("score", "label"), ("loss",), training=True)
    split = Spec("d0c_split", "Split", ("d0c",), ("d0c_0", "d0c_1"))
    at = next(k for k, spec in enumerate(specs) if spec.name == "pool_0")
    renamed = {"pool_0": ("d0c_0",), "crop_0": ("d0c_1", "u0a")}
    forked = [replace(spec, bottoms=renamed.get(spec.name, spec.bottoms)) for spec in specs]
    forked = [data, *forked[:at], split, *forked[at:], loss]
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(forked, old=True, shape=False))
    imported = read_model(tmp_path / "net.caffemodel")
    assert_same(imported, forked, DEEP)
    assert imported.header.network.dropout == 0.5


def test_a_description_as_the_plugin_writes_it(tmp_path: Path) -> None:
    """One description for training and prediction, where data3 is given: rules say what belongs to which."""
    plan = PLANS["for cells, of the plugin"]
    specs = u_net(replace(plan, before=(replace(SHIFT, bottoms=("data3",)),)))
    training = """
        layer { top: 'data' top: 'labels' name: 'loaddata' type: 'HDF5Data' include: { phase: TRAIN }
                hdf5_data_param { source: 'train.txt' batch_size: 1 shuffle: true } }
        layer { bottom: 'labels' top: 'def' name: 'create_deformation' type: 'CreateDeformation'
                create_deformation_param { ny: 44 nx: 44 random_elastic_grid_spacing { v: 150 v: 150 } }
                include: { phase: TRAIN } }
        layer { bottom: 'data' bottom: 'def' top: 'data2' name: 'def_data-data2' type: 'ApplyDeformation'
                apply_deformation_param { interpolation: 'linear' } include: { phase: TRAIN } }
        layer { bottom: 'data2' top: 'data3' name: 'augm_data2-data3' type: 'ValueAugmentation'
                value_augmentation_param { black_from: -0.05 } include: { phase: TRAIN } }
        """
    loss = """
        layer { bottom: 'score' bottom: 'labels' top: 'loss' name: 'loss' type: 'SoftmaxWithLoss'
                include: { phase: TRAIN } }
        layer { bottom: 'score' bottom: 'labels' top: 'IoU' name: 'IoU' type: 'IoU' include: { phase: TEST } }
        """
    definition = write_modeldef(tmp_path / "net.modeldef.h5", training + prototxt(specs) + loss)
    imported = read_model(definition, write_weights(tmp_path / "net.caffemodel.h5", specs))
    assert_same(imported, specs, plan, given="data3")


def test_names_of_layers_do_not_matter_and_dropout_may_have_a_name_of_its_own(tmp_path: Path) -> None:
    specs = [replace(spec, name=f"layer {k}") for k, spec in enumerate(u_net(DEEP))]
    at = next(k for k, spec in enumerate(specs) if spec.type == "Dropout")
    specs[at] = replace(specs[at], tops=("dropped",), training=False)
    specs[at + 1] = replace(specs[at + 1], bottoms=("dropped",))  # the pooling; the skip reads d1c
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(specs))
    assert_same(read_model(tmp_path / "net.caffemodel"), specs, DEEP)


def test_kernels_by_height_and_width_and_no_biases(tmp_path: Path) -> None:
    specs = u_net(DEEP)
    for k, spec in enumerate(specs):
        if spec.name == "conv_d1b":
            fields = {**spec.fields, "kernel_h": 3, "kernel_w": 3, "bias_term": 0}
            del fields["kernel_size"]
            specs[k] = replace(spec, fields=fields, blobs=spec.blobs[:1])
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(specs))
    assert_same(read_model(tmp_path / "net.caffemodel"), specs, DEEP)


# The configuration


@pytest.mark.parametrize(
    ("plan", "release", "wide_top", "leak"),
    [
        (PLANS["the release"], True, False, 0.0),
        (PLANS["of the paper"], False, False, 0.0),
        (PLANS["made with the plugin"], True, False, 0.1),
        (PLANS["for cells, of the plugin"], True, True, 0.1),
    ],
)
def test_which_variant_it_is(plan: Plan, release: bool, wide_top: bool, leak: float, tmp_path: Path) -> None:
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(u_net(plan)))
    network = read_model(tmp_path / "net.caffemodel").header.network
    assert (network.release, network.wide_top, network.leak) == (release, wide_top, leak)
    assert (network.base_width, network.depth, network.dropout) == (2, 2, 0.5)


def test_the_release_in_full_size(tmp_path: Path) -> None:
    plan = Plan(width=64, kernels=((3, 3),) * 5, strides=((2, 2),) * 4, seed=None)
    specs = u_net(plan)
    assert sum(blob.size for spec in specs for blob in spec.blobs) == 31_100_354
    (tmp_path / "phseg_v5.caffemodel").write_bytes(caffemodel(specs, old=True, shape=False))
    imported = read_model(tmp_path / "phseg_v5.caffemodel")
    assert sum(tensor.numel() for tensor in imported.state_dict.values()) == 31_100_354
    assert imported.header.network.release and not imported.header.network.wide_top
    assert "depth 4 and width 64, channels 1, classes 2, parameters 31,100,354" in imported.remarks[0]


def test_what_is_said_of_a_release(tmp_path: Path) -> None:
    (tmp_path / "phseg_v5.caffemodel").write_bytes(caffemodel(u_net(DEEP), old=True))
    imported = read_model(tmp_path / "phseg_v5.caffemodel")
    header = imported.header
    assert header.task == "instances" and header.normalization == Normalization("unit")
    assert header.training == {"imported_from": "phseg_v5.caffemodel"}
    assert header.citation.startswith("Ronneberger, Fischer, Brox.") and "authors" in header.license
    assert header.spacing is None and header.objects.threshold == 0.5
    assert [line.split(":")[0] for line in imported.remarks[1:]] == [
        "its concatenations are in the other order",
        "its crops state no offset",
        "how images are scaled is not stated",
    ]


def test_offsets_and_order_as_ours_need_no_remark(tmp_path: Path) -> None:
    plan = replace(DEEP, crop="stated", up_first=False)
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(u_net(plan)))
    assert len(read_model(tmp_path / "net.caffemodel").remarks) == 2


def test_three_classes_are_classes_of_pixels(tmp_path: Path) -> None:
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(u_net(replace(DEEP, classes=3))))
    assert read_model(tmp_path / "net.caffemodel").header.task == "semantic"


# What the plugin's file says


def plugin_model(tmp_path: Path, plan: Plan = DEEP, **parameters: Any) -> Imported:
    specs = u_net(plan)
    definition = write_modeldef(tmp_path / "net.modeldef.h5", specs, **parameters)
    return read_model(definition, write_weights(tmp_path / "net.caffemodel.h5", specs))


def test_what_is_said_of_a_network_of_the_plugin(tmp_path: Path) -> None:
    imported = plugin_model(
        tmp_path,
        name="2d cell net",
        description="segments cells",
        element_size_um=np.array([0.25, 0.5], np.float32),
        normalization_type=np.int32(1),
        padding="zero",
        classNames=[b"Background", b"Cell"],
        downsampleFactor=4,
    )
    header = imported.header
    assert header.spacing == (0.25, 0.5)
    assert header.normalization == Normalization("percentile", 0, 100)
    assert header.training == {
        "imported_from": "net.modeldef.h5",
        "weights_from": "net.caffemodel.h5",
        "name": "2d cell net",
        "description": "segments cells",
        "classes": ["Background", "Cell"],
    }
    assert "s41592-018-0261-2" in header.citation and "MICCAI 2015" in header.citation
    assert imported.remarks[-1].startswith("images were surrounded by zeros in training")


@pytest.mark.parametrize(
    ("number", "method"), [(0, "none"), (1, "percentile"), (2, "zscore"), (np.array([2]), "zscore")]
)
def test_how_the_plugin_scales(number: Any, method: str, tmp_path: Path) -> None:
    header = plugin_model(tmp_path, normalization_type=number).header
    assert header.normalization.method == method


def test_smallest_and_largest_become_0_and_1(tmp_path: Path) -> None:
    scale = plugin_model(tmp_path, normalization_type=1).header.normalization
    assert scale(np.array([[[7, 9, 12, 17]]], np.uint16)).ravel().tolist() == pytest.approx([0, 0.2, 0.5, 1])


def test_a_file_of_the_plugin_that_says_nothing_else(tmp_path: Path) -> None:
    header = plugin_model(tmp_path).header
    assert header.spacing is None and header.normalization == Normalization("percentile", 0, 100)
    assert header.training["name"] == "unet-1234"  # its identifier
    assert "description" not in header.training and "classes" not in header.training


@pytest.mark.parametrize("size", [[0.0, 0.0], []])
def test_a_pixel_size_that_is_none(size: list[float], tmp_path: Path) -> None:
    assert plugin_model(tmp_path, element_size_um=np.array(size)).header.spacing is None
