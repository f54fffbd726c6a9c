"""What a report is about: the values that `write_report` takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from unseam.draw.history import History
from unseam.metrics.error_sizes import SizeGroup

Scores = Mapping[str, float | int | None]


@dataclass(frozen=True, eq=False)
class ReportImage:
    """An image of the report.

    Attributes
    ----------
    stem : str
        Name without folder and suffix.
    image : ndarray, (C, *spatial)
        Intensities; of a volume the middle slice is shown.
    labels_true : ndarray of int, (*spatial), or None
        True objects, 0 background, -1 not counted; None where the truth is unknown.
    labels_pred : ndarray of int, (*spatial)
        Predicted objects.
    scores : mapping of str to float, or None
        Scores of this image, from `unseam.metrics.scores.ImageScores.to_dict`; of classes also
        dice_classes and iou_classes.
    """

    stem: str
    image: NDArray[Any]
    labels_true: NDArray[Any] | None
    labels_pred: NDArray[Any]
    scores: Scores | None = None


@dataclass(frozen=True, eq=False)
class Report:
    """What the report is about.

    Attributes
    ----------
    title : str
    headline : sequence of (name, value)
        Facts for the top of the page: model, data, time.
    history : sequence of mapping, or None
        As for `unseam.draw.curves`.
    images : sequence of ReportImage
    scores : mapping of str to float
        Scores of the set, from `unseam.metrics.scores.SetScores.to_dict`, and those of classes; empty
        where there is no truth.
    command : str or None
        The command that makes these results again.
    notes : sequence of str
        Further remarks, a sentence or two each.
    semantic : bool
        Whether foreground is looked at, not single objects.
    errors : sequence of SizeGroup
        What became of the objects, by their size.
    """

    title: str
    headline: Sequence[tuple[str, str]] = ()
    history: History | None = None
    images: Sequence[ReportImage] = ()
    scores: Scores = field(default_factory=dict)
    command: str | None = None
    notes: Sequence[str] = ()
    semantic: bool = False
    errors: Sequence[SizeGroup] = ()
