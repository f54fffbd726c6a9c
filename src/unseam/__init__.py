"""unseam: the U-Net system of 2015, without seams.

A few annotated images in, a trained network out; then any image, of any size, segmented, counted, measured.
Everything public is imported when it is first used, so that `import unseam` is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unseam.data.weight_map import border_weight_map
    from unseam.errors import UnseamError
    from unseam.io.images import read_image, read_labels
    from unseam.model.unet import UNet
    from unseam.prediction import Model, Segmentation, load_model
    from unseam.workflow.evaluation import evaluate
    from unseam.workflow.training import train

__version__ = "0.1.0"

_HOMES = {
    "Model": "unseam.prediction",
    "Segmentation": "unseam.prediction",
    "UNet": "unseam.model.unet",
    "UnseamError": "unseam.errors",
    "border_weight_map": "unseam.data.weight_map",
    "evaluate": "unseam.workflow.evaluation",
    "load_model": "unseam.prediction",
    "read_image": "unseam.io.images",
    "read_labels": "unseam.io.images",
    "train": "unseam.workflow.training",
}

__all__ = [
    "Model",
    "Segmentation",
    "UNet",
    "UnseamError",
    "border_weight_map",
    "evaluate",
    "load_model",
    "read_image",
    "read_labels",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unseam' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
