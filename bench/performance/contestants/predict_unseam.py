"""unseam through its public interface, nothing set: a model file, an image, probabilities."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from bench.performance.contestants.networks import image_of, unpadded
from bench.performance.serving import Run, serve, threads

import unseam
from unseam.config import Config, NetworkConfig
from unseam.model.checkpoint import save_model
from unseam.model.header import ModelHeader
from unseam.normalize import Normalization
from unseam.prediction import Model


def setup(arguments: dict[str, Any]) -> Run:
    """`network`: its options; `size`: of the image; `work` of one run, if not its pixels."""
    torch.set_num_threads(threads())
    model, image = model_of(arguments["network"]), image_of(arguments["size"])[None]

    def run() -> dict[str, Any]:
        probabilities = model.probabilities(image)
        assert probabilities.shape == (2, *image.shape[1:])
        return {"work": arguments.get("work", image.size), "engine": str(getattr(model, "engine", "torch"))}

    return run


def model_of(network: Mapping[str, Any]) -> Model:
    """A model loaded from its file, the weights as drawn."""
    config = NetworkConfig(in_channels=1, classes=2, spatial_dims=2, dropout=0.0, **network)
    header = ModelHeader("instances", config, Normalization(), Config().objects)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_model(path, unpadded(network).state_dict(), header, overwrite=False)
        return unseam.load_model(path)


if __name__ == "__main__":
    serve(setup, packages=("torch", "openvino", "onnxruntime"))
