"""The model file: what goes in comes out, and a sentence for each file that is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError

from unseam.config import NetworkConfig, ObjectConfig
from unseam.errors import ModelFileError, OutputError, OutputExistsError
from unseam.fingerprint import fingerprint
from unseam.guard.reference import Group, GuardReference
from unseam.model import checkpoint
from unseam.model.checkpoint import build_network, load_network, save_model
from unseam.model.header import ModelHeader, read_header
from unseam.normalize import Normalization

NETWORK = NetworkConfig(
    in_channels=1,
    classes=2,
    spatial_dims=2,
    base_width=2,
    depth=1,
    strides=((1, 2),),
    kernels=((3, 3), (1, 3)),
    batch_norm=True,
)
LABELS = np.array([[1, 1, 0], [0, 0, 2]], np.int32)
HEADER = ModelHeader(
    task="instances",
    network=NETWORK,
    normalization=Normalization("percentile", 2.0, 98.0),
    objects=ObjectConfig(threshold=0.4, min_size=3, grow=1),
    spacing=(0.5, 0.25),
    fingerprint=fingerprint([LABELS[None]], [LABELS], spacings=[(0.5, 0.25)], task="instances"),
    training={"iterations": 7, "scores": {"ap50": 0.5}},
    unseam_version="0.1.0",
)
GROUP = Group((0.5, 0.1), (1.0, 0.2), ((0.1, 0.2),), ((0.0,), (1.5,), (-2.0,)), 1.25)
GUARDED = replace(HEADER, guard=GuardReference(3, 1, {"noise": GROUP}))
BARE = ModelHeader("semantic", NETWORK, Normalization("none"), ObjectConfig())


def saved(path: Path, header: ModelHeader = HEADER) -> Path:
    save_model(path, build_network(header.network).state_dict(), header, overwrite=False)
    return path


def with_document(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A model file whose header was changed."""
    text = safetensors.safe_open(saved(path), framework="np").metadata()["unseam_model"]
    document = json.loads(text)
    change(document)
    metadata = {"unseam_model": json.dumps(document)}
    safetensors.torch.save_file(safetensors.torch.load_file(path), path, metadata=metadata)
    return path


@pytest.mark.parametrize("header", [HEADER, BARE, GUARDED])
def test_round_trip(header: ModelHeader, tmp_path: Path) -> None:
    net = build_network(header.network)
    save_model(tmp_path / "new" / "model.safetensors", net.state_dict(), header, overwrite=False)
    loaded, read = load_network(tmp_path / "new" / "model.safetensors")
    assert read == header == read_header(tmp_path / "new" / "model.safetensors")
    assert not loaded.training and loaded.geometry == net.geometry
    for key, value in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)


def test_kernels_in_bfloat16_are_read_as_the_nearest_float32(tmp_path: Path) -> None:
    net = build_network(NETWORK)
    save_model(tmp_path / "h", net.state_dict(), HEADER, overwrite=False, dtype=torch.bfloat16)
    loaded, read = load_network(tmp_path / "h")
    assert read == HEADER
    stored = safetensors.torch.load_file(tmp_path / "h")
    for key, value in net.state_dict().items():
        found = loaded.state_dict()[key]
        assert found.dtype == value.dtype
        assert stored[key].dtype == (torch.bfloat16 if value.ndim > 1 else value.dtype)
        # 8 bits of mantissa, the first of which is 1: off by at most half of 2^-7
        torch.testing.assert_close(found, value, rtol=2**-8 if value.ndim > 1 else 0, atol=0)


def test_the_header_cites_the_paper(tmp_path: Path) -> None:
    assert "MICCAI 2015" in read_header(saved(tmp_path / "m.safetensors")).citation


def test_the_file_is_safetensors_and_holds_no_pickle(tmp_path: Path) -> None:
    content = saved(tmp_path / "m.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")  # the format: eight bytes of length, then JSON
    listed = json.loads(content[8 : 8 + length])
    assert listed["head.weight"]["dtype"] == "F32"
    document = json.loads(listed["__metadata__"]["unseam_model"])
    assert document["format_version"] == 1
    assert document["network"]["base_width"] == 2 and document["objects"]["threshold"] == 0.4
    assert not content.startswith((b"PK", b"\x80"))


def test_an_open_configuration_builds_the_network_of_the_paper() -> None:
    with torch.device("meta"):
        net = build_network(NetworkConfig(batch_norm=False, dropout=0.5))
    assert sum(p.numel() for p in net.parameters()) == 31_030_658


# Errors of writing


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors")
    before = path.read_bytes()
    with pytest.raises(OutputExistsError, match="exists already"):
        saved(path, BARE)
    assert path.read_bytes() == before
    save_model(path, build_network(NETWORK).state_dict(), BARE, overwrite=True)
    assert read_header(path) == BARE


def test_a_full_disk_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Any, path: Path, **__: Any) -> None:
        Path(path).write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(
        OutputError, match=r"cannot write .*m\.safetensors: .*No space left.*nothing was changed"
    ):
        saved(tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


# Errors of reading


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.safetensors", tmp_path):
        with pytest.raises(ModelFileError, match=r"there is no model file .*give the model\.safetensors"):
            read_header(path)


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_file_cut_short(kept: int, tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelFileError, match=r"is cut short or not a model file .*copy it again"):
        load_network(path)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_text("this is a letter, and no model at all")
    with pytest.raises(ModelFileError, match="is cut short or not a model file"):
        read_header(path)
    safetensors.torch.save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ModelFileError, match="is not a model of unseam"):
        read_header(path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "net.zip",
            r"net\.zip is a bioimage\.io package, or another archive; give the model\.safetensors it",
        ),
        ("net.xml", r"net\.xml is not a model file: models are \.safetensors files, folders of runs, names"),
        ("net.onnx", r"net\.onnx is not a model file: .*or, to predict with, bioimage\.io packages$"),
    ],
)
def test_a_file_of_another_kind_is_told_as_what_it_is(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04" + bytes(99))
    with pytest.raises(ModelFileError, match=words):
        read_header(tmp_path / name)
    assert read_header(saved(tmp_path / "mine.model")).task  # what it is called does not matter else


def test_a_newer_format(tmp_path: Path) -> None:
    path = with_document(tmp_path / "m.safetensors", lambda d: d.update(format_version=2))
    with pytest.raises(ModelFileError, match=r"has model format 2; this unseam reads up to 1: update it"):
        read_header(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(novelty=1), "novelty"),  # a new key takes a new format version
        (lambda d: d.pop("network"), "network"),
        (lambda d: d.pop("format_version"), "format_version"),
        (lambda d: d.update(format_version="new"), "str"),
        (lambda d: d["network"].update(depth="deep"), "depth is 'deep'; a whole number was expected"),
        (lambda d: d["normalization"].update(method="magic"), "magic"),
        (lambda d: d["objects"].update(threshold=7), "threshold is 7"),
    ],
)
def test_a_header_that_cannot_be_understood(change: Any, said: str, tmp_path: Path) -> None:
    path = with_document(tmp_path / "m.safetensors", change)
    with pytest.raises(ModelFileError, match=r"the header of .* cannot be understood") as caught:
        read_header(path)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "3", "[1]", '"word"', "null"])
def test_a_header_that_is_no_object(text: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(1)}, path, metadata={"unseam_model": text})
    with pytest.raises(ModelFileError, match="cannot be understood"):
        read_header(path)


def test_a_fingerprint_with_a_field_missing(tmp_path: Path) -> None:
    path = with_document(tmp_path / "m.safetensors", lambda d: d["fingerprint"].pop("channels"))
    with pytest.raises(ModelFileError, match="the fingerprint has no channels"):
        read_header(path)


def test_a_file_from_before_there_were_statistics(tmp_path: Path) -> None:
    path = with_document(tmp_path / "m.safetensors", lambda d: d.pop("guard"))
    assert read_header(path) == HEADER and read_header(path).guard is None


def test_damaged_statistics(tmp_path: Path) -> None:
    path = with_document(tmp_path / "m.safetensors", lambda d: d.update(guard={"version": 1}))
    with pytest.raises(ModelFileError, match="statistics of the training images cannot be understood"):
        read_header(path)


@pytest.mark.parametrize("changes", [{"base_width": 4}, {"depth": 2}, {"strides": ((2, 2), (2, 2))}])
def test_weights_that_do_not_fit_the_header(changes: dict[str, Any], tmp_path: Path) -> None:
    other = replace(HEADER, network=replace(NETWORK, **changes))
    path = tmp_path / "m.safetensors"
    save_model(path, build_network(NETWORK).state_dict(), other, overwrite=False)
    with pytest.raises(ModelFileError, match="has weights that do not fit its own description"):
        load_network(path)
    assert read_header(path) == other


def test_the_module_never_pickles() -> None:
    source = Path(checkpoint.__file__).read_text()
    assert "torch.load" not in source and "torch.save(" not in source and "import pickle" not in source


def test_a_header_that_is_no_json_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        saved(tmp_path / "m.safetensors", replace(HEADER, training={"ap": np.nan}))
    assert not (tmp_path / "m.safetensors").exists()
