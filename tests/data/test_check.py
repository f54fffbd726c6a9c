"""What is suspicious in a set: each slip is found, a clean set gives nothing, real sets give the truth."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from unseam.data.check import MIRRORED, Finding, check_samples
from unseam.data.sample import Sample
from unseam.errors import ConfigError

SIZE = 128


def discs(seed: int, *, bright: float = 100.0, stem: str | None = None) -> Sample:
    """Twelve discs of radius 7 that do not touch, brighter than the noise around them."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((SIZE, SIZE), np.int32)
    cells = rng.choice(36, 12, replace=False)  # of 6 x 6 cells of 20 pixels
    y, x = np.ogrid[:SIZE, :SIZE]
    for number, cell in enumerate(cells, 1):
        centre = 12 + 20 * np.array(divmod(int(cell), 6)) + rng.integers(-2, 3, 2)
        labels[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= 49] = number
    image = 120 + bright * (labels > 0) + rng.normal(0, 5, labels.shape)
    return Sample(stem or f"im{seed}", np.clip(image, 0, 250).astype(np.uint8)[None], labels)


def clean(count: int = 5) -> list[Sample]:
    return [discs(seed) for seed in range(count)]


def with_labels(sample: Sample, labels: Any) -> Sample:
    return replace(sample, labels=np.ascontiguousarray(labels).astype(np.int32))


def changed(change: Callable[[Sample], Sample], count: int = 5) -> list[Finding]:
    """Findings of a clean set of which image 1 was changed."""
    samples = clean(count)
    samples[1] = change(samples[1])
    return check_samples(samples, task="instances")


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


@pytest.mark.parametrize("bright", [100.0, -100.0])
def test_a_clean_set_gives_nothing(bright: float) -> None:
    assert check_samples([discs(seed, bright=bright) for seed in range(5)], task="instances") == []
    flat = [with_labels(discs(seed), discs(seed).labels > 0) for seed in range(5)]
    assert check_samples(flat, task="semantic") == []


def test_errors_come_first_and_notes_last() -> None:
    broken = replace(discs(0), image=np.full((1, SIZE, SIZE), np.nan))
    found = check_samples([discs(1), replace(discs(1), stem="b"), broken], task="instances")
    assert [finding.severity for finding in found] == ["error", "warning", "note"]


def test_unknown_task_is_refused() -> None:
    with pytest.raises(ConfigError, match="task is 'cells'; expected one of: instances, semantic"):
        check_samples(clean(), task="cells")


def test_no_image() -> None:
    assert "give at least one image" in only(check_samples([], task="instances")).message


def test_few_images() -> None:
    found = only(check_samples(clean(3), task="instances"))
    assert (found.severity, found.stem) == ("note", None)
    assert found.message == (
        "3 annotated images are too few to hold one out and judge the model by it; annotate 4 or more"
    )


def test_sizes_differ() -> None:
    found = only(changed(lambda s: with_labels(s, s.labels[:, 1:])))
    assert found == Finding(
        "error",
        "im1",
        "the image is 128 x 128 pixels, its labels are 128 x 127; check that they belong together",
    )


def test_sizes_with_axes_exchanged() -> None:
    narrow = replace(discs(1), image=discs(1).image[:, :, :100])
    found = check_samples([*clean(3), with_labels(narrow, narrow.image[0].T > 200)], task="instances")
    assert found[0].message.endswith("its labels are 100 x 128; exchange the labels' axes")


def test_channels_and_dimensions_differ() -> None:
    found = changed(lambda s: replace(s, image=np.repeat(s.image, 3, axis=0)))
    assert only(found).message == (
        "the images differ in channels (1 in im0, im2, im3 and 1 more; 3 in im1); train on one kind at a time"
    )
    found = changed(lambda s: replace(s, image=s.image[:, None], labels=s.labels[None]))
    assert only(found).severity == "error"
    assert "differ in dimensions (2 in im0, im2, im3 and 1 more; 3 in im1)" in only(found).message


def test_pixel_sizes() -> None:
    known = [replace(s, spacing=(0.2, 0.2)) for s in clean()]
    assert check_samples([*known[1:], replace(known[0], spacing=(0.2, 0.205))], task="instances") == []
    found = only(check_samples([*known[1:], replace(known[0], spacing=(0.2, 0.4))], task="instances"))
    assert found.message.startswith("pixel sizes range from 0.2 x 0.2 to 0.2 x 0.4 µm; resample")
    found = only(check_samples([*known[1:], replace(known[0], spacing=None)], task="instances"))
    assert (found.severity, "not known of im0; give it" in found.message) == ("note", True)


def test_intensity_scale() -> None:
    found = only(changed(lambda s: replace(s, image=s.image / 255)))
    assert (found.severity, found.stem) == ("warning", "im1")
    assert "saved like the others" in found.message
    assert changed(lambda s: replace(s, image=s.image.astype(np.uint16) * 10)) == []


def test_no_object() -> None:
    found = only(changed(lambda s: with_labels(s, np.zeros_like(s.labels))))
    assert (found.severity, "no object is labelled in im1" in found.message) == ("warning", True)
    empty = [with_labels(s, np.zeros_like(s.labels)) for s in clean()]
    assert only(check_samples(empty, task="semantic")).severity == "error"


def test_nothing_known() -> None:
    found = only(changed(lambda s: with_labels(s, np.full_like(s.labels, -1))))
    assert "every pixel is marked unknown in im1" in found.message


def test_one_label_covers_everything() -> None:
    found = only(changed(lambda s: with_labels(s, np.ones_like(s.labels))))
    assert found.message.startswith("label 1 covers the whole image")


def test_background_numbered_as_an_object() -> None:
    found = changed(lambda s: with_labels(s, s.labels + 1))
    assert "object 1 covers 89% of the image" in found[0].message
    assert found[-1].message.startswith("objects leave no background in im1")


def test_twins() -> None:
    first = discs(0)
    same = replace(first, stem="copy")
    assert (
        "image and labels equal those of im0"
        in only(check_samples([*clean(), same], task="instances")).message
    )
    other = with_labels(same, np.where(first.labels == 1, 0, first.labels))
    found = only(check_samples([*clean(), other], task="instances"))
    assert (found.stem, found.message) == (
        "copy",
        "the image equals im0, the labels do not; keep the better labels",
    )
    labels = changed(lambda s: replace(s, labels=discs(0).labels))
    assert any("the labels equal those of im0, the image does not" in found.message for found in labels)


def test_pixels_that_are_no_numbers() -> None:
    image = discs(1).image.astype(np.float32)
    image[0, 3, 4] = np.nan
    found = only(changed(lambda s: replace(s, image=image)))
    assert found == Finding("error", "im1", "1 pixel is NaN or infinite; replace by numbers")
    image[0, 3, 5] = np.inf
    assert only(changed(lambda s: replace(s, image=image))).message.startswith("2 pixels are NaN")


def test_constant_image() -> None:
    found = changed(lambda s: replace(s, image=np.full_like(s.image, 7)))
    assert found[0].message == "every pixel has the same intensity, 7; check the image file"


@pytest.mark.parametrize(
    ("kind", "top"), [("uint8", 255), ("uint16", 4095), ("uint16", 65535), ("float32", 9.5)]
)
def test_saturated(kind: str, top: float) -> None:
    def stretch(sample: Sample) -> Sample:
        values = np.minimum(sample.image.astype(float) * top / 215, top)  # half of the discs is above 215
        return replace(sample, image=values.astype(kind))

    samples = [stretch(sample) for sample in clean()]
    found = check_samples(samples, task="instances")
    assert len(found) == 5
    share = float((samples[0].image == samples[0].image.max()).mean())
    assert 0.02 < share < 0.12
    assert found[0].message.startswith(f"{share:.1%} of the pixels are saturated at {top:g}")


def test_few_grey_values_are_not_saturated() -> None:
    assert check_samples([replace(s, image=s.image // 25) for s in clean()], task="instances") == []


def test_object_of_two_pieces() -> None:
    found = only(changed(lambda s: with_labels(s, np.where(s.labels == 7, 3, s.labels))))
    labels = discs(1).labels
    ends = [tuple(np.argwhere(labels == k)[0]) for k in (3, 7)]
    assert found.message.startswith("object 3 (")
    assert all(f"y {y}, x {x}" in found.message for y, x in ends)
    assert "consists of pieces apart" in found.message


def test_specks_and_corners_are_no_pieces() -> None:
    def speck(sample: Sample) -> Sample:
        labels = sample.labels.copy()
        free = np.argwhere(ndimage.binary_dilation(labels > 0, iterations=3) == 0)[0]
        labels[tuple(free)] = 1
        return with_labels(sample, labels)

    assert changed(speck) == []
    corner = np.zeros((SIZE, SIZE), np.int32)
    corner[10:15, 10:15] = corner[15:20, 15:20] = 1
    corner[50:60, 50:60] = 2
    one = Sample("one", (120 + 100 * (corner > 0)).astype(np.uint8)[None], corner)
    assert check_samples([*clean(), one], task="instances") == []


def test_a_mask_in_place_of_instances() -> None:
    found = only(changed(lambda s: with_labels(s, s.labels > 0)))
    assert found.message.startswith("label 1 is one object of 12 pieces; if each piece is an object")


def test_object_names_are_those_of_the_file() -> None:
    found = only(changed(lambda s: with_labels(s, np.where(s.labels == 7, 3, s.labels) * 150_000_000)))
    assert found.message.startswith("object 450000000 (")


def block(*, height: int, second: int, count: int = 1) -> Sample:
    """Pairs of rectangles side by side at x 40; the second of each pair `second` rows lower."""
    labels = np.zeros((SIZE, SIZE), np.int32)
    for k in range(count):
        top = 5 + 45 * k
        labels[top : top + height, 20:40] = 2 * k + 1
        labels[top + second : top + second + height, 40:60] = 2 * k + 2
    noise = np.random.default_rng(9).normal(0, 5, labels.shape)
    return Sample("cut", (120 + 100 * (labels > 0) + noise).astype(np.uint8)[None], labels)


def test_straight_contact() -> None:
    # 20 x 30 pixels: diameter 27.6, of which 0.8 is 22.1; 30 rows in contact, then 22
    found = only(check_samples([*clean(), block(height=30, second=0)], task="instances"))
    assert (found.severity, found.stem) == ("note", "cut")
    assert found.message.startswith("objects 1 and 2 (x 39) meet in a long straight line")
    found = only(check_samples([*clean(), block(height=30, second=0, count=2)], task="instances"))
    assert found.severity == "warning"  # twice on one line: a tile's edge
    assert check_samples([*clean(), block(height=30, second=8)], task="instances") == []


def test_straight_contact_in_3d() -> None:
    labels = np.zeros((24, 40, 40), np.int32)
    labels[2:12, 5:35, 5:35], labels[12:22, 5:35, 5:35] = 4, 9
    image = (120 + 100 * (labels > 0) + np.arange(40)).astype(np.uint8)[None]
    found = check_samples([Sample("cut", image, labels)], task="instances")
    assert any(finding.message.startswith("objects 4 and 9 (z 11) meet") for finding in found)


def test_bent_contact_is_no_cut() -> None:
    cut = block(height=30, second=0)
    labels = cut.labels.copy()
    labels[20, 40] = 1
    assert check_samples([*clean(), with_labels(cut, labels)], task="instances") == []


def test_tiny_objects() -> None:
    def dot(sample: Sample) -> Sample:
        labels = sample.labels.copy()
        labels[0, :4] = 99
        return with_labels(sample, labels)

    found = only(changed(dot))
    assert (found.severity, "fewer than 5 pixels" in found.message) == ("note", True)
    assert "in im1 (1);" in found.message


def test_many_classes() -> None:
    samples = [with_labels(s, s.labels * 2) for s in clean()]
    found = only(check_samples(samples, task="semantic"))
    assert "labels go up to 24" in found.message
    assert "--task instances" in found.message


@pytest.mark.parametrize("bright", [100.0, -100.0])
def test_exchanged_labels(bright: float) -> None:
    a, b, *others = [discs(seed, bright=bright) for seed in range(6)]
    found = check_samples([with_labels(a, b.labels), with_labels(b, a.labels), *others], task="instances")
    assert [finding.stem for finding in found] == ["im0", "im1"]
    assert found[0].message.startswith("the labels of im1 fit this image better than its own (correlation")


def test_textured_objects_exchanged() -> None:
    def textured(seed: int) -> Sample:
        s = discs(seed)
        noise = np.random.default_rng(seed).normal(0, np.where(s.labels > 0, 30, 3))
        return replace(s, image=(120 + noise)[None])

    samples = [textured(seed) for seed in range(6)]
    assert check_samples(samples, task="instances") == []
    samples[0], samples[1] = (with_labels(samples[k], samples[1 - k].labels) for k in (0, 1))
    assert [finding.stem for finding in check_samples(samples, task="instances")] == ["im0", "im1"]


@pytest.mark.parametrize("turn", MIRRORED)
def test_turned_labels(turn: str) -> None:
    found = only(changed(lambda s: with_labels(s, MIRRORED[turn](s.labels))))
    assert (found.stem, found.message) == (
        "im1",
        f"the labels of im1 fit better {turn}; check how they were saved",
    )
    found = only(check_samples([with_labels(s, MIRRORED[turn](s.labels)) for s in clean()], task="instances"))
    assert found.message.startswith(f"the labels of im0, im1, im2 and 2 more fit better {turn}")


def test_partly_annotated() -> None:
    found = only(changed(lambda s: with_labels(s, np.where(s.labels > 2, 0, s.labels))))
    assert (found.severity, found.stem) == ("note", "im1")
    assert found.message.endswith("check that these are its labels, and all of them")
    assert changed(lambda s: with_labels(s, np.where(s.labels > 2, -1, s.labels))) == []  # said to be unknown


def test_noise_tells_nothing_about_labels() -> None:
    rng = np.random.default_rng(0)
    samples = [replace(s, image=rng.normal(100, 9, s.image.shape)) for s in clean()]
    assert check_samples(samples, task="instances") == []


def nuclei(folder: Path) -> list[Sample]:
    with (folder / "dsb2018" / "index.csv").open() as rows:
        stems = [row["id"] for row in csv.DictReader(rows) if row["split"] == "train"]
    return [
        Sample(
            stem,
            np.asarray(Image.open(folder / "dsb2018" / "images" / f"{stem}.png"))[None],
            tifffile.imread(folder / "dsb2018" / "labels" / f"{stem}.tif").astype(np.int32),
        )
        for stem in stems
    ]


def membranes(folder: Path) -> list[Sample]:
    samples = []
    for stem in [f"{k:02d}" for k in range(30)]:
        image, mask = (
            np.asarray(Image.open(folder / "isbi2012" / kind / f"{stem}.png"))
            for kind in ("images", "labels")
        )
        samples.append(Sample(stem, image[None], ndimage.label(mask > 0)[0].astype(np.int32)))
    return samples


@pytest.mark.real
def test_real_sets_as_they_are(real_data: Path) -> None:
    found = only(check_samples(nuclei(real_data), task="instances"))
    assert (found.severity, found.stem) == (
        "note",
        "0402a81e",
    )  # one nucleus in two halves, or two side by side
    assert check_samples(membranes(real_data), task="instances") == []


@pytest.mark.real
@pytest.mark.parametrize("read", [nuclei, membranes])
def test_real_labels_exchanged(real_data: Path, read: Callable[[Path], list[Sample]]) -> None:
    samples = read(real_data)
    rng = np.random.default_rng(0)
    for _ in range(4):
        first = int(rng.integers(len(samples)))
        alike = [
            k for k, s in enumerate(samples) if s.labels.shape == samples[first].labels.shape and k != first
        ]
        second = int(rng.choice(alike))
        wrong = list(samples)
        wrong[first] = with_labels(samples[first], samples[second].labels)
        wrong[second] = with_labels(samples[second], samples[first].labels)
        found = {f.stem for f in check_samples(wrong, task="instances") if "better than its own" in f.message}
        assert found == {samples[first].stem, samples[second].stem}


@pytest.mark.real
def test_real_cells_of_which_most_are_not_annotated(real_data: Path) -> None:
    folder = real_data / "DIC-C2DH-HeLa"
    samples = []
    for sequence in ("01", "02"):
        for name in sorted((folder / f"{sequence}_GT" / "SEG").glob("man_seg*.tif")):
            image = tifffile.imread(folder / sequence / f"t{name.stem[-3:]}.tif")
            labels = tifffile.imread(name).astype(np.int32)
            samples.append(Sample(f"{sequence}_{name.stem[-3:]}", image[None], labels))
    found = only(check_samples(samples, task="instances"))
    assert (found.severity, found.stem) == ("note", "01_067")  # 3 of 18 cells, says the source
