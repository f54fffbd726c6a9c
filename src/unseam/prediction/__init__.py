"""Prediction: an image of any size through a trained network, to probabilities, labels and objects."""

from unseam.prediction.loading import choose_device, load_model, load_models_for, ready
from unseam.prediction.memory import free_memory
from unseam.prediction.model import Model
from unseam.prediction.region import Prepared, predict_region
from unseam.prediction.runner import Runner
from unseam.prediction.segmentation import Segmentation, measure_classes
from unseam.prediction.tiles import TTA, plan_image, symmetries, tile_bytes, tile_function

__all__ = [
    "TTA",
    "Model",
    "Prepared",
    "Runner",
    "Segmentation",
    "choose_device",
    "free_memory",
    "load_model",
    "load_models_for",
    "measure_classes",
    "plan_image",
    "predict_region",
    "ready",
    "symmetries",
    "tile_bytes",
    "tile_function",
]
