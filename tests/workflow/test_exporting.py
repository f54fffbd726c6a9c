"""Export as a workflow: what is said, the synthetic image of a package, and what is refused before work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file
from tests.packages.made import unet, write_package
from tests.tiny import samples, trained_run, untrained

from unseam.errors import InputError, ModelFileError, OutputError, OutputExistsError
from unseam.fingerprint import fingerprint
from unseam.model.checkpoint import load_network, save_model
from unseam.prediction import load_model
from unseam.workflow.exporting import About, _image_of, export_model, in_words
from unseam.workflow.listener import SILENT, Listener, Step


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_run(tmp_path_factory)


def test_a_run_becomes_onnx_and_it_is_told(run: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    steps: list[Step] = []
    written = export_model(
        run, tmp_path / "new" / "cells.onnx", to="onnx", listener=Listener(lines.append, steps.append)
    )
    assert written.files == (tmp_path / "new" / "cells.onnx",)
    assert onnx.load(written.files[0]).graph.name == "unet"
    assert lines == [f"exporting {run / 'model.safetensors'} to onnx, and comparing it with PyTorch"]
    assert [step.fraction for step in steps] == [1 / 3, 2 / 3, 1.0]
    said = in_words(written)
    # depth 1: 4 on the way down, 4 at the bottom (8 above), 4 up: a halo of 8, and 16 + 2 the smallest
    assert said[0] == f"{written.files[0]} ({written.files[0].stat().st_size / 1e6:.1f} MB)"
    assert said[1:3] == [
        "ONNX, opset 17; input 'image', output 'probabilities'",
        "y 18 + 2 n, x 18 + 2 n pixels in; 8, 8 fewer out on each side",
    ]
    assert said[-1].startswith("its probabilities differ from PyTorch's by at most ")


def test_a_model_of_half_the_size_gives_next_to_the_same(run: Path, tmp_path: Path) -> None:
    written = export_model(run, tmp_path / "half.safetensors", to="safetensors", listener=SILENT)
    kernels = load_file(written.files[0])["down.0.0.weight"]
    assert kernels.dtype == torch.bfloat16
    assert 1e-6 < written.difference < 0.05  # 8 bits of mantissa
    assert load_model(written.files[0]).header.task == "instances"


def test_a_model_that_gives_nan_leaves_nothing_behind(run: Path, tmp_path: Path) -> None:
    net, header = load_network(run / "model.safetensors")
    spoiled = {name: v * torch.nan if v.is_floating_point() else v for name, v in net.state_dict().items()}
    save_model(tmp_path / "model.safetensors", spoiled, header, overwrite=False)
    with pytest.raises(OutputError, match=r"differs from PyTorch by nan .* nothing was written"):
        export_model(tmp_path / "model.safetensors", tmp_path / "half.safetensors", to="safetensors")
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize(("dims", "channels", "shape"), [(2, 3, (3, 272, 272)), (3, 1, (1, 32, 32, 32))])
def test_the_synthetic_image_fits_the_model(dims: int, channels: int, shape: tuple[int, ...]) -> None:
    of = untrained(dims=dims, channels=channels)  # depth 1: a halo of 8 around 256 or 16
    image = _image_of(of)
    assert image.shape == shape and image.dtype == np.float32
    low, high = np.percentile(image[0], [1, 99.8])
    assert low == pytest.approx(0, abs=1e-5) and high == pytest.approx(1, abs=1e-5)


def test_the_synthetic_image_is_as_bright_as_the_training_images() -> None:
    some = samples(2)
    known = fingerprint(
        [s.image for s in some], [s.labels for s in some], spacings=[None, None], task="instances"
    )
    of = untrained()
    image = _image_of(replace(of, header=replace(of.header, fingerprint=known)))
    _, low, _, high, _ = known.intensity[0]
    assert image.dtype == np.uint16
    assert np.percentile(image, [1, 99.8]) == pytest.approx([low, high], rel=0.02)


@pytest.mark.parametrize(
    ("to", "name", "words"),
    [
        ("onnx", "net.xml", r"the output is .*net\.xml; for onnx give a name that ends in \.onnx"),
        ("openvino", "net.XML", r"for openvino give a name that ends in \.xml"),
        ("bioimageio", "net", r"for bioimageio give a name that ends in \.zip"),
        ("keras", "net.h5", "format is 'keras'; expected one of: onnx, openvino, bioimageio"),
    ],
)
def test_names_and_formats_that_do_not_fit(to: str, name: str, words: str, run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        export_model(run, tmp_path / name, to=to, listener=SILENT)


def test_what_only_a_package_holds(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--author, .* are for --to bioimageio; leave them out for onnx"):
        export_model(run, tmp_path / "net.onnx", to="onnx", about=About(license="MIT"), listener=SILENT)
    export_model(run, tmp_path / "net.onnx", to="onnx", about=About(), listener=SILENT)


@pytest.mark.parametrize(
    ("to", "there"), [("onnx", "n.onnx"), ("openvino", "n.bin"), ("bioimageio", "n.zip")]
)
def test_what_is_there_is_kept_before_anything_is_done(to: str, there: str, tmp_path: Path) -> None:
    (tmp_path / there).write_text("mine")
    out = tmp_path / ("n.xml" if to == "openvino" else there)
    with pytest.raises(OutputExistsError, match=f"{there} exists already; give --overwrite"):
        export_model("no model", out, to=to, listener=SILENT)


def test_a_package_is_not_exported_again(tmp_path: Path) -> None:
    package = write_package(tmp_path / "a.zip", unet())
    words = r"a\.zip is a bioimage\.io package or ONNX; give the model\.safetensors it was made from"
    with pytest.raises(InputError, match=words):
        export_model(package, tmp_path / "net.onnx", to="onnx", listener=SILENT)


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no model file"):
        export_model(tmp_path / "nowhere", tmp_path / "net.onnx", to="onnx", listener=SILENT)
