"""nnU-Net's own trainer: its network, loss, optimiser, augmentation and loaders; plans written by hand.

The trainer reads its data set from a folder in its own format, as it always does; the plans alone are ours,
so that network and patch are those of the others. Its batches come from background processes by default, one
for each core.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty
from types import MethodType
from typing import Any

import numpy as np
import torch
from bench.performance.cells import cells
from bench.performance.serving import Run, serve, threads
from bench.performance.stepping import autocast, counts, laid_out, prepared, stepping
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

DATASET = "Dataset001_Cells"
LABELS = {"labels": {"background": 0, "object": 1}, "channel_names": {"0": "grey"}, "file_ending": ".tif"}
PR_SET_PDEATHSIG = 1
FOLDER = tempfile.TemporaryDirectory()


def setup(arguments: dict[str, Any]) -> Run:
    """`network`, `deep`: supervision, `dtype`, `patch`, `batch`, `steps`, `images`, `size`, `workers`."""
    torch.set_num_threads(threads())
    os.register_at_fork(after_in_child=end_with_parent)
    patch, batch, steps, dtype = (arguments[key] for key in ("patch", "batch", "steps", "dtype"))
    write_set(Path(FOLDER.name), arguments["images"], arguments["size"], patch)
    trainer = nnUNetTrainer(
        plans(arguments["network"], patch, batch), "2d", "all", LABELS, torch.device("cpu")
    )
    trainer.enable_deep_supervision = arguments["deep"]
    trainer.initialize()
    trainer.network = prepared(trainer.network, dtype)
    forward = trainer.network.forward

    def in_dtype(_: torch.nn.Module, image: torch.Tensor) -> Any:
        with autocast(dtype):
            return forward(laid_out(image, dtype))

    trainer.network.forward = MethodType(in_dtype, trainer.network)  # type: ignore[method-assign]
    epochs = {workers: partial(epoch, loader(trainer, workers), steps) for workers in arguments["workers"]}
    said = {
        **counts(steps * batch, patch, patch),
        "parameters": sum(p.numel() for p in trainer.network.parameters()),
    }
    return stepping(epochs, trainer.train_step, said)


def loader(trainer: nnUNetTrainer, workers: int) -> Any:
    """Its loader of training batches."""
    os.environ["nnUNet_n_proc_DA"] = str(workers)  # noqa: SIM112
    training, validation = trainer.get_dataloaders()
    if workers:
        validation._finish()
        pause(training)
    return training


def epoch(batches: Any, steps: int) -> Iterator[Any]:
    """So many batches; background processes make some between the first and the last alone."""
    in_background = hasattr(batches, "pause_event")
    if in_background:
        batches.pause_event.clear()
    try:
        for _ in range(steps):
            yield next(batches)
    finally:
        if in_background:
            pause(batches)


def pause(batches: Any) -> None:
    """Let the background processes rest, and throw away what they have made, but for one batch each."""
    batches.pause_event.set()
    resting = time.perf_counter() + 0.05
    while time.perf_counter() < resting:
        for queue in (batches._queue, batches.results_loop_queue):
            with suppress(Empty):
                queue.get_nowait()


def end_with_parent() -> None:
    """Ask Linux to end this process when the one that forked it ends; they would wait for ever."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def write_set(root: Path, images: int, size: int, patch: int) -> None:
    """The images as its preprocessing leaves them, and the folders that it asks for."""
    for name in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{name}"] = str(root / name)
    folder = root / "preprocessed" / DATASET / "2d"
    folder.mkdir(parents=True)
    (folder.parent / "dataset.json").write_text(json.dumps(LABELS), encoding="utf-8")
    for number, (image, classes, _) in enumerate(cells(images, size)):
        places = np.argwhere(classes[None, None] > 0)
        nnUNetDatasetBlosc2.save_case(
            image[None, None],
            classes[None, None].astype(np.int8),
            {"class_locations": {1: places}},
            str(folder / f"cells_{number:03d}"),
            chunks=(1, 1, patch, patch),
            blocks=(1, 1, min(64, patch), min(64, patch)),
        )


def plans(network: Mapping[str, Any], patch: int, batch: int) -> dict[str, Any]:
    """What its planner would write, with the network and the patch of the others."""
    widths = [network["base_width"] * 2**level for level in range(network["depth"] + 1)]
    stages = len(widths)
    architecture = {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": widths,
            "conv_op": "torch.nn.modules.conv.Conv2d",
            "kernel_sizes": [[3, 3]] * stages,
            "strides": [[1, 1]] + [[2, 2]] * (stages - 1),
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [2] * (stages - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    configuration = {
        "data_identifier": "2d",
        "batch_size": batch,
        "patch_size": [patch, patch],
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "batch_dice": True,
        "architecture": architecture,
    }
    return {
        "dataset_name": DATASET,
        "plans_name": "nnUNetPlans",
        "configurations": {"2d": configuration},
        "label_manager": "LabelManager",
        "continue_training": False,
    }


if __name__ == "__main__":
    serve(setup, packages=("nnunetv2", "batchgeneratorsv2", "torch", "numpy"))
