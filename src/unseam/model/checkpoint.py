"""A model is one .safetensors file: the weights, and in its header, as JSON, all that using them takes.

Here it is written, and read as a network of PyTorch; `weights` reads it for prediction.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from unseam.config import NetworkConfig
from unseam.errors import ConfigError, ModelFileError, OutputError
from unseam.io.atomic import replacing
from unseam.model.header import HEADER_KEY, ModelHeader, header_json, read_header
from unseam.model.unet import UNet


def build_network(config: NetworkConfig, generator: torch.Generator | None = None) -> UNet:
    """The network of a configuration in which everything is decided, its weights drawn with `generator`."""
    options = {key: value for key, value in asdict(config).items() if value is not None}
    return UNet(**options, generator=generator)


def save_model(
    path: Path,
    state_dict: dict[str, Tensor],
    header: ModelHeader,
    *,
    overwrite: bool,
    dtype: torch.dtype | None = None,
) -> None:
    """Write weights and header, atomically.

    With `dtype`, as torch.bfloat16, the kernels are stored in it and the file is smaller; biases and
    batch statistics, which are few, stay as they are. Whatever it is, they are read as float32.

    Raises
    ------
    OutputExistsError
        If the file is there and `overwrite` is false.
    OutputError
        If it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors = {
        key: value.detach().to("cpu", dtype if value.ndim > 1 else None).contiguous()
        for key, value in state_dict.items()
    }
    with replacing(path, overwrite=overwrite) as temporary:
        try:
            save_file(tensors, temporary, metadata={HEADER_KEY: header_json(header)})
        except SafetensorError as error:  # which is no OSError, though the disk is full
            raise OutputError(f"cannot write {path}: {error}; nothing was changed") from error


def load_network(path: Path) -> tuple[UNet, ModelHeader]:
    """The trained network, in evaluation mode, and the header.

    Raises
    ------
    ModelFileError
        As `read_header`, and if the weights do not fit the header.
    """
    from safetensors.torch import load_file

    header = read_header(path)
    try:
        net = build_network(header.network)
        net.load_state_dict(load_file(path))
    except (RuntimeError, ConfigError, TypeError) as error:
        raise ModelFileError(f"{path} has weights that do not fit its own description: {error}") from error
    return net.eval(), header
