"""Training curves: loss and validation scores against the iteration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unseam.draw.arrays import HUES
from unseam.errors import InputError
from unseam.io.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = Sequence[Mapping[str, Any]]
"""Rows of the training log."""


def curves(history: History, path: str | Path, *, overwrite: bool = False) -> None:
    """Draw loss and validation scores against the iteration, as a PNG file.

    Parameters
    ----------
    history : sequence of mapping
        Rows with `iteration`, `seconds` and `loss`; on validation rows also scores named `val_...`. Values
        that are None or not finite are left out.
    path : str or Path
        The PNG file.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        If the history has no rows, or rows without `iteration`.
    OutputExistsError, OutputError
        As `unseam.io.atomic.replacing` does.
    """
    save_figure(curves_figure(history), path, overwrite=overwrite)


def curves_figure(history: History, *, dark: bool = False) -> Figure:
    """Return the figure of `curves`, drawn in light or in dark colours."""
    from matplotlib.figure import Figure

    if not history or any("iteration" not in row for row in history):
        raise InputError("the training history has no rows with an iteration; give at least one such row")
    ink, faint, ground = ("#d8dbe0", "#3a3f47", "#16181c") if dark else ("#33383f", "#dfe2e6", "#ffffff")
    names = [name for name in dict.fromkeys(key for row in history for key in row) if name.startswith("val_")]
    scores = [name for name in names if name != "val_loss" and len(_series(history, name)[0])]
    figure = Figure(figsize=(8.8, 3.1) if scores else (5.2, 3.1), layout="constrained", facecolor=ground)
    axes = figure.subplots(1, 2 if scores else 1, squeeze=False)[0]
    for ax in axes:
        ax.set_facecolor(ground)
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(ink)
        ax.tick_params(colors=ink, which="both", labelsize=9)
        ax.grid(color=faint, linewidth=0.7)
        ax.set_axisbelow(True)
        ax.set_xlabel(_time_label(history), color=ink, fontsize=9)
    _draw_loss(axes[0], history, ink)
    if scores:
        _draw_scores(axes[1], history, scores, ink)
    return figure


def _series(history: History, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return iterations and values of the rows where a name has a finite value."""
    pairs = [(row["iteration"], row[name]) for row in history if row.get(name) is not None]
    both = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    both = both[np.isfinite(both).all(axis=1)]
    return both[:, 0], both[:, 1]


def _time_label(history: History) -> str:
    seconds = [float(row["seconds"]) for row in history if row.get("seconds") is not None]
    if not seconds:
        return "iteration"
    total = max(seconds)
    return f"iteration ({total / 60:.1f} min in all)" if total >= 90 else f"iteration ({total:.0f} s in all)"


def _draw_loss(ax: Axes, history: History, ink: str) -> None:
    from scipy.ndimage import gaussian_filter1d

    x, y = _series(history, "loss")
    smooth = gaussian_filter1d(y, len(y) / 60, mode="nearest") if len(y) >= 20 else y
    many = len(y) >= 20
    if many:
        ax.plot(x, y, color="#56b4e9", linewidth=0.8, alpha=0.45, label="loss, each row")
    marker = "o" if len(y) < 20 else ""
    ax.plot(x, smooth, color="#2f8fd0", linewidth=1.8, marker=marker, markersize=3,
            label="loss, smoothed" if many else "loss")  # fmt: skip
    x_val, y_val = _series(history, "val_loss")
    if len(x_val):
        ax.plot(
            x_val, y_val, color="#d95f0e", linewidth=1.6, marker="o", markersize=3, label="validation loss"
        )
    if len(y) and smooth.min() > 0 and smooth.max() > 8 * smooth.min() and y.min() > 0:
        ax.set_yscale("log")
    ax.set_title("Loss (lower is better)", color=ink, fontsize=10, loc="left")
    if len(ax.lines) > 1:
        ax.legend(frameon=False, fontsize=8, labelcolor=ink)


def _draw_scores(ax: Axes, history: History, names: Sequence[str], ink: str) -> None:
    """Draw a line for each score; its best value is ringed, and written in the legend."""
    for k, name in enumerate(names):
        x, y = _series(history, name)
        best = int(np.argmax(y))
        colour = tuple(HUES[(2 * k + 2) % len(HUES)] * 0.85 / 255)
        label = f"{name.removeprefix('val_')}: best {y[best]:.3f} at {x[best]:,.0f}"
        ax.plot(x, y, color=colour, linewidth=1.6, marker="o", markersize=3, label=label)
        ax.plot(
            x[best], y[best], "o", markersize=9, markerfacecolor="none", color=colour, markeredgewidth=1.6
        )
    ax.set_title("Validation scores (1 is perfect)", color=ink, fontsize=10, loc="left")
    ax.legend(frameon=False, fontsize=8, labelcolor=ink)


def save_figure(figure: Figure, path: str | Path, *, overwrite: bool) -> None:
    """Write a figure as a PNG file, whole or not at all."""
    with replacing(path, overwrite=overwrite) as temporary:
        figure.savefig(temporary, format="png", dpi=160)
