"""Export: a trained model as a file that other software runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.data.synthetic import synthetic_image
from unseam.engines import EngineNetwork
from unseam.errors import InputError
from unseam.export import SUFFIXES
from unseam.export.agreement import Written, largest_difference
from unseam.export.bioimageio import KEPT, Package, write_bioimageio
from unseam.export.frame import frame_of
from unseam.export.onnx import write_onnx
from unseam.export.openvino import write_openvino
from unseam.fingerprint import Fingerprint
from unseam.io.atomic import refuse_existing, replacing
from unseam.io.images import read_image, stem
from unseam.normalize import Normalization
from unseam.prediction import Model, load_model
from unseam.workflow.listener import Listener, Step, printing
from unseam.workflow.model_card import model_card
from unseam.workflow.models import half_model


@dataclass(frozen=True)
class About:
    """What a package says beyond what the model knows.

    Attributes
    ----------
    authors : names.
    license : SPDX identifier, or None.
    tags : of bioimage.io, as "nuclei".
    image : file of an image of the kind that the model is for; None for a synthetic one.
    """

    authors: tuple[str, ...] = ()
    license: str | None = None
    tags: tuple[str, ...] = ()
    image: Path | None = None


def export_model(
    model: str | Path,
    out: str | Path,
    *,
    to: str,
    about: About | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> Written:
    """Write a trained model in the format of other software, once it gives what PyTorch gives.

    Parameters
    ----------
    model : str or Path
        The .safetensors file, or the folder of a run.
    out : str or Path
        The file to write; its ending follows from the format, see `unseam.export.SUFFIXES`.
    to : str
        "onnx", "openvino", "bioimageio", or "safetensors": the model itself, its weights in bfloat16.
    about : About, optional
        For bioimageio alone.
    overwrite : bool
        Whether existing files may be replaced.
    listener : Listener, optional

    Raises
    ------
    ModelFileError
        If the model cannot be read.
    InputError, ShapeError, FileReadError
        If the format is unknown, the name does not end as it should, `about` is given for another format, or
        holds what the format does not allow, or the folder holds several models.
    MissingExtraError
        If a package that the format needs is not installed.
    OutputExistsError, OutputError
        If a file is there already, cannot be written, or would not give what PyTorch gives.
    """
    listener, out = listener or printing(), Path(out)
    _refuse(out, to, about)
    for path in (out, out.with_suffix(".bin")) if to == "openvino" else (out,):
        refuse_existing(path, overwrite=overwrite)
    loaded = load_model(model, device="cpu", engine="torch", precision="float32")
    if loaded.members:
        raise InputError(
            f"{model} is {len(loaded.members)} models whose probabilities are averaged, and one is exported; "
            f"give one of them, as {loaded.members[0].parent}"
        )
    if not isinstance(loaded.network, EngineNetwork):
        raise InputError(
            f"{model} is a bioimage.io package or ONNX; give the model.safetensors it was made from"
        )
    listener.say(f"exporting {loaded.path} to {to}, and comparing it with PyTorch")
    if to == "safetensors":
        with replacing(out, overwrite=overwrite) as temporary:
            half_model(model, temporary)
            half = load_model(temporary, device="cpu", engine="torch", precision="float32").tile_function(
                "none"
            )
            difference = largest_difference(
                loaded, lambda tiles: np.stack([half(tile) for tile in tiles]), tolerance=1.0
            )
        return Written((out,), difference, ("weights are in bfloat16, half the size",))

    def on_step(done: int, total: int) -> None:
        listener.step(Step("exporting", done / total))

    if to == "onnx":
        return write_onnx(loaded, out, overwrite=overwrite, on_step=on_step)
    if to == "openvino":
        return write_openvino(loaded, out, overwrite=overwrite, on_step=on_step)
    package = _package(loaded, out, about or About())
    return write_bioimageio(loaded, out, package, overwrite=overwrite, on_step=on_step)


def in_words(written: Written) -> list[str]:
    """What was written, a line each."""
    sizes = [f"{path} ({path.stat().st_size / 1e6:.1f} MB)" for path in written.files]
    return [
        ", ".join(sizes),
        *written.notes,
        f"its probabilities differ from PyTorch's by at most {written.difference:.1e}",
    ]


def _refuse(out: Path, to: str, about: About | None) -> None:
    if to not in SUFFIXES:
        raise InputError(f"format is {to!r}; expected one of: {', '.join(SUFFIXES)}")
    if out.suffix != SUFFIXES[to]:
        raise InputError(f"the output is {out}; for {to} give a name that ends in {SUFFIXES[to]}")
    if to != "bioimageio" and about is not None and about != About():
        raise InputError(
            f"--author, --license, --tag and --image are for --to bioimageio; leave them out for {to}"
        )


def _package(model: Model, out: Path, about: About) -> Package:
    title = re.sub(r"[^A-Za-z0-9_+\-() ]", " ", stem(out))
    return Package(
        name=f"unseam {title}"[:64].strip(),
        card=model_card(model, f"unseam {title}", license=about.license),
        image=_image_of(model) if about.image is None else read_image(about.image).data,
        authors=about.authors,
        license=about.license,
        tags=about.tags,
    )


def _image_of(model: Model) -> NDArray[Any]:
    """A synthetic image, (C, *spatial), with cells as large and as bright as the model knows them."""
    known, net = model.header.fingerprint, model.network
    shape = frame_of(net.geometry).input_for(KEPT[net.spatial_dims])
    radius = min(max(4.0, known.diameter_median / 2 if known else 11.0), min(shape) / 6)
    image = np.concatenate(
        [
            synthetic_image(np.random.default_rng([0, channel]), shape=shape, radius=radius).image
            for channel in range(net.in_channels)
        ]
    )
    image = Normalization("percentile")(image)
    return _bright_as(known, image) if known else image


def _bright_as(known: Fingerprint, image: NDArray[np.float32]) -> NDArray[Any]:
    """An image of 0 to 1 in the intensities and the number format of a training set."""
    dtype, values = np.dtype(known.dtypes[0]), np.empty(image.shape)
    for channel, (_, low, _, high, _) in enumerate(known.intensity):
        values[channel] = low + image[channel] * (high - low)
    if dtype.kind in "iu":
        values = values.round().clip(np.iinfo(dtype).min, np.iinfo(dtype).max)
    return values.astype(dtype)
