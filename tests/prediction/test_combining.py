"""Several models as one: the same labels whatever the order or the cut, one clear error where they differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from tests.engines.fakes import fake, run_by
from tests.packages.made import unet, write_package
from tests.tiny import samples, trained_run, untrained, variants

from unseam.cli import main
from unseam.config import ObjectConfig
from unseam.errors import InputError, OutputExistsError
from unseam.io.images import read_labels, write_tiff
from unseam.io.source import array_source
from unseam.normalize import Normalization
from unseam.prediction import Model, load_model, load_models_for
from unseam.prediction.combining import combine, combined_header, header_of
from unseam.streaming.job import ImageSpec
from unseam.streaming.run import stream
from unseam.streaming.wanted import Wanted
from unseam.verification.regions import double_function
from unseam.workflow.guarding import attach
from unseam.workflow.listener import SILENT
from unseam.workflow.verifying import verify_file

Array = NDArray[Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_run(tmp_path_factory)


@pytest.fixture(scope="module")
def three(run: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return variants(run, tmp_path_factory.mktemp("three"))


@pytest.fixture(scope="module")
def model(three: list[Path]) -> Model:
    return load_model(three, device="cpu")


def image(size: int = 150) -> Array:
    return samples(1, size=size, seed=9)[0].image[0, :, : size - 30]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> ImageSpec:
    path = tmp_path_factory.mktemp("cells") / "cells.tif"
    write_tiff(path, image(), axes="YX", spacing=(0.5, 0.5))
    return ImageSpec(str(path))


def test_probabilities_are_the_mean_of_the_members(model: Model, three: list[Path]) -> None:
    each = [load_model(path, device="cpu").predict(image()).probabilities for path in three]
    found = model.predict(image()).probabilities
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-5)
    assert max(np.abs(one - found).max() for one in each) > 0.01


def test_thresholds_are_the_mean_of_the_members(model: Model) -> None:
    # thresholds 0.3, 0.4, 0.5; growth 0, 1, 2; the smallest size 2 in all
    objects = model.header.objects
    assert objects.threshold == pytest.approx(0.4)
    assert (objects.grow, objects.min_size) == (1, 2)
    assert model.notes[0].startswith("models: 3, their probabilities averaged; thresholds are the mean of")


def test_a_model_averaged_with_itself_gives_its_labels_bit_for_bit(three: list[Path]) -> None:
    one = load_model(three[0], device="cpu")
    same = combine([one, one, one]).predict(image())
    expected = one.predict(image())
    np.testing.assert_array_equal(same.probabilities, expected.probabilities)
    np.testing.assert_array_equal(same.labels, expected.labels)
    assert expected.labels.max() > 3
    assert combine([one]) is one


def test_the_order_that_is_given_does_not_matter(model: Model, three: list[Path]) -> None:
    other = load_model([three[2], three[0], three[1]], device="cpu")
    assert other.members == model.members and other.header == model.header
    np.testing.assert_array_equal(other.predict(image()).probabilities, model.predict(image()).probabilities)


@pytest.mark.parametrize("tile", [20, 64])
def test_labels_do_not_depend_on_the_tile(model: Model, tile: int) -> None:
    np.testing.assert_array_equal(model.predict(image(), tile=tile).labels, model.predict(image()).labels)


def test_blocks_give_the_labels_of_the_whole_image(model: Model, cells: ImageSpec, tmp_path: Path) -> None:
    assert model.path is not None
    stream(model, model.path, cells, Wanted(tmp_path / "out.zarr", save=("labels",), block=40))
    found = np.asarray(zarr.open_array(tmp_path / "out.zarr" / "0", mode="r")[:])
    np.testing.assert_array_equal(found, model.predict(image(), spacing=(0.5, 0.5)).labels)


def test_half_done_work_of_other_members_is_not_gone_on_with(
    model: Model, three: list[Path], cells: ImageSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unseam.streaming import passes

    assert model.path is not None
    wanted = Wanted(tmp_path / "out.zarr", save=("labels",), block=40)
    with monkeypatch.context() as patch:
        patch.setattr(passes, "join_predicted", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            stream(model, model.path, cells, wanted)
    fewer = load_model(three[:2], device="cpu").with_objects(**vars(model.header.objects))
    with pytest.raises(OutputExistsError, match="model"):
        stream(fewer, model.path, cells, wanted)
    assert stream(model, model.path, cells, wanted).resumed == 12  # 150 x 120 in blocks of 40


def test_another_process_makes_the_same_model(model: Model) -> None:
    other = load_models_for(model.files, model.runners)
    np.testing.assert_array_equal(other.predict(image()).probabilities, model.predict(image()).probabilities)
    assert len(model.runners) == 3 and other.header.objects == model.header.objects


def test_it_is_verified_in_double_precision(model: Model, cells: ImageSpec) -> None:
    verified = verify_file(model, cells, regions=1, memory=1, listener=SILENT)
    assert not verified.certificate.is_broken
    function = double_function(model, "none")
    assert function is not None
    assert function(np.zeros((1, 36, 36), np.float32)).dtype == np.float64


def test_each_engine_is_compared_and_replaced_where_it_disagrees() -> None:
    reference, bad = untrained(), run_by(untrained(), fake(wrong=0.3))
    both = combine([reference, bad])
    seen = both.agreeing(array_source(np.random.default_rng(0).random((1, 40, 40)).astype(np.float32)))
    assert "disagrees with PyTorch" in seen.notes[-1]
    assert str(both.network).count("Fake") == 1 and "Fake" not in str(seen.network)


def test_what_one_network_has_is_not_asked_of_several(model: Model) -> None:
    with pytest.raises(InputError, match="3 models are averaged here, and this takes one; give one of them"):
        _ = model.own
    assert model.engine.startswith("3 networks, ") and len(model.files) == 3


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: untrained(channels=2), "channels is 1 in the one and 2 in the other"),
        (lambda: untrained(classes=3), "classes is 2 in the one and 3"),
        (lambda: untrained(task="semantic"), "task is instances in the one and semantic"),
        (lambda: untrained(dims=3), "spatial axes is 2 in the one and 3"),
        (lambda: untrained(spacing=(0.5, 0.5)), r"pixel size is None in the one and \(0.5, 0.5\)"),
        (
            lambda: untrained(diameters=(5.0, 50.0)),
            r"diameters is None .* give models that were trained alike",
        ),
    ],
)
def test_models_that_differ_are_refused(other: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"model 0 and model 1 cannot be averaged: {words}"):
        combine([untrained(), other()])


def with_header(**changes: Any) -> Model:
    one = untrained()
    return replace(one, header=replace(one.header, **changes))


def test_other_intensities_sizes_or_kinds_of_objects_are_refused() -> None:
    with pytest.raises(InputError, match=r"normalization is .*percentile.* and .*zscore"):
        combine([untrained(), with_header(normalization=Normalization("zscore"))])
    objects = untrained().header.objects
    with pytest.raises(InputError, match=r"objects.split is 0.0 in the one and 0.8 in the other"):
        combine([untrained(), with_header(objects=replace(objects, split=0.8))])
    with pytest.raises(InputError, match=r"objects.fill_holes is True in the one and False"):
        combine([untrained(), with_header(objects=replace(objects, fill_holes=False))])
    with pytest.raises(InputError, match="pixel size"):
        combine([untrained(spacing=(0.5, 0.5)), untrained(spacing=(0.6, 0.5))])
    near = combine([untrained(spacing=(0.5, 0.5)), untrained(spacing=(0.52, 0.5))])
    assert near.header.spacing == (0.5, 0.5)  # as much as an image may differ without being rescaled
    with pytest.raises(InputError, match="no model was given"):
        combine([])


def test_other_tiles_are_refused() -> None:
    from unseam.config import NetworkConfig
    from unseam.model.checkpoint import build_network
    from unseam.prediction import ready

    deep = NetworkConfig(in_channels=1, classes=2, spatial_dims=2, base_width=2, depth=2, batch_norm=False)
    one = untrained()
    other = ready(build_network(deep).eval(), replace(one.header, network=deep))
    with pytest.raises(InputError, match=r"sizes of tiles is grid .* in the one and grid .* in the other"):
        combine([one, other])
    wide = replace(deep, depth=1, base_width=4)
    assert combine([one, ready(build_network(wide).eval(), one.header)]).network.base_width == 4


def test_networks_of_other_programs_are_refused(three: list[Path], tmp_path: Path) -> None:
    package = write_package(tmp_path / "package", unet())
    with pytest.raises(InputError, match=r"is a package of bioimage.io and 2 models are to be averaged"):
        load_model([three[0], package])


def test_headers_alone_say_the_same(model: Model, three: list[Path]) -> None:
    assert header_of(three) == model.header and header_of(three[::-1]) == model.header
    assert header_of(three, ObjectConfig(threshold=0.9)).objects.threshold == 0.9
    assert header_of(three[:1]) == load_model(three[0], device="cpu").header
    assert combined_header([model.header] * 2, ["a", "b"]).training == {"models_averaged": 2}


def test_the_first_models_statistics_judge_images(run: Path, tmp_path: Path) -> None:
    paths = variants(run, tmp_path, 2)
    pictures = [sample.image for sample in samples(4)]
    for number, path in enumerate(paths):
        attach(path, pictures, tmp_path / f"judging{number}.safetensors")
    both = load_model([tmp_path / "judging0.safetensors", tmp_path / "judging1.safetensors"], device="cpu")
    first = load_model(both.members[0], device="cpu")
    verdict = both.predict(pictures[0]).verdict
    assert verdict is not None and verdict == first.predict(pictures[0]).verdict
    assert both.notes[0].endswith(f"are compared with the training images of {both.members[0]}")


def test_the_command_line_averages(three: list[Path], cells: ImageSpec, tmp_path: Path) -> None:
    others = [argument for path in three[1:] for argument in ("--with", str(path))]
    out = ["--out", str(tmp_path / "out"), "--device", "cpu", "--save", "labels"]
    assert main(["predict", str(three[0]), cells.path, *others, *out]) == 0
    found = read_labels(tmp_path / "out" / "cells.tif").data[0]
    expected = load_model(three, device="cpu").predict(image(), spacing=(0.5, 0.5)).labels
    np.testing.assert_array_equal(found, expected)
