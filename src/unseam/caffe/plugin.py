"""Read the two files of the authors' plugin: .modeldef.h5, what a network is; .caffemodel.h5, its weights.

::

    NAME.modeldef.h5                      NAME.caffemodel.h5
    ├── model_prototxt   the layers       └── data
    ├── .unet-ident                           └── (name of a layer)
    └── unet_param                                ├── 0   weights
        ├── name, description                     └── 1   biases
        ├── element_size_um   [z] y x
        ├── normalization_type
        ├── padding           mirror or zero
        └── classNames
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.caffe.layers import Layer, Weights
from unseam.caffe.prototxt import read_layers
from unseam.errors import FileReadError, MissingExtraError, ModelFileError
from unseam.normalize import Normalization

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""First bytes of an HDF5 file."""
LARGEST = 2**31 - 1
"""Bytes of weights: as many as the other format of Caffe holds."""
LARGEST_VALUE = 2**24
"""Bytes of a text, or of numbers, of a description."""
NORMALIZATIONS = {
    0: Normalization("none"),
    1: Normalization("percentile", 0, 100),  # smallest to 0, largest to 1
    2: Normalization("zscore"),
}


@dataclass(frozen=True)
class Definition:
    """What a .modeldef.h5 says.

    Attributes
    ----------
    layers : the network, without weights.
    normalization : how an image is scaled for it.
    spacing : pixel size, micrometres per axis, or None.
    name, description : in the authors' words.
    classes : names of the classes, or none.
    padding : what is around the image: "mirror" or "zero", or nothing.
    """

    layers: tuple[Layer, ...]
    normalization: Normalization
    spacing: tuple[float, ...] | None
    name: str
    description: str
    classes: tuple[str, ...]
    padding: str


def is_hdf5(path: Path) -> bool:
    """Whether a file starts as HDF5 does.

    Raises
    ------
    FileReadError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError as error:
        raise FileReadError(f"{path}: it cannot be read: {error.strerror}; check the name") from error


def read_modeldef(path: Path) -> Definition:
    """What a .modeldef.h5 says; all but the network may be missing.

    Raises
    ------
    ModelFileError
        If it is cut short, holds no network, or normalises in a way that is not offered.
    MissingExtraError
        If h5py is not installed.
    """
    with _opened(path) as file:
        if _inside(file, "model_prototxt") is None:
            there = ", ".join(sorted(file)) or "nothing"
            raise ModelFileError(
                f"it holds no model_prototxt, but {there}; give a .modeldef.h5 of the plugin"
            )
        layers = tuple(read_layers(_text(file, "model_prototxt")))
        numbers = _numbers(file, "unet_param/normalization_type")
        spacing = _numbers(file, "unet_param/element_size_um")
        return Definition(
            layers=layers,
            normalization=_normalization(int(numbers[0]) if numbers else 1),
            spacing=spacing if spacing and min(spacing) > 0 else None,
            name=_text(file, "unet_param/name") or _text(file, ".unet-ident"),
            description=_text(file, "unet_param/description"),
            classes=tuple(_texts(file, "unet_param/classNames")),
            padding=_text(file, "unet_param/padding"),
        )


def with_weights(layers: tuple[Layer, ...], path: Path) -> list[Layer]:
    """The layers with the weights of a .caffemodel.h5; a layer that has none there keeps none.

    Raises
    ------
    ModelFileError
        If it is cut short, holds no weights, or too many.
    MissingExtraError
        If h5py is not installed.
    """
    with _opened(path) as file:
        if not hasattr(_inside(file, "data"), "keys"):
            there = ", ".join(sorted(file)) or "nothing"
            raise ModelFileError(
                f"it holds no weights (data), but {there}; give the .caffemodel.h5 of the network"
            )
        filled, left = [], LARGEST
        for layer in layers:
            blobs: list[Weights] = []
            while layer.name and (blob := _inside(file, f"data/{layer.name}/{len(blobs)}")) is not None:
                if not hasattr(blob, "nbytes"):
                    raise ModelFileError(f"its {layer.name}/{len(blobs)} holds no weights; copy it again")
                left -= blob.nbytes
                if left < 0:
                    raise ModelFileError(f"its weights have more than {LARGEST:,} bytes; no network has")
                blobs.append(np.asarray(blob[()], np.float32))
            filled.append(replace(layer, blobs=tuple(blobs)))
        return filled


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An HDF5 file; what HDF5 says of a damaged one in a sentence."""
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError(
            "the plugin's files need the package h5py; install it with: pip install 'unseam[caffe]'"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            yield file
    except ModelFileError:
        raise
    except (OSError, KeyError, RuntimeError) as error:
        raise ModelFileError(f"it is cut short or no HDF5 file ({error}); copy it again") from error


def _normalization(number: int) -> Normalization:
    if number not in NORMALIZATIONS:
        raise ModelFileError(
            f"it scales images in its way number {number}, which unseam does not have; it has 0 (not at "
            "all), 1 (smallest to 0, largest to 1) and 2 (mean 0, deviation 1)"
        )
    return NORMALIZATIONS[number]


def _text(file: Any, key: str) -> str:
    return " ".join(_texts(file, key))


def _texts(file: Any, key: str) -> list[str]:
    """Texts of a dataset, however they are stored; none where there is no such dataset."""
    values = _values(file, key).astype(object)
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]


def _numbers(file: Any, key: str) -> tuple[float, ...]:
    """Numbers of a dataset; none where there is no such dataset."""
    values = _values(file, key)
    if values.dtype.kind not in "iuf":
        return ()
    if not np.isfinite(values).all():
        raise ModelFileError(
            f"its {key} is {', '.join(f'{v:g}' for v in values[:3])}; expected finite numbers"
        )
    return tuple(float(f"{v:.6g}") for v in values)


def _values(file: Any, key: str) -> NDArray[Any]:
    """What a dataset holds, in a line; nothing where there is no such dataset."""
    found = _inside(file, key)
    if not hasattr(found, "nbytes"):
        return np.empty(0)
    if found.nbytes > LARGEST_VALUE:
        raise ModelFileError(f"its {key} has {found.nbytes:,} bytes; at most {LARGEST_VALUE:,} are read")
    return np.ravel(np.asarray(found[()]))


def _inside(file: Any, key: str) -> Any:
    """What is under a name in the file itself, a group or a dataset; None where there is nothing.

    HDF5 may take what a dataset holds from any file of the computer, by a link or piece by piece.
    """
    import h5py

    found = file
    for name in (part.encode() for part in key.split("/") if part):
        if not isinstance(found, h5py.Group) or not found.id.links.exists(name):
            return None
        if found.id.links.get_info(name).type != h5py.h5l.TYPE_HARD:
            raise ModelFileError(f"its {key} is a link, which may lead to other files; do not use this file")
        found = found[name]
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        raise ModelFileError(f"its {key} is kept in other files; do not use this file")
    return found
