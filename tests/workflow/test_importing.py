"""Importing: what is written, told and returned."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.caffe.files import caffemodel
from tests.caffe.networks import Plan, u_net

import unseam
from unseam.errors import InputError, OutputExistsError
from unseam.model.checkpoint import load_network
from unseam.workflow.importing import import_model
from unseam.workflow.listener import Listener


def test_a_model_is_written_and_told(tmp_path: Path) -> None:
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(u_net(Plan())))
    said: list[str] = []
    out = tmp_path / "new" / "model.safetensors"
    header = import_model(tmp_path / "net.caffemodel", out=out, listener=Listener(say=said.append))
    net, read = load_network(out)
    assert read == header and read.unseam_version == unseam.__version__
    assert net.release and net.base_width == 2
    assert said[0].startswith("net.caffemodel: a 2-D U-Net of depth 1")
    assert said[-1] == f"{out}: written; unseam info says what it is"


def test_the_name_of_a_model_ends_as_it_should(tmp_path: Path) -> None:
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(u_net(Plan())))
    with pytest.raises(InputError, match=r"the output is .*z\.foo; give a name that ends in \.safetensors"):
        import_model(tmp_path / "net.caffemodel", out=tmp_path / "z.foo")
    assert not (tmp_path / "z.foo").exists()


def test_a_file_that_is_there_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("dear")
    with pytest.raises(OutputExistsError, match="exists already"):
        import_model(tmp_path / "absent.caffemodel", out=tmp_path / "model.safetensors")
