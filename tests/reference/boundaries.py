"""The measures of membranes again, in loops: components by flooding, simple points by counting them."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.reference import metrics

FACES = ((-1, 0), (0, -1), (0, 1), (1, 0))
AROUND = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))
Pixel = tuple[int, int]


def flood(mask: np.ndarray, neighbours: tuple[Pixel, ...]) -> np.ndarray:
    """Number the components of a plane in raster order."""
    numbers, count = np.zeros(mask.shape, int), 0
    for start in np.ndindex(mask.shape):
        if not mask[start] or numbers[start]:
            continue
        count += 1
        numbers[start], queue = count, deque([start])
        while queue:
            y, x = queue.popleft()
            for dy, dx in neighbours:
                near = (y + dy, x + dx)
                inside = 0 <= near[0] < mask.shape[0] and 0 <= near[1] < mask.shape[1]
                if inside and mask[near] and not numbers[near]:
                    numbers[near] = count
                    queue.append(near)
    return numbers


def topology(cells: np.ndarray) -> tuple[int, int]:
    """Number of cells, and of pieces of membrane where all outside is one."""
    framed = np.pad(cells, 1)
    return int(flood(framed, FACES).max()), int(flood(~framed, AROUND).max())


def is_simple(patch: np.ndarray) -> bool:
    """Whether the middle of 3x3 pixels is simple: in the ring around it, one piece of each kind meets it."""
    ring = patch.copy()
    ring[1, 1] = False
    cells = flood(ring, FACES)
    other = ~patch
    other[1, 1] = False
    pieces = {cells[1 + y, 1 + x] for y, x in FACES} - {0}
    return len(pieces) == 1 and flood(other, AROUND).max() == 1


def warp(truth: np.ndarray, target: np.ndarray, confidence: np.ndarray, movable: np.ndarray) -> np.ndarray:
    """Deform a plane pixel by pixel; in a round those that are ahead of all neighbours that could flip."""
    now = np.pad(truth, 1)
    while True:
        key: dict[Pixel, tuple[float, int, int]] = {}
        for y, x in np.ndindex(truth.shape):
            differs = now[y + 1, x + 1] != target[y, x] and movable[y, x]
            if differs and is_simple(now[y : y + 3, x : x + 3]):
                key[y, x] = (confidence[y, x], (y + 1) % 2, (x + 1) % 2)
        if not key:
            return now[1:-1, 1:-1]
        lowest = (-math.inf, 0, 0)
        for (y, x), mine in key.items():
            if all(mine > key.get((y + dy, x + dx), lowest) for dy, dx in AROUND):
                now[y + 1, x + 1] ^= True


def kind(warped: np.ndarray, pixel: Pixel) -> str:
    """What flipping a pixel would do to cells and pieces of membrane, by counting them before and after."""
    flipped = warped.copy()
    flipped[pixel] ^= True
    (cells, membranes), (cells_after, membranes_after) = topology(warped), topology(flipped)
    more_cells, more_membranes = cells_after - cells, membranes_after - membranes
    if warped[pixel]:  # a cell's pixel becomes membrane
        if more_cells > 0:
            return "splits"
        if more_cells < 0:
            return "objects_removed"
        return {0: "held", 1: "holes_added"}.get(more_membranes, "holes_removed")
    if more_cells > 0:
        return "objects_added"
    if more_cells < 0:
        return "merges"
    return {0: "held", 1: "holes_added", -1: "holes_removed"}.get(more_membranes, "holes_added")


def grown(labels: np.ndarray) -> np.ndarray:
    """Grow segments step by step until they meet; a pixel takes the smallest number beside it."""
    now = labels.copy()
    while now.any() and not now.all():
        before = now.copy()
        for y, x in np.ndindex(now.shape):
            near = [
                before[y + dy, x + dx]
                for dy, dx in FACES
                if 0 <= y + dy < now.shape[0] and 0 <= x + dx < now.shape[1] and before[y + dy, x + dx]
            ]
            if not before[y, x] and near:
                now[y, x] = min(near)
    return now


def v_rand(truth: np.ndarray, cells: list[np.ndarray], *, thinned: bool) -> float:
    """The Rand F-score of slices from pairs of pixels within a slice."""
    joint = true = pred = 0
    for plane, mask in zip(truth, cells, strict=True):
        found = flood(mask, FACES)
        segments = flood(plane > 0, FACES)
        segments[plane < 0] = -1
        kept = metrics.objects(segments, grown(found) if thinned else found)[2]
        counts = metrics.pair_counts(metrics.foreground_with_lone_pixels(kept))
        joint, true, pred = joint + counts[0], true + counts[1], pred + counts[2]
    return 2 * joint / (true + pred) if true + pred else math.nan


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw two masks of one shape, alike in most of the pixels."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    truth = draw(arrays(np.bool_, shape))
    flips = draw(arrays(np.int8, shape, elements=st.integers(0, 2)))
    return truth, truth ^ (flips == 0)
