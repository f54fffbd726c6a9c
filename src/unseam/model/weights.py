"""The weights of a model file as NumPy arrays, without PyTorch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.config import NetworkConfig
from unseam.errors import ConfigError, ModelFileError
from unseam.model.folded import FoldedNetwork, fold, shapes_of
from unseam.model.header import ModelHeader, read_header

NUMBERS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}
"""Of an array, as the format and as NumPy calls them."""


def load_folded(path: Path) -> tuple[FoldedNetwork, ModelHeader]:
    """The trained network for prediction, batch norm folded and with what int8 takes, and the header.

    Raises
    ------
    ModelFileError
        As `unseam.model.header.read_header`, and if the weights do not fit the header.
    """
    from safetensors import SafetensorError

    header = read_header(path)
    try:
        arrays = read_weights(path.read_bytes())
    except (KeyError, SafetensorError) as error:
        raise ModelFileError(f"{path} holds numbers of a kind that no model has ({error})") from error
    try:
        wrong = misfit(arrays, header.network)
    except ConfigError as error:
        raise ModelFileError(f"{path} describes a network that cannot be built: {error}") from error
    if wrong:
        raise ModelFileError(f"{path} has weights that do not fit its own description: {wrong}")
    return replace(fold(header.network, arrays), calibration=header.calibration), header


def file_digest(path: Path) -> str:
    """Of the content of a file: two models of one digest are one."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def files_digest(paths: Sequence[Path]) -> str:
    """Of the content of several files in their order; of one as `file_digest`."""
    each = [file_digest(path) for path in paths]
    return each[0] if len(each) == 1 else hashlib.sha256(" ".join(each).encode()).hexdigest()[:16]


def read_weights(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of a .safetensors file by name; bfloat16, which NumPy has not, as float32.

    Raises
    ------
    SafetensorError
        If it is no such file, or cut short.
    KeyError
        If an array is of a kind of numbers that is not known here.
    """
    from safetensors import deserialize

    return {
        name: _array(tensor["dtype"], tensor["data"]).reshape(tensor["shape"])
        for name, tensor in deserialize(content)  # type: ignore[no-untyped-call]
    }


def _array(dtype: str, data: bytes) -> NDArray[Any]:
    if dtype == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, NUMBERS[dtype])


def misfit(arrays: Mapping[str, NDArray[Any]], config: NetworkConfig) -> str:
    """In which array a set differs from what the network of a configuration has, in words; "" if in none.

    Raises
    ------
    ConfigError
        As `unseam.model.folded.shapes_of`.
    """
    wanted = shapes_of(config)
    for name in {**wanted, **arrays}:
        found = arrays[name].shape if name in arrays else None
        if found != wanted.get(name):
            there = "missing" if found is None else found
            return f"{name} is {there}, and {wanted.get(name, 'nothing')} was expected"
    return ""
