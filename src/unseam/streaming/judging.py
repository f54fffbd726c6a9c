"""Whether an image that is streamed is like the training images, from the same sample as of one in memory."""

from __future__ import annotations

from collections.abc import Sequence

from unseam.guard.verdict import Verdict
from unseam.io.source import Source
from unseam.prediction import Model
from unseam.prediction.guarding import judge
from unseam.prediction.region import prepare
from unseam.streaming.job import Job


def judge_all(model: Model, jobs: Sequence[Job], sources: Sequence[Source]) -> tuple[Verdict, ...]:
    """A verdict on each time point; none where the model carries no statistics."""
    verdicts = [_judged(model, job, source) for job, source in zip(jobs, sources, strict=True)]
    return tuple(verdict for verdict in verdicts if verdict is not None)


def _judged(model: Model, job: Job, source: Source) -> Verdict | None:
    prepared = prepare(
        model.network,
        model.header,
        model.tile_function(job.tta),
        job.correction.apply(source),
        job.scaling,
        tile=job.tile,
        rescale=job.rescale,
        zoom=job.zoom,
    )
    return judge(model.network, model.header, prepared, correction=job.correction)
