"""The page of a reproduction: what was published, what came out here, and where to look further."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from unseam.io.atomic import replacing
from unseam.report.sections import EXPLAINED


@dataclass(frozen=True)
class ReproductionRow:
    """A row of the table.

    Attributes
    ----------
    who : whose figures they are.
    about : on what, in what time, on which machine.
    scores : by measure; what is not there is not known.
    spread : standard deviation over the seeds, by measure.
    """

    who: str
    about: str
    scores: Mapping[str, float]
    spread: Mapping[str, float] = field(default_factory=dict)


def write_reproduction(
    path: str | Path,
    *,
    title: str,
    remark: str,
    measures: Sequence[str],
    rows: Sequence[ReproductionRow],
    runs: Sequence[tuple[str, str, Mapping[str, float | None]]],
    pictures: Sequence[Path] = (),
    ways: int = 1,
) -> None:
    """Write the page, in place of the one before.

    Parameters
    ----------
    path : str or Path
        The HTML file; the folders of the trainings are beside it.
    title, remark : str
    measures : sequence of str
        Columns.
    rows : sequence of ReproductionRow
    runs : sequence of (folder, iterations, scores)
        Each training by itself.
    pictures : sequence of Path
        PNG files to show.
    ways : int
        In how many ways the set is split.

    Raises
    ------
    OutputError
        As `unseam.io.atomic.replacing`.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["score"] = score
    source = files("unseam.report").joinpath("reproduction.html.j2").read_text(encoding="utf-8")
    shown = [
        "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode("ascii")
        for picture in pictures
        if picture.is_file()
    ]
    html = environment.from_string(source).render(
        title=title,
        remark=remark,
        ways=ways,
        measures=measures,
        titles=[EXPLAINED.get(name, (name, ""))[0] for name in measures],
        rows=rows,
        runs=runs,
        pictures=shown,
    )
    with replacing(path, overwrite=True) as temporary:
        temporary.write_text(html, encoding="utf-8")


COUNTS = ("merges", "splits", "n_true", "n_pred")


def score(value: float | None, measure: str = "") -> str:
    """A score in few digits, a count in none or one; a dash where it is not known."""
    if value is None or math.isnan(value):
        return "–"
    if measure in COUNTS:
        return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"
    return f"{value:.4f}" if abs(value) >= 0.001 or value == 0 else f"{value:.6f}"
