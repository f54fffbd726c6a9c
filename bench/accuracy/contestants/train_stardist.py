"""StarDist as its example of 2-D training trains it.

Recipe: stardist/stardist, examples/2D/1_data.ipynb, 2_training.ipynb: intensities by percentiles 1 and
99.8, small holes filled, 15 % of the images held out, 32 rays, grid (2, 2), patches of 256 x 256, batches
of 4, Adam 3e-4 that is halved when the loss of the held out images stands still, the best weights kept;
flips, quarter turns, intensity, noise; thresholds optimised on the held out images, within the minutes.

The example's training has 400 epochs of 100 steps, and a patience of 40 epochs, a tenth of it. Epochs here
have 20 steps, so that there are some, and the patience is a tenth of those that fit into the minutes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from bench.accuracy.competing import Array, Clock, Job, Trained, compete
from csbdeep.utils import normalize
from stardist import fill_label_holes
from stardist.models import Config2D, StarDist2D

STEPS = 20
FOR_THRESHOLDS = 0.1
"""Share of the minutes that is kept for the thresholds, which takes seconds for each held out image."""


class Minutes(keras.callbacks.Callback):  # type: ignore[misc]  # the library is not typed
    """Ends the training in time, and fits the patience of the learning rate to the number of epochs."""

    def __init__(self, clock: Clock, plateau: Any) -> None:
        super().__init__()
        self.clock, self.plateau, self.steps, self.ends = clock, plateau, 0, [time.monotonic()]

    def on_batch_end(self, *_: Any, **__: Any) -> None:
        """Stop once the share for the training is spent."""
        self.steps += 1
        if self.clock.left() <= FOR_THRESHOLDS * self.clock.budget:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, *_: Any, **__: Any) -> None:
        """Know how long an epoch takes; the first, in which graphs are made, does not count."""
        self.ends.append(time.monotonic())
        if epoch == 1:
            expected = self.clock.budget / (self.ends[-1] - self.ends[-2])
            self.plateau.patience = max(1, round(expected / 10))


def train(job: Job, clock: Clock) -> Trained:
    """Until the minutes are over."""
    tf.random.set_seed(job.seed)
    rng = np.random.default_rng(job.seed)
    names = list(job.images("train"))
    images = [normalize(image, 1, 99.8, axis=(0, 1)) for image in job.images("train").values()]
    labels = [filled(one) for one in job.labels().values()]
    order = rng.permutation(len(names))
    held_out = max(1, round(0.15 * len(names)))
    learn, check = order[:-held_out], order[-held_out:]
    smallest = min(min(image.shape) for image in images)
    patch = min(256, smallest // 16 * 16)
    config = Config2D(n_rays=32, grid=(2, 2), use_gpu=False, n_channel_in=1, train_patch_size=(patch, patch))
    config.train_tensorboard = False
    model = StarDist2D(config, name="stardist", basedir=str(job.work()))
    model.prepare_for_training()
    plateau = next(one for one in model.callbacks if isinstance(one, keras.callbacks.ReduceLROnPlateau))
    minutes = Minutes(clock, plateau)
    model.callbacks.append(minutes)
    check_images, check_labels = [images[k] for k in check], [labels[k] for k in check]
    model.train(
        [images[k] for k in learn],
        [labels[k] for k in learn],
        validation_data=(check_images, check_labels),
        augmenter=augmenter(rng),
        epochs=10_000,
        steps_per_epoch=STEPS,
        seed=job.seed,
    )
    model.optimize_thresholds(check_images, [np.maximum(one, 0) for one in check_labels])

    def predict(image: Array) -> tuple[Array, None]:
        found, _ = model.predict_instances(normalize(image, 1, 99.8, axis=(0, 1)))
        return found, None

    said = {"steps": minutes.steps, "epochs": len(minutes.ends) - 1, "patience": plateau.patience}
    said |= {"held_out": held_out, "patch": patch, "parameters": model.keras_model.count_params()}
    return Trained(predict, said | {f"{name}_threshold": v for name, v in model.thresholds._asdict().items()})


def filled(labels: Array) -> Array:
    """Without small holes; unknown pixels stay -1, which StarDist's losses leave out."""
    return np.where(labels < 0, -1, fill_label_holes(np.maximum(labels, 0)))


def augmenter(rng: np.random.Generator) -> Callable[[Array, Array], tuple[Array, Array]]:
    """As in the example: turned and flipped, brighter or darker, noisy."""

    def augmented(image: Array, labels: Array) -> tuple[Array, Array]:
        if rng.random() > 0.5:
            image, labels = image.T, labels.T
        for axis in (0, 1):
            if rng.random() > 0.5:
                image, labels = np.flip(image, axis), np.flip(labels, axis)
        image = image * rng.uniform(0.6, 2) + rng.uniform(-0.2, 0.2)
        return image + rng.uniform(0, 0.02) * rng.normal(size=image.shape), labels

    return augmented


if __name__ == "__main__":
    compete(train, packages=("stardist", "csbdeep", "tensorflow-cpu", "keras"))
