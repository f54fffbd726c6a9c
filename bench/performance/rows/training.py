"""Training: patches a second, their drawing and augmentation included."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from bench.performance.contest import Contestant, Result, peer
from bench.performance.page import figure, spread
from bench.performance.record import Measured, Options, Record, Row

from unseam.config import Config
from unseam.data.synthetic import synthetic_set
from unseam.fingerprint import fingerprint
from unseam.plan import network_geometry, plan, preset

ORDER = 3
TITLE = "Training"
INTRODUCTION = """\
Steps of training with everything that belongs to them: patches drawn from 12 images of 512x512 in memory,
augmented, forward, loss, backward, optimiser. unseam trains the network and the patch that it plans for these
images; the others have a network of the same widths and depth, the same number of patches a step, and, where
convolutions are padded, the next smaller patch that halves evenly. Each has the loss, the optimiser and the
augmentation of its users: the plain loop has our weight maps, computed beforehand, and our kinds of change;
MONAI the same changes and Dice with cross entropy; nnU-Net its own of both, without elastic deformation.

**What a patch is worth differs**: without padding the network labels the middle of the patch, for which it
sees all surroundings; with padding it labels all of it, of which the rim is seen half. So both are counted:
patches, and pixels that have a label. The loop of each run starts anew, so that nobody lives on patches made
while others ran; of 0 and 2 background processes the faster number is kept."""

TINY = {"network": {"base_width": 4, "depth": 2}, "train": {"patch": (60, 60), "batch": 2}}


def rows(options: Options) -> Iterator[Row]:
    """One contest; a step for each image."""
    size, steps = (128, 2) if options.quick else (512, 12)
    settings = planned(steps, size, TINY if options.quick else {})
    where = {"images": steps, "size": size, "steps": steps}
    title = f"{settings['train']['batch']} patches a step, base width {settings['network']['base_width']}"
    yield Row(title, list(_contestants(settings, where, options)), 5, "patch", 1, patience=300)


def planned(images: int, size: int, chosen: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What `unseam train` plans for these images, as settings; some may be chosen."""
    samples = synthetic_set(images, shape=(size, size), seed=0)
    seen = fingerprint(
        [one.image for one in samples],
        [one.labels for one in samples],
        spacings=[one.spacing for one in samples],
        task="instances",
    )
    config = preset("default").updated(chosen)
    decided: Config = plan(seen, config, classes=2, device="cpu").config
    keys = ("base_width", "depth", "batch_norm", "in_channels", "classes", "spatial_dims")
    assert decided.train.patch
    return {
        "network": {key: getattr(decided.network, key) for key in keys},
        "train": {"patch": list(decided.train.patch), "batch": decided.train.batch},
    }


def _contestants(
    settings: dict[str, Any], where: Mapping[str, int], options: Options
) -> Iterator[Contestant]:
    yield Contestant(
        "**unseam**",
        sys.executable,
        "training_unseam.py",
        {"settings": settings, **where},
        "as it comes: bfloat16 where the processor has it, channels last",
    )
    if options.quick:
        return
    single = {**settings, "train": {**settings["train"], "precision": "float32"}}
    yield Contestant("unseam", sys.executable, "training_unseam.py", {"settings": single, **where}, "float32")
    network = {key: settings["network"][key] for key in ("base_width", "depth", "batch_norm")}
    patch, batch = settings["train"]["patch"][0], settings["train"]["batch"]
    labelled = network_geometry(Config().updated(settings).network).output((patch, patch))[0]
    even = patch - patch % 2 ** network["depth"]
    common = {"network": network, "batch": batch, **where}
    yield from _plain({**common, "patch": patch, "labelled": labelled, "padded": False})
    yield from _padded({**common, "patch": even, "labelled": even, "padded": True})
    yield from _monai({**common, "patch": even})
    yield from _nnunet({**common, "patch": even})


def _plain(common: dict[str, Any]) -> Iterator[Contestant]:
    augment, deform = peer("augment"), peer("elasticdeform")
    yield _loop(deform, "elasticdeform", "float32", common, note="the same network")
    yield _loop(augment, "albumentations", "float32", common, note="the same network")
    yield _loop(augment, "albumentations", "bfloat16", common, note="the same network", best=True)


def _padded(common: dict[str, Any]) -> Iterator[Contestant]:
    yield _loop(peer("augment"), "albumentations", "float32", common, note="padded twin")
    yield _loop(peer("augment"), "albumentations", "bfloat16", common, note="padded twin", best=True)


def _loop(
    python: str, augmenter: str, dtype: str, common: dict[str, Any], *, note: str, best: bool = False
) -> Contestant:
    arguments = {**common, "augmenter": augmenter, "dtype": dtype, "best": best}
    words = f"{note}, {augmenter}, {dtype}" + ", channels last, its fastest deformation" * best
    return Contestant("PyTorch loop", python, "training_plain.py", arguments, words)


def _monai(common: dict[str, Any]) -> Iterator[Contestant]:
    def one(note: str, **how: Any) -> Contestant:
        return Contestant("MONAI", peer("monai"), "training_monai.py", {**common, **how}, note)

    as_it_comes = {"dtype": "float32", "best": False}
    yield one("BasicUNet of as many parameters, float32", own=True, **as_it_comes)
    yield one("padded twin, float32", own=False, **as_it_comes)
    note = "padded twin, bfloat16, channels last, one Rand2DElasticd for all"
    yield one(note, own=False, dtype="bfloat16", best=True)


def _nnunet(common: dict[str, Any]) -> Iterator[Contestant]:
    def one(note: str, **how: Any) -> Contestant:
        return Contestant("nnU-Net", peer("nnunet"), "training_nnunet.py", {**common, **how}, note)

    yield one(
        "its trainer as it comes: deep supervision, float32, 2 processes",
        deep=True,
        dtype="float32",
        workers=[2],
    )
    yield one("without deep supervision, float32", deep=False, dtype="float32", workers=[0, 2])
    note = "without deep supervision, bfloat16, channels last"
    yield one(note, deep=False, dtype="bfloat16", workers=[0, 2])


def page(record: Record) -> str:
    """Two ratios: by patches, and by pixels with a label."""
    return "\n".join(map(_table, record.rows))


def _table(row: Measured) -> str:
    lines = [
        f"### {row.title}\n",
        "| | ratio, patches | ratio, labelled pixels | patches/s | labelled Mpixel/s | read Mpixel/s "
        "| a run (quartiles), s | processes | settings |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_line(one, row.results[0]) for one in row.results),
    ]
    return "\n".join(lines) + "\n"


def _line(one: Result, ours: Result) -> str:
    if not one.seconds:
        return f"| {one.name} | | | | | | {one.failure} | | {one.note} |"
    ratios = [figure(_rate(ours, key) / _rate(one, key)) if ours.seconds else "" for key in _KEYS[:2]]
    rates = [_rate(one, key) for key in _KEYS]
    figures = [*ratios, figure(rates[0]), figure(rates[1] / 1e6), figure(rates[2] / 1e6)]
    return (
        f"| {one.name} | {' | '.join(figures)} | {spread(one.seconds)} | {one.said.get('workers', '')} | "
        f"{one.note} |"
    )


_KEYS = ("patches", "labelled_pixels", "input_pixels")


def _rate(one: Result, key: str) -> float:
    return float(one.said[key]) / statistics.median(one.seconds)
