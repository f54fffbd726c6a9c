"""How often the guard calls images outside that are, and that are not, like those a model was trained on.

``python bench/guard.py --model runs/dsb2018 --data ../shared/data`` takes a model trained on the training
images of dsb2018, gives it their statistics, and prints the tables of docs/guard.md; ``--colour`` also trains
a model on stained images for a minute, for the order of channels.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unseam.guard.correction import NONE, Correction
from unseam.guard.reference import refer
from unseam.guard.verdict import Verdict, compare
from unseam.io.images import list_images, read_image, read_labels
from unseam.io.source import array_source
from unseam.metrics.scores import pool, score
from unseam.prediction import Model, load_model
from unseam.prediction.adapting import find_correction
from unseam.prediction.guarding import judge, observe
from unseam.resample import resampled
from unseam.workflow.guarding import attach
from unseam.workflow.listener import SILENT
from unseam.workflow.training import train

Array = NDArray[Any]
STRONG_NOISE, STRONG_BLUR = 0.2, 4.0
"""Deviation of the noise over the range of the image, and of the Gaussian in pixels."""
OTHER = ("DIC-C2DH-HeLa", "isbi2012", "dsb2018_he in grey")
"""Images of other things, for which there is no truth here."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("runs/dsb2018"), help="run or model file")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of real images")
    parser.add_argument("--colour", action="store_true", help="train a model on stained images too")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        learned, test = (nuclei(options.data, split) for split in ("train", "test"))
        model = with_statistics(options.model, [image for image, _ in learned], Path(folder))
        sets = {name: list(images) for name, images in others(options.data, [image for image, _ in test])}
        detection(model, sets)
        few_images(model, [image for image, _ in learned], sets)
        adapted(model, [labels for _, labels in test], sets)
        spent(model)
        if options.colour:
            colour(options.data, Path(folder))


def nuclei(data: Path, split: str) -> list[tuple[Array, Array]]:
    """Images and labels of a split of dsb2018."""
    with open(data / "dsb2018/index.csv", newline="", encoding="utf-8") as file:
        names = [row["id"] for row in csv.DictReader(file) if row["split"] == split]
    folder = data / "dsb2018"
    return [
        (read_image(folder / f"images/{name}.png").data, read_labels(folder / f"labels/{name}.tif").data[0])
        for name in names
    ]


def others(data: Path, test: Sequence[Array]) -> Iterable[tuple[str, Iterable[Array]]]:
    """Sets of images, by name: the test images, what can be done to them, and other microscopy."""
    rng = np.random.default_rng(0)
    yield "test images as they are", test
    yield "inverted", (255 - image for image in test)
    yield "shrunk 2 times", (zoomed(image, 1 / 2) for image in test)
    yield "shrunk 4 times", (zoomed(image, 1 / 4) for image in test)
    yield "enlarged 2 times", (zoomed(image, 2) for image in test)
    yield "enlarged 4 times", (zoomed(image, 4) for image in test)
    yield (
        "enlarged 4 times, noise as before",
        (grainy(zoomed(image, 4), like=image, rng=rng) for image in test),
    )
    yield "strong noise", (noisy(image, rng) for image in test)
    yield (
        "strong blur",
        (ndimage.gaussian_filter(image.astype(np.float32), (0, STRONG_BLUR, STRONG_BLUR)) for image in test),
    )
    yield OTHER[0], (read_image(path).data for path in list_images(data / "DIC-C2DH-HeLa/01")[::6])
    yield OTHER[1], (read_image(path).data for path in list_images(data / "isbi2012/images"))
    stained = (read_image(path).data for path in list_images(data / "dsb2018_he/images"))
    yield OTHER[2], (np.rint(image.mean(0, keepdims=True)) for image in stained)


def zoomed(image: Array, zoom: float) -> Array:
    """The image with `zoom` times as many pixels along each axis."""
    shape = tuple(max(1, round(n * zoom)) for n in image.shape[1:])
    return resampled(array_source(image), shape).read(tuple((0, n) for n in shape))


def noisy(image: Array, rng: np.random.Generator) -> Array:
    low, high = np.percentile(image, (1, 99.8))
    return image + rng.normal(0, STRONG_NOISE * (high - low), image.shape)


def grainy(image: Array, *, like: Array, rng: np.random.Generator) -> Array:
    """The image with about as much noise in each pixel as another one has, and half a grey level at least."""
    differences = np.abs(np.diff(like.astype(np.float64), axis=-1))
    return image + rng.normal(0, max(0.5, float(np.median(differences))), image.shape)


def with_statistics(model: Path, images: Sequence[Array], folder: Path) -> Model:
    """The model with the statistics of images, and what they take."""
    began = time.perf_counter()
    reference = attach(model, images, folder / "model.safetensors")
    size = len(json.dumps(reference.to_dict(), separators=(",", ":")))
    seconds = time.perf_counter() - began
    print(f"statistics of {reference.n_images} images: {seconds:.1f} s, {size / 1000:.0f} kB")
    print(f"{reference.left_out} of them are outside by leave-one-out\n")
    return load_model(folder / "model.safetensors", device="cpu")


def verdicts(model: Model, images: Iterable[Array], correction: Correction = NONE) -> list[Verdict]:
    found = [
        judge(
            model.network,
            model.header,
            model.prepare(correction.apply(array_source(image))),
            correction=correction,
        )
        for image in images
    ]
    return [one for one in found if one is not None]


def detection(model: Model, sets: dict[str, list[Array]]) -> None:
    """Print for each set how many are called outside, and by which statistics."""
    assert model.header.guard is not None
    names = list(model.header.guard.groups)
    header("images", "outside", *names)
    for name, images in sets.items():
        found = verdicts(model, images)
        by_group = [sum(one.distances[group] > 1 for one in found) for group in names]
        row(name, f"{sum(bool(one.outside) for one in found)} of {len(found)}", *by_group)
    print()


def few_images(model: Model, images: Sequence[Array], sets: dict[str, list[Array]]) -> None:
    """Print how often images are called outside where the statistics are of few images, drawn at random."""
    wanted = ("test images as they are", "inverted", "shrunk 4 times", "strong noise", "DIC-C2DH-HeLa")

    def seen(some: Iterable[Array]) -> list[Any]:
        return [observe(model.network, model.prepare(array_source(one))) for one in some]

    learned, rest = seen(images), {name: seen(sets[name]) for name in wanted}
    header("statistics of", *wanted)
    rng = np.random.default_rng(0)
    for count in (3, 5, 10, 20, 40):
        shares: dict[str, list[float]] = {name: [] for name in wanted}
        for _ in range(20):
            reference = refer([learned[i] for i in rng.permutation(len(learned))[:count]])
            assert reference is not None
            for name, some in rest.items():
                shares[name] += [float(bool(compare(reference, one).outside)) for one in some]
        row(f"{count} images", *(f"{np.mean(shares[name]):.0%}" for name in wanted))
    print()


def adapted(model: Model, truths: Sequence[Array], sets: dict[str, list[Array]]) -> None:
    """Print what --adapt does to every second image of each set, and the AP50 of the test images."""
    header("images", "corrected", "as", "AP50 not corrected", "AP50 with --adapt")
    for name, all_images in sets.items():
        images = all_images[::2]
        corrections = [find_correction(model, array_source(image)) for image in images]
        kinds = sorted({kind(one) for one in corrections if one})
        counts = ", ".join(f"{sum(kind(one) == k for one in corrections)} {k}" for k in kinds)
        scores = ["", ""]
        if name not in OTHER:
            plain = ap50(model, images, truths[::2], [NONE] * len(images))
            after = ap50(model, images, truths[::2], corrections) if any(corrections) else plain
            scores = [f"{plain:.3f}", f"{after:.3f}"]
        row(name, f"{sum(map(bool, corrections))} of {len(images)}", counts or "-", *scores)
    print()


def kind(correction: Correction) -> str:
    if correction.zoom is None:
        return str(correction)
    return "enlarged" if correction.zoom > 1 else "shrunk"


def ap50(
    model: Model, images: Sequence[Array], truths: Sequence[Array], corrections: Sequence[Correction]
) -> float:
    """AP50 with the truth at the size of the image; nearest neighbour where it was rescaled."""
    scores = []
    for image, truth, correction in zip(images, truths, corrections, strict=True):
        found = model.predict(image, correction=correction).labels
        at = [
            np.minimum((np.arange(n) + 0.5) * m / n, m - 1).astype(int)
            for n, m in zip(truth.shape, found.shape, strict=True)
        ]
        scores.append(score(truth.astype(np.int32), np.ascontiguousarray(found[np.ix_(*at)])))
    return float(pool(scores).counted.ap50)


def spent(model: Model) -> None:
    """Print what the guard takes of the time of a prediction."""
    image = array_source(np.random.default_rng(0).integers(0, 255, (1, 512, 512)).astype(np.uint8))
    data = image.read(((0, 512), (0, 512)))
    prepared = model.prepare(image)
    guard, whole = [], []
    for _ in range(5):
        began = time.perf_counter()
        judge(model.network, model.header, prepared)
        guard.append(time.perf_counter() - began)
        began = time.perf_counter()
        model.predict(data)
        whole.append(time.perf_counter() - began)
    print(f"512 x 512: prediction {min(whole):.2f} s, of it the guard {min(guard):.3f} s\n")


def colour(data: Path, folder: Path) -> None:
    """Train for a minute on two thirds of the stained images, print how exchanged channels are told."""
    paths = list_images(data / "dsb2018_he/images")
    images = [read_image(path).data for path in paths]
    labels = [read_labels(data / f"dsb2018_he/labels/{path.stem}.tif").data[0] for path in paths]
    held = range(0, len(images), 3)
    learn = [i for i in range(len(images)) if i not in held]
    model = train(
        [images[i] for i in learn],
        [labels[i] for i in learn],
        out=folder / "colour",
        minutes=1,
        device="cpu",
        listener=SILENT,
    )
    header("stained images", "outside", "corrected", "as")
    for name, order in (("as they are", [0, 1, 2]), ("red and blue exchanged", [2, 1, 0])):
        for what, numbers in (("learned from", learn), ("held out", list(held))):
            some = [images[i][order] for i in numbers]
            found = [find_correction(model, array_source(image)) for image in some]
            outside = sum(bool(one.outside) for one in verdicts(model, some))
            kinds = ", ".join(str(one) for one in found if one)
            row(f"{what}, {name}", f"{outside} of {len(some)}", sum(map(bool, found)), kinds or "-")


def header(*names: object) -> None:
    row(*names)
    print("|---" * len(names) + "|")


def row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
