"""Whether labels belong to another image, or are mirrored: by their correlation with it on a coarse grid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from unseam.data.check.finding import Finding, listed, note, warning
from unseam.data.sample import IGNORE, Sample

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


def comparable(sample: Sample) -> bool:
    """Whether image and labels are of one size, of 2 or 3 axes, and every pixel a number."""
    image = sample.image
    return (
        image.shape[1:] == sample.labels.shape and image.ndim - 1 in GRID and bool(np.isfinite(image).all())
    )


def misfits(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Labels that fit their image worse than another image's do, or than they do when mirrored."""
    groups: dict[tuple[int, ...], list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.image.shape].append(sample)
    if len({(shape[0], len(shape)) for shape in groups}) != 1:
        return  # none, or of several kinds, which is an error that comes first
    compared = [group[:MOST_COMPARED] for group in groups.values()]
    tables = [_fits(group) for group in compared]
    feature, mean = _fitting_feature(tables)
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
                yield warning(
                    sample.stem,
                    f"the labels of {group[other].stem} fit this image better than its own (correlation "
                    f"{fits[''][row, other]:.2f} against {fits[''][row, row]:.2f}); check that the files are "
                    "not exchanged",
                )
            elif 0 != fits[""][row, row] < POOR_FIT * abs(mean):
                yield note(
                    sample.stem,
                    f"labels and image agree less than elsewhere (correlation {fits[''][row, row]:.2f}, mean "
                    f"{abs(mean):.2f}); check that these are its labels, and all of them",
                )
    for turn, stems in turned.items():
        yield warning(
            stems[0] if len(stems) == 1 else None,
            f"the labels of {listed(stems)} fit better {turn}; check how they were saved",
        )


def _fitting_feature(tables: Sequence[dict[tuple[int, str], NDArray[np.float64]]]) -> tuple[int, float]:
    """Return the feature that fits the set best, and the mean correlation of the images with their labels."""
    scores: dict[tuple[int, str], list[float]] = defaultdict(list)
    for table in tables:
        for key, fit in table.items():
            scores[key] += fit.diagonal().tolist()
    (feature, _), fits = max(scores.items(), key=lambda item: abs(sum(item[1])))
    return feature, sum(fits) / len(scores[feature, ""])  # not every image can be transposed


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
