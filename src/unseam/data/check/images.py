"""What is suspicious about the images: kinds that differ, pixels that say nothing, one image twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.data.check.finding import Finding, by, counted, error, listed, note, warning
from unseam.data.sample import FEWEST_TO_HOLD_OUT, Sample, array_digest

SATURATED = 0.02  # share of a channel at its maximum; well exposed cells stay below 0.5 %
CLIPPED_TO = 16  # a pile of clipped pixels holds more than the sixteenth of the range below it
SCALE_RATIO = 30.0  # of intensity ranges; exposure alone makes 10, a change of number format 100 and more
SPACING_RATIO = 1.05  # of pixel sizes; a smaller difference is far below what augmentation covers


def kinds(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Number of images, channels and dimensions."""
    if len(samples) < FEWEST_TO_HOLD_OUT:
        yield note(
            None,
            f"{counted(len(samples), 'annotated image')} {'is' if len(samples) == 1 else 'are'} too few to "
            f"hold one out and judge the model by it; annotate {FEWEST_TO_HOLD_OUT} or more",
        )
    for what, numbers in (
        ("channels", [len(sample.image) for sample in samples]),
        ("dimensions", [sample.image.ndim - 1 for sample in samples]),
    ):
        groups: dict[int, list[str]] = defaultdict(list)
        for number, sample in zip(numbers, samples, strict=True):
            groups[number].append(sample.stem)
        if len(groups) > 1:
            parts = "; ".join(f"{number} in {listed(stems)}" for number, stems in sorted(groups.items()))
            yield error(None, f"the images differ in {what} ({parts}); train on one kind at a time")


def scales(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Pixel sizes and intensity ranges that differ."""
    known = [sample.spacing for sample in samples if sample.spacing is not None]
    if 0 < len(known) < len(samples):
        unknown = listed([sample.stem for sample in samples if sample.spacing is None])
        yield note(None, f"the pixel size is not known of {unknown}; give it with --pixel-size")
    if len({len(spacing) for spacing in known}) == 1:
        low, high = np.min(known, axis=0), np.max(known, axis=0)
        if (high > SPACING_RATIO * low).any():
            ends = f"{by(low.tolist())} to {by(high.tolist())} µm"
            yield warning(None, f"pixel sizes range from {ends}; resample the images to one pixel size")
    spans = {sample.stem: span for sample in samples if (span := _span(sample.image)) > 0}
    middle = float(np.median(list(spans.values()))) if spans else 0.0
    for stem, span in spans.items():
        if max(span / middle, middle / span) > SCALE_RATIO:
            yield warning(
                stem,
                f"the intensities span {span:.3g}, those of the other images about {middle:.3g}; check that "
                "the image was saved like the others",
            )


def twins(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Images, or labels, that equal an earlier one's."""
    images: dict[bytes, Sample] = {}
    labels: dict[bytes, Sample] = {}
    for sample in samples:
        twin = images.setdefault(array_digest(sample.image), sample)
        other = labels.setdefault(array_digest(sample.labels), sample)
        if twin is not sample and np.ptp(sample.image) > 0:
            if np.array_equal(twin.labels, sample.labels):
                yield warning(sample.stem, f"image and labels equal those of {twin.stem}; remove one")
            else:
                yield warning(
                    sample.stem, f"the image equals {twin.stem}, the labels do not; keep the better labels"
                )
        elif other is not sample and np.ptp(sample.labels) > 0:
            yield warning(
                sample.stem, f"the labels equal those of {other.stem}, the image does not; check the files"
            )


def pixels(sample: Sample) -> Iterator[Finding]:
    """NaN, constant and saturated images."""
    bad = int(sample.image.size - np.isfinite(sample.image).sum())
    if bad:
        verb = "is" if bad == 1 else "are"
        yield error(sample.stem, f"{counted(bad, 'pixel')} {verb} NaN or infinite; replace by numbers")
    elif np.ptp(sample.image) == 0:
        value = sample.image.flat[0]
        yield warning(sample.stem, f"every pixel has the same intensity, {value:g}; check the image file")
    else:
        share, top = max((_saturation(plane), float(plane.max())) for plane in sample.image)
        if share > SATURATED:
            yield warning(
                sample.stem,
                f"{share:.1%} of the pixels are saturated at {top:g}; use an image exposed less, or saved "
                "without contrast stretching",
            )


def _saturation(plane: NDArray[Any]) -> float:
    """Share of the pixels at the maximum, or 0 where the maximum is no pile of clipped ones."""
    low, top = float(plane.min()), float(plane.max())
    share = float((plane == plane.max()).mean())
    camera = np.issubdtype(plane.dtype, np.integer) and top in {2**bits - 1 for bits in (8, 10, 12, 14, 16)}
    if share <= SATURATED or low == top or camera:
        return share
    levels = np.unique(plane.reshape(-1)[:: 1 + plane.size // (1 << 16)]).size
    below = (plane >= top - (top - low) / CLIPPED_TO).mean() - share
    return share if levels > 2 * CLIPPED_TO and share > below else 0.0


def sizes(sample: Sample) -> Iterator[Finding]:
    """Labels of another size than their image."""
    size, other = sample.image.shape[1:], sample.labels.shape
    if size != other:
        hint = "exchange the labels' axes" if size == other[::-1] else "check that they belong together"
        yield error(sample.stem, f"the image is {by(size)} pixels, its labels are {by(other)}; {hint}")


def _span(image: NDArray[Any]) -> float:
    """From the 1st to the 99.8th percentile of the finite intensities, roughly."""
    values = image.reshape(-1)[:: 1 + image.size // (1 << 16)].astype(np.float64)
    values = values[np.isfinite(values)]
    return float(np.ptp(np.percentile(values, [1, 99.8]))) if values.size else 0.0
