"""Cellpose 3 from scratch, as its documentation says: residual U-Net of flows, SGD, and its model of sizes.

Recipe: MouseLand/cellpose, docs/train.rst of version 3 ("You can train from scratch as well", "--
train_size"), and the defaults of its command line: SGD 0.2, weight decay 1e-5, batches of 8, 500 epochs,
mean diameter 30 (17 for nuclei, as its own model of them). Images are rescaled to that diameter, in
prediction by the model of sizes. Cellpose 4 has one network of 300 million parameters that starts from
weights trained elsewhere: not this contest.

Its schedule has 10 epochs of warm-up and, over 100 epochs, 50 or 100 in which the rate falls. An epoch here
is as many images as make some 300 epochs of the minutes, so that each part has its share. How long a step
takes is measured beforehand, and that does not count. The model of sizes has its 10 epochs, or as many as
take a tenth of the minutes. Cellpose has no unknown pixels: they are background.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from bench.accuracy.competing import Array, Clock, Job, Trained, compete
from cellpose import dynamics, models
from cellpose import train as cellpose_train

BATCH, EPOCHS = 8, 300
GREY = [0, 0]
SIZE_EPOCHS, SIZE_SHARE = 10, 0.1
NUCLEI = 24
"""Pixels: objects smaller than the middle between 17 and 30 are taken for nuclei."""


def train(job: Job, clock: Clock) -> Trained:
    """As many epochs as fit into the minutes."""
    torch.set_num_threads(job.threads)
    diameter = 17.0 if job.diameter < NUCLEI else 30.0
    images = list(job.images("train").values())
    labels = [np.maximum(one, 0).astype(np.uint16) for one in job.labels().values()]
    flows = dynamics.labels_to_flows(labels, device=torch.device("cpu"))  # once for all that follows
    data = {"train_data": images, "train_labels": flows, "channels": GREY, "min_train_masks": 1}

    def steps(count: int, per_epoch: int) -> Any:
        """Train anew, `count` epochs."""
        torch.manual_seed(job.seed)
        np.random.seed(job.seed)  # noqa: NPY002  # what the library draws from
        model = models.CellposeModel(gpu=False, pretrained_model=False, diam_mean=diameter)
        cellpose_train.train_seg(
            model.net,
            **data,
            batch_size=BATCH,
            SGD=True,
            learning_rate=0.2,
            weight_decay=1e-5,
            n_epochs=count,
            nimg_per_epoch=BATCH * per_epoch,
            save_path=job.work(),
            model_name="cellpose",
        )
        return model

    def sizes(model: Any, epochs: int) -> Any:
        """The model of sizes, fitted to the styles of so many augmented copies of each image."""
        size = models.SizeModel(model)
        saved = str(job.work() / "cellpose")
        size.params = cellpose_train.train_size(model.net, saved, **data, batch_size=BATCH, n_epochs=epochs)
        return size

    measuring = time.monotonic()
    step, ahead, styles = measured(steps, sizes)
    clock.forgive(time.monotonic() - measuring)
    size_epochs = int(np.clip(SIZE_SHARE * clock.budget / styles, 1, SIZE_EPOCHS))
    batches = max(1, int((clock.left() - ahead - size_epochs * styles) / step))
    per_epoch = max(1, round(batches / EPOCHS))
    model = steps(max(1, batches // per_epoch), per_epoch)
    size = sizes(model, size_epochs)
    model.diam_labels = float(model.net.diam_labels.item())

    def predict(image: Array) -> tuple[Array, None]:
        wanted, _ = size.eval(image, channels=GREY)
        return model.eval(image, channels=GREY, diameter=float(wanted))[0], None

    said = {"steps": batches, "epochs": batches // per_epoch, "images_per_epoch": BATCH * per_epoch}
    said["size_epochs"] = size_epochs
    parameters = sum(p.numel() for p in model.net.parameters())
    return Trained(predict, said | {"parameters": parameters, "diameter": diameter})


def measured(steps: Any, sizes: Any) -> tuple[float, float, float]:
    """Seconds of a step, before the first step, and of an epoch of the model of sizes."""
    taken = []
    for count in (1, 1, 9):  # the first compiles
        start = time.monotonic()
        model = steps(count, 1)
        taken.append(time.monotonic() - start)
    step = (taken[2] - taken[1]) / 8
    start = time.monotonic()
    sizes(model, 1)
    return step, taken[1] - step, time.monotonic() - start


if __name__ == "__main__":
    compete(train, packages=("cellpose", "torch"))
