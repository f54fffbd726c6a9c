"""segmentation_models.pytorch's Unet with a ResNet-34 encoder, as its examples train it, with three classes.

Recipe: qubvel-org/segmentation_models.pytorch, examples/camvid_segmentation_multiclass.ipynb: Dice loss of
several classes, Adam 2e-4 with a cosine to 1e-5 over the whole training, flips, shifts, scalings,
perspective, noise, contrast, blur by albumentations, crops of 320 x 320; and
examples/binary_segmentation_intro_cpu.py: ResNet-34, batches of 8. The weights are drawn: the examples
start from ImageNet, which no contestant here does. The cosine is one of the time that is spent. bfloat16
and channels last where the processor is fast in it. The transform of hue is left out, because the images
are grey.
"""

from __future__ import annotations

import math
import random

import albumentations as A
import cv2
import numpy as np
import segmentation_models_pytorch as smp
import torch
from bench.accuracy.classes import objects_of, to_classes
from bench.accuracy.competing import Array, Clock, Job, Trained, bfloat16_is_fast, compete, unit

IGNORE = 255
CROP, BATCH, MULTIPLE = 320, 8, 32
RATE, LAST_RATE = 2e-4, 1e-5


def train(job: Job, clock: Clock) -> Trained:
    """Until the minutes are over."""
    torch.set_num_threads(job.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(job.seed)
    random.seed(job.seed)
    rng = np.random.default_rng(job.seed)
    classes = 3 if job.border else 2
    net = smp.Unet("resnet34", encoder_weights=None, in_channels=1, classes=classes)
    net = net.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    loss_of = smp.losses.DiceLoss("multiclass", from_logits=True, ignore_index=IGNORE)
    augment = augmentation(job.seed)
    labels = job.labels()
    pairs = [
        (as_bytes(image), masked(to_classes(labels[name], job.border)))
        for name, image in job.images("train").items()
    ]
    steps = 0
    while clock.left() > 0 or not steps:
        chosen = [
            augment(image=i, mask=m) for i, m in (pairs[k] for k in rng.integers(len(pairs), size=BATCH))
        ]
        image = torch.stack([normalised(one["image"]) for one in chosen])
        target = torch.stack([torch.from_numpy(one["mask"]).long() for one in chosen])
        for group in optimizer.param_groups:
            share = (1 + math.cos(math.pi * clock.progress())) / 2
            group["lr"] = LAST_RATE + (RATE - LAST_RATE) * share
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_is_fast()):
            logits = net(image.contiguous(memory_format=torch.channels_last))
        loss = loss_of(logits.float(), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steps += 1
    net.eval()

    def predict(image: Array) -> tuple[Array, Array | None]:
        tensor = normalised(as_bytes(image))[None]
        height, width = image.shape
        padding = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
        with torch.inference_mode():
            logits = net(torch.nn.functional.pad(tensor, padding, mode="reflect"))[0, :, :height, :width]
            return objects_of(torch.softmax(logits, dim=0).numpy(), job.border, job.smallest)

    parameters = sum(p.numel() for p in net.parameters())
    return Trained(predict, {"steps": steps, "parameters": parameters, "loss": round(loss.item(), 3)})


def augmentation(seed: int) -> A.Compose:
    """That of the example."""
    chain = [
        A.HorizontalFlip(p=0.5),
        A.Affine(
            scale=(0.5, 1.5),
            translate_percent=(-0.1, 0.1),
            rotate=0,
            balanced_scale=False,
            keep_ratio=True,
            p=1,
        ),
        A.PadIfNeeded(CROP, CROP, border_mode=0),
        A.RandomCrop(CROP, CROP),
        A.GaussNoise(p=0.2),
        A.Perspective(p=0.5),
        A.OneOf([A.CLAHE(p=1), A.RandomBrightnessContrast(p=1), A.RandomGamma(p=1)], p=0.9),
        A.OneOf([A.Sharpen(p=1), A.Blur(blur_limit=3, p=1), A.MotionBlur(blur_limit=3, p=1)], p=0.9),
        A.RandomBrightnessContrast(p=0.9),
    ]
    return A.Compose(chain, seed=seed)


def as_bytes(image: Array) -> Array:
    """Stretched to 0..255, as albumentations wants it."""
    return (255 * unit(image)).round().astype(np.uint8)


def masked(classes: Array) -> Array:
    """Classes as bytes, with unknown pixels as 255."""
    return np.where(classes < 0, IGNORE, classes).astype(np.uint8)


def normalised(image: Array) -> torch.Tensor:
    """(1, Y, X), by ImageNet's mean and deviation, averaged over the colours, as the encoder has it."""
    return torch.from_numpy(((image / 255 - 0.449) / 0.226).astype(np.float32))[None]


if __name__ == "__main__":
    compete(train, packages=("segmentation-models-pytorch", "albumentations", "torch"))
