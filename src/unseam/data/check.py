"""Find what is suspicious in a set of annotated images, before time is spent on training with it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unseam.data.sample import IGNORE, Sample
from unseam.errors import ConfigError
from unseam.fingerprint import TASKS, equivalent_diameter

SEVERITIES = ("error", "warning", "note")

FEW_IMAGES = 3  # with fewer, none can be held out to choose the best model by
SATURATED = 0.02  # share of a channel at its maximum; well exposed cells stay below 0.5 %
CLIPPED_TO = 16  # a pile of clipped pixels holds more than the sixteenth of the range below it
FULL = 0.999  # share of labelled pixels in objects; a few stray background pixels change nothing
TINY = 5  # pixels; fewer have no shape, and mostly come from a slip of the brush
LARGE = 1 / 3  # share of the image; mostly background that was given a number
PIECE_SIZE, PIECE_SHARE = 10, 0.01  # pixels, share of the object; smaller ones are specks at its outline
STRAIGHT, STRAIGHT_PIXELS = 0.8, 15  # of the smaller diameter; hand-drawn polygons make 13 pixels
SCALE_RATIO = 30.0  # of intensity ranges; exposure alone makes 10, a change of number format 100 and more
SPACING_RATIO = 1.05  # of pixel sizes; a smaller difference is far below what augmentation covers
MANY_CLASSES = 20  # a larger label is more likely an object's number
GRID = {2: 64, 3: 32}  # cells an axis on which labels and images are compared, 2-D and 3-D
MOST_COMPARED = 256  # images of one size, which bounds memory and time
MOST_CHANNELS = 4  # compared, for the same reason
WEAK_FIT = 0.2  # mean correlation of labels and image, below which nothing can be told from it
BETTER_FIT = 0.25  # right pairs lose at most 0.12 (cells in time lapse), exchanged ones gain 0.4 mostly
POOR_FIT = 0.5  # of the set's mean; complete labels stay above 0.58 of it, 3 of 18 cells give 0.3
MIRRORED: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "mirrored top to bottom": lambda plane: plane[..., ::-1, :],
    "mirrored left to right": lambda plane: plane[..., ::-1],
    "turned upside down": lambda plane: plane[..., ::-1, ::-1],
    "with rows and columns exchanged": lambda plane: plane.swapaxes(-1, -2),
}


@dataclass(frozen=True)
class Finding:
    """Something suspicious.

    Attributes
    ----------
    severity : str
        "error": training cannot use this; "warning": most likely wrong; "note": good to know.
    stem : str or None
        The image it is about; None where it is about several, or all.
    message : str
        One sentence: what was found, and what to do.
    """

    severity: str
    stem: str | None
    message: str


_error, _warning, _note = (partial(Finding, severity) for severity in SEVERITIES)


def check_samples(samples: Sequence[Sample], *, task: str) -> list[Finding]:
    """Return what is suspicious in a set of annotated images, errors first.

    Parameters
    ----------
    samples : sequence of Sample
        The set; nothing is changed.
    task : str
        "instances" or "semantic".

    Raises
    ------
    ConfigError
        If `task` is neither.

    Notes
    -----
    Whether labels belong to their image is judged by the correlation of the share of foreground with the
    mean intensity, or with its deviation (texture), on a grid of 64 x 64 cells (32^3 in 3-D). Which of the
    two, in which channel, and whether objects are bright or dark, is what fits the set best. Labels of
    another image of the same size, or the own ones mirrored or transposed, that correlate better by 0.25
    are reported. Most of the set must be right, or be wrong in the same way.

    Examples
    --------
    >>> blank = Sample("a", np.zeros((1, 4, 4)), np.zeros((4, 4), np.int32))
    >>> for found in check_samples([blank], task="instances"):
    ...     print(f"{found.severity}: {found.message}")
    error: no image holds a labelled object; check that the labels were saved
    warning: every pixel has the same intensity, 0; check the image file
    note: 1 annotated image is too few to hold one out and judge the model by it; annotate 3 or more
    """
    if task not in TASKS:
        raise ConfigError(f"task is {task!r}; expected one of: {', '.join(TASKS)}")
    if not samples:
        return [_error(None, "no annotated image was given; give at least one image with its labels")]
    findings = [*_kinds(samples), *_scales(samples), *_amounts(samples), *_twins(samples)]
    for sample in samples:
        findings += [*_pixels(sample), *_sizes(sample)]
    findings += _objects(samples) if task == "instances" else _classes(samples)
    findings += _misfits([sample for sample in samples if _comparable(sample)])
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def _kinds(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Number of images, channels and dimensions."""
    if len(samples) < FEW_IMAGES:
        yield _note(
            None,
            f"{_count(len(samples), 'annotated image')} {'is' if len(samples) == 1 else 'are'} too few to "
            f"hold one out and judge the model by it; annotate {FEW_IMAGES} or more",
        )
    for what, numbers in (
        ("channels", [len(sample.image) for sample in samples]),
        ("dimensions", [sample.image.ndim - 1 for sample in samples]),
    ):
        kinds: dict[int, list[str]] = defaultdict(list)
        for number, sample in zip(numbers, samples, strict=True):
            kinds[number].append(sample.stem)
        if len(kinds) > 1:
            parts = "; ".join(f"{number} in {_listed(stems)}" for number, stems in sorted(kinds.items()))
            yield _error(None, f"the images differ in {what} ({parts}); train on one kind at a time")


def _scales(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Pixel sizes and intensity ranges that differ."""
    known = [sample.spacing for sample in samples if sample.spacing is not None]
    if 0 < len(known) < len(samples):
        unknown = _listed([sample.stem for sample in samples if sample.spacing is None])
        yield _note(None, f"the pixel size is not known of {unknown}; give it with --pixel-size")
    if len({len(spacing) for spacing in known}) == 1:
        low, high = np.min(known, axis=0), np.max(known, axis=0)
        if (high > SPACING_RATIO * low).any():
            ends = f"{_by(low.tolist())} to {_by(high.tolist())} µm"
            yield _warning(None, f"pixel sizes range from {ends}; resample the images to one pixel size")
    spans = {sample.stem: span for sample in samples if (span := _span(sample.image)) > 0}
    middle = float(np.median(list(spans.values()))) if spans else 0.0
    for stem, span in spans.items():
        if max(span / middle, middle / span) > SCALE_RATIO:
            yield _warning(
                stem,
                f"the intensities span {span:.3g}, those of the other images about {middle:.3g}; check that "
                "the image was saved like the others",
            )


def _amounts(samples: Sequence[Sample]) -> Iterator[Finding]:
    """How much of each image is labelled."""
    unknown = [sample.stem for sample in samples if not (sample.labels != IGNORE).any()]
    empty = [s.stem for s in samples if s.stem not in unknown and not (s.labels > 0).any()]
    if len(unknown) + len(empty) == len(samples):
        yield _error(None, "no image holds a labelled object; check that the labels were saved")
        return
    if unknown:
        yield _warning(None, f"every pixel is marked unknown in {_listed(unknown)}; annotate or leave out")
    if empty:
        yield _warning(
            None, f"no object is labelled in {_listed(empty)}; check that there is none to be seen there"
        )
    for sample in samples:
        known = sample.labels[sample.labels != IGNORE]
        if known.size and known.max() > 0 and (known == known.max()).mean() >= FULL:
            yield _warning(
                sample.stem,
                f"label {known.max()} covers the whole image; check that background is 0, and labels are "
                "not inverted",
            )


def _twins(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Images, or labels, that equal an earlier one's."""
    images: dict[bytes, Sample] = {}
    labels: dict[bytes, Sample] = {}
    for sample in samples:
        twin = images.setdefault(_digest(sample.image), sample)
        other = labels.setdefault(_digest(sample.labels), sample)
        if twin is not sample and np.ptp(sample.image) > 0:
            if np.array_equal(twin.labels, sample.labels):
                yield _warning(sample.stem, f"image and labels equal those of {twin.stem}; remove one")
            else:
                yield _warning(
                    sample.stem, f"the image equals {twin.stem}, the labels do not; keep the better labels"
                )
        elif other is not sample and np.ptp(sample.labels) > 0:
            yield _warning(
                sample.stem, f"the labels equal those of {other.stem}, the image does not; check the files"
            )


def _pixels(sample: Sample) -> Iterator[Finding]:
    """NaN, constant and saturated images."""
    bad = int(sample.image.size - np.isfinite(sample.image).sum())
    if bad:
        verb = "is" if bad == 1 else "are"
        yield _error(sample.stem, f"{_count(bad, 'pixel')} {verb} NaN or infinite; replace by numbers")
    elif np.ptp(sample.image) == 0:
        value = sample.image.flat[0]
        yield _warning(sample.stem, f"every pixel has the same intensity, {value:g}; check the image file")
    else:
        share, top = max((_saturation(plane), float(plane.max())) for plane in sample.image)
        if share > SATURATED:
            yield _warning(
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


def _sizes(sample: Sample) -> Iterator[Finding]:
    size, other = sample.image.shape[1:], sample.labels.shape
    if size != other:
        hint = "exchange the labels' axes" if size == other[::-1] else "check that they belong together"
        yield _error(sample.stem, f"the image is {_by(size)} pixels, its labels are {_by(other)}; {hint}")


def _classes(samples: Sequence[Sample]) -> Iterator[Finding]:
    highest = max(int(sample.labels.max()) for sample in samples)
    if highest > MANY_CLASSES:
        yield _warning(
            None,
            f"labels go up to {highest}, which is many for classes; if they number objects, give --task "
            "instances",
        )


def _objects(samples: Sequence[Sample]) -> Iterator[Finding]:
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
        yield _note(
            None,
            f"there are objects of fewer than {TINY} pixels, their number in brackets, in {_listed(tiny)}; "
            "erase those that are slips of the brush",
        )
    if tiled:
        yield _note(
            None,
            f"objects leave no background in {_listed(tiled)}; check that the background is 0, unless "
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
        yield _warning(
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
            found.append(f"object {ids[label]} ({' and '.join(_place(place) for place in places)})")
    if counts and len(ids) == 2:
        yield _warning(
            stem,
            f"label {ids[1]} is one object of {max(counts)} pieces; if each piece is an object, give each a "
            "number of its own",
        )
    elif counts:
        verb = "consists" if len(counts) == 1 else "consist"
        yield _warning(
            stem,
            f"{_listed(found)} {verb} of pieces apart from each other; number them apart unless they are one",
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
        yield (_warning if several else _note)(
            stem,
            f"objects {_listed(names)} meet in a long straight line, as if cut at the edge of a tile; join "
            "them where they are one",
        )


def _comparable(sample: Sample) -> bool:
    image = sample.image
    return (
        image.shape[1:] == sample.labels.shape and image.ndim - 1 in GRID and bool(np.isfinite(image).all())
    )


def _misfits(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Labels that fit their image worse than another image's do, or than they do when mirrored."""
    groups: dict[tuple[int, ...], list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.image.shape].append(sample)
    if len({(shape[0], len(shape)) for shape in groups}) != 1:
        return  # none, or of several kinds, which is an error that comes first
    compared = [group[:MOST_COMPARED] for group in groups.values()]
    tables = [_fits(group) for group in compared]
    scores: dict[tuple[int, str], list[float]] = defaultdict(list)
    for table in tables:
        for key, fit in table.items():
            scores[key] += fit.diagonal().tolist()
    (feature, _), total = max(
        ((key, sum(fits)) for key, fits in scores.items()), key=lambda item: abs(item[1])
    )
    mean = total / sum(map(len, compared))
    if abs(mean) < WEAK_FIT:
        return
    turned: dict[str, list[str]] = defaultdict(list)
    for group, table in zip(compared, tables, strict=True):
        fits = {turn: np.sign(mean) * fit for (kind, turn), fit in table.items() if kind == feature}
        for row, sample in enumerate(group):
            turn, other = _better(fits, row, least=abs(mean) / 2)
            if turn:
                turned[turn].append(sample.stem)
            elif other != row:
                yield _warning(
                    sample.stem,
                    f"the labels of {group[other].stem} fit this image better than its own (correlation "
                    f"{fits[''][row, other]:.2f} against {fits[''][row, row]:.2f}); check that the files are "
                    "not exchanged",
                )
            elif 0 != fits[""][row, row] < POOR_FIT * abs(mean):
                yield _note(
                    sample.stem,
                    f"labels and image agree less than elsewhere (correlation {fits[''][row, row]:.2f}, mean "
                    f"{abs(mean):.2f}); check that these are its labels, and all of them",
                )
    for turn, stems in turned.items():
        yield _warning(
            stems[0] if len(stems) == 1 else None,
            f"the labels of {_listed(stems)} fit better {turn}; check how they were saved",
        )


def _better(fits: dict[str, NDArray[np.float64]], row: int, *, least: float) -> tuple[str, int]:
    """Which turn, and whose labels, fit image `row` clearly better: "" and `row` where its own do."""
    other = int(fits[""][row].argmax())
    turn = max(fits, key=lambda turn: float(fits[turn][row, row]))
    least = max(least, float(fits[""][row, row]) + BETTER_FIT)
    if fits[turn][row, row] >= max(least, fits[""][row, other]):
        return turn, row
    return "", other if fits[""][row, other] >= least else row


def _fits(group: Sequence[Sample]) -> dict[tuple[int, str], NDArray[np.float64]]:
    """Correlation of each image (row) with each image's labels (column), by feature and turn of the labels.

    The correlation is weighted by the share of known pixels; it is 0 where either is constant.
    """
    known = np.array([_coarse(sample.labels != IGNORE) for sample in group])
    objects = np.array([_coarse(sample.labels > 0) for sample in group])
    features = np.array([_features(sample.image) for sample in group])  # (images, features, *grid)
    turns: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {"": lambda plane: plane, **MIRRORED}
    square = known.shape[-1] == known.shape[-2] and len(set(group[0].labels.shape[-2:])) == 1
    return {
        (feature, turn): _correlation(features[:, feature], move(objects), move(known))
        for feature in range(features.shape[1])
        for turn, move in turns.items()
        if square or "exchanged" not in turn
    }


def _correlation(images: NDArray[Any], objects: NDArray[Any], known: NDArray[Any]) -> NDArray[np.float64]:
    f, g, w = (stack.reshape(len(stack), -1).astype(np.float64) for stack in (images, objects, known))
    total = np.maximum(w.sum(axis=1), 1e-9)
    mean_f, mean_g = f @ w.T / total, g.sum(axis=1) / total
    share = g / np.maximum(w, 1e-9)
    var_f = f**2 @ w.T / total - mean_f**2
    var_g = (g * share).sum(axis=1) / total - mean_g**2
    spread = np.sqrt(np.maximum(var_f * var_g, 0))
    return np.where(spread > 1e-6, (f @ g.T / total - mean_f * mean_g) / np.maximum(spread, 1e-6), 0.0)


def _features(image: NDArray[Any]) -> list[NDArray[np.float32]]:
    """Mean less its surrounding, and deviation, of each channel in each cell of the grid, scaled to 1."""
    features: list[NDArray[np.float32]] = []
    for plane in image[:MOST_CHANNELS]:
        values = plane.astype(np.float32)
        values = (values - values.mean()) / max(float(values.std()), 1e-30)
        mean = _coarse(values)
        deviation = np.sqrt(np.maximum(_coarse(values**2) - mean**2, 0))
        surround = ndimage.gaussian_filter(mean, GRID[plane.ndim] / 8)
        features += [_scaled(mean - surround), _scaled(deviation)]
    return features


def _coarse(plane: NDArray[Any]) -> NDArray[np.float32]:
    """Means over the cells of the grid."""
    plane = plane.astype(np.float32)
    for axis, size in enumerate(plane.shape):
        cells = min(size, GRID[plane.ndim])
        starts = np.arange(cells) * size // cells
        widths = np.diff(np.append(starts, size)).astype(np.float32)
        plane = np.add.reduceat(plane, starts, axis=axis)
        plane /= widths.reshape([-1 if k == axis else 1 for k in range(plane.ndim)])
    return plane


def _scaled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values / max(float(values.std()), 1e-6)


def _span(image: NDArray[Any]) -> float:
    """From the 1st to the 99.8th percentile of the finite intensities, roughly."""
    values = image.reshape(-1)[:: 1 + image.size // (1 << 16)].astype(np.float64)
    values = values[np.isfinite(values)]
    return float(np.ptp(np.percentile(values, [1, 99.8]))) if values.size else 0.0


def _digest(values: NDArray[Any]) -> bytes:
    head = f"{values.shape} {values.dtype}".encode()
    return hashlib.blake2b(head + np.ascontiguousarray(values).tobytes()).digest()


def _listed(names: Sequence[str]) -> str:
    """The first three, and how many more."""
    if len(names) <= 3:
        return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return f"{', '.join(names[:3])} and {len(names) - 3} more"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _by(numbers: Iterable[float]) -> str:
    return " x ".join(f"{number:.4g}" if isinstance(number, float) else str(number) for number in numbers)


def _place(place: NDArray[Any]) -> str:
    """`y 12, x 40`, or with z before."""
    return ", ".join(f"{axis} {at}" for axis, at in zip("zyx"[-len(place) :], place, strict=True))
