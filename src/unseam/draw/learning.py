"""The learning curve: a score against the number of images learned from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from unseam.draw.history import save_figure
from unseam.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_learning(
    points: Sequence[tuple[int, float]], path: str | Path, *, measure: str, overwrite: bool = False
) -> None:
    """Draw scores against the number of images, and their means, as a PNG file.

    Parameters
    ----------
    points : sequence of (images, score)
        Several of one number of images are those of several seeds.
    path : str or Path
    measure : str
        What the score is.

    Raises
    ------
    InputError
        If there is no point.
    OutputExistsError, OutputError
        As `unseam.io.atomic.replacing`.
    """
    save_figure(learning_figure(points, measure=measure), path, overwrite=overwrite)


def learning_figure(points: Sequence[tuple[int, float]], *, measure: str) -> Figure:
    """Return the figure of `draw_learning`: the numbers of images on a scale of doublings."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    if not points:
        raise InputError("a learning curve without a point cannot be drawn; give one at least")
    ink, faint = "#33383f", "#dfe2e6"
    sizes = sorted({n for n, _ in points})
    means = [fmean(score for n, score in points if n == size) for size in sizes]
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    ax = figure.subplots()
    ax.plot(sizes, means, color="#2f8fd0", linewidth=1.8)
    ax.plot(*zip(*points, strict=True), "o", color="#2f8fd0", markersize=4, alpha=0.7)
    for size, mean in zip(sizes, means, strict=True):
        ax.annotate(
            f"{mean:.3f}", (size, mean), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=8
        )
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("images learned from", color=ink, fontsize=9)
    ax.set_ylabel(measure, color=ink, fontsize=9)
    ax.margins(y=0.18)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=faint, linewidth=0.7)
    ax.set_axisbelow(True)
    ax.tick_params(colors=ink, labelsize=9)
    return figure
