"""What is suspicious about the labels: too few, too many, of odd size or form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unseam.data.check.finding import Finding, error, listed, note, placed, warning
from unseam.data.sample import IGNORE, Sample
from unseam.fingerprint import equivalent_diameter

FULL = 0.999  # share of labelled pixels in objects; a few stray background pixels change nothing
TINY = 5  # pixels; fewer have no shape, and mostly come from a slip of the brush
LARGE = 1 / 3  # share of the image; mostly background that was given a number
PIECE_SIZE, PIECE_SHARE = 10, 0.01  # pixels, share of the object; smaller ones are specks at its outline
STRAIGHT, STRAIGHT_PIXELS = 0.8, 15  # of the smaller diameter; hand-drawn polygons make 13 pixels
MANY_CLASSES = 20  # a larger label is more likely an object's number


def amounts(samples: Sequence[Sample]) -> Iterator[Finding]:
    """How much of each image is labelled."""
    unknown = [sample.stem for sample in samples if not (sample.labels != IGNORE).any()]
    empty = [s.stem for s in samples if s.stem not in unknown and not (s.labels > 0).any()]
    if len(unknown) + len(empty) == len(samples):
        yield error(None, "no image holds a labelled object; check that the labels were saved")
        return
    if unknown:
        yield warning(None, f"every pixel is marked unknown in {listed(unknown)}; annotate or leave out")
    if empty:
        yield warning(
            None, f"no object is labelled in {listed(empty)}; check that there is none to be seen there"
        )
    for sample in samples:
        known = sample.labels[sample.labels != IGNORE]
        if known.size and known.max() > 0 and (known == known.max()).mean() >= FULL:
            yield warning(
                sample.stem,
                f"label {known.max()} covers the whole image; check that background is 0, and labels are "
                "not inverted",
            )


def classes_of(samples: Sequence[Sample]) -> Iterator[Finding]:
    """More classes than there can be."""
    highest = max(int(sample.labels.max()) for sample in samples)
    if highest > MANY_CLASSES:
        yield warning(
            None,
            f"labels go up to {highest}, which is many for classes; if they number objects, give --task "
            "instances",
        )


def objects_of(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Objects of odd size or form."""
    tiny: list[str] = []
    tiled: list[str] = []
    for sample in samples:
        labels, ids = _dense(sample.labels)
        sizes = np.bincount(labels.ravel(), minlength=ids.size)
        sizes[0] = (sample.labels == 0).sum()
        if few := int(((sizes[1:] > 0) & (sizes[1:] < TINY)).sum()):
            tiny.append(f"{sample.stem} ({few})")
        if (sizes[1:] > 0).sum() > 1 and sizes[0] <= (1 - FULL) * sizes.sum():
            tiled.append(sample.stem)
        yield from _large(sample.stem, ids, sizes)
        yield from _pieces(sample.stem, labels, ids)
        yield from _straight(sample.stem, labels, ids, sizes)
    if tiny:
        yield note(
            None,
            f"there are objects of fewer than {TINY} pixels, their number in brackets, in {listed(tiny)}; "
            "erase those that are slips of the brush",
        )
    if tiled:
        yield note(
            None,
            f"objects leave no background in {listed(tiled)}; check that the background is 0, unless "
            "objects do fill the images",
        )


def _dense(labels: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Labels without `IGNORE`, numbered densely where their ids are far apart, and the ids by number."""
    if labels.max() <= max(labels.size, 1 << 16):
        return np.maximum(labels, 0), np.arange(int(labels.max(initial=0)) + 1)
    ids, dense = np.unique(np.append(np.maximum(labels, 0), 0), return_inverse=True)
    return dense[:-1].reshape(labels.shape).astype(np.int32), ids.astype(np.int64)


def _large(stem: str, ids: NDArray[np.int64], sizes: NDArray[np.int64]) -> Iterator[Finding]:
    share = sizes / max(int(sizes.sum()), 1)
    for label in np.flatnonzero((share > LARGE) & (share < FULL) & (ids > 0)):
        yield warning(
            stem,
            f"object {ids[label]} covers {share[label]:.0%} of the image; check that it is one object, and "
            "not background",
        )


def _pieces(stem: str, labels: NDArray[np.int32], ids: NDArray[np.int64]) -> Iterator[Finding]:
    """Objects made of several pieces that do not touch even by a corner."""
    corners = np.ones((3,) * labels.ndim, np.bool_)
    found: list[str] = []
    counts: list[int] = []
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        pieces, _ = ndimage.label(labels[box] == label, corners)
        sizes = np.bincount(pieces.ravel())[1:]
        real = np.flatnonzero(sizes >= max(PIECE_SIZE, PIECE_SHARE * sizes.max()))
        if real.size > 1:
            counts.append(real.size)
            ends = real[np.argsort(-sizes[real], kind="stable")[:2]]
            corner = [axis.start for axis in box]
            places = (
                [np.argwhere(pieces == piece + 1)[0] + corner for piece in ends] if len(found) < 3 else []
            )
            found.append(f"object {ids[label]} ({' and '.join(placed(place) for place in places)})")
    if counts and len(ids) == 2:
        yield warning(
            stem,
            f"label {ids[1]} is one object of {max(counts)} pieces; if each piece is an object, give each a "
            "number of its own",
        )
    elif counts:
        verb = "consists" if len(counts) == 1 else "consist"
        yield warning(
            stem,
            f"{listed(found)} {verb} of pieces apart from each other; number them apart unless they are one",
        )


def _straight(
    stem: str, labels: NDArray[np.int32], ids: NDArray[np.int64], sizes: NDArray[np.int64]
) -> Iterator[Finding]:
    """Neighbours that share a long and perfectly straight border, as cut at the edge of a tile."""
    keys: list[NDArray[np.int64]] = []
    planes: list[NDArray[np.int64]] = []
    for axis in range(labels.ndim):
        moved = np.moveaxis(labels, axis, 0)
        places = np.nonzero((moved[1:] != moved[:-1]) & (moved[1:] > 0) & (moved[:-1] > 0))
        ends = np.sort([moved[:-1][places], moved[1:][places]], axis=0).astype(np.int64)
        keys.append(ends[0] * ids.size + ends[1])
        planes.append(places[0] * labels.ndim + axis)
    pairs, which, faces = np.unique(np.concatenate(keys), return_inverse=True, return_counts=True)
    plane = np.concatenate(planes)
    low, high = np.full(pairs.size, np.iinfo(np.int64).max), np.full(pairs.size, -1)
    np.minimum.at(low, which, plane)
    np.maximum.at(high, which, plane)
    first, second = np.divmod(pairs, ids.size)
    lengths = faces if labels.ndim == 2 else equivalent_diameter(faces, 2)
    least = STRAIGHT * equivalent_diameter(np.minimum(sizes[first], sizes[second]), labels.ndim)
    cut = np.flatnonzero((low == high) & (lengths >= np.maximum(least, STRAIGHT_PIXELS)))
    if cut.size:
        names = [
            f"{ids[first[k]]} and {ids[second[k]]} ({'zyx'[low[k] % labels.ndim - labels.ndim]} "
            f"{low[k] // labels.ndim})"
            for k in cut
        ]
        several = np.bincount(np.unique(low[cut], return_inverse=True)[1]).max() > 1
        yield (warning if several else note)(
            stem,
            f"objects {listed(names)} meet in a long straight line, as if cut at the edge of a tile; join "
            "them where they are one",
        )
