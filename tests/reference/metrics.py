"""The measures of agreement again, in loops over pixels and objects, straight from their definitions."""

from __future__ import annotations

import math
from itertools import combinations, permutations, product

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

Pixels = dict[int, set[int]]


def objects(labels_true: np.ndarray, labels_pred: np.ndarray) -> tuple[Pixels, Pixels, list[tuple[int, int]]]:
    """Return the pixels of each true and each predicted object, and the labels of each pixel not ignored."""
    kept = [(int(t), int(p)) for t, p in zip(labels_true.flat, labels_pred.flat, strict=True) if t != -1]
    true: Pixels = {}
    pred: Pixels = {}
    for pixel, (t, p) in enumerate(kept):
        if t != 0:
            true.setdefault(t, set()).add(pixel)
        if p != 0:
            pred.setdefault(p, set()).add(pixel)
    return true, pred, kept


def jaccard(one: set[int], other: set[int]) -> float:
    return len(one & other) / len(one | other)


def best_matching(true: Pixels, pred: Pixels, threshold: float) -> tuple[int, float]:
    """Return number and IoU sum of the best matching, by trying every assignment."""
    few, many = sorted([list(true.values()), list(pred.values())], key=len)
    best = (0, 0.0)
    for chosen in permutations(many, len(few)):
        ious = [jaccard(a, b) for a, b in zip(few, chosen, strict=True)]
        ious = [iou for iou in ious if iou >= threshold]
        best = max(best, (len(ious), math.fsum(ious)))
    return best


def seg(true: Pixels, pred: Pixels) -> float:
    total = 0.0
    for t in true.values():
        for p in pred.values():
            if len(t & p) > len(t) / 2:
                total += jaccard(t, p)
    return total / len(true) if true else math.nan


def aji(true: Pixels, pred: Pixels) -> float:
    intersection, union, used = 0, 0, set()
    for t in true.values():
        touching = [p for p in pred if t & pred[p]]
        if not touching:
            union += len(t)
            continue
        best = max(touching, key=lambda p: (jaccard(t, pred[p]), len(t & pred[p]), -p))
        used.add(best)
        intersection += len(t & pred[best])
        union += len(t | pred[best])
    union += sum(len(pixels) for p, pixels in pred.items() if p not in used)
    return intersection / union if union else math.nan


def merges(true: Pixels, pred: Pixels) -> set[int]:
    """Return the predicted ids that cover more than half of each of two true objects."""
    return {
        p
        for p, pixels in pred.items()
        if any(
            len(a & pixels) > len(a) / 2 and len(b & pixels) > len(b) / 2
            for a, b in combinations(true.values(), 2)
        )
    }


def splits(true: Pixels, pred: Pixels) -> set[int]:
    """Return the true ids that contain more than half of each of two predicted objects."""
    return merges(pred, true)


def pixel_table(kept: list[tuple[int, int]]) -> tuple[int, int, int, int]:
    """Return tp, fp, fn, tn."""
    return (
        sum(1 for t, p in kept if t and p),
        sum(1 for t, p in kept if not t and p),
        sum(1 for t, p in kept if t and not p),
        sum(1 for t, p in kept if not t and not p),
    )


def class_tables(kept: list[tuple[int, int]], n_classes: int) -> list[tuple[int, int, int, int]]:
    """Return tp, fp, fn, tn of each class but 0, all other classes being background."""
    return [pixel_table([(int(t == c), int(p == c)) for t, p in kept]) for c in range(1, n_classes)]


def foreground_with_lone_pixels(kept: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the labels in the true foreground, each pixel predicted background under an id of its own."""
    return [(t, p if p else -1 - pixel) for pixel, (t, p) in enumerate(kept) if t]


def pair_counts(segments: list[tuple[int, int]]) -> tuple[int, int, int]:
    """Return the ordered pixel pairs that are together in both, in the truth, in the prediction."""
    together = [(a[0] == b[0], a[1] == b[1]) for a, b in product(segments, repeat=2)]
    return sum(t and p for t, p in together), sum(t for t, _ in together), sum(p for _, p in together)


def entropy(values: list[object]) -> float:
    return -sum(values.count(v) / len(values) * math.log2(values.count(v) / len(values)) for v in set(values))


@st.composite
def label_pairs(draw: st.DrawFn, *, ignore: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Draw truth and prediction of one shape (1 to 3 axes, up to 18 pixels), alike in some of the pixels."""
    shape = draw(st.sampled_from([(1,), (7,), (12,), (18,), (4, 4), (3, 5), (2, 3, 3), (0, 2)]))
    true_ids = st.sampled_from([0, 1, 2, 3, 700] + [-1] * ignore)
    labels_true = draw(arrays(np.int32, shape, elements=true_ids))
    other = draw(arrays(np.int32, shape, elements=st.sampled_from([0, 1, 2, 5, 2**31 - 1])))
    alike = draw(arrays(np.bool_, shape))
    return labels_true, np.where(alike & (labels_true >= 0), labels_true, other)
