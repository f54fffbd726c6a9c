"""`unseam import`, and what the model is good for afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.caffe.files import caffemodel, write_modeldef, write_weights
from tests.caffe.networks import Plan, u_net
from tests.cli.conftest import Run
from tests.reference import caffe as reference

from unseam.io.images import read_image, write_tiff

PLAN = Plan(width=2, kernels=((3, 3),) * 3, strides=((2, 2),) * 2)


def test_a_release_is_imported_described_and_used(run: Run, tmp_path: Path) -> None:
    specs = u_net(PLAN)
    (tmp_path / "phseg_v5.caffemodel").write_bytes(caffemodel(specs, old=True, shape=False))
    model, out = tmp_path / "model.safetensors", tmp_path / "out"
    ran = run("import", tmp_path / "phseg_v5.caffemodel", "--out", model)
    assert ran.code == 0 and ran.out == ""
    assert "phseg_v5.caffemodel: a 2-D U-Net of depth 2 and width 2" in ran.err
    assert f"{model}: written; unseam info says what it is" in ran.err

    told = run("info", model).out
    assert "imported_from phseg_v5.caffemodel" in told and "method unit" in told
    assert "licence        that of the network's authors" in told and "MICCAI 2015" in told

    pixels = np.random.default_rng(0).integers(0, 256, (60, 70), np.uint8)
    write_tiff(tmp_path / "image.tif", pixels, axes="YX")
    ran = run("predict", model, tmp_path / "image.tif", "--out", out, "--save", "probabilities")
    assert ran.code == 0, ran.err
    # The whole image, mirrored at its borders, through the layers of Caffe; softmax; the centre.
    scores = reference.run(specs, np.pad(pixels[None] / 255, [(0, 0), (44, 48), (44, 50)], mode="reflect"))
    logits = scores["score"]
    shares = np.exp(logits - logits.max(0)) / np.exp(logits - logits.max(0)).sum(0)
    left = [(n - m) // 2 for n, m in zip((60 + 92, 70 + 94), logits.shape[1:], strict=True)]
    top, beside = 44 - left[0], 44 - left[1]
    probabilities = read_image(out / "image_probabilities.tif").data
    np.testing.assert_allclose(probabilities, shares[:, top : top + 60, beside : beside + 70], atol=1e-4)


def test_a_network_of_the_plugin_is_imported(run: Run, tmp_path: Path) -> None:
    specs = u_net(PLAN)
    size = np.array([0.5, 0.5], np.float32)
    definition = write_modeldef(tmp_path / "net.modeldef.h5", specs, name="cells", element_size_um=size)
    weights = write_weights(tmp_path / "net.caffemodel.h5", specs)
    model = tmp_path / "model.safetensors"
    assert run("import", definition, "--weights", weights, "--out", model).code == 0
    told = run("info", model).out
    assert "name cells" in told and "pixel size     0.5 x 0.5" in told and "Falk et al." in told


def test_what_cannot_be_imported(run: Run, tmp_path: Path) -> None:
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(u_net(PLAN))[:3000])
    model = tmp_path / "model.safetensors"
    ran = run("import", tmp_path / "net.caffemodel", "--out", model)
    assert ran.code == 2 and not model.exists()
    assert ran.err.startswith("unseam import: ") and "it is cut short" in ran.err
    assert ran.err.count("\n") == 1
    assert run("import", tmp_path / "absent.caffemodel", "--out", model).code == 2


def test_a_model_that_is_there_is_kept(run: Run, tmp_path: Path) -> None:
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(u_net(PLAN)))
    model = tmp_path / "model.safetensors"
    model.write_text("dear")
    ran = run("import", tmp_path / "net.caffemodel", "--out", model)
    assert ran.code == 2 and "exists already; give --overwrite" in ran.err
    assert model.read_text() == "dear"
    assert run("import", tmp_path / "net.caffemodel", "--out", model, "--overwrite").code == 0
    assert run("info", model).code == 0
