"""What the network sees: training patches with their targets and weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unseam.draw.arrays import Image, Rgb, colours_of, display, middle_slice
from unseam.draw.history import save_figure
from unseam.errors import ShapeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_ROWS = 6
_IGNORED = (128, 128, 128)
_FRAME = "#ff9500"


def patches_figure(
    images: Image, targets: NDArray[Any], weights: NDArray[Any], path: str | Path, *, overwrite: bool = False
) -> None:
    """Draw training patches as a PNG file: input, target, weights; a row for each patch.

    Parameters
    ----------
    images : ndarray, (B, C, *spatial in)
        Patches as the network gets them; the first `MAX_ROWS` are drawn, of volumes the middle slice.
    targets : ndarray of int or float, (B, *spatial out)
        Class of each pixel of the output, or share of the foreground that it counts as; -1 ignored. The
        output lies in the middle of the input.
    weights : ndarray of float, (B, *spatial out)
        Weight of each pixel in the loss.
    path : str or Path
        The PNG file.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    ShapeError
        If there is no patch, or targets or weights do not fit the images.
    OutputExistsError, OutputError
        As `unseam.io.atomic.replacing` does.
    """
    _check(images, targets, weights)
    if images.ndim == 5:
        images, targets, weights = middle_slice(images), middle_slice(targets), middle_slice(weights)
    figure = _figure(images[:MAX_ROWS], targets[:MAX_ROWS], weights[:MAX_ROWS])
    save_figure(figure, path, overwrite=overwrite)


def _check(images: Image, targets: NDArray[Any], weights: NDArray[Any]) -> None:
    shapes = f"images {images.shape}, targets {targets.shape} and weights {weights.shape}"
    if images.ndim not in (4, 5) or targets.shape != weights.shape or targets.ndim != images.ndim - 1:
        raise ShapeError(f"{shapes} are not patches; give (B, C, *in), (B, *out) and (B, *out)")
    larger = any(out > inside for out, inside in zip(targets.shape[1:], images.shape[2:], strict=True))
    if not images.size or not targets.size or len(images) != len(targets) or larger:
        raise ShapeError(f"{shapes} do not belong together; give as many outputs, none larger than its input")


def _figure(images: Image, targets: NDArray[Any], weights: NDArray[Any]) -> Figure:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    n = len(images)
    figure = Figure(figsize=(7.2, 2.02 * n + 0.8), layout="constrained", facecolor="white")
    axes = figure.subplots(n, 3, squeeze=False)
    # the weights are read between 0 and nearly the largest: one extreme pixel must not darken all others
    scale = Normalize(0, max(float(np.percentile(weights, 99.9)), 1e-12))
    for row, image, target, weight in zip(axes, images, targets, weights, strict=True):
        for ax in row:
            _frame(ax, image.shape[1:], target.shape)
        extent = _extent(image.shape[1:], target.shape)
        row[0].imshow(display(image), zorder=1)
        row[1].imshow(_classes(target), extent=extent, interpolation="nearest", zorder=1)
        row[2].imshow(weight, extent=extent, norm=scale, cmap="viridis", interpolation="nearest", zorder=1)
    for ax, title in zip(axes[0], ("Input; framed: the output", "Target", "Weights"), strict=True):
        ax.set_title(title, fontsize=10, loc="left", color="#33383f")
    bar = figure.colorbar(
        ScalarMappable(scale, "viridis"),
        ax=axes[:, 2],
        shrink=min(0.92, 1.4 / n + 0.3),
        aspect=28,
        extend="max",
    )
    bar.set_label("weight in the loss", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    _legend(figure, targets)
    return figure


def _extent(inside: Sequence[int], out: Sequence[int]) -> tuple[float, float, float, float]:
    """Return left, right, bottom, top of the output region, in pixels of the input."""
    top, left = (inside[0] - out[0]) // 2 - 0.5, (inside[1] - out[1]) // 2 - 0.5
    return left, left + out[1], top + out[0], top


def _frame(ax: Axes, inside: Sequence[int], out: Sequence[int]) -> None:
    """Give a panel the field of the input patch, and frame the output region in it."""
    from matplotlib.patches import Rectangle

    left, right, bottom, top = _extent(inside, out)
    ax.add_patch(
        Rectangle(
            (left, top), right - left, bottom - top, fill=False, edgecolor=_FRAME, linewidth=1.4, zorder=2
        )
    )
    ax.set(xlim=(-0.5, inside[1] - 0.5), ylim=(inside[0] - 0.5, -0.5), xticks=[], yticks=[], aspect="equal")
    ax.set_facecolor("#eceef1")
    ax.spines[:].set_visible(False)


def _classes(target: NDArray[Any]) -> Rgb:
    """Colours of classes, or between those of background and object by the share of foreground."""
    if np.issubdtype(target.dtype, np.floating):
        ignored, background, foreground = _class_colours(np.array([-1, 0, 1])).astype(np.float32)
        shares = target[..., None]
        blended = background + shares * (foreground - background)
        colours: Rgb = np.where(shares < 0, ignored, blended).astype(np.uint8)
        return colours
    ids, which = np.unique(target, return_inverse=True)
    return _class_colours(ids)[which].reshape(*target.shape, 3)


def _class_colours(ids: NDArray[np.integer[Any]]) -> Rgb:
    colours = colours_of(ids)
    colours[ids < 0] = _IGNORED
    return colours


def _legend(figure: Figure, targets: NDArray[Any]) -> None:
    from matplotlib.patches import Patch

    ids = np.unique(np.ceil(targets).astype(np.int64))
    names = {-1: "ignored", 0: "0 background"}
    handles = [
        Patch(facecolor=colour / 255, label=names.get(int(one), f"class {one}"))
        for one, colour in zip(ids, _class_colours(ids), strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False, fontsize=8)
