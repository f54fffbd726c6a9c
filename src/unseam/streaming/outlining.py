"""Outlines of the objects of an image of any size, from its labels once they are finished.

Labels are read block by block. The outlines themselves are held in memory, some kilobytes an object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unseam.io.annotations.outlines import outlines_of
from unseam.io.annotations.record import Annotations, Shape
from unseam.io.annotations.save import with_measurements, write_outlines
from unseam.io.open import open_sources
from unseam.measure import ObjectTable
from unseam.streaming.job import Job

Step = Callable[[str, float, int], None]


def write_outlined(
    targets: Mapping[str, Path],
    labels: Path,
    jobs: Sequence[Job],
    tables: Callable[[Job], Iterable[ObjectTable]],
    step: Step,
) -> None:
    """Write outlines, with the measurements of the table, into each of the files that are wanted.

    Parameters
    ----------
    targets : mapping of kind to Path
        See `unseam.io.annotations.save.OUTLINES`.
    labels : Path
        The finished label image.
    jobs : sequence of Job
        One a time point.
    tables : callable
        The table of a time point, in batches.
    step : callable
        Told how far it is.
    """
    shapes: list[Shape] = []
    for job, source in zip(jobs, open_sources(labels), strict=True):

        def progress(share: float, done: int = job.frame) -> None:
            step("outlining", done + share, len(jobs))

        found = outlines_of(source, block=(job.block[0], job.block[1]), progress=progress)
        batches = list(tables(job))
        columns = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0].columns}
        frame = job.frame if job.series else None
        shapes += [replace(shape, frame=frame) for shape in with_measurements(found, columns)]
    frames = len(jobs) if jobs[0].series else None
    drawn = Annotations(tuple(shapes), (jobs[0].shape[0], jobs[0].shape[1]), frames=frames)
    image = Path(jobs[0].image.path).name
    for kind, path in targets.items():
        write_outlines(kind, path, drawn, image=image, object_type="detection", overwrite=True)
