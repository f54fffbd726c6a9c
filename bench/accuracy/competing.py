"""The peer's side: read a job, train until the minutes are over, predict, write what came out.

NumPy and SciPy alone, because it runs in the environments of others too. A job is a folder:

- job.json: settings, as `Job`
- train/images/NAME.npy: (Y, X), as in the image file
- train/labels/NAME.npy: (Y, X) int32, 0 background, 1, 2, ... objects, -1 unknown
- test/images/NAME.npy: as those of train
- labels/NAME.npy: written here, (Y, X) int32
- cells/NAME.npy: written here by those who have it, (Y, X) float32, probability of being cell
- done.json: written here, seconds, versions, what the training tells of itself
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Predict = Callable[[Array], tuple[Array, "Array | None"]]
"""An image to its labels, and to the probability of being cell where there is one."""


@dataclass(frozen=True)
class Job:
    """What is to be learned, and with what.

    Attributes
    ----------
    folder : of the job; a peer may write to `folder / "work"`.
    minutes : of the whole training, data preparation included.
    seed : of all random numbers.
    threads : to be used.
    border : width in pixels of the class border of those who predict classes; 0 for the two classes
        background and cell, where no two cells touch.
    smallest : pixels; of a hundred training objects one is smaller.
    diameter : median equivalent diameter of the training objects, pixels.
    unknown : whether labels have pixels of -1.
    variant : of the peer's settings.
    """

    folder: Path
    minutes: float
    seed: int
    threads: int
    border: int
    smallest: int
    diameter: float
    unknown: bool
    variant: str = ""

    def images(self, split: str) -> dict[str, Array]:
        """Of "train" or "test", by name."""
        return _arrays(self.folder / split / "images")

    def labels(self) -> dict[str, Array]:
        """Of the training images, by name."""
        return _arrays(self.folder / "train" / "labels")

    def work(self) -> Path:
        """A folder to write to."""
        (self.folder / "work").mkdir(exist_ok=True)
        return self.folder / "work"


class Clock:
    """How much of the minutes is spent; it starts when it is made."""

    def __init__(self, minutes: float) -> None:
        self.budget = 60 * minutes
        self._start = time.monotonic()

    def spent(self) -> float:
        """Seconds so far."""
        return time.monotonic() - self._start

    def left(self) -> float:
        """Seconds to go."""
        return self.budget - self.spent()

    def progress(self) -> float:
        """Share that is spent, from 0 to 1: what a learning rate is a function of."""
        return min(1.0, self.spent() / self.budget)

    def forgive(self, seconds: float) -> None:
        """Do not count these: time that went into measuring how long an epoch takes."""
        self._start += seconds


@dataclass(frozen=True)
class Trained:
    """What a training returns: how to predict, and what it tells of itself."""

    predict: Predict
    said: Mapping[str, Any] = field(default_factory=dict)


def compete(train: Callable[[Job, Clock], Trained], *, packages: Iterable[str]) -> None:
    """Do the job whose folder is the script's argument. The clock starts when everything is imported."""
    folder = Path(sys.argv[1]).resolve()
    settings = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    job = Job(folder=folder, **settings)
    clock = Clock(job.minutes)
    trained = train(job, clock)
    seconds = clock.spent()
    start = time.monotonic()
    for name, image in job.images("test").items():
        labels, cells = trained.predict(image)
        for kind, array, dtype in (("labels", labels, np.int32), ("cells", cells, np.float32)):
            if array is not None:
                (folder / kind).mkdir(exist_ok=True)
                np.save(folder / kind / f"{name}.npy", np.asarray(array, dtype=dtype))
    done = {
        "seconds": seconds,
        "predict_seconds": time.monotonic() - start,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "said": dict(trained.said),
    }
    (folder / "done.json").write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")


def bfloat16_is_fast() -> bool:
    """Whether this processor multiplies bfloat16, so that a network is trained in it, as ours is."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "avx512_bf16" in cpuinfo.read_text(encoding="utf-8")


def unit(image: Array) -> NDArray[np.float32]:
    """Intensities from 0 to 1 by the smallest and the largest value of the image."""
    low, high = float(image.min()), float(image.max())
    return ((image - low) / max(high - low, 1e-6)).astype(np.float32)


def _arrays(folder: Path) -> dict[str, Array]:
    return {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}
