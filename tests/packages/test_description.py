"""Descriptions of both versions say the same, and each is held against the specification's own reader."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.packages.made import as_yaml, description_04, description_05

from unseam.errors import ModelFileError
from unseam.packages.description import AxisSize, Description, Weights, read_description
from unseam.packages.operations import Activation
from unseam.preprocess import Preprocessing, ZeroMean

SHA = "ab" * 32
WEIGHTS = {"onnx": {"source": "weights.onnx", "sha256": SHA.upper()}}


def read(stated: dict[str, Any]) -> Description:
    return read_description(as_yaml(stated), "d")


def space(letter: str, size: Any, **more: Any) -> dict[str, Any]:
    return {"type": "space", "id": letter, "size": size, **more}


def channels(*names: str) -> dict[str, Any]:
    return {"type": "channel", "id": "channel", "channel_names": list(names)}


def relative(letter: str, offset: int = 0) -> dict[str, Any]:
    return {"tensor_id": "raw", "axis_id": letter, "offset": offset}


@pytest.mark.parametrize("describe", [description_04, description_05])
def test_both_versions_say_the_same(describe: Any) -> None:
    found = read(describe(WEIGHTS))
    assert (found.input_axes, found.output_axes, found.spatial) == ("bcyx", "bcyx", "yx")
    assert (found.channels_in, found.channels_out) == (1, 1)
    assert found.sizes == (AxisSize(16, 2, 0, 6),) * 2
    assert found.preprocessing == Preprocessing((ZeroMean(),))
    assert found.postprocessing == (Activation("sigmoid"),)
    assert found.weights == {"onnx": Weights("weights.onnx", SHA)}
    assert found.spacing is None and found.name == "made for a test"


def test_who_made_it() -> None:
    found = read(description_04({}))
    assert (found.authors, found.citation, found.license) == ("A. Maker", "A paper 10.1/2", "CC0-1.0")
    other = read(description_05({}))
    assert (other.authors, other.citation, other.license) == ("not stated",) * 3


def test_an_output_smaller_than_its_input() -> None:
    halves = {"reference_tensor": "raw", "scale": [1, 0, 1, 1], "offset": [0, 1.5, -4, -8.0]}
    found = read(description_04({}, out_shape=halves))
    assert found.sizes == (AxisSize(16, 2, 4, 6), AxisSize(16, 2, 8, 6)) and found.channels_out == 3
    axes = [{"type": "batch"}, channels("a"), space("y", relative("y", -8)), space("x", relative("x", -16))]
    found = read(description_05({}, out_axes=axes))
    assert found.sizes == (AxisSize(16, 2, 4, None), AxisSize(16, 2, 8, None))


def test_one_size_alone() -> None:
    found = read(description_04({}, in_shape=[1, 1, 64, 32], out_shape=[1, 2, 60, 32], out_halo=None))
    assert found.sizes == (AxisSize(64, 0, 2, None), AxisSize(32, 0, 0, None)) and found.channels_out == 2
    axes = [channels("r", "g", "b"), space("y", 64), space("x", 32)]
    found = read(description_05({}, in_axes=axes, out_axes=[space("y", relative("y")), space("x", 30)]))
    assert found.sizes == (AxisSize(64, 0, 0, None), AxisSize(32, 0, 1, None))
    assert (found.channels_in, found.channels_out, found.input_axes, found.output_axes) == (3, 1, "cyx", "yx")


def test_volumes_and_their_pixels() -> None:
    sizes = {"min": [1, 8, 32, 32, 2], "step": [0, 4, 8, 8, 0]}
    result = {"reference_tensor": "raw", "scale": [1] * 5, "offset": [0] * 5}
    found = read(
        description_04(
            {},
            in_axes="bzyxc",
            in_shape=sizes,
            in_preprocessing=[],
            out_axes="bczyx",
            out_shape={**result, "scale": [1, 0, 1, 1, 1], "offset": [0, 0.5, 0, 0, 0]},
            out_halo=[0, 0, 2, 4, 4],
        )
    )
    assert (found.spatial, found.channels_in, found.channels_out) == ("zyx", 2, 1)
    assert found.sizes == (AxisSize(8, 4, 0, 2), AxisSize(32, 8, 0, 4), AxisSize(32, 8, 0, 4))
    pixels = {"unit": "nanometer", "scale": 250}
    axes = [space("y", 64, **pixels), space("x", 64, unit="micrometer", scale=0.5)]
    of_output = [space("y", 64, scale=250), space("x", 64, scale=0.5)]
    assert read(description_05({}, in_axes=axes, out_axes=of_output)).spacing == (0.25, 0.5)
    axes[1].pop("unit")
    assert read(description_05({}, in_axes=axes, out_axes=of_output)).spacing is None


def test_architectures_of_state_dicts() -> None:
    old = {"pytorch_state_dict": {"source": "w.pt", "architecture": "unseam.UNet", "kwargs": {"depth": 1}}}
    built = {"import_from": "unseam", "callable": "UNet", "kwargs": {"depth": 1}}
    new = {"pytorch_state_dict": {"source": "w.pt", "architecture": built}}
    expected = Weights("w.pt", None, "unseam.UNet", (("depth", 1),))
    assert (
        read(description_04(old)).weights
        == read(description_05(new)).weights
        == {"pytorch_state_dict": expected}
    )
    file = {"pytorch_state_dict": {"source": "w.pt", "architecture": {"source": "a.py", "callable": "Net"}}}
    assert read(description_05(file)).weights["pytorch_state_dict"].architecture == "a.py.Net"


AXES = [
    {"type": "batch"},
    channels("grey"),
    space("y", {"min": 16, "step": 2}),
    space("x", {"min": 16, "step": 2}),
]


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        (
            description_04({}, format_version="0.3.6"),
            r"a model in version 0\.3\.6; a model in version 0\.4 or 0\.5",
        ),
        (description_04({}, type="dataset"), r"describes a dataset in version 0\.4\.10; a model in"),
        (description_04({}, inputs=[]), r"describes a network of 0 inputs; unseam runs one with one"),
        (description_04({}, outputs=[{}, {}]), r"describes a network of 2 outputs; unseam runs one with one"),
        (
            description_04({}, in_axes="btyx"),
            r"inputs\[0\]\.axes is btyx; unseam knows b, c, z, y and x, each once",
        ),
        (description_04({}, in_axes="bcxx"), r"inputs\[0\]\.axes is bcxx; unseam knows"),
        (
            description_04({}, in_axes="bczx"),
            r"from axes bczx to bcyx; expected y and x, or z, y and x, once in each",
        ),
        (description_04({}, in_shape=[1, 1, 16]), r"inputs\[0\]\.shape has 3 numbers for the axes bcyx"),
        (
            description_04({}, in_shape={"min": [1, 1, 16, 16]}),
            r"shape\.step has 0 numbers for the axes bcyx",
        ),
        (
            description_04({}, in_shape=[1, 1, 0, 16], out_shape=[1, 1, 0, 16]),
            r"or has no size; unseam needs an out",
        ),
        (
            description_04({}, out_shape=[1, 1, 16, 16]),
            r"outputs\[0\] is 16 pixels along y whatever the input is",
        ),
        (description_04({}, out_shape={"reference_tensor": "b"}), r"reference_tensor is b, not raw"),
        (
            description_04({}, out_shape={"reference_tensor": "raw", "scale": [1, 1], "offset": [0, 0]}),
            r"outputs\[0\]\.shape has not a scale and an offset for each of the axes bcyx",
        ),
        (
            description_04(
                {}, out_shape={"reference_tensor": "raw", "scale": [1, 1, 2, 2], "offset": [0, 0, 0, 0]}
            ),
            r"outputs\[0\] has other pixels along y than the input",
        ),
        (
            description_04({}, in_shape=[1, 1, 64, 64], out_shape=[1, 1, 61, 64]),
            r"smaller by as much on both sides",
        ),
        (
            description_04({}, in_shape=[1, 1, 64, 64], out_shape=[1, 1, 66, 64]),
            r"smaller by as much on both sides",
        ),
        (
            description_05({}, in_axes=[*AXES[:2], space("y", relative("x")), AXES[3]]),
            r"inputs\[0\] has axes as large as others; unseam needs a size for each",
        ),
        (
            description_05({}, out_axes=[*AXES[:2], space("y", relative("x")), space("x", relative("x"))]),
            r"axes\[2\]\.size is not relative to the axis y of raw",
        ),
        (
            description_05({}, in_axes=[*AXES, {"type": "time", "id": "t", "size": 3}]),
            r"is an axis t of time; unseam",
        ),
        (
            description_05({}, in_axes=[*AXES, space("row", 3)]),
            r"is an axis row of space; unseam knows batch",
        ),
        (description_05({}, in_axes=[*AXES, AXES[3]]), r"from axes bcyxx to bcyx; expected y and x"),
        (
            description_05({}, in_axes=[channels(), *AXES[2:]]),
            r"axes\[0\] has no channel_names, which say how many",
        ),
        (
            description_05({}, in_axes=[*AXES[:2], space("y", {"min": 1, "max": 9}), AXES[3]]),
            r"axes\[2\]\.size depends on the image; unseam needs a size that is stated",
        ),
        (description_05({"onnx": {}}), r"weights\.onnx has no source"),
    ],
)
def test_what_cannot_be_run(stated: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        read(stated)


@pytest.mark.parametrize("describe", [description_04, description_05])
def test_the_specification_s_own_reader_takes_what_is_made_here(describe: Any, tmp_path: Any) -> None:
    """So the descriptions that these tests are made of are ones; files and papers are left to it."""
    spec = pytest.importorskip("bioimageio.spec")
    np.save(tmp_path / "t.npy", np.zeros((1, 1, 16, 16), np.float32))
    stated = describe({"onnx": {"source": "w.onnx", "opset_version": 17}})
    stated |= {
        "description": "made",
        "documentation": "README.md",
        "cite": [{"text": "A", "doi": "10.1109/5.771073"}],
    }
    stated |= {
        "authors": [{"name": "A"}],
        "license": "CC0-1.0",
        "timestamp": "2024-01-01T00:00:00",
        "tags": [],
    }
    if describe is description_04:
        stated |= {"test_inputs": ["t.npy"], "test_outputs": ["t.npy"], "covers": ["c.png"]}
    else:
        for key in ("inputs", "outputs"):
            stated[key][0]["test_tensor"] = {"source": "t.npy"}
    with spec.ValidationContext(perform_io_checks=False, log_warnings=False):
        summary = spec.validate_format(stated, context=spec.get_validation_context())
    assert summary.status in ("valid-format", "passed"), summary.format()
