"""Read a .caffemodel: a network with its weights in protobuf's wire format, in either layout of its layers.

The tables name what is read of each message of Caffe's caffe.proto; other fields are skipped. Files of before
2015 hold `layers`, whose types are numbered, later ones `layer`, whose types are named.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from unseam.caffe import wire
from unseam.caffe.layers import Layer, Message, Weights, layer_of
from unseam.errors import ModelFileError

LARGEST = 2**31 - 1
"""Bytes: no message of protobuf is larger."""

Table = dict[int, tuple[str, Any]]
"""Number of a field to its name and kind: "text", "int", "float", "floats", "doubles", or a table."""

RULE: Table = {1: ("phase", "int")}
CONVOLUTION: Table = {
    1: ("num_output", "int"),
    2: ("bias_term", "int"),
    3: ("pad", "int"),
    4: ("kernel_size", "int"),
    5: ("group", "int"),
    6: ("stride", "int"),
    9: ("pad_h", "int"),
    10: ("pad_w", "int"),
    11: ("kernel_h", "int"),
    12: ("kernel_w", "int"),
    13: ("stride_h", "int"),
    14: ("stride_w", "int"),
    16: ("axis", "int"),
    18: ("dilation", "int"),
}
POOLING: Table = {
    1: ("pool", "int"),
    2: ("kernel_size", "int"),
    3: ("stride", "int"),
    4: ("pad", "int"),
    5: ("kernel_h", "int"),
    6: ("kernel_w", "int"),
    7: ("stride_h", "int"),
    8: ("stride_w", "int"),
    9: ("pad_h", "int"),
    10: ("pad_w", "int"),
    12: ("global_pooling", "int"),
}
CONCAT: Table = {1: ("concat_dim", "int"), 2: ("axis", "int")}
DROPOUT: Table = {1: ("dropout_ratio", "float")}
RELU: Table = {1: ("negative_slope", "float")}
POWER: Table = {1: ("power", "float"), 2: ("scale", "float"), 3: ("shift", "float")}
CROP: Table = {1: ("axis", "int"), 2: ("offset", "int")}
BATCH_NORM: Table = {3: ("eps", "float")}
VECTOR: Table = {1: ("v", "float")}
TRANSFORMATION: Table = {1: ("offset", VECTOR), 2: ("scale", VECTOR)}
BLOB: Table = {
    1: ("num", "int"),
    2: ("channels", "int"),
    3: ("height", "int"),
    4: ("width", "int"),
    5: ("data", "floats"),
    7: ("shape", {1: ("dim", "int")}),
    8: ("double_data", "doubles"),
}
LAYER: Table = {
    1: ("name", "text"),
    2: ("type", "text"),
    3: ("bottom", "text"),
    4: ("top", "text"),
    7: ("blobs", BLOB),
    8: ("include", RULE),
    9: ("exclude", RULE),
    104: ("concat_param", CONCAT),
    106: ("convolution_param", CONVOLUTION),
    108: ("dropout_param", DROPOUT),
    121: ("pooling_param", POOLING),
    122: ("power_param", POWER),
    123: ("relu_param", RELU),
    139: ("batch_norm_param", BATCH_NORM),
    144: ("crop_param", CROP),
    150: ("value_transformation_param", TRANSFORMATION),
}
OLD_LAYER: Table = {
    2: ("bottom", "text"),
    3: ("top", "text"),
    4: ("name", "text"),
    5: ("type", "int"),
    6: ("blobs", BLOB),
    9: ("concat_param", CONCAT),
    10: ("convolution_param", CONVOLUTION),
    12: ("dropout_param", DROPOUT),
    19: ("pooling_param", POOLING),
    21: ("power_param", POWER),
    30: ("relu_param", RELU),
    32: ("include", RULE),
    33: ("exclude", RULE),
}
NET: Table = {
    1: ("name", "text"),
    2: ("layers", OLD_LAYER),
    3: ("input", "text"),
    4: ("input_dim", "int"),
    5: ("force_backward", "int"),
    6: ("state", {}),
    7: ("debug_info", "int"),
    8: ("input_shape", {}),
    100: ("layer", LAYER),
}
OLD_TYPES = """
    NONE ACCURACY BNLL CONCAT CONVOLUTION DATA DROPOUT EUCLIDEAN_LOSS FLATTEN HDF5_DATA HDF5_OUTPUT IM2COL
    IMAGE_DATA INFOGAIN_LOSS INNER_PRODUCT LRN MULTINOMIAL_LOGISTIC_LOSS POOLING RELU SIGMOID SOFTMAX
    SOFTMAX_LOSS SPLIT TANH WINDOW_DATA ELTWISE POWER SIGMOID_CROSS_ENTROPY_LOSS HINGE_LOSS MEMORY_DATA ARGMAX
    THRESHOLD DUMMY_DATA SLICE MVN ABSVAL SILENCE CONTRASTIVE_LOSS EXP DECONVOLUTION"""
"""Words for the numbered types, from 0 on. A number beyond is CROP, which the authors added to Caffe."""


def read_caffemodel(path: Path) -> list[Layer]:
    """The layers of a .caffemodel, in their order, with their weights.

    Raises
    ------
    ModelFileError
        If the file is larger than protobuf allows, cut short, or no network of Caffe.
    """
    size = path.stat().st_size
    if size > LARGEST:
        raise ModelFileError(f"it has {size:,} bytes; a Caffe model has {LARGEST:,} at most")
    content = path.read_bytes()
    net = decode(memoryview(content), 0, len(content), NET)
    messages = net.get("layers", []) + net.get("layer", [])
    if not messages:
        raise ModelFileError("it is no Caffe model: there is no layer in it")
    return [layer_of({**message, "type": [_type_of(message)]}) for message in messages]


def decode(buffer: memoryview, start: int, stop: int, table: Table) -> Message:
    """The message in `buffer[start:stop]` by its table.

    Raises
    ------
    ModelFileError
        If a field is stored in another way than its kind is; if nothing of a network is known; if the numbers
        of weights do not fit their shape.
    """
    message: Message = {}
    for field in wire.fields(buffer, start, stop):
        if field.number in table:
            name, kind = table[field.number]
            message.setdefault(name, []).extend(_values(buffer, field, kind))
        elif table is NET and not message:
            raise ModelFileError(f"it is no Caffe model: no network has a field {field.number}")
    return message


def _values(buffer: memoryview, field: wire.Field, kind: Any) -> list[Any]:
    """The values of a field: one, or those of a packed list."""
    part = buffer[field.start : field.stop]
    if field.wire == wire.BYTES and kind is BLOB:
        return [_blob(decode(buffer, field.start, field.stop, BLOB))]
    if field.wire == wire.BYTES and isinstance(kind, dict):
        return [decode(buffer, field.start, field.stop, kind)]
    if field.wire == wire.BYTES and kind == "text":
        return [bytes(part).decode("utf-8", errors="replace")]
    if field.wire == wire.VARINT and kind == "int":
        return [wire.signed(field.value)]
    if field.wire == wire.BYTES and kind == "int":
        return _packed_varints(buffer, field)
    if kind == "float" and field.wire in (wire.FOUR_BYTES, wire.BYTES) and len(part) % 4 == 0:
        return list(struct.unpack(f"<{len(part) // 4}f", part))
    for plain, number, size in (("floats", "<f4", wire.FOUR_BYTES), ("doubles", "<f8", wire.EIGHT_BYTES)):
        if kind == plain and field.wire in (size, wire.BYTES) and len(part) % np.dtype(number).itemsize == 0:
            return [np.frombuffer(part, number)]
    raise ModelFileError(f"it is no Caffe model: the field at byte {field.at} is stored as another kind")


def _packed_varints(buffer: memoryview, field: wire.Field) -> list[int]:
    numbers, at = [], field.start
    while at < field.stop:
        number, at = wire.varint(buffer, at, field.stop)
        numbers.append(wire.signed(number))
    return numbers


def _blob(message: Message) -> Weights:
    """Weights in their shape; files of before 2015 state four sizes, whatever the weights are."""
    numbers = np.concatenate(
        message.get("data") or message.get("double_data") or [np.empty(0, np.float32)], dtype=np.float32
    )
    if "shape" in message:
        shape = [size for part in message["shape"] for size in part.get("dim", [])]
    else:
        shape = [message.get(key, [0])[-1] for key in ("num", "channels", "height", "width")]
    if min(shape, default=1) < 0 or int(np.prod(shape, dtype=object)) != numbers.size:
        raise ModelFileError(f"weights of shape {tuple(shape)} hold {numbers.size} numbers; copy it again")
    return numbers.reshape(shape)


def _type_of(message: Message) -> str:
    """The type of a layer in words."""
    given = message.get("type", [""])[-1]
    if isinstance(given, str):
        return given
    words = OLD_TYPES.split()
    return words[given] if 0 <= given < len(words) else "CROP"
