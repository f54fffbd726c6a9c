"""Loop-only oracles for `unseam.instances`: slow, plain, and written from the definitions alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int32]
Pixel = tuple[int, ...]


def neighbours(pixel: Pixel, shape: tuple[int, ...], *, faces: bool) -> Iterator[Pixel]:
    """Yield the neighbours inside the image: through faces only, or through edges and corners too."""
    for step in product((-1, 0, 1), repeat=len(shape)):
        moved = sum(abs(s) for s in step)
        if moved == 0 or (faces and moved > 1):
            continue
        there = tuple(p + s for p, s in zip(pixel, step, strict=True))
        if all(0 <= t < n for t, n in zip(there, shape, strict=True)):
            yield there


def regions(mask: NDArray[np.bool_], *, faces: bool) -> list[set[Pixel]]:
    """Return the connected sets of true pixels by flood fill, in raster order of their first pixel."""
    seen: set[Pixel] = set()
    found = []
    for start in np.ndindex(mask.shape):
        if not mask[start] or start in seen:
            continue
        region, front = {start}, [start]
        while front:
            for there in neighbours(front.pop(), mask.shape, faces=faces):
                if mask[there] and there not in region:
                    region.add(there)
                    front.append(there)
        seen |= region
        found.append(region)
    return found


def label_components(mask: NDArray[np.bool_]) -> Array:
    labels = np.zeros(mask.shape, np.int32)
    for number, region in enumerate(regions(mask, faces=True), start=1):
        for pixel in region:
            labels[pixel] = number
    return labels


def divide(cores: NDArray[np.bool_], parts: NDArray[np.bool_], part_size: int, rest: int) -> Array:
    labels = np.zeros(cores.shape, np.int32)
    large = [part for part in regions(parts, faces=True) if len(part) >= part_size]
    number = 0
    for core in regions(cores, faces=True):
        inside = [part for part in large if part <= core]
        inside = [part for part in inside if len(part) >= 0.3 * max(map(len, inside))]
        for pixel in core:
            labels[pixel] = rest
        for one in inside if len(inside) > 1 else [core]:
            number += 1
            for pixel in one:
                labels[pixel] = number
    return number_in_raster_order(labels)


def number_in_raster_order(labels: Array) -> Array:
    numbers: dict[int, int] = {}
    result = labels.copy()
    for pixel in np.ndindex(labels.shape):
        if labels[pixel] > 0:
            result[pixel] = numbers.setdefault(int(labels[pixel]), len(numbers) + 1)
    return result


def remove_small(labels: Array, min_size: int) -> Array:
    result = labels.copy()
    for pixel in np.ndindex(labels.shape):
        size = sum(int(other) == labels[pixel] for other in labels.ravel())
        if labels[pixel] > 0 and size < min_size:
            result[pixel] = 0
    return result


def fill_holes(labels: Array) -> Array:
    """For each object alone: fill what is not the object, stays off the border, and is all background."""
    result = labels.copy()
    for number in sorted({int(value) for value in labels.ravel() if value > 0}):
        for region in regions(labels != number, faces=False):
            inside = all(0 < p < n - 1 for pixel in region for p, n in zip(pixel, labels.shape, strict=True))
            if inside and all(labels[pixel] == 0 for pixel in region):
                for pixel in region:
                    result[pixel] = number
    return result


def grow(labels: Array, pixels: int, within: NDArray[np.bool_]) -> Array:
    for _ in range(pixels):
        before, labels = labels, labels.copy()
        for pixel in np.ndindex(labels.shape):
            around = [int(before[there]) for there in neighbours(pixel, labels.shape, faces=True)]
            objects = [number for number in around if number > 0]
            if before[pixel] == 0 and within[pixel] and objects:
                labels[pixel] = min(objects)
    return labels


def carve_gaps(labels: Array) -> Array:
    result = labels.copy()
    for pixel in np.ndindex(labels.shape):
        for there in neighbours(pixel, labels.shape, faces=False):
            before = there < pixel  # tuples compare as raster order does
            if before and labels[pixel] > 0 and labels[there] > 0 and labels[there] != labels[pixel]:
                result[pixel] = 0
    return result


def carve_contacts(labels: Array, gap: tuple[int, ...]) -> Array:
    """From each pixel go as far as the gap allows; another object that is met there is too near."""
    result = labels.copy()
    for source in np.ndindex(labels.shape):
        reached = {source} if labels[source] > 0 else set()
        for step in range(max(gap) // 2):
            for pixel in list(reached):
                for there in neighbours(pixel, labels.shape, faces=True):
                    axis = [a == b for a, b in zip(pixel, there, strict=True)].index(False)
                    if gap[axis] // 2 > step and labels[there] >= 0:
                        reached.add(there)
        for pixel in reached:
            if labels[pixel] > 0 and labels[pixel] != labels[source]:
                result[pixel] = 0
        for axis in range(labels.ndim):
            before = tuple(p - (a == axis) for a, p in enumerate(source))
            if gap[axis] != 1 or before[axis] < 0:
                continue
            if 0 < labels[source] != labels[before] > 0:
                result[source] = 0
    return result
