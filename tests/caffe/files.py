"""Write networks as Caffe does: in both layouts of its binary format, in its text format, in HDF5.

Written from the format's tables, without looking at the reader.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.reference.caffe import Spec

Blob = NDArray[np.float32]

SECTIONS = {
    "Convolution": "convolution_param",
    "Deconvolution": "convolution_param",
    "Pooling": "pooling_param",
    "ReLU": "relu_param",
    "Crop": "crop_param",
    "Concat": "concat_param",
    "Dropout": "dropout_param",
    "Power": "power_param",
    "BatchNorm": "batch_norm_param",
    "ValueTransformation": "value_transformation_param",
}
CONVOLUTION = {"num_output": 1, "bias_term": 2, "pad": 3, "kernel_size": 4, "group": 5, "stride": 6}
CONVOLUTION |= {"kernel_h": 11, "kernel_w": 12, "dilation": 18}
FIELDS = {
    "Convolution": CONVOLUTION,
    "Deconvolution": CONVOLUTION,
    "Pooling": {"pool": 1, "kernel_size": 2, "stride": 3, "pad": 4},
    "ReLU": {"negative_slope": 1},
    "Crop": {"axis": 1, "offset": 2},
    "Concat": {"axis": 2},
    "Dropout": {"dropout_ratio": 1},
    "Power": {"power": 1, "scale": 2, "shift": 3},
    "BatchNorm": {"eps": 3},
    "ValueTransformation": {"offset": 1, "scale": 2},
}
NEW = {"name": 1, "type": 2, "bottom": 3, "top": 4, "blobs": 7, "include": 8}
NEW |= {"Convolution": 106, "Deconvolution": 106, "Pooling": 121, "ReLU": 123, "Crop": 144, "Concat": 104}
NEW |= {"Dropout": 108, "Power": 122, "BatchNorm": 139, "ValueTransformation": 150}
OLD = {"bottom": 2, "top": 3, "name": 4, "type": 5, "blobs": 6, "include": 32}
OLD |= {"Convolution": 10, "Deconvolution": 10, "Pooling": 19, "ReLU": 30, "Concat": 9, "Dropout": 12}
OLD |= {"Power": 21}
TYPE_NUMBERS = {"Concat": 3, "Convolution": 4, "Dropout": 6, "HDF5Data": 9, "InnerProduct": 14, "Pooling": 17}
TYPE_NUMBERS |= {"ReLU": 18, "SoftmaxWithLoss": 21, "Split": 22, "Power": 26, "Deconvolution": 39, "Crop": 40}


# Binary


def caffemodel(
    specs: Iterable[Spec],
    *,
    old: bool = False,
    packed: bool = True,
    shape: bool = True,
    doubles: bool = False,
) -> bytes:
    """A network with its weights; `old` numbers the types, and `shape=False` states four sizes per blob."""
    numbers = OLD if old else NEW
    parts = [text(1, "network")]
    for spec in specs:
        blobs = (blob(b, packed=packed, shape=shape, doubles=doubles) for b in spec.blobs)
        content = layer(spec, old=old) + b"".join(message(numbers["blobs"], b) for b in blobs)
        parts.append(message(2 if old else 100, content))
    return b"".join(parts)


def layer(spec: Spec, *, old: bool) -> bytes:
    numbers = OLD if old else NEW
    content = text(numbers["name"], spec.name)
    if old:
        content += integer(numbers["type"], TYPE_NUMBERS[spec.type])
    else:
        content += text(numbers["type"], spec.type)
    content += b"".join(text(numbers["bottom"], name) for name in spec.bottoms)
    content += b"".join(text(numbers["top"], name) for name in spec.tops)
    if spec.training:
        content += message(numbers["include"], integer(1, 0))
    if spec.fields:
        content += message(numbers[spec.type], section(spec))
    return content


def section(spec: Spec) -> bytes:
    content = b""
    for name, value in spec.fields.items():
        number = FIELDS[spec.type][name]
        if spec.type == "ValueTransformation":
            content += message(number, packed_floats(1, value))
            continue
        for one in value if isinstance(value, (list, tuple)) else [value]:
            one = 0 if one == "MAX" else 1 if one == "AVE" else one
            content += real(number, one) if isinstance(one, float) else integer(number, int(one))
    return content


def blob(values: Blob, *, packed: bool, shape: bool, doubles: bool) -> bytes:
    content = b""
    if shape:
        content += message(7, message(1, b"".join(varint(size) for size in values.shape)))
    else:
        sizes = (1,) * (4 - values.ndim) + values.shape
        content += b"".join(integer(number, size) for number, size in enumerate(sizes, start=1))
    if doubles:
        return content + message(8, values.astype("<f8").tobytes())
    if packed:
        return content + packed_floats(5, values.ravel())
    return content + b"".join(real(5, value) for value in values.ravel())


def varint(number: int) -> bytes:
    number %= 2**64
    parts = []
    while number >= 128:
        parts.append(number % 128 + 128)
        number //= 128
    return bytes([*parts, number])


def integer(number: int, value: int) -> bytes:
    return varint(number * 8) + varint(value)


def message(number: int, content: bytes) -> bytes:
    return varint(number * 8 + 2) + varint(len(content)) + content


def text(number: int, value: str) -> bytes:
    return message(number, value.encode())


def real(number: int, value: float) -> bytes:
    return varint(number * 8 + 5) + struct.pack("<f", value)


def packed_floats(number: int, values: Any) -> bytes:
    return message(number, np.asarray(values, "<f4").tobytes())


# Text and HDF5


def prototxt(specs: Iterable[Spec]) -> str:
    """The network without weights, as a person would write it."""
    lines = ["# a network", 'name: "network"']
    for spec in specs:
        lines.append(f"layer {{ name: '{spec.name}' type: \"{spec.type}\"")
        lines += [f"  bottom: '{name}'" for name in spec.bottoms] + [f"  top: '{name}'" for name in spec.tops]
        fields = []
        for name, value in spec.fields.items():
            if spec.type == "ValueTransformation":
                fields.append(f"{name} {{ {' '.join(f'v: {v}' for v in value)} }}")
            else:
                fields += [f"{name}: {v}" for v in (value if isinstance(value, (list, tuple)) else [value])]
        if fields:
            lines.append(f"  {SECTIONS[spec.type]} {{ {' '.join(fields)} }}  # as stated")
        lines.append("  include: { phase: TRAIN } }" if spec.training else "}")
    return "\n".join(lines) + "\n"


def write_modeldef(path: Path, specs: Iterable[Spec] | str, **parameters: Any) -> Path:
    """A .modeldef.h5 of the plugin; `parameters` go into /unet_param."""
    import h5py

    with h5py.File(path, "w") as file:
        file["model_prototxt"] = specs if isinstance(specs, str) else prototxt(specs)
        file[".unet-ident"] = "unet-1234"
        for name, value in parameters.items():
            file[f"unet_param/{name}"] = value
    return path


def write_weights(path: Path, specs: Iterable[Spec]) -> Path:
    """A .caffemodel.h5."""
    import h5py

    with h5py.File(path, "w") as file:
        for spec in specs:
            group = file.require_group(f"data/{spec.name}")
            for number, values in enumerate(spec.blobs):
                group[str(number)] = values
    return path
