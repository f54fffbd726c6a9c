"""The plan: what images of which kind lead to, the paper's preset, and choices that contradict the images."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from unseam.config import Config, TrainConfig
from unseam.errors import ConfigError, ShapeError
from unseam.fingerprint import Fingerprint
from unseam.geometry import Geometry
from unseam.model.checkpoint import build_network
from unseam.model.unet import UNet
from unseam.plan import PIXELS_PER_STEP, Plan, plan, preset

CELLS = Fingerprint(
    n_images=20,
    spatial_dims=2,
    channels=1,
    dtypes=("uint8",),
    shape_min=(512, 512),
    shape_median=(512, 512),
    shape_max=(512, 640),
    spacing=None,
    intensity=((0.0, 1.0, 50.0, 200.0, 255.0),),
    task="instances",
    n_objects=300,
    diameter_p10=10.0,
    diameter_median=12.0,
    diameter_p90=15.0,
    area_p01=31.0,
    touching_fraction=0.25,
    class_frequencies=(0.8, 0.2),
    ignored_fraction=0.0,
)
STACK = replace(
    CELLS,
    spatial_dims=3,
    shape_min=(30, 200, 200),
    shape_median=(30, 200, 200),
    shape_max=(30, 200, 200),
    spacing=(1.0, 0.25, 0.25),
)
TISSUE = replace(
    CELLS, task="semantic", n_objects=0, diameter_p10=0.0, diameter_median=0.0, diameter_p90=0.0, area_p01=0.0
)


def planned(
    fp: Fingerprint = CELLS, *, device: str = "cpu", classes: int = 2, start: str = "default", **settings: Any
) -> Plan:
    return plan(fp, preset(start).updated(settings), classes=classes, device=device)


# Decisions


def test_nothing_is_left_open() -> None:
    for fp in (CELLS, STACK, TISSUE):
        config = planned(fp).config
        network, train, objects = config.network, config.train, config.objects
        left = {"strides", "kernels"} if fp.spatial_dims == 2 else set()  # the network has its own default
        assert {f.name for f in fields(network) if getattr(network, f.name) is None} == left
        assert None not in (train.minutes, train.patch, train.batch)
        assert not [f.name for f in fields(objects) if getattr(objects, f.name) is None]


@pytest.mark.parametrize(
    ("diameter", "depth"),
    # Halos of depth 2, 3 and 4 are 20, 44 and 92 px, and 1.25 times 16 is 20, 1.25 times 35.2 is 44.
    [(1.0, 2), (16.0, 2), (16.1, 3), (35.0, 3), (35.3, 4), (73.6, 4), (500.0, 4)],
)
def test_large_objects_take_a_deep_network(diameter: float, depth: int) -> None:
    config = planned(replace(CELLS, diameter_median=diameter, diameter_p90=diameter)).config
    assert config.network.depth == depth
    halo = build_network(replace(config.network, base_width=1)).geometry.halo[0]
    assert halo >= 1.25 * diameter or depth == 4


def test_the_depth_looks_half_way_between_the_median_and_the_largest_tenth() -> None:
    config = planned(replace(CELLS, diameter_median=23.0, diameter_p90=44.0)).config
    assert config.network.depth == 3  # 1.25 * (23 + 44) / 2 = 41.9, and the halo of depth 3 is 44
    config = planned(replace(CELLS, diameter_median=27.0, diameter_p90=77.0)).config
    assert config.network.depth == 4  # 1.25 * (27 + 77) / 2 = 65


def test_where_no_object_can_be_measured_the_network_is_the_paper_s_depth() -> None:
    assert planned(TISSUE).config.network.depth == 4
    assert planned(TISSUE).config.objects.min_size == 0
    assert "px surrounds each pixel" in planned(TISSUE).reasons[0]


def test_width_follows_the_machine_and_the_time() -> None:
    widths = [
        planned(fp, device=device, train={"minutes": minutes}).config.network.base_width
        for fp in (CELLS, STACK)
        for device, minutes in (("cpu", 10), ("cpu", 60), ("cuda", 10))
    ]
    assert widths == [16, 32, 64, 8, 16, 32]


def test_channels_classes_and_dimensions_are_the_images() -> None:
    network = planned(replace(CELLS, channels=3), classes=5).config.network
    assert (network.in_channels, network.classes, network.spatial_dims) == (3, 5, 2)
    assert planned(classes=2, network={"classes": 4}).config.network.classes == 4


def test_the_patch_fits_the_network_and_half_of_it_or_more_is_labelled() -> None:
    for diameter in (10.0, 30.0, 60.0):
        config = planned(replace(CELLS, diameter_p90=diameter)).config
        geometry = Geometry.regular(spatial_dims=2, depth=config.network.depth or 0)
        assert config.train.patch is not None
        output = geometry.output(config.train.patch)  # raises if it does not fit
        assert min(output) >= 160 and min(output) >= min(config.train.patch) / 2


def test_a_patch_covers_small_images_and_no_more() -> None:
    # Depth 2: outputs are multiples of 4, and the halo is 20 each side: 60 and 24 take 100 and 64.
    config = planned(replace(CELLS, shape_max=(60, 22))).config
    assert config.train.patch == (100, 64)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_batch_fills_a_step(device: str) -> None:
    train = planned(replace(CELLS, diameter_p90=60.0), device=device).config.train
    assert train.patch is not None and train.batch is not None
    pixels = train.batch * math.prod(train.patch)
    assert 0.7 * PIXELS_PER_STEP[device] < pixels < 1.3 * PIXELS_PER_STEP[device]


def test_the_batch_is_one_to_32() -> None:
    assert planned(train={"patch": [1020, 1020]}).config.train.batch == 1
    assert planned(device="cuda", train={"patch": [44, 44]}).config.train.batch == 32


def test_minutes_are_planned_unless_time_or_steps_are_given() -> None:
    assert planned().config.train.minutes == 10
    assert planned(train={"minutes": 3}).config.train.minutes == 3
    assert planned(train={"iterations": 5}).config.train.minutes is None


def test_objects_smaller_than_half_of_the_smallest_are_dropped() -> None:
    assert planned().config.objects.min_size == 15  # 31 / 2, whole
    assert planned(replace(CELLS, area_p01=1.0)).config.objects.min_size == 1


def test_what_was_chosen_stays() -> None:
    chosen = {
        "network": {"depth": 3, "base_width": 5, "batch_norm": False},
        "train": {"patch": [92, 100], "batch": 3, "iterations": 7},
        "objects": {"threshold": 0.0, "low_threshold": 0.0, "min_size": 0, "grow": 0},
    }
    config = planned(**chosen).config.to_dict()
    for section, values in chosen.items():
        for key, value in values.items():
            assert config[section][key] == (tuple(value) if isinstance(value, list) else value), key


# Objects that touch

TILED = replace(STACK, spacing=None, touching_fraction=1.0, class_frequencies=(0.0, 1.0))


def test_objects_that_tile_are_parted_on_both_sides() -> None:
    assert planned().config.loss.gap == 1
    config = planned(TILED).config
    assert config.loss.gap == 2
    objects = config.objects
    assert (objects.threshold, objects.low_threshold, objects.grow) == (0.7, 0.0, 8)
    assert planned(replace(TILED, spatial_dims=2, shape_max=(90, 90))).config.loss.gap == 2
    for other in ({"touching_fraction": 0.89}, {"class_frequencies": (0.06, 0.94)}):
        assert planned(replace(TILED, **other)).config.loss.gap == 1
    assert planned(replace(TILED, task="semantic")).config.loss.gap == 1
    assert planned(TILED, start="paper").config.loss.gap == 1


def test_a_gap_that_was_chosen_stays_and_is_grown_back() -> None:
    for gap, grow in [(0, 1), (1, 1), (2, 1), (4, 2), (6, 3)]:
        config = planned(loss={"gap": gap, "slope": 0.0}).config
        assert (config.loss.gap, config.objects.grow) == (gap, grow)


def test_targets_have_a_slope_where_objects_lie_in_background_in_an_image() -> None:
    config = planned().config
    objects = config.objects
    assert config.loss.slope == 0.2
    assert (objects.threshold, objects.low_threshold, objects.grow) == (0.5, 0.3, 2)
    flat = planned(loss={"slope": 0.0}).config.objects
    assert (flat.threshold, flat.low_threshold, flat.grow) == (0.5, 0.2, 1)
    tiled = replace(TILED, spatial_dims=2, shape_max=(90, 90))
    crowded = replace(CELLS, class_frequencies=(0.49, 0.51))
    assert [planned(fp).config.loss.slope for fp in (STACK, TISSUE, tiled, crowded)] == [0.0] * 4
    assert planned(replace(CELLS, class_frequencies=(0.5, 0.5))).config.loss.slope == 0.2
    assert planned(start="paper").config.loss.slope == 0.0


def test_the_plan_says_how_objects_are_parted() -> None:
    flat = {"gap": 1, "slope": 0.0}
    assert planned(loss=flat).reasons[3] == (
        "objects: smaller than 15 px are dropped, 25% touch and are parted by a gap that is grown back"
    )
    assert planned(loss={**flat, "gap": 0}).reasons[3].endswith("25% touch and are not parted")
    rising = planned().reasons[3]
    assert rising.endswith("grown back; their targets rise from the outline over 0.2 diameters")
    tiled = planned(TILED).reasons[3]
    assert tiled.endswith(
        "100% touch and 0% is background: "
        "a boundary of 2 px, half of it in each, parts them and is grown back"
    )
    coarse = planned(replace(TILED, spacing=(1.0, 0.25, 0.25))).reasons[3]
    assert coarse.endswith(
        "a boundary of 2 px, half of it in each (1 px along coarse axes), parts them and is grown back"
    )


# Volumes


def test_a_coarse_axis_waits_until_the_others_are_as_coarse() -> None:
    # 1.0 x 0.25 x 0.25: Z is coarse. After one pooling of Y and X it is 1.0 x 0.5 x 0.5: still. Then done.
    network = planned(STACK).config.network
    assert network.strides == ((1, 2, 2), (1, 2, 2))
    assert network.kernels == ((1, 3, 3), (1, 3, 3), (3, 3, 3))
    mild = planned(replace(STACK, spacing=(0.4, 0.25, 0.25))).config.network
    assert mild.strides == ((1, 2, 2), (2, 2, 2))
    assert mild.kernels == ((1, 3, 3), (3, 3, 3), (3, 3, 3))


@pytest.mark.parametrize("spacing", [None, (0.3, 0.3, 0.3), (0.4, 0.3, 0.3)])
def test_equal_axes_are_treated_equally(spacing: tuple[float, ...] | None) -> None:
    network = planned(replace(STACK, spacing=spacing)).config.network
    assert network.strides == ((2, 2, 2),) * 2 and network.kernels == ((3, 3, 3),) * 3


def test_a_volume_s_patch_fits_its_network() -> None:
    config = planned(STACK).config
    assert config.train.patch is not None
    geometry = build_network(config.network).geometry
    # Z: nothing is lost but at the bottom, 2 each side. Y, X: depth 2, as in 2-D.
    assert geometry.halo == (2, 20, 20)
    output = geometry.output(config.train.patch)
    assert all(n >= least for n, least in zip(output, (30, 60, 60), strict=True))
    assert plan(STACK, Config(), classes=2, device="cpu").config == config


def test_a_fifth_of_an_isotropic_volume_s_patch_is_labelled() -> None:
    config = planned(replace(STACK, spacing=None, shape_max=(170, 250, 250))).config
    assert config.network.depth == 2 and config.train.patch == (100, 100, 100) and config.train.batch == 1
    assert 60**3 / 100**3 > 0.2


# The paper


def test_the_paper_s_preset_is_the_paper_s_network() -> None:
    config = planned(start="paper").config
    with torch.device("meta"):
        net, paper = build_network(config.network), UNet()
    assert sum(p.numel() for p in net.parameters()) == 31_030_658
    assert str(net) == str(paper)  # layer by layer, dropout 0.5 among them
    assert config.train.patch == (572, 572) and net.geometry.output((572, 572)) == (388, 388)
    assert (config.train.batch, config.train.optimizer, config.train.momentum) == (1, "sgd", 0.99)


def test_the_paper_s_patch_is_planned_anew_for_volumes() -> None:
    given = {"network": {"depth": 2}}
    volume = planned(STACK, start="paper", **given).config
    assert volume.train.patch == planned(STACK, **given).config.train.patch
    assert (volume.train.batch, volume.network.base_width) == (1, 64)


def test_the_paper_s_preset_has_its_loss_and_its_deformation() -> None:
    config = preset("paper")
    assert (config.loss.weights, config.loss.w0, config.loss.sigma) == ("paper", 10, 5)
    assert config.loss.balance and config.loss.gap == 1
    assert (config.augment.elastic_sigma, config.augment.elastic_spacing) == (10, 0)  # 10 px on a 3x3 grid
    assert preset("default") == Config()


# Words


def test_the_reasons_name_what_was_decided() -> None:
    network, patches, time, objects = planned(train={"seed": 4}).reasons
    assert network == (
        "network: 2-D U-Net, depth 2, base width 16; its halo of 20 px surrounds objects of 12 px "
        "(nine in ten below 15)"
    )
    # 160 px out of 200 each way: 0.64 of the area; 270000 / 40000 = 6.75.
    assert patches == "patches: 7 of 200 x 200 px a step, of which the network labels 160 x 160 (64%)"
    assert time == "time: 10 minutes on cpu, adamw at 0.003, seed 4"
    assert objects.startswith("objects: smaller than 15 px are dropped, 25% touch")
    together = plan(CELLS, preset("default"), classes=2, device="cpu", ranks=3).reasons[1]
    assert together.startswith("patches: 7 of 200 x 200 px a step on each of 3 ranks, 21 in all, of which")
    assert planned(TISSUE, classes=3).reasons[3] == "classes: 3, each pixel takes the likeliest"
    assert "time: 7 iterations on" in planned(train={"iterations": 7}).reasons[2]


# Errors


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"train": {"minutes": 1, "iterations": 1}},
            "both minutes and iterations were given; choose one of them",
        ),
        ({"network": {"in_channels": 2}}, "in_channels is 2 and the images have 1; leave it out"),
        ({"network": {"spatial_dims": 3}}, "spatial_dims is 3 and the images are 2-D; leave it out"),
        ({"network": {"depth": 2, "strides": [[2, 2]]}}, "1 strides and 3 kernels were given for depth 2"),
        ({"network": {"depth": 1, "strides": [[2]]}}, "(2,) was given; strides and kernels take 2 sizes"),
        ({"network": {"depth": 0, "kernels": [[2, 2]]}}, "kernel (2, 2) is even"),
    ],
)
def test_choices_that_contradict(settings: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(**settings)
    assert str(caught.value).startswith(message)


def test_fewer_classes_than_the_labels_have() -> None:
    with pytest.raises(ConfigError, match="classes is 2 and the labels have 3; leave it out"):
        planned(classes=3, network={"classes": 2})


def test_a_patch_that_does_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"patch 101x100 does not fit .*nearest sizes: 100, 104 by 100"):
        planned(train={"patch": [101, 100]})
    with pytest.raises(
        ShapeError, match=r"patch 92 x 92 has 2 spatial axes and the network 3; give a 3-D pa"
    ):
        planned(STACK, start="paper", train={"patch": [92, 92]})


def test_an_unknown_preset() -> None:
    with pytest.raises(ConfigError, match="preset is 'fast'; expected one of: default, paper"):
        preset("fast")


def test_the_plan_of_a_plan_is_the_plan() -> None:
    for fp in (CELLS, STACK, TISSUE):
        first = planned(fp).config
        assert plan(fp, first, classes=2, device="cpu").config == first
    assert replace(planned().config, train=TrainConfig()).train == TrainConfig()
