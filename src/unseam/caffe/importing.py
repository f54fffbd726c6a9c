"""A network of Caffe as a model of unseam: weights, and all that using them takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unseam.caffe.caffemodel import read_caffemodel
from unseam.caffe.fitting import network_config, state_dict
from unseam.caffe.network import U, read_u
from unseam.caffe.plugin import Definition, is_hdf5, read_modeldef, with_weights
from unseam.config import ObjectConfig
from unseam.errors import ConfigError, ModelFileError
from unseam.model.checkpoint import build_network
from unseam.model.header import CITATION, ModelHeader
from unseam.model.unet import UNet
from unseam.normalize import Normalization

LICENSE = "that of the network's authors; the imported files state none"
CITATION_OF_THE_PLUGIN = (
    "Falk et al. U-Net: deep learning for cell counting, detection, and morphometry. "
    "Nature Methods 16, 67-70, 2019. doi:10.1038/s41592-018-0261-2"
)
OBJECTS = ObjectConfig(threshold=0.5, low_threshold=0.5, min_size=0, fill_holes=True, grow=0)
"""The class of the larger probability, as the authors take it."""


@dataclass(frozen=True)
class Imported:
    """A model that was read from files of Caffe.

    Attributes
    ----------
    state_dict : the weights of the network that `header` describes.
    header : what a model file says beside its weights.
    remarks : what was found, and what is taken for granted, a line each.
    """

    state_dict: dict[str, Tensor]
    header: ModelHeader
    remarks: tuple[str, ...]


def read_model(path: Path, weights: Path | None = None) -> Imported:
    """The network of a .caffemodel, or of a .modeldef.h5 with the weights of a .caffemodel.h5.

    Raises
    ------
    FileReadError
        If a file cannot be read.
    ModelFileError
        If it is cut short, of another format, or another network than a U-Net that `UNet` can be.
    ConfigError
        If `weights` is missing or too much.
    MissingExtraError
        If h5py is needed and not installed.
    """
    if not is_hdf5(path):
        if weights is not None:
            raise ConfigError(f"--weights goes with a .modeldef.h5; {path} is none and has its own weights")
        with _naming(path):
            return _of_release(path)
    if weights is None:
        raise ConfigError(
            f"{path} is HDF5, as the plugin's NAME.modeldef.h5; give --weights NAME.caffemodel.h5 with it"
        )
    if not is_hdf5(weights):
        raise ModelFileError(f"{weights} is no HDF5 file; give the .caffemodel.h5 of {path.name}")
    with _naming(path):
        definition = read_modeldef(path)
    with _naming(weights):
        layers = with_weights(definition.layers, weights)
    with _naming(path):
        return _of_plugin(
            definition, read_u(layers), {"imported_from": path.name, "weights_from": weights.name}
        )


def _of_release(path: Path) -> Imported:
    remark = (
        "how images are scaled is not stated: integers by the range of their type, as in the authors' release"
    )
    u = read_u(read_caffemodel(path))
    return _imported(u, Normalization("unit"), {"imported_from": path.name}, remark)


def _of_plugin(definition: Definition, u: U, origin: dict[str, Any]) -> Imported:
    for key in ("name", "description", "classes"):
        if value := getattr(definition, key):
            origin[key] = list(value) if isinstance(value, tuple) else value
    remarks = (
        ["images were surrounded by zeros in training, and are mirrored here: their borders may differ"]
        if definition.padding == "zero"
        else []
    )
    imported = _imported(u, definition.normalization, origin, *remarks)
    dims, spacing = imported.header.network.spatial_dims, definition.spacing
    if spacing is not None and len(spacing) != dims:
        raise ModelFileError(f"the network has {dims} axes and the pixel size {len(spacing)}: {spacing}")
    citation = f"{CITATION_OF_THE_PLUGIN}; {CITATION}"
    return replace(imported, header=replace(imported.header, spacing=spacing, citation=citation))


def _imported(u: U, normalization: Normalization, origin: dict[str, Any], *remarks: str) -> Imported:
    config = network_config(u)
    header = ModelHeader(
        task="instances" if config.classes == 2 else "semantic",
        network=config,
        normalization=normalization,
        objects=OBJECTS,
        training=origin,
        license=LICENSE,
        citation=CITATION,
    )
    net = build_network(config)
    net.load_state_dict({key: torch.from_numpy(value) for key, value in state_dict(u, config).items()})
    return Imported(net.state_dict(), header, (*_found(u, net), *remarks))


def _found(u: U, net: UNet) -> Iterator[str]:
    """What a network is, in lines."""
    count = sum(parameter.numel() for parameter in net.parameters())
    yield (
        f"a {net.spatial_dims}-D U-Net of depth {len(net.strides)} and width {net.base_width}, "
        f"channels {net.in_channels}, classes {net.classes}, parameters {count:,}"
    )
    if any(up.first for up in u.up):
        yield "its concatenations are in the other order: the weights after them are permuted"
    if u.centred:
        yield "its crops state no offset: taken as centred, as in the authors' Caffe"


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the name of a file before what is wrong with it."""
    try:
        yield
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
