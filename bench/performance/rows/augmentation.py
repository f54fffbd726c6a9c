"""Augmentation alone: patches of image, classes and weights, all kinds of change in each."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bench.performance.contest import Contestant, peer
from bench.performance.page import row_page
from bench.performance.record import Measured, Options, Record, Row

ORDER = 4
TITLE = "Augmentation"
INTRODUCTION = """\
A patch of 256x256 pixels of image, classes and weight map, drawn from 12 images of 512x512 in memory. Each is
shifted, rotated by any angle, mirrored, scaled, elastically deformed, and changed in contrast, brightness and
gamma, as far as unseam's defaults go. Everyone has **one thread**, whatever the last line says of threads.
Before it is timed each has to show, on an image of coordinates, that it rotates, mirrors, scales and deforms
image and classes alike; what was seen is under the table."""


def rows(options: Options) -> Iterator[Row]:
    """One contest."""
    size, patch, count = (128, 64, 4) if options.quick else (512, 256, 60)
    common = {"images": 2 if options.quick else 12, "size": size, "patch": patch, "patches": count}
    yield Row(f"{patch}x{patch}", list(_contestants(common, options)), 7, "patch", 1)


def _contestants(common: dict[str, int], options: Options) -> Iterator[Contestant]:
    def one(name: str, module: str, python: str, note: str, *, best: bool = False) -> Contestant:
        arguments = {"augmenter": module, "best": best, **common}
        return Contestant(name, python, "augmentation.py", arguments, note)

    yield one("**unseam**", "ours", sys.executable, "one coordinate map, sampled once for each part")
    if options.quick:
        return
    augment, deform, bg, monai = (peer(name) for name in ("augment", "elasticdeform", "nnunet", "monai"))
    yield one("elasticdeform", "elasticdeform", deform, "as it comes: cubic; the rest in NumPy")
    yield one("elasticdeform", "elasticdeform", deform, "linear, nothing filtered before", best=True)
    yield one("albumentations", "albumentations", augment, "Affine, then ElasticTransform; weights nearest")
    yield one(
        "albumentations",
        "albumentations",
        augment,
        "the same, a rough blur of displacements (17 px)",
        best=True,
    )
    yield one("batchgeneratorsv2", "batchgenerators", bg, "SpatialTransform, each class linear")
    yield one("batchgeneratorsv2", "batchgenerators", bg, "the same, classes nearest", best=True)
    yield one("MONAI", "monai", monai, "RandRotated, RandZoomd, Rand2DElasticd")
    yield one("MONAI", "monai", monai, "all in one Rand2DElasticd", best=True)


def page(record: Record) -> str:
    """The tables, and what the patches showed."""
    return "\n".join(f"{row_page(row)}\n{_shown(row)}" for row in record.rows)


def _shown(row: Measured) -> str:
    lines = [f"- {one.name} ({one.note}): {one.said['movement']}" for one in row.results if one.said]
    return "\n".join(["Shown beforehand by 24 patches each:\n", *lines, ""])
