"""Two results of one image: where they differ, by how much, and where the edges of their tiles are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unseam.draw.arrays import Image, Rgb, display
from unseam.draw.history import save_figure
from unseam.errors import ShapeError
from unseam.grid import Region

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Edges = tuple[tuple[int, ...], ...]

MARK = (255, 60, 40)
"""Colour of pixels that differ."""
EDGES = ("#35b8ff", "#ffd43b")
"""Colours of the edges of the tiles of the first and of the second result."""
STYLES: tuple[tuple[float, Sequence[float]], ...] = ((0, ()), (0, (4, 3)))
SMALLEST, LARGEST = 1e-9, 1.0
"""Ends of the scale of differences."""


def difference_figure(
    image: Image,
    difference: NDArray[Any],
    differs: NDArray[np.bool_],
    *,
    region: Region,
    edges: tuple[Edges, Edges],
    names: tuple[str, str],
    broken: bool,
    picture: str | Path | Any,
    overwrite: bool = False,
) -> None:
    """Draw two results of one image as a PNG file: where they differ, and by how much.

    Parameters
    ----------
    image : ndarray, (C, *spatial)
        Of a volume the slice with the largest difference is drawn.
    difference : ndarray of float, (*spatial)
        How much the results differ, 0 to 1, shown on a logarithmic scale.
    differs : ndarray of bool, (*spatial)
        Pixels to mark.
    region : Region
        Where the first pixel lies in the whole image, for the numbers along the axes.
    edges : two times a sequence of int per axis
        Where one tile ends and the next begins, in the pixels of the whole image.
    names : two str
        What the results are called.
    broken : bool
        Whether they differ by more than rounding.
    picture : str or Path
        The PNG file.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    ShapeError
        If the arrays do not belong together.
    OutputExistsError, OutputError
        As `unseam.io.atomic.replacing` does.
    """
    figure = draw_differences(
        image, difference, differs, region=region, edges=edges, names=names, broken=broken
    )
    save_figure(figure, picture, overwrite=overwrite)


def draw_differences(
    image: Image,
    difference: NDArray[Any],
    differs: NDArray[np.bool_],
    *,
    region: Region,
    edges: tuple[Edges, Edges],
    names: tuple[str, str],
    broken: bool,
) -> Figure:
    """The figure of `difference_figure`."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    if not image.shape[1:] == difference.shape == differs.shape or len(region) != difference.ndim:
        raise ShapeError(
            f"an image {image.shape}, differences {difference.shape} and marks {differs.shape} do not belong "
            "together; give (C, *spatial) and two times (*spatial)"
        )
    size = np.nan_to_num(np.abs(difference), nan=LARGEST).astype(np.float64)
    if difference.ndim == 3:
        z = int(np.unravel_index(size.argmax(), size.shape)[0])
        image, size, differs = image[:, z], size[z], differs[z]
    (top, bottom), (left, right) = region[-2:]
    extent = (left - 0.5, right - 0.5, bottom - 0.5, top - 0.5)
    height = 5.0 * min(1.6, max(0.35, (bottom - top) / (right - left)))
    figure = Figure(figsize=(11.4, height + 1.3), layout="constrained", facecolor="white")
    seen, scale = figure.subplots(1, 2)
    seen.imshow(_marked(display(image), differs), extent=extent, interpolation="nearest")
    norm = LogNorm(SMALLEST, LARGEST)
    scale.imshow(
        size.clip(SMALLEST, LARGEST), extent=extent, norm=norm, cmap="magma", interpolation="nearest"
    )
    for ax in (seen, scale):
        _draw_edges(ax, edges, extent)
        ax.tick_params(labelsize=8)
    counted = f"{int(differs.sum()):,} of {differs.size:,} pixels differ"
    seen.set_title(f"{counted}{' (marked)' if differs.any() else ''}", fontsize=10, loc="left")
    scale.set_title(f"Difference, at most {size.max():.1e}", fontsize=10, loc="left")
    bar = figure.colorbar(ScalarMappable(norm, "magma"), ax=scale, shrink=0.85)
    bar.set_label("difference of probabilities", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    _legend(figure, names)
    figure.suptitle(
        "The two cuts do not give the same" if broken else "The two cuts give the same, up to rounding",
        fontsize=12,
        x=0.01,
        ha="left",
    )
    return figure


def _marked(picture: Rgb, differs: NDArray[np.bool_]) -> Rgb:
    """The picture with the pixels that differ coloured, its structure still to be seen."""
    picture = picture.copy()
    picture[differs] = (picture[differs] * 0.35 + np.array(MARK) * 0.65).astype(np.uint8)
    return picture


def _draw_edges(ax: Axes, edges: tuple[Edges, Edges], extent: Sequence[float]) -> None:
    left, right, bottom, top = extent
    for of_one, colour, style in zip(edges, EDGES, STYLES, strict=True):
        rows, columns = of_one[-2:]
        for row in rows:
            if top < row - 0.5 < bottom:
                ax.axhline(row - 0.5, color=colour, linewidth=0.9, linestyle=style, alpha=0.9)
        for column in columns:
            if left < column - 0.5 < right:
                ax.axvline(column - 0.5, color=colour, linewidth=0.9, linestyle=style, alpha=0.9)


def _legend(figure: Figure, names: tuple[str, str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, linestyle=style, label=f"edges of {name}")
        for colour, style, name in zip(EDGES, STYLES, names, strict=True)
    ]
    legend = figure.legend(handles=handles, loc="outside lower left", ncols=2, fontsize=8, frameon=True)
    legend.get_frame().set(facecolor="#4a4f57", edgecolor="none")
    for text in legend.get_texts():
        text.set_color("white")
