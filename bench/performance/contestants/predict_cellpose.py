"""Cellpose: its network with weights as drawn, its own tiles; flows and probability, no masks."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from bench.performance.contestants.networks import image_of
from bench.performance.serving import Run, serve, threads
from cellpose.models import CellposeModel
from cellpose.vit import CPSAM


def setup(arguments: dict[str, Any]) -> Run:
    """`size`; `bfloat16`: whether, its default."""
    torch.set_num_threads(threads())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn"
        torch.save(CPSAM().state_dict(), path)
        model = CellposeModel(gpu=False, pretrained_model=str(path), use_bfloat16=arguments["bfloat16"])
    image = image_of(arguments["size"])

    def run() -> dict[str, Any]:
        flows = model.eval(image, compute_masks=False)[1]
        assert flows[2].shape == image.shape
        return {"work": image.size}

    return run


if __name__ == "__main__":
    serve(setup, packages=("cellpose", "torch", "torchvision"))
