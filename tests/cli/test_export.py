"""`unseam export` as a person gives it: files, words, exit codes, and a sentence for what cannot be used."""

from __future__ import annotations

import gc
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.tiny import samples

from unseam.io.images import write_tiff

pytestmark = [
    pytest.mark.filterwarnings("ignore:Found mapping with 'source':UserWarning"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),  # bioimageio.spec closes none
]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """What bioimageio.spec leaves open is closed before the next test, in which it would be an error."""
    yield
    gc.collect()


def test_onnx_and_openvino(run: Run, model: Path, tmp_path: Path) -> None:
    for to, name in (("onnx", "cells.onnx"), ("openvino", "cells.xml")):
        ran = run("export", model, "--to", to, "--out", tmp_path / name)
        assert ran.code == 0 and ran.out.startswith(str(tmp_path / name)), ran
        assert "percentile 1 becomes 0" in ran.out and "differ from PyTorch's by at most" in ran.out
        assert ran.err == f"exporting {model / 'model.safetensors'} to {to}, and comparing it with PyTorch\n"
    assert {p.name for p in tmp_path.iterdir()} == {"cells.onnx", "cells.xml", "cells.bin"}


def test_a_package_with_all_its_words(run: Run, model: Path, tmp_path: Path) -> None:
    write_tiff(tmp_path / "cells.tif", samples(1)[0].image[0], axes="YX")
    words = [
        "--author",
        "Ada Lovelace",
        "--author",
        "Charles Babbage",
        "--license",
        "CC0-1.0",
        "--tag",
        "nuclei",
    ]
    out = tmp_path / "my cells, 2.zip"
    ran = run("export", model, "--to", "bioimageio", "--out", out, *words, "--image", tmp_path / "cells.tif")
    assert ran.code == 0, ran
    assert "valid by bioimageio.spec" in ran.out and "remarks: Missing `maintainers`" in ran.out
    with zipfile.ZipFile(out) as package:
        described, card = (package.read(name).decode() for name in ("rdf.yaml", "README.md"))
    for word in ("unseam my cells  2", "Ada Lovelace", "Charles Babbage", "CC0-1.0", "- nuclei"):
        assert word in described
    assert card.startswith("# unseam my cells  2\n") and "\nCC0-1.0\n" in card


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--to", "onnx", "--out", "net.zip"], "for onnx give a name that ends in .onnx"),
        (["--to", "onnx", "--out", "net.onnx", "--author", "Ada"], "are for --to bioimageio"),
        (
            ["--to", "bioimageio", "--out", "net.zip", "--license", "mine"],
            "license is 'mine'; give a current",
        ),
        (["--to", "bioimageio", "--out", "net.zip", "--image", "no.tif"], "no.tif does not exist"),
        (["--to", "keras", "--out", "net.h5"], "invalid choice: 'keras'"),
        (["--to", "onnx"], "--out"),
    ],
)
def test_what_cannot_be_used(
    options: list[str], words: str, run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run("export", model, *options)
    assert ran.code == 2 and ran.out == "" and "Traceback" not in ran.err
    assert words in ran.err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_a_bad_model_an_existing_file_and_a_missing_package(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, out = tmp_path / "bad.safetensors", tmp_path / "net.onnx"
    bad.write_bytes(b"cut")
    ran = run("export", bad, "--to", "onnx", "--out", out)
    assert (
        ran.code == 2 and ran.err.startswith("unseam export: ") and "cut short or not a model file" in ran.err
    )
    out.write_text("mine")
    ran = run("export", model, "--to", "onnx", "--out", out)
    assert ran.code == 2 and "exists already; give --overwrite" in ran.err and out.read_text() == "mine"
    monkeypatch.setitem(sys.modules, "onnx", None)
    ran = run("export", model, "--to", "onnx", "--out", out, "--overwrite")
    assert ran.code == 1 and "install it with: pip install 'unseam[onnx]'" in ran.err.splitlines()[-1]
    assert out.read_text() == "mine"
