"""Draw the figures of docs/method.md from the output of `unseam demo`: python docs/make_figures.py demo

Every number in them is computed by unseam's own functions; a figure is a function below.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from make_pictures import PICTURES, bare, save_png
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from unseam import border_weight_map, load_model, read_image
from unseam.augment import coordinates, draw_recipe, sample
from unseam.config import AugmentConfig
from unseam.data.synthetic import synthetic_set
from unseam.decisions import ROUNDING, SAFETY, decision_margin
from unseam.draw import colours_of, display
from unseam.geometry import CONVOLUTIONS_PER_LEVEL, AxisGeometry, Geometry
from unseam.instances import carve_gaps, grow, label_components, segment
from unseam.io.source import array_source
from unseam.tiling import plan_tiles, read_mirrored

INK, DOWN, UP = "#333333", "#2a7f8f", "#b8562f"


def main(demo: Path) -> None:
    """Draw all of them."""
    networks = {
        "method_u.svg": ("the paper", 4, 64, 572),
        "method_u_default.svg": ("the default", 3, 16, 252),
    }
    for name, (title, depth, width, size) in networks.items():
        axis = Geometry.regular(spatial_dims=2, depth=depth).axes[0]
        save_svg(draw_u(title, axis, width, size), name)
    save_png(draw_tiles(), "method_tiles.png", dpi=80)
    save_png(draw_weights(), "method_weights.png")
    save_png(draw_elastic(), "method_elastic.png")
    save_png(draw_objects(demo), "method_objects.png")
    save_svg(draw_settling(demo), "method_settling.svg")


def save_svg(figure: Figure, name: str) -> None:
    """Write a figure as SVG, the same bytes each time."""
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(PICTURES / name, metadata={"Date": None})
    print(PICTURES / name)


def draw_u(title: str, axis: AxisGeometry, width: int, size: int) -> Figure:
    """The U along one axis: a box for each map, its size above and its channels below."""
    lost = [CONVOLUTIONS_PER_LEVEL * (kernel - 1) for kernel in axis.kernels]
    depth, down, up = len(axis.strides), [size], []
    for level, stride in enumerate(axis.strides):
        down.append((down[-1] - lost[level]) // stride)
    up.append(down[-1] - lost[depth])
    for level in reversed(range(depth)):
        up.append(up[-1] * axis.strides[level] - lost[level])
    assert up[-1] == axis.output(size)

    figure = Figure(figsize=(8, 1.2 + 0.75 * depth), layout="constrained")
    ax = figure.subplots()
    ax.set_axis_off()
    ax.set_xlim(-1.2, 2 * depth + 2.2)
    ax.set_ylim(-depth - 0.45, 0.75)
    for level in range(depth):
        before, after = down[level], down[level] - lost[level]
        given, made = up[depth - level - 1] * axis.strides[level], up[depth - level]
        left, right, y = level * 0.95, 2 * depth + 1 - level * 0.95, -level
        channels = width * 2**level
        box(ax, left, y, f"{before} → {after}", f"{channels} channels", DOWN)
        box(ax, right, y, f"{given} → {made}", f"{channels} channels", UP)
        arrow(ax, (left + 0.62, y), (right - 0.62, y), f"crop {after} to {given}", "#999999")
        arrow(ax, (left, y - 0.2), (left + 0.9, y - 0.8), "pool", DOWN)
        arrow(ax, (right - 0.9, y - 0.8), (right, y - 0.2), "up", UP)
    box(ax, depth + 0.5, -depth, f"{down[-1]} → {up[0]}", f"{width * 2**depth} channels", INK)
    summary = f"{title}: {size} in, {up[-1]} out, halo {axis.halo}, grid {axis.grid}"
    ax.text(depth + 0.5, 0.6, summary, ha="center", va="center", color=INK, fontsize=11)
    return figure


def box(ax: Axes, x: float, y: float, above: str, below: str, colour: str) -> None:
    """A level of the U: two convolutions from one size to the next."""
    ax.add_patch(Rectangle((x - 0.6, y - 0.2), 1.2, 0.4, facecolor="white", edgecolor=colour, lw=1.4))
    ax.text(x, y + 0.08, above, ha="center", va="center", fontsize=9, color=INK)
    ax.text(x, y - 0.1, below, ha="center", va="center", fontsize=7, color="#666666")


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], text: str, colour: str) -> None:
    """An arrow with a word beside its middle."""
    ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": colour, "shrinkA": 0, "shrinkB": 0})
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    ax.text(middle[0], middle[1] + 0.07, text, ha="center", va="bottom", fontsize=7, color="#666666")


def draw_tiles() -> Figure:
    """An image with what is mirrored around it, its tiles, and what one of them reads."""
    image = synthetic_set(1, shape=(200, 260), seed=4)[0].image
    plan = plan_tiles(image.shape[1:], Geometry.regular(spatial_dims=2, depth=3), tile=100)
    margin = plan.halo[0]
    around = [(-margin, n + margin) for n in plan.shape]
    figure = Figure(figsize=(6.4, 5), layout="constrained")
    ax = figure.subplots()
    extent = (-margin - 0.5, plan.shape[1] + margin - 0.5, plan.shape[0] + margin - 0.5, -margin - 0.5)
    mirrored = display(read_mirrored(array_source(image), around))
    ax.imshow(255 - (255 - mirrored) // 2, extent=extent)
    ax.imshow(display(image), extent=(-0.5, plan.shape[1] - 0.5, plan.shape[0] - 0.5, -0.5))
    for tile in plan:
        outline(ax, tile.write, "white", lw=0.8)
    first = plan.tile((0, 0))
    outline(
        ax, first.read, "#ffb000", lw=2.2, label=f"read: {plan.tile_input[0]} x {plan.tile_input[1]} pixels"
    )
    outline(ax, first.write, "#00e0c0", lw=2.2, label=f"written: {plan.step[0]} x {plan.step[1]} pixels")
    ax.set_xlim(extent[0], extent[1])
    ax.set_ylim(extent[2], extent[3])
    ax.legend(loc="lower right", framealpha=0.95)
    bare(ax, "the first tile of an image; what is paler is mirrored")
    return figure


def outline(ax: Axes, region: Any, colour: str, **options: Any) -> None:
    """The border of a region, ((start, stop) along Y, (start, stop) along X)."""
    (top, bottom), (left, right) = region
    ax.add_patch(
        Rectangle(
            (left - 0.5, top - 0.5), right - left, bottom - top, fill=False, edgecolor=colour, **options
        )
    )


def draw_weights() -> Figure:
    """Touching cells, the gap carved between them, and the weight map of the paper."""
    cells = synthetic_set(1, shape=(256, 256), seed=0)[0]
    where = (slice(0, 130), slice(110, 256))
    carved = carve_gaps(cells.labels)
    weights = border_weight_map(carved)[where]
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    axes = figure.subplots(1, 3)
    axes[0].imshow(display(cells.image[(slice(None), *where)]))
    axes[1].imshow(coloured(carved[where]))
    shown = axes[2].imshow(np.ma.masked_where(carved[where] > 0, weights), cmap="magma", vmin=0, vmax=10)
    axes[2].set_facecolor("0.45")
    figure.colorbar(shown, ax=axes[2], label="weight", fraction=0.05)
    titles = ("image", "labels, a gap of one pixel carved", "border weight, w0 = 10, sigma = 5 px")
    for ax, title in zip(axes, titles, strict=True):
        bare(ax, title)
    return figure


def draw_elastic() -> Figure:
    """One random field of the paper's size, applied to a grid and to an image."""
    size = 300
    config = AugmentConfig(rotation=0, flip=False, scale=0, elastic_sigma=10, elastic_spacing=0)
    recipe = draw_recipe(config, (size, size), np.random.default_rng(3))
    middle = [(size - 1) / 2] * 2
    position = coordinates(recipe, middle, (size, size), device=torch.device("cpu"))
    lines = np.zeros((1, size, size), np.float32)
    lines[:, ::20], lines[:, :, ::20] = 1, 1
    image = synthetic_set(1, shape=(size, size), seed=0)[0].image.astype(np.float32)
    figure = Figure(figsize=(10, 2.7), layout="constrained")
    axes = figure.subplots(1, 4)
    for pair, array in ((axes[:2], lines), (axes[2:], image)):
        bent = sample(torch.from_numpy(array), position, mode="linear").numpy()
        for ax, picture, title in zip(pair, (array, bent), ("before", "after"), strict=True):
            ax.imshow(display(picture))
            bare(ax, title)
    return figure


def draw_objects(demo: Path) -> Figure:
    """From the probabilities of the demo's model to objects."""
    where = (slice(50, 150), slice(130, 250))
    image = read_image(demo / "test/images/synthetic_000.tif").data[(slice(None), *where)]
    probabilities = read_image(demo / "predictions/synthetic_000_probabilities.tif").data
    foreground = 1 - probabilities[0][where]
    chosen = load_model(demo / "run").header.objects
    assert chosen.threshold is not None and chosen.low_threshold is not None and chosen.grow is not None
    cores = label_components(foreground > chosen.threshold)
    grown = grow(cores, chosen.grow, within=foreground > chosen.low_threshold)
    final = segment(
        foreground,
        threshold=chosen.threshold,
        min_size=chosen.min_size or 0,
        grow_pixels=chosen.grow,
        low_threshold=chosen.low_threshold,
    )
    pictures = [
        ("image", display(image)),
        ("probability", display(foreground[None])),
        (f"cores: above {chosen.threshold:g}, connected", coloured(cores)),
        (f"grown {chosen.grow} px, where above {chosen.low_threshold:g}", coloured(grown)),
        ("small ones dropped, numbered", coloured(final)),
    ]
    figure = Figure(figsize=(14, 2.7), layout="constrained")
    for ax, (title, picture) in zip(figure.subplots(1, len(pictures)), pictures, strict=True):
        ax.imshow(picture)
        bare(ax, title)
    return figure


def draw_settling(demo: Path) -> Figure:
    """How far each pixel is from a decision, and what another tiling changes of its probability."""
    model = load_model(demo / "run")
    image = read_image(demo / "test/images/synthetic_000.tif").data
    one, other = (model.probabilities(image, tile=tile) for tile in (512, 64))
    change = np.abs(one - other).max(axis=0).ravel()
    margin = decision_margin(one, "instances", model.header.objects)
    assert margin is not None
    margin = margin.ravel()
    band = max(2 * ROUNDING, SAFETY * float(change.max()))
    undecided = margin < band
    print(f"settling: {undecided.sum()} of {margin.size} pixels within {band:.1e}, change {change.max():.1e}")
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    ax = figure.subplots()
    edges = np.logspace(-7, 0, 71)
    ax.hist(margin, bins=edges, color=DOWN, label="distance of a pixel's probability to a threshold")
    ax.hist(
        change[change > 0],
        bins=edges,
        color=UP,
        alpha=0.8,
        label="change by another tiling, tiles of 512 and of 64",
    )
    ax.axvspan(
        edges[0],
        band,
        color="#ffb000",
        alpha=0.3,
        label=f"computed again: {undecided.sum()} of {margin.size:,} pixels",
    )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("probability")
    ax.set_ylabel("pixels")
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(0.7, margin.size * 2000)
    ax.legend(loc="upper left", fontsize=8)
    return figure


def coloured(labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Labels as colours on black."""
    return colours_of(labels.ravel()).reshape(*labels.shape, 3)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
