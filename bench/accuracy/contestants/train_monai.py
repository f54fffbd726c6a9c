"""MONAI's UNet as its tutorial of 2-D segmentation trains it, with three classes.

Recipe: Project-MONAI/tutorials, 2d_segmentation/torch/unet_training_dict.py and unet_training_array.py:
channels 16 to 256, two residual units, intensities scaled to 0..1, crops of 96 x 96 around positive and
negative pixels (4 of each of 2 images), quarter turns, Adam 1e-3 without a schedule, sliding windows of 96
x 96. Of the losses DiceCE, as in MONAI's tutorials of several classes. All images are learned from, and the
last weights are taken: the tutorial's validation would cost time. bfloat16 where the processor is fast in
it.
"""

from __future__ import annotations

from collections.abc import Iterator

import monai.transforms as mt
import numpy as np
import torch
from bench.accuracy.classes import objects_of, to_classes
from bench.accuracy.competing import Array, Clock, Job, Trained, bfloat16_is_fast, compete, unit
from monai.data import DataLoader, Dataset, list_data_collate
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from monai.utils import set_determinism
from torch import Tensor

PATCH = (96, 96)


def train(job: Job, clock: Clock) -> Trained:
    """Until the minutes are over."""
    torch.set_num_threads(job.threads)
    set_determinism(job.seed)
    torch.use_deterministic_algorithms(False)
    classes = 3 if job.border else 2
    net = UNet(2, 1, classes, channels=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2), num_res_units=2)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    loss_of = DiceCELoss(softmax=True, to_onehot_y=True)
    steps = 0
    for image, target in batches(job):
        known = target >= 0
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_is_fast()):
            logits = net(image)
        # Where the truth is unknown, logits of zero: a constant that teaches nothing.
        loss = loss_of(logits.float() * known, target.clamp(min=0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        steps += 1
        if clock.left() <= 0:
            break
    net.eval()

    def predict(image: Array) -> tuple[Array, Array | None]:
        with torch.inference_mode():
            tensor = torch.from_numpy(unit(image))[None, None]
            logits = sliding_window_inference(tensor, PATCH, 4, net)
            assert isinstance(logits, Tensor)
            return objects_of(torch.softmax(logits[0], dim=0).numpy(), job.border, job.smallest)

    parameters = sum(p.numel() for p in net.parameters())
    return Trained(predict, {"steps": steps, "parameters": parameters, "loss": round(loss.item(), 3)})


def batches(job: Job) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (8, 1, 96, 96) and classes (8, 1, 96, 96), without end."""
    labels = job.labels()
    files = [
        {"img": unit(image)[None], "seg": to_classes(labels[name], job.border)[None].astype(np.int64)}
        for name, image in job.images("train").items()
    ]
    keys = ["img", "seg"]
    crop = mt.RandCropByPosNegLabeld(keys, label_key="seg", spatial_size=PATCH, pos=1, neg=1, num_samples=4)
    transforms = mt.Compose([crop, mt.RandRotate90d(keys, prob=0.5, spatial_axes=(0, 1))])
    transforms.set_random_state(job.seed)
    loader = DataLoader(Dataset(files, transforms), batch_size=2, shuffle=True, collate_fn=list_data_collate)
    while True:
        for batch in loader:
            yield batch["img"].as_tensor(), batch["seg"].as_tensor()


if __name__ == "__main__":
    compete(train, packages=("monai", "torch"))
