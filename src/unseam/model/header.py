"""What a model file says beside its weights: its header, JSON in the metadata; read without PyTorch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from unseam.config import NetworkConfig, ObjectConfig
from unseam.errors import InputError, ModelFileError
from unseam.fingerprint import Fingerprint
from unseam.guard.reference import GuardReference
from unseam.model.calibration import Calibration
from unseam.normalize import Normalization
from unseam.preprocess import Preprocessing

FORMAT_VERSION = 1
HEADER_KEY = "unseam_model"
"""Under which the header stands in the metadata of a file."""
CITATION = (
    "Ronneberger, Fischer, Brox. U-Net: Convolutional Networks for Biomedical Image Segmentation. "
    "MICCAI 2015. doi:10.1007/978-3-319-24574-4_28"
)


@dataclass(frozen=True)
class ModelHeader:
    """What a model file says beside its weights.

    Attributes
    ----------
    task : "instances" or "semantic".
    network : how to build the network.
    normalization : how to scale an image for it; of another program's model its own steps.
    objects : how its probabilities become objects.
    spacing : pixel size it was trained on, micrometres per axis, or None.
    fingerprint : of the training images, or None.
    diameters : smallest and largest diameter of objects, pixels of an image, that the model is made for by
        rescaling images, unless told otherwise, so that objects become as large as it knows; None for a model
        that takes images as they are.
    segments : what its objects are, in words.
    training : summary of the run: iterations, seconds, scores, seed.
    guard : statistics of the training images, or None.
    calibration : what prediction in int8 takes, or None.
    unseam_version, license, citation : where it comes from, what may be done with it.
    """

    task: str
    network: NetworkConfig
    normalization: Normalization | Preprocessing
    objects: ObjectConfig
    spacing: tuple[float, ...] | None = None
    fingerprint: Fingerprint | None = None
    diameters: tuple[float, float] | None = None
    segments: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    guard: GuardReference | None = None
    calibration: Calibration | None = None
    unseam_version: str = ""
    license: str = "as the training images allow"
    citation: str = CITATION

    @property
    def own_normalization(self) -> Normalization:
        """How an image is scaled, where that is one of our own ways.

        Raises
        ------
        InputError
            If the model is from a package of another program.
        """
        if isinstance(self.normalization, Preprocessing):
            raise InputError(
                "this model is from a package of bioimage.io, which prediction takes alone; give the "
                "model.safetensors of a run"
            )
        return self.normalization


def header_json(header: ModelHeader) -> str:
    """The header as it stands in a file."""
    fingerprint = header.fingerprint.to_dict() if header.fingerprint else None
    document = {"format_version": FORMAT_VERSION, **asdict(header), "fingerprint": fingerprint}
    return json.dumps(document, allow_nan=False, separators=(",", ":"))


def read_header(path: Path) -> ModelHeader:
    """The header of a model file, without its weights.

    Raises
    ------
    ModelFileError
        If the file is missing, cut short, no model, or of a newer version.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ModelFileError(f"there is no model file {path}; give the model.safetensors of a run")
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        if path.suffix not in ("", ".safetensors"):
            raise ModelFileError(f"{path} is {_other(path)}") from error
        raise ModelFileError(f"{path} is cut short or not a model file ({error}); copy it again") from error
    if HEADER_KEY not in metadata:
        raise ModelFileError(f"{path} is not a model of unseam; give the model.safetensors of a run")
    return parse_header(path, metadata[HEADER_KEY])


def _other(path: Path) -> str:
    """What a file is that is no .safetensors file, and what to give in its place."""
    if path.suffix.lower() == ".zip":
        return "a bioimage.io package, or another archive; give the model.safetensors it was made from"
    return (
        "not a model file: models are .safetensors files, folders of runs, names that `unseam models` lists, "
        "or, to predict with, bioimage.io packages"
    )


def parse_header(path: Path | str, text: str) -> ModelHeader:
    """The header that stands in a file as text; errors as `read_header`."""
    try:
        document = json.loads(text)
        version = document.pop("format_version")
        if version > FORMAT_VERSION:
            raise ModelFileError(
                f"{path} has model format {version}; this unseam reads up to {FORMAT_VERSION}: update it"
            )
        document["network"] = NetworkConfig(**_tuples(document["network"]))
        document["normalization"] = Normalization(**document["normalization"])
        document["objects"] = ObjectConfig(**document["objects"])
        for name in ("spacing", "diameters"):
            document[name] = tuple(document[name]) if document.get(name) else None
        if document["fingerprint"]:
            document["fingerprint"] = Fingerprint.from_dict(document["fingerprint"])
        if document.get("guard"):
            document["guard"] = GuardReference.from_dict(document["guard"])
        if document.get("calibration"):
            document["calibration"] = Calibration.from_dict(document["calibration"])
        return ModelHeader(**document)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"the header of {path} cannot be understood ({error}); copy it again") from error


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists of lists as the tuples that the configuration holds."""
    return {
        key: tuple(tuple(item) for item in value) if isinstance(value, list) else value
        for key, value in values.items()
    }
