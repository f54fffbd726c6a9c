"""The bioimage.io package: valid, tested by bioimageio.core, and without a seam in its blocks."""

from __future__ import annotations

import gc
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bioimageio.spec
import numpy as np
import pytest
from PIL import Image as PillowImage
from tests.export.nets import ANISOTROPIC, FLAT, NETWORKS, model

from unseam.data.synthetic import synthetic_image
from unseam.errors import (
    ConfigError,
    InputError,
    MissingExtraError,
    OutputError,
    OutputExistsError,
    ShapeError,
)
from unseam.export import bioimageio as exported
from unseam.export.bioimageio import Package, write_bioimageio
from unseam.export.frame import frame_of
from unseam.normalize import Normalization
from unseam.prediction import Model

pytestmark = [
    pytest.mark.filterwarnings("ignore:Found mapping with 'source':UserWarning"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),  # bioimageio.spec closes none
]
QUIET = {"log_warnings": False, "perform_io_checks": True}
CARD = "# A card\n\n## Validation\n\nNone.\n"


def image(shape: tuple[int, ...], channels: int = 1, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([synthetic_image(rng, shape=shape, radius=5.0).image for _ in range(channels)])


def package(of: Model, **changes: Any) -> Package:
    shape = (40, 50) if of.network.spatial_dims == 2 else (12, 40, 50)
    made = Package("unseam test", CARD, image(shape, of.network.in_channels), ("Ada Lovelace",), "CC-BY-4.0")
    return replace(made, **changes)


def load(path: Path) -> Any:
    with bioimageio.spec.ValidationContext(**QUIET):
        return bioimageio.spec.load_description(path)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """What bioimageio.spec leaves open is closed before the next test, in which it would be an error."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    """A model of one channel and its package."""
    of, path = model(FLAT, spacing=(0.5, 0.25)), tmp_path_factory.mktemp("package") / "net.zip"
    write_bioimageio(of, path, package(of))
    return of, path


# Valid, and tested


def test_the_package_is_valid_and_lacks_only_a_name_on_github(written: tuple[Model, Path]) -> None:
    summary = load(written[1]).validation_summary
    assert summary.status == "valid-format" and not summary.errors
    assert [w.msg for w in summary.warnings] == [
        "Missing `maintainers` or any author in `authors` with a specified `github_user` name."
    ]


def test_without_author_and_licence_it_is_valid_and_says_what_it_lacks(tmp_path: Path) -> None:
    of = model()
    done = write_bioimageio(of, tmp_path / "net.zip", package(of, authors=(), license=None))
    assert done.notes[0].startswith("valid by bioimageio.spec ") and done.files == (tmp_path / "net.zip",)
    assert [note.split(": ")[1] for note in done.notes[1:]] == ["authors", "license"]
    assert load(tmp_path / "net.zip").license is None


@pytest.mark.parametrize("name", ["2-D, batch norm, colour", "3-D, anisotropic"])
def test_bioimageio_core_tests_it_and_it_passes(name: str, tmp_path: Path) -> None:
    from bioimageio.core import test_model as run_test

    of = model(NETWORKS[name])
    done = write_bioimageio(of, tmp_path / "net.zip", package(of))
    assert 0 <= done.difference < 1e-5
    summary = run_test(load(tmp_path / "net.zip"))
    assert summary.status == "passed", summary.errors
    ran = [
        detail.name for detail in summary.details if "nference" in detail.name or "Reproduce" in detail.name
    ]
    assert len(ran) == 7  # the test tensors, then two batch sizes at three sizes


# Blocks


@pytest.mark.parametrize("method", ["percentile", "zscore", "none"])
def test_in_blocks_bioimageio_core_gives_what_we_give(method: str, tmp_path: Path) -> None:
    of = model(FLAT, method=method)
    unit = 1000.0 if method == "none" else 1.0  # as it is, the network has to get about 1
    write_bioimageio(of, tmp_path / "net.zip", package(of, image=image((40, 50)) / unit))
    pixels = image((88, 96), seed=2).astype(np.float32) / unit
    theirs = in_blocks(tmp_path / "net.zip", pixels, 2)
    assert theirs.shape == (2, 88, 96)
    assert np.abs(theirs - of.probabilities(pixels)).max() < 1e-4


def test_in_blocks_a_volume_too(tmp_path: Path) -> None:
    of = model(ANISOTROPIC)
    write_bioimageio(of, tmp_path / "net.zip", package(of))
    assert of.network.geometry.grid == (2, 4, 6)
    pixels = image((24, 64, 72), channels=2, seed=3)
    theirs = in_blocks(tmp_path / "net.zip", pixels, 3)
    assert np.abs(theirs - of.probabilities(pixels)).max() < 1e-4


def in_blocks(path: Path, pixels: np.ndarray, size: int) -> np.ndarray:
    """Probabilities by bioimageio.core, in several blocks."""
    from bioimageio.core import Sample, Tensor, create_prediction_pipeline

    axes = ("batch", "channel", "z", "y", "x") if pixels.ndim == 4 else ("batch", "channel", "y", "x")
    sample = Sample(members={"image": Tensor(pixels[None], dims=axes)}, stat={}, id=None)
    with create_prediction_pipeline(load(path)) as pipeline:
        count, steps = pipeline.predict_sample_with_blocking_yield_intermediates(sample, ns=size)
        *_, last = steps
    assert count > 3
    result: np.ndarray = last.sample.members["probabilities"].data.values[0]
    return result


# What is in it


def test_the_description_says_sizes_halo_scaling_and_whose_it_is(written: tuple[Model, Path]) -> None:
    of, path = written
    said, frame = load(path), frame_of(of.network.geometry)
    y, x = said.inputs[0].axes[2:]
    # depth 2: halo 20; a valid size is 44 + 4 n, its output 4 + 4 n: a multiple of the grid, so nothing extra
    assert frame.halo == (20, 20)
    assert [(a.id, a.size.min, a.size.step, a.scale, a.unit) for a in (y, x)] == [
        ("y", 44, 4, 0.5, "micrometer"),
        ("x", 44, 4, 0.25, "micrometer"),
    ]
    assert [(a.halo, a.size.axis_id, a.size.offset) for a in said.outputs[0].axes[2:]] == [
        (20, "y", 0),
        (20, "x", 0),
    ]
    assert said.outputs[0].axes[1].channel_names == ["background", "object"]
    scale = said.inputs[0].preprocessing[1].kwargs
    assert (scale.min_percentile, scale.max_percentile, list(scale.axes)) == (1.0, 99.8, ["y", "x"])
    assert said.inputs[0].pad.mode == "reflect" and said.weights.onnx.opset_version == 17
    assert [author.name for author in said.authors] == ["Ada Lovelace"] and said.license == "CC-BY-4.0"
    assert said.cite[0].doi == "10.1007/978-3-319-24574-4_28"
    assert {"unet", "2d", "instance-segmentation"} <= set(said.tags)


def test_the_zip_holds_readable_files_and_no_pickle(written: tuple[Model, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(written[1]) as package:
        package.extractall(tmp_path)
    names = {file.name for file in tmp_path.iterdir()}
    tensors, samples = {"test_input.npy", "test_output.npy"}, {"sample_input.tif", "sample_output.tif"}
    assert names == {"rdf.yaml", "README.md", "weights.onnx", "cover.png", *tensors, *samples}
    assert (tmp_path / "README.md").read_text() == CARD
    given, answer = (np.load(tmp_path / name, allow_pickle=False) for name in sorted(tensors))
    assert given.shape == (1, 1, 296, 296) and answer.shape == (1, 2, 296, 296)  # 256 and a halo of 20
    assert given.dtype == np.uint16 and not answer[..., :20, :].any() and answer[0, :, 20, 20].sum() > 0.99
    with PillowImage.open(tmp_path / "cover.png") as cover:
        assert cover.size == (1024, 512)
    assert (tmp_path / "cover.png").stat().st_size < 500_000


@pytest.mark.parametrize(
    ("normalization", "step"),
    [
        (Normalization("percentile", 3.0, 97.0), "scale_range"),
        (Normalization("zscore"), "zero_mean_unit_variance"),
        (Normalization("none"), None),
    ],
)
def test_scaling_is_said_as_the_format_says_it(normalization: Normalization, step: str | None) -> None:
    steps = exported._preprocessing(normalization, "zyx")
    assert [one.id for one in steps] == ([] if step is None else [step])
    for one in steps:
        assert list(one.kwargs.axes) == ["z", "y", "x"] and one.kwargs.eps == 1e-6


def test_the_middle_of_an_image_is_taken_and_a_small_one_is_mirrored() -> None:
    row = np.arange(5)[None]
    assert exported._centre(row, (3,)).tolist() == [[1, 2, 3]]
    assert exported._centre(row, (8,)).tolist() == [[1, 0, 1, 2, 3, 4, 3, 2]]


# What is refused


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"license": "mine"}, "license is 'mine'; give a current identifier of SPDX, as CC-BY-4.0"),
        ({"license": ""}, "license is ''; give a current identifier"),
        ({"authors": ("Ada/Lovelace",)}, "author is 'Ada/Lovelace'; give a name without slashes"),
        ({"authors": (" ",)}, "author is ' '; give a name"),
    ],
)
def test_words_that_the_format_does_not_allow(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    of = model()
    with pytest.raises(InputError, match=words):
        write_bioimageio(of, tmp_path / "net.zip", package(of, **changes))
    assert not list(tmp_path.iterdir())


def test_a_scaling_that_the_format_cannot_say(tmp_path: Path) -> None:
    of = model(method="unit")
    with pytest.raises(
        ConfigError, match=r"scales integers by the range of their type.*export it with --to onnx"
    ):
        write_bioimageio(of, tmp_path / "net.zip", package(of))
    assert not list(tmp_path.iterdir())


def test_an_image_that_does_not_fit(tmp_path: Path) -> None:
    of = model()
    with pytest.raises(ShapeError, match=r"shape \(2, 40, 40\); this model takes 1 channel"):
        write_bioimageio(of, tmp_path / "net.zip", package(of, image=image((40, 40), channels=2)))
    assert not list(tmp_path.iterdir())


def test_a_network_that_differs_is_not_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right, of = exported.onnx_run, model()
    monkeypatch.setattr(exported, "onnx_run", lambda path: lambda x: right(path)(x) + 1e-3)
    with pytest.raises(OutputError, match=r"differs from PyTorch by 1\.0e-03"):
        write_bioimageio(of, tmp_path / "net.zip", package(of))
    assert not list(tmp_path.iterdir())


def test_a_package_that_bioimageio_spec_finds_invalid_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = model()
    monkeypatch.setattr(exported, "DOI", "none")
    with pytest.raises(OutputError, match=r"finds the package invalid: String should match.*; nothing was"):
        write_bioimageio(of, tmp_path / "net.zip", package(of))
    assert not list(tmp_path.iterdir())


def test_an_image_whose_middle_is_black(tmp_path: Path) -> None:
    of, black = model(), np.zeros((1, 400, 400), np.uint8)
    black[:, :9] = 200
    with pytest.raises(InputError, match="the middle of the image, 296 x 296 pixels, is black; give another"):
        write_bioimageio(of, tmp_path / "net.zip", package(of, image=black))
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    of = model()
    (tmp_path / "net.zip").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"net\.zip exists already"):
        write_bioimageio(of, tmp_path / "net.zip", package(of))
    assert (tmp_path / "net.zip").read_text() == "mine"


def test_a_missing_package_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = model()
    monkeypatch.setitem(sys.modules, "bioimageio.spec", None)
    with pytest.raises(MissingExtraError, match=r"the package bioimageio\.spec; .*'unseam\[bioimageio\]'"):
        write_bioimageio(of, tmp_path / "net.zip", package(of))
