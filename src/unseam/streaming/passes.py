"""What is done with a block: four passes, each a function of the job and the number of the block.

::

    predict   image ─▶ probabilities ─▶ cores            ┐ the joins between them, on one machine,
    grow      cores and their neighbours ─▶ objects      │ see only small records: what touches a
    holes     objects ─▶ which background is enclosed    │ face, how large, where first
    write     objects, filled ─▶ labels, sums for the table

A pass may be run for its blocks in any order, anywhere, and again: it writes the same bytes. Its record comes
last; a block with a record is done.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.decisions import split_of, to_classes, to_masks
from unseam.grid import Region, slices
from unseam.instances.blocks import (
    BlockTable,
    CoreSummary,
    HoleSummary,
    ObjectSummary,
    PartSummary,
    apply_numbers,
    apply_parts,
    fill_block,
    find_class_regions,
    find_cores,
    find_holes,
    find_parts,
    from_arrays,
    grow_block,
    join_cores,
    join_holes,
    join_objects,
    join_parts,
    to_arrays,
)
from unseam.instances.labels import Labels
from unseam.io.ome_zarr.write import write
from unseam.measure import quantise, sum_block
from unseam.prediction import predict_region
from unseam.streaming.job import Job, prepared_of, source_of
from unseam.streaming.picture import keep_part
from unseam.streaming.scratch import Scratch
from unseam.streaming.work import (
    has_table,
    load_record,
    load_table,
    save_record,
    save_table,
)

NEIGHBOURS = 64
"""Records kept in memory while blocks are joined: each is looked at once more for each axis."""
CORES, PARTS, GROWN, FOREGROUND = "cores", "parts", "grown", "foreground"


def predict_block(job: Job, number: int) -> None:
    """Pass 1: the network; cores of objects, or regions of classes, numbered within the block."""
    region, prepared = job.grid.region(number), prepared_of(job)
    probabilities = predict_region(prepared, region)
    if job.probabilities:
        write(job.probabilities, region, probabilities, frame=job.frame if job.series else None)
    if prepared.task == "semantic":
        classes = to_classes(probabilities)
        chosen = np.take_along_axis(probabilities, classes[None].astype(np.intp), 0)[0]
        block, summary = find_class_regions(classes, region, job.shape)
    else:
        chosen = 1 - probabilities[0]
        masks = to_masks(probabilities, prepared.objects)
        block, summary = find_cores(masks.core, masks.growable, region, job.shape)
        if masks.part is not None:
            parts, part_summary = find_parts(masks.part, block, region, job.shape)
            _scratch(job, PARTS).write(number, parts)
            save_record(job.folder, "divide", number, to_arrays(part_summary))
    if job.table:
        _scratch(job, FOREGROUND).write(number, quantise(chosen.clip(0, 1)))
    _scratch(job, CORES).write(number, block)
    save_record(job.folder, "predict", number, to_arrays(summary))


def join_predicted(job: Job) -> None:
    """The number of each core in the whole image, in raster order."""
    if not has_table(job.folder, "core_numbers"):
        record_of = lru_cache(NEIGHBOURS)(partial(_record, job, "predict", CoreSummary))
        if _divides(job):
            part_of = lru_cache(NEIGHBOURS)(partial(_record, job, "divide", PartSummary))
            size = prepared_of(job).objects.split_size or 1
            cores, parts = join_parts(job.grid, record_of, part_of, size)
            _save_block_table(job, "part", parts)
        else:
            cores = join_cores(job.grid, record_of)
        _save_block_table(job, "core", cores)


def grow_block_of(job: Job, number: int) -> None:
    """Pass 2: cores grown to objects; their sizes and first pixels."""
    pixels = prepared_of(job).objects.grow or 0
    reach = _reach(job)
    cores = _numbered_cores(job, job.grid.region(number, margin=pixels + reach))
    block, summary = grow_block(cores, pixels, job.grid.region(number), job.shape, reach=reach)
    _scratch(job, GROWN).write(number, block)
    save_record(job.folder, "grow", number, to_arrays(summary))


def join_grown(job: Job) -> None:
    """The final number of each object: small ones dropped, in raster order of the first pixel."""
    if not has_table(job.folder, "final"):
        final = join_objects(
            job.grid,
            partial(_record, job, "grow", ObjectSummary),
            _count_cores(job),
            prepared_of(job).objects.min_size or 0,
        )
        save_table(job.folder, "final", final)


def holes_of_block(job: Job, number: int) -> None:
    """Pass 3: the background regions of a block, and what touches them."""
    labels = _objects(job, job.grid.region(number, margin=1))
    save_record(
        job.folder, "holes", number, to_arrays(find_holes(labels, job.grid.region(number), job.shape))
    )


def join_enclosed(job: Job) -> None:
    """The object that encloses each background region of each block, or 0."""
    if not has_table(job.folder, "hole_numbers"):
        record_of = lru_cache(NEIGHBOURS)(partial(_record, job, "holes", HoleSummary))
        table = join_holes(job.grid, record_of)
        _save_block_table(job, "hole", table)


def write_block(job: Job, number: int) -> None:
    """Pass 4: the labels of a block into the output, and the sums of its objects."""
    region, prepared = job.grid.region(number), prepared_of(job)
    classes = None
    if prepared.task == "semantic":
        local = _scratch(job, CORES).read(region)
        summary = from_arrays(CoreSummary, load_record(job.folder, "predict", number))
        classes = apply_numbers(local, summary.classes)
        objects = apply_numbers(local, _part(job, "core", number))
    elif prepared.objects.fill_holes:
        around = _objects(job, job.grid.region(number, margin=1))
        objects = fill_block(around, _part(job, "hole", number), region, job.shape)
    else:
        objects = _objects(job, region)
    written = objects if classes is None else classes
    write(job.labels, region, written, frame=job.frame if job.series else None)
    image = source_of(job).read(region) if job.table or job.picture else None
    if job.picture and image is not None:
        keep_part(job, number, image, objects)
    arrays: dict[str, NDArray[np.generic]] = {}
    if job.table:
        arrays = sum_block(
            objects,
            origin=[a for a, _ in region],
            image=image,
            probabilities=_scratch(job, FOREGROUND).read(region),
            classes=classes,
        ).to_arrays()
    save_record(job.folder, "write", number, arrays)


def _scratch(job: Job, name: str) -> Scratch:
    """An array between the passes."""
    rim = max(1, (prepared_of(job).objects.grow or 0) + _reach(job))
    return Scratch(job.folder / name, job.grid, "uint16" if name == FOREGROUND else "int32", rim)


def _divides(job: Job) -> bool:
    """Whether a higher threshold divides cores."""
    return split_of(prepared_of(job).objects) > 0


def _reach(job: Job) -> int:
    """How far parts grow over the rest of their cores; 0 where cores are not divided."""
    return prepared_of(job).objects.split_grow if _divides(job) else 0


def _count_cores(job: Job) -> int:
    """How many cores, and parts that are cores, there are in the whole image."""
    names = ("core_numbers", "part_numbers") if _divides(job) else ("core_numbers",)
    return max(int(load_table(job.folder, name).max(initial=0)) for name in names)


def _record(job: Job, kind: str, what: type[Any], number: int) -> Any:
    return from_arrays(what, load_record(job.folder, kind, number))


def _save_block_table(job: Job, name: str, table: BlockTable) -> None:
    """Offsets first: numbers that are there stand for both."""
    save_table(job.folder, f"{name}_offsets", table.offsets)
    save_table(job.folder, f"{name}_numbers", table.numbers)


def _part(job: Job, name: str, number: int) -> Labels:
    """What a join says of one block."""
    start, stop = load_table(job.folder, f"{name}_offsets")[number : number + 2]
    return np.asarray(load_table(job.folder, f"{name}_numbers")[start:stop])


def _numbered_cores(job: Job, region: Region) -> Labels:
    """Cores with the numbers of the whole image, from as many blocks as the region touches."""
    origin = [a for a, _ in region]
    cores = _scratch(job, CORES).read(region)
    parts = _scratch(job, PARTS).read(region) if _divides(job) else None
    for number in job.grid.overlapping(region):
        common = tuple(
            (max(a, low), min(b, high))
            for (a, b), (low, high) in zip(region, job.grid.region(number), strict=True)
        )
        at = slices(common, origin=origin)
        if parts is None:
            cores[at] = apply_numbers(cores[at], _part(job, "core", number))
        else:
            numbers = _part(job, "core", number), _part(job, "part", number)
            cores[at] = apply_parts(cores[at], parts[at], *numbers)
    return cores


def _objects(job: Job, region: Region) -> Labels:
    """Objects with their final numbers, before holes are filled."""
    grown = _scratch(job, GROWN).read(region)
    return apply_numbers(grown, np.asarray(load_table(job.folder, "final")[1:]))
