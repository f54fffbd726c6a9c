"""Put the report together, and write it as an HTML file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from unseam.errors import ShapeError
from unseam.io.atomic import refuse_existing, replacing
from unseam.report import words
from unseam.report.pictures import COLOURS, curves_pictures
from unseam.report.record import Report, ReportImage
from unseam.report.sections import judge, pictures_of, score_table, sentence, size_lines, stats_of
from unseam.report.words import Tally, number
from unseam.report.worst import MAX_CROPS, worst_crops

MAX_IMAGES = 40
"""Images shown with pictures, the worst; all are counted."""


def write_report(path: str | Path, report: Report, overwrite: bool = False) -> None:
    """Write a report as one HTML file that needs no other file and no network.

    Parameters
    ----------
    path : str or Path
        The HTML file.
    report : Report
        What it is about.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    ShapeError
        If labels differ in size from their image.
    OutputExistsError, OutputError
        As `unseam.io.atomic.replacing` does.

    Notes
    -----
    Images come worst first: by AP at IoU 0.5, or by Dice, the mean over the classes
    if there are any, if the report is `semantic`.
    """
    refuse_existing(Path(path), overwrite=overwrite)  # before minutes of drawing, not after
    for image in report.images:
        _check(image)
    html = _render(report)
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_text(html, encoding="utf-8")


def _check(image: ReportImage) -> None:
    shape = image.image.shape[1:]
    for name, labels in (("true", image.labels_true), ("predicted", image.labels_pred)):
        if labels is not None and (labels.shape != shape or labels.ndim not in (2, 3)):
            raise ShapeError(
                f"{image.stem}: {name} labels of shape {labels.shape} do not fit an image of shape "
                f"{image.image.shape}; give (C, *spatial) and (*spatial), two or three spatial axes"
            )


def _render(report: Report) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = number
    source = files("unseam.report").joinpath("template.html.j2").read_text(encoding="utf-8")
    rows = sorted((judge(image, report.semantic) for image in report.images), key=lambda row: row.rank)
    judged = [row.judged for row in rows if row.judged is not None]
    total = sum((row.tally for row in rows if row.tally), Tally())
    shown = rows[:MAX_IMAGES]
    return environment.from_string(source).render(
        report=report,
        colours=COLOURS,
        kinds=words.KINDS,
        sentence=sentence(report, total, len(judged)),
        stats=stats_of(report, total if judged else None),
        total=total if judged else None,
        curves=curves_pictures(report.history) if report.history else None,
        table=score_table(report),
        sizes=size_lines(report),
        crops=worst_crops(judged),
        max_crops=MAX_CROPS,
        rows=[pictures_of(row, k, report.semantic) for k, row in enumerate(shown)],
        has_truth=any(image.labels_true is not None for image in report.images),
    )
