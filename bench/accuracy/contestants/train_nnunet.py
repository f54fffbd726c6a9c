"""nnU-Net v2 by its own planner, preprocessing, augmentation, trainer and predictor, 2-D, with three classes.

Recipe: MIC-DKFZ/nnUNet, documentation/how_to_use_nnunet.md: plan_and_preprocess, configuration 2d, fold
all, SGD 0.01 with Nesterov momentum 0.99, deep supervision, a polynomial rate to 0 over the training,
mirrored prediction. The steps of its trainer are done until the minutes are over, and the rate is one of
the time that is spent: its 1000 epochs of 250 steps and its validation in between, which chooses nothing,
do not fit into them.

Variant "small": what we believe suits two cores best. The planner is told of 0.2 GB of memory, so that
patches and batches are smaller and there are more steps; and the network computes in bfloat16 where the
processor is fast in it, which the trainer does on GPUs alone.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from bench.accuracy.classes import objects_of, to_classes
from bench.accuracy.competing import Array, Clock, Job, Trained, bfloat16_is_fast, compete

DATASET = "Dataset001_job"
NAMES = ("background", "interior", "border")
SMALL_GB = 0.2


def train(job: Job, clock: Clock) -> Trained:
    """Until the minutes are over."""
    folders = {kind: job.work() / kind for kind in ("raw", "preprocessed", "results")}
    for kind, folder in folders.items():
        folder.mkdir(exist_ok=True)
        os.environ[f"nnUNet_{kind}"] = str(folder)  # read when nnunetv2 is imported
    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    np.random.seed(job.seed)  # noqa: NPY002  # what the library draws from
    random.seed(job.seed)
    write_raw(job, folders["raw"] / DATASET)
    trainer = planned(job)
    trainer.on_train_start()
    network = quickened(trainer.network, job)
    network.train()
    steps = 0
    while clock.left() > 0 or not steps:
        for group in trainer.optimizer.param_groups:
            group["lr"] = trainer.initial_lr * (1 - clock.progress()) ** 0.9
        loss = trainer.train_step(next(trainer.dataloader_train))["loss"]
        steps += 1
    trainer.on_train_end()
    plan = trainer.configuration_manager
    said = {"steps": steps, "patch": list(map(int, plan.patch_size)), "batch": plan.batch_size}
    said |= {"parameters": sum(p.numel() for p in network.parameters()), "loss": round(float(loss), 3)}
    return Trained(predictor(job, Path(trainer.output_folder_base)), said)


def quickened(network: torch.nn.Module, job: Job) -> torch.nn.Module:
    """The network, which in the variant "small" computes in bfloat16."""
    if job.variant == "small" and bfloat16_is_fast():
        network.forward = torch.autocast("cpu", torch.bfloat16)(network.forward)  # type: ignore[method-assign]
    return network


def write_raw(job: Job, folder: Path) -> None:
    """The training images as nnU-Net wants them; unknown pixels are its class ignore, the last."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    labels, images = job.labels(), job.images("train")
    names = NAMES[: 3 if job.border else 2]
    for name, image in images.items():
        classes = to_classes(labels[name], job.border)
        classes[classes < 0] = len(names)
        tifffile.imwrite(folder / f"imagesTr/{name}_0000.tif", image)
        tifffile.imwrite(folder / f"labelsTr/{name}.tif", classes.astype(np.uint8))
    numbers = {name: k for k, name in enumerate((*names, "ignore") if job.unknown else names)}
    about: dict[str, Any] = {"channel_names": {"0": "grey"}, "labels": numbers, "file_ending": ".tif"}
    about["numTraining"] = len(images)
    (folder / "dataset.json").write_text(json.dumps(about), encoding="utf-8")


def planned(job: Job) -> Any:
    """Its trainer, after its planner and its preprocessing."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprints,
        plan_experiments,
        preprocess,
    )
    from nnunetv2.run.run_training import get_trainer_from_args

    extract_fingerprints([1], num_processes=job.threads, check_dataset_integrity=True)
    plans = plan_experiments([1], gpu_memory_target_in_gb=SMALL_GB if job.variant == "small" else None)
    preprocess([1], plans, configurations=("2d",), num_processes=(job.threads,))
    return get_trainer_from_args("1", "2d", "all", plans_identifier=plans, device=torch.device("cpu"))


def predictor(job: Job, folder: Path) -> Any:
    """Its predictor with the last weights."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predicting = nnUNetPredictor(
        device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False
    )
    predicting.initialize_from_trained_model_folder(str(folder), ("all",), "checkpoint_final.pth")
    predicting.network = quickened(predicting.network, job)

    def predict(image: Array) -> tuple[Array, Array | None]:
        given = image[None, None].astype(np.float32)  # (C, 1, Y, X), as its reader of 2-D images
        _, found = predicting.predict_single_npy_array(given, {"spacing": (999, 1, 1)}, None, None, True)
        return objects_of(np.asarray(found)[:, 0], job.border, job.smallest)

    return predict


if __name__ == "__main__":
    compete(train, packages=("nnunetv2", "torch"))
