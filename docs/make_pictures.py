"""Draw the pictures of the first pages from the demo's output: python docs/make_pictures.py demo"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from unseam import border_weight_map, load_model, read_image, read_labels
from unseam.data.synthetic import synthetic_set
from unseam.draw import colours_of, display, overlay
from unseam.instances import carve_gaps
from unseam.prediction import plan_image

CROP = 420
LARGE = 120_000
"""Bytes of a picture."""
PICTURES = Path(__file__).parent / "pictures"


def main(folder: Path) -> None:
    """Draw both."""
    save_png(image_and_labels(folder), "first.png")
    save_png(three_steps(folder), "demo.png", dpi=75)


def image_and_labels(folder: Path) -> Figure:
    """A part of a test image, and the labels that the demo's model gives it."""
    part = (slice(0, CROP), slice(0, CROP))
    image = read_image(folder / "test/images/synthetic_000.tif").data[(slice(None), *part)]
    labels = read_labels(folder / "predictions/synthetic_000.tif").data[0][part]
    figure = Figure(figsize=(9, 4.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(display(image))
    bare(left, "image")
    right.imshow(colours_of(labels.ravel()).reshape(*labels.shape, 3))
    bare(right, f"labels: {len(np.unique(labels[labels > 0]))} cells")
    return figure


def three_steps(folder: Path) -> Figure:
    """Training image, its weight map, and a part of a test image with the cells found and the tiles used."""
    sample = synthetic_set(1, shape=(256, 256), seed=0)[0]
    weights = border_weight_map(carve_gaps(sample.labels))
    image = read_image(folder / "test/images/synthetic_000.tif").data
    labels = read_labels(folder / "predictions/synthetic_000.tif").data[0]
    plan = plan_image(labels.shape, load_model(folder / "run").network, tile=256)

    figure = Figure(figsize=(12, 4.2), layout="constrained")
    axes = figure.subplots(1, 3)
    axes[0].imshow(display(sample.image))
    bare(axes[0], "an annotated image (synthetic)")
    axes[1].imshow(np.ma.masked_where(sample.labels > 0, weights), cmap="magma", vmin=0, vmax=10)
    axes[1].set_facecolor("0.35")
    bare(axes[1], "the weight of the gaps between its cells")
    axes[2].imshow(overlay(image, labels)[:CROP, :CROP])
    bare(axes[2], "a part of a larger image: tiles and cells")
    for position in range(plan.step[0], CROP, plan.step[0]):
        axes[2].axhline(position, color="white", lw=0.6, ls=(0, (6, 6)))
        axes[2].axvline(position, color="white", lw=0.6, ls=(0, (6, 6)))
    return figure


def bare(ax: Axes, title: str) -> None:
    """A picture without numbers at its sides."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(title, fontsize=10)


def save_png(figure: Figure, name: str, dpi: int = 90) -> None:
    """Write a figure; with 128 colours where it would be large otherwise."""
    PICTURES.mkdir(exist_ok=True)
    drawn, path = io.BytesIO(), PICTURES / name
    figure.savefig(drawn, dpi=dpi)
    picture = Image.open(drawn).convert("RGB")
    picture.save(path, optimize=True)
    if path.stat().st_size > LARGE:
        picture.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path, f"{path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
