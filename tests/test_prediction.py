"""Prediction: the result is that of the whole image whatever the tiles, and the law can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import nn

from unseam import decisions, prediction
from unseam.config import NetworkConfig, ObjectConfig
from unseam.decisions import to_labels
from unseam.errors import ConfigError, InputError, ModelFileError, ShapeError
from unseam.geometry import Geometry
from unseam.instances import segment
from unseam.io.source import array_source
from unseam.model.checkpoint import build_network, save_model
from unseam.model.folded import FoldedNetwork
from unseam.model.header import ModelHeader
from unseam.model.unet import UNet, initialise
from unseam.normalize import Normalization
from unseam.prediction import (
    Model,
    choose_device,
    free_memory,
    load_model,
    memory,
    plan_image,
    ready,
    symmetries,
    tile_bytes,
    tile_function,
)
from unseam.tiling import apply_tiled, plan_tiles

Array = NDArray[Any]
NETS: dict[FoldedNetwork, UNet] = {}
"""The modules that models were made of."""


def drawn(*, seed: int = 0, **network: Any) -> Model:
    """A model whose weights and batch statistics are drawn: it has learned nothing."""
    options = {"in_channels": 1, "classes": 2, "spatial_dims": 2, "base_width": 3, "depth": 2, **network}
    config = NetworkConfig(**options)
    net, generator = build_network(config), torch.Generator().manual_seed(seed)
    initialise(net, generator)
    for layer in net.modules():
        if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm3d)):
            nn.init.uniform_(layer.running_var, 0.5, 1.5, generator=generator)
            nn.init.normal_(layer.running_mean, 0, 0.2, generator=generator)
    objects = ObjectConfig(threshold=0.5, min_size=3, grow=1)
    model = ready(net, ModelHeader("instances", config, Normalization("zscore"), objects))
    NETS[model.own.folded] = net.eval()
    return model


def blobs(*shape: int, channels: int = 1) -> Array:
    """Smooth noise: an image with structure of some pixels."""
    noise = np.random.default_rng(0).normal(size=(channels, *shape))
    for axis in range(1, noise.ndim):
        noise = noise + np.roll(noise, 1, axis) + np.roll(noise, 2, axis)
    return (1000 + 50 * noise).astype(np.uint16)


def whole(model: Model, image: Array) -> Array:
    """Probabilities of the whole image at once: padded by NumPy, through the network, softmax in NumPy."""
    geometry = model.network.geometry
    sizes = geometry.input_for(image.shape[1:])
    reach = [(h, size - h - n) for h, size, n in zip(geometry.halo, sizes, image.shape[1:], strict=True)]
    scaled = (image - image.mean((1, 2), keepdims=True)) / image.std((1, 2), keepdims=True)
    padded = np.pad(scaled, [(0, 0), *reach], mode="reflect").astype(np.float32)
    with torch.no_grad():
        logits = NETS[model.own.folded](torch.from_numpy(padded)[None])[0].numpy()
    inside = logits[(slice(None), *map(slice, image.shape[1:]))]
    return np.asarray(np.exp(inside) / np.exp(inside).sum(0))


def assert_seamless(model: Model, image: Array, tiles: tuple[int | str, ...], tta: str = "none") -> None:
    """All tile sizes give the same probabilities to 1e-5, and the same labels, with objects in them."""
    raw = model.probabilities(image, tile=tiles[0], tta=tta)
    objects = replace(model.header.objects, threshold=hardest_threshold(1 - raw[0]))
    model = replace(model, header=replace(model.header, objects=objects))
    first = model.predict(image, tile=tiles[0], tta=tta)
    for tile in tiles[1:]:
        other = model.predict(image, tile=tile, tta=tta)
        np.testing.assert_allclose(other.probabilities, first.probabilities, atol=1e-5, rtol=0)
        np.testing.assert_array_equal(other.labels, first.labels)
    if image[0].size > 500:
        assert first.labels.max() > 1
        assert raw[0].std() > 0.01


def test_hot_pixels_make_more_rounding_and_decide_nothing() -> None:
    """A few pixels 6000 deviations above the rest make activations, and their rounding, that much larger."""
    rng = np.random.default_rng(0)
    image = rng.normal(100, 10, (1, 160, 160))
    image[0][rng.random((160, 160)) < 0.0015] = 60000
    model = drawn(batch_norm=False)
    header = replace(model.header, normalization=Normalization("percentile"))
    model = replace(model, header=header)
    one, other = (1 - model.probabilities(image, tile=tile)[0].astype(float) for tile in (32, 160))
    apart = np.unravel_index(np.abs(one - other).argmax(), one.shape)
    assert abs(one - other)[apart] > 4 * decisions.ROUNDING
    model = model.with_objects(threshold=float(one[apart] + other[apart]) / 2)  # where the two disagree
    small, large = (model.predict(image, tile=tile) for tile in (32, 160))
    np.testing.assert_array_equal(small.labels, large.labels)
    assert small.labels.max() > 1


def test_objects_can_be_made_otherwise_without_training_again() -> None:
    model, image = drawn(), blobs(61, 83)
    foreground = 1 - model.predict(image).probabilities[0]
    threshold = float(np.quantile(foreground, 0.9))
    changed = model.with_objects(threshold=threshold, grow=0, min_size=0, fill_holes=False)
    np.testing.assert_array_equal(changed.predict(image).labels > 0, foreground > threshold)
    with pytest.raises(ConfigError, match=r"'treshold' is not a key .*; did you mean 'threshold'"):
        model.with_objects(treshold=0.5)


def hardest_threshold(foreground: Array) -> float:
    """The median itself: the probability of a pixel, which any rounding moves across it."""
    return float(np.sort(foreground, axis=None)[foreground.size // 2])


# The law: tiled is untiled


@pytest.mark.parametrize("shape", [(61, 83), (64, 64), (30, 7), (1, 90), (1, 1)])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_whole_image_at_once_gives_the_same(shape: tuple[int, int], batch_norm: bool) -> None:
    model, image = drawn(batch_norm=batch_norm), blobs(*shape)
    if shape == (1, 1):  # which is constant, so that zscore makes it 0
        assert model.predict(image, tile=4).probabilities.shape == (2, 1, 1)
        return
    expected = whole(model, image)
    for tile in (4, 24, 512):
        np.testing.assert_allclose(model.predict(image, tile=tile).probabilities, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("tta", ["none", "mirror", "rotate"])
@pytest.mark.parametrize("shape", [(75, 58), (13, 5), (1, 40)])
def test_tiles_change_nothing_in_2d(shape: tuple[int, int], tta: str) -> None:
    assert_seamless(drawn(), blobs(*shape), (8, 37, "auto"), tta)


@pytest.mark.parametrize("tta", ["none", "mirror", "rotate"])
def test_tiles_change_nothing_in_3d(tta: str) -> None:
    model = drawn(spatial_dims=3, depth=1, base_width=2, strides=((1, 2, 2),), kernels=((1, 3, 3), (3, 3, 3)))
    assert_seamless(model, blobs(5, 21, 14), (7, 10, "auto"), tta)


def test_tiles_change_nothing_with_channels_classes_and_a_semantic_task() -> None:
    model = drawn(in_channels=2, classes=3, depth=1)
    model = Model(model.network, ModelHeader("semantic", *fields_of(model)))
    image = blobs(50, 33, channels=2)
    small, large = model.predict(image, tile=6), model.predict(image, tile=64)
    np.testing.assert_array_equal(small.labels, large.labels)
    np.testing.assert_array_equal(small.labels, small.probabilities.argmax(0))
    assert set(np.unique(small.labels)) == {0, 1, 2}


@pytest.mark.real
def test_tiles_change_nothing_on_real_images(real_data: Path) -> None:
    model = drawn(base_width=2)
    cells = sorted((real_data / "dsb2018" / "images").glob("*.png"))[0]
    for path, tiles in ((real_data / "isbi2012/images/00.png", (150, 512)), (cells, (100, 33))):
        assert_seamless(model, np.asarray(PillowImage.open(path).convert("L"))[None], tiles)


@pytest.mark.real
def test_averaging_leaves_no_seam_on_a_real_image(real_data: Path) -> None:
    path = real_data / "isbi2012/images/00.png"
    assert_seamless(
        drawn(base_width=2), np.asarray(PillowImage.open(path))[None, :151, :140], (64, 512), "rotate"
    )


# The law can fail


def test_a_padded_network_breaks_the_law() -> None:
    """Zeros at the edge of each tile, outputs as large as inputs, tiles put side by side: the usual U-Net."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1))

    def function(tile: Array) -> Array:
        with torch.no_grad():
            return np.asarray(torch.softmax(net(torch.from_numpy(tile)[None])[0], 0).numpy())

    no_halo = Geometry.from_levels([(1, 1)], [])
    image = Normalization("zscore")(blobs(60, 60))
    small, large = (
        apply_tiled(function, array_source(image), plan_tiles((60, 60), no_halo, tile)) for tile in (20, 60)
    )
    assert np.abs(small - large).max() > 1e-2
    inside = np.s_[:, 2:18, 2:18]  # away from the seams they agree, so it is the seams that differ
    np.testing.assert_allclose(small[inside], large[inside], atol=1e-5)


def test_normalising_each_tile_breaks_the_law() -> None:
    model, image = drawn(), blobs(60, 60).astype(np.float32)
    function = tile_function(model.network, [(0, ())])

    def per_tile(tile: Array) -> Array:
        return function(Normalization("zscore")(tile))

    small, large = (
        apply_tiled(per_tile, array_source(image), plan_tiles((60, 60), model.network.geometry, tile))
        for tile in (20, 60)
    )
    assert np.abs(small - large).max() > 1e-2


# Averaging over symmetries


@pytest.mark.parametrize(
    ("dims", "tta", "count"),
    [(2, "none", 1), (2, "mirror", 4), (2, "rotate", 8), (3, "none", 1), (3, "mirror", 8), (3, "rotate", 16)],
)
def test_the_versions_are_all_different(dims: int, tta: str, count: int) -> None:
    cube = torch.arange(3**dims).reshape((3,) * dims)
    seen = {
        tuple(torch.rot90(cube, turns, (-2, -1)).flip(mirror).flatten().tolist())
        for turns, mirror in symmetries(dims, tta)
    }
    assert len(seen) == len(symmetries(dims, tta)) == count


@pytest.mark.parametrize(
    ("tta", "turn"),
    [
        ("mirror", lambda x: x[..., ::-1]),
        ("mirror", lambda x: x[..., ::-1, :]),
        ("rotate", lambda x: x[..., ::-1, :]),
        ("rotate", lambda x: np.rot90(x, 1, (-2, -1))),
        ("rotate", lambda x: x.swapaxes(-2, -1)),
    ],
)
def test_a_turned_image_has_the_turned_result(tta: str, turn: Callable[[Array], Array]) -> None:
    # Depth 2: outputs are multiples of 4, so the grid of a turned 40 x 40 image is the turned grid.
    model, image = drawn(), blobs(40, 40)
    expected = turn(model.probabilities(image, tta=tta))
    np.testing.assert_allclose(model.probabilities(turn(image), tta=tta), expected, atol=1e-5)
    plain = turn(model.probabilities(image))
    assert (
        np.abs(model.probabilities(turn(image)) - plain).max() > 1e-2
    )  # which the network alone does not do


def test_the_average_by_hand() -> None:
    model, image = drawn(depth=1), blobs(16, 16)
    scaled = model.header.normalization(image)
    plan = plan_image((16, 16), model.network, tile=16)
    versions = [
        apply_tiled(tile_function(model.network, [v]), array_source(scaled), plan)
        for v in symmetries(2, "mirror")
    ]
    np.testing.assert_allclose(model.probabilities(image, tta="mirror"), np.mean(versions, axis=0), atol=1e-6)


# Records


def fields_of(model: Model) -> tuple[NetworkConfig, Normalization, ObjectConfig]:
    return model.header.network, model.header.normalization, model.header.objects


def test_probabilities_are_probabilities() -> None:
    result = drawn().predict(blobs(20, 31))
    assert result.probabilities.shape == (2, 20, 31) and result.probabilities.dtype == np.float32
    assert result.labels.shape == (20, 31) and result.labels.dtype == np.int32
    np.testing.assert_allclose(result.probabilities.sum(0), 1, atol=1e-6)
    expected = segment(1 - result.probabilities[0], threshold=0.5, min_size=3, grow_pixels=1)
    np.testing.assert_array_equal(result.labels, expected)


def test_a_single_channel_may_be_left_out_and_progress_is_told() -> None:
    model, image, told = drawn(), blobs(20, 31), []
    result = model.predict(image[0], tile=16, on_tile=lambda *counts: told.append(counts))
    np.testing.assert_array_equal(result.probabilities, model.predict(image, tile=16).probabilities)
    assert result.image.shape == (1, 20, 31)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_labels_by_hand() -> None:
    foreground = np.array([[0.9, 0.2, 0.0, 0.6, 0.4]], np.float32)
    probabilities = np.stack([1 - foreground, foreground])
    assert to_labels(probabilities, "instances", ObjectConfig()).tolist() == [[1, 0, 0, 2, 0]]
    assert to_labels(probabilities, "instances", ObjectConfig(threshold=0.7, grow=1)).tolist() == [
        [1, 1, 0, 0, 0]
    ]
    limited = ObjectConfig(threshold=0.5, low_threshold=0.3, grow=2)
    assert to_labels(probabilities, "instances", limited).tolist() == [[1, 0, 0, 2, 2]]
    assert to_labels(probabilities, "instances", ObjectConfig(min_size=2)).max() == 0
    assert to_labels(probabilities, "semantic", ObjectConfig()).tolist() == [[1, 0, 0, 1, 0]]
    assert to_labels(probabilities, "semantic", ObjectConfig()).dtype == np.int32


def test_a_ring_is_filled_where_asked_for() -> None:
    foreground = np.ones((3, 3), np.float32)
    foreground[1, 1] = 0
    probabilities = np.stack([1 - foreground, foreground])
    for fill in (True, False):
        assert to_labels(probabilities, "instances", ObjectConfig(fill_holes=fill))[1, 1] == fill


def test_the_table_has_a_row_for_each_object_and_its_mean_probability() -> None:
    result = drawn().predict(blobs(40, 40), spacing=(0.5, 0.25))
    table = result.table()
    assert len(table) == result.labels.max() > 1
    assert result.spacing == (0.5, 0.25)
    mean = (1 - result.probabilities[0])[result.labels == 1].mean()
    assert table["mean_probability"][0] == pytest.approx(mean, abs=6e-5)  # four decimals


def test_the_table_of_classes_has_a_row_for_each_region() -> None:
    labels = np.array([[1, 0, 2], [1, 0, 0], [0, 0, 1]], np.int32)
    probabilities = np.zeros((3, 3, 3), np.float32)
    np.put_along_axis(probabilities, labels[None].astype(np.intp), np.float32(0.75), 0)
    table = prediction.Segmentation(labels, probabilities, None, labels[None], "semantic").table()
    assert table["class"].tolist() == [1, 2, 1]
    assert table["mean_probability"].tolist() == [0.75] * 3


def test_ready_leaves_the_network_as_it_was_and_folds_a_copy() -> None:
    config = NetworkConfig(in_channels=1, classes=2, spatial_dims=2, base_width=2, depth=1)
    net = build_network(config).train()
    model = ready(net, ModelHeader("instances", config, Normalization(), ObjectConfig()))
    assert net.training
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in net.modules())
    before, head = model.predict(blobs(20, 20)).probabilities, model.own.folded.head.weight
    np.testing.assert_array_equal(head, net.head.weight.detach().numpy())
    with torch.no_grad():
        net.head.weight.zero_()
    np.testing.assert_array_equal(model.predict(blobs(20, 20)).probabilities, before)


def test_a_saved_model_predicts_the_same_from_its_file_and_from_its_folder(tmp_path: Path) -> None:
    config = NetworkConfig(in_channels=1, classes=2, spatial_dims=2, base_width=2, depth=1)
    net = build_network(config)
    initialise(net, torch.Generator().manual_seed(0))
    header = ModelHeader("instances", config, Normalization(), ObjectConfig())
    save_model(tmp_path / "model.safetensors", net.state_dict(), header, overwrite=False)
    image = blobs(20, 20)
    expected = ready(net, header).probabilities(image)
    for path in (tmp_path, str(tmp_path / "model.safetensors")):
        found = load_model(path, device="cpu", engine="torch")
        np.testing.assert_array_equal(found.probabilities(image), expected)


# Tiles and memory


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    return lambda free: monkeypatch.setattr(prediction.tiles, "free_memory", lambda: free)


def test_auto_tiles_fit_the_memory(little_memory: Callable[[int], None]) -> None:
    net = drawn(base_width=8).network
    little_memory(10**12)
    assert plan_image((2000, 2000), net, tile="auto").step == (500, 500)  # four of at most 512 each way
    for free in (10**8, 10**7):
        little_memory(free)
        plan = plan_image((2000, 2000), net, tile="auto")
        assert tile_bytes(plan.tile_input, net) <= 0.25 * free
    little_memory(1)
    assert plan_image((40, 40), net, tile="auto").step == (4, 4)  # not below the grid


def test_a_tile_in_words_is_a_number() -> None:
    net = drawn().network
    assert plan_image((40, 40), net, tile="20") == plan_image((40, 40), net, tile=20)


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes files as the system has them; without any it says nothing."""
    names = {"MEMINFO": "proc/meminfo", "OWN_GROUPS": "proc/self/cgroup", "GROUPS": "sys"}
    for name, path in names.items():
        monkeypatch.setattr(memory, name, tmp_path / path)

    def write(files: dict[str, str]) -> None:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text + "\n")

    return write


MACHINE = {"proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 3 kB"}


def test_free_memory_of_this_machine() -> None:
    assert free_memory() > 2**20


def test_free_memory_where_the_system_does_not_say(system: Callable[..., None]) -> None:
    assert free_memory() == 4 * 2**30
    system(MACHINE)
    assert free_memory() == 3 * 1024


def limited(folder: str, limit: object, used: int, *, cached: int = 0) -> dict[str, str]:
    """The files of a control group, of version 1 where it lies in `memory`."""
    if folder.startswith("sys/memory"):
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    else:
        names = ("memory.max", "memory.current", "inactive_file")
    texts = (str(limit), str(used), f"anon 7\n{names[2]} {cached}")
    return {f"{folder}/{name}": text for name, text in zip((*names[:2], "memory.stat"), texts, strict=True)}


@pytest.mark.parametrize(("root", "line"), [("sys", "0::"), ("sys/memory", "4:cpu,memory:")])
def test_free_memory_in_a_control_group(system: Callable[..., None], root: str, line: str) -> None:
    system({**MACHINE, "proc/self/cgroup": f"9:pids:/other\n{line}/job/step"})
    system(limited(f"{root}/other", 10, 5))
    system(limited(root, 2000, 400))  # what a container sees
    assert free_memory() == 1600
    system(limited(f"{root}/job", 1000, 300))  # a limit of the job holds for its steps
    assert free_memory() == 700
    system(limited(f"{root}/job/step", 900, 600, cached=200))
    assert free_memory() == 500
    system(limited(f"{root}/job/step", 900, 901))
    assert free_memory() == 0


@pytest.mark.parametrize(("root", "limit"), [("sys", "max"), ("sys/memory", 2**63 - 4096)])
def test_control_groups_without_limit(system: Callable[..., None], root: str, limit: object) -> None:
    system(limited(root, limit, 5))
    assert free_memory() == 4 * 2**30
    system(MACHINE)
    assert free_memory() == 3 * 1024


# Errors


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (
            np.zeros((2, 9, 9)),
            r"shape \(2, 9, 9\); this model takes 1 channel and 2 spatial axes, \(1, Y, X\)",
        ),
        (np.zeros(9), r"the image has shape \(9,\); this model takes 1 channel"),
        (np.zeros((1, 0, 9)), r"the image is empty: its shape is \(0, 9\)"),
        (np.zeros((0, 9)), r"the image is empty"),
    ],
)
def test_images_that_do_not_fit(image: Array, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        drawn(depth=1).predict(image)


def test_a_volume_s_model_names_its_axes() -> None:
    words = r"this model takes 2 channels and 3 spatial axes, \(2, Z, Y, X\)"
    with pytest.raises(ShapeError, match=words):
        drawn(spatial_dims=3, in_channels=2, depth=0).predict(np.zeros((3, 9, 9)))


def test_input_that_cannot_be_used() -> None:
    model = drawn(depth=1)
    with pytest.raises(InputError, match="tta is 'flip'; expected one of: none, mirror, rotate, turn"):
        model.predict(blobs(9, 9), tta="flip")
    with pytest.raises(InputError, match="the image has 81 pixels that are NaN or infinite"):
        model.predict(np.full((9, 9), np.nan))
    with pytest.raises(InputError, match="tile is 'large'; expected auto or a number of pixels"):
        model.predict(blobs(9, 9), tile="large")
    with pytest.raises(ShapeError, match="tile 1 was given; this network needs tiles of 2 pixels or more"):
        model.predict(blobs(9, 9), tile=1)


def test_a_network_that_is_not_the_same_along_y_and_x_cannot_be_turned() -> None:
    model = drawn(depth=1, strides=((2, 1),))
    assert_seamless(model, blobs(20, 31), (8, "auto"), "mirror")
    for tta in ("rotate", "turn"):
        words = f"tta is '{tta}' and this network is not the same along Y and X; use mirror"
        with pytest.raises(InputError, match=words):
            model.predict(blobs(20, 31), tta=tta)


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(
        InputError, match=r"device cuda was asked for and PyTorch finds none; use --device cpu"
    ):
        choose_device("cuda")
    with pytest.raises(InputError, match="device is 'gpu'; expected auto, cpu or cuda"):
        choose_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == "cuda"


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"there is no model file .*model\.safetensors"):
        load_model(tmp_path)
    tifffile.imwrite(tmp_path / "model.safetensors", np.zeros((3, 3), np.uint8))
    with pytest.raises(ModelFileError, match="is cut short or not a model file"):
        load_model(tmp_path)


@pytest.mark.parametrize("task", ["instances", "semantic"])
def test_a_network_that_gives_nan_is_told_as_such(task: str) -> None:
    probabilities = np.full((2, 3, 3), np.nan, np.float32)
    with pytest.raises(
        InputError, match="the network gives NaN; train the model again, at a lower learning rate"
    ):
        to_labels(probabilities, task, ObjectConfig())
